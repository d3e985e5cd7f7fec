//! What is known of each revision and key: what a request put or deleted, what a read showed, what a
//! watch delivered.
//!
//! Only what is certain counts. An answered put, delete or transaction says what it did at the
//! revision in its header. A key-value that any answer shows was put at its mod revision, and its
//! key was made at its create revision, whoever did that. Writes of unknown outcome are known by
//! what reads and watches show of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::checks::class::Class;
use crate::checks::content::in_range;
use crate::checks::run::{Op, Source};
use crate::history::{
    Bytes, DeleteRequest, DeleteResponse, Event, EventKind, KeyValue, PutRequest, PutResponse,
    RangeRequest, RangeResponse, Request, Response, TxnOp, TxnOpResponse, TxnRequest, TxnResponse,
};

/// Who says so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Teller<'a> {
    /// The answer to a request that did it.
    Write(Op<'a>),
    /// An answer that shows what it left.
    Answer(Op<'a>),
    /// A watch, by its operation's number and member.
    Watch(u64, &'a str),
}

impl Teller<'_> {
    /// The operation to cite.
    pub(super) fn source(&self) -> Source {
        match self {
            Self::Write(op) | Self::Answer(op) => op.source,
            Self::Watch(id, _) => Source::History(*id),
        }
    }

    /// How sentences call it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Write(op) => format!("the {} through {}", op.name(), op.member),
            Self::Answer(op) => format!("the answer to the {} through {}", op.name(), op.member),
            Self::Watch(id, member) => format!("the watch (operation {id}) on {member}"),
        }
    }
}

/// What happened to one key at one revision. What is not known is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact<'a> {
    pub(super) kind: EventKind,
    pub(super) value: Option<&'a Bytes>,
    pub(super) lease: Option<i64>,
    pub(super) create: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) teller: Teller<'a>,
}

/// A field that is recorded as 0 where nothing is known of it.
fn known(field: i64) -> Option<i64> {
    (field > 0).then_some(field)
}

impl<'a> Fact<'a> {
    fn deleted(teller: Teller<'a>) -> Self {
        Self {
            kind: EventKind::Delete,
            value: None,
            lease: None,
            create: None,
            version: None,
            teller,
        }
    }

    pub(super) fn shown(kv: &'a KeyValue, teller: Teller<'a>) -> Self {
        // Histories of other tools leave out leases, and with them some of the rest.
        let whole = kv.create_revision > 0 && kv.version > 0;
        Self {
            kind: EventKind::Put,
            value: Some(&kv.value),
            lease: (whole || kv.lease != 0).then_some(kv.lease),
            create: known(kv.create_revision),
            version: known(kv.version),
            teller,
        }
    }

    pub(super) fn of_event(event: &'a Event, teller: Teller<'a>) -> Self {
        match event.kind {
            EventKind::Put => Self::shown(&event.kv, teller),
            EventKind::Delete => Self::deleted(teller),
        }
    }

    /// What two facts about one key and revision contradict each other in.
    pub(super) fn difference(&self, other: &Self) -> Option<Difference> {
        fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            matches!((a, b), (Some(a), Some(b)) if a != b)
        }
        if self.kind != other.kind || differ(self.value, other.value) {
            Some(Difference::Content)
        } else if differ(self.create, other.create) || differ(self.version, other.version) {
            Some(Difference::Creation)
        } else {
            differ(self.lease, other.lease).then_some(Difference::Content)
        }
    }

    fn take_in(&mut self, other: &Self) {
        self.value = self.value.or(other.value);
        self.lease = self.lease.or(other.lease);
        self.create = self.create.or(other.create);
        self.version = self.version.or(other.version);
    }
}

/// What two facts contradict each other in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Kind, value or lease.
    Content,
    /// Create revision or version.
    Creation,
}

