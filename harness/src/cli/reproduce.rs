//! `gauntlet reproduce`.

use std::path::PathBuf;

use anyhow::Context as _;
use checker::verdict::{Exit, Verdict};
use clap::Args as ClapArgs;
use scenarios::plan::Plan;

use super::{
    run::{pin_swaps, resolve},
    run_directory, runtime, usage,
};
use crate::capabilities::Machine;
use crate::console::{err, errln, outln};
use crate::judging;
use crate::progress::Progress;
use crate::run::{RunOptions, run};
use crate::subject::Subject;
use crate::terminal;

pub(super) const EXAMPLES: &str = "\
Examples:
  gauntlet reproduce runs/latest-violated
  gauntlet reproduce runs/latest-violated --attempts 20 --all

Exit code 0: an attempt came to the stored verdict, for the same guarantee. 1: none did.
Real processes are not deterministic: the plan is the same, the interleaving need not be.";

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The run directory whose plan is run again.
    dir: PathBuf,
    /// How often at most.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    attempts: u64,
    /// Make every attempt, to measure how often the verdict comes back.
    #[arg(long)]
    all: bool,
    /// Another store than the plan is pinned to.
    #[arg(long)]
    store: Option<String>,
    /// Go on although the store's binary is not the one the plan is pinned to.
    #[arg(long)]
    anyway: bool,
    /// Where run directories go.
    #[arg(long, default_value = "runs")]
    out: PathBuf,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    let dir = run_directory(&args.dir)?;
    let path = dir.join("plan.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut plan = Plan::from_toml(&path.display().to_string(), &text)?;
    let stored = match judging::read_verdict(&dir) {
        Ok(stored) => stored,
        Err(_) => judging::judge(&dir)?,
    };
    let Subject { pin, program, .. } = match &args.store {
        Some(store) => resolve(store, &[])?,
        None => resolve(&plan.store.spec, &plan.store.without)?,
    };
    if pin.sha256 != plan.store.sha256 && !args.anyway {
        return Err(usage(format!(
            "the plan is pinned to {} ({}, sha256 {}), and {} is {} (sha256 {}): give --anyway to run it all the same",
            plan.store.spec,
            plan.store.version,
            plan.store.sha256,
            pin.spec,
            pin.version,
            pin.sha256
        )));
    }
    plan.store = pin;
    let swaps = pin_swaps(&mut plan)?;
    std::fs::create_dir_all(&args.out)?;
    let options = RunOptions {
        program,
        swaps,
        launcher: std::env::current_exe().context("where is this executable?")?,
        out: std::fs::canonicalize(&args.out)?,
        keep_data: false,
        first_port: None,
    };
    let runtime = runtime()?;
    let missing = Machine::default().missing(&plan, &options.launcher);
    if !missing.is_empty() {
        errln!(
            "gauntlet: the plan cannot be run here: {}",
            missing.join("; ")
        );
        return Ok(Exit::NothingRan);
    }
    err(format_args!("{}", terminal::header(&plan)));
    let (mut made, mut hits, mut strongest) = (0, 0, Exit::Holds);
    for attempt in 1..=args.attempts {
        let progress = Progress::new(&format!("attempt {attempt}/{}", args.attempts), false);
        let result = runtime.block_on(run(&plan, &options, &progress));
        progress.finish();
        let summary = result?;
        let judgement = &summary.judgement;
        let hit = judgement.verdict == stored.verdict && judgement.guarantee == stored.guarantee;
        made += 1;
        hits += u64::from(hit);
        outln!(
            "attempt {attempt}: {}{} {}",
            terminal::verdict_name(judgement.verdict),
            judgement
                .guarantee
                .map(|g| format!(" ({g})"))
                .unwrap_or_default(),
            summary.dir.join("report.html").display()
        );
        if !matches!(judgement.verdict, Verdict::Holds | Verdict::Violated) {
            strongest = strongest.merge(terminal::exit(judgement));
        }
        if hit && !args.all {
            break;
        }
    }
    let guarantee = stored
        .guarantee
        .map(|g| format!(" ({g})"))
        .unwrap_or_default();
    let verdict = terminal::verdict_name(stored.verdict);
    outln!("{verdict}{guarantee} came back in {hits} of {made} attempts");
    if hits > 0 {
        return Ok(Exit::Holds);
    }
    Ok(if strongest == Exit::Holds {
        Exit::Violated
    } else {
        strongest
    })
}
