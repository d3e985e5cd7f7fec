//! Random sequences of requests, sent to the embedded store and to a real etcd; every answer is
//! compared field by field. See `store/CONFORMANCE.md`.
//!
//! `ETCD=/path/to/etcd cargo test -p gauntlet-store --test conformance -- --ignored`
#![forbid(unsafe_code)]

mod clean;
mod fields;
mod grammar;
mod member;
mod pair;
mod shrink;
mod side;
mod step;
mod tally;
mod translate;
mod watches;
mod wire;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use grammar::Sequence;
use member::Program;
use pair::{Difference, Pair};
use shrink::Shrinker;
use step::Step;
use tally::Tally;

/// Sequences that one pair of members gets.
const BATCH: u64 = 100;
/// Differences that are made small; more are only counted.
const SHRUNK: usize = 12;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text:?}"))
    })
}

#[derive(Default)]
struct Found {
    /// Each kind of difference: how many sequences, and one of them.
    differences: BTreeMap<String, (u64, String)>,
    differing: u64,
    done: u64,
    tally: Tally,
}

struct Work {
    programs: [Program; 2],
    first: u64,
    count: u64,
    next: AtomicU64,
    found: Mutex<Found>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs etcd: ETCD=/path/to/etcd"]
async fn the_store_answers_as_etcd_does() {
    let work = Arc::new(Work {
        programs: [Program::reference(), Program::subject()],
        first: number("CONFORMANCE_SEED", 1),
        count: number("CONFORMANCE_SEQUENCES", 500),
        next: AtomicU64::new(0),
        found: Mutex::default(),
    });
    let since = Instant::now();
    let pairs = number("CONFORMANCE_PAIRS", 4).min(work.count.div_ceil(BATCH));
    let workers: Vec<_> = (0..pairs)
        .map(|_| tokio::spawn(batches(Arc::clone(&work))))
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }

    let found = work.found.lock().unwrap();
    let spent = since.elapsed().as_secs_f64();
    println!("{}", found.tally);
    println!(
        "{} sequences, {} requests in {spent:.0} s, {:.1} sequences/s; {} differ",
        work.count,
        found.tally.requests(),
        work.count as f64 / spent,
        found.differing,
    );
    for (times, report) in found.differences.values() {
        println!("\n{times} × {report}");
    }
    assert_eq!(found.differing, 0, "sequences differ, see above");
}

/// Batches of sequences, each on a new pair of members, until none is left.
async fn batches(work: Arc<Work>) {
    loop {
        let start = work.next.fetch_add(BATCH, Ordering::Relaxed);
        if start >= work.count {
            return;
        }
        let mut tally = Tally::default();
        let mut pair = Pair::start(&work.programs).await;
        for index in start..(start + BATCH).min(work.count) {
            let sequence = Sequence::draw(work.first + index);
            let difference = pair.run(&sequence.steps, &mut tally).await;
            if let Some(difference) = difference {
                pair.restart().await;
                differs(&work, &mut pair, &sequence, difference).await;
                pair.restart().await;
            } else if !clean::clean(&mut pair, &sequence.steps).await {
                pair.restart().await;
            }
        }
        let mut found = work.found.lock().unwrap();
        found.tally.add(tally);
        found.done += BATCH.min(work.count - start);
        println!(
            "{} of {} done, {} differ",
            found.done, work.count, found.differing
        );
    }
}

/// Counts a difference; makes it small if it is the first of its kind.
async fn differs(work: &Work, pair: &mut Pair, sequence: &Sequence, difference: Difference) {
    let signature = difference.signature();
    {
        let mut found = work.found.lock().unwrap();
        found.differing += 1;
        let kinds = found.differences.len();
        let known = found.differences.entry(signature.clone()).or_default();
        known.0 += 1;
        if known.0 > 1 || kinds >= SHRUNK {
            if known.1.is_empty() {
                known.1 = format!("{signature}\n  (seed {})", sequence.seed);
            }
            return;
        }
        known.1 = format!("{signature}\n  (seed {}, being made small)", sequence.seed);
    }
    let shrunk = Shrinker::new(pair, signature.clone())
        .shrink(&sequence.steps)
        .await;
    let (note, steps, difference) = match shrunk {
        Some((steps, difference)) => ("made small", steps, difference),
        None => (
            "which did not differ when run again, alone",
            sequence.steps[..=difference.step].to_vec(),
            difference,
        ),
    };
    let report = report(&signature, sequence, note, &steps, &difference);
    println!("\n{report}");
    if let Some(known) = work.found.lock().unwrap().differences.get_mut(&signature) {
        known.1 = report;
    }
}

fn report(
    signature: &str,
    sequence: &Sequence,
    note: &str,
    steps: &[Step],
    difference: &Difference,
) -> String {
    let mut text = format!(
        "{signature}\n  seed {} ({:?}), {note}:\n",
        sequence.seed, sequence.theme
    );
    for (index, step) in steps.iter().enumerate() {
        let _ = writeln!(text, "  {:3}. {step}", index + 1);
    }
    let common = |line: &String, other: &[String]| other.contains(line);
    for (name, lines, other) in [
        ("etcd", &difference.reference, &difference.subject),
        ("store", &difference.subject, &difference.reference),
    ] {
        let _ = writeln!(text, "  {name} answers:");
        for line in lines {
            let mark = if common(line, other) { ' ' } else { '*' };
            let _ = writeln!(text, "     {mark} {line}");
        }
    }
    for death in &difference.deaths {
        let _ = writeln!(text, "  {death}");
    }
    text
}
