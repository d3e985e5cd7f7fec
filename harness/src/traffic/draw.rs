//! Drawing the next request from a client's sub-seed and from what it has seen.

use std::collections::BTreeMap;

use checker::history::{
    Bytes, Compare, CompareResult, CompareTarget, DeleteRequest, KeyValue, Outcome, PutRequest,
    RangeRequest, Request, Response, TxnOp, TxnOpResponse, TxnRequest, WatchRequest,
};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use scenarios::plan::Profile;

use super::compaction::Compaction;
use super::lists::Lists;
use super::tombstone::Tombstone;

/// Leases a client keeps for puts, at most.
const LEASES_KEPT_MAX: usize = 3;

/// A client's memory and its stream of choices.
pub(super) struct Draw {
    rng: ChaCha20Rng,
    profile: Profile,
    weights: Vec<(&'static str, u32)>,
    total: u32,
    client: u32,
    padding: String,
    values: u64,
    leases: u64,
    seen_revision: i64,
    compaction: Compaction,
    seen: BTreeMap<Bytes, KeyValue>,
    held: Vec<i64>,
    lists: Lists,
    tombstone: Tombstone,
}

impl Draw {
    pub(super) fn new(seed: u64, client: u32, profile: &Profile, value_bytes: u32) -> Self {
        let weights = profile.weights.entries();
        let total = weights.iter().map(|(_, weight)| weight).sum();
        assert!(total > 0, "a profile without weights passed validation");
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            profile: profile.clone(),
            weights,
            total,
            client,
            padding: "x".repeat(value_bytes as usize),
            values: 0,
            leases: 0,
            seen_revision: 1,
            compaction: Compaction::default(),
            seen: BTreeMap::new(),
            held: Vec::new(),
            lists: Lists::new(seed, client, profile.keys),
            tombstone: Tombstone::default(),
        }
    }

    /// A linearizable read of one key: what a client does until it is heard again.
    pub(super) fn probe(&mut self) -> Request {
        let key = self.key();
        range(RangeRequest {
            key,
            ..Default::default()
        })
    }

    /// The next request.
    pub(super) fn next(&mut self) -> Request {
        if let Some(append) = self.lists.take() {
            return Request::Txn(append);
        }
        if let Some(next) = self.tombstone.take() {
            return next;
        }
        let mut point = self.rng.random_range(0..self.total);
        let mut name = "get";
        for (candidate, weight) in &self.weights {
            if point < *weight {
                name = candidate;
                break;
            }
            point -= weight;
        }
        self.request(name)
    }

    fn request(&mut self, name: &str) -> Request {
        match name {
            "get" => self.probe(),
            "get_serializable" => {
                let key = self.key();
                range(RangeRequest {
                    key,
                    serializable: true,
                    ..Default::default()
                })
            }
            "get_at_revision" => {
                let key = self.key();
                let back = self.rng.random_range(0..30);
                let revision = (self.seen_revision - back).max(1);
                range(RangeRequest {
                    key,
                    revision,
                    ..Default::default()
                })
            }
            "list" => range(self.prefix_range()),
            "list_limit" => {
                let limit = self.profile.range_limit;
                range(RangeRequest {
                    limit,
                    ..self.prefix_range()
                })
            }
            "count" => {
                let count_only = self.rng.random_bool(0.5);
                range(RangeRequest {
                    count_only,
                    keys_only: !count_only,
                    ..self.prefix_range()
                })
            }
            "list_serializable" => range(RangeRequest {
                serializable: true,
                ..self.prefix_range()
            }),
            "put" => Request::Put(self.put(0)),
            "put_lease" if !self.held.is_empty() => {
                let lease = self.held[self.rng.random_range(0..self.held.len())];
                Request::Put(self.put(lease))
            }
            "delete" => {
                let key = self.key();
                let prev_kv = self.rng.random_bool(0.5);
                Request::Delete(DeleteRequest {
                    key,
                    prev_kv,
                    ..Default::default()
                })
            }
            "delete_prefix" => {
                let RangeRequest { key, range_end, .. } = self.prefix_range();
                Request::Delete(DeleteRequest {
                    key,
                    range_end,
                    prev_kv: true,
                })
            }
            "txn_cas" => Request::Txn(self.compare_and_set()),
            "txn_multi" => {
                let prefix = self.prefix();
                Request::Txn(self.multi(Some(&prefix)))
            }
            "txn_across_prefixes" => Request::Txn(self.multi(None)),
            "list_append" => Request::Txn(self.lists.read()),
            "lease_revoke" if !self.held.is_empty() => {
                let at = self.rng.random_range(0..self.held.len());
                Request::LeaseRevoke {
                    id: self.held.swap_remove(at),
                }
            }
            "lease_keep_alive" if !self.held.is_empty() => {
                let at = self.rng.random_range(0..self.held.len());
                Request::LeaseKeepAlive { id: self.held[at] }
            }
            "lease_time_to_live" if !self.held.is_empty() => {
                let at = self.rng.random_range(0..self.held.len());
                Request::LeaseTimeToLive { id: self.held[at] }
            }
            "lease_grant" | "put_lease" | "lease_revoke" | "lease_keep_alive"
            | "lease_time_to_live" => self.grant(),
            "compact" => {
                let back = self.rng.random_range(0..50);
                match self.compaction.at(self.seen_revision - back) {
                    Some(revision) => Request::Compact {
                        revision,
                        physical: self.rng.random_bool(0.5),
                    },
                    None => Request::Put(self.put(0)),
                }
            }
            "watch" => Request::Watch(self.watch()),
            "compact_delete" => {
                let key = self.key();
                self.tombstone.delete(key)
            }
            other => unreachable!("weight {other:?} has no request"),
        }
    }

