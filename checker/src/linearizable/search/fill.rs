//! Making one revision.

use std::rc::Rc;

use super::super::candidates::{Candidate, Domain};
use super::super::leases::lease_of;
use super::super::operation::{NEVER, Role};
use super::super::revisions::{Op, slot};
use super::conflict::Conflict;
use super::{Fill, Frame, Mismatch, Search, Step, Undo, Why};
use crate::history::Bytes;
use crate::model::Checkpoint;

/// Why a revision cannot be made, and the frames that this depends on.
type Failure<'a> = Box<(Mismatch<'a>, Conflict)>;

impl<'a> Search<'a, '_> {
    /// Makes a revision, by its acknowledged write or by what a gap allows.
    pub(super) fn fill(&mut self, revision: i64) -> Result<(), Failure<'a>> {
        if revision > 1 && self.revisions.writer[slot(revision, self.revisions.last)].is_none() {
            return self.fill_gap(revision);
        }
        self.acknowledged(revision).map_err(|mismatch| {
            let conflict = self.conflict(&mismatch);
            Box::new((mismatch, conflict))
        })
    }

    fn acknowledged(&mut self, revision: i64) -> Result<(), Mismatch<'a>> {
        let at = slot(revision, self.revisions.last);
        self.writes[at] = None;
        if let Some(op) = self.revisions.writer[at] {
            self.steps += 1;
            self.ensure_leases(revision - 1, op, self.revisions.deadline_with[at]);
            self.write(revision, op)?;
            self.writes[at] = Some(Step::Op(op));
        }
        self.after_write(revision)
    }

    fn fill_gap(&mut self, revision: i64) -> Result<(), Failure<'a>> {
        let domain = self.domain(revision);
        let constant = domain.candidates.len() <= 1 && domain.leases == 0;
        let state = if constant {
            0
        } else {
            self.store.fingerprint() ^ self.used_print
        };
        if !constant && self.failed.contains(&(revision, state)) {
            let why = Why::Unfilled { tried: 0 };
            return Err(Box::new((
                Mismatch {
                    revision,
                    op: None,
                    why,
                },
                self.all_frames(),
            )));
        }
        let mut conflict = Conflict::default();
        let mut candidates = Vec::new();
        for candidate in &domain.candidates {
            let Step::Op(op) = candidate.step else {
                continue;
            };
            match self.used.get(&op) {
                None => candidates.push(*candidate),
                Some(Some(frame)) => conflict.add(*frame),
                Some(None) => {}
            }
        }
        if domain.leases != 0 {
            self.lease_candidates(revision, &mut candidates);
            candidates.sort_by_key(|candidate| candidate.rank);
            conflict.merge(&self.culprits(domain.leases, revision));
        }
        let mark = self.mark();
        self.advance(Frame {
            revision,
            candidates,
            next: 0,
            mark,
            state,
            conflict,
        })
    }

    /// Takes the next candidate of a frame that works; keeps the frame where others may have to be
    /// tried.
    pub(super) fn advance(&mut self, mut frame: Frame) -> Result<(), Failure<'a>> {
        let revision = frame.revision;
        let domain = self.domain(revision);
        let constant = domain.candidates.len() <= 1 && domain.leases == 0;
        let place = (!constant).then_some(self.frames.len());
        let mut only = None;
        while let Some(candidate) = frame.candidates.get(frame.next).copied() {
            frame.next += 1;
            match self.try_candidate(revision, candidate, place, &domain) {
                Ok(()) => {
                    if !constant {
                        self.held += frame.candidates.len();
                        self.frames.push(frame);
                    }
                    return Ok(());
                }
                Err(mismatch) => {
                    self.undo_to(frame.mark);
                    frame.conflict.merge(&self.conflict(&mismatch));
                    if let Step::Op(op) = candidate.step {
                        frame.conflict.merge(&self.behind(op, revision));
                    }
                    only = Some(mismatch);
                }
            }
        }
        if !constant {
            self.failed.insert((revision, frame.state));
        }
        let tried = frame.candidates.len();
        let mismatch = match only {
            // A single candidate's own contradiction tells more than "nothing fits".
            Some(mismatch) if tried == 1 => mismatch,
            _ => Mismatch {
                revision,
                op: None,
                why: Why::Unfilled { tried },
            },
        };
        Err(Box::new((mismatch, frame.conflict)))
    }

    /// What may fill a gap whatever the state is.
    fn domain(&mut self, revision: i64) -> Rc<Domain> {
        if let Some(domain) = self.gaps.get(&revision) {
            return domain.clone();
        }
        let deadline = self.gap_deadline(revision, None);
        let mut domain = self
            .domains
            .at(self.operations, self.facts, revision, deadline);
        for lease in self.leases.ending_by(deadline) {
            domain.leases |= self.footprints.lease(lease);
        }
        for (_, op) in self.revisions.revokes_at(revision) {
            domain.leases |= self.footprints.writes(self.operations, *op);
        }
        domain.any_writes = domain
            .candidates
            .iter()
            .fold(domain.leases, |mask, candidate| {
                let Step::Op(op) = candidate.step else {
                    return mask;
                };
                mask | self.footprints.writes(self.operations, op)
            });
        let domain = Rc::new(domain);
        self.gaps.insert(revision, domain.clone());
        domain
    }

    /// What fills the gap was invoked by then: every revocation acknowledged there comes after it,
    /// but for the one that made it.
    fn gap_deadline(&self, revision: i64, made_by: Option<Op>) -> u64 {
        let revokes = self
            .revisions
            .revokes_at(revision)
            .iter()
            .map(|(_, op)| *op);
        let others = revokes.filter(|op| Some(*op) != made_by);
        let first = others
            .map(|op| self.operations.all[op].ret)
            .min()
            .unwrap_or(NEVER);
        first.min(self.revisions.deadline[slot(revision, self.revisions.last)])
    }

    /// Revocations acknowledged at a gap, and expiries, as the state allows them.
    fn lease_candidates(&self, revision: i64, found: &mut Vec<Candidate>) {
        for (_, op) in self.revisions.revokes_at(revision) {
            let operation = &self.operations.all[*op];
            let keys = lease_of(operation).and_then(|id| self.store.lease_keys(id));
            if keys.is_some_and(|keys| !keys.is_empty())
                && operation.call <= self.gap_deadline(revision, Some(*op))
            {
                found.push(Candidate::first(Step::Op(*op)));
            }
        }
        let deadline = self.gap_deadline(revision, None);
        let after = self.revisions.started[slot(revision, self.revisions.last)];
        for (lease, keys) in self.store.leases().filter(|(_, keys)| !keys.is_empty()) {
            let Some(grant) = self.granted_by.get(&lease).copied() else {
                continue;
            };
            let operation = &self.operations.all[grant];
            let unchanged = |key| self.facts.unchanged(key, revision).is_some();
            if self.leases.earliest_expiry(lease, operation, after) <= deadline
                && !keys.iter().any(unchanged)
            {
                let step = Step::Expiry { lease, grant };
                found.push(Candidate::expiry(step, self.operations, revision, keys));
            }
        }
    }

    fn try_candidate(
        &mut self,
        revision: i64,
        candidate: Candidate,
        frame: Option<usize>,
        domain: &Domain,
    ) -> Result<(), Mismatch<'a>> {
        self.steps += 1;
        let at = slot(revision, self.revisions.last);
        let any_writes = domain.any_writes;
        let fill = |writes, decided_by| Fill {
            revision,
            any_writes,
            writes,
            decided_by,
            frame,
        };
        let fill = match candidate.step {
            Step::Op(op) => {
                let before = self.store.checkpoint();
                let maybe = self.operations.all[op].role == Role::Maybe;
                if maybe {
                    self.mark_used(op, frame);
                    self.ensure_leases(revision - 1, op, self.revisions.deadline_with[at]);
                }
                self.write(revision, op)?;
                let writes = self.footprints.writes(self.operations, op);
                let fill = fill(writes, self.footprints.decides(self.operations, op));
                self.supply(op, fill, before)?;
                fill
            }
            Step::Expiry { lease, .. } => {
                let answer = self.store.revoke(lease);
                debug_assert!(answer.is_ok() && self.store.revision() == revision);
                fill(self.footprints.lease(lease), 0)
            }
        };
        self.fills.push(fill);
        self.writes[at] = Some(candidate.step);
        self.after_write(revision)
    }

    /// Counts unknown puts against those that the versions shown around them leave room for.
    fn supply(&mut self, op: Op, fill: Fill, before: Checkpoint) -> Result<(), Mismatch<'a>> {
        let revision = fill.revision;
        let facts = self.facts;
        let mut put: Vec<&'a Bytes> = Vec::new();
        for key in self.store.changed_since(before) {
            if let Some((known, _)) = facts.keys.get_key_value(key)
                && self.store.get(key).is_some()
                && !put.contains(known)
            {
                put.push(known);
            }
        }
        for key in put {
            let Some(span) = facts.span(key, revision) else {
                continue;
            };
            let supplied = self.supplied.entry((key, span.before)).or_default();
            if supplied.len() >= usize::try_from(span.missing).unwrap_or(0) {
                let why = Why::OneTooMany {
                    key,
                    before: span.before,
                };
                return Err(Mismatch {
                    revision,
                    op: Some(op),
                    why,
                });
            }
            supplied.push(fill);
            self.undo.push(Undo::Supplied(key, span.before));
        }
        Ok(())
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
                let why = Why::Answer(difference);
                return Err(Mismatch {
                    revision,
                    op: Some(check.op),
                    why,
                });
            }
        }
        Ok(())
    }
}
