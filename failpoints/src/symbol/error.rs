//! What can go wrong, named so that it says what to do.

use std::io;
use std::path::PathBuf;

/// Why a binary, a function in it or a process that runs it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// The file is no ELF executable, or one for another machine.
    #[error("{path} cannot be used: {what}; give the etcd binary for Linux on x86-64 itself")]
    NotAnExecutable {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// An executable without Go's function table.
    #[error(
        "{path} has no Go function table (.gopclntab of Go 1.2 or later): it was not built by Go's own compiler, or it is packed; give an unpacked binary that Go built"
    )]
    NotGo {
        /// The file.
        path: PathBuf,
    },
    /// Go's function table is there, but cannot be right.
    #[error(
        "the Go function table of {path} is damaged: {what}; fetch the binary again, and report it if that does not help"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No function matches.
    #[error("{}", not_found(.path, .patterns, .nearest))]
    NotFound {
        /// The file.
        path: PathBuf,
        /// What was looked for, in order.
        patterns: Vec<String>,
        /// The names nearest to it, nearest first.
        nearest: Vec<String>,
    },
    /// More than one function matches.
    #[error(
        "{} functions of {path} match `{pattern}`, and it takes one: {}; write more of the name",
        .names.len(),
        listed(.names)
    )]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        pattern: String,
        /// Full names of all that match, with their addresses where two bear
        /// the same name.
        names: Vec<String>,
    },
    /// The function has no such place, or its code cannot be read.
    #[error("{function} in {path}: {what}")]
    Code {
        /// The file.
        path: PathBuf,
        /// The function's full name.
        function: String,
        /// What is the matter.
        what: String,
    },
    /// The process cannot be looked at.
    #[error("cannot look at process {pid}: {reason}; it must run, and belong to this user")]
    Process {
        /// The pid.
        pid: i32,
        /// The reason.
        reason: io::Error,
    },
    /// The process runs something else.
    #[error(
        "process {pid} does not run {path}, but {runs}: read the symbols of the file it was started from, and do not replace that file while it runs"
    )]
    OtherBinary {
        /// The pid.
        pid: i32,
        /// The file the symbols are of.
        path: PathBuf,
        /// The file it runs, as the kernel names it.
        runs: PathBuf,
    },
}

/// The most names that one message lists.
const LISTED: usize = 8;

fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}

fn not_found(path: &std::path::Path, patterns: &[String], nearest: &[String]) -> String {
    let mut text = format!(
        "no function of {} matches `{}`: this build may have inlined it into its callers, or names it otherwise",
        path.display(),
        patterns.join("` or `")
    );
    if !nearest.is_empty() {
        text.push_str(&format!("; nearest: {}", listed(nearest)));
    }
    text
}
