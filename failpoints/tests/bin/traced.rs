//! What the tests trace: does as told on standard input, a line an order and a
//! line an answer. Also a tracer, and a harness of its own.

#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use failpoints::process::launcher_main;
use failpoints::trace::{Act, Arm, Point, Tracer, let_anyone_trace, tracer_main};

fn main() -> ExitCode {
    launcher_main();
    tracer_main();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, pid, address] = &args[..]
        && mode == "harness"
    {
        return harness(pid.parse().unwrap(), address.parse().unwrap());
    }
    let_anyone_trace();
    if let [mode, stop] = &args[..]
        && mode == "run"
    {
        return run(Path::new(stop));
    }
    addresses();
    let subject = Subject::default();
    for line in io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        println!("{}", subject.obey(&words));
    }
    ExitCode::SUCCESS
}

/// Passes `point` and `busy` in a thread each until a file appears, then ends
/// with code 7.
fn run(stop: &Path) -> ExitCode {
    addresses();
    for pass in [point, busy] {
        thread::spawn(move || {
            loop {
                pass(1);
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
    while !stop.exists() {
        thread::sleep(Duration::from_millis(1));
    }
    ExitCode::from(7)
}

/// Says where the points are: `name=address …`.
fn addresses() {
    let points: [(&str, usize); 7] = [
        ("point", point as fn(u64) -> u64 as usize),
        ("outer", outer as fn(u64) -> u64 as usize),
        ("middle", middle as fn(u64) -> u64 as usize),
        ("value", value as fn() -> u64 as usize),
        ("busy", busy as fn(u64) -> u64 as usize),
        ("spare", spare as fn(u64) -> u64 as usize),
        ("more", more as fn(u64) -> u64 as usize),
    ];
    let said: Vec<String> = points.map(|(name, at)| format!("{name}={at}")).into();
    println!("{}", said.join(" "));
}

#[inline(never)]
fn point(x: u64) -> u64 {
    black_box(x.wrapping_mul(3))
}

#[inline(never)]
fn spare(x: u64) -> u64 {
    black_box(x.wrapping_mul(5))
}

#[inline(never)]
fn more(x: u64) -> u64 {
    black_box(x.wrapping_mul(7))
}

#[inline(never)]
fn outer(x: u64) -> u64 {
    black_box(middle(black_box(x + 1)) + 1)
}

#[inline(never)]
fn middle(x: u64) -> u64 {
    black_box(point(black_box(x + 2)) + 2)
}

#[inline(never)]
fn value() -> u64 {
    black_box(7)
}

#[inline(never)]
fn busy(x: u64) -> u64 {
    black_box(x.wrapping_add(11))
}

#[derive(Default)]
struct Subject {
    ticks: Arc<AtomicU64>,
    passed: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
    wrong: Arc<AtomicU64>,
    signals: Arc<AtomicU64>,
}

impl Subject {
    fn obey(&self, words: &[&str]) -> String {
        let number = |text: &str| text.parse::<u64>().unwrap();
        match *words {
            // Threads that make progress and touch no point.
            ["tick", threads] => {
                for _ in 0..number(threads) {
                    let ticks = Arc::clone(&self.ticks);
                    thread::spawn(move || {
                        loop {
                            ticks.fetch_add(1, Ordering::Relaxed);
                            thread::sleep(Duration::from_micros(200));
                        }
                    });
                }
                "ok".into()
            }
            ["ticks"] => self.ticks.load(Ordering::Relaxed).to_string(),
            // A thread that passes `point` once, with a file before and after.
            ["once", dir] => {
                let (dir, passed) = (Path::new(dir).to_owned(), Arc::clone(&self.passed));
                thread::spawn(move || {
                    fs::write(dir.join("before"), "").unwrap();
                    point(1);
                    fs::write(dir.join("after"), "").unwrap();
                    passed.fetch_add(1, Ordering::Relaxed);
                });
                "ok".into()
            }
            ["passed"] => self.passed.load(Ordering::Relaxed).to_string(),
            // This thread passes it, directly or by way of others.
            ["call", times] => (0..number(times)).map(point).sum::<u64>().to_string(),
            ["spare", x] => spare(number(x)).to_string(),
            ["more", x] => more(number(x)).to_string(),
            ["outer", x] => outer(number(x)).to_string(),
            ["middle", x] => middle(number(x)).to_string(),
            ["value"] => value().to_string(),
            // Threads that call `busy` without end, and check its answers.
            ["busy", threads] => {
                for _ in 0..number(threads) {
                    let (calls, wrong) = (Arc::clone(&self.calls), Arc::clone(&self.wrong));
                    thread::spawn(move || {
                        for x in 0_u64.. {
                            if busy(x) != x + 11 {
                                wrong.fetch_add(1, Ordering::Relaxed);
                            }
                            calls.fetch_add(1, Ordering::Relaxed);
                            if x % 64 == 0 {
                                thread::sleep(Duration::from_micros(50));
                            }
                        }
                    });
                }
                "ok".into()
            }
            ["calls"] => self.calls.load(Ordering::Relaxed).to_string(),
            ["wrong"] => self.wrong.load(Ordering::Relaxed).to_string(),
            // New threads, each through `point` once.
            ["threads", count] => {
                let started = (0..number(count)).map(|x| thread::spawn(move || point(x)));
                let started: Vec<_> = started.collect();
                let sum: u64 = started.into_iter().map(|one| one.join().unwrap()).sum();
                sum.to_string()
            }
            // Threads that come and go without end.
            ["churn"] => {
                thread::spawn(|| {
                    loop {
                        let _ = thread::spawn(|| busy(1)).join();
                    }
                });
                "ok".into()
            }
            // Counts the SIGUSR1 it is sent.
            ["listen"] => self.listen(),
            ["signals"] => self.signals.load(Ordering::Relaxed).to_string(),
            ["write", path, bytes] => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                said(file.and_then(|mut file| file.write(&vec![b'x'; number(bytes) as usize])))
            }
            ["sync", path] => said(File::open(path).and_then(|file| file.sync_data())),
            ["writeall", path, bytes] => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                said(file.and_then(|mut file| file.write_all(&vec![b'x'; number(bytes) as usize])))
            }
            ["writer", path] => {
                let (path, passed) = (path.to_owned(), Arc::clone(&self.passed));
                thread::spawn(move || {
                    fs::write(path, "written").unwrap();
                    passed.fetch_add(1, Ordering::Relaxed);
                });
                "ok".into()
            }
            ["rename", from, to] => said(fs::rename(from, to)),
            ["connect", address] => said(std::net::TcpStream::connect(address).map(drop)),
            ["exec"] => {
                let own = std::env::current_exe().unwrap();
                panic!("{}", Command::new(own).exec());
            }
            ["exit", code] => std::process::exit(code.parse().unwrap()),
            _ => format!("unknown order {words:?}"),
        }
    }

    fn listen(&self) -> String {
        let signals = Arc::clone(&self.signals);
        let (ready, readied) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let kind = tokio::signal::unix::SignalKind::user_defined1();
                let mut all = tokio::signal::unix::signal(kind).unwrap();
                ready.send(()).unwrap();
                while all.recv().await.is_some() {
                    signals.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        readied.recv().unwrap();
        "ok".into()
    }
}

fn said<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("errno {}", error.raw_os_error().unwrap_or(0)),
    }
}

/// A harness that holds a thread of another process at a point, says so, and
/// waits to be killed.
fn harness(pid: i32, address: u64) -> ExitCode {
    let own = std::env::current_exe().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _tracer = runtime.block_on(async {
        let tracer = Tracer::start(&own, pid).await.unwrap();
        let point = Point::Code {
            addresses: vec![address],
            entry: true,
        };
        let limit = Duration::from_secs(1000);
        tracer
            .arm(Arm::new("hold", point, Act::Hold { limit }))
            .await
            .unwrap();
        tracer
    });
    println!("armed");
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}
