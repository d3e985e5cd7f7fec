//! What a replay of the whole order proves.

use super::super::layout::Conflict;
use super::super::operation::Role;
use super::super::revisions::Op;
use super::super::search::{Mismatch, Why};
use super::{Teller, push_once, what};
use crate::history::Bytes;
use crate::model::{Difference, DifferenceKind, Refusal, Side};
use crate::verdict::Finding;

impl Teller<'_, '_> {
    /// Why compactions, and errors that speak of revisions, have no place.
    pub(in super::super) fn conflict(&self, conflict: Conflict) -> Finding {
        match conflict {
            Conflict::RealTime { earlier, later } => {
                let (one, other) = (self.name(earlier), self.name(later));
                let title = format!("{one} must come before {other}, but was invoked after it");
                let lines = vec![
                    format!("{other} was {}.", self.times(later)),
                    format!("{one} was {}.", self.times(earlier)),
                    self.why_first(earlier, later),
                ];
                self.finding(title, lines, &[later, earlier])
            }
            Conflict::ReadBelowCompaction { read, compaction } => {
                let title = format!("{} read what had been compacted", self.name(read));
                let lines = vec![
                    format!("{} was acknowledged.", self.full(compaction)),
                    format!(
                        "It was acknowledged at a lower revision than {} returned, so it came \
                         first, and the read had to be refused.",
                        self.full(read)
                    ),
                ];
                self.finding(title, lines, &[compaction, read])
            }
            Conflict::CompactionOfFuture { compaction, header } => {
                let name = self.name(compaction);
                let title = format!("{name} was acknowledged when the store was at {header}");
                let lines = vec![
                    format!("{} was acknowledged.", self.full(compaction)),
                    format!("At revision {header} that had to be an error: it is in the future."),
                ];
                self.finding(title, lines, &[compaction])
            }
            Conflict::CompactedTwice { first, second } => {
                let title = format!("{} was acknowledged twice", what(self.op(first).request));
                let lines = vec![
                    format!("{} was acknowledged.", self.full(first)),
                    format!("{} was acknowledged too.", self.full(second)),
                    "The second had to be answered with an error.".to_owned(),
                ];
                self.finding(title, lines, &[first, second])
            }
            Conflict::NeverCompacted { error, revision } => {
                let title = format!("wrong error: {} was told of a compaction", self.name(error));
                let lines = vec![
                    format!(
                        "{} was answered that its revision is compacted.",
                        self.full(error)
                    ),
                    format!(
                        "No compaction to revision {revision} or above can have been applied by \
                         then."
                    ),
                ];
                self.finding(title, lines, &[error])
            }
        }
    }

    fn why_first(&self, earlier: Op, later: Op) -> String {
        match (self.op(earlier).role, self.op(later).role) {
            (Role::SawFuture(revision), _) => format!(
                "It was told that revision {revision} is in the future, though that had been made."
            ),
            (_, Role::Compaction(_)) => {
                "It read a revision that the compaction had made unreadable.".to_owned()
            }
            (_, Role::LocalRead(revision)) => format!(
                "The serializable read shows revision {revision}, which cannot have been made yet."
            ),
            _ => "By revision, the one invoked later comes first.".to_owned(),
        }
    }

    /// Where a replay cannot go on. `choices` counts the gaps that were open.
    pub(in super::super) fn mismatch(&self, mismatch: &Mismatch, choices: usize) -> Finding {
        let Mismatch { revision, op, why } = mismatch;
        let revision = *revision;
        let mut finding = match (op, why) {
            (Some(op), Why::Overwrites(shown)) => self.unseen_write(*shown, *op, revision),
            (Some(op), Why::Answer(difference)) => self.wrong_answer(*op, revision, difference),
            (Some(op), Why::Refused(refusal)) => self.wrong_success(*op, revision, *refusal),
            (Some(op), Why::NoEffect) => self.simple(
                *op,
                format!("{} made revision {revision} without changing a key", self.name(*op)),
                format!(
                    "In the state at revision {} it changes nothing, so it had to make no revision.",
                    revision - 1
                ),
            ),
            (Some(op), Why::OneTooMany { key, before }) => self.simple(
                *op,
                format!("nothing but {} can have made revision {revision}", self.name(*op)),
                format!(
                    "The versions of {key} that answers show up to revision {before} leave no room \
                     for another put of it."
                ),
            ),
            (Some(op), Why::Effect) => self.simple(
                *op,
                format!("{} made no revision, though keys were attached", self.name(*op)),
                format!(
                    "At revision {revision} the lease still held keys; their deletion had to make \
                     a revision."
                ),
            ),
            (None, _) | (_, Why::Unfilled { .. }) => self.unfilled(revision, why),
        };
        if choices > 0 {
            finding.explanation.push(format!(
                "Every other assignment of the writes with unknown result to the revisions without \
                 an acknowledged write fails here or before ({choices} revisions were open)."
            ));
        }
        finding
    }

