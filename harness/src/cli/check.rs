//! `gauntlet check` and `gauntlet report`.

use std::path::{Path, PathBuf};

use checker::verdict::{Exit, Judgement};
use clap::Args;

use super::{check_file as file, run_directory, usage};
use crate::console::{out, outln};
use crate::judging;
use crate::terminal;

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  gauntlet check runs/latest
  gauntlet check runs/latest --write     rewrite verdict, witness and report
  gauntlet check store/history.edn       a history that Jepsen recorded
  gauntlet check jepsen.log --timeout 1m --json
  gauntlet check /tmp/TestRobustness     a report directory of etcd's robustness test

Formats of files, told by content:
  history-jsonl    gauntlet's own history.jsonl
  jepsen-edn       history.edn: register, set, queue, mutex, list-append; independent keys
  jepsen-log       a Jepsen log of a compare-and-set register
  porcupine-kv     Porcupine's key-value text
  compact-jsonl    {\"c\":0,\"call\":1,\"ret\":2,\"op\":\"put\",\"k\":\"a\",\"v\":1,\"rev\":2}
  etcd-robustness  client-N/operations.json and watch.json";

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  gauntlet report runs/latest-violated";

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A run directory, a file with a history, or a report directory of etcd's robustness test.
    path: PathBuf,
    /// Write the verdict, the witness and the report into the run directory.
    #[arg(long)]
    write: bool,
    /// Print the judgement as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: file::Args,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A run directory.
    dir: PathBuf,
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<Exit> {
    if !args.path.exists() {
        let what = format!(
            "{} is not there: give a file or directory",
            args.path.display()
        );
        return Err(usage(what));
    }
    if is_of_another_tool(&args.path) {
        if args.write {
            return Err(usage("--write is for run directories"));
        }
        return file::check(&args.path, &args.file, args.json);
    }
    if let Some(flag) = args.file.given() {
        let what = format!("{flag} is for files of other tools, not for run directories");
        return Err(usage(what));
    }
    let dir = run_directory(&args.path)?;
    let judgement = judging::judge(&dir)?;
    let before = judging::read_verdict(&dir).ok();
    if args.write {
        judging::write_verdict(&dir, &judgement)?;
        judging::write_report(&dir, &judgement)?;
    }
    if args.json {
        outln!("{}", serde_json::to_string(&judgement)?);
    } else {
        out(format_args!("{}", terminal::judgement(&judgement)));
        for line in difference(before.as_ref(), &judgement) {
            outln!("{line}");
        }
    }
    Ok(terminal::exit(&judgement))
}

/// Whether a path is a file, or another tool's directory; else it is meant to be a run directory.
fn is_of_another_tool(path: &Path) -> bool {
    path.is_file() || path.is_dir() && checker::import::etcd_report::is_report(path)
}

/// What changed against the stored verdict, in words.
fn difference(before: Option<&Judgement>, now: &Judgement) -> Vec<String> {
    let Some(before) = before else {
        return vec!["there was no verdict before".into()];
    };
    let mut lines = Vec::new();
    if before.verdict != now.verdict {
        lines.push(format!(
            "the verdict differs: {} by {}, {} by {}",
            terminal::verdict_name(before.verdict),
            before.build,
            terminal::verdict_name(now.verdict),
            now.build
        ));
    }
    for check in &now.checks {
        let old = before
            .checks
            .iter()
            .find(|old| old.guarantee == check.guarantee);
        match old {
            Some(old) if old.verdict != check.verdict => lines.push(format!(
                "{} differs: {} before, {} now",
                check.guarantee,
                terminal::verdict_name(old.verdict),
                terminal::verdict_name(check.verdict)
            )),
            Some(_) => {}
            None => lines.push(format!("{} was not checked before", check.guarantee)),
        }
    }
    if lines.is_empty() {
        lines.push("the same as the stored verdict".into());
    }
    lines
}

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let dir = run_directory(&args.dir)?;
    let judgement = match judging::read_verdict(&dir) {
        Ok(judgement) => judgement,
        Err(_) => judging::judge(&dir)?,
    };
    judging::write_report(&dir, &judgement)?;
    outln!("{}", dir.join("report.html").display());
    Ok(Exit::Holds)
}
