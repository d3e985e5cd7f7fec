//! Answers that lack fields, asked in another way: so that what is not known is not compared.
//!
//! A key-value without create revision and lease cannot be compared with a stored one. But a range
//! that showed `k = v` at mod revision 7, version 2, is the same as a transaction that compares
//! these three, counts the keys in the range, and succeeds. In that form the
//! [revision order](crate::linearizable) judges it exactly:
//!
//! | recorded | judged as |
//! | --- | --- |
//! | a range of the newest revision | a transaction with a guard on each mod revision, version and value shown, and a count of the range; with a limit also a count up to the last key shown |
//! | a range at a revision | a count at that revision; and a serializable transaction of that revision, as above, which takes the next odd number |
//! | a range in a transaction | a nested transaction, as above: guards are judged before anything is written |
//! | a range in a transaction of keys that it has written before | its count alone, and so never enough to say that a history holds |
//! | a put that was not answered, when it alone wrote a value that answers show at one revision | a put that made that revision, and returned at the end of time |
//! | a compaction whose answer lacks the revision | one answered at the latest revision that real time allows; or, to be sure of a violation, one of unknown result |
//!
//! What ranges show is given as watch events too, where nothing else says who made a revision: they
//! tell the search where to look first, and prove nothing.

use std::collections::{HashMap, HashSet};

use super::EtcdHistory;
use crate::history::{
    Bytes, Compare, CompareResult, CompareTarget, ErrorOrigin, Event, EventKind, Invoke, KeyValue,
    Outcome, PutResponse, RangeRequest, RangeResponse, Record, Request, Response, ResponseHeader,
    Return, TxnOp, TxnOpResponse, TxnRequest, TxnResponse, WatchDelivery, WatchResponse,
};

/// What is made of compactions whose answers lack the revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compactions {
    /// They were answered at the latest revision that real time allows.
    Latest,
    /// Their results are unknown.
    Unknown,
}

/// A history that can be compared field by field.
#[derive(Clone, Debug, Default)]
pub struct Completed {
    /// The history.
    pub records: Vec<Record>,
    /// Ranges of which only the count is judged.
    pub counted_only: u64,
    /// Compactions whose answers lack the revision.
    pub compactions: u64,
    /// Puts that were not answered, and the revisions that they made as answers show.
    pub inferred: HashMap<u64, i64>,
}

/// Asks what is partly known in another way.
#[must_use]
pub fn complete(history: &EtcdHistory, compactions: Compactions) -> Completed {
    let mut returns: HashMap<u64, &Return> = HashMap::new();
    for record in &history.records {
        if let Record::Return(end) = record {
            returns.insert(end.id, end);
        }
    }
    let timeline = Timeline::of(history, &returns);
    let mut completed = Completed {
        inferred: inferred(history, &returns),
        ..Completed::default()
    };
    let mut hints = Hints::default();
    for record in &history.records {
        match record {
            Record::Invoke(invoke) => {
                let end = returns.remove(&invoke.id);
                hints.see(invoke, end);
                completed.push(invoke, end, &timeline, compactions);
            }
            Record::Return(_) => {}
            other => completed.records.push(other.clone()),
        }
    }
    hints.tell(&mut completed.records);
    completed
}

