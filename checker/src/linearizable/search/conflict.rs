//! Which earlier choices a contradiction depends on.

use super::super::footprint::ANYTHING;
use super::super::revisions::Op;
use super::{Mismatch, Search, Why};
use crate::history::{RangeRequest, Request};

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

impl<'a> Search<'a, '_> {
    /// The frames that the state of some keys depends on: those at which any candidate writes one
    /// of them, and so on for the keys that a chosen write's effect depends on.
    pub(super) fn culprits(&self, mut keys: u128) -> Conflict {
        let mut conflict = Conflict::default();
        for fill in self.fills.iter().rev() {
            if fill.any_writes & keys == 0 {
                continue;
            }
            if let Some(frame) = fill.frame {
                conflict.add(frame);
            }
            if fill.writes & keys != 0 {
                keys |= fill.reads;
            }
        }
        conflict
    }

    /// Every frame.
    pub(super) fn all_frames(&self) -> Conflict {
        let mut conflict = Conflict::default();
        (0..self.frames.len()).for_each(|frame| conflict.add(frame));
        conflict
    }

    /// The keys whose state makes a mismatch.
    pub(super) fn concerned(&self, mismatch: &Mismatch<'a>) -> u128 {
        let Some(op) = mismatch.op else {
            return ANYTHING;
        };
        match (&mismatch.why, self.operations.all[op].request) {
            // Without a limit each key is shown or not for itself.
            (Why::Answer(difference), Request::Range(RangeRequest { limit: 0, .. })) => {
                match &difference.key {
                    Some(key) => self.footprints.key(key),
                    None => self.footprints.touches(self.operations, op),
                }
            }
            _ => self.footprints.touches(self.operations, op),
        }
    }

    /// The keys that a candidate's effect, or its failure, depends on.
    pub(super) fn touched_by(&self, op: Op) -> u128 {
        self.footprints.touches(self.operations, op)
    }
}