/// What a fact that is told is at odds with.
#[derive(Debug)]
pub(super) enum AtOdds<'a> {
    /// Another one.
    Fact(Difference, Fact<'a>),
    /// An acknowledged request that made the revision, and left this key alone.
    Writer(Op<'a>),
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Truth<'a> {
    keys: BTreeMap<&'a Bytes, BTreeMap<i64, Fact<'a>>>,
    /// The acknowledged request that made a revision, and whether all its keys are known.
    writers: HashMap<i64, (Op<'a>, bool)>,
    /// Revisions that answers contradict each other about.
    pub(super) disputed: BTreeSet<i64>,
    /// Compactions that may have taken effect, in the order of being asked for: when, and the
    /// highest revision so far.
    compactions: Vec<(u64, i64)>,
    compacted_at: BTreeMap<i64, Op<'a>>,
}

impl<'a> Truth<'a> {
    pub(super) fn of(ops: &[Op<'a>]) -> Self {
        let mut truth = Self::default();
        for op in ops {
            if let (Request::Compact { revision, .. }, true) =
                (op.request, op.class != Class::Definite)
            {
                truth.compactions.push((op.at, *revision));
                truth.compacted_at.entry(*revision).or_insert(*op);
            }
            if let (Class::Ok, Some(Some(answer))) = (op.class, op.outcome.map(|o| o.response())) {
                truth.answered(op, answer);
            }
        }
        truth.compactions.sort_unstable();
        let mut highest = 0;
        for (_, revision) in &mut truth.compactions {
            highest = highest.max(*revision);
            *revision = highest;
        }
        truth
    }

    fn answered(&mut self, op: &Op<'a>, answer: &'a Response) {
        match (op.request, answer) {
            (Request::Range(range), Response::Range(answer)) => self.range(op, range, answer),
            (Request::Put(put), Response::Put(answer)) => {
                let revision = answer.header.revision;
                self.put(op, put, answer, revision);
                self.writer(op, revision, true);
            }
            (Request::Delete(delete), Response::Delete(answer)) => {
                let revision = answer.header.revision;
                if let Some(whole) = self.delete(op, delete, answer, revision) {
                    self.writer(op, revision, whole);
                }
            }
            (Request::Txn(txn), Response::Txn(answer)) => {
                let revision = answer.header.revision;
                if let Some(whole) = self.txn(op, txn, answer, revision) {
                    self.writer(op, revision, whole);
                }
            }
            _ => {}
        }
    }

    fn writer(&mut self, op: &Op<'a>, revision: i64, whole: bool) {
        if self.writers.insert(revision, (*op, whole)).is_some() {
            self.disputed.insert(revision);
        }
    }

    fn range(&mut self, op: &Op<'a>, range: &RangeRequest, answer: &'a RangeResponse) {
        for kv in &answer.kvs {
            if range.keys_only {
                let fact = Fact {
                    value: None,
                    ..Fact::shown(kv, Teller::Answer(*op))
                };
                self.insert(kv.mod_revision, &kv.key, fact);
            } else {
                self.show(op, kv);
            }
        }
    }

    fn show(&mut self, op: &Op<'a>, kv: &'a KeyValue) {
        let teller = Teller::Answer(*op);
        self.insert(kv.mod_revision, &kv.key, Fact::shown(kv, teller));
        self.created(kv, teller);
    }

    /// A key-value whose version is above 1 shows that its key was made at an earlier revision.
    fn created(&mut self, kv: &'a KeyValue, teller: Teller<'a>) {
        if kv.version > 1 && kv.create_revision > 0 {
            let fact = Fact {
                value: None,
                lease: None,
                version: Some(1),
                ..Fact::shown(kv, teller)
            };
            self.insert(kv.create_revision, &kv.key, fact);
        }
    }

    fn put(&mut self, op: &Op<'a>, put: &'a PutRequest, answer: &'a PutResponse, revision: i64) {
        let (create, version) = match (&answer.prev_kv, put.prev_kv) {
            (Some(before), _) => (known(before.create_revision), known(before.version)),
            (None, true) => (Some(revision), Some(0)),
            (None, false) => (None, None),
        };
        let fact = Fact {
            kind: EventKind::Put,
            value: (!put.ignore_value).then_some(&put.value),
            lease: (!put.ignore_lease).then_some(put.lease),
            create,
            version: version.map(|version| version + 1),
            teller: Teller::Write(*op),
        };
        self.insert(revision, &put.key, fact);
        if let Some(before) = &answer.prev_kv {
            self.show(op, before);
        }
    }

    /// Whether all that it deleted is known; none where it deleted nothing.
    fn delete(
        &mut self,
        op: &Op<'a>,
        delete: &'a DeleteRequest,
        answer: &'a DeleteResponse,
        revision: i64,
    ) -> Option<bool> {
        if answer.deleted == 0 {
            return None;
        }
        let gone = Fact::deleted(Teller::Write(*op));
        for kv in &answer.prev_kvs {
            self.insert(revision, &kv.key, gone);
            self.show(op, kv);
        }
        if delete.range_end.is_empty() {
            self.insert(revision, &delete.key, gone);
            return Some(true);
        }
        Some(answer.prev_kvs.len() as i64 == answer.deleted)
    }

    fn txn(
        &mut self,
        op: &Op<'a>,
        txn: &'a TxnRequest,
        answer: &'a TxnResponse,
        revision: i64,
    ) -> Option<bool> {
        let branch = if answer.succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        let mut wrote = None;
        for (step, answer) in branch.iter().zip(&answer.responses) {
            let whole = match (step, answer) {
                (TxnOp::Range(range), TxnOpResponse::Range(answer)) => {
                    self.range(op, range, answer);
                    None
                }
                (TxnOp::Put(put), TxnOpResponse::Put(answer)) => {
                    self.put(op, put, answer, revision);
                    Some(true)
                }
                (TxnOp::Delete(delete), TxnOpResponse::Delete(answer)) => {
                    self.delete(op, delete, answer, revision)
                }
                (TxnOp::Txn(inner), TxnOpResponse::Txn(answer)) => {
                    self.txn(op, inner, answer, revision)
                }
                _ => None,
            };
            wrote = match (wrote, whole) {
                (Some(so_far), Some(whole)) => Some(so_far && whole),
                (so_far, whole) => so_far.or(whole),
            };
        }
        wrote
    }

    fn insert(&mut self, revision: i64, key: &'a Bytes, fact: Fact<'a>) {
        let facts = self.keys.entry(key).or_default();
        match facts.get_mut(&revision) {
            Some(other) if other.difference(&fact).is_some() => {
                self.disputed.insert(revision);
            }
            Some(other) => {
                other.take_in(&fact);
                if let Teller::Write(_) = fact.teller {
                    other.teller = fact.teller;
                }
            }
            None => {
                facts.insert(revision, fact);
            }
        }
    }

    /// Takes in what a watch says, or tells what is at odds with it.
    pub(super) fn tell(
        &mut self,
        revision: i64,
        key: &'a Bytes,
        fact: Fact<'a>,
    ) -> Option<AtOdds<'a>> {
        if self.disputed.contains(&revision) {
            return None;
        }
        let facts = self.keys.entry(key).or_default();
        match facts.get_mut(&revision) {
            Some(other) => {
                if let Some(difference) = other.difference(&fact) {
                    return Some(AtOdds::Fact(difference, *other));
                }
                other.take_in(&fact);
            }
            None => {
                if let Some((op, true)) = self.writers.get(&revision) {
                    return Some(AtOdds::Writer(*op));
                }
                facts.insert(revision, fact);
            }
        }
        None
    }

    /// What is known of a key between two revisions, both excluded.
    pub(super) fn between(&self, key: &Bytes, low: i64, high: i64) -> Option<(i64, &Fact<'a>)> {
        let facts = self.keys.get(key)?;
        let mut inside = facts.range(low.saturating_add(1)..high.max(low.saturating_add(1)));
        inside
            .find(|(revision, _)| !self.disputed.contains(revision))
            .map(|(revision, fact)| (*revision, fact))
    }

    /// Everything known of a range of keys within revisions, both included.
    pub(super) fn within<'t>(
        &'t self,
        start: &'t Bytes,
        end: &'t Bytes,
        (low, high): (i64, i64),
    ) -> impl Iterator<Item = (i64, &'a Bytes, &'t Fact<'a>)> {
        let keys = self
            .keys
            .range::<Bytes, _>(start..)
            .take_while(move |(key, _)| in_range(key, start, end));
        keys.flat_map(move |(key, facts)| {
            facts
                .range(low..=high.max(low))
                .filter(move |(revision, _)| **revision <= high)
                .filter(|(revision, _)| !self.disputed.contains(revision))
                .map(move |(revision, fact)| (*revision, *key, fact))
        })
    }

    /// The highest revision at which a compaction can have taken effect before a time; 0 if none.
    pub(super) fn compacted_before(&self, at: u64) -> i64 {
        let asked = self.compactions.partition_point(|(asked, _)| *asked <= at);
        asked
            .checked_sub(1)
            .map_or(0, |last| self.compactions[last].1)
    }

    /// The first request for a compaction at exactly this revision.
    pub(super) fn compaction_at(&self, revision: i64) -> Option<&Op<'a>> {
        self.compacted_at.get(&revision)
    }

    /// How many revisions were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.writers.len()
    }
}
