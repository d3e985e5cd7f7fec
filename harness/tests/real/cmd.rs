//! A store that a command starts: here gauntlet's own, as a third party would name it.

use crate::support::{Gauntlet, dir_of, one_at_a_time, text};

const GAUNTLET: &str = env!("CARGO_BIN_EXE_gauntlet");

#[test]
fn a_store_of_several_members_runs_by_its_own_flags() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let store = format!(
        "cmd:{GAUNTLET} store --name {{name}} --data-dir {{data_dir}} \
         --listen-client-urls {{client_url}} --advertise-client-urls {{client_url}} \
         --listen-peer-urls {{peer_url}} --initial-advertise-peer-urls {{advertised_peer_url}} \
         --initial-cluster {{initial_cluster}} --initial-cluster-state {{initial_cluster_state}} \
         --initial-cluster-token {{token}} --heartbeat-interval {{heartbeat_ms}} \
         --election-timeout {{election_ms}} --snapshot-count {{snapshot_count}}"
    );
    let args = [
        "steady",
        "--store",
        &store,
        "--without",
        "lease,hashkv",
        "--seed",
        "1",
    ];
    let (lines, code) = gauntlet.run(&args);
    assert_eq!(code, 0, "{lines:?}");
    let dir = dir_of(&lines[0]);
    let plan = text(&dir.join("plan.toml"));
    assert!(
        plan.contains("kind = \"command\"") && plan.contains("lease_grant = 0"),
        "{plan}"
    );
    assert!(plan.contains("traffic.left_out"), "{plan}");
    assert!(text(&dir.join("verdict.json")).contains("the store has no HashKV"));
    let again = gauntlet.call(&["check", &dir.display().to_string()]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(said.contains("the same as the stored verdict"), "{said}");
}

#[test]
fn a_store_of_one_member_runs_alone_and_what_needs_more_is_skipped() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let file = gauntlet.out.path().join("alone.toml");
    let command = format!(
        "command = \"{GAUNTLET} store --data-dir {{data_dir}} --listen-client-urls {{client_url}} \
         --advertise-client-urls {{client_url}} --listen-peer-urls http://{{peer_host}}:{{peer_port}}\"\n\
         without = [\"auth\"]\nsingle = true\n"
    );
    std::fs::write(&file, command).unwrap();
    let store = format!("cmd-file:{}", file.display());
    let (lines, code) = gauntlet.run(&["steady", "--store", &store, "--seed", "1"]);
    assert_eq!(code, 0, "{lines:?}");
    assert!(text(&dir_of(&lines[0]).join("plan.toml")).contains("\nmembers = 1\n"));
    let (lines, code) = gauntlet.run(&["auth-member-add", "--store", &store]);
    assert_eq!(code, 4, "{lines:?}");
    let why = lines[0]["error"].as_str().unwrap();
    assert!(why.contains("auth") && why.contains("membership"), "{why}");
}

#[test]
fn what_a_command_gets_wrong_is_named() {
    let gauntlet = Gauntlet::new();
    for (store, says) in [
        ("cmd:foo --data {data}", "{data}; allowed: {name}"),
        ("cmd:foo {data_dir}", "{client_url} or {client_port}"),
        (
            "cmd:nowhere-to-be-found {etcd_flags}",
            "nowhere-to-be-found",
        ),
        ("cmd-file:/nowhere.toml", "/nowhere.toml"),
    ] {
        let refused = gauntlet.call(&["run", "steady", "--store", store]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(64), "{said}");
        assert!(said.contains(says), "{store}: {said}");
    }
    let unknown = gauntlet.call(&["run", "steady", "--without", "leases"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(64));
    assert!(said.contains("lease, auth, watch"), "{said}");
}