impl Completed {
    fn push(
        &mut self,
        invoke: &Invoke,
        end: Option<&Return>,
        timeline: &Timeline,
        compactions: Compactions,
    ) {
        if let Some(revision) = self.inferred.get(&invoke.id) {
            let answer = PutResponse {
                header: ResponseHeader {
                    revision: *revision,
                    ..ResponseHeader::default()
                },
                prev_kv: None,
            };
            let request = invoke.request.clone();
            self.pair(invoke, invoke.id, request, LAST, Response::Put(answer));
            return;
        }
        let answer = end.and_then(|end| Some((end, end.outcome.response()?)));
        let (request, response) = match (&invoke.request, answer) {
            (Request::Range(range), Some((end, Response::Range(response))))
                if !response.kvs.is_empty() && is_regular(range, response) =>
            {
                if range.revision > 0 {
                    self.pinned(invoke, end, range, response);
                    return;
                }
                let (txn, mut answer) = guarded(range, response, false);
                answer.header = response.header.clone();
                (Request::Txn(txn), Response::Txn(answer))
            }
            (Request::Txn(txn), Some((_, Response::Txn(answer)))) => {
                let (txn, answer) = self.txn(txn, answer);
                (Request::Txn(txn), Response::Txn(answer))
            }
            (Request::Compact { revision, .. }, Some((end, Response::Compact { header })))
                if header.revision < 1 =>
            {
                self.compactions += 1;
                if compactions == Compactions::Unknown {
                    let outcome = Outcome::Error {
                        code: 2,
                        message: "answered at a revision that was not recorded".to_owned(),
                        origin: ErrorOrigin::Client,
                    };
                    self.records.push(Record::Invoke(invoke.clone()));
                    let end = Return {
                        outcome,
                        ..(*end).clone()
                    };
                    self.records.push(Record::Return(end));
                    return;
                }
                let header = ResponseHeader {
                    revision: timeline.latest(end.at).max(*revision).max(1),
                    ..header.clone()
                };
                (invoke.request.clone(), Response::Compact { header })
            }
            _ => {
                self.records.push(Record::Invoke(invoke.clone()));
                self.records.extend(end.cloned().map(Record::Return));
                return;
            }
        };
        let at = end.map_or(invoke.at, |end| end.at);
        self.pair(invoke, invoke.id, request, at, response);
    }

    fn pair(&mut self, invoke: &Invoke, id: u64, request: Request, at: u64, response: Response) {
        self.records.push(Record::Invoke(Invoke {
            id,
            request,
            ..invoke.clone()
        }));
        let outcome = Outcome::Ok { response };
        self.records
            .push(Record::Return(Return { id, at, outcome }));
    }

    /// A range at a revision: when it was read, and what.
    fn pinned(
        &mut self,
        invoke: &Invoke,
        end: &Return,
        range: &RangeRequest,
        response: &RangeResponse,
    ) {
        let counted = RangeRequest {
            count_only: true,
            ..range.clone()
        };
        let count = counted_response(response.header.clone(), response.count);
        let (request, count) = (Request::Range(counted), Response::Range(count));
        self.pair(invoke, invoke.id, request, end.at, count);
        let (txn, mut answer) = guarded(range, response, true);
        answer.header = ResponseHeader {
            revision: range.revision,
            ..response.header.clone()
        };
        let (request, answer) = (Request::Txn(txn), Response::Txn(answer));
        self.pair(invoke, invoke.id + 1, request, end.at, answer);
    }

    /// The same transaction with the ranges of the branch taken replaced.
    fn txn(&mut self, txn: &TxnRequest, answer: &TxnResponse) -> (TxnRequest, TxnResponse) {
        let mut txn = txn.clone();
        let mut answer = answer.clone();
        let branch = if answer.succeeded {
            &mut txn.success
        } else {
            &mut txn.failure
        };
        let mut written: Vec<Bytes> = Vec::new();
        for (op, response) in branch.iter_mut().zip(&mut answer.responses) {
            match (&*op, &*response) {
                (TxnOp::Put(put), _) => written.push(put.key.clone()),
                (TxnOp::Delete(delete), _) => written.push(delete.key.clone()),
                (TxnOp::Range(range), TxnOpResponse::Range(shown)) if !shown.kvs.is_empty() => {
                    if !is_regular(range, shown) {
                        continue;
                    }
                    if written.iter().any(|key| contains(range, key)) {
                        self.counted_only += 1;
                        let counted = RangeRequest {
                            count_only: true,
                            ..range.clone()
                        };
                        let count = counted_response(ResponseHeader::default(), shown.count);
                        *op = TxnOp::Range(counted);
                        *response = TxnOpResponse::Range(count);
                        continue;
                    }
                    let (inner, answer) = guarded(range, shown, false);
                    *op = TxnOp::Txn(inner);
                    *response = TxnOpResponse::Txn(answer);
                }
                _ => {}
            }
        }
        (txn, answer)
    }
}

