//! A process on a disk: started in its namespace, cut off, killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failpoints::disk::{PowerCut, Survival};
use failpoints::process::{SpawnSpec, Spawner};

use crate::bench::{Bench, SUBJECT, able};

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// Acknowledged is what the log says; synced is what the disk has.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_acknowledged_survives_its_power_cuts() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let spawner = Spawner::new().unwrap();
    for round in 0..5 {
        let log = bench.dir.path().join(format!("log{round}"));
        let mut spec = SpawnSpec::new(SUBJECT, SUBJECT, &log);
        spec.args = vec!["journal".into(), bench.plain("journal").into()];
        spec.namespaces = vec![bench.server.namespace()];
        let process = spawner.spawn(spec).await.unwrap();
        let acknowledged = || -> Vec<u64> {
            let log = fs::read_to_string(&log).unwrap();
            let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().map(|line| line.parse().unwrap()).collect()
        };
        wait_until("30 acknowledged", || acknowledged().len() > 30);
        let handle = process.handle();
        let lost = PowerCut::cut(&bench.disk, Some(handle), Survival::SyncedOnly).await;
        let lost = lost.unwrap();
        assert!(process.exited().is_some());
        let last = *acknowledged().last().unwrap();
        let kept = fs::metadata(bench.plain("journal")).unwrap().len() / 8;
        assert!(
            kept >= last && kept <= last + 1,
            "{last} acknowledged, {kept} kept"
        );
        assert!(lost.writes_lost <= 2, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mount_is_in_its_own_namespace_only() {
    let before = mounts();
    let Some(bench) = Bench::start().await else {
        return;
    };
    let path = bench.dir.path().join("data");
    let path = path.to_str().unwrap();
    assert!(!mounts().contains(path), "{before}");
    let inside = fs::read_to_string(format!("/proc/{}/mountinfo", bench.server.pid())).unwrap();
    assert!(inside.contains(path));
    let pid = bench.server.pid();
    drop(bench.disk);
    drop(bench.server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// The harness dies by SIGKILL: so do the server and who is on its mount.
#[test]
fn a_killed_harness_leaves_neither_process_nor_mount() {
    if !able() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut harness = Command::new(SUBJECT)
        .arg("disk-parent")
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = BufReader::new(harness.stdout.take().unwrap());
    out.read_line(&mut said).unwrap();
    let pids: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
    assert_eq!(pids.len(), 2, "{said}");
    let alive = |pid: &String| Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok();
    assert!(pids.iter().all(alive));
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until("server and member end", || !pids.iter().any(alive));
    assert!(!mounts().contains(dir.path().to_str().unwrap()));
}

/// The server dies: who is on the mount gets errors, and nobody hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_fails_what_it_served() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let file = fs::File::create(bench.at("f")).unwrap();
    let pid = nix::unistd::Pid::from_raw(bench.server.pid() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_until("errors", || {
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", 0).is_err()
    });
    let refused = bench.disk.stats().await.unwrap_err();
    assert!(refused.to_string().contains("ended"), "{refused}");
    drop(file);
    assert!(!mounts().contains(bench.dir.path().to_str().unwrap()));
}