    fn simple(&self, op: Op, title: String, line: String) -> Finding {
        self.finding(title, vec![format!("{}.", self.full(op)), line], &[op])
    }

    fn unfilled(&self, revision: i64, why: &Why) -> Finding {
        let (title, first, op) = self.must_exist(revision);
        let tried = if let Why::Unfilled { tried } = why {
            *tried
        } else {
            0
        };
        let line = format!(
            "No acknowledged write made revision {revision}. Of the writes with unknown result and \
             the leases that can have expired, {tried} could have by their times and by what \
             answers show of their keys, but none leaves every answer right."
        );
        let mut finding = self.finding(title, vec![first, line], &[op]);
        push_once(&mut finding.revisions, revision);
        finding
    }

    fn wrong_answer(&self, op: Op, revision: i64, difference: &Difference) -> Finding {
        let name = self.name(op);
        let of = difference
            .key
            .as_ref()
            .map_or(String::new(), |key| format!(" of {key}"));
        let Difference {
            kind,
            expected,
            answered,
            ..
        } = difference;
        let title = match kind {
            DifferenceKind::Count => format!("wrong count: {name} counted {answered}"),
            DifferenceKind::Deleted => format!("wrong count of deleted keys: {name}: {answered}"),
            DifferenceKind::More => format!("wrong `more`: {name} says {answered}"),
            DifferenceKind::Presence if *expected == Side::KeyValue(None) => {
                format!("a key that is not there: {name} shows one{of}")
            }
            DifferenceKind::Presence => format!("a key is missing: {name} shows none{of}"),
            DifferenceKind::Content => format!("wrong key-value{of}: {name}"),
            DifferenceKind::Order => format!("wrong order: {name}"),
            DifferenceKind::Previous => format!("wrong previous key-value{of}: {name}"),
            DifferenceKind::Branch => format!("wrong branch: {name} took {answered}"),
            DifferenceKind::Refusal => format!("success instead of an error: {name}"),
            DifferenceKind::Shape => format!("an answer of another kind: {name}"),
        };
        let made_it = self.op(op).role == Role::Write(revision);
        let at = if made_it { revision - 1 } else { revision };
        let mut lines = vec![format!("{} answers at revision {revision}.", self.full(op))];
        let mut ops = vec![op];
        if let Some((made, writer)) = difference
            .key
            .as_ref()
            .and_then(|key| self.last_put(key, at))
        {
            lines.push(format!(
                "{} was the last acknowledged put{of} up to there, at revision {made}.",
                self.full(writer)
            ));
            if writer != op {
                ops.insert(0, writer);
            }
        }
        lines.push(format!("The writes up to revision {at} leave {expected}."));
        lines.push(format!("The answer is {answered}."));
        let mut finding = self.finding(title, lines, &ops);
        push_once(&mut finding.revisions, revision);
        if let Some(key) = &difference.key {
            push_once(&mut finding.keys, key.to_string());
        }
        finding
    }

    fn wrong_success(&self, op: Op, revision: i64, refusal: Refusal) -> Finding {
        let words = refusal.words();
        let title = format!("{} succeeded, but {words}", self.name(op));
        let lines = vec![
            format!("{} succeeded at revision {revision}.", self.full(op)),
            format!("In the state it found, {words}: it had to be answered with an error."),
        ];
        self.finding(title, lines, &[op])
    }

    fn last_put(&self, key: &Bytes, revision: i64) -> Option<(i64, Op)> {
        let puts = &self.facts.keys.get(key)?.puts;
        let after = puts.partition_point(|(made, _)| *made <= revision);
        after.checked_sub(1).map(|last| puts[last])
    }
}
