//! Faults at functions and system calls of stock binaries, and known bugs put back into fixed ones.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Gauntlet, dir_of, one_at_a_time, processes_naming, text};

/// Runs a scenario on a release; each run must come to this verdict.
fn comes_to(scenario: &str, store: &str, more: &[&str], verdict: &str) -> Vec<serde_json::Value> {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let args = [&[scenario, "--store", store, "--seed", "1"], more].concat();
    let (lines, code) = gauntlet.run(&args);
    let expected = match verdict {
        "holds" => 0,
        "violated" => 1,
        _ => 2,
    };
    assert_eq!(code, expected, "{lines:?}");
    for line in &lines {
        assert_eq!(line["verdict"], verdict, "{line}");
    }
    lines
}

/// <https://github.com/etcd-io/etcd/issues/13766>
#[test]
fn issue_13766_is_found_in_3_5_1_and_not_in_fixed_releases() {
    comes_to("apply-crash", "etcd@3.5.1", &[], "violated");
    comes_to("apply-crash", "etcd@3.5.16", &[], "holds");
    comes_to("apply-crash", "etcd@3.4.23", &[], "holds");
}

/// <https://github.com/etcd-io/etcd/issues/14370>
#[test]
fn issue_14370_is_found_in_3_5_1_and_not_in_fixed_releases() {
    comes_to("wal-crash", "etcd@3.5.1", &[], "violated");
    comes_to("wal-crash", "etcd@3.5.16", &[], "holds");
    comes_to("wal-crash", "etcd@3.4.23", &[], "holds");
}

/// <https://github.com/etcd-io/etcd/issues/14571>,
/// <https://github.com/etcd-io/etcd/issues/14685>
#[test]
fn a_known_bug_is_back_where_its_fix_is_skipped_and_is_named_as_planted() {
    for (scenario, store, bug) in [
        ("auth-member-add", "etcd@3.5.16", "14571"),
        ("auth-member-add", "etcd@3.4.23", "14571"),
        ("defrag-crash", "etcd@3.5.16", "14685"),
    ] {
        let _one = one_at_a_time();
        let gauntlet = Gauntlet::new();
        let (lines, code) =
            gauntlet.run(&[scenario, "--store", store, "--seed", "1", "--bug", bug]);
        assert_eq!(code, 1, "{scenario} on {store}: {lines:?}");
        let dir = dir_of(&lines[0]);
        for file in ["verdict.json", "witness.txt", "report.html", "plan.toml"] {
            let told = text(&dir.join(file));
            assert!(told.contains(bug), "{file} does not name the planted bug");
        }
        assert!(text(&dir.join("witness.txt")).contains("planted"));
    }
}

#[test]
fn a_bug_that_cannot_be_planted_is_refused_and_one_that_is_there_is_said() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let refused = gauntlet.call(&["run", "steady", "--store", "etcd@3.4.23", "--bug", "14685"]);
    assert_eq!(refused.status.code(), Some(64));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("cannot be planted in 3.4.23"), "{said}");
    let args = [
        "run",
        "steady",
        "--store",
        "etcd@3.5.1",
        "--bug",
        "14685",
        "--time",
        "1s",
    ];
    let present = gauntlet.call(&args);
    let said = String::from_utf8_lossy(&present.stderr).into_owned();
    assert!(said.contains("has #14685 as it is"), "{said}");
}

const NEVER_HIT: &str = r#"
name = "never-hit"
title = "A fault at a function that this traffic does not call"
[traffic]
profile = "writes"
time = "1 s"
[[step]]
do = "arm"
target = "m1"
fault = "downgrade"
symbol = "etcdserver.(*EtcdServer).MemberAdd"
optional = OPTIONAL
act = "kill"
[[step]]
do = "sleep"
after = "300 ms"
"#;

#[test]
fn a_run_whose_fault_was_never_hit_is_not_green_unless_the_fault_is_optional() {
    for (optional, verdict) in [("false", "inconclusive"), ("true", "holds")] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("never-hit.toml");
        std::fs::write(&file, NEVER_HIT.replace("OPTIONAL", optional)).unwrap();
        comes_to(file.to_str().unwrap(), "etcd@3.5.16", &[], verdict);
    }
}

