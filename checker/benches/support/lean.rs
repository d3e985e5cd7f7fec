//! Histories of puts and gets with revisions in the smallest form, and the store that they are of.
//!
//! Each client of a closed loop sends, waits 1 ms + Exp(4 ms) for the answer, thinks for Exp(1 ms),
//! and sends again. An operation takes effect at a moment drawn uniformly between its call and its
//! return, on one store with one revision. Half of the operations are puts of new values, half
//! gets, on ten keys. Where answers are lost, 2 % of the puts lose theirs, and half of those have
//! taken effect.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use checker::generic::{Model, Operation};

const KEYS: usize = 10;
const MILLI: f64 = 1e6;

/// A store of ten numbered keys, the values of which are numbers; 0 is no value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revisions;

/// The revision, and of each key the value and the revision that made it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    revision: u64,
    keys: [(u64, u64); KEYS],
}

/// An operation with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    /// Of a key a new value, which made a revision.
    Put(u8, u64, u64),
    /// The same without answer.
    LostPut(u8, u64),
    /// Of a key the value and the revision that made it, seen at a revision.
    Get(u8, u64, u64, u64),
}

use Op::{Get, LostPut, Put};

impl Model for Revisions {
    type State = State;
    type Op = Op;

    fn initial(&self) -> State {
        State {
            revision: 1,
            keys: [(0, 0); KEYS],
        }
    }

    fn step(&self, state: &State, op: &Op) -> Option<State> {
        if !self.accepts(state, op) {
            return None;
        }
        let mut next = state.clone();
        if let Put(key, value, _) | LostPut(key, value) = *op {
            next.revision += 1;
            next.keys[usize::from(key)] = (value, next.revision);
        }
        Some(next)
    }

    fn accepts(&self, state: &State, op: &Op) -> bool {
        match *op {
            Put(_, _, revision) => revision == state.revision + 1,
            LostPut(..) => true,
            Get(key, value, made, revision) => {
                revision == state.revision && state.keys[usize::from(key)] == (value, made)
            }
        }
    }

    fn is_read_only(&self, op: &Op) -> bool {
        matches!(op, Get(..))
    }

    fn dead(&self, state: &State, op: &Op) -> bool {
        match *op {
            Put(_, _, revision) => revision <= state.revision,
            LostPut(..) => false,
            Get(_, _, _, revision) => revision < state.revision,
        }
    }

    fn forget(&self, op: &Op) -> Op {
        match *op {
            Put(key, value, _) => LostPut(key, value),
            other => other,
        }
    }
}

/// The same store for the plain search.
impl crate::wgl::Model for Revisions {
    type State = State;
    type Operation = Op;

    fn step(state: &State, op: &Op) -> Option<State> {
        Model::step(&Self, state, op)
    }
}

/// Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, 2014.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Nanoseconds, exponentially distributed around a mean in milliseconds.
    fn exponential(&mut self, mean: f64) -> u64 {
        (-self.uniform().ln() * mean * MILLI) as u64
    }
}

/// A history by calls; `lossy` where puts lose their answers.
pub(crate) fn history(operations: usize, clients: u32, lossy: bool) -> Vec<Operation<Op>> {
    let mut dice = Dice(1);
    let mut history: Vec<Operation<Op>> = Vec::with_capacity(operations);
    let mut state = Revisions.initial();
    // Times, and a client that calls or an operation that takes effect.
    let mut moments: BinaryHeap<Reverse<(u64, Result<u32, usize>)>> = (0..clients)
        .map(|client| Reverse((dice.exponential(1.0), Ok(client))))
        .collect();
    let mut fresh = 0;
    while let Some(Reverse((now, moment))) = moments.pop() {
        match moment {
            Ok(_) if history.len() == operations => {}
            Ok(client) => {
                let key = dice.below(KEYS as u64) as u8;
                let latency = MILLI as u64 + dice.exponential(4.0);
                let effect = now + (dice.uniform() * latency as f64) as u64;
                let is_put = dice.below(100) < 50;
                let is_lost = lossy && is_put && dice.below(100) < 2;
                let op = if is_put {
                    fresh += 1;
                    LostPut(key, fresh)
                } else {
                    Get(key, 0, 0, 0)
                };
                if !is_lost || dice.below(100) < 50 {
                    moments.push(Reverse((effect, Err(history.len()))));
                }
                let ret = now + latency;
                history.push(Operation {
                    op,
                    call: now,
                    ret: (!is_lost).then_some(ret),
                });
                moments.push(Reverse((ret + dice.exponential(1.0), Ok(client))));
            }
            Err(at) => {
                let Operation { op, ret, .. } = &mut history[at];
                if let LostPut(..) = op {
                    state = Model::step(&Revisions, &state, op).expect("always possible");
                }
                *op = match *op {
                    LostPut(key, value) if ret.is_some() => Put(key, value, state.revision),
                    Get(key, ..) => {
                        let (value, made) = state.keys[usize::from(key)];
                        Get(key, value, made, state.revision)
                    }
                    other => other,
                };
            }
        }
    }
    history
}

/// Makes one get in the middle stale: it answers what an earlier one of the same key had seen.
pub(crate) fn one_stale_read(history: &mut [Operation<Op>]) {
    let middle = history.len() / 2;
    let early = history[middle - middle / 10..]
        .iter()
        .find_map(|o| match o.op {
            Get(key, value @ 1.., ..) => Some((key, value, o.op)),
            _ => None,
        });
    let (key, value, old) = early.expect("a get that found something");
    let newer = |o: &&mut Operation<Op>| matches!(o.op, Get(k, v, ..) if k == key && v != value);
    let victim = history[middle..].iter_mut().find(newer);
    victim.expect("another get of the key").op = old;
}
