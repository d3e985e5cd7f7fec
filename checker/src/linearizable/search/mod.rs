//! The replay of all revisions, with a search over what filled the gaps.
//!
//! Revision by revision: the acknowledged write is applied and its answer compared; at a gap each
//! unknown write, and each expiry of a lease, that real time and the answers allow is tried in
//! turn; then every answer that shows this revision is compared. A contradiction names the gaps
//! that could have made a difference to the keys concerned, and the search goes back to the last
//! of those that has an untried candidate.

mod conflict;
mod fill;
mod lease;

use hashbrown::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::candidates::{Candidate, Domain, Domains};
use super::content::Checks;
use super::facts::{Facts, Shown};
use super::footprint::Footprints;
use super::leases::Leases;
use super::operation::{Operations, Role};
use super::revisions::{Op, Revisions};
use super::{Options, Progress};
use crate::history::{Bytes, Request};
use crate::model::{Checkpoint, Difference, Refusal, Store};
use conflict::Conflict;

/// What fills a place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Op(Op),
    Expiry { lease: i64, grant: Op },
}

/// Where and why a replay cannot go on.
#[derive(Clone, Debug)]
pub(super) struct Mismatch<'a> {
    pub revision: i64,
    /// The operation whose answer does not fit; none for a gap.
    pub op: Option<Op>,
    pub why: Why<'a>,
}

#[derive(Clone, Debug)]
pub(super) enum Why<'a> {
    /// The store would have answered with an error.
    Refused(Refusal),
    /// The write changes nothing in this state, though it took a revision.
    NoEffect,
    /// It would have changed keys, though it took no revision.
    Effect,
    /// The answer differs.
    Answer(Difference),
    /// It changes a key that an answer shows unchanged.
    Overwrites(Shown<'a>),
    /// Versions shown of this key up to this revision leave no room for another put.
    OneTooMany { key: &'a Bytes, before: i64 },
    /// Nothing can have made this revision.
    Unfilled { tried: usize },
}

/// How the search ended.
pub(super) enum Found<'a> {
    /// Every revision is filled.
    Complete(Placement),
    /// A contradiction, whatever fills the gaps; and how many gaps were open at once.
    Contradiction {
        mismatch: Mismatch<'a>,
        choices: usize,
    },
    /// Undecided.
    Undecided { reached: i64, why: String },
}

/// What filled each revision, and the lease operations between revisions in their order.
pub(super) struct Placement {
    /// By revision; none for 0 and 1.
    pub writes: Vec<Option<Step>>,
    /// After the write of which revision, in order.
    pub between: Vec<(i64, Step)>,
    /// Why another placement might have been possible that was not tried.
    pub lossy: Option<&'static str>,
}

/// A gap that was filled, with what else could fill it.
struct Frame {
    revision: i64,
    candidates: Vec<Candidate>,
    next: usize,
    mark: Mark,
    /// The state that these candidates were tried in.
    state: u128,
    /// Earlier frames that the failures so far depend on.
    conflict: Conflict,
}

/// A moment of the search, to return to.
#[derive(Clone, Copy)]
struct Mark {
    store: Checkpoint,
    undo: usize,
    between: usize,
    fills: usize,
}

enum Undo<'a> {
    Used(Op),
    Granted(i64, Option<Op>),
    Supplied(&'a Bytes, i64),
}

/// A gap as it is filled, for the naming of conflicts.
#[derive(Clone, Copy)]
struct Fill {
    revision: i64,
    /// What any of its candidates writes, as a mask.
    any_writes: u128,
    /// What the chosen one writes.
    writes: u128,
    /// What decides which of those it writes.
    decided_by: u128,
    /// Its frame, if it has one.
    frame: Option<usize>,
}

pub(super) struct Search<'a, 's> {
    operations: &'s Operations<'a>,
    revisions: &'s Revisions,
    facts: &'s Facts<'a>,
    domains: &'s Domains,
    footprints: &'s Footprints<'a>,
    leases: &'s Leases,
    checks: &'s Checks<'a>,
    /// Lease grants acknowledged at a revision, by revision.
    grants: HashMap<i64, Vec<Op>>,
    gaps: HashMap<i64, Rc<Domain>>,
    store: Store,
    /// Unknown operations taken, and the frame that did.
    used: HashMap<Op, Option<usize>>,
    /// A number for the set of used operations.
    used_print: u128,
    granted_by: HashMap<i64, Op>,
    /// The fills that put to a key in one of its spans, by the span's end.
    supplied: HashMap<(&'a Bytes, i64), Vec<Fill>>,
    writes: Vec<Option<Step>>,
    between: Vec<(i64, Step)>,
    fills: Vec<Fill>,
    undo: Vec<Undo<'a>>,
    frames: Vec<Frame>,
    /// Candidates in all frames.
    held: usize,
    /// Gaps and states in which every candidate has failed.
    failed: HashSet<(i64, u128)>,
    steps: u64,
    /// A choice was made without keeping its alternatives.
    lossy: Option<&'static str>,
    /// Go back to the last choice, whatever a contradiction depends on.
    step_by_step: bool,
}

/// What the search reads.
#[derive(Clone, Copy)]
pub(super) struct Known<'a, 's> {
    pub operations: &'s Operations<'a>,
    pub revisions: &'s Revisions,
    pub facts: &'s Facts<'a>,
    pub domains: &'s Domains,
    pub footprints: &'s Footprints<'a>,
    pub leases: &'s Leases,
    pub checks: &'s Checks<'a>,
}

impl<'a, 's> Search<'a, 's> {
    pub(super) fn new(known: Known<'a, 's>) -> Self {
        let Known {
            operations,
            revisions,
            facts,
            domains,
            footprints,
            leases,
            checks,
        } = known;
        let mut grants: HashMap<i64, Vec<Op>> = HashMap::new();
        for (index, op) in operations.all.iter().enumerate() {
            if let (Role::Read(revision), Request::LeaseGrant { .. }) = (op.role, op.request) {
                grants.entry(revision).or_default().push(index);
            }
        }
        Self {
            operations,
            revisions,
            facts,
            domains,
            footprints,
            leases,
            checks,
            grants,
            gaps: HashMap::new(),
            store: Store::new(),
            used: HashMap::new(),
            used_print: 0,
            granted_by: HashMap::new(),
            supplied: HashMap::new(),
            writes: vec![None; revisions.writer.len()],
            between: Vec::new(),
            fills: Vec::new(),
            undo: Vec::new(),
            frames: Vec::new(),
            held: 0,
            failed: HashSet::new(),
            steps: 0,
            lossy: None,
            step_by_step: false,
        }
    }

