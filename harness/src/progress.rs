//! What a run shows while it runs: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indicatif::style::TemplateError;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::console::errln;
use crate::traffic::Counters;

/// The progress of one run, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    start: Instant,
    live: Arc<Live>,
}

/// The figures shown: answered operations and their rate, errors, steps of the nemesis.
#[derive(Default)]
struct Live {
    counters: Arc<Counters>,
    steps: AtomicU64,
    traffic_since: OnceLock<Instant>,
    traffic_until: OnceLock<Instant>,
}

impl Live {
    fn figures(&self) -> String {
        let ok = self.counters.ok.load(Ordering::Relaxed);
        let errors = self.counters.errors.load(Ordering::Relaxed);
        let steps = self.steps.load(Ordering::Relaxed);
        let rate = self.traffic_since.get().map_or(0.0, |since| {
            let until = self
                .traffic_until
                .get()
                .copied()
                .unwrap_or_else(Instant::now);
            ok as f64 / (until - *since).as_secs_f64().max(0.001)
        });
        format!("{ok} ops ({rate:.0}/s) · {errors} errors · {steps} fault steps")
    }
}

impl Progress {
    /// Progress under this label; `quiet` shows nothing.
    #[must_use]
    pub fn new(label: &str, quiet: bool) -> Self {
        let live = Arc::new(Live::default());
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| bar(label, live.clone()));
        Self {
            bar,
            quiet,
            start: Instant::now(),
            live,
        }
    }

    /// The clients' counters.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.live.counters.clone()
    }

    /// A phase begins.
    pub fn phase(&self, name: &str) {
        if self.live.traffic_since.get().is_some() {
            let _ = self.live.traffic_until.set(Instant::now());
        }
        self.show(name);
    }

    /// Clients begin to run.
    pub fn traffic(&self) {
        let _ = self.live.traffic_since.set(Instant::now());
        self.show("traffic");
    }

    /// The nemesis begins a step.
    pub fn step(&self, name: &str) {
        self.live.steps.fetch_add(1, Ordering::Relaxed);
        self.show(&format!("traffic: {name}"));
    }

    fn show(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None if self.quiet => {}
            None => errln!(
                "  {:6.2} s  {what} · {}",
                self.start.elapsed().as_secs_f64(),
                self.live.figures()
            ),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &str, live: Arc<Live>) -> ProgressBar {
    let figures = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = out.write_str(&live.figures());
    };
    let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {msg} · {live}");
    spinner(style.map(|style| style.with_key("live", figures))).with_prefix(label.to_owned())
}

/// A line that is shown on standard error where that is a terminal.
pub(crate) fn spinner(style: Result<ProgressStyle, TemplateError>) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
