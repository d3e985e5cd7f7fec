//! What a recorded history says of keys whose values are lists.
//!
//! etcd has no lists. A value is one here if it reads `a:` and decimal numbers, at least one, with
//! commas between: `a:1,2,3` (the numbers need no order, and are less than 2^64). A client appends
//! as in Jepsen's tests of etcd: it reads the key, and puts the longer value in a transaction
//! guarded by the key's mod revision being the one it read; 0, and the empty list, where there was
//! no key.
//!
//! | recorded | becomes |
//! | --- | --- |
//! | such a transaction whose guards held | a read of what the guard stands for, for each guarded key, and the appends |
//! | the same with unknown result | the same, unknown |
//! | one whose guards failed | the appends, aborted; and what the other branch read, committed |
//! | one that certainly failed | the appends, aborted |
//! | linearizable range at the newest revision, also in a transaction | a read of each value shown |
//! | such a range of one key without filters that finds nothing | a read of the empty list |
//!
//! What the guard stands for is what the same client was last shown of the key, or put there itself. Revisions are used
//! for this alone. A key is *spoiled*, and left out, if anything may have written it in another way
//! (a put of something else, without that guard, or with a lease; a delete) or if something else
//! than a list was read. Not projected: serializable reads, reads at a revision, keys and counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Operation, Status, Transaction};
use crate::checks::{Class, class_of};
use crate::history::{
    Bytes, Compare, CompareResult, CompareTarget, KeyValue, ObservationRecord, Outcome, PutRequest,
    RangeRequest, RangeResponse, Record, Request, Response, TxnOp, TxnOpResponse, TxnRequest,
};
use crate::linearizable::OperationId;
use crate::model::{bounds, is_serializable};

/// The process of what the harness asked.
const HARNESS: u32 = u32::MAX;

/// Transactions on lists, implied by a recorded history.
#[derive(Clone, Debug, Default)]
pub struct Projection<'a> {
    /// The transactions, keys by their place in `keys`.
    pub transactions: Vec<Transaction>,
    /// Where each comes from.
    pub origins: Vec<OperationId>,
    /// The keys.
    pub keys: Vec<&'a Bytes>,
    /// Keys that hold lists, but were written in other ways too.
    pub spoiled: u64,
}

/// The list that a value stands for.
#[must_use]
pub fn parse(value: &Bytes) -> Option<Vec<u64>> {
    let text = std::str::from_utf8(value.as_slice()).ok()?;
    let numbers = text.strip_prefix("a:")?.split(',');
    numbers
        .map(|n| {
            n.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| n.parse().ok())?
        })
        .collect()
}

/// The value that stands for a list.
#[must_use]
pub fn format(elements: &[u64]) -> Bytes {
    let numbers: Vec<_> = elements.iter().map(u64::to_string).collect();
    Bytes::from(format!("a:{}", numbers.join(",")))
}

/// Projects the traffic, and what the harness itself read, on lists.
#[must_use]
pub fn project<'a>(history: &'a [Record], observations: &'a [ObservationRecord]) -> Projection<'a> {
    let mut asked = Vec::new();
    let mut open = HashMap::new();
    for record in history {
        match record {
            Record::Invoke(invoke) => {
                open.insert(invoke.id, asked.len());
                asked.push(Asked {
                    id: OperationId::History(invoke.id),
                    process: invoke.client,
                    call: invoke.at,
                    request: &invoke.request,
                    end: None,
                });
            }
            Record::Return(end) => {
                if let Some(at) = open.get(&end.id) {
                    asked[*at].end = Some((end.at, &end.outcome));
                }
            }
            _ => {}
        }
    }
    asked.extend(observations.iter().filter_map(|record| match record {
        ObservationRecord::Asked(one) => Some(Asked {
            id: OperationId::Observation(one.id),
            process: HARNESS,
            call: one.at,
            request: &one.request,
            end: Some((one.until, &one.outcome)),
        }),
        _ => None,
    }));
    let mut projector = Projector::default();
    projector.find_lists(&asked);
    if !projector.numbers.is_empty() {
        for one in &asked {
            projector.project(one);
        }
    }
    projector.finish()
}

struct Asked<'a> {
    id: OperationId,
    process: u32,
    call: u64,
    request: &'a Request,
    end: Option<(u64, &'a Outcome)>,
}

impl<'a> Asked<'a> {
    fn class(&self) -> Class {
        match self.end {
            Some((_, outcome)) => class_of(self.request, outcome),
            None => Class::Unknown,
        }
    }

    fn answer(&self) -> Option<&'a Response> {
        self.end.and_then(|(_, outcome)| outcome.response())
    }
}

static EMPTY: Bytes = Bytes(Vec::new());

