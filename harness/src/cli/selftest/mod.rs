//! `gauntlet selftest`: does gauntlet catch what is known to be there, and nothing else?

mod cell;
mod marks;
mod matrix;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError, mpsc};

use anyhow::Context as _;
use checker::verdict::Exit;
use indicatif::{ProgressBar, ProgressStyle};
use store::bugs::Bug;

use super::usage;
use crate::console::outln;
use crate::progress::spinner;
use crate::run_dir::write_whole;
use crate::subject::{self, EMBEDDED};
use cell::{Bench, Row, measure};
use marks::Marks;
use matrix::{Cell, Selection, cells};

pub(super) const EXAMPLES: &str = "\
Examples:
  gauntlet selftest --quick
  gauntlet selftest --bug 14685 --bug prev-kv
  gauntlet selftest --healthy-only --seeds 100
  gauntlet selftest --scenario steady --jobs 2

Each bug of the embedded store is switched on in each scenario that says it catches it: 19 of 20 runs
must break one of the guarantees that the scenario names, or, where that is missed, 54 of 60. Then
every scenario must hold on the store without any bug, in each of 50 runs.

Exit code 0: all of that is so. 1: a bug was not caught, or a sound run broke a promise. Else what
kept it from being decided.";

/// Runs of each bug in each scenario, and of each scenario on the sound store.
const SEEDS: (u64, u64) = (20, 50);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One scenario for each bug, one or two runs of it, and one run of each scenario without bugs.
    #[arg(long, conflicts_with = "seeds")]
    quick: bool,
    /// How many runs of each bug in each scenario, and of each scenario without bugs
    /// [default: 20 and 50].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: Option<u64>,
    /// The first run's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these bugs, and no runs without one.
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with = "healthy_only")]
    bug: Vec<Bug>,
    /// Only these scenarios.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    scenario: Vec<String>,
    /// Only runs without a bug.
    #[arg(long)]
    healthy_only: bool,
    /// How many runs at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Where selftest.json goes, and the directories of runs that did not come out as expected.
    #[arg(long, default_value = "runs")]
    out: PathBuf,
    /// Print one JSON object a row on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    for name in &args.scenario {
        if !scenarios::library().iter().any(|one| one.name == *name) {
            let known: Vec<_> = scenarios::library()
                .iter()
                .map(|s| s.name.as_str())
                .collect();
            let known = known.join(", ");
            return Err(usage(format!("--scenario {name}: allowed: {known}")));
        }
    }
    let selection = Selection {
        bugs: &args.bug,
        scenarios: &args.scenario,
        sound_only: args.healthy_only,
        quick: args.quick,
    };
    let (cells, unnamed) = cells(scenarios::library(), &selection);
    let out = args.out.join("selftest");
    std::fs::create_dir_all(&out)
        .map_err(|error| usage(format!("--out {}: {error}", args.out.display())))?;

    let mut rows: Vec<Row> = unnamed.into_iter().map(unnamed_row).collect();
    if !args.json {
        outln!("{}", heading());
    }
    for row in &rows {
        show(row, args.json)?;
    }
    rows.extend(work(args, cells, &out)?);
    let exit = rows.iter().fold(None, |all: Option<Exit>, row| {
        let one = exit_with(row.exit);
        Some(all.map_or(one, |all| all.merge(one)))
    });
    let exit = exit.unwrap_or(Exit::NothingRan);
    let told = serde_json::json!({
        "build": crate::BUILD,
        "quick": args.quick,
        "first_seed": args.seed.to_string(),
        "rows": rows,
        "exit": exit.code(),
    });
    let path = args.out.join("selftest.json");
    write_whole(&path, &serde_json::to_vec_pretty(&told)?)?;
    if !args.json {
        let wrong = rows.iter().filter(|row| row.result != "ok").count();
        outln!(
            "{} of {} as expected; {}",
            rows.len() - wrong,
            rows.len(),
            path.display()
        );
    }
    Ok(exit)
}

/// Measures the cells, some at a time, and shows each row when it is there.
fn work(args: &Args, cells: Vec<Cell>, out: &std::path::Path) -> anyhow::Result<Vec<Row>> {
    let subject = subject::resolve(EMBEDDED, &[], &mut |_| {})?;
    let launcher = std::env::current_exe().context("where is this executable?")?;
    let stop = AtomicBool::new(false);
    let bar = bar(cells.len());
    let bench = Bench {
        subject: &subject,
        launcher: &launcher,
        out,
        first_seed: args.seed,
        stop: &stop,
        bar: &bar,
    };
    let queue = Mutex::new(VecDeque::from(cells));
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            let (tell, queue, bench) = (tell.clone(), &queue, &bench);
            scope.spawn(move || {
                loop {
                    let next = queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front();
                    let Some(cell) = next else { return };
                    let row = measure(bench, &cell, &marks(args, &cell));
                    if tell.send(row).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        let mut rows = Vec::new();
        for row in told {
            let row = row?;
            bar.suspend(|| show(&row, args.json))?;
            rows.push(row);
            bar.set_message(rows.len().to_string());
        }
        bar.finish_and_clear();
        Ok(rows)
    })
}

/// What is shown on a terminal until the next row is there.
fn bar(rows: usize) -> ProgressBar {
    let template = format!("{{spinner}} {{elapsed}} {{pos}} runs · {{msg}} of {rows} rows");
    spinner(ProgressStyle::with_template(&template)).with_message("0")
}

fn marks(args: &Args, cell: &Cell) -> Marks {
    let seeds = args.seeds;
    match (cell.bug, args.quick) {
        (Some(_), true) => Marks::quick(),
        (Some(_), false) => Marks::of(seeds.unwrap_or(SEEDS.0)),
        (None, true) => Marks::all(1),
        (None, false) => Marks::all(seeds.unwrap_or(SEEDS.1)),
    }
}

/// A bug that nothing is there to catch.
fn unnamed_row(bug: Bug) -> Row {
    Row {
        bug: bug.id(),
        scenario: String::new(),
        runs: 0,
        as_expected: 0,
        result: "missed",
        broken: Vec::new(),
        undecided: Vec::new(),
        median_ms: 0,
        dirs: Vec::new(),
        why: Some("no scenario names it".into()),
        exit: Exit::Violated.code(),
    }
}

fn exit_with(code: u8) -> Exit {
    [
        Exit::Holds,
        Exit::Violated,
        Exit::Inconclusive,
        Exit::Liveness,
        Exit::NothingRan,
        Exit::Usage,
    ]
    .into_iter()
    .find(|exit| exit.code() == code)
    .unwrap_or(Exit::HarnessFault)
}

fn heading() -> String {
    format!(
        "{:<14} {:<24} {:>8}  {:<7} {:>7}  broken",
        "bug", "scenario", "as said", "", "median"
    )
}

fn show(row: &Row, json: bool) -> anyhow::Result<()> {
    if json {
        outln!("{}", serde_json::to_string(row)?);
        return Ok(());
    }
    let broken: Vec<_> = row
        .broken
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    outln!(
        "{:<14} {:<24} {:>8}  {:<7} {:>5.1} s  {}",
        row.bug,
        row.scenario,
        format!("{}/{}", row.as_expected, row.runs),
        row.result,
        row.median_ms as f64 / 1000.0,
        broken.join(", ")
    );
    for (code, count) in &row.undecided {
        outln!("    {count} with exit code {code}");
    }
    for line in row.why.iter().chain(&row.dirs) {
        outln!("    {line}");
    }
    Ok(())
}
