//! Histories as a sound store would give them to clients in a closed loop: each client sends,
//! waits 1 ms + Exp(4 ms) for the answer, thinks for Exp(1 ms), and sends again. An operation takes
//! effect at a moment drawn uniformly between its call and its return, on one store with one
//! revision. Half of the operations are puts of new values, half gets, on ten keys, unless the mix
//! is asked for. Where answers are lost, 2 % of the writes lose theirs, and half of those have
//! taken effect.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use checker::history::*;
use checker::model::Store;

use crate::simulate::{Dice, error, response};

const MILLI: f64 = 1e6;
const LEASE_SECONDS: i64 = 5;

/// What a history is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) operations: usize,
    pub(crate) clients: u32,
    pub(crate) keys: u64,
    /// Whether writes lose their answers.
    pub(crate) unknown: bool,
    /// Whether transactions, deletes, leases, compactions and ranges are mixed in.
    pub(crate) mixed: bool,
}

impl Traffic {
    /// Half puts, half gets, on ten keys.
    pub(crate) fn plain(operations: usize, clients: u32, unknown: bool) -> Self {
        Self {
            operations,
            clients,
            keys: 10,
            unknown,
            mixed: false,
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Call(u32),
    Effect(usize),
    Expiry { lease: i64, due: u64 },
}

struct Running {
    traffic: Traffic,
    dice: Dice,
    store: Store,
    moments: BinaryHeap<Reverse<(u64, u64, Moment)>>,
    turn: u64,
    fresh: i64,
    /// Leases that are known, and when each is due.
    leases: BTreeMap<i64, u64>,
    records: Vec<(u64, u64, Record)>,
    /// For each operation its request, and when it returns if it does.
    sent: Vec<(Request, Option<u64>)>,
}

/// The records of `history.jsonl` of such a run.
pub(crate) fn records(traffic: Traffic) -> Vec<Record> {
    let mut running = Running {
        traffic,
        dice: Dice(1),
        store: Store::new(),
        moments: BinaryHeap::new(),
        turn: 0,
        fresh: 0,
        leases: BTreeMap::new(),
        records: Vec::with_capacity(2 * traffic.operations),
        sent: Vec::with_capacity(traffic.operations),
    };
    for client in 0..traffic.clients {
        let at = running.exponential(1.0);
        running.at(at, Moment::Call(client));
    }
    while let Some(Reverse((now, _, moment))) = running.moments.pop() {
        match moment {
            Moment::Call(client) => running.call(now, client),
            Moment::Effect(id) => running.effect(now, id),
            Moment::Expiry { lease, due } => {
                if running.leases.get(&lease) == Some(&due) {
                    running.leases.remove(&lease);
                    let _revoked_by_a_client = running.store.revoke(lease);
                }
            }
        }
        running.store.forget_changes();
    }
    let mut records = running.records;
    records.sort_by_key(|(at, turn, _)| (*at, *turn));
    records.into_iter().map(|(.., record)| record).collect()
}

impl Running {
    fn at(&mut self, time: u64, moment: Moment) {
        self.turn += 1;
        self.moments.push(Reverse((time, self.turn, moment)));
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        ((self.dice.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Nanoseconds, exponentially distributed around a mean in milliseconds.
    fn exponential(&mut self, mean: f64) -> u64 {
        (-self.uniform().ln() * mean * MILLI) as u64
    }

    fn call(&mut self, now: u64, client: u32) {
        let id = self.sent.len();
        if id == self.traffic.operations {
            return;
        }
        let request = self.request();
        let latency = MILLI as u64 + self.exponential(4.0);
        let moment = now + (self.uniform() * latency as f64) as u64;
        let ret = now + latency;
        let writes = !matches!(
            request,
            Request::Range(_) | Request::LeaseGrant { .. } | Request::LeaseKeepAlive { .. }
        );
        let lost = self.traffic.unknown && writes && self.dice.percent(2);
        if !lost || self.dice.percent(50) {
            self.at(moment, Moment::Effect(id));
        }
        let next = ret + self.exponential(1.0);
        self.at(next, Moment::Call(client));
        let invoke = Invoke {
            id: id as u64,
            at: now,
            client,
            member: format!("m{}", 1 + client % 3),
            user: None,
            request: request.clone(),
        };
        self.records.push((now, 0, Record::Invoke(invoke)));
        self.sent.push((request, (!lost).then_some(ret)));
    }

    fn effect(&mut self, now: u64, id: usize) {
        let (request, ret) = self.sent[id].clone();
        let before = self.store.revision();
        let outcome = match &request {
            Request::LeaseKeepAlive { id } => {
                let there = self.store.lease_keys(*id).is_some();
                if there {
                    self.renew(*id, ret.unwrap_or(now));
                }
                let ttl = if there { LEASE_SECONDS } else { 0 };
                let mut header = super::history::header(before);
                header.revision = before;
                let response = Response::LeaseKeepAlive {
                    header,
                    id: *id,
                    ttl,
                };
                Outcome::Ok { response }
            }
            request => match self.store.apply(request) {
                Err(refusal) => error(refusal),
                Ok(answer) => {
                    if let Request::LeaseGrant { id, .. } = request {
                        self.renew(*id, ret.unwrap_or(now));
                    }
                    // A compaction is answered with the member's own revision.
                    let revision = match request {
                        Request::Compact { .. } => before,
                        _ => self.store.revision(),
                    };
                    let response = response(request, &answer, revision);
                    Outcome::Ok { response }
                }
            },
        };
        if let Some(at) = ret {
            let id = id as u64;
            self.records
                .push((at, 1, Record::Return(Return { id, at, outcome })));
        }
    }

    fn renew(&mut self, lease: i64, latest: u64) {
        let lives = u64::try_from(LEASE_SECONDS).expect("positive") * 1_000_000_000;
        let due = latest + lives + self.exponential(100.0);
        self.leases.insert(lease, due);
        self.at(due, Moment::Expiry { lease, due });
    }

    fn request(&mut self) -> Request {
        let key = Bytes::from(format!("k{}", self.dice.below(self.traffic.keys)));
        if self.traffic.mixed {
            self.of_mix(key)
        } else if self.dice.percent(50) {
            Request::Put(self.put(key))
        } else {
            get(key)
        }
    }

    fn put(&mut self, key: Bytes) -> PutRequest {
        self.fresh += 1;
        PutRequest {
            key,
            value: format!("v{}", self.fresh).into(),
            ..Default::default()
        }
    }

    /// 36 % puts, a tenth of them leased; 40 % gets; 8 % deletes; 10 % guarded transactions; 2 %
    /// ranges over everything; 4 % leases; one compaction in 2,000.
    fn of_mix(&mut self, key: Bytes) -> Request {
        match self.dice.below(2_000) {
            0 => Request::Compact {
                revision: (self.store.revision() - 100).max(1),
                physical: false,
            },
            1..720 => {
                let mut put = self.put(key);
                if self.dice.percent(10) {
                    put.lease = self.lease();
                }
                Request::Put(put)
            }
            720..1_520 => get(key),
            1_520..1_680 => Request::Delete(DeleteRequest {
                key,
                ..Default::default()
            }),
            1_680..1_880 => {
                let known = self.store.get(&key).map_or(0, |kv| kv.mod_revision);
                Request::Txn(TxnRequest {
                    compare: vec![Compare {
                        key: key.clone(),
                        range_end: Bytes::default(),
                        result: CompareResult::Equal,
                        target: CompareTarget::Mod(known),
                    }],
                    success: vec![TxnOp::Put(self.put(key.clone()))],
                    failure: vec![TxnOp::Range(RangeRequest {
                        key,
                        ..Default::default()
                    })],
                })
            }
            1_880..1_920 => {
                let key = Bytes::from("k");
                let range_end = key.prefix_end();
                Request::Range(RangeRequest {
                    key,
                    range_end,
                    ..Default::default()
                })
            }
            1_920..1_960 => {
                self.fresh += 1;
                Request::LeaseGrant {
                    id: self.fresh,
                    ttl: LEASE_SECONDS,
                }
            }
            1_960..1_980 => Request::LeaseRevoke { id: self.lease() },
            _ => Request::LeaseKeepAlive { id: self.lease() },
        }
    }

    /// One of the leases that are known; 0, which is none, before there are any.
    fn lease(&mut self) -> i64 {
        let (Some((first, _)), Some((last, _))) =
            (self.leases.first_key_value(), self.leases.last_key_value())
        else {
            return 0;
        };
        let span = u64::try_from(last - first).expect("in order") + 1;
        let from = first + i64::try_from(self.dice.below(span)).expect("below the last");
        self.leases.range(from..).next().map_or(0, |(id, _)| *id)
    }
}

fn get(key: Bytes) -> Request {
    Request::Range(RangeRequest {
        key,
        ..Default::default()
    })
}

/// Makes one get in the middle of a history stale: it answers what an earlier one had seen of the
/// same key long before it was sent.
pub(crate) fn one_stale_read(records: &mut [Record]) {
    let get_of = |record: &Record| match record {
        Record::Return(Return {
            id,
            outcome: Outcome::Ok {
                response: Response::Range(answer),
            },
            ..
        }) => answer
            .kvs
            .first()
            .map(|kv| (*id, kv.key.clone(), answer.clone())),
        _ => None,
    };
    let middle = records.len() / 2;
    let (_, key, old) = records[middle - middle / 10..]
        .iter()
        .find_map(get_of)
        .expect("a get that found something");
    let victim = (middle..records.len())
        .find(|at| get_of(&records[*at]).is_some_and(|(_, other, _)| other == key))
        .expect("another get of the key");
    if let Record::Return(Return {
        outcome: Outcome::Ok { response },
        ..
    }) = &mut records[victim]
    {
        *response = Response::Range(old);
    }
}
