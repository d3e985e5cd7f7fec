//! System calls of a real program: chosen by name and path; delayed, failed,
//! cut short, killed in.

#[path = "support/traced.rs"]
mod traced;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use failpoints::trace::{Act, Arm, Event, Point, ReleasedBy, SyscallStop, Then};
use traced::{Subject, next, next_hit, until};

use SyscallStop::{Entry, Exit};

fn on(calls: &[&str], path: &str, at: SyscallStop, act: Act) -> Arm {
    let point = Point::Syscall {
        calls: calls.iter().map(|&call| call.into()).collect(),
        path: Some(path.into()),
        at,
    };
    Arm::new(calls.join("+"), point, act)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[tokio::test]
async fn calls_fail_by_name_and_path() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut subject = Subject::start();
    let write = |name: &str| format!("write {} 10", at(name).display());
    let tracer = subject.tracer().await;
    let mut events = tracer.events();

    let arm = on(&["write"], "*.wal", Entry, Act::Fail { errno: 28 });
    let arm = tracer.arm(arm).await.unwrap();
    assert_eq!(subject.ask(&write("a.wal")), "errno 28");
    assert_eq!(length(&at("a.wal")), 0, "it was not made");
    assert_eq!(subject.ask(&write("b")), "10");
    match next(&mut events).await {
        Event::Hit {
            number: 1,
            acted: true,
            path: Some(path),
            ..
        } => {
            assert_eq!(Path::new(&path), at("a.wal"));
        }
        other => panic!("{other:?}"),
    }
    tracer.disarm(arm).await.unwrap();
    subject.assert_untouched();
    assert_eq!(subject.ask(&write("a.wal")), "10");

    // At exit the call was made.
    let arm = on(&["write"], "*.wal", Exit, Act::Fail { errno: 5 });
    let arm = tracer.arm(arm).await.unwrap();
    assert_eq!(subject.ask(&write("a.wal")), "errno 5");
    assert_eq!(length(&at("a.wal")), 20);
    tracer.disarm(arm).await.unwrap();

    // The second only; another call; a whole path.
    let whole = at("a.wal");
    let pattern = whole.to_str().unwrap();
    let mut arm = on(
        &["fsync", "fdatasync"],
        pattern,
        Entry,
        Act::Fail { errno: 5 },
    );
    (arm.nth, arm.times) = (2, Some(1));
    let arm = tracer.arm(arm).await.unwrap();
    let sync = format!("sync {}", whole.display());
    let answers = [(); 3].map(|()| subject.ask(&sync));
    assert_eq!(answers, ["()", "errno 5", "()"]);
    tracer.disarm(arm).await.unwrap();
    subject.assert_untouched();
}

#[tokio::test]
async fn a_skipped_call_answers_what_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(&from, "x").unwrap();
    let mut subject = Subject::start();
    let tracer = subject.tracer().await;
    let arm = on(
        &["rename", "renameat", "renameat2"],
        "to",
        Entry,
        Act::Skip { result: None },
    );
    let arm = tracer.arm(arm).await.unwrap();
    let rename = format!("rename {} {}", from.display(), to.display());
    assert_eq!(subject.ask(&rename), "()");
    assert!(from.exists() && !to.exists());
    tracer.disarm(arm).await.unwrap();
    assert_eq!(subject.ask(&rename), "()");
    assert!(!from.exists() && to.exists());
}

#[tokio::test]
async fn a_write_is_cut_short_and_what_follows_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wal");
    let order = format!("writeall {} 100", path.display());
    for (then, answer, expected) in [(Then::Nothing, "()", 100), (Then::Fail(28), "errno 28", 30)] {
        let _ = fs::remove_file(&path);
        let mut subject = Subject::start();
        let tracer = subject.tracer().await;
        let mut arm = on(&["write"], "*.wal", Entry, Act::Short { bytes: 30, then });
        arm.times = Some(1);
        let arm = tracer.arm(arm).await.unwrap();
        assert_eq!(subject.ask(&order), answer);
        assert_eq!(length(&path), expected);
        assert_eq!(subject.ask(&order), "()", "once only");
        assert_eq!(length(&path), expected + 100);
        tracer.disarm(arm).await.unwrap();
        subject.assert_untouched();
    }
    fs::remove_file(&path).unwrap();
    let mut subject = Subject::start();
    let tracer = subject.tracer().await;
    let act = Act::Short {
        bytes: 30,
        then: Then::Kill,
    };
    tracer
        .arm(on(&["write"], "*.wal", Entry, act))
        .await
        .unwrap();
    subject.say(&order);
    subject.child.wait().unwrap();
    assert_eq!(length(&path), 30, "torn");
}

