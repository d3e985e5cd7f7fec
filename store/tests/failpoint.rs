//! Failpoints as the harness's own gofail client sees them.

use std::process::Command;
use std::time::{Duration, Instant};

use failpoints::gofail::{Gofail, GofailError, Terms};
use failpoints::ports;
use store::failpoint::{self, FailpointError, NAMES};

fn terms(text: &str) -> Terms {
    text.parse().unwrap()
}

fn endpoint() -> Gofail {
    Gofail::new(failpoint::serve("127.0.0.1:0").unwrap())
}

#[tokio::test]
async fn points_are_listed_set_counted_and_cleared_over_http() {
    let gofail = endpoint();
    let listed: Vec<_> = gofail.list().await.unwrap();
    let mut names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    let mut all = NAMES.to_vec();
    names.sort_unstable();
    all.sort_unstable();
    assert_eq!(names, all);

    let name = "afterWritebackBuf";
    assert_eq!(gofail.get(name).await.unwrap(), None);
    assert_eq!(gofail.count(name).await.unwrap(), None);
    assert!(!gofail.clear(name).await.unwrap());

    gofail.set(name, &terms("2*print->1*off")).await.unwrap();
    for _ in 0..7 {
        fail::fail_point!(name);
    }
    assert_eq!(gofail.count(name).await.unwrap(), Some(3));
    let text = gofail.get(name).await.unwrap();
    assert_eq!(text.as_deref(), Some("2*print->1*off"));
    let listed = gofail.list().await.unwrap();
    let listed = listed.into_iter().find(|one| one.name == name).unwrap();
    assert_eq!(listed.terms, text);

    gofail.set(name, &terms("1*print")).await.unwrap();
    assert_eq!(gofail.count(name).await.unwrap(), Some(0));
    assert!(gofail.clear(name).await.unwrap());
    fail::fail_point!(name);
    assert_eq!(gofail.count(name).await.unwrap(), None);
}

#[tokio::test]
async fn names_and_terms_that_are_none_are_refused() {
    let gofail = endpoint();
    let unknown = gofail.set("befroeCommit", &terms("off")).await.unwrap_err();
    match unknown {
        GofailError::NoSuchPoint { nearest, .. } => assert_eq!(nearest[0], "beforeCommit"),
        other => panic!("{other}"),
    }
    let name = "beforeMoveVictims";
    for bad in ["", "bend", "3*", "sleep(\"now\")", "break", "off->"] {
        assert_eq!(failpoint::set(name, bad), Err(FailpointError::BadTerms));
    }
    assert_eq!(failpoint::status(name), Err(FailpointError::Off));
}

#[tokio::test]
async fn a_sleep_holds_whoever_reaches_it_and_nobody_else() {
    let gofail = endpoint();
    let name = "defragBeforeCopy";
    gofail.set(name, &terms("1*sleep(400)")).await.unwrap();
    let start = Instant::now();
    let held = std::thread::spawn(move || fail::fail_point!(name));
    while gofail.count(name).await.unwrap() != Some(1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fail::fail_point!(name);
    assert!(gofail.clear(name).await.unwrap());
    assert!(start.elapsed() < Duration::from_millis(400));
    held.join().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_percentage_acts_about_so_often() {
    let name = "defragBeforeRename";
    failpoint::set(name, "25.0%off").unwrap();
    for _ in 0..4000 {
        fail::fail_point!(name);
    }
    let (_, hits) = failpoint::status(name).unwrap();
    assert!((800..1200).contains(&hits), "{hits} of 4000");
}

/// What the next test runs as a process of its own.
#[test]
#[ignore = "run by the test of the environment"]
fn child() {
    failpoint::panic_hook();
    failpoint::start().unwrap();
    println!("started");
    for _ in 0..2000 {
        std::thread::spawn(|| fail::fail_point!("beforeCommit"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn spawn(points: &str, port: u16) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("GOFAIL_FAILPOINTS", points)
        .env("GOFAIL_HTTP", format!("127.0.0.1:{port}"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_panic_in_any_thread_ends_the_process_as_go_does() {
    let points = "nowhere=panic;beforeCommit=3*off->panic";
    let port = ports::lease().unwrap();
    let ended = spawn(points, port.port()).wait_with_output().unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{log}");
    let line = "panic: failpoint panic: beforeCommit";
    assert!(log.lines().any(|one| one == line), "{log}");
}

#[tokio::test]
async fn whoever_asks_for_a_panic_gets_its_answer() {
    for _ in 0..5 {
        let port = ports::lease().unwrap();
        let mut child = spawn("beforeCommit=sleep(1)", port.port());
        let gofail = Gofail::new(([127, 0, 0, 1], port.port()).into());
        let until = Instant::now() + Duration::from_secs(10);
        while gofail.list().await.is_err() {
            assert!(Instant::now() < until, "it does not serve");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gofail.set("beforeCommit", &terms("panic")).await.unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2));
    }
}

#[test]
fn a_list_that_is_none_is_an_error_at_the_start() {
    let port = ports::lease().unwrap();
    let ended = spawn("beforeCommit", port.port())
        .wait_with_output()
        .unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(log.contains("BadList(\"beforeCommit\")"), "{log}");
}
