//! A simulated store: many clients at once, each operation taking effect at one moment between its
//! call and its return. Its histories are legal by construction.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use checker::history::*;
use checker::model::{Answer, RangeAnswer, Refusal, Store};

use super::history::header;

pub(crate) const MILLI: u64 = 1_000_000;

/// A small deterministic source of numbers (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }
}

/// What a simulation is made of.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) operations: usize,
    pub(crate) clients: usize,
    pub(crate) members: u64,
    pub(crate) keys: u64,
    /// Distinct values; 0 means that each is new.
    pub(crate) values: u64,
    /// Percent of mutations whose result is lost.
    pub(crate) unknown: u64,
    /// Longest time between call, effect and return, in milliseconds; small means ties.
    pub(crate) spread: u64,
    /// Distinct lease ids; 0 means that each is new.
    pub(crate) leases: u64,
    /// Watch events of everything are recorded.
    pub(crate) watched: bool,
}

impl Shape {
    pub(crate) fn large(seed: u64, operations: usize) -> Self {
        Self {
            seed,
            operations,
            clients: 16,
            members: 3,
            keys: 12,
            values: 0,
            unknown: 1,
            spread: 20,
            leases: 0,
            watched: false,
        }
    }

    pub(crate) fn small(seed: u64, operations: usize) -> Self {
        let mut dice = Dice(seed ^ 0xabcd);
        Self {
            seed,
            operations,
            clients: 1 + usize::try_from(dice.below(5)).unwrap(),
            members: 2,
            keys: 1 + dice.below(3),
            values: *dice.pick(&[0, 1, 2, 3]),
            unknown: *dice.pick(&[0, 20, 40]),
            spread: *dice.pick(&[2, 5, 30]),
            leases: 2,
            watched: dice.percent(20),
        }
    }
}

/// One operation of a history, whole.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) client: u32,
    pub(crate) member: String,
    /// Milliseconds.
    pub(crate) call: u64,
    pub(crate) ret: u64,
    pub(crate) request: Request,
    /// None where the result is lost.
    pub(crate) outcome: Option<Outcome>,
}

/// A history as operations; events are hints.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) ops: Vec<Op>,
    pub(crate) events: Vec<Event>,
}

impl History {
    /// As records of `history.jsonl`, in the order of time; operation `i` has the id `i`.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut timed = Vec::new();
        for (id, op) in self.ops.iter().enumerate() {
            let id = id as u64;
            timed.push((
                op.call,
                0,
                id,
                Record::Invoke(Invoke {
                    id,
                    at: op.call * MILLI,
                    client: op.client,
                    member: op.member.clone(),
                    user: None,
                    request: op.request.clone(),
                }),
            ));
            if let Some(outcome) = &op.outcome {
                let outcome = outcome.clone();
                let record = Record::Return(Return {
                    id,
                    at: op.ret * MILLI,
                    outcome,
                });
                timed.push((op.ret, 1, id, record));
            }
        }
        timed.sort_by_key(|(at, kind, id, _)| (*at, *kind, *id));
        let mut records: Vec<Record> = timed.into_iter().map(|(.., record)| record).collect();
        if !self.events.is_empty() {
            let response = WatchResponse {
                events: self.events.clone(),
                ..Default::default()
            };
            records.push(Record::Watch(WatchDelivery {
                id: 0,
                at: 0,
                response,
            }));
        }
        records
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Effect(usize),
    Expiry { lease: i64, due: u64 },
    Call(u32),
}

struct Simulation {
    shape: Shape,
    dice: Dice,
    store: Store,
    moments: BinaryHeap<Reverse<(u64, u64, Moment)>>,
    turn: u64,
    history: History,
    /// What is known to clients of leases, and when each is due to expire.
    leases: BTreeMap<i64, (u64, u64)>,
    fresh: u64,
    /// Last known mod revision of each key, for guards.
    seen: BTreeMap<Bytes, i64>,
}

/// Simulates a run.
pub(crate) fn simulate(shape: &Shape) -> History {
    let mut simulation = Simulation {
        shape: shape.clone(),
        dice: Dice(shape.seed),
        store: Store::with_past(),
        moments: BinaryHeap::new(),
        turn: 0,
        history: History::default(),
        leases: BTreeMap::new(),
        fresh: 0,
        seen: BTreeMap::new(),
    };
    for client in 0..shape.clients {
        let at = simulation.dice.below(shape.spread);
        simulation.push(at, Moment::Call(u32::try_from(client).unwrap()));
    }
    while let Some(Reverse((now, _, moment))) = simulation.moments.pop() {
        match moment {
            Moment::Call(client) => simulation.call(now, client),
            Moment::Effect(op) => simulation.effect(op),
            Moment::Expiry { lease, due } => simulation.expire(now, lease, due),
        }
    }
    simulation.history
}

impl Simulation {
    fn push(&mut self, at: u64, moment: Moment) {
        self.turn += 1;
        self.moments.push(Reverse((at, self.turn, moment)));
    }

