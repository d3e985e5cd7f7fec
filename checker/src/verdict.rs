//! Verdicts: what a check says, and what the run says once all have spoken.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A promise of the store, by the name used in reports, `--expect` and scenario files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarantee {
    /// Every answer of the key-value API fits one order that respects real time.
    Linearizable,
    /// After healing and quiet all members hold the same revision, hash and content.
    Converges,
    /// Every acknowledged write is there at the end, or was overwritten or deleted since.
    Durable,
    /// Watches deliver what was written, whole, in order and once.
    Watch,
    /// Credentials and permissions valid on one member are valid on all.
    AuthConsistent,
    /// A request refused by the auth layer has no effect.
    RefusedHasNoEffect,
    /// Every process stays up but for what the plan did.
    ProcessStaysUp,
    /// After healing every voter serves again and every member catches up.
    Live,
}

impl Guarantee {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::Linearizable,
        Self::Durable,
        Self::Converges,
        Self::Watch,
        Self::RefusedHasNoEffect,
        Self::AuthConsistent,
        Self::ProcessStaysUp,
        Self::Live,
    ];

    /// The name, as in files and flags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linearizable => "linearizable",
            Self::Converges => "converges",
            Self::Durable => "durable",
            Self::Watch => "watch",
            Self::AuthConsistent => "auth-consistent",
            Self::RefusedHasNoEffect => "refused-has-no-effect",
            Self::ProcessStaysUp => "process-stays-up",
            Self::Live => "live",
        }
    }

    /// The promise, in a sentence.
    #[must_use]
    pub fn promise(self) -> &'static str {
        match self {
            Self::Linearizable => {
                "every answer fits one order of all operations that respects real time"
            }
            Self::Converges => {
                "after healing and quiet, every member holds the same revision, hash and content"
            }
            Self::Durable => {
                "every acknowledged write is still there, or was overwritten or deleted since"
            }
            Self::Watch => "watches deliver what was written, whole, in order and once",
            Self::AuthConsistent => {
                "credentials and permissions that are valid on one member are valid on all"
            }
            Self::RefusedHasNoEffect => "a request that was refused has no effect",
            Self::ProcessStaysUp => "no process ends but by the plan",
            Self::Live => "after healing, every voter serves again and every member catches up",
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Guarantee {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|g| g.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|g| g.name()).collect();
                format!("no guarantee {text:?}; there are {}", names.join(", "))
            })
    }
}

/// What one check, or a run, comes to. Never a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The promise was kept in this run.
    Holds,
    /// It was broken, and a finding proves it.
    Violated,
    /// It could not be decided, and the findings say why.
    Inconclusive,
    /// The check does not apply to this run, and the findings say why. Never counts as holding.
    NotRun,
}

/// What one check found. A check reports everything it finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The promise it is about.
    pub guarantee: Guarantee,
    /// What it comes to.
    pub verdict: Verdict,
    /// How it was decided, for example `revision-order 1`.
    pub engine: String,
    /// One line.
    pub summary: String,
    /// Everything found, the most telling first; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Findings left out because there were more.
    #[serde(default)]
    pub findings_omitted: u64,
    /// Figures about the check, name and value: operations, configurations, windows.
    #[serde(default)]
    pub figures: Vec<(String, u64)>,
}

/// Findings kept a check.
pub const FINDINGS_MAX: usize = 50;

/// One thing that proves, or hinders, a judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// One sentence that stands alone.
    pub title: String,
    /// The argument, one sentence a line: what was promised, what was seen, why both cannot be.
    pub explanation: Vec<String>,
    /// The operations of `history.jsonl` that prove it (two to five where possible), by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<u64>,
    /// The observations of `observations.jsonl` that prove it, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<u64>,
    /// Members concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Revisions concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<i64>,
    /// Keys concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// When it shows, in nanoseconds since the run's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Process exit codes, the same for every command.
///
/// When several runs are merged the strongest wins: 1, then 70, 3, 2, 4, 0. With `--expect`, and for
/// `reproduce`: 0 as expected, 1 a definite mismatch, else the code itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// Every check that applies holds.
    Holds = 0,
    /// A promise is broken.
    Violated = 1,
    /// Undecided: a budget ran out, data is missing, the run was cut short.
    Inconclusive = 2,
    /// Safe, but the cluster did not recover in the stated time.
    Liveness = 3,
    /// Nothing ran: everything was skipped.
    NothingRan = 4,
    /// Wrong flags, files or names.
    Usage = 64,
    /// The harness itself failed.
    HarnessFault = 70,
}

impl Exit {
    /// Strength when merged: higher wins.
    #[must_use]
    pub fn strength(self) -> u8 {
        match self {
            Self::Violated => 6,
            Self::HarnessFault => 5,
            Self::Usage => 4,
            Self::Liveness => 3,
            Self::Inconclusive => 2,
            Self::NothingRan => 1,
            Self::Holds => 0,
        }
    }

    /// The stronger of two.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if other.strength() > self.strength() {
            other
        } else {
            self
        }
    }

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The judgement of a run: `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Format version `major`.
    pub major: u32,
    /// Format version `minor`.
    pub minor: u32,
    /// The build that judged.
    pub build: String,
    /// Options the judgement depends on, name and value (budgets).
    pub options: Vec<(String, String)>,
    /// Known bugs that were put into the store for this run, a line each: what is violated then
    /// says nothing about the store as it is shipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planted: Vec<String>,
    /// Whether the run directory was complete (all three streams had their footer).
    pub complete: bool,
    /// The run's verdict: violated if any check is; else inconclusive if any is, or if the
    /// directory is a prefix; else holds.
    pub verdict: Verdict,
    /// The process exit code that follows.
    pub exit: u8,
    /// The first broken guarantee, in the order of [`Guarantee::ALL`], or the first undecided one.
    pub guarantee: Option<Guarantee>,
    /// Every check.
    pub checks: Vec<CheckReport>,
    /// Operations by kind and result: `put ok`, `put unknown`, `put refused`, `put definite`.
    pub operations: Vec<(String, u64)>,
}