#[test]
fn a_function_that_the_binary_lacks_is_an_error_with_the_nearest_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lacks.toml");
    let lacks = NEVER_HIT
        .replace(
            "etcdserver.(*EtcdServer).MemberAdd",
            "backend.(*backend).defragment",
        )
        .replace("OPTIONAL", "false");
    std::fs::write(&file, lacks).unwrap();
    let lines = comes_to(file.to_str().unwrap(), "etcd@3.5.16", &[], "inconclusive");
    assert_eq!(lines[0]["faults_failed"], 1);
    drop(lines);

    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let listed = gauntlet.call(&["symbols", "etcd@3.5.16", "backend.(*backend).defragment"]);
    assert_eq!(listed.status.code(), Some(64));
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(said.contains("backend.(*backend).defrag"), "{said}");
}

/// Eight steps of four kinds a round. By hand, 200 rounds: `ROUNDS=200`.
#[test]
fn after_rounds_of_faults_of_every_kind_the_cluster_is_healthy() {
    let rounds = std::env::var("ROUNDS").unwrap_or_else(|_| "20".into());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rounds.toml");
    let scenario = include_str!("rounds.toml").replace("ROUNDS", &rounds);
    std::fs::write(&file, scenario).unwrap();
    if nix::unistd::geteuid().is_root() {
        let lines = comes_to(file.to_str().unwrap(), "etcd@3.5.16", &[], "holds");
        assert_eq!(lines[0]["faults_failed"], 0, "{lines:?}");
    } else {
        eprintln!("skipped: the disk of these rounds needs root");
    }
}

const HELD: &str = r#"
name = "held"
title = "A thread is held for a long time"
[cluster]
env = ["GOMAXPROCS=8", "GOGC=off"]
[traffic]
profile = "writes"
time = "60 s"
[[step]]
do = "arm"
target = "m1"
fault = "held"
symbol = "etcdserver.(*applierV3backend).Put"
act = "hold"
for = "50 s"
[[step]]
do = "sleep"
when = { hit = "held" }
after = "50 s"
"#;

#[test]
fn sigkill_of_the_harness_while_a_member_is_held_leaves_nothing() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    std::fs::write(gauntlet.out.path().join("held.toml"), HELD).unwrap();
    let mut child = gauntlet
        .command(&[
            "run",
            "./held.toml",
            "--store",
            "etcd@3.5.16",
            "--seed",
            "1",
        ])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let own = i32::try_from(child.id()).unwrap();
    let faults = gauntlet.out.path().join("runs/latest/faults.jsonl");
    let start = Instant::now();
    while !std::fs::read_to_string(&faults).is_ok_and(|said| said.contains("\"hit\"")) {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no thread is held"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let needle = std::fs::canonicalize(gauntlet.out.path()).unwrap();
    let needle = format!("{}/runs", needle.display());
    let members = processes_naming(&needle);
    assert_eq!(members.len(), 3);
    let tracers = processes_naming(&format!("__trace\0{own}\0"));
    assert_eq!(tracers.len(), 1, "one tracer for the one armed member");

    kill(Pid::from_raw(own), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    let left = || {
        let mut left = processes_naming(&needle);
        left.extend(processes_naming(&format!("__trace\0{own}\0")));
        left
    };
    while !left().is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "left: {:?}",
            left()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything but disk and namespaces works for an ordinary user.
#[test]
fn without_root_faults_at_functions_and_system_calls_work() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: every other test here runs without root already");
        return;
    }
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let public = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), public).unwrap();
    let binary = dir.path().join("gauntlet");
    std::fs::copy(env!("CARGO_BIN_EXE_gauntlet"), &binary).unwrap();
    let as_nobody = |args: &[&str]| {
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&binary)
            .args(args)
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .output()
            .unwrap()
    };
    let output = as_nobody(&["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for works in [
        "processes",
        "link cuts",
        "gofail",
        "faults at functions",
        "faults at system calls",
    ] {
        assert!(said.contains(&format!("ok   {works}")), "{works}: {said}");
    }
    for needs_root in ["disks that lose power", "network namespaces"] {
        assert!(
            said.contains(&format!("OFF  {needs_root}")),
            "{needs_root}: {said}"
        );
    }

    // What needs them is skipped, and never green.
    let gauntlet = Gauntlet::new();
    let installed = gauntlet.call(&["etcd", "install", "3.5.16"]);
    assert!(installed.status.success());
    let path = gauntlet.call(&["etcd", "path", "3.5.16"]);
    let path = String::from_utf8_lossy(&path.stdout).trim().to_owned();
    std::fs::copy(path, dir.path().join("etcd")).unwrap();
    let output = as_nobody(&["run", "power-loss", "--store", "./etcd", "--runs", "3"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("power-loss is skipped"), "{said}");
}