    fn call(&mut self, now: u64, client: u32) {
        if self.history.ops.len() >= self.shape.operations {
            return;
        }
        let spread = self.shape.spread;
        let request = self.request();
        let effect = now + self.dice.below(spread);
        let ret = effect + self.dice.below(spread);
        let next = ret + u64::from(self.dice.percent(70)) + self.dice.below(spread);
        let index = self.history.ops.len();
        let member = format!("m{}", 1 + u64::from(client) % self.shape.members);
        let lost = self.dice.percent(self.shape.unknown);
        let outcome = None;
        self.history.ops.push(Op {
            client,
            member,
            call: now,
            ret,
            request,
            outcome,
        });
        if lost {
            // Half of them take effect, some long after the client has given up.
            if self.dice.percent(50) {
                let late = if self.dice.percent(30) { spread * 5 } else { 0 };
                let at = effect + self.dice.below(1 + late);
                self.history.ops[index].ret = u64::MAX;
                self.push(at, Moment::Effect(index));
            }
        } else {
            self.push(effect, Moment::Effect(index));
        }
        self.push(next, Moment::Call(client));
    }

    fn key(&mut self) -> Bytes {
        format!("k{}", self.dice.below(self.shape.keys)).into()
    }

    fn value(&mut self) -> Bytes {
        self.fresh += 1;
        let value = match self.shape.values {
            0 => self.fresh,
            values => self.dice.below(values),
        };
        format!("v{value}").into()
    }

    fn lease(&mut self) -> i64 {
        match self.shape.leases {
            0 => {
                let known: Vec<i64> = self.leases.keys().copied().collect();
                if known.is_empty() {
                    0
                } else {
                    *self.dice.pick(&known)
                }
            }
            leases => i64::try_from(1 + self.dice.below(leases)).unwrap(),
        }
    }

    fn request(&mut self) -> Request {
        let key = self.key();
        match self.dice.below(100) {
            0..35 => Request::Put(self.put(key)),
            35..55 => Request::Range(self.range(key)),
            55..65 => Request::Delete(self.delete(key)),
            65..85 => {
                let txn = self.txn(key, true);
                Request::Txn(txn)
            }
            85..88 => {
                let back = i64::try_from(self.dice.below(8)).unwrap();
                let revision = (self.store.revision() + 1 - back).max(1);
                Request::Compact {
                    revision,
                    physical: false,
                }
            }
            88..92 => {
                self.fresh += 1;
                let new = i64::try_from(self.fresh).unwrap();
                let id = if self.shape.leases == 0 {
                    new
                } else {
                    self.lease()
                };
                Request::LeaseGrant { id, ttl: 1 }
            }
            92..95 => Request::LeaseRevoke { id: self.lease() },
            95..97 => Request::LeaseKeepAlive { id: self.lease() },
            _ => {
                let range = RangeRequest {
                    serializable: true,
                    ..self.range(key)
                };
                Request::Range(RangeRequest {
                    revision: 0,
                    ..range
                })
            }
        }
    }

    fn put(&mut self, key: Bytes) -> PutRequest {
        let lease = if self.dice.percent(15) {
            self.lease()
        } else {
            0
        };
        let mut put = PutRequest {
            key,
            value: self.value(),
            lease,
            ..Default::default()
        };
        put.prev_kv = self.dice.percent(30);
        if self.dice.percent(5) {
            put.ignore_value = true;
            put.value = Bytes::default();
        } else if self.dice.percent(5) {
            put.ignore_lease = true;
            put.lease = 0;
        }
        put
    }

    fn delete(&mut self, key: Bytes) -> DeleteRequest {
        let prev_kv = self.dice.percent(50);
        if self.dice.percent(20) {
            let range_end = Bytes::from("k").prefix_end();
            return DeleteRequest {
                key,
                range_end,
                prev_kv,
            };
        }
        DeleteRequest {
            key,
            prev_kv,
            ..Default::default()
        }
    }

    fn range(&mut self, key: Bytes) -> RangeRequest {
        let mut range = RangeRequest {
            key,
            ..Default::default()
        };
        if self.dice.percent(50) {
            range.key = "k".into();
            range.range_end = if self.dice.percent(50) {
                range.key.prefix_end()
            } else {
                "\0".into()
            };
            range.limit = if self.dice.percent(30) { 2 } else { 0 };
            range.count_only = self.dice.percent(10);
            range.keys_only = self.dice.percent(10);
            if self.dice.percent(20) {
                range.sort_target = *self.dice.pick(&[
                    SortTarget::Key,
                    SortTarget::Mod,
                    SortTarget::Value,
                    SortTarget::Version,
                    SortTarget::Create,
                ]);
                range.sort_order = *self.dice.pick(&[SortOrder::Ascend, SortOrder::Descend]);
            }
            if self.dice.percent(10) {
                range.min_mod_revision = (self.store.revision() - 3).max(0);
            }
        }
        if self.dice.percent(25) {
            let back = i64::try_from(self.dice.below(6)).unwrap();
            range.revision = (self.store.revision() + 1 - back).max(1);
        }
        range
    }

