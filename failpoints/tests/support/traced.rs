//! The traced subject, as the tests drive it.

// Each test program uses its part.
#![allow(dead_code)]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use failpoints::trace::{Act, Arm, Event, Options, Point, Tracer};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

pub(crate) const TRACED: &str = env!("CARGO_BIN_EXE_failpoints-traced");
/// For what takes milliseconds, on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Subject {
    pub(crate) child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    addresses: HashMap<String, u64>,
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Subject {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(TRACED)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut subject = Self {
            child,
            orders,
            answers,
            addresses: HashMap::new(),
        };
        subject.learn_addresses();
        subject
    }

    pub(crate) fn learn_addresses(&mut self) {
        self.addresses = addresses(&self.hear());
    }

    pub(crate) fn say(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// For one that may be dead by now.
    pub(crate) fn try_say(&mut self, order: &str) {
        let _ = writeln!(self.orders, "{order}");
    }

    pub(crate) fn hear(&mut self) -> String {
        self.answers.next().unwrap().unwrap()
    }

    pub(crate) fn ask(&mut self, order: &str) -> String {
        self.say(order);
        self.hear()
    }

    pub(crate) fn number(&mut self, order: &str) -> u64 {
        self.ask(order).parse().unwrap()
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn address(&self, name: &str) -> u64 {
        self.addresses[name]
    }

    pub(crate) fn entry(&self, name: &str) -> Point {
        Point::Code {
            addresses: vec![self.addresses[name]],
            entry: true,
        }
    }

    pub(crate) fn arm(&self, name: &str, act: Act) -> Arm {
        Arm::new(name, self.entry(name), act)
    }

    pub(crate) async fn tracer(&self) -> Tracer {
        Tracer::start(Path::new(TRACED), self.pid()).await.unwrap()
    }

    pub(crate) async fn tracer_with(&self, software: bool) -> Tracer {
        let options = Options { software };
        Tracer::start_with(Path::new(TRACED), self.pid(), options)
            .await
            .unwrap()
    }

    /// State and tracer of each thread.
    pub(crate) fn threads(&self) -> Vec<(char, i32)> {
        threads(self.pid())
    }

    /// Nobody traces it and nothing keeps it stopped.
    pub(crate) fn assert_untouched(&self) {
        for (state, tracer) in self.threads() {
            assert_eq!(tracer, 0);
            assert!(!"tT".contains(state), "{state}");
        }
    }

    /// Waits until that is so.
    pub(crate) async fn until_untouched(&self) {
        until("nothing of a tracer is left", || {
            self.threads()
                .iter()
                .all(|(state, tracer)| *tracer == 0 && !"tT".contains(*state))
        })
        .await;
    }
}

/// What the subject says of itself: `name=address …`.
pub(crate) fn addresses(line: &str) -> HashMap<String, u64> {
    let pairs = line
        .trim()
        .split(' ')
        .map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(name, at)| (name.into(), at.parse().unwrap()))
        .collect()
}

pub(crate) fn threads(pid: i32) -> Vec<(char, i32)> {
    let Ok(listed) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let status = listed
        .flatten()
        .filter_map(|t| fs::read_to_string(t.path().join("status")).ok());
    let field = |status: &str, name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().to_owned()
    };
    status
        .map(|s| {
            let state = field(&s, "State:").chars().next().unwrap();
            (state, field(&s, "TracerPid:").parse().unwrap())
        })
        .collect()
}

/// The process that traces this one; 0 if none does.
pub(crate) fn tracer_of(pid: i32) -> i32 {
    threads(pid)
        .iter()
        .map(|(_, tracer)| *tracer)
        .max()
        .unwrap_or(0)
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The next event; some may have been missed in between.
pub(crate) async fn next(events: &mut Receiver<Event>) -> Event {
    loop {
        match timeout(PATIENCE, events.recv()).await.expect("an event") {
            Err(RecvError::Lagged(_)) => {}
            event => break event.unwrap(),
        }
    }
}

/// The number of the next hit, and whether it was acted on.
pub(crate) async fn next_hit(events: &mut Receiver<Event>) -> (u64, bool) {
    loop {
        if let Event::Hit { number, acted, .. } = next(events).await {
            return (number, acted);
        }
    }
}
