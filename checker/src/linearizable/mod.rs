//! The linearizability check of the etcd key-value API.
//!
//! A linearizable answer carries the store's revision, and every effective write adds exactly 1.
//! So nearly every operation already has its place in the order: a write makes its revision, a
//! read stands between two. What is left to do is
//!
//! 1. to find two writes at one revision, and real-time inversions: an operation that saw less
//!    than another that had returned before it was invoked;
//! 2. to fill the *gaps*, revisions that no acknowledged write made: by writes with unknown
//!    result and by expiries of leases, each used at most once, by search where several fit;
//! 3. to replay all writes on the sequential [store](crate::model) and to compare every answer:
//!    values, revisions, versions, leases, counts, branches, previous key-values.
//!
//! Most histories are settled by one pass over numbers, the [fast path](Dense): it guesses what
//! filled the gaps, and proves its order by replay. Where it finds none, the search decides.
//!
//! Revisions are trusted for the order only; wrong ones show up as contradictions. Serializable
//! reads are compared with the state at their revision; nothing is asked of their recency.
//! Compactions, and errors that speak of compacted or future revisions, have no exact place and
//! are laid out around the rest. Before the check says that a history holds, a
//! [separate replay](verify) has confirmed the order; it says that one is violated only when every
//! alternative has been excluded.

mod candidates;
mod content;
mod dense;
mod explain;
mod facts;
mod footprint;
mod hand_over;
mod layout;
mod leases;
mod members;
mod operation;
mod returns;
mod revisions;
mod search;
mod statics;
mod verify;

pub use dense::{Dense, Ordered};
pub use operation::OperationId;
pub use verify::verify;

use std::sync::atomic::AtomicBool;

use crate::history::{ObservationRecord, Record};
use crate::verdict::{CheckReport, FINDINGS_MAX, Finding, Guarantee, Verdict};
use candidates::Domains;
use content::Checks;
use explain::Teller;
use facts::Facts;
use footprint::Footprints;
use layout::{Stuck, lay_out};
use leases::Leases;
use operation::Operations;
use revisions::{Revisions, slot};
use search::{Found, Known, Placement, Search, Step};

/// How the verdict is reached, as in reports.
pub const ENGINE: &str = "revision-order 2";

/// Steps of the second search, which confirms a contradiction that open choices led to.
const SECOND_SEARCH_STEPS: u64 = 1_000_000;

/// Bounds of the check. The verdict depends on nothing else but the history.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Steps of the replay, those repeated after a wrong guess included: one for each write
    /// applied, answer compared or candidate tried.
    pub steps_max: u64,
    /// Bytes that the search may hold besides the history.
    pub bytes_max: usize,
    /// Whether the store may compact by itself (`--auto-compaction-retention`): then errors that
    /// speak of compaction are not judged.
    pub foreign_compactions: bool,
    /// Whether to try for an order by [one pass](Dense::order) before the search.
    pub fast_path: bool,
    /// Set by the caller to end the search early; the outcome is then inconclusive.
    pub stop: Option<&'a AtomicBool>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            steps_max: 50_000_000,
            bytes_max: 1 << 30,
            foreign_compactions: false,
            fast_path: true,
            stop: None,
        }
    }
}

/// One step of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStep {
    /// An operation takes effect.
    Operation(OperationId),
    /// A lease expires, and its keys go.
    Expiry {
        /// The lease.
        lease: i64,
    },
}

/// What the check comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The history is linearizable.
    Holds {
        /// An order that proves it: [`verify`] confirms it.
        order: Vec<OrderStep>,
    },
    /// It is not.
    Violated {
        /// The proofs, the most telling first; never empty.
        witness: Vec<Finding>,
    },
    /// The budget ran out, or the records do not suffice.
    Inconclusive {
        /// The revision that the search had reached.
        reached: i64,
        /// Why, in words.
        why: String,
    },
}

