//! However the harness dies, its members die with it, and what it left is judged as a prefix.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Gauntlet, one_at_a_time, processes_naming};

fn end_in_mid_run(signal: Signal) {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let mut child = gauntlet
        .command(&[
            "run",
            "steady",
            "--store",
            "etcd@3.5.16",
            "--time",
            "60s",
            "--seed",
            "1",
        ])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let runs = gauntlet.out.path().join("runs");
    let needle = std::fs::canonicalize(gauntlet.out.path())
        .unwrap()
        .display()
        .to_string();
    let history = runs.join("latest/history.jsonl");
    wait_until("traffic is on", || {
        std::fs::metadata(&history).is_ok_and(|meta| meta.len() > 200_000)
    });
    assert_eq!(
        processes_naming(&format!("{needle}/runs")).len(),
        3,
        "three members run"
    );

    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    let status = child.wait().unwrap();
    wait_until("every member is gone", || {
        processes_naming(&format!("{needle}/runs")).is_empty()
    });
    if signal == Signal::SIGINT {
        assert_eq!(status.code(), Some(2), "an interrupted run is inconclusive");
    }

    let checked = gauntlet.call(&["check", "runs/latest"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("verdict: inconclusive"), "{said}");
    assert!(said.contains("cut short"), "{said}");
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "waited too long until {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sigkill_leaves_no_member_and_never_a_holds() {
    end_in_mid_run(Signal::SIGKILL);
}

#[test]
fn ctrl_c_leaves_no_member_and_never_a_holds() {
    end_in_mid_run(Signal::SIGINT);
}
