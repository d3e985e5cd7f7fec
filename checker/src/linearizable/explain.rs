//! Findings in plain sentences.

use super::facts::{Facts, Shown};
use super::layout::Conflict;
use super::no_finding;
use super::operation::{NEVER, Operation, OperationId, Operations, Role};
use super::revisions::{Op, Revisions};
use super::search::{Mismatch, Why};
use crate::history::{Bytes, Request, TxnOp};
use crate::model::{Difference, DifferenceKind, Refusal, describe};
use crate::verdict::Finding;

/// Keys named in a sentence.
const KEYS_MAX: usize = 3;

/// A time in milliseconds.
pub(super) fn millis(nanos: u64) -> String {
    format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000)
}

/// Tells what operations did.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a, 's> {
    pub operations: &'s Operations<'a>,
    pub revisions: &'s Revisions,
    pub facts: &'s Facts<'a>,
}

impl<'a> Teller<'a, '_> {
    pub(super) fn op(&self, op: Op) -> &Operation<'a> {
        &self.operations.all[op]
    }

    /// For example `c3's put of k/5 through m2`.
    pub(super) fn name(&self, op: Op) -> String {
        let operation = self.op(op);
        let who = operation
            .client
            .map_or("the harness".to_owned(), |client| format!("c{client}"));
        format!(
            "{who}'s {} through {}",
            what(operation.request),
            operation.member
        )
    }

    /// For example `from 12.000 ms to 13.500 ms`.
    pub(super) fn times(&self, op: Op) -> String {
        let operation = self.op(op);
        let call = millis(operation.call);
        if operation.ret == NEVER {
            format!("invoked at {call}, result unknown")
        } else {
            format!("invoked at {call}, returned at {}", millis(operation.ret))
        }
    }

    /// A finding about operations; members, keys and the time come from them.
    pub(super) fn finding(&self, title: String, explanation: Vec<String>, ops: &[Op]) -> Finding {
        let mut finding = Finding {
            title,
            explanation,
            ..no_finding()
        };
        for op in ops {
            let operation = self.op(*op);
            match operation.id {
                OperationId::History(id) => push_once(&mut finding.operations, id),
                OperationId::Observation(id) => push_once(&mut finding.observations, id),
            }
            push_once(&mut finding.members, operation.member.to_owned());
            for key in keys(operation.request) {
                push_once(&mut finding.keys, key);
            }
            if let Some(revision) = operation.proves_revision() {
                push_once(&mut finding.revisions, revision);
            }
            if operation.ret != NEVER {
                finding.at = finding.at.max(Some(operation.ret));
            }
        }
        finding
    }

    pub(super) fn made_first_revision(&self, op: Op) -> Finding {
        let title = format!(
            "{} made revision 1, which is the empty store's",
            self.name(op)
        );
        let lines = vec![
            format!(
                "{} was {}, and returned revision 1.",
                self.name(op),
                self.times(op)
            ),
            "The store starts at revision 1, and each write adds 1.".to_owned(),
        ];
        self.finding(title, lines, &[op])
    }

    pub(super) fn duplicate(&self, revision: i64, first: Op, second: Op) -> Finding {
        let (one, other) = (self.op(first), self.op(second));
        let title = format!("two different writes both made revision {revision}");
        let mut lines = vec![
            format!(
                "{} ({}) returned revision {revision}.",
                self.name(first),
                self.times(first)
            ),
            format!(
                "{} ({}) returned revision {revision} too.",
                self.name(second),
                self.times(second)
            ),
            "Each write adds exactly 1 to the revision, so two different writes cannot share one."
                .to_owned(),
        ];
        if one.member != other.member {
            lines.push(format!(
                "{} and {} have applied different logs.",
                one.member, other.member
            ));
        }
        self.finding(title, lines, &[first, second])
    }

    /// `earlier` must come before `later` by revision, but `later` had returned before `earlier`
    /// was invoked.
    pub(super) fn inversion(&self, earlier: Op, later: Op) -> Finding {
        let low = self.op(earlier).order_revision().unwrap_or(0);
        let high = self.op(later).order_revision().unwrap_or(0);
        let write = matches!(self.op(earlier).role, Role::Write(_));
        let title = match (write, low == high) {
            (_, true) => format!(
                "{} saw revision {high} before the write that made it was invoked",
                self.name(later)
            ),
            (true, _) => format!(
                "the revision went back: {} made revision {low} after revision {high} had been \
                 returned",
                self.name(earlier)
            ),
            (false, _) => format!(
                "stale read: {} saw revision {low} after revision {high} had been returned",
                self.name(earlier)
            ),
        };
        let lines = vec![
            format!(
                "{} ({}) returned revision {high}.",
                self.name(later),
                self.times(later)
            ),
            format!(
                "{} ({}) was invoked after that, and returned revision {low}.",
                self.name(earlier),
                self.times(earlier)
            ),
            if write {
                format!(
                    "A write makes a revision above all that came before it, so it had to make one \
                     above {high}."
                )
            } else {
                format!(
                    "A read sees everything that came before it, so it had to see {high} or more."
                )
            },
        ];
        self.finding(title, lines, &[later, earlier])
    }

    /// An answer shows a key-value that its revision's write did not put there.
    pub(super) fn not_written(&self, shown: Shown, writer: Op) -> Finding {
        let revision = shown.kv.mod_revision;
        let key = &shown.kv.key;
        let mut put = None;
        self.op(writer).each_put(|p| {
            if p.key == *key {
                put = Some(p.value.clone());
            }
        });
        let title = match &put {
            Some(_) => format!(
                "{key} at revision {revision} is not what the write at that revision put there"
            ),
            None => {
                format!("{key} is shown with revision {revision}, which was a write to other keys")
            }
        };
        let did = match put {
            Some(value) => format!("put {value:?} to {key}"),
            None => format!("did not write {key}"),
        };
        let lines = vec![
            format!(
                "{} ({}) made revision {revision} and {did}.",
                self.name(writer),
                self.times(writer)
            ),
            format!(
                "{} ({}) shows {}.",
                self.name(shown.op),
                self.times(shown.op),
                describe(Some(shown.kv))
            ),
            "The acknowledged write is lost, or another one was made at the same revision."
                .to_owned(),
        ];
        let mut finding = self.finding(title, lines, &[writer, shown.op]);
        push_once(&mut finding.revisions, revision);
        push_once(&mut finding.keys, key.to_string());
        finding
    }

    /// An answer shows a value that no request can have put there.
    pub(super) fn nobody_wrote(&self, shown: Shown) -> Finding {
        let revision = shown.kv.mod_revision;
        let key = &shown.kv.key;
        let mut ops = vec![shown.op];
        let mut lines = vec![format!(
            "{} ({}) shows {}.",
            self.name(shown.op),
            self.times(shown.op),
            describe(Some(shown.kv))
        )];
        let puts = self
            .facts
            .keys
            .get(key)
            .map_or(&[][..], |facts| facts.puts.as_slice());
        let same = puts.iter().find(|(_, op)| {
            let mut found = false;
            self.op(*op)
                .each_put(|put| found |= put.key == *key && put.value == shown.kv.value);
            found
        });
        let refused = self
            .facts
            .refused_puts
            .get(&(key, &shown.kv.value))
            .and_then(|ops| ops.first());
        let title = if let Some((made, op)) = same {
            ops.insert(0, *op);
            lines.insert(
                0,
                format!(
                    "{} ({}) put that value and made revision {made}.",
                    self.name(*op),
                    self.times(*op)
                ),
            );
            lines.push(format!(
                "No other request put it, so nothing can have made it at {revision}."
            ));
            format!("{key} is shown with revision {revision}, but its write made revision {made}")
        } else if let Some(op) = refused {
            ops.insert(0, *op);
            lines.insert(
                0,
                format!(
                    "{} ({}) was refused, so it had no effect.",
                    self.name(*op),
                    self.times(*op)
                ),
            );
            lines.push("No other request put that value: the refused one took effect.".to_owned());
            format!(
                "a refused request took effect: {key} holds its value since revision {revision}"
            )
        } else {
            lines.push(
                "No request in the history that can have taken effect put that value.".to_owned(),
            );
            format!("{key} holds a value that nobody wrote, since revision {revision}")
        };
        let mut finding = self.finding(title, lines, &ops);
        push_once(&mut finding.revisions, revision);
        push_once(&mut finding.keys, key.to_string());
        finding
    }

    /// A write changed a key that an answer shows unchanged since before.
    pub(super) fn unseen_write(&self, shown: Shown, writer: Op, revision: i64) -> Finding {
        let key = &shown.kv.key;
        let title = format!(
            "{} does not show the write to {key} at revision {revision}",
            self.name(shown.op)
        );
        let lines = vec![
            format!(
                "{} ({}) changed {key} at revision {revision}.",
                self.name(writer),
                self.times(writer)
            ),
            format!(
                "{} ({}) shows the state at revision {}, and there {}.",
                self.name(shown.op),
                self.times(shown.op),
                shown.current_at,
                describe(Some(shown.kv))
            ),
            format!(
                "At revision {} the write at {revision} must be seen: it is lost.",
                shown.current_at
            ),
        ];
        let mut finding = self.finding(title, lines, &[writer, shown.op]);
        push_once(&mut finding.revisions, revision);
        finding
    }

    pub(super) fn pinned_to_future(&self, op: Op, revision: i64) -> Finding {
        let header = self.op(op).proves_revision().unwrap_or(0);
        let title = format!(
            "{} read revision {revision} at revision {header}",
            self.name(op)
        );
        let lines = vec![format!(
            "{} ({}) asked for revision {revision} and was answered at revision {header}, when that \
             did not exist yet: the answer had to be an error.",
            self.name(op),
            self.times(op)
        )];
        self.finding(title, lines, &[op])
    }

    /// The first revisions up to `gap` need more writes than there are.
    pub(super) fn phantom(&self, gap: i64, gaps: usize, candidates: usize) -> Finding {
        let all = &self.operations.all;
        let witness = (0..all.len())
            .filter(|op| {
                let proves = all[*op].proves_revision().unwrap_or(0);
                proves > gap || proves == gap && !matches!(all[*op].role, Role::Write(_))
            })
            .min_by_key(|op| (all[*op].ret, *op))
            .expect("a gap lies below a revision that was returned");
        let proven = all[witness].proves_revision().unwrap_or(0);
        let title = format!("phantom revision: nothing can have made revision {gap}");
        let mut lines = vec![format!(
            "{} ({}) returned revision {proven}, so revision {gap} had been made by then.",
            self.name(witness),
            self.times(witness)
        )];
        lines.push(if candidates == 0 {
            format!(
                "No acknowledged write made revision {gap}, and by then no write whose result is \
                 unknown had been invoked, and no lease can have expired."
            )
        } else {
            format!(
                "Of the revisions up to {gap}, {gaps} were not made by an acknowledged write, but \
                 by then only {candidates} writes with unknown result had been invoked or leases \
                 can have expired."
            )
        });
        let mut finding = self.finding(title, lines, &[witness]);
        push_once(&mut finding.revisions, gap);
        finding
    }

    pub(super) fn conflict(&self, conflict: Conflict) -> Finding {
        match conflict {
            Conflict::RealTime { earlier, later } => {
                let title = format!(
                    "{} cannot come before {}, but must",
                    self.name(earlier),
                    self.name(later)
                );
                let lines = vec![
                    format!("{} was {}.", self.name(later), self.times(later)),
                    format!(
                        "{} was {}, after that.",
                        self.name(earlier),
                        self.times(earlier)
                    ),
                    self.why_first(earlier, later),
                ];
                self.finding(title, lines, &[later, earlier])
            }
            Conflict::ReadBelowCompaction { read, compaction } => {
                let title = format!(
                    "{} read a revision that had been compacted",
                    self.name(read)
                );
                let lines = vec![
                    format!("{} was {}.", self.name(compaction), self.times(compaction)),
                    format!(
                        "It was acknowledged at a lower revision than {} ({}) returned, so it came \
                         first, and the read had to be refused.",
                        self.name(read),
                        self.times(read)
                    ),
                ];
                self.finding(title, lines, &[compaction, read])
            }
            Conflict::CompactionOfFuture { compaction, header } => {
                let title = format!(
                    "{} was acknowledged at revision {header}, before the revision it compacts to",
                    self.name(compaction)
                );
                let lines = vec![
                    format!("{} was {}.", self.name(compaction), self.times(compaction)),
                    "A compaction to a future revision is an error.".to_owned(),
                ];
                self.finding(title, lines, &[compaction])
            }
            Conflict::CompactedTwice { first, second } => {
                let title = format!("{} was acknowledged twice", what(self.op(first).request));
                let lines = vec![
                    format!("{} was {}.", self.name(first), self.times(first)),
                    format!("{} was {}.", self.name(second), self.times(second)),
                    "The second had to be answered with an error.".to_owned(),
                ];
                self.finding(title, lines, &[first, second])
            }
            Conflict::NeverCompacted { error, revision } => {
                let title = format!(
                    "{} was told that its revision is compacted, and it was not",
                    self.name(error)
                );
                let lines = vec![
                    format!("{} was {}.", self.name(error), self.times(error)),
                    format!(
                        "No compaction to revision {revision} or above can have been applied by then."
                    ),
                ];
                self.finding(title, lines, &[error])
            }
        }
    }

    fn why_first(&self, earlier: Op, later: Op) -> String {
        match (self.op(earlier).role, self.op(later).role) {
            (Role::SawFuture(revision), _) => format!(
                "It was told that revision {revision} is in the future, though it had been made."
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

    pub(super) fn mismatch(&self, mismatch: &Mismatch, choices: usize) -> Finding {
        let Mismatch { revision, op, why } = mismatch;
        let mut finding = match (op, why) {
            (Some(op), Why::Overwrites(shown)) => self.unseen_write(*shown, *op, *revision),
            (Some(op), Why::Answer(difference)) => self.wrong_answer(*op, *revision, difference),
            (Some(op), Why::Refused(refusal)) => self.wrong_success(*op, *revision, *refusal),
            (Some(op), Why::NoEffect) => {
                let title = format!(
                    "{} made revision {revision} without changing a key",
                    self.name(*op)
                );
                let line = format!(
                    "In the state at revision {} it changes nothing, so it had to make no revision.",
                    revision - 1
                );
                self.finding(title, vec![line], &[*op])
            }
            (Some(op), _) => {
                let title = format!(
                    "{} made no revision of its own, though keys were attached to the lease",
                    self.name(*op)
                );
                let line = format!(
                    "At revision {revision} the lease still held keys; their deletion had to make a \
                     revision."
                );
                self.finding(title, vec![line], &[*op])
            }
            (None, _) => self.unfilled(*revision, why),
        };
        if choices > 0 {
            finding.explanation.push(format!(
                "Every other assignment of the writes with unknown results to the revisions without \
                 an acknowledged write fails here or before ({choices} open choices)."
            ));
        }
        finding
    }

    fn unfilled(&self, revision: i64, why: &Why) -> Finding {
        let tried = if let Why::Unfilled { tried } = why {
            *tried
        } else {
            0
        };
        let mut finding = self.phantom(revision, 1, 0);
        finding.explanation.truncate(1);
        finding.explanation.push(format!(
            "No acknowledged write made revision {revision}; of the writes with unknown result, and \
             the leases that can have expired, {tried} could have made it by time, but none agrees \
             with what was answered."
        ));
        finding
    }

    fn wrong_answer(&self, op: Op, revision: i64, difference: &Difference) -> Finding {
        let name = self.name(op);
        let about = difference
            .key
            .as_ref()
            .map_or(String::new(), |key| format!(" of {key}"));
        let title = match difference.kind {
            DifferenceKind::Count => format!("wrong count: {name} counted {}", difference.answered),
            DifferenceKind::Deleted => format!("wrong count of deleted keys: {name}"),
            DifferenceKind::More => format!("wrong `more`: {name}"),
            DifferenceKind::Presence => format!("a key shown or missing: {name}, for{about}"),
            DifferenceKind::Content => format!("wrong key-value: {name}, for{about}"),
            DifferenceKind::Order => format!("wrong order: {name}"),
            DifferenceKind::Previous => format!("wrong previous key-value: {name}, for{about}"),
            DifferenceKind::Branch => format!("wrong branch: {name}"),
            DifferenceKind::Refusal => format!("success instead of an error: {name}"),
            DifferenceKind::Shape => format!("an answer of another kind: {name}"),
        };
        let mut ops = vec![op];
        let at = if self
            .revisions
            .writer
            .get(usize::try_from(revision).unwrap_or(0))
            == Some(&Some(op))
        {
            revision - 1
        } else {
            revision
        };
        let mut lines = vec![
            format!("{name} was {}, at revision {revision}.", self.times(op)),
            format!(
                "The writes up to revision {at} leave {}.",
                difference.expected
            ),
            format!("The answer is {}.", difference.answered),
        ];
        if let Some(key) = &difference.key
            && let Some((made, writer)) = self.last_put(key, at)
        {
            lines.insert(
                1,
                format!(
                    "{} ({}) was the last acknowledged put of {key} up to there, at revision {made}.",
                    self.name(writer),
                    self.times(writer)
                ),
            );
            if writer != op {
                ops.insert(0, writer);
            }
        }
        let mut finding = self.finding(title, lines, &ops);
        push_once(&mut finding.revisions, revision);
        if let Some(key) = &difference.key {
            push_once(&mut finding.keys, key.to_string());
        }
        finding
    }

    fn wrong_success(&self, op: Op, revision: i64, refusal: Refusal) -> Finding {
        let title = format!("{} succeeded, but {}", self.name(op), refusal.words());
        let lines = vec![
            format!(
                "{} was {}, at revision {revision}.",
                self.name(op),
                self.times(op)
            ),
            format!(
                "In the state it found, {}: it had to be answered with an error.",
                refusal.words()
            ),
        ];
        self.finding(title, lines, &[op])
    }

    fn last_put(&self, key: &Bytes, revision: i64) -> Option<(i64, Op)> {
        let puts = &self.facts.keys.get(key)?.puts;
        let after = puts.partition_point(|(made, _)| *made <= revision);
        after.checked_sub(1).map(|last| puts[last])
    }
}

pub(super) fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// A request in words, for example `put of k/5`.
fn what(request: &Request) -> String {
    match request {
        Request::Range(range) => {
            let local = if range.serializable {
                "serializable "
            } else {
                ""
            };
            let at = if range.revision > 0 {
                format!(" at revision {}", range.revision)
            } else {
                String::new()
            };
            format!("{local}range of {}{at}", span(&range.key, &range.range_end))
        }
        Request::Put(put) => format!("put of {}", put.key),
        Request::Delete(delete) => format!("delete of {}", span(&delete.key, &delete.range_end)),
        Request::Txn(_) => {
            let keys = keys(request);
            let more = if keys.len() > KEYS_MAX { ", …" } else { "" };
            format!(
                "txn on {}{more}",
                keys[..keys.len().min(KEYS_MAX)].join(", ")
            )
        }
        Request::Compact { revision, .. } => format!("compaction to revision {revision}"),
        Request::LeaseGrant { id, .. } => format!("grant of lease {id}"),
        Request::LeaseRevoke { id } => format!("revocation of lease {id}"),
        other => other.kind().to_owned(),
    }
}

fn span(key: &Bytes, end: &Bytes) -> String {
    match end.as_slice() {
        [] => key.to_string(),
        [0] if matches!(key.as_slice(), [] | [0]) => "every key".to_owned(),
        [0] => format!("{key} and all after it"),
        _ if *end == key.prefix_end() => format!("all keys with prefix {key}"),
        _ => format!("{key} to {end}"),
    }
}

/// Keys that a request names.
fn keys(request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    match request {
        Request::Range(range) => found.push(range.key.to_string()),
        Request::Put(put) => found.push(put.key.to_string()),
        Request::Delete(delete) => found.push(delete.key.to_string()),
        Request::Txn(txn) => super::operation::each_op(txn, &mut |op| {
            let key = match op {
                TxnOp::Range(range) => &range.key,
                TxnOp::Put(put) => &put.key,
                TxnOp::Delete(delete) => &delete.key,
                TxnOp::Txn(_) => return,
            };
            push_once(&mut found, key.to_string());
        }),
        _ => {}
    }
    found
}