/// The end of time.
const LAST: u64 = u64::MAX - 1;

/// Puts that were not answered, but of which answers show which revision they made: nobody else
/// asked to write the value to the key.
fn inferred(history: &EtcdHistory, returns: &HashMap<u64, &Return>) -> HashMap<u64, i64> {
    let mut writers: HashMap<(&Bytes, &Bytes), u64> = HashMap::new();
    let mut shown: HashMap<(&Bytes, &Bytes), Option<i64>> = HashMap::new();
    let mut unheard: Vec<(u64, &Bytes, &Bytes)> = Vec::new();
    for record in &history.records {
        let Record::Invoke(invoke) = record else {
            continue;
        };
        let answer = returns
            .get(&invoke.id)
            .and_then(|end| end.outcome.response());
        match &invoke.request {
            Request::Put(put) => {
                *writers.entry((&put.key, &put.value)).or_default() += 1;
                if answer.is_none() && put.lease == 0 {
                    unheard.push((invoke.id, &put.key, &put.value));
                }
            }
            Request::Txn(txn) => {
                for op in txn.success.iter().chain(&txn.failure) {
                    if let TxnOp::Put(put) = op {
                        *writers.entry((&put.key, &put.value)).or_default() += 1;
                    }
                }
            }
            _ => {}
        }
        each_shown(answer, &mut |kv| {
            shown
                .entry((&kv.key, &kv.value))
                .and_modify(|at| *at = at.filter(|at| *at == kv.mod_revision))
                .or_insert(Some(kv.mod_revision));
        });
    }
    unheard
        .into_iter()
        .filter(|(_, key, value)| writers.get(&(*key, *value)) == Some(&1))
        .filter_map(|(id, key, value)| {
            let revision = shown.get(&(key, value)).copied().flatten()?;
            (revision > 1).then_some((id, revision))
        })
        .collect()
}

/// Calls for every key-value that an answer shows with its value.
fn each_shown<'a>(answer: Option<&'a Response>, f: &mut impl FnMut(&'a KeyValue)) {
    let mut range = |range: &'a RangeResponse| {
        range
            .kvs
            .iter()
            .filter(|kv| !kv.value.is_empty())
            .for_each(&mut *f);
    };
    match answer {
        Some(Response::Range(answer)) => range(answer),
        Some(Response::Txn(answer)) => {
            for response in &answer.responses {
                if let TxnOpResponse::Range(answer) = response {
                    range(answer);
                }
            }
        }
        _ => {}
    }
}

/// Whether an answer could be one to the range at all: keys ascend and lie in it, and there are as
/// many as count and limit say. One that could not is judged as it is, and refused.
fn is_regular(range: &RangeRequest, response: &RangeResponse) -> bool {
    response.kvs.iter().all(|kv| contains(range, &kv.key))
        && response
            .kvs
            .is_sorted_by(|before, after| before.key < after.key)
        && i64::try_from(response.kvs.len()).is_ok_and(|shown| {
            let limit = if range.limit > 0 {
                range.limit
            } else {
                i64::MAX
            };
            shown == response.count.min(limit)
        })
}

fn contains(range: &RangeRequest, key: &Bytes) -> bool {
    match range.range_end.as_slice() {
        [] => *key == range.key,
        [0] => *key >= range.key,
        _ => *key >= range.key && *key < range.range_end,
    }
}

fn counted_response(header: ResponseHeader, count: i64) -> RangeResponse {
    RangeResponse {
        header,
        kvs: Vec::new(),
        more: false,
        count,
    }
}

