//! What a recorded history says of single keys, taken as registers.
//!
//! Every operation here is implied by the recorded ones: if these have an order that explains them,
//! so have those. An operation on several keys, or one that reads and writes, becomes one for each
//! key and part, all over the interval of the whole: they take effect together where it does.
//!
//! | recorded | becomes |
//! | --- | --- |
//! | put, also in the branch that a transaction took | a write of the value |
//! | put with unknown result; each put in either branch of such a transaction | a write without return |
//! | linearizable range at the newest revision, also in a transaction | a read of each value shown |
//! | such a range of one key without filters that finds nothing | a read of the initial value, if the key never vanishes |
//! | previous key-value of a put or delete | a read of its value |
//! | acknowledged delete, for each key in its range | a write that nobody reads: the key is absent after it, whether or not it was before |
//!
//! A key may *vanish* if any delete of it was or may have been done, or any put may have attached a
//! lease: an expiry is not recorded. Absence then has several causes, so that reads of it say
//! nothing and are left out; a value that comes back after it has been seen overwritten, or after
//! an acknowledged delete, is still found. Not projected: serializable reads, reads at a revision,
//! keys and counts without values, guards, puts that keep the value (they write none), and requests
//! that were refused or failed without effect. A key on which a value that is read was put more
//! than once is skipped by the check.

use std::collections::{BTreeMap, HashMap};

use api::errors::{ErrorClass, RequestKind, classify};

use super::hash::Fast;
use super::{Kind, Operation};
use crate::history::{
    Bytes, DeleteRequest, ErrorOrigin, KeyValue, ObservationRecord, Outcome, PutRequest,
    RangeRequest, RangeResponse, Record, Request, Response, TxnOp, TxnOpResponse, TxnRequest,
};
use crate::linearizable::OperationId;
use crate::model::{bounds, is_serializable};

/// The value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// As put.
    Put(&'a Bytes),
    /// Absent, by the delete that is this one of [`Projection::origins`].
    Deleted(usize),
}

/// What was projected, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ranges, puts, deletes and transactions recorded.
    pub recorded: u64,
    /// Of these, answered from a member's own state, or from the past.
    pub local_or_past: u64,
    /// Absences that say nothing, because the key may vanish.
    pub absences: u64,
}

/// Operations on single keys, implied by a recorded history.
#[derive(Clone, Debug, Default)]
pub struct Projection<'a> {
    /// The operations.
    pub operations: Vec<Operation<&'a Bytes, Value<'a>>>,
    /// Where each of them comes from.
    pub origins: Vec<OperationId>,
    /// What was projected, and what was not.
    pub counts: Counts,
}

/// A recorded request with its answer.
struct Asked<'a> {
    id: OperationId,
    call: u64,
    ret: u64,
    request: &'a Request,
    /// None where the result is unknown.
    answer: Option<&'a Response>,
}

/// Projects the traffic, and what the harness itself read and wrote, on single keys.
#[must_use]
pub fn project<'a>(history: &'a [Record], observations: &'a [ObservationRecord]) -> Projection<'a> {
    let asked = read(history, observations);
    let mut projector = Projector {
        vanishes: vanishing(&asked),
        projection: Projection::default(),
    };
    for asked in &asked {
        projector.projection.counts.recorded += 1;
        projector.project(asked);
    }
    projector.projection
}

/// Requests that may have had an effect or were answered.
fn read<'a>(history: &'a [Record], observations: &'a [ObservationRecord]) -> Vec<Asked<'a>> {
    let mut returns: HashMap<u64, (u64, &Outcome), Fast> = HashMap::default();
    for record in history {
        if let Record::Return(end) = record {
            returns.insert(end.id, (end.at, &end.outcome));
        }
    }
    let invoked = history.iter().filter_map(|record| match record {
        Record::Invoke(invoke) => {
            let end = returns.get(&invoke.id).copied();
            let id = OperationId::History(invoke.id);
            heard(id, invoke.at, &invoke.request, end)
        }
        _ => None,
    });
    let observed = observations.iter().filter_map(|record| match record {
        ObservationRecord::Asked(asked) => {
            let end = Some((asked.until, &asked.outcome));
            let id = OperationId::Observation(asked.id);
            heard(id, asked.at, &asked.request, end)
        }
        _ => None,
    });
    invoked.chain(observed).collect()
}

fn heard<'a>(
    id: OperationId,
    call: u64,
    request: &'a Request,
    end: Option<(u64, &'a Outcome)>,
) -> Option<Asked<'a>> {
    let kind = match request {
        Request::Range(_) => RequestKind::Range,
        Request::Put(_) => RequestKind::Put,
        Request::Delete(_) => RequestKind::DeleteRange,
        Request::Txn(_) => RequestKind::Txn,
        _ => return None,
    };
    let (ret, answer) = match end {
        None => (u64::MAX, None),
        Some((at, Outcome::Ok { response })) => (at, Some(response)),
        Some((
            at,
            Outcome::Error {
                code,
                message,
                origin,
            },
        )) => {
            let class = match origin {
                ErrorOrigin::NotSent => ErrorClass::Definite,
                ErrorOrigin::Server => classify(kind, *code, message).class,
                ErrorOrigin::Client | ErrorOrigin::Deadline => ErrorClass::Unknown,
            };
            if class != ErrorClass::Unknown {
                return None;
            }
            (at, None)
        }
    };
    Some(Asked {
        id,
        call,
        ret,
        request,
        answer,
    })
}

