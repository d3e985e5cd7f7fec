//! Code points on a real, multi-threaded program: held, killed, skipped,
//! counted, and left as it was.

#[path = "support/traced.rs"]
mod traced;

use std::path::Path;
use std::time::{Duration, Instant};

use failpoints::trace::{Act, Arm, Event, Point, ReleasedBy, TraceError, Tracer};
use tokio::sync::broadcast::error::TryRecvError;
use traced::{PATIENCE, Subject, next, next_hit, tracer_of, until};

const LONG: Act = Act::Hold {
    limit: Duration::from_secs(1000),
};

/// Both kinds of breakpoint.
const KINDS: [bool; 2] = [false, true];

#[tokio::test]
async fn a_held_thread_stays_while_the_others_advance() {
    for software in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let mut subject = Subject::start();
        subject.ask("tick 3");
        let tracer = subject.tracer_with(software).await;
        assert_eq!(tracer_of(subject.pid()), 0, "nothing is armed yet");
        let mut events = tracer.events();
        let arm = tracer.arm(subject.arm("point", LONG)).await.unwrap();
        assert_ne!(tracer_of(subject.pid()), 0);

        subject.ask(&format!("once {}", dir.path().display()));
        assert_eq!(next_hit(&mut events).await, (1, true));
        let before = subject.number("ticks");
        until("ticks go on", || subject.number("ticks") > before + 100).await;
        assert!(dir.path().join("before").exists());
        assert!(!dir.path().join("after").exists());

        tracer.disarm(arm).await.unwrap();
        subject.assert_untouched();
        match next(&mut events).await {
            Event::Released {
                why,
                advanced,
                others_cpu_ns,
                ..
            } => {
                assert_eq!(why, ReleasedBy::Disarm);
                assert!(advanced && others_cpu_ns > 0);
            }
            other => panic!("{other:?}"),
        }
        until("it goes on", || subject.number("passed") == 1).await;
        assert!(dir.path().join("after").exists());
    }
}

#[tokio::test]
async fn hits_are_counted_and_acted_on_from_the_nth_on() {
    for software in KINDS {
        let mut subject = Subject::start();
        let tracer = subject.tracer_with(software).await;
        let mut events = tracer.events();
        let mut arm = subject.arm("value", Act::Skip { result: Some(41) });
        (arm.nth, arm.times) = (3, Some(2));
        let arm = tracer.arm(arm).await.unwrap();
        let answers = [(); 6].map(|()| subject.number("value"));
        assert_eq!(answers, [7, 7, 41, 41, 7, 7]);
        for (n, acted) in [false, false, true, true, false, false]
            .into_iter()
            .enumerate()
        {
            assert_eq!(next_hit(&mut events).await, (n as u64 + 1, acted));
        }
        tracer.disarm(arm).await.unwrap();
        assert_eq!(subject.number("value"), 7);
        subject.assert_untouched();
    }
}

#[tokio::test]
async fn a_hit_counts_only_from_the_callers_asked_for() {
    for software in KINDS {
        let mut subject = Subject::start();
        let tracer = subject.tracer_with(software).await;
        let mut events = tracer.events();
        let middle = subject.address("middle");
        let mut arm = subject.arm("point", Act::Skip { result: Some(1000) });
        arm.called_from = vec![0..1, middle..middle + 256];
        let arm = tracer.arm(arm).await.unwrap();
        assert_eq!(subject.number("call 2"), 3, "called by something else");
        assert_eq!(subject.number("middle 1"), 1002);
        assert_eq!(
            next_hit(&mut events).await,
            (1, true),
            "others do not count"
        );
        tracer.disarm(arm).await.unwrap();
        assert_eq!(subject.number("middle 1"), 11);
    }
}

