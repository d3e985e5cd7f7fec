//! Histories written down operation by operation. Times are in milliseconds.

use checker::history::*;
use checker::linearizable::{Options, Outcome, check, report, verify};
use checker::verdict::{Finding, Verdict};

const MILLI: u64 = 1_000_000;

/// Builds the records of `history.jsonl`.
#[derive(Clone, Default)]
pub(crate) struct Builder {
    pub(crate) records: Vec<Record>,
    next: u64,
}

impl Builder {
    /// An operation from `call` to `ret`, through member `m{member}`; returns its id.
    pub(crate) fn op(
        &mut self,
        (call, ret): (u64, u64),
        member: u32,
        request: Request,
        outcome: Ends,
    ) -> u64 {
        let id = self.invoke(call, member, request);
        let outcome = match outcome {
            Ends::Ok(response) => Some(checker::history::Outcome::Ok { response }),
            Ends::Error(code, message) => Some(checker::history::Outcome::Error {
                code,
                message: message.to_owned(),
                origin: ErrorOrigin::Server,
            }),
            Ends::Unknown => None,
        };
        if let Some(outcome) = outcome {
            self.records.push(Record::Return(Return {
                id,
                at: ret * MILLI,
                outcome,
            }));
        }
        id
    }

    fn invoke(&mut self, call: u64, member: u32, request: Request) -> u64 {
        self.next += 1;
        let id = self.next;
        self.records.push(Record::Invoke(Invoke {
            id,
            at: call * MILLI,
            client: u32::try_from(id).unwrap(),
            member: format!("m{member}"),
            user: None,
            request,
        }));
        id
    }

    /// Checks; an order found must be confirmed by the separate replay.
    pub(crate) fn check(&self) -> Outcome {
        let outcome = check(&self.records, &[], &Options::default());
        if let Outcome::Holds { order } = &outcome {
            verify(&self.records, &[], order).expect("the order is confirmed");
        }
        outcome
    }

    pub(crate) fn holds(&self) {
        let outcome = self.check();
        assert!(matches!(outcome, Outcome::Holds { .. }), "{outcome:#?}");
    }

    pub(crate) fn violated(&self) -> Finding {
        let Outcome::Violated { witness } = self.check() else {
            panic!("not found to be violated: {:#?}", self.check())
        };
        let report = report(&self.records, &[], &Options::default());
        assert_eq!(report.verdict, Verdict::Violated);
        assert_eq!(report.findings, witness);
        witness
            .into_iter()
            .next()
            .expect("a violation has a witness")
    }
}

/// How an operation ends.
pub(crate) enum Ends {
    Ok(Response),
    Error(i32, &'static str),
    Unknown,
}

pub(crate) use Ends::{Error, Unknown};

pub(crate) fn header(revision: i64) -> ResponseHeader {
    ResponseHeader {
        revision,
        ..Default::default()
    }
}

pub(crate) fn put(key: &str, value: &str) -> Request {
    Request::Put(PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    })
}

pub(crate) fn put_prev(key: &str, value: &str) -> Request {
    Request::Put(PutRequest {
        key: key.into(),
        value: value.into(),
        prev_kv: true,
        ..Default::default()
    })
}

pub(crate) fn put_lease(key: &str, value: &str, lease: i64) -> Request {
    Request::Put(PutRequest {
        key: key.into(),
        value: value.into(),
        lease,
        ..Default::default()
    })
}

pub(crate) fn put_at(revision: i64) -> Ends {
    Ends::Ok(Response::Put(PutResponse {
        header: header(revision),
        prev_kv: None,
    }))
}

pub(crate) fn put_at_prev(revision: i64, prev_kv: KeyValue) -> Ends {
    Ends::Ok(Response::Put(PutResponse {
        header: header(revision),
        prev_kv: Some(prev_kv),
    }))
}

pub(crate) fn get(key: &str) -> Request {
    Request::Range(RangeRequest {
        key: key.into(),
        ..Default::default()
    })
}

