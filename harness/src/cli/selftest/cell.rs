//! The runs of one cell.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use checker::verdict::{Exit, Judgement, Verdict};
use indicatif::ProgressBar;
use scenarios::Overrides;
use serde::Serialize;

use super::marks::{Marks, Standing};
use super::matrix::Cell;
use crate::capabilities::Machine;
use crate::cli::{exit_of, planting, run as cli_run};
use crate::progress::Progress;
use crate::run::{Interrupted, RunOptions, run};
use crate::subject::Subject;
use crate::terminal;

/// What a cell came to: a row of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// The bug, or `sound`.
    pub(super) bug: &'static str,
    pub(super) scenario: String,
    /// Runs that were started.
    pub(super) runs: u64,
    /// Those that came out as expected.
    pub(super) as_expected: u64,
    /// `ok`, `missed`, `skipped` or `open`.
    pub(super) result: &'static str,
    /// Broken guarantees, and in how many runs.
    pub(super) broken: Vec<(&'static str, u64)>,
    /// Runs that were neither as expected nor the opposite, by their exit codes.
    pub(super) undecided: Vec<(u8, u64)>,
    pub(super) median_ms: u64,
    /// Directories of runs that did not come out as expected.
    pub(super) dirs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// What it adds to the exit code.
    pub(super) exit: u8,
}

/// What every cell of a self-test shares.
pub(super) struct Bench<'a> {
    pub(super) subject: &'a Subject,
    pub(super) launcher: &'a Path,
    pub(super) out: &'a Path,
    pub(super) first_seed: u64,
    /// Set when the self-test was ended from outside.
    pub(super) stop: &'a AtomicBool,
    /// Counts runs.
    pub(super) bar: &'a ProgressBar,
}

/// Runs a cell until its marks are decided.
pub(super) fn measure(bench: &Bench<'_>, cell: &Cell, marks: &Marks) -> anyhow::Result<Row> {
    let scenario = scenarios::find(&cell.scenario)?;
    let out = bench
        .out
        .join(format!("{}-{}", cell.subject(), cell.scenario));
    std::fs::create_dir_all(&out)?;
    let mut options = RunOptions {
        program: bench.subject.program.clone(),
        swaps: std::collections::BTreeMap::new(),
        launcher: bench.launcher.to_owned(),
        out: std::fs::canonicalize(&out)?,
        keep_data: false,
        first_port: None,
    };
    let runtime = crate::cli::runtime()?;
    let mut machine = Machine::default();
    let mut tally = Counted::default();
    while marks.standing(tally.runs, tally.as_expected) == Standing::Open {
        if bench.stop.load(Ordering::SeqCst) {
            return Ok(tally.row(
                cell,
                "open",
                Some("ended from outside".into()),
                Exit::Inconclusive,
            ));
        }
        let seed = bench.first_seed.wrapping_add(tally.runs);
        let mut plan = scenarios::plan(&scenario, seed, &Overrides::default())?;
        plan.store = bench.subject.pin.clone();
        options.swaps = cli_run::pin_swaps(&mut plan)?;
        if let Some(bug) = cell.bug {
            plan.planted = Some(planting::of_embedded(bug));
        }
        let mut missing: Vec<_> = cli_run::bindings(&plan).err().into_iter().collect();
        missing.extend(machine.missing(&plan, &options.launcher));
        if !missing.is_empty() {
            return Ok(tally.row(cell, "skipped", Some(missing.join("; ")), Exit::NothingRan));
        }
        match runtime.block_on(run(&plan, &options, &Progress::new("", true))) {
            Ok(summary) => {
                let as_expected = tally.count(cell, &summary.judgement);
                let millis = u64::try_from(summary.time_to_verdict.as_millis());
                tally.times.push(millis.unwrap_or(u64::MAX));
                if as_expected {
                    std::fs::remove_dir_all(&summary.dir)?;
                } else {
                    tally.dirs.push(summary.dir.display().to_string());
                }
            }
            Err(error) if error.chain().any(|cause| cause.is::<Interrupted>()) => {
                bench.stop.store(true, Ordering::SeqCst);
            }
            Err(error) => tally.fail(exit_of(&error), format!("seed {seed}: {error:#}")),
        }
        bench.bar.inc(1);
    }
    let met = marks.standing(tally.runs, tally.as_expected) == Standing::Met;
    let exit = match (met, cell.bug) {
        (true, _) => Exit::Holds,
        (false, Some(_)) => Exit::Violated,
        // A sound store that was not shown to hold was not shown to break anything either.
        (false, None) => tally.worst.unwrap_or(Exit::Violated),
    };
    let why = tally.why.take();
    Ok(tally.row(cell, if met { "ok" } else { "missed" }, why, exit))
}

/// The runs of a cell so far.
#[derive(Default)]
struct Counted {
    runs: u64,
    as_expected: u64,
    broken: Vec<(&'static str, u64)>,
    undecided: Vec<(u8, u64)>,
    /// The strongest exit code of a run that was not as expected.
    worst: Option<Exit>,
    times: Vec<u64>,
    dirs: Vec<String>,
    why: Option<String>,
}

impl Counted {
    /// Counts a run that was judged; whether it came out as expected.
    fn count(&mut self, cell: &Cell, judgement: &Judgement) -> bool {
        self.runs += 1;
        let mut caught = false;
        for check in &judgement.checks {
            if check.verdict == Verdict::Violated {
                let name = check.guarantee.name();
                add(&mut self.broken, name);
                caught |= cell.guarantees.iter().any(|one| one == name);
            }
        }
        let as_expected = match cell.bug {
            Some(_) => caught,
            None => judgement.verdict == Verdict::Holds,
        };
        self.as_expected += u64::from(as_expected);
        if !as_expected {
            let exit = terminal::exit(judgement);
            self.worst = Some(self.worst.map_or(exit, |worst| worst.merge(exit)));
            if !matches!(exit, Exit::Holds | Exit::Violated) {
                add(&mut self.undecided, exit.code());
            }
        }
        as_expected
    }

    /// Counts a run in which the harness failed.
    fn fail(&mut self, exit: Exit, why: String) {
        self.runs += 1;
        self.worst = Some(self.worst.map_or(exit, |worst| worst.merge(exit)));
        add(&mut self.undecided, exit.code());
        self.why = Some(why);
    }

    fn row(mut self, cell: &Cell, result: &'static str, why: Option<String>, exit: Exit) -> Row {
        self.times.sort_unstable();
        Row {
            bug: cell.subject(),
            scenario: cell.scenario.clone(),
            runs: self.runs,
            as_expected: self.as_expected,
            result,
            broken: self.broken,
            undecided: self.undecided,
            median_ms: self.times.get(self.times.len() / 2).copied().unwrap_or(0),
            dirs: self.dirs,
            why,
            exit: exit.code(),
        }
    }
}

fn add<T: PartialEq>(counts: &mut Vec<(T, u64)>, what: T) {
    match counts.iter_mut().find(|(known, _)| *known == what) {
        Some((_, count)) => *count += 1,
        None => counts.push((what, 1)),
    }
}
