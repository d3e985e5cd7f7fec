//! Links broken one way, slow, dropped, between members and to clients.

use crate::support::{Gauntlet, dir_of, one_at_a_time, text};

const STEPS: &str = r#"
[traffic]
time = "3 s"

[[step]]
do = "cut"
after = "300 ms"
target = "leader"
as = "mute"
how = "blackhole"
shape = "one_way"

[[step]]
do = "puts"
when = { follows = "mute" }
count = 5
prefix = "k/"

[[step]]
do = "cut"
target = "m2"
how = "blackhole"
shape = "one_way"
clients = "only"

[[step]]
do = "heal_network"
after = "300 ms"
target = "all"

[[expect]]
versions = "*"
verdict = "holds"
"#;

fn scenario(gauntlet: &Gauntlet, cluster: &str, steps: &str) {
    let about = "name = \"links\"\ntitle = \"links\"\nabout = \"A mute leader.\"\n";
    let file = format!("{about}[cluster]\nclient_proxies = true\n{cluster}\n{steps}");
    std::fs::write(gauntlet.out.path().join("links.toml"), file).unwrap();
}

#[test]
fn a_mute_leader_follows_another_and_what_links_did_is_said() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    scenario(&gauntlet, "peer_proxies = true\ntls = true", STEPS);
    for store in ["etcd@3.5.16", "etcd@3.4.23"] {
        let (lines, code) = gauntlet.run(&["./links.toml", "--store", store, "--seed", "5"]);
        assert_eq!(code, 0, "{lines:?}");
        assert_eq!(lines[0]["faults"], 4, "every step was done: {lines:?}");
        let faults = text(&dir_of(&lines[0]).join("faults.jsonl"));
        assert!(!faults.contains(r#""phase":"failed""#), "{faults}");
        assert!(faults.contains("5 of 5 puts answered"), "{faults}");
        assert!(faults.contains("bytes held"), "{faults}");
    }
}

#[test]
fn namespaces_lose_packets_under_tls_where_they_can_be_had() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    // Acknowledgements are lost too, so it is up to chance whether the mute leader still hears that
    // there is another: the others have one after an election timeout or two.
    let steps = STEPS.replace("when = { follows = \"mute\" }", "after = \"4 s\"");
    assert_ne!(steps, STEPS);
    let cluster =
        "network = \"namespaces\"\ntls = true\nheartbeat = \"50 ms\"\nelection = \"500 ms\"";
    scenario(&gauntlet, cluster, &steps);
    let (lines, code) = gauntlet.run(&["./links.toml", "--store", "etcd@3.5.16", "--seed", "6"]);
    if !nix::unistd::geteuid().is_root() {
        assert_eq!((code, &lines[0]["verdict"]), (4, &"skipped".into()));
        return;
    }
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(lines[0]["faults"], 4, "every step was done: {lines:?}");
    let faults = text(&dir_of(&lines[0]).join("faults.jsonl"));
    assert!(!faults.contains(r#""phase":"failed""#), "{faults}");
    assert!(faults.contains("5 of 5 puts answered"), "{faults}");
}
