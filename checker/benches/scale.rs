//! From file to verdict, up to four million operations: time to load, time to check, peak memory,
//! and how time grows with size. `cargo bench -p gauntlet-checker --bench scale`; `-- FILE…` does
//! the same for recorded `history.jsonl` files.
//!
//! Each case runs in processes of its own, one that writes the file and then one for each of
//! three rounds that load and check it: what one leaves behind does not count for the next. Times
//! are the thread's processor time, the smallest of three rounds; memory is the highest that the
//! process ever held (`VmHWM`).

#[path = "support/cpu_time.rs"]
#[allow(dead_code, reason = "criterion's measurement is not used here")]
mod cpu_time;
#[path = "../tests/linearizable/history.rs"]
#[expect(dead_code, unused_imports, reason = "shared with tests")]
mod history;
#[path = "../tests/linearizable/simulate.rs"]
#[expect(dead_code, reason = "shared with tests")]
mod simulate;
#[path = "support/traffic.rs"]
#[expect(dead_code, reason = "shared with another bench")]
mod traffic;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use checker::history::*;
use checker::import::bare;
use checker::linearizable::{Dense, Options};
use traffic::{Traffic, records};

const ROUNDS: usize = 3;

const SIZES: [usize; 8] = [
    1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 2_000_000, 4_000_000,
];

/// What one process measured.
struct Measured {
    operations: u64,
    load: f64,
    check: f64,
    peak_mib: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = args.iter().map(String::as_str).collect();
    match given[..] {
        ["write", path, operations, kind] => {
            write(path, operations.parse().expect("a number"), kind)
        }
        ["measure", path] => measure(Path::new(path)),
        _ => {
            let files: Vec<&str> = given
                .into_iter()
                .filter(|arg| !arg.starts_with("--"))
                .collect();
            if files.is_empty() {
                sizes("puts and gets, 128 clients, 1 % unknown", "bare");
                sizes("the mix, 128 clients, 1 % unknown", "mix");
            } else {
                recorded(&files);
            }
        }
    }
}

fn sizes(title: &str, kind: &str) {
    let dir = std::env::temp_dir().join(format!("gauntlet-scale-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    println!("\n{title}\n");
    println!("| operations | bytes an operation | load | MB/s | check | µs an operation | peak |");
    println!("|---|---|---|---|---|---|---|");
    let mut points = Vec::new();
    for operations in SIZES {
        let path = dir.join("history.jsonl");
        let status = ourselves(&["write", text(&path), &operations.to_string(), kind]).status();
        assert!(status.expect("started").success(), "{operations} {kind}");
        let best = row(&path, operations as u64);
        points.push(((operations as f64).ln(), best.check.ln()));
    }
    let _ = std::fs::remove_dir_all(&dir);
    println!("\ntime of the check ~ operations^{:.2}", slope(&points));
}

fn recorded(files: &[&str]) {
    println!("| operations | bytes an operation | load | MB/s | check | µs an operation | peak |");
    println!("|---|---|---|---|---|---|---|");
    for file in files {
        let path = std::fs::canonicalize(file).expect("a file");
        row(&path, 0);
    }
}

fn row(path: &Path, operations: u64) -> Measured {
    let rounds = (0..ROUNDS).map(|_| in_a_process(path));
    let best = rounds
        .min_by(|a, b| (a.load + a.check).total_cmp(&(b.load + b.check)))
        .expect("some rounds");
    let operations = operations.max(best.operations) as f64;
    let bytes = std::fs::metadata(path).expect("a file").len() as f64;
    println!(
        "| {operations} | {:.0} | {:.1} ms | {:.0} | {:.2} ms | {:.3} | {:.0} MiB |",
        bytes / operations,
        best.load * 1e3,
        bytes / best.load / 1e6,
        best.check * 1e3,
        best.check * 1e6 / operations,
        best.peak_mib
    );
    best
}

fn in_a_process(path: &Path) -> Measured {
    let output = ourselves(&["measure", text(path)])
        .output()
        .expect("started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [operations, load, check, peak_mib] = figures[..] else {
        panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    Measured {
        operations: operations as u64,
        load,
        check,
        peak_mib,
    }
}

fn ourselves(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.args(args);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The slope of the line through points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let both: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let square: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    both / square
}

fn measure(path: &Path) {
    let start = cpu_time::now();
    let input = || BufReader::with_capacity(1 << 16, File::open(path).expect("a file"));
    let dense = match Reader::<_, Record>::new(input()) {
        Err(_) => bare(input()).expect("read").expect("puts and gets"),
        Ok(reader) => {
            let mut dense = Dense::new();
            for record in reader {
                dense.record(record.expect("a record"));
            }
            dense.end();
            dense
        }
    };
    let loaded = cpu_time::now();
    let ordered = dense.order(&Options::default());
    let checked = cpu_time::now();
    if let Err(why) = &ordered {
        eprintln!("the fast path found no order: {why}");
        return;
    }
    println!(
        "{} {} {} {}",
        dense.operations(),
        (loaded - start).as_secs_f64(),
        (checked - loaded).as_secs_f64(),
        peak_mib()
    );
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<f64>().ok()).expect("VmHWM") / 1024.0
}

fn write(path: &str, operations: usize, kind: &str) {
    let plain = Traffic::plain(operations, 128, true);
    let mixed = kind == "mix";
    let records = records(Traffic { mixed, ..plain });
    let mut out = BufWriter::new(File::create(PathBuf::from(path)).expect("created"));
    if mixed {
        let head = Record::Header(Header {
            stream: Stream::History,
            major: SCHEMA_MAJOR,
            minor: SCHEMA_MINOR,
            build: "bench".to_owned(),
            clock: ClockPair {
                at: 0,
                wall_unix_ns: 0,
            },
        });
        for record in std::iter::once(&head).chain(&records) {
            serde_json::to_writer(&mut out, record).expect("written");
            out.write_all(b"\n").expect("written");
        }
    } else {
        write_bare(&records, &mut out);
    }
    out.flush().expect("written");
}

/// One line an operation, in the order of calls.
fn write_bare(records: &[Record], out: &mut impl std::io::Write) {
    let mut returns = std::collections::HashMap::new();
    for record in records {
        if let Record::Return(r) = record {
            returns.insert(r.id, r);
        }
    }
    for record in records {
        let Record::Invoke(invoke) = record else {
            continue;
        };
        let (op, key, mut value) = match &invoke.request {
            Request::Put(put) => ("put", &put.key, put.value.to_string()),
            Request::Range(range) => ("get", &range.key, String::new()),
            other => panic!("{other:?}"),
        };
        let (mut ret, mut rev, mut modified) = (None, None, None);
        if let Some(r) = returns.get(&invoke.id) {
            let response = r.outcome.response().expect("an answer");
            ret = Some(r.at);
            rev = response.header().map(|header| header.revision);
            if let Response::Range(range) = response
                && let Some(kv) = range.kvs.first()
            {
                value = kv.value.to_string();
                modified = Some(kv.mod_revision);
            }
        }
        let number = |number: Option<i64>| number.map_or("null".to_owned(), |n| n.to_string());
        let value = value.strip_prefix('v').unwrap_or("null");
        writeln!(
            out,
            r#"{{"c":{},"call":{},"ret":{},"op":"{op}","k":"{key}","v":{value},"mod":{},"rev":{}}}"#,
            invoke.client,
            invoke.at,
            ret.map_or("null".to_owned(), |ret| ret.to_string()),
            number(modified),
            number(rev),
        )
        .expect("written");
    }
}
