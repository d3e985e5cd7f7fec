//! `gauntlet run`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use checker::verdict::{Exit, Guarantee, Verdict};
use clap::Args as ClapArgs;
use scenarios::bugs::Planting;
use scenarios::plan::{Action, ExpectedVerdict, Plan};
use scenarios::{Overrides, Scenario};
use serde::Serialize;

use super::planting::plant;
use super::{runtime, usage};
use crate::capabilities::Machine;
use crate::cluster::Program;
use crate::console::{err, errln, out, outln};
use crate::progress::Progress;
use crate::run::{RunOptions, RunSummary, run};
use crate::run_dir::write_whole;
use crate::subject::{self, EMBEDDED, Feature, Subject};
use crate::terminal;

pub(super) const EXAMPLES: &str = "\
Examples:
  gauntlet run steady
  gauntlet run defrag-crash --bug 14685
  gauntlet run defrag-crash --store etcd@3.5.1
  gauntlet run defrag-crash auth-member-add --store etcd@3.5.16 --runs 20 --expect holds
  gauntlet run defrag-crash --store etcd@3.5.1 --expect violated:linearizable
  gauntlet run defrag-crash --store etcd@3.5.16 --bug 14685
  gauntlet run ./my-scenario.toml --store /usr/bin/etcd --seed 7 --json

A seed gives a plan: the same requests and faults at the same planned times. Real processes are not
deterministic, so the same plan need not give the same interleaving.";

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Scenarios by name (see `gauntlet list`), or paths of scenario files.
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// The store: embedded, etcd@VERSION (installed on first use), the path of a binary, or
    /// 'cmd:COMMAND' (see docs/stores.md).
    #[arg(long, default_value = EMBEDDED)]
    store: String,
    /// What of etcd the store lacks, for example lease,auth: left out of traffic, and scenarios that
    /// need it are skipped.
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    without: Vec<String>,
    /// The first run's seed; the next runs count up from it. Drawn and printed when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many runs of each scenario.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: u64,
    /// How long traffic runs at least, for example 5s or 1500ms.
    #[arg(long, value_parser = duration)]
    time: Option<Duration>,
    /// What must come out: holds, violated, or violated:GUARANTEE.
    #[arg(long, value_parser = expectation)]
    expect: Option<Expected>,
    /// Where run directories go.
    #[arg(long, default_value = "runs")]
    out: PathBuf,
    /// Print one JSON object a run on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// How many members: 1, 3 or 5.
    #[arg(long)]
    members: Option<u32>,
    /// A further flag for every member, for example --etcd-arg=--quota-backend-bytes=1000000.
    #[arg(long = "etcd-arg", allow_hyphen_values = true)]
    etcd_args: Vec<String>,
    /// Change a field of the plan, for example --set traffic.request_timeout_ms=500.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// TLS between clients and members and between members.
    #[arg(long)]
    tls: bool,
    /// Take members' ports from here upwards, instead of free ones.
    #[arg(long, value_name = "PORT")]
    first_port: Option<u16>,
    /// Run the store with a known bug, by its id: 14685, for example. In the embedded store it is
    /// switched on; into a release that has its fix it is put back. See `gauntlet list --bugs`.
    #[arg(long, value_name = "ID")]
    bug: Option<String>,
    /// Keep members' data directories whatever the verdict.
    #[arg(long)]
    keep_data: bool,
}

/// What `--expect` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Holds,
    Violated(Option<Guarantee>),
}

