//! `gauntlet history`: conversions between formats.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context as _;
use checker::export::{ExportError, jepsen_edn, own_jsonl};
use checker::import::{Format, read_path};
use checker::verdict::Exit;
use clap::Subcommand;

use super::usage;
use crate::BUILD;
use crate::console::outln;

const EXAMPLES: &str = "\
Examples:
  gauntlet history convert jepsen.log history.edn --to jepsen-edn
  gauntlet history convert /tmp/TestRobustness history.jsonl --to history-jsonl

To jepsen-edn: every history but porcupine-kv; one of etcd as a register for each key.
To history-jsonl: etcd-robustness, and compact-jsonl with revisions.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a history in another tool's format, and say what that cannot express.
    #[command(after_help = EXAMPLES)]
    Convert(ConvertArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ConvertArgs {
    /// A file with a history, or a report directory of etcd's robustness test.
    input: PathBuf,
    /// The file to write.
    output: PathBuf,
    /// The input's format; told by content if not given.
    #[arg(long)]
    from: Option<Format>,
    /// The output's format.
    #[arg(long)]
    to: Format,
}

pub(super) fn main(verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Convert(args) => convert(args),
    }
}

fn convert(args: &ConvertArgs) -> anyhow::Result<Exit> {
    let ConvertArgs {
        input,
        output,
        from,
        to,
    } = args;
    if output.exists() {
        return Err(usage(format!(
            "{} is there already: give the name of a new file",
            output.display()
        )));
    }
    if !matches!(to, Format::JepsenEdn | Format::HistoryJsonl) {
        return Err(usage(format!(
            "{to} cannot be written; jepsen-edn and history-jsonl can"
        )));
    }
    let (from, history) = read_path(input, *from).map_err(|e| usage(e.to_string()))?;
    let beside = {
        let mut name = output.clone().into_os_string();
        name.push(".part");
        PathBuf::from(name)
    };
    let cannot = || format!("cannot write {}", beside.display());
    let file = BufWriter::new(File::create(&beside).with_context(cannot)?);
    let exported = match to {
        Format::HistoryJsonl => own_jsonl(&history, from, BUILD, file),
        _ => jepsen_edn(&history, file),
    };
    let exported = exported.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        match error {
            ExportError::Inexpressible { .. } => usage(error.to_string()),
            ExportError::Io(error) => anyhow::Error::new(error).context(cannot()),
        }
    })?;
    std::fs::rename(&beside, output).with_context(cannot)?;
    outln!(
        "{}: {from} to {to}, {} operations",
        output.display(),
        exported.operations
    );
    for (what, number) in &exported.left_out {
        outln!("  not expressed: {number} {what}");
    }
    if let Some(cut) = history.cut() {
        outln!("  cut short, as its source: {cut}");
    }
    Ok(Exit::Holds)
}
