//! Times of the checker's engines on generated histories, and of the plain search on the largest
//! of them that it finishes. It is the thread's processor time that is measured: all engines run on
//! one thread, and the machine may be busy with other things. What was measured where is in `README.md` beside this file.

#[path = "support/cpu_time.rs"]
mod cpu_time;
#[path = "../tests/linearizable/history.rs"]
#[expect(dead_code, unused_imports, reason = "shared with tests")]
mod history;
#[path = "support/plain.rs"]
mod plain;
#[path = "../tests/linearizable/simulate.rs"]
#[expect(dead_code, reason = "shared with tests")]
mod simulate;
#[path = "support/traffic.rs"]
mod traffic;
#[path = "support/wgl.rs"]
mod wgl;

use std::time::Duration;

use checker::history::Record;
use checker::linearizable::{Dense, Options, Outcome, check};
use checker::zones::{self, cross_check};
use cpu_time::CpuTime;
use criterion::{BenchmarkId, SamplingMode, Throughput};
use traffic::{Traffic, one_stale_read, records};

type Criterion = criterion::Criterion<CpuTime>;

const SIZES: [(usize, &str); 4] = [
    (1_000, "1k"),
    (10_000, "10k"),
    (100_000, "100k"),
    (1_000_000, "1M"),
];

fn holds(records: &[Record]) -> bool {
    matches!(
        check(records, &[], &Options::default()),
        Outcome::Holds { .. }
    )
}

/// Name of a case: clients, and percent of unknown results.
fn case(clients: u32, unknown: bool) -> String {
    format!("{clients} clients/{} % unknown", u8::from(unknown))
}

fn revision_order(criterion: &mut Criterion, name: &str, mixed: bool) {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    for (operations, size) in SIZES {
        for clients in [8, 32, 128] {
            for unknown in [false, true] {
                let id = BenchmarkId::new(size, case(clients, unknown));
                let traffic = Traffic {
                    mixed,
                    ..Traffic::plain(operations, clients, unknown)
                };
                let records = once(|| records(traffic));
                group.throughput(Throughput::Elements(operations as u64));
                group.bench_function(id, |bencher| {
                    let records = records.get();
                    bencher.iter(|| assert!(holds(records)));
                });
            }
        }
    }
    group.finish();
}

/// The fast path alone, on a history that is loaded.
fn loaded(criterion: &mut Criterion, name: &str, mixed: bool) {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    for (operations, size) in SIZES {
        for clients in [32, 128] {
            for unknown in [false, true] {
                let traffic = Traffic {
                    mixed,
                    ..Traffic::plain(operations, clients, unknown)
                };
                let dense = once(|| Dense::of(&records(traffic), &[]));
                group.throughput(Throughput::Elements(operations as u64));
                group.bench_function(BenchmarkId::new(size, case(clients, unknown)), |bencher| {
                    let dense = dense.get();
                    bencher.iter(|| dense.order(&Options::default()).expect("it holds").gaps);
                });
            }
        }
    }
    group.finish();
}

fn stale_read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one stale read");
    group.sampling_mode(SamplingMode::Flat);
    let stale = once(|| {
        let mut records = records(Traffic::plain(1_000_000, 128, true));
        one_stale_read(&mut records);
        records
    });
    group.bench_function("revision order/1M/128 clients", |bencher| {
        let records = stale.get();
        bencher.iter(|| {
            let outcome = check(records, &[], &Options::default());
            let Outcome::Violated { witness } = outcome else {
                panic!("{outcome:?}")
            };
            let parts = witness[0].operations.len();
            assert!((2..=5).contains(&parts), "{:?}", witness[0]);
        });
    });
    group.bench_function("zones/1M/128 clients", |bencher| {
        let records = stale.get();
        bencher.iter(|| assert_eq!(cross_check(records, &[]).violations.len(), 1));
    });
    group.finish();
}

