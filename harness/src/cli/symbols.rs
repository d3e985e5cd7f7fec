//! `gauntlet symbols`.

use std::path::PathBuf;

use checker::verdict::Exit;
use failpoints::symbol::{Function, ResultUse, Symbols};
use serde::Serialize;

use super::{run, usage};
use crate::console::{out, outln};
use crate::install::Store;

pub(super) const EXAMPLES: &str = "\
Examples:
  gauntlet symbols etcd@3.5.16 'backend.(*backend).defrag'
  gauntlet symbols /usr/bin/etcd '(*authStore).*' --json
  gauntlet symbols etcd@3.5.1 '(*backend).defrag.func*'

A pattern is the end of a function's full name, from its front, behind a / of its package's path or
behind the package's dot; * stands for anything but /, and the star of a receiver for itself.
Closures and wrappers match only a pattern that names them.

skip says what a fault that skips the function would do:
  skippable        no caller uses a result, and all callers are known
  returns a value  a caller uses a result, so the fault has to be told which to return
  unknown          it is called through pointers, as methods are through interfaces, or not at all

Exit codes: 0 when a function matches, 64 when none does.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A binary by its path, or a store such as etcd@3.5.16 (installed on first use).
    #[arg(value_name = "BINARY_OR_STORE")]
    binary: String,
    /// The end of the functions' names.
    pattern: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Listing {
    binary: PathBuf,
    layout: String,
    go: Option<String>,
    functions: usize,
    matches: Vec<Match>,
}

/// One function. Addresses are those in the file, in hexadecimal.
#[derive(Debug, Serialize)]
struct Match {
    name: String,
    entry: String,
    size: u64,
    /// None if its code cannot be decoded.
    returns: Option<Vec<String>>,
    tail_jumps: Option<Vec<String>>,
    skip: &'static str,
    /// How many direct calls there are, where all are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<usize>,
    /// Where a result is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<String>,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    if args.pattern.is_empty() {
        return Err(usage(
            "PATTERN is empty: give the end of a function's name, or * for all of them",
        ));
    }
    let symbols = Symbols::open(&binary(&args.binary)?)?;
    let found = symbols.find_all(&args.pattern);
    if found.is_empty() {
        // It is this that knows the nearest names.
        symbols.find(&args.pattern)?;
    }
    let uses = symbols.results_read_of(&found)?;
    let matches = found.iter().zip(uses);
    let listing = Listing {
        binary: symbols.path().to_owned(),
        layout: symbols.layout().to_string(),
        go: symbols.go_version().map(str::to_owned),
        functions: symbols.len(),
        matches: matches
            .map(|(one, uses)| told(&symbols, *one, uses))
            .collect(),
    };
    if args.json {
        outln!("{}", serde_json::to_string(&listing)?);
    } else {
        out(format_args!("{}", text(&listing)));
    }
    Ok(Exit::Holds)
}

/// A path is taken as it is: any Go binary will do, not only a store's.
fn binary(spec: &str) -> anyhow::Result<PathBuf> {
    if spec.contains('/') {
        return Ok(spec.into());
    }
    if !spec.contains('@') {
        return Err(usage(format!(
            "{spec} is neither a path with a / in it nor a store: give ./{spec}, or etcd@3.5.16"
        )));
    }
    Store::parse(spec).map_err(|error| usage(error.to_string()))?;
    Ok(run::resolve(spec, &[])?.program.binary)
}

fn told(symbols: &Symbols, function: Function<'_>, uses: ResultUse) -> Match {
    let hexadecimal = |all: &[u64]| all.iter().map(|one| format!("{one:#x}")).collect();
    let returns = symbols.returns(function).ok();
    let (skip, calls, reads) = match uses {
        ResultUse::Unused { call_sites } => ("skippable", Some(call_sites), Vec::new()),
        ResultUse::Used { at } => ("returns a value", None, hexadecimal(&at)),
        ResultUse::Unknown => ("unknown", None, Vec::new()),
    };
    Match {
        name: function.name.to_owned(),
        entry: format!("{:#x}", function.entry),
        size: function.end - function.entry,
        returns: returns.as_ref().map(|found| hexadecimal(&found.at)),
        tail_jumps: returns.as_ref().map(|found| hexadecimal(&found.tail_jumps)),
        skip,
        calls,
        reads,
    }
}

fn text(listing: &Listing) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "{}: {} functions, {}, table layout of {}\n",
        listing.binary.display(),
        listing.functions,
        listing.go.as_deref().unwrap_or("Go release not stated"),
        listing.layout
    );
    let _ = writeln!(
        text,
        "{:<12} {:>6} {:>7}  {:<15}  function",
        "address", "bytes", "returns", "skip"
    );
    for one in &listing.matches {
        let returns = match (&one.returns, &one.tail_jumps) {
            (Some(at), Some(jumps)) if jumps.is_empty() => at.len().to_string(),
            (Some(at), _) => format!("{}+jump", at.len()),
            _ => "?".to_owned(),
        };
        let _ = writeln!(
            text,
            "{:<12} {:>6} {:>7}  {:<15}  {}",
            one.entry, one.size, returns, one.skip, one.name
        );
    }
    text
}
