//! What answers show of single key-values: each is a fact about one key over a span of revisions.

use hashbrown::{HashMap, HashSet};

use super::operation::{Operations, Role, each_answered};
use super::revisions::Op;
use crate::history::{
    Bytes, EventKind, KeyValue, RangeRequest, Request, Response, TxnOp, TxnOpResponse,
};

/// A key-value as an answer shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub kv: &'a KeyValue,
    /// Whether the value came with it.
    pub with_value: bool,
    /// It was the key's newest at this revision.
    pub current_at: i64,
    /// The revision at which the answer is compared with the state.
    pub compared_at: i64,
    pub op: Op,
}

/// What is known of one key.
#[derive(Default)]
pub(super) struct KeyFacts<'a> {
    /// One for each mod revision, ascending, with the highest `current_at` seen for it.
    pub shown: Vec<Shown<'a>>,
    /// Revisions of acknowledged puts, ascending.
    pub puts: Vec<(i64, Op)>,
    /// Spans between two shown versions of one life of the key, ascending.
    pub spans: Vec<Span>,
    /// Revisions at which answers settle the key's state: where the answer is compared, and the
    /// latest revision settled by then; ascending.
    settled: Vec<(i64, i64)>,
}

/// Two versions of one life of a key, and how many puts between them are unaccounted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Exclusive.
    pub after: i64,
    /// Exclusive.
    pub before: i64,
    /// Puts strictly between them that no acknowledged write accounts for, those at revisions
    /// with a forced writer not included.
    pub missing: i64,
}

/// Everything known of keys.
pub(super) struct Facts<'a> {
    pub keys: HashMap<&'a Bytes, KeyFacts<'a>>,
    /// Every answer's key-values, in the order of operations: for the static checks.
    pub shown: Vec<Shown<'a>>,
    /// Unknown writes that put a value to a key, in some branch.
    pub maybe_puts: HashMap<(&'a Bytes, &'a Bytes), Vec<Op>>,
    /// Keys that an unknown write may put to while it keeps the value.
    pub maybe_kept: HashSet<&'a Bytes>,
    /// Refused writes likewise: to be named when their value is seen after all.
    pub refused_puts: HashMap<(&'a Bytes, &'a Bytes), Vec<Op>>,
    /// For each gap that shows a key-value with its value: what it shows.
    pub gap_values: HashMap<i64, Vec<Shown<'a>>>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(operations: &Operations<'a>, is_gap: impl Fn(i64) -> bool) -> Self {
        let mut this = Self {
            keys: HashMap::new(),
            shown: Vec::new(),
            maybe_puts: HashMap::new(),
            maybe_kept: HashSet::new(),
            refused_puts: HashMap::new(),
            gap_values: HashMap::new(),
        };
        for (index, op) in operations.all.iter().enumerate() {
            show(operations, index, &mut |shown| this.shown.push(shown));
            let refused = matches!(
                op.seen,
                super::operation::Seen::NoEffect { refused: true, .. }
            );
            op.each_put(|put| match op.role {
                Role::Write(revision) => {
                    this.keys
                        .entry(&put.key)
                        .or_default()
                        .puts
                        .push((revision, index));
                }
                Role::Maybe if !put.ignore_value => {
                    this.maybe_puts
                        .entry((&put.key, &put.value))
                        .or_default()
                        .push(index);
                }
                Role::Maybe => {
                    this.maybe_kept.insert(&put.key);
                }
                _ if refused => {
                    this.refused_puts
                        .entry((&put.key, &put.value))
                        .or_default()
                        .push(index);
                }
                _ => {}
            });
        }
        for shown in &this.shown {
            this.keys
                .entry(&shown.kv.key)
                .or_default()
                .shown
                .push(*shown);
            if shown.with_value && is_gap(shown.kv.mod_revision) {
                let gap = this.gap_values.entry(shown.kv.mod_revision).or_default();
                if !gap.iter().any(|other| other.kv.key == shown.kv.key) {
                    gap.push(*shown);
                }
            }
        }
        this.absences(operations);
        for facts in this.keys.values_mut() {
            facts.puts.sort_unstable();
            facts.puts.dedup();
            facts.settle();
        }
        this
    }

    /// Answers that show that one key is not there.
    fn absences(&mut self, operations: &Operations<'a>) {
        for op in &operations.all {
            let (key, at) = match (op.request, op.response(), op.role) {
                (Request::Range(range), Some(Response::Range(answer)), _)
                    if range.range_end.is_empty() && answer.count == 0 =>
                {
                    let at = if range.revision > 0 {
                        Some(range.revision)
                    } else {
                        op.proves_revision()
                    };
                    (&range.key, at)
                }
                (Request::Delete(delete), _, Role::Write(at) | Role::Read(at))
                    if delete.range_end.is_empty() =>
                {
                    (&delete.key, Some(at))
                }
                _ => continue,
            };
            if let (Some(facts), Some(at)) = (self.keys.get_mut(key), at) {
                facts.settled.push((at, at));
            }
        }
    }

    /// The answer that shows that a key was not changed at a revision: it shows an older version
    /// that was still the newest then.
    pub(super) fn unchanged(&self, key: &Bytes, revision: i64) -> Option<Shown<'a>> {
        let shown = &self.keys.get(key)?.shown;
        let older = shown.partition_point(|shown| shown.kv.mod_revision < revision);
        let last = shown[..older].last()?;
        (last.current_at >= revision).then_some(*last)
    }

    /// The latest revision at which the key's state is settled by answers compared before
    /// `revision`; 0 if there is none.
    pub(super) fn settled(&self, key: &Bytes, revision: i64) -> i64 {
        let settled = self.keys.get(key).map_or(&[][..], |facts| &facts.settled);
        let before = settled.partition_point(|(compared, _)| *compared < revision);
        before.checked_sub(1).map_or(0, |last| settled[last].1)
    }

    /// The span between two shown versions in which a revision lies: there the number of puts to
    /// the key is known, and it was not deleted.
    pub(super) fn span(&self, key: &Bytes, revision: i64) -> Option<&Span> {
        let spans = &self.keys.get(key)?.spans;
        let index = spans.partition_point(|span| span.before <= revision);
        spans.get(index).filter(|span| span.after < revision)
    }
}

