//! Which earlier choices a contradiction depends on.

use super::super::facts::Facts;
use super::super::footprint::{Footprints, KEY_BITS};
use super::super::leases::lease_of;
use super::super::revisions::Op;
use super::{Mismatch, Search, Why};
use crate::history::{KeyValue, RangeRequest, Request};
use crate::model::{Difference, DifferenceKind, Side};

/// A set of frames, by their place on the stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conflict {
    words: Vec<u64>,
}

impl Conflict {
    pub(super) fn add(&mut self, frame: usize) {
        let word = frame / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (frame % 64);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (own, other) in self.words.iter_mut().zip(&other.words) {
            *own |= other;
        }
    }

    /// Takes a frame out; whether it was in.
    pub(super) fn take(&mut self, frame: usize) -> bool {
        let Some(word) = self.words.get_mut(frame / 64) else {
            return false;
        };
        let bit = 1 << (frame % 64);
        let was_in = *word & bit != 0;
        *word &= !bit;
        was_in
    }
}

/// Keys and leases, each from the revision on at which its changes matter.
struct Concern<'a, 's> {
    facts: &'s Facts<'a>,
    footprints: &'s Footprints<'a>,
    mask: u128,
    since: [i64; 128],
}

impl Concern<'_, '_> {
    /// Adds what decides the state of some keys and leases just before a revision, from `floor`
    /// on: what an answer has settled before needs no looking into.
    fn add(&mut self, mask: u128, before: i64, floor: i64) {
        let mut bits = mask;
        while bits != 0 {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let key = self.footprints.key_of(bit).filter(|_| bit < KEY_BITS);
            let settled = key.map_or(0, |key| self.facts.settled(key, before));
            let since = floor.max(settled + 1);
            let known = self.mask >> bit & 1 == 1;
            self.since[bit] = if known {
                self.since[bit].min(since)
            } else {
                since
            };
        }
        self.mask |= mask;
    }

    /// Those of a mask that a change at a revision matters to.
    fn at(&self, revision: i64, mask: u128) -> u128 {
        let mut bits = mask & self.mask;
        let mut left = bits;
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            if self.since[bit as usize] > revision {
                bits &= !(1 << bit);
            }
        }
        bits
    }
}

impl<'a, 's> Search<'a, 's> {
    fn concern(&self) -> Concern<'a, 's> {
        let (facts, footprints) = (self.facts, self.footprints);
        Concern {
            facts,
            footprints,
            mask: 0,
            since: [0; 128],
        }
    }

    /// The frames that the concern depends on: those at which any candidate writes one of its
    /// keys, and so on for what decides the branch of a transaction that was chosen.
    fn blame(&self, mut concern: Concern) -> Conflict {
        let mut conflict = Conflict::default();
        for fill in self.fills.iter().rev() {
            if concern.at(fill.revision, fill.any_writes) == 0 {
                continue;
            }
            if let Some(frame) = fill.frame {
                conflict.add(frame);
            }
            if concern.at(fill.revision, fill.writes) != 0 {
                concern.add(fill.decided_by, fill.revision, 0);
            }
        }
        conflict
    }

    /// The frames that the state of some keys and leases before a revision depends on.
    pub(super) fn culprits(&self, mask: u128, before: i64) -> Conflict {
        let mut concern = self.concern();
        concern.add(mask, before, 0);
        self.blame(concern)
    }

    /// Every frame.
    pub(super) fn all_frames(&self) -> Conflict {
        let mut conflict = Conflict::default();
        (0..self.frames.len()).for_each(|frame| conflict.add(frame));
        conflict
    }

    /// The frames that a mismatch depends on.
    pub(super) fn conflict(&self, mismatch: &Mismatch<'a>) -> Conflict {
        let Some(op) = mismatch.op else {
            return self.all_frames();
        };
        let operation = &self.operations.all[op];
        let touched = self.footprints.touches(self.operations, op);
        // Grants with unknown results come to help wherever they are needed.
        let grants = &self.leases.maybe_grants;
        let by_grants = matches!(mismatch.why, Why::Refused(_) | Why::Effect) && !grants.is_empty();
        if by_grants || lease_of(operation).is_some_and(|lease| grants.contains_key(&lease)) {
            return self.all_frames();
        }
        if let (Why::Overwrites(_), Request::Put(_)) = (&mismatch.why, operation.request) {
            // A put changes its key in any state.
            return Conflict::default();
        }
        let mut concern = self.concern();
        let (mut keys, mut floor) = (touched, 0);
        // Without a limit each key is shown or not for itself.
        let each_alone = match operation.request {
            Request::Range(RangeRequest { limit: 0, .. }) | Request::Put(_) => true,
            Request::Delete(delete) => delete.range_end.is_empty(),
            _ => false,
        };
        if let (Why::Answer(difference), true) = (&mismatch.why, each_alone)
            && let Some(key) = &difference.key
            && difference.kind != DifferenceKind::Order
        {
            keys = self.footprints.key(key);
            floor = matters_since(difference);
        }
        concern.add(keys, mismatch.revision, floor);
        let mut conflict = self.blame(concern);
        if let Why::OneTooMany { key, before } = mismatch.why {
            let mut concern = self.concern();
            concern.add(
                self.footprints.decides(self.operations, op),
                mismatch.revision,
                0,
            );
            let suppliers = &self.supplied[&(key, before)];
            for fill in suppliers {
                concern.add(fill.decided_by, fill.revision, 0);
            }
            conflict = self.blame(concern);
            suppliers
                .iter()
                .filter_map(|fill| fill.frame)
                .for_each(|frame| conflict.add(frame));
        }
        conflict
    }

    /// The frames that a candidate's own effect depends on.
    pub(super) fn behind(&self, op: Op, revision: i64) -> Conflict {
        self.culprits(self.footprints.decides(self.operations, op), revision)
    }
}

/// The first revision at which a write to the key can have made a difference about it, given that
/// the answer must come out right in any case.
fn matters_since(difference: &Difference) -> i64 {
    let (Side::KeyValue(own), Side::KeyValue(answered)) =
        (&difference.expected, &difference.answered)
    else {
        return 0;
    };
    match (own, answered) {
        // It was written and stayed, or was written and is gone.
        (Some(kv), None) | (None, Some(kv)) => kv.mod_revision,
        (Some(own), Some(answered)) => differs_since(own, answered),
        (None, None) => 0,
    }
}

fn differs_since(own: &KeyValue, answered: &KeyValue) -> i64 {
    if own.mod_revision != answered.mod_revision {
        // One of the two was overwritten at the other's revision.
        own.mod_revision.max(answered.mod_revision)
    } else if own.create_revision != answered.create_revision {
        own.create_revision.min(answered.create_revision)
    } else if own.version != answered.version {
        own.create_revision
    } else {
        0
    }
}