#[tokio::test]
async fn a_delayed_write_waits_while_the_rest_runs_on() {
    for at in [Entry, Exit] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wal");
        let mut subject = Subject::start();
        subject.ask("tick 3");
        let tracer = subject.tracer().await;
        let mut events = tracer.events();
        let limit = Duration::from_millis(300);
        let arm = tracer
            .arm(on(&["write"], "*.wal", at, Act::Hold { limit }))
            .await
            .unwrap();
        let start = Instant::now();
        subject.ask(&format!("writer {}", path.display()));
        assert_eq!(next_hit(&mut events).await, (1, true));
        let ticks = subject.number("ticks");
        until("ticks go on", || subject.number("ticks") > ticks + 20).await;
        if start.elapsed() < limit {
            assert_eq!(length(&path), if at == Entry { 0 } else { 7 });
            assert_eq!(subject.number("passed"), 0);
        }
        match next(&mut events).await {
            Event::Released {
                why,
                advanced,
                held_ns,
                ..
            } => {
                assert_eq!(why, ReleasedBy::Limit);
                assert!(advanced && held_ns >= 300_000_000);
            }
            other => panic!("{other:?}"),
        }
        until("it is written", || subject.number("passed") == 1).await;
        assert_eq!(fs::read(&path).unwrap(), b"written");
        assert!(start.elapsed() >= limit);
        tracer.disarm(arm).await.unwrap();
        subject.assert_untouched();
    }
}

#[tokio::test]
async fn a_kill_at_a_rename_is_before_it_or_after_it() {
    for _ in 0..10 {
        for (at, renamed) in [(Entry, false), (Exit, true)] {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("db.tmp"), dir.path().join("db"));
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();
            let mut subject = Subject::start();
            subject.ask("tick 2");
            let tracer = subject.tracer().await;
            let arm = on(&["rename", "renameat", "renameat2"], "db", at, Act::Kill);
            tracer.arm(arm).await.unwrap();
            subject.say(&format!("rename {} {}", from.display(), to.display()));
            subject.child.wait().unwrap();
            assert_eq!(from.exists(), !renamed);
            assert_eq!(
                fs::read(&to).unwrap(),
                if renamed { b"new" } else { b"old" }
            );
        }
    }
}

#[tokio::test]
async fn connections_are_chosen_by_address() {
    let [one, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, other] = [&one, &other].map(|l| l.local_addr().unwrap().to_string());
    let mut subject = Subject::start();
    let tracer = subject.tracer().await;
    let arm = tracer
        .arm(on(&["connect"], &one, Entry, Act::Fail { errno: 111 }))
        .await
        .unwrap();
    assert_eq!(subject.ask(&format!("connect {one}")), "errno 111");
    assert_eq!(subject.ask(&format!("connect {other}")), "()");
    tracer.disarm(arm).await.unwrap();
    assert_eq!(subject.ask(&format!("connect {one}")), "()");
}

#[tokio::test]
async fn code_and_system_calls_are_armed_together() {
    let dir = tempfile::tempdir().unwrap();
    let write = format!("write {} 10", dir.path().join("a.wal").display());
    let mut subject = Subject::start();
    subject.ask("busy 2");
    let tracer = subject.tracer().await;
    let value = tracer
        .arm(subject.arm("value", Act::Skip { result: Some(8) }))
        .await
        .unwrap();
    let failing = on(&["write"], "*.wal", Entry, Act::Fail { errno: 5 });
    for _ in 0..20 {
        let failing = tracer.arm(failing.clone()).await.unwrap();
        assert_eq!(
            (subject.number("value"), subject.ask(&write)),
            (8, "errno 5".into())
        );
        tracer.disarm(failing).await.unwrap();
        assert_eq!(
            (subject.number("value"), subject.ask(&write)),
            (8, "10".into())
        );
    }
    tracer.disarm(value).await.unwrap();
    subject.assert_untouched();
    assert_eq!((subject.number("value"), subject.number("wrong")), (7, 0));
    let calls = subject.number("calls");
    until("it goes on", || subject.number("calls") > calls + 100).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let subject = Subject::start();
    let tracer = subject.tracer().await;
    let short = Act::Short {
        bytes: 1,
        then: Then::Nothing,
    };
    for (arm, reason) in [
        (
            on(&["wriet"], "*", Entry, Act::Kill),
            "unknown system call `wriet`",
        ),
        (on(&[], "*", Entry, Act::Kill), "no system calls"),
        (on(&["write"], "a[", Entry, Act::Kill), "path"),
        (on(&["fsync"], "*", Entry, short.clone()), "cut short"),
        (on(&["write"], "*", Exit, short), "cut short"),
        (
            on(&["write"], "*", Exit, Act::Skip { result: None }),
            "entry",
        ),
        (on(&["write"], "*", Exit, Act::Fail { errno: 0 }), "errno 0"),
    ] {
        let error = tracer.arm(arm).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    subject.assert_untouched();
}
