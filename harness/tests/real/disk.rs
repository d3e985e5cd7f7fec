//! Members on disks of ours. They need root; without it a run says so and is none.

use std::os::unix::fs::MetadataExt;

use crate::support::{Gauntlet, dir_of, one_at_a_time, text};

const STORE: [&str; 2] = ["--store", "etcd@3.5.16"];

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn power_losses_are_told_and_kept_data_are_plain_files() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let args = ["power-loss", "--seed", "3", "--keep-data"];
    let (lines, code) = gauntlet.run(&[&args[..], &STORE].concat());
    if !is_root() {
        assert_eq!(code, 4, "{lines:?}");
        return;
    }
    assert_eq!(code, 0, "{lines:?}");
    let dir = dir_of(&lines[0]);
    let faults = text(&dir.join("faults.jsonl"));
    let losses = faults
        .lines()
        .filter(|line| line.contains("power_loss") && line.contains(r#""phase":"end""#));
    let told: Vec<_> = losses.collect();
    assert!(!told.is_empty(), "{faults}");
    for loss in told {
        assert!(
            loss.contains("writes lost") || loss.contains("everything was synced"),
            "{loss}"
        );
    }
    assert!(!faults.contains(r#""phase":"failed""#), "{faults}");
    for member in ["m1", "m2", "m3"] {
        let member = dir.join("members").join(member);
        assert!(member.join("data/member/snap/db").is_file());
        assert!(!member.join("data.unsynced").exists());
    }
}

#[test]
fn a_member_whose_disk_fails_may_end_and_comes_back() {
    let _one = one_at_a_time();
    if !is_root() {
        eprintln!("skipped: disks of ours need root");
        return;
    }
    let gauntlet = Gauntlet::new();
    let scenario = gauntlet.out.path().join("bad-sync.toml");
    let text_of = r#"
name = "bad-sync"
title = "One sync fails, others are slow"
[cluster]
disk = true
[traffic]
time = "1 s"
clients = 2
[[step]]
do = "disk_fault"
target = "m1"
fault = "slow"
kind = "slow_fsync"
for = "20 ms"
[[step]]
do = "disk_fault"
target = "m2"
fault = "bad"
kind = "eio"
paths = "*.wal"
hit = 5
times = 1
[[step]]
do = "sleep"
when = { hit = "bad", within = "20 s" }
after = "200 ms"
[[step]]
do = "disk_heal"
target = "all"
[[step]]
do = "restart"
target = "m2"
"#;
    std::fs::write(&scenario, text_of).unwrap();
    let path = scenario.to_str().unwrap();
    let (lines, code) = gauntlet.run(&[&[path, "--seed", "1"][..], &STORE].concat());
    assert_eq!(code, 0, "{lines:?}");
    let dir = dir_of(&lines[0]);
    let faults = text(&dir.join("faults.jsonl"));
    assert!(faults.contains("bad acted on 1 operations"), "{faults}");
    let log = text(&dir.join("members/m2/log"));
    assert!(log.contains("input/output error"), "etcd met the error");
}