/// The transaction that succeeds where a range shows what it did, and its answer.
fn guarded(
    range: &RangeRequest,
    response: &RangeResponse,
    serializable: bool,
) -> (TxnRequest, TxnResponse) {
    let mut compare = Vec::new();
    for kv in &response.kvs {
        let mut guard = |target| {
            compare.push(Compare {
                key: kv.key.clone(),
                range_end: Bytes::default(),
                result: CompareResult::Equal,
                target,
            });
        };
        guard(CompareTarget::Mod(kv.mod_revision));
        if kv.version != 0 {
            guard(CompareTarget::Version(kv.version));
        }
        if !range.keys_only {
            guard(CompareTarget::Value(kv.value.clone()));
        }
    }
    let count = |range_end: Bytes| {
        TxnOp::Range(RangeRequest {
            key: range.key.clone(),
            range_end,
            count_only: true,
            serializable,
            ..RangeRequest::default()
        })
    };
    let answered = |count| TxnOpResponse::Range(counted_response(ResponseHeader::default(), count));
    let shown = i64::try_from(response.kvs.len()).unwrap_or(i64::MAX);
    let mut success = vec![count(range.range_end.clone())];
    let mut responses = vec![answered(response.count)];
    if let Some(last) = response.kvs.last().filter(|_| shown < response.count) {
        let mut after = last.key.0.clone();
        after.push(0);
        success.push(count(Bytes(after)));
        responses.push(answered(shown));
    }
    let txn = TxnRequest {
        compare,
        success,
        failure: Vec::new(),
    };
    let answer = TxnResponse {
        header: ResponseHeader::default(),
        succeeded: true,
        responses,
    };
    (txn, answer)
}

/// Which revisions had to be there by when, as far as answers show it.
struct Timeline {
    /// Revisions, ascending, each with the latest call of what stands before it or makes it.
    calls: Vec<(i64, u64)>,
}

impl Timeline {
    fn of(history: &EtcdHistory, returns: &HashMap<u64, &Return>) -> Self {
        let mut calls = Vec::new();
        for record in &history.records {
            let Record::Invoke(invoke) = record else {
                continue;
            };
            let answer = returns
                .get(&invoke.id)
                .and_then(|end| end.outcome.response());
            if let Some(header) = answer.and_then(Response::header)
                && header.revision > 0
            {
                calls.push((header.revision, invoke.at));
            }
        }
        calls.sort_unstable();
        let mut latest = 0;
        for (_, call) in &mut calls {
            latest = latest.max(*call);
            *call = latest;
        }
        Self { calls }
    }

    /// The latest revision that may have been there at a time.
    fn latest(&self, time: u64) -> i64 {
        let some = self.calls.partition_point(|(_, call)| *call <= time);
        some.checked_sub(1).map_or(0, |last| self.calls[last].0)
    }
}

/// What ranges show of revisions that nobody is known to have made.
#[derive(Default)]
struct Hints {
    made: HashSet<i64>,
    shown: HashMap<(i64, Bytes), Bytes>,
    number: u64,
}

impl Hints {
    fn see(&mut self, invoke: &Invoke, end: Option<&Return>) {
        self.number = self.number.max(invoke.id.saturating_add(2));
        let answer = end.and_then(|end| end.outcome.response());
        each_shown(answer, &mut |kv| self.show(kv));
        match answer {
            Some(Response::Txn(answer)) => drop(self.made.insert(answer.header.revision)),
            Some(Response::Put(answer)) => drop(self.made.insert(answer.header.revision)),
            _ => {}
        }
    }

    fn show(&mut self, kv: &KeyValue) {
        self.shown
            .entry((kv.mod_revision, kv.key.clone()))
            .or_insert_with(|| kv.value.clone());
    }

    fn tell(self, records: &mut Vec<Record>) {
        let Self {
            made,
            shown,
            number,
        } = self;
        let mut events: Vec<_> = shown
            .into_iter()
            .filter(|((revision, _), _)| !made.contains(revision))
            .map(|((mod_revision, key), value)| Event {
                kind: EventKind::Put,
                kv: KeyValue {
                    key,
                    value,
                    mod_revision,
                    ..KeyValue::default()
                },
                prev_kv: None,
            })
            .collect();
        if events.is_empty() {
            return;
        }
        events.sort_by(|a, b| (a.kv.mod_revision, &a.kv.key).cmp(&(b.kv.mod_revision, &b.kv.key)));
        let response = WatchResponse {
            events,
            ..WatchResponse::default()
        };
        records.push(Record::Watch(WatchDelivery {
            id: number,
            at: 0,
            response,
        }));
    }
}
