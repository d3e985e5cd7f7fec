//! Time of the check of list-append transactions, in the thread's processor time, and how it grows.

#[path = "support/cpu_time.rs"]
mod cpu_time;
#[path = "../tests/transactions/simulate.rs"]
mod simulate;

use std::time::Duration;

use checker::transactions::{Operation, Options, Outcome, Transaction, check};
use cpu_time::CpuTime;
use criterion::{BenchmarkId, SamplingMode, Throughput};
use simulate::{Shape, simulate};

type Criterion = criterion::Criterion<CpuTime>;

const SIZES: [(usize, &str); 4] = [
    (1_000, "1k"),
    (10_000, "10k"),
    (100_000, "100k"),
    (1_000_000, "1M"),
];

fn history(transactions: usize, clients: u32) -> Vec<Transaction> {
    let shape = Shape {
        transactions,
        clients,
        keys: 10,
        appends_a_key: 64,
        unknown: 1,
        aborted: 2,
    };
    simulate(shape, 1)
}

fn holds(transactions: &[Transaction]) -> bool {
    let outcome = check(transactions, &Options::default()).outcome;
    matches!(outcome, Outcome::Holds { .. })
}

fn legal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transactions");
    group.sampling_mode(SamplingMode::Flat);
    for (transactions, size) in SIZES {
        for clients in [8, 128] {
            let history = history(transactions, clients);
            group.throughput(Throughput::Elements(transactions as u64));
            let id = BenchmarkId::new(size, format!("{clients} clients"));
            group.bench_function(id, |bencher| bencher.iter(|| assert!(holds(&history))));
        }
    }
    group.finish();
}

/// Every hundredth read of more than three elements lacks the last.
fn stale(transactions: &mut [Transaction]) {
    let operations = transactions.iter_mut().flat_map(|t| &mut t.operations);
    let reads = operations.filter_map(|op| match op {
        Operation::Read { elements, .. } if elements.len() > 3 => Some(elements),
        _ => None,
    });
    for read in reads.step_by(100) {
        read.pop();
    }
}

fn violated(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transactions with stale reads");
    group.sampling_mode(SamplingMode::Flat);
    for (transactions, size) in &SIZES[..3] {
        let mut history = history(*transactions, 128);
        stale(&mut history);
        group.throughput(Throughput::Elements(*transactions as u64));
        group.bench_function(*size, |bencher| bencher.iter(|| assert!(!holds(&history))));
    }
    group.finish();
}

/// Least squares on a double logarithmic scale: time grows as size to this power.
fn exponent() {
    let mut points = Vec::new();
    for size in [1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000] {
        let history = history(size, 128);
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let start = cpu_time::now();
                assert!(holds(&history));
                cpu_time::now() - start
            })
            .collect();
        times.sort_unstable();
        println!("{size} transactions: {:?}", times[2]);
        points.push(((size as f64).ln(), times[2].as_secs_f64().ln()));
    }
    let n = points.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>()
        / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    println!("time grows as size to the power of {slope:.2}");
}

fn main() {
    let mut criterion = criterion::Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
        .configure_from_args();
    legal(&mut criterion);
    violated(&mut criterion);
    if std::env::args().any(|arg| arg == "--bench") {
        exponent();
    }
    criterion.final_summary();
}
