//! From the test's operations to recorded requests and answers.

use super::shapes::{Input, Operation, Output, Put, Range, Txn, TxnOperation, ValueOrHash, Watch};
use super::{EtcdHistory, Lines, time};
use crate::history::{
    Bytes, Compare, CompareResult, CompareTarget, DeleteRequest, DeleteResponse, ErrorOrigin,
    Event, EventKind, Invoke, KeyValue, Outcome, PutRequest, PutResponse, RangeRequest,
    RangeResponse, Record, Request, Response, ResponseHeader, Return, TxnOp, TxnOpResponse,
    TxnRequest, TxnResponse, WatchDelivery, WatchRequest, WatchResponse,
};
use crate::import::{ImportError, Place};

/// What the test's traffic asks for (`DefaultLeaseTTL`), in seconds.
const LEASE_TTL: i64 = 7200;

/// Values of so many bytes and more are hashed (`ToValueOrHash`).
const HASHED_FROM: usize = 20;

/// Collects the requests of all clients.
pub(super) struct Converter {
    history: EtcdHistory,
    next: u64,
}

impl Converter {
    pub(super) fn new() -> Self {
        let mut history = EtcdHistory::new(String::new());
        history.files.clear();
        history.is_partial = true;
        Self { history, next: 0 }
    }

    pub(super) fn file(&mut self, name: &str) -> usize {
        self.history.files.push(name.to_owned());
        self.history.files.len() - 1
    }

    pub(super) fn finish(mut self) -> EtcdHistory {
        let at = |record: &Record| match record {
            Record::Invoke(invoke) => (invoke.at, 0),
            Record::Return(end) => (end.at, 1),
            Record::Watch(delivery) => (delivery.at, 1),
            Record::Header(_) | Record::Footer(_) => (0, 0),
        };
        self.history.records.sort_by_key(at);
        self.history
    }

    /// Numbers are even: see [`super::partial`].
    fn number(&mut self) -> u64 {
        self.next += 2;
        self.next - 2
    }

    pub(super) fn operation(
        &mut self,
        operation: Operation,
        file: usize,
        place: Place,
    ) -> Result<(), ImportError> {
        let Operation {
            client_id: client,
            input,
            call,
            output,
            r#return,
        } = operation;
        if input.r#type == "defragment" {
            self.history.left_out += 1;
            return Ok(());
        }
        let (call, ret) = (time(call, "Call", place)?, time(r#return, "Return", place)?);
        if ret < call {
            return Err(place.error("the operation returns before it is called: Return < Call"));
        }
        let request = request(input, place)?;
        let id = self.number();
        self.history.lines.push(Lines {
            id,
            file,
            client: u64::from(client),
            call: place.line,
            ret: None,
        });
        let member = output.member.clone().unwrap_or_default();
        if output.persisted {
            self.history.persisted.push(id);
        }
        self.history.is_whole |= (1..=2).contains(&output.revision);
        let outcome = outcome(&request, output, place)?;
        self.history.records.push(Record::Invoke(Invoke {
            id,
            at: call,
            client,
            member,
            user: None,
            request,
        }));
        self.history.records.push(Record::Return(Return {
            id,
            at: ret,
            outcome,
        }));
        Ok(())
    }

    pub(super) fn watch(
        &mut self,
        watch: Watch,
        client: u32,
        place: Place,
    ) -> Result<(), ImportError> {
        let id = self.number();
        let key = Bytes::from(watch.request.key);
        let mut start = None;
        let mut deliveries = Vec::new();
        for response in watch.responses {
            let at = time(response.time, "Time", place)?;
            start.get_or_insert(at);
            let mut events = Vec::new();
            for event in response.events {
                let kind = match event.r#type.as_str() {
                    "put-operation" => EventKind::Put,
                    "delete-operation" => EventKind::Delete,
                    other => return Err(place.error(format!("no event {other:?} is known"))),
                };
                // All that is said of the version is whether it is the first.
                let made = kind == EventKind::Put && event.is_create;
                let key = Bytes::from(event.key);
                let prev_kv = event.prev_value.map(|before| KeyValue {
                    key: key.clone(),
                    value: value(before.value),
                    mod_revision: before.mod_revision,
                    version: before.version,
                    ..KeyValue::default()
                });
                events.push(Event {
                    kind,
                    kv: KeyValue {
                        key,
                        value: value(event.value),
                        mod_revision: event.revision,
                        version: i64::from(made),
                        ..KeyValue::default()
                    },
                    prev_kv,
                });
            }
            let response = WatchResponse {
                header: header(response.revision),
                canceled: !response.error.is_empty(),
                cancel_reason: response.error,
                events,
                ..WatchResponse::default()
            };
            deliveries.push(Record::Watch(WatchDelivery { id, at, response }));
        }
        let request = Request::Watch(WatchRequest {
            range_end: if watch.request.with_prefix {
                key.prefix_end()
            } else {
                Bytes::default()
            },
            key,
            start_revision: watch.request.revision,
            prev_kv: watch.request.with_prev_kv,
            progress_notify: watch.request.with_progress_notify,
            filter_put: false,
            filter_delete: false,
        });
        self.history.records.push(Record::Invoke(Invoke {
            id,
            at: start.unwrap_or(0),
            client,
            member: String::new(),
            user: None,
            request,
        }));
        self.history.records.extend(deliveries);
        Ok(())
    }
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader {
        revision,
        ..ResponseHeader::default()
    }
}

