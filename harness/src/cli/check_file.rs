//! `gauntlet check FILE`: histories that other tools recorded.

use std::fmt::Write as _;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use checker::import::judge::{Judged, MODELS, Options, judge_bare};
use checker::import::{Format, judge, read_path};
use checker::verdict::{Exit, Verdict};

use super::usage;
use crate::console::{out, outln};
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
    let read = match plainly_holds(path, args, &options) {
        Some((judged, operations)) => Read {
            format: Format::CompactJsonl,
            operations,
            cut: None,
            judged,
        },
        None => {
            let (format, history) =
                read_path(path, args.format).map_err(|e| usage(e.to_string()))?;
            Read {
                format,
                operations: history.len(),
                cut: history.cut().map(ToString::to_string),
                judged: judge(&history, &options).map_err(|e| usage(e.to_string()))?,
            }
        }
    };
    if json {
        outln!("{}", object(path, &read)?);
    } else {
        out(format_args!("{}", text(path, &read)));
    }
    Ok(read.judged.exit())
}

/// A file that was read and judged.
struct Read {
    format: Format,
    operations: usize,
    /// Where and why it was cut short.
    cut: Option<String>,
    judged: Judged,
}

/// Files of bare puts and gets need not be kept as records where they hold.
fn plainly_holds(path: &Path, args: &Args, options: &Options) -> Option<(Judged, usize)> {
    let format = matches!(args.format, None | Some(Format::CompactJsonl));
    let model = matches!(args.model.as_deref(), None | Some("etcd"));
    if !format || !model || !path.is_file() {
        return None;
    }
    let file = std::fs::File::open(path).ok()?;
    judge_bare(BufReader::with_capacity(1 << 16, file), options).ok()?
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

fn object(path: &Path, read: &Read) -> anyhow::Result<String> {
    let judged = &read.judged;
    let object = serde_json::json!({
        "build": crate::BUILD,
        "file": path.display().to_string(),
        "format": read.format.name(),
        "model": judged.model,
        "operations": read.operations,
        "cut": read.cut,
        "verdict": judged.report.verdict,
        "exit": judged.exit().code(),
        "harness_fault": judged.fault,
        "check": judged.report,
    });
    Ok(serde_json::to_string(&object)?)
}

fn text(path: &Path, read: &Read) -> String {
    let judged = &read.judged;
    let report = &judged.report;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {}, {} operations, model {}",
        path.display(),
        read.format,
        read.operations,
        judged.model
    );
    if let Some(cut) = &read.cut {
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