    /// Goes back to the last choice at each contradiction: slower, and free of any reasoning about
    /// what a contradiction depends on.
    pub(super) fn step_by_step(mut self) -> Self {
        self.step_by_step = true;
        self
    }

    pub(super) fn run(mut self, options: &Options, progress: &mut Progress) -> Found<'a> {
        let mut revision = 1;
        let mut deepest: Option<Mismatch<'a>> = None;
        let mut open = 0;
        loop {
            progress.steps = self.steps;
            if let Some(why) = self.over_budget(options) {
                return Found::Undecided {
                    reached: revision,
                    why,
                };
            }
            let (mismatch, conflict) = match self.fill(revision) {
                Ok(()) if revision == self.revisions.last => {
                    let Self {
                        writes,
                        between,
                        lossy,
                        ..
                    } = self;
                    return Found::Complete(Placement {
                        writes,
                        between,
                        lossy,
                    });
                }
                Ok(()) => {
                    if self.frames.is_empty() {
                        self.store.forget_changes();
                        self.undo.clear();
                        self.fills.clear();
                    }
                    revision += 1;
                    continue;
                }
                Err(failure) => *failure,
            };
            open = open.max(self.frames.len());
            let deeper = |deepest: &Mismatch| deepest.revision < mismatch.revision;
            if deepest.as_ref().is_none_or(deeper) {
                deepest = Some(mismatch);
            }
            let conflict = if self.step_by_step {
                self.all_frames()
            } else {
                conflict
            };
            match self.back(conflict) {
                Some(from) => revision = from + 1,
                None => {
                    let mismatch = deepest.expect("just set");
                    return match self.lossy {
                        Some(why) => Found::Undecided {
                            reached: mismatch.revision,
                            why: why.to_owned(),
                        },
                        None => Found::Contradiction {
                            mismatch,
                            choices: open,
                        },
                    };
                }
            }
        }
    }

    fn over_budget(&self, options: &Options) -> Option<String> {
        const CHANGE_BYTES: usize = 160;
        if self.steps > options.steps_max {
            return Some(format!("more than {} steps were needed", options.steps_max));
        }
        let bytes = self.store.changes() * CHANGE_BYTES
            + (self.undo.len() + self.fills.len() + self.held + self.failed.len()) * 64;
        if bytes > options.bytes_max {
            return Some(format!("more than {} bytes were needed", options.bytes_max));
        }
        let stopped = options
            .stop
            .is_some_and(|stop| stop.load(Ordering::Relaxed));
        stopped.then(|| "stopped by the caller".to_owned())
    }

    /// Goes back to the last frame that the conflict names and that has an untried candidate,
    /// takes that, and returns the frame's revision.
    fn back(&mut self, mut conflict: Conflict) -> Option<i64> {
        while let Some(mut frame) = self.frames.pop() {
            self.undo_to(frame.mark);
            self.held -= frame.candidates.len();
            if !conflict.take(self.frames.len()) {
                // Whatever is taken here, the contradiction stays.
                continue;
            }
            frame.conflict.merge(&conflict);
            let revision = frame.revision;
            match self.advance(frame) {
                Ok(()) => return Some(revision),
                Err(_) if self.step_by_step => conflict = self.all_frames(),
                Err(failure) => conflict = failure.1,
            }
        }
        None
    }

    fn mark(&self) -> Mark {
        Mark {
            store: self.store.checkpoint(),
            undo: self.undo.len(),
            between: self.between.len(),
            fills: self.fills.len(),
        }
    }

    fn undo_to(&mut self, mark: Mark) {
        self.store.roll_back(mark.store);
        self.between.truncate(mark.between);
        self.fills.truncate(mark.fills);
        while self.undo.len() > mark.undo {
            match self.undo.pop().expect("longer than that") {
                Undo::Used(op) => {
                    self.used.remove(&op);
                    self.used_print ^= Domains::fingerprint(op);
                }
                Undo::Granted(lease, Some(grant)) => {
                    self.granted_by.insert(lease, grant);
                }
                Undo::Granted(lease, None) => {
                    self.granted_by.remove(&lease);
                }
                Undo::Supplied(key, end) => {
                    let supplied = self.supplied.get_mut(&(key, end));
                    supplied.expect("supplied before").pop();
                }
            }
        }
    }

    fn mark_used(&mut self, op: Op, frame: Option<usize>) {
        let before = self.used.insert(op, frame);
        debug_assert!(before.is_none(), "an operation takes effect once");
        self.used_print ^= Domains::fingerprint(op);
        self.undo.push(Undo::Used(op));
    }

    fn note_grant(&mut self, lease: i64, grant: Op) {
        let before = self.granted_by.insert(lease, grant);
        self.undo.push(Undo::Granted(lease, before));
    }
}
