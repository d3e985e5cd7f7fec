//! What a run shows while it runs: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::traffic::Counters;

/// The progress of one run, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    start: Instant,
    counters: Arc<Counters>,
    steps: std::sync::atomic::AtomicU64,
}

impl Progress {
    /// Progress under this label; `quiet` shows nothing.
    #[must_use]
    pub fn new(label: &str, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self {
            bar,
            quiet,
            start: Instant::now(),
            counters: Arc::default(),
            steps: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// The clients' counters.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// A phase begins.
    pub fn phase(&self, name: &str) {
        self.show(name);
    }

    /// The nemesis begins a step.
    pub fn step(&self, name: &str) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.show(&format!("traffic: {name}"));
    }

    fn show(&self, what: &str) {
        if self.quiet {
            return;
        }
        let ok = self.counters.ok.load(Ordering::Relaxed);
        let errors = self.counters.errors.load(Ordering::Relaxed);
        let steps = self.steps.load(Ordering::Relaxed);
        let line = format!("{what} · {ok} ops · {errors} errors · {steps} fault steps");
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => eprintln!("  {:6.2} s  {line}", self.start.elapsed().as_secs_f64()),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