/// Figures of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    operations: u64,
    revisions: u64,
    gaps: u64,
    steps: u64,
}

/// Checks a history, or the prefix of one: an invocation without return may still take effect.
///
/// Of `observations` only the harness's own writes and linearizable reads count: they take
/// revisions like any client's.
#[must_use]
pub fn check(history: &[Record], observations: &[ObservationRecord], options: &Options) -> Outcome {
    judge(history, observations, options, &mut Progress::default())
}

/// Checks a history and tells the result as a report on [`Guarantee::Linearizable`].
#[must_use]
pub fn report(
    history: &[Record],
    observations: &[ObservationRecord],
    options: &Options,
) -> CheckReport {
    let mut progress = Progress::default();
    let outcome = judge(history, observations, options, &mut progress);
    let Progress {
        operations,
        revisions,
        gaps,
        steps,
    } = progress;
    let (verdict, summary, mut findings) = match outcome {
        Outcome::Holds { .. } => {
            let summary = format!(
                "{operations} operations over {revisions} revisions fit one order; {gaps} revisions \
                 were made by requests without an acknowledged result"
            );
            (Verdict::Holds, summary, Vec::new())
        }
        Outcome::Violated { witness } => (Verdict::Violated, witness[0].title.clone(), witness),
        Outcome::Inconclusive { reached, why } => {
            let finding = Finding {
                title: format!("undecided from revision {reached} on: {why}"),
                explanation: vec![
                    "Neither an order of all operations nor a contradiction was found.".to_owned(),
                ],
                revisions: vec![reached],
                ..no_finding()
            };
            (Verdict::Inconclusive, finding.title.clone(), vec![finding])
        }
    };
    let findings_omitted = findings.len().saturating_sub(FINDINGS_MAX);
    findings.truncate(FINDINGS_MAX);
    CheckReport {
        guarantee: Guarantee::Linearizable,
        verdict,
        engine: ENGINE.to_owned(),
        summary,
        findings,
        findings_omitted: findings_omitted as u64,
        figures: vec![
            ("operations".to_owned(), operations),
            ("revisions".to_owned(), revisions),
            ("gaps".to_owned(), gaps),
            ("steps".to_owned(), steps),
        ],
    }
}

fn no_finding() -> Finding {
    Finding {
        title: String::new(),
        explanation: Vec::new(),
        operations: Vec::new(),
        observations: Vec::new(),
        members: Vec::new(),
        revisions: Vec::new(),
        keys: Vec::new(),
        at: None,
    }
}

fn by_fast_path(
    history: &[Record],
    observations: &[ObservationRecord],
    options: &Options,
    progress: &mut Progress,
) -> Option<Vec<OrderStep>> {
    if !options.fast_path {
        return None;
    }
    let dense = Dense::of(history, observations);
    let Ordered {
        order,
        revisions,
        gaps,
    } = dense.order(options).ok()?;
    debug_assert!(confirmed(history, observations, &order, options).is_ok());
    *progress = Progress {
        operations: dense.operations(),
        revisions,
        gaps,
        steps: dense.operations(),
    };
    Some(order)
}

fn confirmed(
    history: &[Record],
    observations: &[ObservationRecord],
    order: &[OrderStep],
    options: &Options,
) -> Result<(), String> {
    let operations = Operations::read(history, observations);
    verify::verify_operations(&operations, order, options.foreign_compactions)
}

fn judge(
    history: &[Record],
    observations: &[ObservationRecord],
    options: &Options,
    progress: &mut Progress,
) -> Outcome {
    if let Some(order) = by_fast_path(history, observations, options, progress) {
        return Outcome::Holds { order };
    }
    let operations = Operations::read(history, observations);
    if let Some(why) = operations.malformed {
        return Outcome::Inconclusive { reached: 1, why };
    }
    match by_search(&operations, options, progress) {
        Outcome::Inconclusive { reached, why } => {
            let decided = hand_over::decide(history, &operations, options);
            decided.unwrap_or(Outcome::Inconclusive { reached, why })
        }
        decided => decided,
    }
}