impl KeyFacts<'_> {
    fn settle(&mut self) {
        // Without the value the state is not settled.
        let whole = self.shown.iter().filter(|shown| shown.with_value);
        self.settled
            .extend(whole.map(|shown| (shown.compared_at, shown.current_at)));
        self.settled.sort_unstable();
        let mut latest = 0;
        for (_, settled) in &mut self.settled {
            latest = latest.max(*settled);
            *settled = latest;
        }
        self.shown
            .sort_by_key(|s| (s.kv.mod_revision, std::cmp::Reverse(s.current_at), s.op));
        self.shown.dedup_by_key(|s| s.kv.mod_revision);
        let mut newest: Option<(i64, i64, i64)> = None;
        for shown in &self.shown {
            let KeyValue {
                create_revision,
                mod_revision,
                version,
                ..
            } = *shown.kv;
            let (after, known) = match newest {
                Some((create, after, version)) if create == create_revision => (after, version),
                _ => (create_revision, 1),
            };
            newest = Some((create_revision, mod_revision, version));
            if after >= mod_revision {
                continue;
            }
            let start = self.puts.partition_point(|(r, _)| *r <= after);
            let end = self.puts.partition_point(|(r, _)| *r < mod_revision);
            let acknowledged = i64::try_from(end.saturating_sub(start)).unwrap_or(i64::MAX);
            let missing = version
                .saturating_sub(known)
                .saturating_sub(1)
                .saturating_sub(acknowledged);
            self.spans.push(Span {
                after,
                before: mod_revision,
                missing,
            });
        }
        // Answers that contradict each other can make spans overlap: then they bound nothing.
        if !self.spans.is_sorted_by(|a, b| a.before <= b.after) {
            self.spans.clear();
        }
    }
}

/// Calls for every key-value in an operation's answer.
fn show<'a>(operations: &Operations<'a>, index: Op, f: &mut impl FnMut(Shown<'a>)) {
    let op = &operations.all[index];
    let Some(response) = op.response() else {
        return;
    };
    let (revision, wrote) = match op.role {
        Role::Write(r) => (r, true),
        Role::Read(r) | Role::LocalRead(r) => (r, false),
        _ => return,
    };
    // What a write shows stood before it, but for what it wrote itself.
    let before = |kv: &KeyValue| {
        if wrote && kv.mod_revision != revision {
            revision - 1
        } else {
            revision
        }
    };
    let mut previous = |kv: &'a KeyValue| {
        f(Shown {
            kv,
            with_value: true,
            current_at: before(kv),
            compared_at: revision,
            op: index,
        });
    };
    match (op.request, response) {
        (Request::Put(_), Response::Put(put)) => put.prev_kv.iter().for_each(previous),
        (Request::Delete(_), Response::Delete(delete)) => delete.prev_kvs.iter().for_each(previous),
        (Request::Range(range), Response::Range(answer)) => {
            for kv in &answer.kvs {
                f(shown_by_range(range, kv, (revision, revision), index));
            }
        }
        (Request::Txn(txn), Response::Txn(answer)) => {
            each_answered(
                txn,
                answer,
                &mut |request, response| match (request, response) {
                    (_, TxnOpResponse::Put(put)) => put.prev_kv.iter().for_each(&mut previous),
                    (_, TxnOpResponse::Delete(delete)) => {
                        delete.prev_kvs.iter().for_each(&mut previous);
                    }
                    (TxnOp::Range(_), TxnOpResponse::Range(_)) => {}
                    _ => {}
                },
            );
            each_answered(txn, answer, &mut |request, response| {
                if let (TxnOp::Range(range), TxnOpResponse::Range(answer)) = (request, response) {
                    for kv in &answer.kvs {
                        f(shown_by_range(range, kv, (before(kv), revision), index));
                    }
                }
            });
        }
        _ => {}
    }
}

fn shown_by_range<'a>(
    range: &RangeRequest,
    kv: &'a KeyValue,
    (current_at, compared_at): (i64, i64),
    op: Op,
) -> Shown<'a> {
    let pinned = (range.revision > 0).then_some(range.revision);
    Shown {
        kv,
        with_value: !range.keys_only,
        current_at: pinned.unwrap_or(current_at),
        compared_at: pinned.unwrap_or(compared_at),
        op,
    }
}

/// Whether a watch event shows that a revision put this to this key.
pub(super) fn event_is_put(event: &crate::history::Event, key: &Bytes, value: &Bytes) -> bool {
    event.kind == EventKind::Put && event.kv.key == *key && event.kv.value == *value
}
