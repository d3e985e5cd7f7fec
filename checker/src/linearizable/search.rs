//! The replay of all revisions, with a search over what filled the gaps.
//!
//! Revision by revision: the acknowledged write is applied and its answer compared; at a gap each
//! unknown write, and each expiry of a lease, that real time and the answers allow is tried in
//! turn; then every answer that shows this revision is compared. The first contradiction sends the
//! search back to the last gap with an untried candidate.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::candidates::{Candidate, Domains};
use super::content::Checks;
use super::facts::{Facts, Shown};
use super::leases::{Leases, lease_of};
use super::operation::{NEVER, Operations, Role};
use super::revisions::{Op, Revisions, slot};
use super::{Options, Progress};
use crate::history::Request;
use crate::model::{Checkpoint, Difference, Refusal, Store};

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
    /// Nothing can have made this revision.
    Unfilled { tried: usize },
}

/// How the search ended.
pub(super) enum Found<'a> {
    /// Every revision is filled.
    Complete(Placement),
    /// A contradiction; whether it holds whatever fills the gaps.
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

struct ChoicePoint {
    revision: i64,
    candidates: Vec<Candidate>,
    next: usize,
    store: Checkpoint,
    undo: usize,
    between: usize,
    key: Option<(i64, u128)>,
}

enum Undo {
    Used(Op),
    Granted(i64, Option<Op>),
}

pub(super) struct Search<'a, 's> {
    operations: &'s Operations<'a>,
    revisions: &'s Revisions,
    facts: &'s Facts<'a>,
    domains: &'s Domains,
    leases: &'s Leases,
    checks: &'s Checks<'a>,
    /// Lease grants acknowledged at a revision, by revision.
    grants: HashMap<i64, Vec<Op>>,
    store: Store,
    used: HashSet<Op>,
    /// A number for the set of used operations.
    used_print: u128,
    granted_by: HashMap<i64, Op>,
    writes: Vec<Option<Step>>,
    between: Vec<(i64, Step)>,
    undo: Vec<Undo>,
    stack: Vec<ChoicePoint>,
    steps: u64,
    /// A choice was made without keeping its alternatives.
    lossy: Option<&'static str>,
}

impl<'a, 's> Search<'a, 's> {
    pub(super) fn new(
        operations: &'s Operations<'a>,
        revisions: &'s Revisions,
        facts: &'s Facts<'a>,
        domains: &'s Domains,
        leases: &'s Leases,
        checks: &'s Checks<'a>,
    ) -> Self {
        let mut grants: HashMap<i64, Vec<Op>> = HashMap::new();
        for (index, op) in operations.all.iter().enumerate() {
            if let (Role::Read(revision), Request::LeaseGrant { .. }) = (op.role, op.request) {
                grants.entry(revision).or_default().push(index);
            }
        }
        let size = revisions.writer.len();
        Self {
            operations,
            revisions,
            facts,
            domains,
            leases,
            checks,
            grants,
            store: Store::new(),
            used: HashSet::new(),
            used_print: 0,
            granted_by: HashMap::new(),
            writes: vec![None; size],
            between: Vec::new(),
            undo: Vec::new(),
            stack: Vec::new(),
            steps: 0,
            lossy: None,
        }
    }