/// Looks for a contradiction, then searches for what filled the gaps.
fn by_search(operations: &Operations, options: &Options, progress: &mut Progress) -> Outcome {
    let revisions = Revisions::of(operations);
    progress.operations = operations.all.len() as u64;
    progress.revisions = u64::try_from(revisions.last).unwrap_or(0);
    progress.gaps = revisions.gaps().count() as u64;
    let is_gap = |r: i64| {
        r >= 2 && r <= revisions.last && revisions.writer[slot(r, revisions.last)].is_none()
    };
    let facts = Facts::of(operations, is_gap);
    let domains = Domains::of(operations, &facts);
    let leases = Leases::of(operations);
    let teller = Teller {
        operations,
        revisions: &revisions,
        facts: &facts,
    };

    let witness = statics::contradictions(&teller, &domains);
    if !witness.is_empty() {
        return Outcome::Violated { witness };
    }
    let foreign = options.foreign_compactions;
    match lay_out(operations, &revisions, &leases, None, foreign) {
        Ok(_) => {}
        Err(Stuck::Conflict(conflict)) => {
            return Outcome::Violated {
                witness: vec![teller.conflict(conflict)],
            };
        }
        Err(Stuck::BeyondLast) => {
            let why = "an error speaks of a compaction beyond every revision seen".to_owned();
            return Outcome::Inconclusive {
                reached: revisions.last,
                why,
            };
        }
    }
    let checks = Checks::of(operations);
    let footprints = Footprints::of(operations);
    let known = Known {
        operations,
        revisions: &revisions,
        facts: &facts,
        domains: &domains,
        footprints: &footprints,
        leases: &leases,
        checks: &checks,
    };
    let mut found = Search::new(known).run(options, progress);
    if let Found::Contradiction { choices: 1.., .. } = found {
        // The proof rests on what contradictions depend on: a second search that knows nothing of
        // that must not find a way.
        let brief = Options {
            steps_max: options.steps_max.min(SECOND_SEARCH_STEPS),
            ..*options
        };
        let second = Search::new(known)
            .step_by_step()
            .run(&brief, &mut Progress::default());
        debug_assert!(
            !matches!(second, Found::Complete(_)),
            "the searches disagree"
        );
        if let Found::Complete(_) = second {
            found = second;
        }
    }
    match found {
        Found::Undecided { reached, why } => Outcome::Inconclusive { reached, why },
        Found::Contradiction { mismatch, choices } => Outcome::Violated {
            witness: vec![teller.mismatch(&mismatch, choices)],
        },
        Found::Complete(placement) => settle(operations, &revisions, &leases, &placement, foreign),
    }
}

/// Lays a complete placement out and has it confirmed.
fn settle(
    operations: &Operations,
    revisions: &Revisions,
    leases: &Leases,
    placement: &Placement,
    foreign_compactions: bool,
) -> Outcome {
    let reached = revisions.last;
    let steps = match lay_out(
        operations,
        revisions,
        leases,
        Some(placement),
        foreign_compactions,
    ) {
        Ok(steps) => steps,
        Err(stuck) => {
            let why = match placement.lossy {
                Some(why) => why.to_owned(),
                None => format!("the assignment found leaves no order ({stuck:?})"),
            };
            return Outcome::Inconclusive { reached, why };
        }
    };
    let order: Vec<OrderStep> = steps
        .into_iter()
        .map(|step| match step {
            Step::Op(op) => OrderStep::Operation(operations.all[op].id),
            Step::Expiry { lease, .. } => OrderStep::Expiry { lease },
        })
        .collect();
    match verify::verify_operations(operations, &order, foreign_compactions) {
        Ok(()) => Outcome::Holds { order },
        Err(why) => Outcome::Inconclusive {
            reached,
            why: format!("the order found did not replay: {why}"),
        },
    }
}
