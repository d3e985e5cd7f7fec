//! Budgets on histories whose configurations explode: each is kept within 10 %, and each ends as
//! inconclusive, with how far the search came.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use checker::generic::{Operation, Options, Verdict, check};
use checker::models::RegisterOp::{Read, Write};
use checker::models::{Queue, QueueOp, Register, RegisterOp};

use super::counted::peak;
use super::lean::{Op, Revisions, history};

/// 32 clients at once, and hundreds of puts that may or may not have filled the revisions which
/// nobody claims.
fn unknown_puts() -> Vec<Operation<Op>> {
    history(10_000, 32, true)
}

/// Enqueues that nobody has seen the order of, so that states are large.
fn enqueues() -> Vec<Operation<QueueOp>> {
    (0..64)
        .map(|i| Operation {
            op: QueueOp::Enqueue(i),
            call: 0,
            ret: Some(10 + i as u64),
        })
        .collect()
}

fn reached<S, O>(verdict: Verdict<S, O>, reason: &str) -> usize {
    match verdict {
        Verdict::Inconclusive { reached, why } => {
            assert!(why.contains(reason), "{why}");
            reached
        }
        Verdict::Holds { .. } => panic!("it held within the budget"),
        Verdict::Violated { .. } => panic!("a legal history"),
    }
}

#[test]
fn bytes_are_kept() {
    let puts = unknown_puts();
    for frontier_max in [1, 1 << 8, usize::MAX] {
        let mut before = 0;
        for bytes_max in [1_200_000, 2_000_000, 5_000_000] {
            if frontier_max == usize::MAX && bytes_max > 2_000_000 {
                continue;
            }
            let options = Options {
                bytes_max,
                frontier_max,
                ..Options::default()
            };
            let (verdict, held) = peak(|| check(&Revisions, &puts, &options));
            let reached = reached(verdict, "bytes");
            println!("{held} of {bytes_max}, frontier {frontier_max}: came to {reached}");
            assert!(held <= bytes_max + bytes_max / 10, "{held} of {bytes_max}");
            assert!(held >= bytes_max / 4, "{held} of {bytes_max}");
            assert!(reached > 0 && reached >= before);
            before = reached;
        }
    }
    let options = Options {
        bytes_max: 4 << 20,
        frontier_max: usize::MAX,
        ..Options::default()
    };
    let (verdict, held) = peak(|| check(&Queue, &enqueues(), &options));
    println!("{held} of {} with large states", options.bytes_max);
    reached(verdict, "bytes");
    assert!(held <= options.bytes_max + options.bytes_max / 10, "{held}");
}

#[test]
fn a_history_too_long_for_its_bytes_is_not_begun() {
    let puts = unknown_puts();
    let options = Options {
        bytes_max: 900_000,
        ..Options::default()
    };
    let (verdict, held) = peak(|| check(&Revisions, &puts, &options));
    assert_eq!(reached(verdict, "bytes"), 0);
    assert!(held <= options.bytes_max, "{held}");
}

#[test]
fn configurations_are_kept() {
    for (configurations_max, frontier_max) in [(1_000, 1 << 16), (10_000, 1 << 16), (10_000, 1)] {
        let options = Options {
            configurations_max,
            frontier_max,
            ..Options::default()
        };
        let verdict = check(&Revisions, &unknown_puts(), &options);
        assert!(reached(verdict, "configurations") > 0);
    }
    // So many writes at once, and a read of what none wrote, take 2^n × n configurations.
    let mut history: Vec<Operation<RegisterOp>> = (0..8)
        .map(|i| Operation {
            op: Write(Some(i)),
            call: 0,
            ret: Some(10),
        })
        .collect();
    history.push(Operation {
        op: Read(Some(99)),
        call: 20,
        ret: Some(21),
    });
    let needs = |configurations_max| {
        let options = Options {
            configurations_max,
            core_max: 0,
            ..Options::default()
        };
        matches!(
            check(&Register, &history, &options),
            Verdict::Violated { .. }
        )
    };
    let mut range = (0, 1 << 20);
    while range.1 - range.0 > 1 {
        let middle = (range.0 + range.1) / 2;
        if needs(middle) {
            range.1 = middle;
        } else {
            range.0 = middle;
        }
    }
    assert!(range.1 > 100, "{range:?}");
    assert!(!needs(range.1 * 9 / 10) && needs(range.1));
}

#[test]
fn a_stop_is_heard() {
    let puts = unknown_puts();
    let stop = AtomicBool::new(false);
    let options = Options {
        configurations_max: u64::MAX,
        bytes_max: 4 << 30,
        frontier_max: 1,
        stop: Some(&stop),
        ..Options::default()
    };
    let verdict = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let verdict = check(&Revisions, &puts, &options);
            (verdict, Instant::now())
        });
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        let stopped = Instant::now();
        let (verdict, ended) = running.join().expect("no panic");
        let late = ended.saturating_duration_since(stopped);
        assert!(late < Duration::from_secs(2), "{late:?}");
        verdict
    });
    assert!(reached(verdict, "stopped") > 0);
}