/// For each key that was put, whether it may vanish.
fn vanishing<'a>(asked: &[Asked<'a>]) -> BTreeMap<&'a Bytes, bool> {
    let mut vanishes = BTreeMap::new();
    for asked in asked {
        each_op(asked.request, &mut |op| {
            if let Op::Put(put) = op {
                *vanishes.entry(&put.key).or_default() |= put.lease != 0;
            }
        });
    }
    for asked in asked {
        each_op(asked.request, &mut |op| {
            if let Op::Delete(delete) = op
                && let Some(range) = bounds(&delete.key, &delete.range_end)
            {
                let keys = vanishes.range_mut::<Bytes, _>(range);
                keys.for_each(|(_, vanishes)| *vanishes = true);
            }
        });
    }
    vanishes
}

/// A write, in a request or in a branch.
enum Op<'a> {
    Put(&'a PutRequest),
    Delete(&'a DeleteRequest),
}

/// Calls for every write that a request may make, in either branch.
fn each_op<'a>(request: &'a Request, f: &mut impl FnMut(Op<'a>)) {
    match request {
        Request::Put(put) => f(Op::Put(put)),
        Request::Delete(delete) => f(Op::Delete(delete)),
        Request::Txn(txn) => each_of_txn(txn, f),
        _ => {}
    }
}

fn each_of_txn<'a>(txn: &'a TxnRequest, f: &mut impl FnMut(Op<'a>)) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            TxnOp::Put(put) => f(Op::Put(put)),
            TxnOp::Delete(delete) => f(Op::Delete(delete)),
            TxnOp::Txn(inner) => each_of_txn(inner, f),
            TxnOp::Range(_) => {}
        }
    }
}

struct Projector<'a> {
    vanishes: BTreeMap<&'a Bytes, bool>,
    projection: Projection<'a>,
}

impl<'a> Projector<'a> {
    fn push(&mut self, asked: &Asked<'a>, key: &'a Bytes, kind: Kind<Value<'a>>) {
        self.projection.operations.push(Operation {
            key,
            kind,
            call: asked.call,
            ret: asked.answer.map(|_| asked.ret),
        });
        self.projection.origins.push(asked.id);
    }

    fn project(&mut self, asked: &Asked<'a>) {
        match (asked.request, asked.answer) {
            (request, None) => each_op(request, &mut |op| {
                if let Op::Put(put) = op {
                    self.put(asked, put);
                }
            }),
            (Request::Range(range), Some(_)) if range.serializable => {
                self.projection.counts.local_or_past += 1;
            }
            (Request::Range(range), Some(Response::Range(answer))) => {
                self.range(asked, range, answer);
            }
            (Request::Put(put), Some(Response::Put(answer))) => {
                self.previous(asked, answer.prev_kv.as_slice());
                self.put(asked, put);
            }
            (Request::Delete(delete), Some(Response::Delete(answer))) => {
                self.previous(asked, &answer.prev_kvs);
                self.delete(asked, delete);
            }
            (Request::Txn(txn), Some(Response::Txn(answer))) => {
                if is_serializable(txn) {
                    self.projection.counts.local_or_past += 1;
                } else {
                    self.branch(asked, txn, answer.succeeded, &answer.responses);
                }
            }
            _ => {}
        }
    }

    fn branch(
        &mut self,
        asked: &Asked<'a>,
        txn: &'a TxnRequest,
        succeeded: bool,
        answers: &'a [TxnOpResponse],
    ) {
        let branch = if succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        for (op, answer) in branch.iter().zip(answers) {
            match (op, answer) {
                (TxnOp::Range(range), TxnOpResponse::Range(answer)) => {
                    self.range(asked, range, answer);
                }
                (TxnOp::Put(put), TxnOpResponse::Put(answer)) => {
                    self.previous(asked, answer.prev_kv.as_slice());
                    self.put(asked, put);
                }
                (TxnOp::Delete(delete), TxnOpResponse::Delete(answer)) => {
                    self.previous(asked, &answer.prev_kvs);
                    self.delete(asked, delete);
                }
                (TxnOp::Txn(inner), TxnOpResponse::Txn(answer)) => {
                    self.branch(asked, inner, answer.succeeded, &answer.responses);
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, asked: &Asked<'a>, put: &'a PutRequest) {
        if !put.ignore_value {
            self.push(asked, &put.key, Kind::Write(Value::Put(&put.value)));
        }
    }

    fn delete(&mut self, asked: &Asked<'a>, delete: &'a DeleteRequest) {
        let Some(range) = bounds(&delete.key, &delete.range_end) else {
            return;
        };
        let keys: Vec<&Bytes> = self
            .vanishes
            .range::<Bytes, _>(range)
            .map(|(k, _)| *k)
            .collect();
        for key in keys {
            let unique = self.projection.origins.len();
            self.push(asked, key, Kind::Write(Value::Deleted(unique)));
        }
    }

    fn previous(&mut self, asked: &Asked<'a>, shown: &'a [KeyValue]) {
        for kv in shown {
            self.push(asked, &kv.key, Kind::Read(Some(Value::Put(&kv.value))));
        }
    }

    fn range(&mut self, asked: &Asked<'a>, range: &'a RangeRequest, answer: &'a RangeResponse) {
        if range.revision > 0 {
            self.projection.counts.local_or_past += 1;
            return;
        }
        if range.keys_only || range.count_only {
            return;
        }
        self.previous(asked, &answer.kvs);
        let filtered = [
            range.min_mod_revision,
            range.max_mod_revision,
            range.min_create_revision,
            range.max_create_revision,
        ];
        if answer.kvs.is_empty() && range.range_end.is_empty() && filtered == [0; 4] {
            if self.vanishes.get(&range.key).copied().unwrap_or(false) {
                self.projection.counts.absences += 1;
            } else {
                self.push(asked, &range.key, Kind::Read(None));
            }
        }
    }
}
