//! `gauntlet check FILE`: histories that other tools recorded.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use checker::import::judge::{Judged, MODELS, Options};
use checker::import::{Format, History, judge, read_path};
use checker::verdict::{Exit, Verdict};

use super::usage;
use crate::terminal::verdict_name;

/// How to read and judge a file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file's format; told by content if not given.
    #[arg(long)]
    format: Option<Format>,
    /// What the history is of; its operations tell if not given.
    #[arg(long, value_parser = MODELS)]
    model: Option<String>,
    /// Configurations that the search may create for each independent object (for etcd: steps).
    #[arg(long, value_name = "N")]
    budget_configurations: Option<u64>,
    /// Bytes that the search may hold besides the history [default: 1 GiB].
    #[arg(long, value_name = "BYTES")]
    budget_bytes: Option<usize>,
    /// Independent objects judged at a time [default: the processors there are].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// End the search after this time, for example 90s; what is undecided then is inconclusive.
    #[arg(long, value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Vouch that an etcd history lacks no request, from the empty store on.
    #[arg(long)]
    whole: bool,
}

impl Args {
    /// One of the flags that were given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.format.is_some(), "--format"),
            (self.model.is_some(), "--model"),
            (
                self.budget_configurations.is_some(),
                "--budget-configurations",
            ),
            (self.budget_bytes.is_some(), "--budget-bytes"),
            (self.threads.is_some(), "--threads"),
            (self.timeout.is_some(), "--timeout"),
            (self.whole, "--whole"),
        ];
        flags.into_iter().find(|(given, _)| *given).map(|f| f.1)
    }
}

/// Reads, judges and prints.
pub(super) fn check(path: &Path, args: &Args, json: bool) -> anyhow::Result<Exit> {
    let (format, history) = read_path(path, args.format).map_err(|e| usage(e.to_string()))?;
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_ctrl_c(stop.clone())?;
    if let Some(timeout) = args.timeout {
        stop.store(timeout.is_zero(), Ordering::Relaxed);
        let stop = stop.clone();
        std::thread::spawn(move || {
            std::thread::sleep(timeout);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let defaults = Options::default();
    let options = Options {
        model: args.model.as_deref(),
        configurations_max: args.budget_configurations,
        bytes_max: args.budget_bytes.unwrap_or(defaults.bytes_max),
        threads: args.threads.unwrap_or_else(processors).max(1),
        is_whole: args.whole,
        stop: Some(&stop),
    };
    let judged = judge(&history, &options).map_err(|e| usage(e.to_string()))?;
    if json {
        println!("{}", object(path, format, &history, &judged)?);
    } else {
        print!("{}", text(path, format, &history, &judged));
    }
    Ok(judged.exit())
}

/// The first Ctrl-C ends the search, the second the process.
fn stop_on_ctrl_c(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if stop.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(Exit::Inconclusive.code()));
                }
            }
        });
    });
    Ok(())
}

fn object(
    path: &Path,
    format: Format,
    history: &History,
    judged: &Judged,
) -> anyhow::Result<String> {
    let object = serde_json::json!({
        "build": crate::BUILD,
        "file": path.display().to_string(),
        "format": format.name(),
        "model": judged.model,
        "operations": history.len(),
        "cut": history.cut().map(ToString::to_string),
        "verdict": judged.report.verdict,
        "exit": judged.exit().code(),
        "harness_fault": judged.fault,
        "check": judged.report,
    });
    Ok(serde_json::to_string(&object)?)
}

fn text(path: &Path, format: Format, history: &History, judged: &Judged) -> String {
    let report = &judged.report;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {format}, {} operations, model {}",
        path.display(),
        history.len(),
        judged.model
    );
    if let Some(cut) = history.cut() {
        let _ = writeln!(text, "  cut short: {cut}");
    }
    let _ = writeln!(
        text,
        "  {:<13} {:<22} {}",
        verdict_name(report.verdict),
        report.guarantee.name(),
        report.summary
    );
    let tells = matches!(report.verdict, Verdict::Violated | Verdict::Inconclusive);
    if let (true, Some(finding)) = (tells, report.findings.first()) {
        for line in &finding.explanation {
            let _ = writeln!(text, "                  {line}");
        }
        let more = report.findings.len() as u64 - 1 + report.findings_omitted;
        if more > 0 {
            let _ = writeln!(text, "                and {more} more, with --json");
        }
    }
    if judged.fault.is_some() {
        let _ = writeln!(text, "harness fault: two engines disagree");
    }
    let _ = writeln!(text, "verdict: {}", verdict_name(report.verdict));
    text
}
