//! From a run directory to its verdict, witness and report.

use std::path::Path;

use anyhow::Context as _;
use checker::verdict::Judgement;
use reports::Directory;
use scenarios::plan::Plan;

use crate::BUILD;
use crate::run_dir::write_whole;
use crate::subject::{Feature, lacks};

/// Judges the records of a run directory. Writes nothing.
///
/// # Errors
/// When a stream is malformed, or written by a newer build.
pub fn judge(dir: &Path) -> anyhow::Result<Judgement> {
    let records = checker::judge::load(dir)?;
    let mut options = checker::judge::Options {
        build: BUILD.to_owned(),
        ..Default::default()
    };
    let plan = read_plan(dir)?;
    options.linearizable.foreign_compactions = compacts_by_itself(&plan);
    options.no_hashes = lacks(&plan, Feature::HashKv);
    options.planted = plan.planted.iter().map(scenarios::bugs::told).collect();
    Ok(checker::judge::judge(&records, &options))
}

fn read_plan(dir: &Path) -> anyhow::Result<Plan> {
    let path = dir.join("plan.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Plan::from_toml(&path.display().to_string(), &text)?)
}

/// Whether the plan's flags let members compact on their own account, unrecorded.
fn compacts_by_itself(plan: &Plan) -> bool {
    let flags = &plan.cluster.flags;
    flags.iter().any(|flag| flag.contains("auto-compaction"))
}

/// Judges, and writes `verdict.json`, `witness.txt` and `report.html`.
///
/// # Errors
/// As [`judge`], and when a file cannot be written.
pub fn judge_and_write(dir: &Path) -> anyhow::Result<Judgement> {
    let judgement = judge(dir)?;
    write_verdict(dir, &judgement)?;
    write_report(dir, &judgement)?;
    Ok(judgement)
}

/// Writes `verdict.json`.
///
/// # Errors
/// When it cannot be written.
pub fn write_verdict(dir: &Path, judgement: &Judgement) -> anyhow::Result<()> {
    write_whole(
        &dir.join("verdict.json"),
        &serde_json::to_vec_pretty(judgement)?,
    )
}

/// Reads `verdict.json`.
///
/// # Errors
/// When it is missing or malformed.
pub fn read_verdict(dir: &Path) -> anyhow::Result<Judgement> {
    let path = dir.join("verdict.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: was the run judged?", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is malformed", path.display()))
}

/// Writes `witness.txt` and `report.html`.
///
/// # Errors
/// When the directory cannot be read or written.
pub fn write_report(dir: &Path, judgement: &Judgement) -> anyhow::Result<()> {
    let read = Directory::read(dir)?;
    let shown = dir.display().to_string();
    let run = read.run(judgement, &shown);
    let witness = reports::witness_text(&run);
    write_whole(&dir.join("witness.txt"), witness.as_bytes())?;
    write_whole(&dir.join("report.html"), reports::html(&run).as_bytes())
}