#[tokio::test]
async fn a_kill_comes_exactly_at_the_point() {
    for software in KINDS {
        for _ in 0..10 {
            let dir = tempfile::tempdir().unwrap();
            let mut subject = Subject::start();
            subject.ask("tick 3");
            let tracer = subject.tracer_with(software).await;
            let mut events = tracer.events();
            let arm = tracer.arm(subject.arm("point", Act::Kill)).await.unwrap();
            // Several at once.
            for _ in 0..3 {
                subject.try_say(&format!("once {}", dir.path().display()));
            }
            let status = subject.child.wait().unwrap();
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(9)
            );
            assert!(dir.path().join("before").exists());
            assert!(!dir.path().join("after").exists());
            assert_eq!(next_hit(&mut events).await, (1, true));
            let ended = loop {
                match next(&mut events).await {
                    Event::Hit { .. } => {}
                    other => break other,
                }
            };
            assert!(
                matches!(
                    ended,
                    Event::Ended {
                        signal: Some(9),
                        ..
                    }
                ),
                "{ended:?}"
            );
            tracer.disarm(arm).await.unwrap();
            let error = tracer
                .arm(subject.arm("point", Act::Kill))
                .await
                .unwrap_err();
            assert!(matches!(error, TraceError::Ended { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn no_thread_slips_past_and_every_answer_is_right() {
    for software in KINDS {
        let mut subject = Subject::start();
        let tracer = subject.tracer_with(software).await;
        subject.ask("busy 4");
        subject.ask("churn");
        until("it runs", || subject.number("calls") > 100).await;
        let mut events = tracer.events();
        let arm = tracer.arm(subject.arm("busy", LONG)).await.unwrap();
        let held = async {
            let mut tids = std::collections::BTreeSet::new();
            while tids.len() < 5 {
                if let Event::Hit { tid, .. } = next(&mut events).await {
                    assert!(tids.insert(tid), "a held thread hit again");
                }
            }
        };
        tokio::time::timeout(PATIENCE, held)
            .await
            .expect("all five are held");
        let calls = subject.number("calls");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(subject.number("calls"), calls);
        tracer.disarm(arm).await.unwrap();
        until("they go on", || subject.number("calls") > calls + 100).await;

        let arm = tracer.arm(subject.arm("busy", Act::Report)).await.unwrap();
        let calls = subject.number("calls");
        until("they go on, counted", || {
            subject.number("calls") > calls + 3000
        })
        .await;
        let counted = subject.number("calls") - calls;
        tracer.disarm(arm).await.unwrap();
        let mut hits = 0;
        loop {
            match events.try_recv() {
                Ok(Event::Hit { number, .. }) => hits = number,
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        // Each of the four may have been past the point when it was armed.
        assert!(hits + 4 >= counted, "{hits} hits of {counted} calls");
        assert_eq!(subject.number("wrong"), 0);
        subject.assert_untouched();
    }
}

#[tokio::test]
async fn a_hold_ends_by_its_limit_by_release_and_with_the_tracer() {
    let mut subject = Subject::start();
    let dir = tempfile::tempdir().unwrap();
    let once = format!("once {}", dir.path().display());
    let tracer = subject.tracer().await;
    let mut events = tracer.events();
    let limit = Duration::from_millis(150);
    let arm = tracer
        .arm(subject.arm("point", Act::Hold { limit }))
        .await
        .unwrap();
    subject.ask(&once);
    assert_eq!(next_hit(&mut events).await, (1, true));
    match next(&mut events).await {
        Event::Released { held_ns, why, .. } => {
            assert_eq!(why, ReleasedBy::Limit);
            assert!(held_ns >= 150_000_000, "{held_ns}");
        }
        other => panic!("{other:?}"),
    }
    until("it goes on", || subject.number("passed") == 1).await;
    tracer.disarm(arm).await.unwrap();

    let arm = tracer.arm(subject.arm("point", LONG)).await.unwrap();
    subject.ask(&once);
    subject.ask(&once);
    next_hit(&mut events).await;
    next_hit(&mut events).await;
    tracer.release(arm).await.unwrap();
    until("both go on", || subject.number("passed") == 3).await;
    subject.ask(&once);
    next_hit(&mut events).await;

    drop(tracer);
    until("the third goes on", || subject.number("passed") == 4).await;
    subject.until_untouched().await;
}

#[tokio::test]
async fn arms_come_and_go_while_threads_are_held() {
    for software in KINDS {
        let mut subject = Subject::start();
        let dir = tempfile::tempdir().unwrap();
        let once = format!("once {}", dir.path().display());
        let tracer = subject.tracer_with(software).await;
        let mut events = tracer.events();
        let first = tracer.arm(subject.arm("point", LONG)).await.unwrap();
        subject.ask(&once);
        next_hit(&mut events).await;
        let skip = |result| Act::Skip {
            result: Some(result),
        };
        let names = ["value", "spare", "more", "outer", "middle"];
        let mut arms = Vec::new();
        for (name, n) in names.into_iter().zip(100..) {
            arms.push(tracer.arm(subject.arm(name, skip(n))).await.unwrap());
        }
        // Six addresses: at least two are in memory.
        let answers =
            ["value", "spare 1", "more 1", "outer 1", "middle 1"].map(|o| subject.number(o));
        assert_eq!(answers, [100, 101, 102, 103, 104]);
        for arm in arms {
            tracer.disarm(arm).await.unwrap();
        }
        assert_eq!(subject.number("value"), 7);
        assert_eq!(subject.number("spare 1"), 5);
        assert_eq!(subject.number("passed"), 0);
        let second = tracer.arm(subject.arm("point", LONG)).await.unwrap();
        tracer.disarm(first).await.unwrap();
        until("the first goes on", || subject.number("passed") == 1).await;
        assert_ne!(tracer_of(subject.pid()), 0, "the second is armed");
        tracer.disarm(second).await.unwrap();
        subject.assert_untouched();
    }
}

#[tokio::test]
async fn new_threads_are_armed_too() {
    for software in KINDS {
        let mut subject = Subject::start();
        let tracer = subject.tracer_with(software).await;
        let arm = subject.arm("point", Act::Skip { result: Some(1) });
        let arm = tracer.arm(arm).await.unwrap();
        assert_eq!(subject.number("threads 20"), 20);
        tracer.disarm(arm).await.unwrap();
        assert_eq!(subject.number("threads 3"), 9);
    }
}

#[tokio::test]
async fn another_program_ends_what_was_armed() {
    for software in KINDS {
        let mut subject = Subject::start();
        let tracer = subject.tracer_with(software).await;
        let mut events = tracer.events();
        subject.ask("tick 2");
        let dir = tempfile::tempdir().unwrap();
        let arm = tracer.arm(subject.arm("point", LONG)).await.unwrap();
        subject.ask(&format!("once {}", dir.path().display()));
        next_hit(&mut events).await;
        subject.say("exec");
        subject.learn_addresses();
        let released = next(&mut events).await;
        assert!(
            matches!(
                released,
                Event::Released {
                    why: ReleasedBy::Death,
                    ..
                }
            ),
            "{released:?}"
        );
        assert_eq!(next(&mut events).await, Event::Exec);
        subject.until_untouched().await;
        assert_eq!(subject.number("call 3"), 9);
        tracer.disarm(arm).await.unwrap();

        let arm = subject.arm("value", Act::Skip { result: Some(8) });
        tracer.arm(arm).await.unwrap();
        assert_eq!(subject.number("value"), 8);
    }
}

#[tokio::test]
async fn two_hundred_rounds_leave_it_as_it_was() {
    for software in KINDS {
        let mut subject = Subject::start();
        let tracer = subject.tracer_with(software).await;
        let mut events = tracer.events();
        subject.ask("busy 3");
        let mut worst = Duration::ZERO;
        for round in 0..200 {
            let act = match round % 3 {
                0 => Act::Report,
                1 => Act::Hold {
                    limit: Duration::from_millis(1),
                },
                _ => LONG,
            };
            let start = Instant::now();
            let arm = tracer.arm(subject.arm("busy", act)).await.unwrap();
            worst = worst.max(start.elapsed());
            next_hit(&mut events).await;
            tracer.disarm(arm).await.unwrap();
            subject.assert_untouched();
            events = tracer.events();
        }
        println!("software {software}: arming took at most {worst:?}");
        let calls = subject.number("calls");
        until("it goes on", || subject.number("calls") > calls + 100).await;
        assert_eq!(subject.number("wrong"), 0);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let subject = Subject::start();
    let tracer = subject.tracer().await;
    let entry = |addresses, entry| Point::Code { addresses, entry };
    let skip = Act::Skip { result: None };
    let mut zeroth = subject.arm("point", Act::Kill);
    zeroth.nth = 0;
    for (arm, reason) in [
        (zeroth, "count from 1"),
        (
            Arm::new("unmapped", entry(vec![8], true), LONG),
            "nothing is mapped at 0x8",
        ),
        (
            Arm::new("nowhere", entry(vec![], true), LONG),
            "no addresses",
        ),
        (
            Arm::new("inside", entry(vec![subject.address("point")], false), skip),
            "entry",
        ),
        (subject.arm("point", Act::Fail { errno: 5 }), "system calls"),
    ] {
        let name = arm.name.clone();
        let error = tracer.arm(arm).await.unwrap_err();
        assert!(matches!(error, TraceError::BadArm { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&name) && text.contains(reason), "{text}");
    }
    subject.assert_untouched();

    let error = Tracer::start(Path::new("/bin/cat"), subject.pid())
        .await
        .unwrap_err();
    assert!(matches!(error, TraceError::NotATracer { .. }), "{error:?}");
    let error = Tracer::start(Path::new("/no/such"), subject.pid())
        .await
        .unwrap_err();
    assert!(matches!(error, TraceError::Start { .. }), "{error:?}");
    let other = subject.tracer().await;
    let _arm = tracer.arm(subject.arm("point", LONG)).await.unwrap();
    let error = other.arm(subject.arm("point", LONG)).await.unwrap_err();
    assert!(error.to_string().contains("traces it already"), "{error}");
}