    pub(super) fn run(mut self, options: &Options, progress: &mut Progress) -> Found<'a> {
        let mut revision = 1;
        let mut deepest: Option<Mismatch<'a>> = None;
        let mut branched = 0;
        let mut failed: HashSet<(i64, u128)> = HashSet::new();
        loop {
            progress.steps = self.steps;
            if let Some(why) = self.over_budget(options, failed.len()) {
                return Found::Undecided {
                    reached: revision,
                    why,
                };
            }
            let result = if revision == 1 {
                self.after_write(1)
            } else {
                self.fill(revision, &failed)
            };
            let mismatch = match result {
                Ok(()) if revision == self.revisions.last => {
                    return Found::Complete(Placement {
                        writes: self.writes,
                        between: self.between,
                        lossy: self.lossy,
                    });
                }
                Ok(()) => {
                    if self.stack.is_empty() {
                        self.store.forget_changes();
                        self.undo.clear();
                    }
                    revision += 1;
                    continue;
                }
                Err(mismatch) => mismatch,
            };
            branched = branched.max(self.stack.len());
            if deepest
                .as_ref()
                .is_none_or(|deepest| deepest.revision < mismatch.revision)
            {
                deepest = Some(mismatch);
            }
            match self.back(&mut failed) {
                Some(from) => revision = from,
                None => {
                    let mismatch = deepest.expect("just set");
                    return match self.lossy {
                        Some(why) => Found::Undecided {
                            reached: mismatch.revision,
                            why: why.to_owned(),
                        },
                        None => Found::Contradiction {
                            mismatch,
                            choices: branched,
                        },
                    };
                }
            }
        }
    }

    fn over_budget(&self, options: &Options, failed: usize) -> Option<String> {
        const CHANGE_BYTES: usize = 160;
        if self.steps > options.steps_max {
            return Some(format!("more than {} steps were needed", options.steps_max));
        }
        let bytes = self.store.changes() * CHANGE_BYTES + self.undo.len() * 24 + failed * 64;
        if bytes > options.bytes_max {
            return Some(format!("more than {} bytes were needed", options.bytes_max));
        }
        let stopped = options
            .stop
            .is_some_and(|stop| stop.load(Ordering::Relaxed));
        stopped.then(|| "stopped by the caller".to_owned())
    }

    /// Undoes up to the last gap with an untried candidate, takes that, and returns the revision
    /// to go on with.
    fn back(&mut self, failed: &mut HashSet<(i64, u128)>) -> Option<i64> {
        while let Some(mut point) = self.stack.pop() {
            self.undo_to(point.store, point.undo, point.between);
            while point.next < point.candidates.len() {
                let candidate = point.candidates[point.next];
                point.next += 1;
                if self.try_candidate(point.revision, candidate).is_ok() {
                    let revision = point.revision;
                    self.stack.push(point);
                    return Some(revision + 1);
                }
                self.undo_to(point.store, point.undo, point.between);
            }
            if let Some(key) = point.key {
                failed.insert(key);
            }
        }
        None
    }

    fn undo_to(&mut self, store: Checkpoint, undo: usize, between: usize) {
        self.store.roll_back(store);
        self.between.truncate(between);
        while self.undo.len() > undo {
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
            }
        }
    }

    fn mark_used(&mut self, op: Op) {
        if self.used.insert(op) {
            self.used_print ^= Domains::fingerprint(op);
            self.undo.push(Undo::Used(op));
        }
    }

    fn note_grant(&mut self, lease: i64, grant: Op) {
        let before = self.granted_by.insert(lease, grant);
        self.undo.push(Undo::Granted(lease, before));
    }

    /// Makes a revision, by its acknowledged write or by what a gap allows.
    fn fill(&mut self, revision: i64, failed: &HashSet<(i64, u128)>) -> Result<(), Mismatch<'a>> {
        let at = slot(revision, self.revisions.last);
        if let Some(op) = self.revisions.writer[at] {
            self.steps += 1;
            self.ensure_leases(revision - 1, op, self.revisions.deadline_with[at]);
            self.write(revision, op)?;
            self.writes[at] = Some(Step::Op(op));
            return self.after_write(revision);
        }
        let candidates = self.candidates(revision);
        let tried = candidates.len();
        let key = (tried > 1).then(|| (revision, self.fingerprint()));
        if key.is_some_and(|key| failed.contains(&key)) {
            return Err(Mismatch {
                revision,
                op: None,
                why: Why::Unfilled { tried },
            });
        }
        let (store, undo, between) = (self.store.checkpoint(), self.undo.len(), self.between.len());
        let mut first = None;
        for (index, candidate) in candidates.iter().enumerate() {
            match self.try_candidate(revision, *candidate) {
                Ok(()) => {
                    if index + 1 < tried {
                        let next = index + 1;
                        self.stack.push(ChoicePoint {
                            revision,
                            candidates,
                            next,
                            store,
                            undo,
                            between,
                            key,
                        });
                    }
                    return Ok(());
                }
                Err(mismatch) => {
                    first.get_or_insert(mismatch);
                    self.undo_to(store, undo, between);
                }
            }
        }
        match first {
            // A single candidate's own contradiction tells more than "nothing fits".
            Some(mismatch) if tried == 1 => Err(mismatch),
            _ => Err(Mismatch {
                revision,
                op: None,
                why: Why::Unfilled { tried },
            }),
        }
    }

    fn fingerprint(&self) -> u128 {
        self.store.fingerprint() ^ self.used_print
    }

    fn candidates(&self, revision: i64) -> Vec<Candidate> {
        let at = slot(revision, self.revisions.last);
        let deadline = self.revisions.deadline[at];
        let mut found = Vec::new();
        let revokes = self.revisions.revokes_at(revision);
        // Any other revocation acknowledged here comes after what made the revision.
        let ret_of_others = |op: Option<Op>| {
            let others = revokes.iter().filter(|(_, other)| Some(*other) != op);
            let returns = others.map(|(_, other)| self.operations.all[*other].ret);
            returns.min().unwrap_or(NEVER).min(deadline)
        };
        for (_, op) in revokes {
            let operation = &self.operations.all[*op];
            let keys = lease_of(operation).and_then(|id| self.store.lease_keys(id));
            if keys.is_some_and(|keys| !keys.is_empty())
                && operation.call <= ret_of_others(Some(*op))
            {
                found.push(Candidate::first(Step::Op(*op)));
            }
        }
        let deadline = ret_of_others(None);
        self.domains.collect(
            self.operations,
            self.facts,
            revision,
            deadline,
            &self.used,
            &mut found,
        );
        for (lease, keys) in self.store.leases().filter(|(_, keys)| !keys.is_empty()) {
            let Some(grant) = self.granted_by.get(&lease) else {
                continue;
            };
            let op = &self.operations.all[*grant];
            let after = self.revisions.started[at];
            if self.leases.earliest_expiry(lease, op, after) <= deadline
                && !keys
                    .iter()
                    .any(|key| self.facts.unchanged(key, revision).is_some())
            {
                let step = Step::Expiry {
                    lease,
                    grant: *grant,
                };
                found.push(Candidate::expiry(step, self.operations, revision, keys));
            }
        }
        found.sort_by_key(|candidate| candidate.rank);
        found
    }

    fn try_candidate(&mut self, revision: i64, candidate: Candidate) -> Result<(), Mismatch<'a>> {
        self.steps += 1;
        let at = slot(revision, self.revisions.last);
        match candidate.step {
            Step::Op(op) => {
                self.mark_used(op);
                if self.operations.all[op].role == Role::Maybe {
                    self.ensure_leases(revision - 1, op, self.revisions.deadline_with[at]);
                }
                self.write(revision, op)?;
            }
            Step::Expiry { lease, .. } => {
                let answer = self.store.revoke(lease);
                debug_assert!(answer.is_ok() && self.store.revision() == revision);
            }
        }
        self.writes[at] = Some(candidate.step);
        self.after_write(revision)
    }

    /// Applies a write that must make this revision.
    fn write(&mut self, revision: i64, index: Op) -> Result<(), Mismatch<'a>> {
        let op = &self.operations.all[index];
        let fail = |why| {
            Err(Mismatch {
                revision,
                op: Some(index),
                why,
            })
        };
        let before = self.store.checkpoint();
        let answer = match self.store.apply(op.request) {
            Ok(answer) => answer,
            Err(refusal) => return fail(Why::Refused(refusal)),
        };
        if let Some(response) = op.response()
            && let Err(difference) = answer.agrees_with(response)
        {
            return fail(Why::Answer(difference));
        }
        if self.store.revision() != revision {
            return fail(Why::NoEffect);
        }
        let mut changed = self.store.changed_since(before);
        if let Some(shown) = changed.find_map(|key| self.facts.unchanged(key, revision)) {
            return fail(Why::Overwrites(shown));
        }
        Ok(())
    }

    /// What stands between the write of a revision and the next one.
    fn after_write(&mut self, revision: i64) -> Result<(), Mismatch<'a>> {
        self.lease_operations(revision)?;
        for check in self.checks.at(revision) {
            self.steps += 1;
            if let Err(difference) = check.judge(&self.operations.all[check.op], &mut self.store) {
                return Err(Mismatch {
                    revision,
                    op: Some(check.op),
                    why: Why::Answer(difference),
                });
            }
        }
        Ok(())
    }

    /// Grants at a revision, and revocations that took no revision: those of one lease in any
    /// order that works, by call where several do.
    fn lease_operations(&mut self, revision: i64) -> Result<(), Mismatch<'a>> {
        let at = slot(revision, self.revisions.last);
        let made_it = self.writes[at];
        let revokes = self
            .revisions
            .revokes_at(revision)
            .iter()
            .map(|(_, op)| *op);
        let revokes = revokes.filter(|op| made_it != Some(Step::Op(*op)));
        let grants = self.grants.get(&revision).into_iter().flatten().copied();
        let mut waiting: Vec<Op> = revokes.chain(grants).collect();
        waiting.sort_by_key(|op| (self.operations.all[*op].call, *op));
        let mut leases: Vec<_> = waiting
            .iter()
            .map(|op| lease_of(&self.operations.all[*op]))
            .collect();
        leases.sort_unstable();
        let several = leases.windows(2).any(|pair| pair[0] == pair[1]);
        while !waiting.is_empty() {
            let all = &self.operations.all;
            let first_return = waiting
                .iter()
                .map(|op| all[*op].ret)
                .min()
                .expect("not empty");
            let in_time = waiting.partition_point(|op| all[*op].call <= first_return);
            let attempts = [false, true].into_iter().flat_map(|hidden| {
                waiting[..in_time]
                    .iter()
                    .enumerate()
                    .map(move |(i, op)| (i, *op, hidden))
            });
            let mut ready = None;
            for (i, op, hidden) in attempts {
                if self.between_write(revision, op, hidden).is_ok() {
                    ready = Some(i);
                    break;
                }
            }
            let Some(next) = ready else {
                // Another order of grants and revocations of one lease might have worked.
                if several {
                    self.lossy = Some("a lease was granted and revoked at one revision");
                }
                return self.between_write(revision, waiting[0], true);
            };
            waiting.remove(next);
            self.steps += 1;
        }
        Ok(())
    }

    /// A grant or an empty revocation; with `hidden`, unknown operations may come to its help.
    fn between_write(
        &mut self,
        revision: i64,
        index: Op,
        hidden: bool,
    ) -> Result<(), Mismatch<'a>> {
        let op = &self.operations.all[index];
        let lease = lease_of(op).expect("a grant or a revocation");
        let fail = |why| {
            Err(Mismatch {
                revision,
                op: Some(index),
                why,
            })
        };
        let deadline = op.ret.min(self.revisions.before_next_write(revision));
        if matches!(op.request, Request::LeaseGrant { .. }) {
            let attached = self.store.lease_keys(lease).map(|keys| !keys.is_empty());
            if hidden && attached == Some(false) {
                self.end_quietly(revision, lease, deadline);
            }
            if let Err(refusal) = self.store.grant(lease) {
                return fail(Why::Refused(refusal));
            }
            self.note_grant(lease, index);
        } else {
            if hidden {
                self.ensure_lease(revision, lease, deadline);
            }
            match self.store.lease_keys(lease) {
                None => return fail(Why::Refused(Refusal::LeaseNotFound)),
                Some(keys) if !keys.is_empty() => return fail(Why::Effect),
                Some(_) => self.store.revoke(lease).expect("it is there"),
            };
        }
        self.between.push((revision, Step::Op(index)));
        Ok(())
    }

    /// Takes unknown grants for the leases that a write needs.
    fn ensure_leases(&mut self, revision: i64, op: Op, deadline: u64) {
        if self.leases.maybe_grants.is_empty() {
            return;
        }
        let mut needed = Vec::new();
        self.operations.all[op]
            .each_put(|put| needed.extend((put.lease != 0).then_some(put.lease)));
        if let Request::LeaseRevoke { id } = self.operations.all[op].request {
            needed.push(*id);
        }
        for lease in needed {
            self.ensure_lease(revision, lease, deadline);
        }
    }

    fn ensure_lease(&mut self, revision: i64, lease: i64, deadline: u64) {
        if self.store.lease_keys(lease).is_some() {
            return;
        }
        let maybe = self
            .leases
            .maybe_grants
            .get(&lease)
            .map_or(&[][..], Vec::as_slice);
        let usable =
            |op: &&Op| !self.used.contains(op) && self.operations.all[**op].call <= deadline;
        let mut usable = maybe.iter().filter(usable).copied();
        let Some(grant) = usable.next() else { return };
        if usable.next().is_some() {
            self.lossy = Some("several grants of one lease have unknown results");
        }
        self.mark_used(grant);
        self.store.grant(lease).expect("it is not there");
        self.note_grant(lease, grant);
        self.between.push((revision, Step::Op(grant)));
    }

    /// Ends a lease without keys by an unknown revocation or by expiry, so that it can be granted
    /// again.
    fn end_quietly(&mut self, revision: i64, lease: i64, deadline: u64) {
        let at = slot(revision, self.revisions.last);
        let Some(grant) = self.granted_by.get(&lease).copied() else {
            return;
        };
        self.lossy = Some("a lease is granted again, and how it ended is not known");
        let expiry = self.leases.earliest_expiry(
            lease,
            &self.operations.all[grant],
            self.revisions.started[at],
        );
        let maybe = self
            .leases
            .maybe_revokes
            .get(&lease)
            .map_or(&[][..], Vec::as_slice);
        let usable =
            |op: &&Op| !self.used.contains(op) && self.operations.all[**op].call <= deadline;
        let step = match maybe.iter().find(usable) {
            Some(op) => Step::Op(*op),
            None if expiry <= deadline => Step::Expiry { lease, grant },
            None => return,
        };
        if let Step::Op(op) = step {
            self.mark_used(op);
        }
        self.store.revoke(lease).expect("it is there");
        self.between.push((revision, step));
    }
}