    fn txn(&mut self, key: Bytes, nest: bool) -> TxnRequest {
        let known = self.seen.get(&key).copied().unwrap_or(0);
        let target = match self.dice.below(4) {
            0 => CompareTarget::Version(i64::try_from(self.dice.below(3)).unwrap()),
            1 => CompareTarget::Value(self.value()),
            2 => CompareTarget::Create(known),
            _ => CompareTarget::Mod(known),
        };
        let result = *self.dice.pick(&[
            CompareResult::Equal,
            CompareResult::Equal,
            CompareResult::Greater,
            CompareResult::Less,
            CompareResult::NotEqual,
        ]);
        let range_end = if self.dice.percent(10) {
            "\0".into()
        } else {
            Bytes::default()
        };
        let compare = vec![Compare {
            key: key.clone(),
            range_end,
            result,
            target,
        }];
        let other = self.key();
        let mut success = vec![TxnOp::Put(self.put(key.clone()))];
        if other != key {
            success.push(if self.dice.percent(50) {
                TxnOp::Put(self.put(other))
            } else {
                TxnOp::Delete(DeleteRequest {
                    key: other,
                    prev_kv: true,
                    ..Default::default()
                })
            });
        }
        if nest && self.dice.percent(10) {
            let mut inner = self.txn("n".into(), false);
            inner.success.truncate(1);
            success.push(TxnOp::Txn(inner));
        }
        let look = RangeRequest {
            revision: 0,
            ..self.range(key.clone())
        };
        success.push(TxnOp::Range(look.clone()));
        let mut failure = vec![TxnOp::Range(look)];
        if self.dice.percent(20) {
            failure.push(TxnOp::Delete(DeleteRequest {
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

    fn effect(&mut self, index: usize) {
        let op = self.history.ops[index].clone();
        let at = op.call;
        let before = self.store.revision();
        let outcome = match &op.request {
            Request::Range(range) if range.serializable => {
                let back = i64::try_from(self.dice.below(4)).unwrap();
                let local = (self.store.revision() - back)
                    .max(1)
                    .max(self.store.compacted());
                let range = RangeRequest {
                    revision: local,
                    ..range.clone()
                };
                let answer = self.store.apply(&Request::Range(range)).unwrap();
                Outcome::Ok {
                    response: response(&op.request, &answer, local),
                }
            }
            Request::LeaseKeepAlive { id } => {
                let there = self.store.lease_keys(*id).is_some();
                if there {
                    self.renew(*id, op.ret);
                }
                let ttl = i64::from(there);
                Outcome::Ok {
                    response: Response::LeaseKeepAlive {
                        header: header(before),
                        id: *id,
                        ttl,
                    },
                }
            }
            request => match self.store.apply(request) {
                Ok(answer) => {
                    if let Request::LeaseGrant { id, .. } = request {
                        self.renew(*id, op.ret.min(at + 100));
                    }
                    let header = match request {
                        // The answering member's own revision when it answers.
                        Request::Compact { .. } => before,
                        _ => self.store.revision(),
                    };
                    Outcome::Ok {
                        response: response(request, &answer, header),
                    }
                }
                Err(refusal) => error(refusal),
            },
        };
        self.learn(before);
        if op.ret != u64::MAX {
            self.history.ops[index].outcome = Some(outcome);
        }
    }

    /// The lease lives on for its time from `latest`, and then a while.
    fn renew(&mut self, lease: i64, latest: u64) {
        let due = latest.min(1 << 40) + 1_000 + self.dice.below(500);
        self.turn += 1;
        self.leases.insert(lease, (due, self.turn));
        self.push(due, Moment::Expiry { lease, due });
    }

    fn expire(&mut self, _now: u64, lease: i64, due: u64) {
        if self
            .leases
            .get(&lease)
            .is_some_and(|(last, _)| *last == due)
        {
            self.leases.remove(&lease);
            let before = self.store.revision();
            let _gone_already = self.store.revoke(lease);
            self.learn(before);
        }
    }

    fn learn(&mut self, before: i64) {
        if self.store.revision() == before {
            return;
        }
        for kv in self
            .store
            .key_values()
            .filter(|kv| kv.mod_revision > before)
        {
            self.seen.insert(kv.key.clone(), kv.mod_revision);
            if self.shape.watched {
                let kv = (**kv).clone();
                self.history.events.push(Event {
                    kind: EventKind::Put,
                    kv,
                    prev_kv: None,
                });
            }
        }
    }
}

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

impl std::fmt::Display for History {
    /// One line an operation, for failing tests.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (id, op) in self.ops.iter().enumerate() {
            let Op {
                client,
                member,
                call,
                ret,
                request,
                outcome,
            } = op;
            let request = serde_json::to_string(request).map_err(|_| std::fmt::Error)?;
            let outcome = serde_json::to_string(outcome).map_err(|_| std::fmt::Error)?;
            writeln!(
                f,
                "{id} c{client} {member} {call}..{ret} {request} {outcome}"
            )?;
        }
        Ok(())
    }
}