fn expectation(text: &str) -> Result<Expected, String> {
    match text.split_once(':') {
        None if text == "holds" => Ok(Expected::Holds),
        None if text == "violated" => Ok(Expected::Violated(None)),
        Some(("violated", guarantee)) => Ok(Expected::Violated(Some(guarantee.parse()?))),
        _ => Err("expected holds, violated, or violated:GUARANTEE".into()),
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("expected PATH=VALUE")?;
    Ok((path.to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a time such as 5s or 1500ms"))
}

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct RunLine {
    scenario: String,
    store: String,
    version: String,
    seed: String,
    verdict: &'static str,
    guarantee: Option<&'static str>,
    broken: Vec<&'static str>,
    exit: u8,
    as_expected: Option<bool>,
    ops: u64,
    faults: u64,
    faults_failed: u64,
    time_to_verdict_ms: u64,
    dir: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    let mut found = Vec::new();
    for name in &args.scenarios {
        found.push(scenarios::find(name)?);
    }
    let first = args.seed.unwrap_or_else(drawn_seed);
    let overrides = Overrides {
        time_ms: args
            .time
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        members: args.members,
        etcd_args: args.etcd_args.clone(),
        set: args.set.clone(),
        tls: args.tls.then_some(true),
    };
    for scenario in &found {
        scenarios::plan(scenario, first, &overrides)?;
    }
    let subject = resolve(&args.store, &args.without)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| usage(format!("--out {}: {error}", args.out.display())))?;
    let mut options = RunOptions {
        program: subject.program.clone(),
        swaps: BTreeMap::new(),
        launcher: std::env::current_exe().context("where is this executable?")?,
        out: std::fs::canonicalize(&args.out)?,
        keep_data: args.keep_data,
        first_port: args.first_port,
    };

    let runtime = runtime()?;
    let mut machine = Machine::default();
    let mut lines = Vec::new();
    let mut exit: Option<Exit> = None;
    for scenario in &found {
        for number in 0..args.runs {
            let seed = first.wrapping_add(number);
            let mut plan = plan_for(&subject, scenario, seed, &overrides)?;
            plan.store = subject.pin.clone();
            options.swaps = pin_swaps(&mut plan)?;
            if let Some(bug) = &args.bug
                && plant(&mut plan, bug)? == Planting::AlreadyPresent
            {
                errln!(
                    "gauntlet: {} has #{bug} as it is: nothing is planted",
                    plan.store.version
                );
            }
            let mut missing = subject.without.fit(&mut plan);
            missing.extend(bindings(&plan).err());
            missing.extend(machine.missing(&plan, &options.launcher));
            if !missing.is_empty() {
                let (line, one) = skipped(&plan, &missing);
                if args.json {
                    outln!("{}", serde_json::to_string(&line)?);
                }
                lines.push(line);
                exit = Some(exit.map_or(one, |all| all.merge(one)));
                // The machine does not change between two seeds.
                break;
            }
            let label = format!("{} {}/{}", plan.scenario, number + 1, args.runs);
            if !args.json {
                err(format_args!("{}", terminal::header(&plan)));
            }
            let progress = Progress::new(&label, args.json);
            let result = runtime.block_on(run(&plan, &options, &progress));
            progress.finish();
            let (line, one) = match result {
                Ok(summary) => told(&plan, &summary, args),
                Err(error) if error.chain().any(|c| c.is::<crate::run::Interrupted>()) => {
                    return Err(error);
                }
                Err(error) => failed(&plan, &error),
            };
            if args.json {
                outln!("{}", serde_json::to_string(&line)?);
            }
            lines.push(line);
            exit = Some(exit.map_or(one, |all| all.merge(one)));
        }
    }
    write_whole(
        &args.out.join("summary.json"),
        &serde_json::to_vec_pretty(&lines)?,
    )?;
    if !args.json {
        out(format_args!("{}", tally(&lines)));
    }
    Ok(exit.unwrap_or(Exit::NothingRan))
}

/// Draws a plan; for a store of one member with one member, where the scenario allows that.
fn plan_for(
    subject: &Subject,
    scenario: &Scenario,
    seed: u64,
    overrides: &Overrides,
) -> Result<Plan, scenarios::Error> {
    if subject.without.lacks(Feature::Clusters) && overrides.members.is_none() {
        let alone = Overrides {
            members: Some(1),
            ..overrides.clone()
        };
        if let Ok(plan) = scenarios::plan(scenario, seed, &alone) {
            return Ok(plan);
        }
    }
    scenarios::plan(scenario, seed, overrides)
}

/// A seed for a run that was given none: printed, so that it can be given the next time.
fn drawn_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Finds, installs and pins the store.
pub(super) fn resolve(spec: &str, without: &[String]) -> anyhow::Result<Subject> {
    let resolved = subject::resolve(spec, without, &mut |line| errln!("{line}"));
    resolved.map_err(|error| match error.is_usage() {
        true => usage(format!("--store: {error}")),
        false => error.into(),
    })
}

/// Finds, installs and pins the binaries that steps swap members to.
pub(super) fn pin_swaps(plan: &mut Plan) -> anyhow::Result<BTreeMap<String, Program>> {
    let mut programs = BTreeMap::new();
    plan.swaps.clear();
    for step in &plan.steps {
        if let Action::Swap { store, .. } = &step.action
            && !programs.contains_key(store)
        {
            let found = resolve(store, &[])?;
            plan.swaps.push(found.pin);
            programs.insert(store.clone(), found.program);
        }
    }
    Ok(programs)
}

/// Whether every armed fault has a place in the store.
///
/// # Errors
/// The first that has none, and why.
pub(super) fn bindings(plan: &Plan) -> Result<(), String> {
    plan.steps.iter().try_for_each(|step| match &step.action {
        Action::Arm(arm) => arm.binding(&plan.store).map(drop),
        _ => Ok(()),
    })
}

/// A scenario that this machine cannot run: it is said, and never green.
fn skipped(plan: &Plan, missing: &[String]) -> (RunLine, Exit) {
    let why = missing.join("; ");
    errln!("gauntlet: {} is skipped: {why}", plan.scenario);
    let exit = Exit::NothingRan;
    (not_run(plan, "skipped", exit, why, None), exit)
}

fn told(plan: &Plan, summary: &RunSummary, args: &Args) -> (RunLine, Exit) {
    let judgement = &summary.judgement;
    let as_expected = args.expect.map(|expected| meets(expected, summary));
    let exit = match as_expected {
        None => terminal::exit(judgement),
        Some(true) => Exit::Holds,
        Some(false) if matches!(judgement.verdict, Verdict::Holds | Verdict::Violated) => {
            Exit::Violated
        }
        Some(false) => terminal::exit(judgement),
    };
    if !args.json {
        out(format_args!("{}", terminal::judgement(judgement)));
        if let Some(stated) = plan.expected() {
            let (name, met) = match stated.verdict {
                ExpectedVerdict::Holds => ("holds", judgement.verdict == Verdict::Holds),
                ExpectedVerdict::Violated => ("violated", judgement.verdict == Verdict::Violated),
            };
            outln!(
                "the scenario expects {name} on {}: {}",
                plan.store.told(),
                if met {
                    "as expected"
                } else {
                    "NOT as expected"
                }
            );
        }
        outln!(
            "{} operations, {} fault steps, {:.1} s to the verdict",
            summary.operations,
            summary.faults.done + summary.faults.failed,
            summary.time_to_verdict.as_secs_f64()
        );
        outln!("report: {}", summary.dir.join("report.html").display());
        outln!("reproduce: gauntlet reproduce {}", summary.dir.display());
    }
    let broken = judgement
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Violated);
    let line = RunLine {
        scenario: plan.scenario.clone(),
        store: plan.store.spec.clone(),
        version: plan.store.version.clone(),
        seed: plan.seed.clone(),
        verdict: terminal::verdict_name(judgement.verdict),
        guarantee: judgement.guarantee.map(Guarantee::name),
        broken: broken.map(|check| check.guarantee.name()).collect(),
        exit: exit.code(),
        as_expected,
        ops: summary.operations,
        faults: summary.faults.done,
        faults_failed: summary.faults.failed,
        time_to_verdict_ms: u64::try_from(summary.time_to_verdict.as_millis()).unwrap_or(u64::MAX),
        dir: summary.dir.display().to_string(),
        error: None,
    };
    (line, exit)
}

fn meets(expected: Expected, summary: &RunSummary) -> bool {
    let judgement = &summary.judgement;
    match expected {
        Expected::Holds => judgement.verdict == Verdict::Holds,
        Expected::Violated(None) => judgement.verdict == Verdict::Violated,
        Expected::Violated(Some(guarantee)) => judgement
            .checks
            .iter()
            .any(|check| check.guarantee == guarantee && check.verdict == Verdict::Violated),
    }
}

/// A run in which the harness failed: it is said, counted and never green.
fn failed(plan: &Plan, error: &anyhow::Error) -> (RunLine, Exit) {
    errln!("gauntlet: {error:#}");
    let exit = super::exit_of(error);
    let error = format!("{error:#}");
    (
        not_run(plan, "harness fault", exit, error, Some(false)),
        exit,
    )
}

/// The line of a run without a verdict.
fn not_run(
    plan: &Plan,
    verdict: &'static str,
    exit: Exit,
    error: String,
    as_expected: Option<bool>,
) -> RunLine {
    RunLine {
        scenario: plan.scenario.clone(),
        store: plan.store.spec.clone(),
        version: plan.store.version.clone(),
        seed: plan.seed.clone(),
        verdict,
        guarantee: None,
        broken: Vec::new(),
        exit: exit.code(),
        as_expected,
        ops: 0,
        faults: 0,
        faults_failed: 0,
        time_to_verdict_ms: 0,
        dir: String::new(),
        error: Some(error),
    }
}

/// Counts by verdict, where there was more than one run.
fn tally(lines: &[RunLine]) -> String {
    use std::fmt::Write as _;
    if lines.len() < 2 {
        return String::new();
    }
    let mut text = String::from("\n");
    let mut scenarios: Vec<_> = lines.iter().map(|line| line.scenario.as_str()).collect();
    scenarios.dedup();
    for scenario in scenarios {
        let of = || lines.iter().filter(|line| line.scenario == scenario);
        let mut verdicts: Vec<_> = of().map(|line| line.verdict).collect();
        verdicts.sort_unstable();
        verdicts.dedup();
        let counts: Vec<_> = verdicts
            .into_iter()
            .map(|verdict| {
                format!(
                    "{verdict} {}",
                    of().filter(|line| line.verdict == verdict).count()
                )
            })
            .collect();
        let mut times: Vec<_> = of().map(|line| line.time_to_verdict_ms).collect();
        times.sort_unstable();
        let _ = writeln!(
            text,
            "{scenario}: {} of {} runs; median time to verdict {:.1} s",
            counts.join(", "),
            of().count(),
            times[times.len() / 2] as f64 / 1000.0
        );
        let mut broken: Vec<_> = of().flat_map(|line| line.broken.iter().copied()).collect();
        broken.sort_unstable();
        broken.dedup();
        for guarantee in broken {
            let count = of().filter(|line| line.broken.contains(&guarantee)).count();
            let _ = writeln!(text, "  {guarantee} broken in {count}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("5").is_err());
        assert!(duration("s").is_err());
    }

    #[test]
    fn expectations_name_a_guarantee_that_exists() {
        assert_eq!(expectation("holds"), Ok(Expected::Holds));
        assert_eq!(
            expectation("violated:linearizable"),
            Ok(Expected::Violated(Some(Guarantee::Linearizable)))
        );
        assert!(
            expectation("violated:nonsense")
                .unwrap_err()
                .contains("converges")
        );
        assert!(expectation("broken").is_err());
    }
}
