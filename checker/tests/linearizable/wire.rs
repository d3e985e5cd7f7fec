//! The model's answers and errors as a server sends them.

use checker::history::*;
use checker::model::{Answer, RangeAnswer, Refusal};

use super::super::history::header;

/// The answer on the wire.
pub(crate) fn response(request: &Request, answer: &Answer, revision: i64) -> Response {
    let header = header(revision);
    match (request, answer) {
        (Request::Compact { .. }, _) => Response::Compact { header },
        (Request::LeaseGrant { id, ttl }, _) => Response::LeaseGrant {
            header,
            id: *id,
            ttl: *ttl,
        },
        (Request::LeaseRevoke { .. }, _) => Response::LeaseRevoke { header },
        (_, answer) => match op_response(answer) {
            TxnOpResponse::Range(r) => Response::Range(RangeResponse { header, ..r }),
            TxnOpResponse::Put(r) => Response::Put(PutResponse { header, ..r }),
            TxnOpResponse::Delete(r) => Response::Delete(DeleteResponse { header, ..r }),
            TxnOpResponse::Txn(r) => Response::Txn(TxnResponse { header, ..r }),
        },
    }
}

fn op_response(answer: &Answer) -> TxnOpResponse {
    match answer {
        Answer::Range(range) => TxnOpResponse::Range(range_response(range)),
        Answer::Put { previous } => TxnOpResponse::Put(PutResponse {
            prev_kv: previous.as_deref().cloned(),
            ..Default::default()
        }),
        Answer::Delete { deleted, previous } => TxnOpResponse::Delete(DeleteResponse {
            deleted: *deleted,
            prev_kvs: previous.iter().map(|kv| (**kv).clone()).collect(),
            ..Default::default()
        }),
        Answer::Txn { succeeded, answers } => TxnOpResponse::Txn(TxnResponse {
            succeeded: *succeeded,
            responses: answers.iter().map(op_response).collect(),
            ..Default::default()
        }),
        Answer::Elsewhen { .. } | Answer::Done => unreachable!("the past is kept"),
    }
}

fn range_response(range: &RangeAnswer) -> RangeResponse {
    let mut kvs: Vec<KeyValue> = range.kvs[..range.kept]
        .iter()
        .map(|kv| (**kv).clone())
        .collect();
    if range.keys_only {
        kvs.iter_mut().for_each(|kv| kv.value = Bytes::default());
    }
    RangeResponse {
        kvs,
        more: range.more(),
        count: range.count,
        ..Default::default()
    }
}

/// The error on the wire.
pub(crate) fn error(refusal: Refusal) -> Outcome {
    let (code, message) = match refusal {
        Refusal::KeyNotFound => (3, "etcdserver: key not found"),
        Refusal::LeaseNotFound => (5, "etcdserver: requested lease not found"),
        Refusal::LeaseExists => (9, "etcdserver: lease already exists"),
        Refusal::Compacted => (11, "etcdserver: mvcc: required revision has been compacted"),
        Refusal::FutureRevision => (
            11,
            "etcdserver: mvcc: required revision is a future revision",
        ),
        Refusal::NotModelled => unreachable!("only modelled requests are simulated"),
    };
    Outcome::Error {
        code,
        message: message.to_owned(),
        origin: ErrorOrigin::Server,
    }
}
