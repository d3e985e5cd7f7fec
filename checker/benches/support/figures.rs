//! Figures that are no samples: ratios, growth and memory.

use std::process::Command;
use std::time::Duration;

use checker::generic::Options;

use crate::lean::{Revisions, history};
use crate::{cpu_time, holds, wgl};

/// The plain search gives up beyond these.
const CONFIGURATIONS_MAX: usize = 200_000;

const ASKED: &str = "GAUNTLET_BENCH_MEMORY";

fn median(times: usize, f: impl Fn()) -> Duration {
    let timed = |_| {
        let start = cpu_time::now();
        f();
        cpu_time::now() - start
    };
    let mut all: Vec<Duration> = (0..times).map(timed).collect();
    all.sort_unstable();
    all[times / 2]
}

fn engine(history: &[checker::generic::Operation<crate::lean::Op>], times: usize) -> Duration {
    median(times, || {
        assert!(holds(&Revisions, history, &Options::default()));
    })
}

/// The plain search against the engine on the same histories.
pub(crate) fn ratios() {
    println!("\nplain search : generic engine, revisions, medians of 5");
    for (operations, clients) in [
        (1_000, 8),
        (10_000, 8),
        (1_000, 16),
        (1_000, 32),
        (1_000, 128),
    ] {
        let history = history(operations, clients, false);
        let timed: Vec<_> = history.iter().map(|o| (o.op, o.call, o.ret)).collect();
        let initial = checker::generic::Model::initial(&Revisions);
        let search =
            || wgl::is_linearizable::<Revisions>(initial.clone(), &timed, CONFIGURATIONS_MAX);
        if search().is_none() {
            println!("{operations} operations, {clients} clients: the plain search gave up");
            continue;
        }
        let plain = median(5, || assert_eq!(search(), Some(true)));
        let ours = engine(&history, 5);
        let ratio = plain.as_secs_f64() / ours.as_secs_f64();
        println!("{operations} operations, {clients} clients: {plain:?} : {ours:?} = {ratio:.1}");
    }
}

/// The exponent with which time grows from 1k to 4M operations, by least squares.
pub(crate) fn scaling() {
    let mut points = Vec::new();
    println!("\nrevisions, 128 clients, medians of 3");
    for operations in [1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000] {
        let took = engine(&history(operations, 128, false), 3);
        println!("{operations} operations: {took:?}");
        points.push(((operations as f64).ln(), took.as_secs_f64().ln()));
    }
    let count = points.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / count;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let slope = mean(&|p| (p.0 - x) * (p.1 - y)) / mean(&|p| (p.0 - x).powi(2));
    println!("exponent {slope:.3}");
}

/// What the process has held at most, in KiB.
fn high_water() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// How many operations this process is to check, if it is a child that tells its memory.
pub(crate) fn asked_for_memory() -> Option<usize> {
    std::env::var(ASKED).ok()?.parse().ok()
}

pub(crate) fn tell_memory(operations: usize) {
    let history = history(operations, 128, false);
    let before = high_water();
    assert!(holds(&Revisions, &history, &Options::default()));
    let after = high_water();
    println!(
        "{operations} operations: {} MiB with the history, {} MiB after the check",
        before >> 10,
        after >> 10
    );
}

pub(crate) fn memory() {
    println!("\npeak resident memory, revisions, 128 clients");
    let this = std::env::current_exe().expect("a path");
    for operations in [1_000, 100_000, 1_000_000, 4_000_000] {
        let status = Command::new(&this)
            .env(ASKED, operations.to_string())
            .status();
        assert!(status.expect("a child").success());
    }
}