    fn prefix(&mut self) -> String {
        let at = self.rng.random_range(0..self.profile.prefixes.len());
        self.profile.prefixes[at].clone()
    }

    fn key(&mut self) -> Bytes {
        let prefix = self.prefix();
        self.key_of(&prefix)
    }

    fn key_of(&mut self, prefix: &str) -> Bytes {
        let number = self.rng.random_range(0..self.profile.keys);
        Bytes::from(format!("{prefix}{number}"))
    }

    fn prefix_range(&mut self) -> RangeRequest {
        let key = Bytes::from(self.prefix());
        let range_end = key.prefix_end();
        RangeRequest {
            key,
            range_end,
            ..Default::default()
        }
    }

    fn value(&mut self) -> Bytes {
        self.values += 1;
        Bytes::from(format!("c{}.{}{}", self.client, self.values, self.padding))
    }

    fn put(&mut self, lease: i64) -> PutRequest {
        let key = self.key();
        let value = self.value();
        let prev_kv = self.rng.random_bool(0.5);
        PutRequest {
            key,
            value,
            lease,
            prev_kv,
            ..Default::default()
        }
    }

    fn grant(&mut self) -> Request {
        self.leases += 1;
        let salt = i64::from(self.rng.next_u32() & 0xffff);
        let id =
            (i64::from(self.client) << 40) | (i64::try_from(self.leases).unwrap_or(0) << 16) | salt;
        Request::LeaseGrant {
            id,
            ttl: self.profile.lease_ttl_s,
        }
    }

    fn guard(&mut self, key: &Bytes) -> Compare {
        let kv = self.seen.get(key).cloned().unwrap_or_default();
        let target = match self.rng.random_range(0..4) {
            0 if kv.version > 0 => CompareTarget::Value(kv.value),
            1 => CompareTarget::Version(kv.version),
            2 => CompareTarget::Create(kv.create_revision),
            _ => CompareTarget::Mod(kv.mod_revision),
        };
        let result = match self.rng.random_range(0..10) {
            0 => CompareResult::NotEqual,
            1 => CompareResult::Greater,
            2 => CompareResult::Less,
            _ => CompareResult::Equal,
        };
        Compare {
            key: key.clone(),
            range_end: Bytes::default(),
            result,
            target,
        }
    }

    fn compare_and_set(&mut self) -> TxnRequest {
        let mut put = self.put(0);
        put.prev_kv = false;
        let guard = self.guard(&put.key.clone());
        let read = RangeRequest {
            key: put.key.clone(),
            ..Default::default()
        };
        TxnRequest {
            compare: vec![guard],
            success: vec![TxnOp::Put(put)],
            failure: vec![TxnOp::Range(read)],
        }
    }

