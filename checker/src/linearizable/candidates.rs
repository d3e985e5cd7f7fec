//! What may fill a gap: unknown writes, by real time and by what answers show.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::facts::{Facts, event_is_put};
use super::operation::{Operations, Role};
use super::revisions::Op;
use super::search::Step;
use crate::history::{Bytes, EventKind, PutRequest, Request, TxnOp};

/// One candidate for a gap; the lower rank is tried first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub step: Step,
    pub rank: Rank,
}

/// Whether a watch event speaks for it (0 if so), the end of the span that still needs a put, and
/// the call.
pub(super) type Rank = (u8, i64, u64);

impl Candidate {
    pub(super) fn first(step: Step) -> Self {
        Self {
            step,
            rank: (0, 0, 0),
        }
    }

    pub(super) fn expiry(
        step: Step,
        operations: &Operations,
        revision: i64,
        keys: &BTreeSet<Bytes>,
    ) -> Self {
        let events = operations
            .events
            .get(&revision)
            .map_or(&[][..], Vec::as_slice);
        let speaks = events
            .iter()
            .any(|e| e.kind == EventKind::Delete && keys.contains(&e.kv.key));
        Self {
            step,
            rank: (u8::from(!speaks), i64::MAX, u64::MAX),
        }
    }
}

/// What may fill a gap.
#[derive(Debug, Default)]
pub(super) struct Domain {
    /// Unknown writes, by rank.
    pub candidates: Vec<Candidate>,
    /// Leases whose end may fill it too, and the keys that may be attached to them, as a mask:
    /// which do depends on the state.
    pub leases: u128,
    /// What any of these writes, as a mask.
    pub any_writes: u128,
}

/// Unknown writes, and those of them that an answer ties to one revision.
pub(super) struct Domains {
    /// In the order of calls.
    maybe: Vec<Op>,
    /// The only unknown writer of a value that is shown at a gap, and that gap.
    tied: HashMap<Op, i64>,
}

impl Domains {
    pub(super) fn of(operations: &Operations, facts: &Facts) -> Self {
        let all = &operations.all;
        let changes_keys = |op: &Op| {
            all[*op].role == Role::Maybe && !matches!(all[*op].request, Request::LeaseGrant { .. })
        };
        let mut maybe: Vec<Op> = (0..all.len()).filter(changes_keys).collect();
        maybe.sort_by_key(|op| (all[*op].call, *op));
        let mut tied = HashMap::new();
        for (gap, values) in &facts.gap_values {
            for shown in values {
                let writers = facts.maybe_puts.get(&(&shown.kv.key, &shown.kv.value));
                if let Some([only]) = writers.map(Vec::as_slice)
                    && !facts.maybe_kept.contains(&shown.kv.key)
                {
                    tied.insert(*only, *gap);
                }
            }
        }
        Self { maybe, tied }
    }

    /// How many unknown writes were called by a time.
    pub(super) fn called_by(&self, operations: &Operations, time: u64) -> usize {
        self.maybe
            .partition_point(|op| operations.all[*op].call <= time)
    }

    /// The unknown writes that may have made a revision, by time and by what answers show.
    pub(super) fn at(
        &self,
        operations: &Operations,
        facts: &Facts,
        revision: i64,
        deadline: u64,
    ) -> Domain {
        let mut domain = Domain::default();
        let shown = facts
            .gap_values
            .get(&revision)
            .map_or(&[][..], Vec::as_slice);
        let events = operations
            .events
            .get(&revision)
            .map_or(&[][..], Vec::as_slice);
        for index in &self.maybe[..self.called_by(operations, deadline)] {
            let op = &operations.all[*index];
            if self.tied.get(index).is_some_and(|gap| *gap != revision)
                || cannot_write(op.request, facts, revision, !shown.is_empty())
            {
                continue;
            }
            let mut writes = vec![false; shown.len()];
            let mut speaks = false;
            let mut span_end = i64::MAX;
            op.each_put(|put| {
                for (value, written) in shown.iter().zip(&mut writes) {
                    *written |= value.kv.key == put.key
                        && (put.ignore_value || value.kv.value == put.value);
                }
                speaks |= events
                    .iter()
                    .any(|event| event_is_put(event, &put.key, &put.value));
                if let Some(span) = facts
                    .span(&put.key, revision)
                    .filter(|span| span.missing > 0)
                {
                    span_end = span_end.min(span.before);
                }
            });
            if writes.contains(&false) {
                continue;
            }
            if let Request::Delete(delete) = op.request {
                speaks |= events.iter().any(|event| {
                    event.kind == EventKind::Delete
                        && covers(&delete.key, &delete.range_end, &event.kv.key)
                });
            }
            let rank = (u8::from(!speaks), span_end, op.call);
            domain.candidates.push(Candidate {
                step: Step::Op(*index),
                rank,
            });
        }
        domain.candidates.sort_by_key(|candidate| candidate.rank);
        domain
    }

    /// A number for an operation; the set of used ones has the exclusive or of theirs.
    pub(super) fn fingerprint(op: Op) -> u128 {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let low = hasher.hash_one((op, 1_u8));
        let high = hasher.hash_one((op, 2_u8));
        u128::from(high) << 64 | u128::from(low)
    }
}

/// Whether what answers show of single keys rules a write out at a revision.
fn cannot_write(request: &Request, facts: &Facts, revision: i64, is_shown: bool) -> bool {
    match request {
        Request::Put(put) => cannot_put(put, facts, revision),
        // A revision that shows a put is not a delete's.
        Request::Delete(_) | Request::LeaseRevoke { .. } if is_shown => true,
        Request::Delete(delete) if delete.range_end.is_empty() => {
            facts.unchanged(&delete.key, revision).is_some()
                || facts.span(&delete.key, revision).is_some()
        }
        Request::Txn(txn) => {
            let cannot = |branch: &[TxnOp]| {
                let writes = |op: &TxnOp| !matches!(op, TxnOp::Range(_));
                let ruled_out =
                    |op: &TxnOp| matches!(op, TxnOp::Put(put) if cannot_put(put, facts, revision));
                !branch.iter().any(writes) || branch.iter().any(ruled_out)
            };
            cannot(&txn.success) && cannot(&txn.failure)
        }
        _ => false,
    }
}

fn cannot_put(put: &PutRequest, facts: &Facts, revision: i64) -> bool {
    facts.unchanged(&put.key, revision).is_some()
        || facts
            .span(&put.key, revision)
            .is_some_and(|span| span.missing <= 0)
}

fn covers(key: &Bytes, end: &Bytes, one: &Bytes) -> bool {
    use std::ops::RangeBounds as _;
    crate::model::bounds(key, end).is_some_and(|bounds| bounds.contains(&one))
}
