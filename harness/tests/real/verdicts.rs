//! Known verdicts on known releases, and what a run leaves behind.

use crate::support::{Gauntlet, dir_of, one_at_a_time, text};

#[test]
fn steady_traffic_holds_on_each_release_and_leaves_a_whole_run_directory() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    for version in ["3.4.23", "3.5.0", "3.5.1", "3.5.16"] {
        let store = format!("etcd@{version}");
        let (lines, code) = gauntlet.run(&["steady", "--store", &store, "--seed", "7"]);
        assert_eq!(code, 0, "{version}: {lines:?}");
        let line = &lines[0];
        assert_eq!(line["verdict"], "holds");
        assert_eq!(line["version"], version);
        assert!(
            line["ops"].as_u64().unwrap() > 200,
            "too little traffic: {line}"
        );
        let dir = dir_of(line);
        for file in [
            "plan.toml",
            "history.jsonl",
            "faults.jsonl",
            "observations.jsonl",
            "verdict.json",
            "witness.txt",
            "report.html",
            "members/m1/log",
        ] {
            assert!(dir.join(file).is_file(), "{file} is missing");
        }
        assert!(
            !dir.join("members/m1/data").exists(),
            "data is kept only on a violation"
        );
    }
}

/// The canary: if this bug, known to be in the release, is not found, the harness is broken.
/// <https://github.com/etcd-io/etcd/issues/14685>
#[test]
fn issue_14685_is_found_in_3_5_1_explained_and_checked_again_offline() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let args = [
        "defrag-crash",
        "--store",
        "etcd@3.5.1",
        "--seed",
        "1",
        "--runs",
        "3",
    ];
    let (lines, code) = gauntlet.run(&args);
    assert_eq!(code, 1, "{lines:?}");
    let hits: Vec<_> = lines
        .iter()
        .filter(|line| line["verdict"] == "violated")
        .collect();
    assert!(
        hits.len() >= 2,
        "the bug shows up in nearly every run: {lines:?}"
    );

    let dir = dir_of(hits[0]);
    let witness = text(&dir.join("witness.txt"));
    assert!(witness.contains("revision"), "{witness}");
    assert!(witness.contains('m'), "{witness}");
    assert!(
        dir.join("members/m1/data").exists(),
        "data is kept on a violation"
    );
    let latest = gauntlet.out.path().join("runs/latest-violated");
    assert!(latest.join("verdict.json").is_file());

    let checked = gauntlet
        .command(&["check", dir.to_str().unwrap()])
        .env("XDG_CACHE_HOME", gauntlet.out.path())
        .env("PATH", "")
        .output()
        .unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("the same as the stored verdict"), "{said}");
}

#[test]
fn issue_14685_is_fixed_in_3_5_16_and_was_never_in_3_4() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    for store in ["etcd@3.5.16", "etcd@3.4.23"] {
        let (lines, code) = gauntlet.run(&[
            "defrag-crash",
            "--store",
            store,
            "--seed",
            "1",
            "--expect",
            "holds",
        ]);
        assert_eq!(code, 0, "{lines:?}");
    }
}

/// <https://github.com/etcd-io/etcd/issues/13883>
#[test]
fn issue_13883_is_found_in_3_5_1_and_not_in_3_5_16() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let args = ["auth-stale-permissions", "--seed", "1", "--expect"];
    let (lines, code) = gauntlet.run(&[&args[..], &["violated", "--store", "etcd@3.5.1"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    let (lines, code) = gauntlet.run(&[&args[..], &["holds", "--store", "etcd@3.5.16"]].concat());
    assert_eq!(code, 0, "{lines:?}");
}

#[test]
fn a_member_added_under_auth_refuses_tokens_in_3_5_1_and_not_in_3_5_16() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let args = ["auth-member-add", "--seed", "1", "--expect"];
    let (lines, code) = gauntlet.run(
        &[
            &args[..],
            &["violated:auth-consistent", "--store", "etcd@3.5.1"],
        ]
        .concat(),
    );
    assert_eq!(code, 0, "{lines:?}");
    let (lines, code) = gauntlet.run(&[&args[..], &["holds", "--store", "etcd@3.5.16"]].concat());
    assert_eq!(code, 0, "{lines:?}");
}

#[test]
fn a_violation_is_reproduced_from_its_directory() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let (lines, _) = gauntlet.run(&[
        "defrag-crash",
        "--store",
        "etcd@3.5.0",
        "--seed",
        "5",
        "--runs",
        "2",
    ]);
    let hit = lines
        .iter()
        .find(|line| line["verdict"] == "violated")
        .expect("one of two");
    let dir = dir_of(hit);
    let dir = dir.to_str().unwrap();
    let output = gauntlet.call(&["reproduce", dir]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("came back in 1 of"), "{said}");

    let other = ["reproduce", dir, "--store", "etcd@3.5.16"];
    let refused = gauntlet.call(&other);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--anyway"));
}