/// A value, or what stands for it: longer than any value that is written out.
fn value(value: ValueOrHash) -> Bytes {
    let hash = match value.hash {
        0 if value.value.len() < HASHED_FROM => return Bytes::from(value.value),
        0 => fnv1a(value.value.as_bytes()),
        hash => hash,
    };
    Bytes::from(format!("a value whose hash is {hash:08x}"))
}

/// FNV-1a of 32 bits.
fn fnv1a(bytes: &[u8]) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step)
}

fn request(input: Input, place: Place) -> Result<Request, ImportError> {
    let lacks = |what: &str| place.error(format!("a {what:?} request without its {what}"));
    Ok(match input.r#type.as_str() {
        "range" => Request::Range(range(input.range.ok_or_else(|| lacks("Range"))?)),
        "txn" => {
            let mut txn = txn(input.txn.ok_or_else(|| lacks("Txn"))?, place)?;
            if !txn.compare.is_empty() || !txn.failure.is_empty() || txn.success.len() != 1 {
                return Ok(Request::Txn(txn));
            }
            match txn.success.pop() {
                Some(TxnOp::Put(put)) => Request::Put(put),
                Some(TxnOp::Delete(delete)) => Request::Delete(delete),
                other => {
                    txn.success.extend(other);
                    Request::Txn(txn)
                }
            }
        }
        "leaseGrant" => Request::LeaseGrant {
            id: input.lease_grant.ok_or_else(|| lacks("LeaseGrant"))?.id,
            ttl: LEASE_TTL,
        },
        "leaseRevoke" => Request::LeaseRevoke {
            id: input.lease_revoke.ok_or_else(|| lacks("LeaseRevoke"))?.id,
        },
        "compact" => Request::Compact {
            revision: input.compact.ok_or_else(|| lacks("Compact"))?.revision,
            physical: false,
        },
        other => return Err(place.error(format!("no request of type {other:?} is known"))),
    })
}

fn range(range: Range) -> RangeRequest {
    RangeRequest {
        key: Bytes::from(range.start),
        range_end: Bytes::from(range.end),
        limit: range.limit,
        revision: range.revision,
        keys_only: range.keys_only,
        ..RangeRequest::default()
    }
}

fn put(put: Put) -> PutRequest {
    PutRequest {
        key: Bytes::from(put.key),
        value: value(put.value),
        lease: put.lease,
        ..PutRequest::default()
    }
}

fn txn(txn: Txn, place: Place) -> Result<TxnRequest, ImportError> {
    let compare = txn
        .conditions
        .into_iter()
        .map(|condition| Compare {
            key: Bytes::from(condition.key),
            range_end: Bytes::default(),
            result: CompareResult::Equal,
            target: if condition.expected_version > 0 {
                CompareTarget::Version(condition.expected_version)
            } else {
                CompareTarget::Mod(condition.expected_revision)
            },
        })
        .collect();
    let branch = |ops: Vec<TxnOperation>| -> Result<Vec<TxnOp>, ImportError> {
        ops.into_iter()
            .map(|op| {
                Ok(match op.r#type.as_str() {
                    "range-operation" => TxnOp::Range(range(op.range)),
                    "put-operation" => TxnOp::Put(put(op.put)),
                    "delete-operation" => TxnOp::Delete(DeleteRequest {
                        key: Bytes::from(op.delete.key),
                        ..DeleteRequest::default()
                    }),
                    other => {
                        let what = format!("no operation of type {other:?} is known in a txn");
                        return Err(place.error(what));
                    }
                })
            })
            .collect()
    };
    Ok(TxnRequest {
        compare,
        success: branch(txn.operations_on_success)?,
        failure: branch(txn.operations_on_failure)?,
    })
}

