//! A simulated store: many clients at once, each operation taking effect at one moment between its
//! call and its return. Its histories are legal by construction.

#[path = "requests.rs"]
mod requests;
#[path = "wire.rs"]
mod wire;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use checker::history::*;
use checker::model::{Answer, Refusal, Store};

use super::history::header;
pub(crate) use wire::{error, response};

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
    /// What the store does wrong, once, at the first occasion from the middle on.
    pub(crate) fault: Option<Fault>,
}

/// What a broken store may do.
#[allow(
    dead_code,
    reason = "others that share this file simulate sound stores only"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A put is acknowledged and forgotten, its revision with it.
    LostWrite,
    /// A put is acknowledged and forgotten, though its revision counts.
    LostContent,
    /// A put is applied a second time, which nobody asked for.
    AppliedTwice,
    /// A delete is acknowledged and its revision counts, but the key stays.
    Resurrected,
    /// A linearizable range is answered as of up to three revisions ago.
    StaleRead,
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
            fault: None,
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
            fault: None,
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
    /// The revision that a stale read is answered with.
    stale: Option<i64>,
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
        stale: None,
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
            request => match self.apply(index, request) {
                Ok(answer) => {
                    if let Request::LeaseGrant { id, .. } = request {
                        self.renew(*id, op.ret.min(at + 100));
                    }
                    let header = match request {
                        // The answering member's own revision when it answers.
                        Request::Compact { .. } => before,
                        Request::Put(_) => before + 1,
                        _ => self.stale.take().unwrap_or(self.store.revision()),
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

    /// Applies a request, correctly unless it is time for the fault.
    fn apply(&mut self, index: usize, request: &Request) -> Result<Answer, Refusal> {
        let due = index >= self.shape.operations / 2 && self.history.ops[index].ret != u64::MAX;
        let Some(fault) = self.shape.fault.filter(|_| due) else {
            return self.store.apply(request);
        };
        let sound = self.store.clone();
        let answer = self.store.apply(request)?;
        let counts = self.store.revision() > sound.revision();
        // The revision counts, but for a key that nobody reads.
        let elsewhere = |mut store: Store| {
            let put = PutRequest {
                key: "zz".into(),
                ..Default::default()
            };
            store.apply(&Request::Put(put)).map(|_| store)
        };
        match (fault, request) {
            (Fault::LostWrite, Request::Put(_)) => self.store = sound,
            (Fault::LostContent, Request::Put(_)) => self.store = elsewhere(sound)?,
            (Fault::Resurrected, Request::Delete(_)) if counts => self.store = elsewhere(sound)?,
            (Fault::AppliedTwice, Request::Put(_)) => {
                self.store.apply(request)?;
            }
            (Fault::StaleRead, Request::Range(range)) if range.revision == 0 => {
                let back = i64::try_from(1 + self.dice.below(3)).unwrap();
                let revision = (sound.revision() - back).max(1);
                self.stale = Some(revision);
                self.shape.fault = None;
                let range = RangeRequest {
                    revision,
                    ..range.clone()
                };
                return Ok(Answer::Range(
                    self.store.read_past(&range).expect("the past is kept"),
                ));
            }
            _ => return Ok(answer),
        }
        self.shape.fault = None;
        Ok(answer)
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
