//! Real processes: they die with us, stop when paused, and leave no zombie.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failpoints::process::{ExitStatus, Process, SignalError, SpawnError, SpawnSpec, Spawner};
use tokio::time::{sleep, timeout};

const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");
const SECOND: Duration = Duration::from_secs(1);

fn spec(dir: &Path, binary: &str, args: &[&str]) -> SpawnSpec {
    let mut spec = SpawnSpec::new(SUBJECT, binary, dir.join("log"));
    spec.args = args.iter().map(Into::into).collect();
    spec
}

async fn start(dir: &Path, binary: &str, args: &[&str]) -> Process {
    let spawner = Spawner::new().unwrap();
    spawner.spawn(spec(dir, binary, args)).await.unwrap()
}

/// State, parent and group of a process; none once it is reaped.
fn stat(pid: i32) -> Option<(char, i32, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, parent, fields.next()?.parse().ok()?))
}

/// Not running: reaped, or a zombie that somebody else has to reap.
fn is_dead(pid: i32) -> bool {
    stat(pid).is_none_or(|(state, ..)| state == 'Z' || state == 'X')
}

#[tokio::test]
async fn a_member_dies_with_the_process_that_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(SUBJECT)
        .arg("parent")
        .arg(dir.path().join("log"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stdout = BufReader::new(parent.stdout.take().unwrap());
    stdout.read_line(&mut said).unwrap();
    let sleeper: i32 = said.trim().parse().unwrap();
    let parent_pid = i32::try_from(parent.id()).unwrap();
    let (_, started_by, _) = stat(sleeper).unwrap();
    assert_eq!(started_by, parent_pid);
    assert!(!is_dead(sleeper));

    let killed = Instant::now();
    parent.kill().unwrap();
    parent.wait().unwrap();
    while !is_dead(sleeper) {
        assert!(killed.elapsed() < SECOND, "{sleeper} outlived its parent");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_member_outlives_the_threads_and_the_spawner_that_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let process = std::thread::spawn(move || {
        let spawner = Spawner::new().unwrap();
        spawner.spawn_blocking(spec(&path, "/bin/sleep", &["1000"]))
    });
    let process = process.join().unwrap().unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(process.is_running());
}

#[tokio::test]
async fn it_leads_a_group_has_its_own_environment_and_appends_to_its_log() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log"), "before\n").unwrap();
    let script = "echo out; echo err >&2; env; pwd; read line || echo no input; exit 7";
    let mut spec = spec(dir.path(), "/bin/sh", &["-c", script]);
    spec.envs = vec![("ONLY".into(), "this".into())];
    spec.cwd = Some("/".into());
    let spawner = Spawner::new().unwrap();
    let process = spawner.spawn(spec).await.unwrap();
    let status = timeout(10 * SECOND, process.exit()).await.unwrap();
    assert_eq!(status, ExitStatus::Code(7));
    assert_eq!(stat(process.pid()), None, "it is reaped");
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    for line in ["before", "out", "err", "ONLY=this", "/", "no input"] {
        assert!(log.lines().any(|l| l == line), "{line} is not in {log}");
    }
    assert!(!log.contains("CARGO"), "the environment leaked: {log}");

    let other = start(dir.path(), "/bin/sleep", &["1000"]).await;
    let (_, parent, group) = stat(other.pid()).unwrap();
    assert_eq!(group, other.pid());
    assert_eq!(parent, i32::try_from(std::process::id()).unwrap());
}

#[tokio::test]
async fn kill_and_terminate_end_and_reap_it() {
    let dir = tempfile::tempdir().unwrap();
    for (signal, number) in [("kill", 9), ("terminate", 15)] {
        let process = start(dir.path(), "/bin/sleep", &["1000"]).await;
        let handle = process.handle();
        match signal {
            "kill" => process.kill().unwrap(),
            _ => process.terminate().unwrap(),
        }
        let status = timeout(SECOND, process.exit()).await.unwrap();
        assert_eq!(status, ExitStatus::Signal(number));
        assert_eq!(stat(process.pid()), None, "it is reaped");
        assert_eq!(process.exited(), Some(status));
        // A handle that outlives it never signals a stranger.
        drop(process);
        assert!(matches!(handle.kill(), Err(SignalError::Ended { .. })));
        assert!(matches!(handle.pause(), Err(SignalError::Ended { .. })));
        assert_eq!(handle.exit().await, status);
    }
    assert_eq!(ExitStatus::Signal(9).to_string(), "SIGKILL");
}

#[tokio::test]
async fn a_paused_member_makes_no_progress_until_resumed_as_often() {
    let dir = tempfile::tempdir().unwrap();
    let process = start(dir.path(), SUBJECT, &["tick"]).await;
    let ticks = || fs::metadata(dir.path().join("log")).map_or(0, |log| log.len());
    let until_stopped = || async {
        while !process.is_stopped() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let progress = || async {
        let before = ticks();
        sleep(Duration::from_millis(150)).await;
        ticks() - before
    };
    let goes_on = || async {
        let before = ticks();
        while ticks() == before {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(20 * SECOND, goes_on()).await.unwrap();

    process.pause().unwrap();
    process.pause().unwrap();
    timeout(SECOND, until_stopped()).await.unwrap();
    assert_eq!(progress().await, 0);
    process.resume().unwrap();
    assert_eq!(progress().await, 0, "one pause of two is left");
    assert!(process.is_running());
    process.resume().unwrap();
    timeout(20 * SECOND, goes_on()).await.unwrap();

    process.pause().unwrap();
    process.kill().unwrap();
    let status = timeout(SECOND, process.exit()).await.unwrap();
    assert_eq!(
        status,
        ExitStatus::Signal(9),
        "a paused process can be killed"
    );
}

/// The pid a script wrote to its log.
async fn logged_pid(dir: &Path) -> i32 {
    let reading = async {
        loop {
            let log = fs::read_to_string(dir.join("log")).unwrap();
            if let Some(pid) = log.strip_suffix('\n') {
                break pid.parse().unwrap();
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(10 * SECOND, reading).await.unwrap()
}

async fn until_dead(pid: i32) {
    let waiting = async {
        while !is_dead(pid) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SECOND, waiting).await.expect("its end");
}

#[tokio::test]
async fn dropping_leaves_nothing_of_the_group() {
    let dir = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $!; wait";
    let process = start(dir.path(), "/bin/sh", &["-c", script]).await;
    let (leader, grandchild) = (process.pid(), logged_pid(dir.path()).await);
    assert!(!is_dead(leader) && !is_dead(grandchild));
    drop(process);
    assert_eq!(stat(leader), None, "it is reaped");
    until_dead(grandchild).await;
}

#[tokio::test]
async fn a_leader_that_ends_takes_its_group_along() {
    let dir = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $!";
    let process = start(dir.path(), "/bin/sh", &["-c", script]).await;
    let status = timeout(10 * SECOND, process.exit()).await.unwrap();
    assert_eq!(status, ExitStatus::Code(0));
    until_dead(logged_pid(dir.path()).await).await;
}

#[test]
fn a_launcher_whose_parent_is_gone_starts_nothing() {
    let (mut report, reporter) = std::io::pipe().unwrap();
    let output = Command::new(SUBJECT)
        .args(["__launch", "1", "--", "/bin/echo", "started"])
        .stdin(reporter)
        .output()
        .unwrap();
    let mut said = String::new();
    report.read_to_string(&mut said).unwrap();
    assert_eq!(said, "the parent 1 is gone");
    assert_eq!(output.status.code(), Some(127));
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn what_cannot_be_started_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spawner = Spawner::new().unwrap();
    let error = spawner.spawn(spec(dir.path(), "/no/such/etcd", &[])).await;
    let error = error.unwrap_err();
    assert!(matches!(error, SpawnError::Member { .. }), "{error:?}");
    let expected = "cannot start /no/such/etcd: /no/such/etcd: No such file";
    assert!(error.to_string().contains(expected), "{error}");

    let mut other = spec(dir.path(), "/bin/true", &[]);
    other.launcher = "/bin/true".into();
    let error = spawner.spawn(other.clone()).await.unwrap_err();
    assert!(
        matches!(error, SpawnError::NotALauncher { .. }),
        "{error:?}"
    );
    other.launcher = "/no/such/launcher".into();
    let error = spawner.spawn(other).await.unwrap_err();
    assert!(matches!(error, SpawnError::Launcher { .. }), "{error:?}");

    let mut unlogged = spec(dir.path(), "/bin/true", &[]);
    unlogged.log = dir.path().join("no/such/log");
    let error = spawner.spawn(unlogged).await.unwrap_err();
    assert!(matches!(error, SpawnError::Log { .. }), "{error:?}");
}
