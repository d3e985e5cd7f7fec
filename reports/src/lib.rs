//! A run, told to whoever has to debug it: `report.html`, one page that opens from disk, and
//! `witness.txt`, the same core for terminals and logs.
//!
//! Both are functions of what the run directory holds, so a directory that a crash cut short is
//! reported like any other: what is missing is said, not guessed. Neither decides anything: the
//! verdict is the checker's ([`checker::verdict::Judgement`]), here it is only laid out, in the
//! order a reader needs it: what broke, the few operations that prove it, how to run it again, then
//! everything around it.
//!
//! The page carries its data, style and script, loads nothing, and its Content-Security-Policy
//! lets only that style and that script act, so a value in the store cannot become markup.
#![forbid(unsafe_code)]

mod clock;
mod commands;
mod directory;
mod ended;
mod expectation;
mod faults;
mod health;
mod island;
mod members;
mod ops;
mod page;
mod proof;
mod recorded;
mod spans;
mod table;
mod thinning;
mod witness;
mod words;

pub use directory::{Directory, DirectoryError, StreamState};
pub use page::{PAGE_BYTES_MAX, html};
pub use witness::witness_text;

use checker::history::{FaultRecord, ObservationRecord, Record};
use checker::verdict::Judgement;
use scenarios::plan::Plan;

/// Everything a report is made of. The streams may be prefixes, or empty.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// The records of `history.jsonl`, with or without header and footer.
    pub history: &'a [Record],
    /// The records of `faults.jsonl`.
    pub faults: &'a [FaultRecord],
    /// The records of `observations.jsonl`.
    pub observations: &'a [ObservationRecord],
    /// What the checker says of them.
    pub judgement: &'a Judgement,
    /// The run directory, as the reader should type it.
    pub dir: &'a str,
    /// The command that runs this plan again; empty means `gauntlet reproduce` and the directory.
    pub reproduce: &'a str,
    /// How much of each stream there was; empty where the caller does not know.
    pub streams: &'a [StreamState],
    /// When the run began, in nanoseconds since the Unix epoch; without it a header among the
    /// records is asked.
    pub started_unix_ns: Option<u64>,
}

impl<'a> Run<'a> {
    /// A run of which no more is known than its records.
    #[must_use]
    pub fn new(
        plan: &'a Plan,
        history: &'a [Record],
        faults: &'a [FaultRecord],
        observations: &'a [ObservationRecord],
        judgement: &'a Judgement,
        dir: &'a str,
    ) -> Self {
        Self {
            plan,
            history,
            faults,
            observations,
            judgement,
            dir,
            reproduce: "",
            streams: &[],
            started_unix_ns: None,
        }
    }
}
