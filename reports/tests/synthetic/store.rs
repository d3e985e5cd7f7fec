//! A store of one process, and dice.

use std::collections::BTreeMap;

use checker::history::{
    Bytes, Compare, CompareResult, CompareTarget, DeleteRequest, DeleteResponse, Event, EventKind,
    Invoke, KeyValue, Outcome, PutRequest, PutResponse, RangeRequest, RangeResponse, Record,
    Request, Response, ResponseHeader, TxnOp, TxnOpResponse, TxnRequest, TxnResponse,
    WatchDelivery, WatchRequest, WatchResponse,
};

use super::MS;

/// A linear congruential generator: enough to look at.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub struct Store {
    kvs: BTreeMap<Vec<u8>, KeyValue>,
    pub revision: i64,
    padding: usize,
}

impl Store {
    pub fn new(padding: usize) -> Self {
        Self {
            kvs: BTreeMap::new(),
            revision: 412,
            padding,
        }
    }

    pub fn draw(&self, dice: &mut Dice, id: u64) -> Request {
        let key = Bytes::from(format!("k/{}", dice.below(10)));
        let value = Bytes::from(format!("v{id}{}", "x".repeat(self.padding)));
        match dice.below(100) {
            0..40 => Request::Put(PutRequest {
                key,
                value,
                ..PutRequest::default()
            }),
            40..44 => Request::Delete(DeleteRequest {
                key,
                ..DeleteRequest::default()
            }),
            44..56 => Request::Txn(self.compare_and_set(key, value)),
            56..58 => Request::Watch(WatchRequest {
                key: "k/".into(),
                range_end: Bytes::from("k/").prefix_end(),
                start_revision: self.revision + 1,
                ..WatchRequest::default()
            }),
            58 => Request::Put(PutRequest {
                key,
                value,
                lease: 0x32a7,
                ..PutRequest::default()
            }),
            59..67 => Request::Range(RangeRequest {
                key: "k/".into(),
                range_end: Bytes::from("k/").prefix_end(),
                limit: 3,
                ..RangeRequest::default()
            }),
            67..75 => Request::Range(RangeRequest {
                key,
                serializable: true,
                ..RangeRequest::default()
            }),
            _ => Request::Range(RangeRequest {
                key,
                ..RangeRequest::default()
            }),
        }
    }

    fn compare_and_set(&self, key: Bytes, value: Bytes) -> TxnRequest {
        let held = self.kvs.get(key.as_slice()).map_or(0, |kv| kv.mod_revision);
        let compare = Compare {
            key: key.clone(),
            range_end: Bytes::default(),
            result: CompareResult::Equal,
            target: CompareTarget::Mod(held),
        };
        let read = RangeRequest {
            key: key.clone(),
            ..RangeRequest::default()
        };
        TxnRequest {
            compare: vec![compare],
            success: vec![TxnOp::Put(PutRequest {
                key,
                value,
                ..PutRequest::default()
            })],
            failure: vec![TxnOp::Range(read)],
        }
    }

    fn header(&self, member: &str, ahead: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: 0xcdf8_1818_92ab_7e5c,
            member_id: member_id(member),
            revision: self.revision + ahead,
            raft_term: 3,
        }
    }

    pub fn apply(&mut self, request: &Request, member: &str, ahead: i64) -> Outcome {
        let response = match request {
            Request::Put(put) => {
                self.put(put);
                let header = self.header(member, ahead);
                Response::Put(PutResponse {
                    header,
                    prev_kv: None,
                })
            }
            Request::Delete(delete) => {
                let gone = self.kvs.remove(delete.key.as_slice());
                self.revision += i64::from(gone.is_some());
                let deleted = i64::from(gone.is_some());
                let header = self.header(member, ahead);
                Response::Delete(DeleteResponse {
                    header,
                    deleted,
                    prev_kvs: vec![],
                })
            }
            Request::Txn(txn) => {
                if let Some(TxnOp::Put(put)) = txn.success.first() {
                    self.put(put);
                }
                let put = TxnOpResponse::Put(PutResponse::default());
                let header = self.header(member, ahead);
                Response::Txn(TxnResponse {
                    header,
                    succeeded: true,
                    responses: vec![put],
                })
            }
            Request::Range(range) => {
                let mut kvs: Vec<_> = self
                    .kvs
                    .values()
                    .filter(|kv| range.key == kv.key || !range.range_end.is_empty())
                    .cloned()
                    .collect();
                let count = i64::try_from(kvs.len()).unwrap();
                let limit = usize::try_from(range.limit).unwrap();
                let more = limit > 0 && kvs.len() > limit;
                if limit > 0 {
                    kvs.truncate(limit);
                }
                Response::Range(RangeResponse {
                    header: self.header(member, ahead),
                    kvs,
                    more,
                    count,
                })
            }
            other => unreachable!("{other:?} is not drawn"),
        };
        Outcome::Ok { response }
    }

    fn put(&mut self, put: &PutRequest) {
        self.revision += 1;
        let before = self.kvs.get(put.key.as_slice());
        let kv = KeyValue {
            key: put.key.clone(),
            create_revision: before.map_or(self.revision, |kv| kv.create_revision),
            mod_revision: self.revision,
            version: before.map_or(1, |kv| kv.version + 1),
            value: put.value.clone(),
            lease: 0,
        };
        self.kvs.insert(put.key.as_slice().to_vec(), kv);
    }

    pub fn watch_end(&self) -> Outcome {
        Outcome::Ok {
            response: Response::WatchEnd { messages: 5 },
        }
    }

    /// Messages of a watch, evenly over its life.
    pub fn messages(&self, record: &Record, until: u64) -> Vec<Record> {
        let Record::Invoke(Invoke {
            id,
            at,
            request: Request::Watch(_),
            ..
        }) = record
        else {
            return vec![];
        };
        let event = |revision| Event {
            kind: EventKind::Put,
            kv: KeyValue {
                key: "k/1".into(),
                mod_revision: revision,
                ..KeyValue::default()
            },
            prev_kv: None,
        };
        let times = (1..)
            .map(|number| at + number * 90 * MS)
            .take_while(|at| *at < until);
        times
            .zip(self.revision..)
            .map(|(at, revision)| {
                let events = vec![event(revision)];
                let response = WatchResponse {
                    events,
                    ..WatchResponse::default()
                };
                Record::Watch(WatchDelivery {
                    id: *id,
                    at,
                    response,
                })
            })
            .collect()
    }
}

pub fn member_id(member: &str) -> u64 {
    match member {
        "m1" => 0x8211_f1d0_f64f_3269,
        "m2" => 0x91bc_3c39_8fb3_c146,
        _ => 0xfd42_2379_fda5_0e48,
    }
}
