//! What the driver can do besides the library's scenarios: sizes, TLS, membership, signals.

use crate::support::{Gauntlet, dir_of, one_at_a_time, text};

#[test]
fn one_and_five_members_and_tls_hold() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    for extra in [&["--members", "1"][..], &["--members", "5"], &["--tls"]] {
        let args = [&["steady", "--seed", "3", "--time", "1s"][..], extra].concat();
        let (lines, code) = gauntlet.run(&args);
        assert_eq!(code, 0, "{extra:?}: {lines:?}");
    }
    let tls = std::fs::canonicalize(gauntlet.out.path().join("runs/latest")).unwrap();
    assert!(tls.join("tls/ca.pem").is_file());
}

const MEMBERSHIP: &str = r#"
name = "membership"
title = "a learner joins, is promoted, and an old member leaves"
about = "Joins and leaves under traffic; pauses and a termination on the way."

[cluster]
members = 3
peer_proxies = true
snapshot_count = 100

[traffic]
time = "3 s"

[[step]]
do = "member_add"
as = "newcomer"
learner = true
after = "300 ms"

[[step]]
do = "wait_caught_up"
target = "newcomer"
timeout = "10 s"

[[step]]
do = "member_promote"
target = "newcomer"
after = "100 ms"

[[step]]
do = "pause"
target = "m2"
after = "100 ms"

[[step]]
do = "resume"
target = "m2"
after = "300 ms"

[[step]]
do = "terminate"
target = "m3"

[[step]]
do = "restart"
target = "m3"
after = "100 ms"

[[step]]
do = "member_remove"
target = "m1"
after = "300 ms"

[[expect]]
versions = "*"
verdict = "holds"
"#;

#[test]
fn learners_promotion_removal_pauses_and_terminations_hold_on_a_users_scenario() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    std::fs::write(gauntlet.out.path().join("membership.toml"), MEMBERSHIP).unwrap();
    for store in ["etcd@3.5.16", "etcd@3.4.23"] {
        let (lines, code) = gauntlet.run(&["./membership.toml", "--store", store, "--seed", "11"]);
        assert_eq!(code, 0, "{lines:?}");
        assert_eq!(lines[0]["faults"], 8, "every step was done: {lines:?}");
        let observations = text(&dir_of(&lines[0]).join("observations.jsonl"));
        assert!(
            observations.contains(r#""learner":true"#),
            "m4 was a learner for a while"
        );
    }
}