#[derive(Default)]
struct Projector<'a> {
    projection: Projection<'a>,
    /// Keys to which a list was put.
    numbers: BTreeMap<&'a Bytes, u32>,
    spoiled: BTreeSet<u32>,
    /// Mod revision and list that each process was last shown of a key.
    shown: HashMap<(u32, u32), (i64, Vec<u64>)>,
}

fn each_put<'a>(request: &'a Request, f: &mut impl FnMut(&'a PutRequest)) {
    fn in_txn<'a>(txn: &'a TxnRequest, f: &mut impl FnMut(&'a PutRequest)) {
        for op in txn.success.iter().chain(&txn.failure) {
            match op {
                TxnOp::Put(put) => f(put),
                TxnOp::Txn(inner) => in_txn(inner, f),
                TxnOp::Range(_) | TxnOp::Delete(_) => {}
            }
        }
    }
    match request {
        Request::Put(put) => f(put),
        Request::Txn(txn) => in_txn(txn, f),
        _ => {}
    }
}

impl<'a> Projector<'a> {
    fn find_lists(&mut self, asked: &[Asked<'a>]) {
        for one in asked {
            each_put(one.request, &mut |put| {
                if put.value.as_slice().starts_with(b"a:") {
                    let next = self.numbers.len() as u32;
                    self.numbers.entry(&put.key).or_insert(next);
                }
            });
        }
        self.projection.keys = vec![&EMPTY; self.numbers.len()];
        for (key, number) in &self.numbers {
            self.projection.keys[*number as usize] = key;
        }
    }

    fn finish(self) -> Projection<'a> {
        let Self {
            mut projection,
            spoiled,
            ..
        } = self;
        projection.spoiled = spoiled.len() as u64;
        let spoiled = |operation: &Operation| match operation {
            Operation::Append { key, .. } | Operation::Read { key, .. } => spoiled.contains(key),
        };
        let mut kept = Vec::with_capacity(projection.transactions.len());
        let mut origins = Vec::with_capacity(kept.capacity());
        for (mut transaction, origin) in projection.transactions.into_iter().zip(projection.origins)
        {
            transaction.operations.retain(|op| !spoiled(op));
            if !transaction.operations.is_empty() {
                kept.push(transaction);
                origins.push(origin);
            }
        }
        projection.transactions = kept;
        projection.origins = origins;
        projection
    }

    fn add(&mut self, asked: &Asked<'a>, status: Status, operations: Vec<Operation>) {
        if operations.is_empty() {
            return;
        }
        let ret = asked.end.map(|(at, _)| at);
        self.projection.transactions.push(Transaction {
            process: asked.process,
            call: asked.call,
            ret: ret.filter(|_| status != Status::Unknown),
            status,
            operations,
        });
        self.projection.origins.push(asked.id);
    }

    fn project(&mut self, asked: &Asked<'a>) {
        let class = asked.class();
        match asked.request {
            Request::Range(range) => {
                if let Some(Response::Range(answer)) = asked.answer() {
                    let reads = self.range(asked.process, range, answer);
                    self.add(asked, Status::Committed, reads);
                }
            }
            Request::Txn(txn) => self.txn(asked, txn, class),
            _ if class == Class::Definite => {}
            Request::Put(put) => self.spoil(&put.key),
            Request::Delete(delete) => self.spoil_range(&delete.key, &delete.range_end),
            _ => {}
        }
    }

    fn spoil(&mut self, key: &Bytes) {
        self.spoiled.extend(self.numbers.get(key));
    }

    fn spoil_range(&mut self, key: &Bytes, range_end: &Bytes) {
        if let Some(range) = bounds(key, range_end) {
            let keys = self.numbers.range::<Bytes, _>(range);
            self.spoiled.extend(keys.map(|(_, number)| *number));
        }
    }