    /// Keys of `prefix`, or of any.
    fn multi(&mut self, prefix: Option<&str>) -> TxnRequest {
        let count = self.rng.random_range(2..=4);
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count * 4 {
            let key = match prefix {
                Some(prefix) => self.key_of(prefix),
                None => self.key(),
            };
            if keys.len() < count && !keys.contains(&key) {
                keys.push(key);
            }
        }
        let compare = if self.rng.random_bool(0.5) {
            vec![self.guard(&keys[0])]
        } else {
            vec![]
        };
        let mut success = Vec::with_capacity(keys.len());
        let mut failure = Vec::with_capacity(keys.len());
        for (at, key) in keys.into_iter().enumerate() {
            let op = match self.rng.random_range(0..10) {
                kind if kind < 5 || at == 0 => TxnOp::Put(PutRequest {
                    key: key.clone(),
                    value: self.value(),
                    prev_kv: kind % 2 == 0,
                    ..Default::default()
                }),
                kind if kind < 9 => TxnOp::Range(RangeRequest {
                    key: key.clone(),
                    ..Default::default()
                }),
                _ => TxnOp::Delete(DeleteRequest {
                    key: key.clone(),
                    prev_kv: true,
                    ..Default::default()
                }),
            };
            success.push(op);
            failure.push(TxnOp::Range(RangeRequest {
                key,
                ..Default::default()
            }));
        }
        TxnRequest {
            compare,
            success,
            failure,
        }
    }

    fn watch(&mut self) -> WatchRequest {
        let (key, range_end) = if self.rng.random_bool(0.7) {
            let RangeRequest { key, range_end, .. } = self.prefix_range();
            (key, range_end)
        } else {
            (self.key(), Bytes::default())
        };
        let start_revision = if self.rng.random_bool(0.5) {
            (self.seen_revision - self.rng.random_range(-5..60)).max(1)
        } else {
            0
        };
        WatchRequest {
            key,
            range_end,
            start_revision,
            prev_kv: self.rng.random_bool(0.5),
            progress_notify: self.rng.random_bool(0.5),
            ..Default::default()
        }
    }

    /// Takes in what an answer shows.
    pub(super) fn learn(&mut self, request: &Request, outcome: &Outcome) {
        self.lists.learn(outcome);
        self.tombstone.learn(request, outcome);
        self.compaction.learn(request, outcome);
        let Some(response) = outcome.response() else {
            return;
        };
        if let Some(header) = response.header() {
            self.seen_revision = self.seen_revision.max(header.revision);
        }
        match (request, response) {
            (Request::Range(r), Response::Range(answer)) if r.revision == 0 && !r.count_only => {
                self.see_range(r, &answer.kvs);
            }
            (Request::Put(put), Response::Put(answer)) => {
                let header = &answer.header;
                self.see_put(put, header.revision);
            }
            (Request::Txn(txn), Response::Txn(answer)) => {
                let branch = if answer.succeeded {
                    &txn.success
                } else {
                    &txn.failure
                };
                for (op, answer_op) in branch.iter().zip(&answer.responses) {
                    match (op, answer_op) {
                        (TxnOp::Range(r), TxnOpResponse::Range(a)) => self.see_range(r, &a.kvs),
                        (TxnOp::Put(put), TxnOpResponse::Put(_)) => {
                            self.see_put(put, answer.header.revision);
                        }
                        (TxnOp::Delete(delete), _) => {
                            self.seen.remove(&delete.key);
                        }
                        _ => {}
                    }
                }
            }
            (Request::Delete(delete), _) if delete.range_end.is_empty() => {
                self.seen.remove(&delete.key);
            }
            (Request::LeaseGrant { .. }, Response::LeaseGrant { id, .. }) => {
                if self.held.len() == LEASES_KEPT_MAX {
                    self.held.remove(0);
                }
                self.held.push(*id);
            }
            _ => {}
        }
    }

    fn see_range(&mut self, request: &RangeRequest, kvs: &[KeyValue]) {
        if request.range_end.is_empty() && kvs.is_empty() {
            self.seen.remove(&request.key);
        }
        if !request.keys_only {
            for kv in kvs {
                self.seen.insert(kv.key.clone(), kv.clone());
            }
        }
    }

    fn see_put(&mut self, put: &PutRequest, revision: i64) {
        let kv = self.seen.entry(put.key.clone()).or_default();
        let fresh = kv.version == 0;
        *kv = KeyValue {
            key: put.key.clone(),
            create_revision: if fresh { revision } else { kv.create_revision },
            mod_revision: revision,
            version: kv.version + 1,
            value: put.value.clone(),
            lease: put.lease,
        };
    }
}

fn range(request: RangeRequest) -> Request {
    Request::Range(request)
}
