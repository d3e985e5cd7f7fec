//! The embedded store, as real processes: sound, and with its bugs.

use crate::support::{Gauntlet, dir_of, one_at_a_time, text};

#[test]
fn the_embedded_store_is_the_default_and_holds() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let (lines, code) = gauntlet.run(&["steady", "random-kills", "--seed", "1"]);
    assert_eq!(code, 0, "{lines:?}");
    for line in &lines {
        assert_eq!(
            (&line["store"], &line["verdict"]),
            (&"embedded".into(), &"holds".into())
        );
    }
    let plan = text(&dir_of(&lines[0]).join("plan.toml"));
    assert!(plan.contains("kind = \"embedded\""), "{plan}");
    let told = text(&dir_of(&lines[0]).join("witness.txt"));
    assert!(told.contains("embedded"), "{told}");
}

#[test]
fn a_bug_is_switched_on_caught_named_and_reproduced() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let (lines, code) = gauntlet.run(&["steady", "--bug", "prev-kv", "--seed", "1"]);
    assert_eq!(code, 1, "{lines:?}");
    let broken = lines[0]["broken"].as_array().unwrap();
    assert!(broken.contains(&"linearizable".into()), "{broken:?}");
    let dir = dir_of(&lines[0]);
    for file in ["verdict.json", "witness.txt", "report.html", "plan.toml"] {
        let told = text(&dir.join(file));
        assert!(told.contains("prev-kv"), "{file} does not name the bug");
    }
    let dir = dir.display().to_string();
    let judged = gauntlet.call(&["check", &dir]);
    assert_eq!(judged.status.code(), Some(1));
    let again = gauntlet.call(&["reproduce", &dir]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(again.status.code(), Some(0), "{said}");
}

/// A thread is held at a failpoint, and the member killed in the meantime.
#[test]
fn a_fault_at_a_failpoint_is_hit() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let (lines, code) = gauntlet.run(&["apply-crash", "--bug", "13766", "--seed", "1"]);
    assert_eq!(code, 1, "{lines:?}");
    let faults = text(&dir_of(&lines[0]).join("faults.jsonl"));
    assert!(faults.contains("held at put: hit"), "{faults}");
}

#[test]
fn a_bug_that_there_is_not_is_refused_with_those_that_there_are() {
    let gauntlet = Gauntlet::new();
    let refused = gauntlet.call(&["run", "steady", "--bug", "1"]);
    assert_eq!(refused.status.code(), Some(64));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("allowed: 14685, 14571"), "{said}");
    let listed = gauntlet.call(&["list", "--bugs"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for part in [
        "embedded store",
        "steady breaks linearizable",
        "releases of etcd",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
}

/// A bug whose scenario cannot catch it is a mismatch; the same scenario holds without it.
#[test]
fn the_selftest_catches_and_holds() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let caught = gauntlet.call(&["selftest", "--quick", "--bug", "prev-kv", "--json"]);
    let said = String::from_utf8_lossy(&caught.stdout).into_owned();
    assert_eq!(caught.status.code(), Some(0), "{said}");
    let row: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(
        (&row["bug"], &row["result"]),
        (&"prev-kv".into(), &"ok".into())
    );
    let args = [
        "selftest",
        "--quick",
        "--healthy-only",
        "--scenario",
        "steady",
    ];
    let sound = gauntlet.call(&args);
    assert_eq!(sound.status.code(), Some(0));
    let told = text(&gauntlet.out.path().join("runs/selftest.json"));
    assert!(told.contains("\"sound\""), "{told}");
}