pub(crate) fn get_at(key: &str, revision: i64) -> Request {
    Request::Range(RangeRequest {
        key: key.into(),
        revision,
        ..Default::default()
    })
}

pub(crate) fn get_local(key: &str) -> Request {
    Request::Range(RangeRequest {
        key: key.into(),
        serializable: true,
        ..Default::default()
    })
}

pub(crate) fn list(prefix: &str) -> Request {
    let key = Bytes::from(prefix);
    let range_end = key.prefix_end();
    Request::Range(RangeRequest {
        key,
        range_end,
        ..Default::default()
    })
}

pub(crate) fn got(revision: i64, kvs: &[KeyValue]) -> Ends {
    let count = i64::try_from(kvs.len()).unwrap();
    let header = header(revision);
    Ends::Ok(Response::Range(RangeResponse {
        header,
        kvs: kvs.to_vec(),
        more: false,
        count,
    }))
}

/// A key-value: key, value, create revision, mod revision, version.
pub(crate) fn kv(
    key: &str,
    value: &str,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
        create_revision,
        mod_revision,
        version,
        lease: 0,
    }
}

pub(crate) fn leased(kv: KeyValue, lease: i64) -> KeyValue {
    KeyValue { lease, ..kv }
}

pub(crate) fn delete(key: &str) -> Request {
    Request::Delete(DeleteRequest {
        key: key.into(),
        ..Default::default()
    })
}

pub(crate) fn deleted(revision: i64, deleted: i64) -> Ends {
    let header = header(revision);
    Ends::Ok(Response::Delete(DeleteResponse {
        header,
        deleted,
        prev_kvs: Vec::new(),
    }))
}

pub(crate) fn compact(revision: i64) -> Request {
    Request::Compact {
        revision,
        physical: false,
    }
}

pub(crate) fn compacted(revision: i64) -> Ends {
    Ends::Ok(Response::Compact {
        header: header(revision),
    })
}

pub(crate) fn is_compacted() -> Ends {
    Ends::Error(11, "etcdserver: mvcc: required revision has been compacted")
}

pub(crate) fn is_future() -> Ends {
    Ends::Error(
        11,
        "etcdserver: mvcc: required revision is a future revision",
    )
}

pub(crate) fn grant(id: i64, ttl: i64) -> Request {
    Request::LeaseGrant { id, ttl }
}

pub(crate) fn granted(revision: i64, id: i64, ttl: i64) -> Ends {
    Ends::Ok(Response::LeaseGrant {
        header: header(revision),
        id,
        ttl,
    })
}

pub(crate) fn revoke(id: i64) -> Request {
    Request::LeaseRevoke { id }
}

pub(crate) fn revoked(revision: i64) -> Ends {
    Ends::Ok(Response::LeaseRevoke {
        header: header(revision),
    })
}

/// A transaction that puts if a key's mod revision is as given, and reads the key otherwise.
pub(crate) fn swap(key: &str, mod_revision: i64, value: &str) -> Request {
    Request::Txn(TxnRequest {
        compare: vec![Compare {
            key: key.into(),
            range_end: Bytes::default(),
            result: CompareResult::Equal,
            target: CompareTarget::Mod(mod_revision),
        }],
        success: vec![TxnOp::Put(PutRequest {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        })],
        failure: vec![TxnOp::Range(RangeRequest {
            key: key.into(),
            ..Default::default()
        })],
    })
}

pub(crate) fn swapped(revision: i64) -> Ends {
    Ends::Ok(Response::Txn(TxnResponse {
        header: header(revision),
        succeeded: true,
        responses: vec![TxnOpResponse::Put(PutResponse::default())],
    }))
}

pub(crate) fn not_swapped(revision: i64, kvs: &[KeyValue]) -> Ends {
    let count = i64::try_from(kvs.len()).unwrap();
    Ends::Ok(Response::Txn(TxnResponse {
        header: header(revision),
        succeeded: false,
        responses: vec![TxnOpResponse::Range(RangeResponse {
            kvs: kvs.to_vec(),
            count,
            ..Default::default()
        })],
    }))
}