fn outcome(request: &Request, output: Output, place: Place) -> Result<Outcome, ImportError> {
    let error = |code, message: String, origin| Outcome::Error {
        code,
        message,
        origin,
    };
    if !output.client_error.is_empty() {
        // The test cuts the server's prefix off.
        let message = format!("etcdserver: {}", output.client_error);
        return Ok(error(11, message, ErrorOrigin::Server));
    }
    if !output.error.is_empty() {
        return Ok(error(2, output.error, ErrorOrigin::Client));
    }
    if output.persisted {
        let message = "not heard, but persisted".to_owned();
        return Ok(error(2, message, ErrorOrigin::Client));
    }
    let header = header(output.revision);
    let lacks = |what: &str| place.error(format!("neither an error nor a {what} answer"));
    let response = match request {
        Request::Range(_) => {
            let answer = output.range.ok_or_else(|| lacks("Range"))?;
            Response::Range(range_response(header, answer.kvs, answer.count))
        }
        Request::Put(_) => {
            output.txn.ok_or_else(|| lacks("Txn"))?;
            Response::Put(PutResponse {
                header,
                prev_kv: None,
            })
        }
        Request::Delete(_) => {
            let answer = output.txn.ok_or_else(|| lacks("Txn"))?;
            let deleted = answer.results.first().map_or(0, |result| result.deleted);
            Response::Delete(DeleteResponse {
                header,
                deleted,
                prev_kvs: Vec::new(),
            })
        }
        Request::Txn(txn) => {
            let answer = output.txn.ok_or_else(|| lacks("Txn"))?;
            let branch = if answer.failure {
                &txn.failure
            } else {
                &txn.success
            };
            if branch.len() != answer.results.len() {
                let what = format!(
                    "a txn of {} operations is answered with {} results",
                    branch.len(),
                    answer.results.len()
                );
                return Err(place.error(what));
            }
            let pairs = branch.iter().zip(answer.results);
            let responses = pairs.map(|(op, result)| match op {
                TxnOp::Delete(_) => TxnOpResponse::Delete(DeleteResponse {
                    deleted: result.deleted,
                    ..DeleteResponse::default()
                }),
                TxnOp::Range(_) => {
                    let header = ResponseHeader::default();
                    TxnOpResponse::Range(range_response(header, result.kvs, result.count))
                }
                TxnOp::Put(_) | TxnOp::Txn(_) => TxnOpResponse::Put(PutResponse::default()),
            });
            Response::Txn(TxnResponse {
                header,
                succeeded: !answer.failure,
                responses: responses.collect(),
            })
        }
        Request::LeaseGrant { id, ttl } => {
            output.lease_grant.ok_or_else(|| lacks("LeaseGrant"))?;
            Response::LeaseGrant {
                header,
                id: *id,
                ttl: *ttl,
            }
        }
        Request::LeaseRevoke { .. } => {
            output.lease_revoke.ok_or_else(|| lacks("LeaseRevoke"))?;
            Response::LeaseRevoke { header }
        }
        _ => {
            output.compact.ok_or_else(|| lacks("Compact"))?;
            Response::Compact { header }
        }
    };
    Ok(Outcome::Ok { response })
}

fn range_response(
    header: ResponseHeader,
    kvs: Vec<super::shapes::KeyValue>,
    count: i64,
) -> RangeResponse {
    let kvs: Vec<_> = kvs
        .into_iter()
        .map(|kv| KeyValue {
            key: Bytes::from(kv.key),
            value: value(kv.value),
            mod_revision: kv.mod_revision,
            version: kv.version,
            ..KeyValue::default()
        })
        .collect();
    let more = usize::try_from(count).is_ok_and(|count| count > kvs.len());
    RangeResponse {
        header,
        kvs,
        more,
        count,
    }
}