fn by_zones(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("zones");
    group.sampling_mode(SamplingMode::Flat);
    for (operations, keys, size) in [
        (100_000, 10, "100k"),
        (1_000_000, 10, "1M"),
        (1_000_000, 1_000, "1M of 1,000 keys"),
    ] {
        for clients in [8, 32, 128] {
            for unknown in [false, true] {
                let traffic = Traffic {
                    keys,
                    ..Traffic::plain(operations, clients, unknown)
                };
                let registers = once(|| plain::registers(&records(traffic)));
                group.throughput(Throughput::Elements(operations as u64));
                group.bench_function(BenchmarkId::new(size, case(clients, unknown)), |bencher| {
                    let registers = registers.get();
                    bencher.iter(|| {
                        assert_eq!(zones::check(registers).outcome, zones::Outcome::Holds);
                    });
                });
            }
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("zones of recorded history");
    group.sampling_mode(SamplingMode::Flat);
    for mixed in [false, true] {
        let traffic = Traffic {
            mixed,
            ..Traffic::plain(1_000_000, 128, true)
        };
        let records = once(|| records(traffic));
        let name = if mixed { "1M/mixed" } else { "1M/put and get" };
        group.bench_function(name, |bencher| {
            let records = records.get();
            bencher.iter(|| assert!(cross_check(records, &[]).violations.is_empty()));
        });
    }
    group.finish();
}

/// The plain search, on what it finishes within a million configurations.
fn plain_search(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plain search");
    group.sampling_mode(SamplingMode::Flat);
    for (operations, clients, size) in [(1_000, 8, "1k"), (10_000, 8, "10k")] {
        let history =
            once(|| plain::with_revisions(&records(Traffic::plain(operations, clients, false))));
        group.bench_function(BenchmarkId::new("revisions", size), |bencher| {
            let history = history.get();
            bencher.iter(|| assert_eq!(plain::search_revisions(history), Some(true)));
        });
    }
    for (operations, clients, size) in [
        (10_000, 32, "10k"),
        (100_000, 8, "100k"),
        (100_000, 32, "100k"),
    ] {
        let registers =
            once(|| plain::registers(&records(Traffic::plain(operations, clients, false))));
        let id = BenchmarkId::new(format!("keys/{size}"), case(clients, false));
        group.bench_function(id, |bencher| {
            let registers = registers.get();
            bencher.iter(|| assert_eq!(plain::search_registers(registers), Some(true)));
        });
    }
    group.finish();
}

/// Ratios of the plain search to the engines, on the largest case that it finishes.
fn ratios() {
    println!("\nplain search : engine, medians of 5, one run each in turn");
    for (operations, clients) in [(1_000, 8), (1_000, 32), (10_000, 8), (10_000, 32)] {
        let records = records(Traffic::plain(operations, clients, false));
        let history = plain::with_revisions(&records);
        let plain = || plain::search_revisions(&history).is_some();
        ratio("revision order", operations, clients, plain, || {
            holds(&records)
        });
        let dense = Dense::of(&records, &[]);
        ratio("fast path", operations, clients, plain, || {
            dense.order(&Options::default()).is_ok()
        });
    }
    for (operations, clients) in [(10_000, 32), (100_000, 8), (100_000, 32), (10_000, 128)] {
        let registers = plain::registers(&records(Traffic::plain(operations, clients, false)));
        let plain = || plain::search_registers(&registers).is_some();
        ratio("zones", operations, clients, plain, || {
            zones::check(&registers).outcome == zones::Outcome::Holds
        });
    }
}

fn ratio(
    engine: &str,
    operations: usize,
    clients: u32,
    plain: impl Fn() -> bool,
    ours: impl Fn() -> bool,
) {
    let timed = |f: &dyn Fn() -> bool| {
        let start = cpu_time::now();
        f().then(|| cpu_time::now() - start)
    };
    if timed(&plain).is_none() {
        println!("{engine}, {operations} operations, {clients} clients: the plain search gave up");
        return;
    }
    let (mut slow, mut fast): (Vec<_>, Vec<_>) = (0..5)
        .filter_map(|_| timed(&plain).zip(timed(&ours)))
        .unzip();
    slow.sort_unstable();
    fast.sort_unstable();
    let (slow, fast) = (slow[2], fast[2]);
    let times = slow.as_secs_f64() / fast.as_secs_f64();
    println!(
        "{engine}, {operations} operations, {clients} clients: {slow:?} : {fast:?} = {times:.1}"
    );
}

/// A history that is made when it is first asked for: cases that are filtered out cost nothing.
struct Once<T, F>(std::cell::OnceCell<T>, F);

fn once<T, F: Fn() -> T>(make: F) -> Once<T, F> {
    Once(std::cell::OnceCell::new(), make)
}

impl<T, F: Fn() -> T> Once<T, F> {
    fn get(&self) -> &T {
        self.0.get_or_init(&self.1)
    }
}

fn main() {
    let mut criterion = criterion::Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
        .configure_from_args();
    loaded(&mut criterion, "fast path", false);
    loaded(&mut criterion, "fast path, mixed", true);
    revision_order(&mut criterion, "revision order", false);
    revision_order(&mut criterion, "revision order, mixed", true);
    stale_read(&mut criterion);
    by_zones(&mut criterion);
    plain_search(&mut criterion);
    let measuring = std::env::args().any(|arg| arg == "--bench");
    let filtered = std::env::args().skip(1).any(|arg| !arg.starts_with("--"));
    if measuring && (!filtered || std::env::args().any(|arg| arg == "ratios")) {
        ratios();
    }
    criterion.final_summary();
}