    fn txn(&mut self, asked: &Asked<'a>, txn: &'a TxnRequest, class: Class) {
        if is_serializable(txn) {
            return;
        }
        let process = asked.process;
        let before: BTreeMap<u32, Vec<u64>> = txn
            .compare
            .iter()
            .filter_map(|guard| self.guarded(process, guard))
            .collect();
        let (answers, succeeded) = match asked.answer() {
            Some(Response::Txn(answer)) => (answer.responses.as_slice(), Some(answer.succeeded)),
            _ => (&[][..], None),
        };
        if succeeded != Some(true) && class != Class::Definite {
            // Appends belong into the branch for guards that hold.
            self.spoil_writes(&txn.failure);
        }
        let mut appends = Vec::new();
        for (place, op) in txn.success.iter().enumerate() {
            match op {
                TxnOp::Put(put) => match self.appended(put, &before) {
                    Some(more) => appends.extend(more),
                    None if class == Class::Definite || succeeded == Some(false) => {}
                    None => self.spoil(&put.key),
                },
                TxnOp::Range(range) if succeeded == Some(true) => {
                    if let Some(TxnOpResponse::Range(answer)) = answers.get(place) {
                        appends.extend(self.range(process, range, answer));
                    }
                }
                TxnOp::Range(_) => {}
                TxnOp::Delete(_) | TxnOp::Txn(_) => {
                    if class != Class::Definite && succeeded != Some(false) {
                        self.spoil_writes(std::slice::from_ref(op));
                    }
                }
            }
        }
        let guards = before.iter().map(|(key, elements)| Operation::Read {
            key: *key,
            elements: elements.clone(),
        });
        let guarded = || guards.clone().chain(appends.iter().cloned()).collect();
        let aborted = || {
            let append = |op: &&Operation| matches!(op, Operation::Append { .. });
            appends.iter().filter(append).cloned().collect()
        };
        match (class, succeeded) {
            (_, Some(true)) => {
                let revision = asked
                    .answer()
                    .and_then(Response::header)
                    .map_or(0, |header| header.revision);
                each_put(asked.request, &mut |put| {
                    if let (Some(key), Some(list)) = (self.numbers.get(&put.key), parse(&put.value))
                    {
                        self.shown.insert((process, *key), (revision, list));
                    }
                });
                self.add(asked, Status::Committed, guarded());
            }
            (_, Some(false)) => {
                self.add(asked, Status::Aborted, aborted());
                let mut reads = Vec::new();
                for (op, answer) in txn.failure.iter().zip(answers) {
                    if let (TxnOp::Range(range), TxnOpResponse::Range(answer)) = (op, answer) {
                        reads.extend(self.range(process, range, answer));
                    }
                }
                self.add(asked, Status::Committed, reads);
            }
            (Class::Definite, None) => self.add(asked, Status::Aborted, aborted()),
            (_, None) => self.add(asked, Status::Unknown, guarded()),
        }
    }

    /// The list that a guard stands for.
    fn guarded(&self, process: u32, guard: &Compare) -> Option<(u32, Vec<u64>)> {
        let number = *self.numbers.get(&guard.key)?;
        if !guard.range_end.is_empty() {
            return None;
        }
        match (&guard.target, guard.result) {
            (CompareTarget::Mod(0), CompareResult::Equal) => Some((number, Vec::new())),
            (CompareTarget::Mod(revision), CompareResult::Equal) => {
                let (shown, list) = self.shown.get(&(process, number))?;
                (shown == revision).then(|| (number, list.clone()))
            }
            _ => None,
        }
    }

    /// What a put appends to what its guard stands for.
    fn appended(
        &self,
        put: &PutRequest,
        before: &BTreeMap<u32, Vec<u64>>,
    ) -> Option<Vec<Operation>> {
        let Some(key) = self.numbers.get(&put.key).copied() else {
            return Some(Vec::new());
        };
        if put.lease != 0 || put.ignore_value || put.ignore_lease {
            return None;
        }
        let list = parse(&put.value)?;
        let more = list.strip_prefix(before.get(&key)?.as_slice())?;
        let append = |element: &u64| Operation::Append {
            key,
            element: *element,
        };
        (!more.is_empty()).then(|| more.iter().map(append).collect())
    }

    fn spoil_writes(&mut self, ops: &[TxnOp]) {
        for op in ops {
            match op {
                TxnOp::Put(put) => self.spoil(&put.key),
                TxnOp::Delete(delete) => self.spoil_range(&delete.key, &delete.range_end),
                TxnOp::Txn(inner) => {
                    self.spoil_writes(&inner.success);
                    self.spoil_writes(&inner.failure);
                }
                TxnOp::Range(_) => {}
            }
        }
    }

    /// The reads that an answer shows.
    fn range(
        &mut self,
        process: u32,
        range: &RangeRequest,
        answer: &RangeResponse,
    ) -> Vec<Operation> {
        if range.keys_only || range.count_only {
            return Vec::new();
        }
        let now = range.revision <= 0 && !range.serializable;
        let mut reads = Vec::new();
        for KeyValue {
            key,
            value,
            mod_revision,
            ..
        } in &answer.kvs
        {
            let Some(number) = self.numbers.get(key).copied() else {
                continue;
            };
            let Some(elements) = parse(value) else {
                self.spoiled.insert(number);
                continue;
            };
            self.shown
                .insert((process, number), (*mod_revision, elements.clone()));
            if now {
                reads.push(Operation::Read {
                    key: number,
                    elements,
                });
            }
        }
        let filtered = [
            range.min_mod_revision,
            range.max_mod_revision,
            range.min_create_revision,
            range.max_create_revision,
        ];
        let absent = answer.kvs.is_empty() && range.range_end.is_empty() && filtered == [0; 4];
        if now
            && absent
            && let Some(number) = self.numbers.get(&range.key)
        {
            reads.push(Operation::Read {
                key: *number,
                elements: Vec::new(),
            });
        }
        reads
    }
}
