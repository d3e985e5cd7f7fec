//! Times of the generic engine: on generated histories of a store with revisions, on recorded ones
//! if they are at hand, and of the plain search on what it finishes. It is the thread's processor
//! time that is measured. What was measured where is in `README.md` beside this file.
//!
//! Without a filter, or with the filter `figures`, it also prints ratios to the plain search, how
//! time grows with the history, and peak memory (`VmHWM` of a child process each).

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/cpu_time.rs"]
mod cpu_time;
#[path = "support/figures.rs"]
mod figures;
#[path = "../tests/linearizable/history.rs"]
#[expect(dead_code, unused_imports, reason = "shared with tests")]
mod history;
#[path = "support/lean.rs"]
mod lean;
#[path = "../tests/linearizable/simulate.rs"]
#[expect(dead_code, reason = "shared with tests")]
mod simulate;
#[path = "support/traffic.rs"]
#[expect(dead_code, reason = "shared with another bench")]
mod traffic;
#[path = "support/wgl.rs"]
mod wgl;

use std::cell::OnceCell;
use std::time::Duration;

use checker::generic::{Model, Operation, Options, Verdict, check};
use checker::models::{Etcd, etcd_history};
use cpu_time::CpuTime;
use criterion::{BenchmarkGroup, BenchmarkId, SamplingMode, Throughput};
use lean::{Op, Revisions};
use traffic::{Traffic, records};

type Criterion = criterion::Criterion<CpuTime>;

const SIZES: [(usize, &str); 4] = [
    (1_000, "1k"),
    (10_000, "10k"),
    (100_000, "100k"),
    (1_000_000, "1M"),
];

fn holds<M: Model>(model: &M, history: &[Operation<M::Op>], options: &Options) -> bool {
    matches!(check(model, history, options), Verdict::Holds { .. })
}

fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, CpuTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

fn revisions(criterion: &mut Criterion) {
    let mut group = group(criterion, "generic, revisions");
    for (operations, size) in SIZES {
        for clients in [8, 32, 128] {
            let history = OnceCell::new();
            group.throughput(Throughput::Elements(operations as u64));
            let id = BenchmarkId::new(size, format!("{clients} clients"));
            group.bench_function(id, |bencher| {
                let history = history.get_or_init(|| lean::history(operations, clients, false));
                bencher.iter(|| assert!(holds(&Revisions, history, &Options::default())));
            });
        }
    }
    group.finish();
}

/// The same requests as whole records, on the model that is shipped.
fn etcd(criterion: &mut Criterion) {
    let mut group = group(criterion, "generic, etcd model");
    for (operations, size) in SIZES {
        let records = OnceCell::new();
        group.throughput(Throughput::Elements(operations as u64));
        let id = BenchmarkId::new(size, "128 clients");
        group.bench_function(id, |bencher| {
            let records = records.get_or_init(|| records_of(operations));
            let history = etcd_history(records).operations;
            bencher.iter(|| assert!(holds(&Etcd::default(), &history, &Options::default())));
        });
    }
    group.finish();
}

fn records_of(operations: usize) -> Vec<checker::history::Record> {
    records(Traffic::plain(operations, 128, false))
}

fn stale_read(criterion: &mut Criterion) {
    let mut group = group(criterion, "generic, one stale read");
    let stale: OnceCell<Vec<Operation<Op>>> = OnceCell::new();
    group.bench_function("1M/128 clients", |bencher| {
        let stale = stale.get_or_init(|| {
            let mut history = lean::history(1_000_000, 128, false);
            lean::one_stale_read(&mut history);
            history
        });
        bencher.iter(|| {
            let Verdict::Violated { witness } = check(&Revisions, stale, &Options::default())
            else {
                panic!("a stale read")
            };
            assert!(witness.core.len() <= 5, "{witness:?}");
        });
    });
    group.finish();
}

fn recorded(criterion: &mut Criterion) {
    let Some(corpus) = corpus::open() else { return };
    let mut group = group(criterion, "generic, recorded");
    let verdict_alone = Options {
        core_max: 0,
        ..Options::default()
    };
    let whole = Options {
        partition: false,
        ..verdict_alone
    };
    for (name, options) in [
        ("verdicts", verdict_alone),
        ("with cores", Options::default()),
    ] {
        group.bench_function(format!("Jepsen logs/{name}"), |bencher| {
            bencher.iter(|| {
                for (history, expected) in &corpus.logs {
                    assert_eq!(
                        holds(&checker::models::CasRegister, history, &options),
                        *expected
                    );
                }
            });
        });
    }
    for (name, history, expected) in &corpus.key_values {
        for (how, options) in [("by key", verdict_alone), ("whole", whole)] {
            if how == "whole" && name.contains("c50") {
                continue;
            }
            group.bench_function(format!("{name}/{how}"), |bencher| {
                let model = checker::models::KeyValue::default();
                bencher.iter(|| assert_eq!(holds(&model, history, &options), *expected));
            });
        }
    }
    group.finish();
}

fn main() {
    if let Some(operations) = figures::asked_for_memory() {
        figures::tell_memory(operations);
        return;
    }
    let mut criterion = criterion::Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
        .configure_from_args();
    revisions(&mut criterion);
    etcd(&mut criterion);
    stale_read(&mut criterion);
    recorded(&mut criterion);
    let measuring = std::env::args().any(|arg| arg == "--bench");
    let filtered = std::env::args().skip(1).any(|arg| !arg.starts_with("--"));
    if measuring && (!filtered || std::env::args().any(|arg| arg == "figures")) {
        figures::ratios();
        figures::scaling();
        figures::memory();
    }
    criterion.final_summary();
}
