//! Histories of puts and gets in the smallest form, and the plain search over them.

use std::collections::HashMap;

use checker::history::*;
use checker::zones::{Kind, Operation, Value, project};

use crate::wgl::{Model, Timed, is_linearizable};

/// The plain search gives up beyond these.
const CONFIGURATIONS_MAX: usize = 200_000;

/// Operations on numbered registers with numbered values.
pub(crate) type Registers = Vec<Operation<u32, u64>>;

/// The projection of a history of puts and gets, with numbers instead of names.
pub(crate) fn registers(records: &[Record]) -> Registers {
    let number = |value: Value<'_>| match value {
        Value::Put(value) => number(value),
        Value::Deleted(_) => unreachable!("puts and gets only"),
    };
    let projection = project(records, &[]);
    let operations = projection.operations.into_iter().map(|op| Operation {
        key: u32::try_from(self::number(op.key)).expect("few keys"),
        kind: match op.kind {
            Kind::Write(value) => Kind::Write(number(value)),
            Kind::Read(seen) => Kind::Read(seen.map(number)),
        },
        call: op.call,
        ret: op.ret,
    });
    operations.collect()
}

/// The number after the first letter.
fn number(name: &Bytes) -> u64 {
    let text = std::str::from_utf8(&name.as_slice()[1..]).expect("digits");
    text.parse().expect("digits")
}

struct Register;

impl Model for Register {
    type State = Option<u64>;
    type Operation = Kind<u64>;

    fn step(state: &Option<u64>, kind: &Kind<u64>) -> Option<Option<u64>> {
        match kind {
            Kind::Write(value) => Some(Some(*value)),
            Kind::Read(seen) => (seen == state).then_some(*seen),
        }
    }
}

/// The search, for each register alone.
pub(crate) fn search_registers(registers: &Registers) -> Option<bool> {
    let mut by_key: HashMap<u32, Vec<Timed<Kind<u64>>>> = HashMap::new();
    for op in registers {
        by_key
            .entry(op.key)
            .or_default()
            .push((op.kind, op.call, op.ret));
    }
    for ops in by_key.values() {
        if !is_linearizable::<Register>(None, ops, CONFIGURATIONS_MAX)? {
            return Some(false);
        }
    }
    Some(true)
}

/// A put or get with the revision of its answer.
pub(crate) struct Seen {
    key: usize,
    /// The value put, or seen with the revision that made it.
    put: Option<u64>,
    got: (u64, i64),
    revision: i64,
}

/// The revision, and the value and revision of each of ten keys.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    revision: i64,
    keys: [(u64, i64); 10],
}

struct Revisions;

impl Model for Revisions {
    type State = State;
    type Operation = Seen;

    fn step(state: &State, seen: &Seen) -> Option<State> {
        let mut next = state.clone();
        match seen.put {
            Some(value) => {
                next.revision += 1;
                next.keys[seen.key] = (value, next.revision);
                (next.revision == seen.revision).then_some(next)
            }
            None => {
                let same = state.revision == seen.revision && state.keys[seen.key] == seen.got;
                same.then_some(next)
            }
        }
    }
}

/// The history of a run in which nothing was lost.
pub(crate) fn with_revisions(records: &[Record]) -> Vec<Timed<Seen>> {
    let mut calls: HashMap<u64, (u64, &Request)> = HashMap::new();
    let mut history = Vec::new();
    for record in records {
        match record {
            Record::Invoke(invoke) => {
                calls.insert(invoke.id, (invoke.at, &invoke.request));
            }
            Record::Return(end) => {
                let (call, request) = calls[&end.id];
                let response = end.outcome.response().expect("answered");
                history.push((seen(request, response), call, Some(end.at)));
            }
            _ => {}
        }
    }
    history
}

fn seen(request: &Request, response: &Response) -> Seen {
    let revision = response.header().expect("a header").revision;
    let slot = |key| usize::try_from(number(key)).expect("few keys");
    match (request, response) {
        (Request::Put(put), _) => Seen {
            key: slot(&put.key),
            put: Some(number(&put.value)),
            got: (0, 0),
            revision,
        },
        (Request::Range(range), Response::Range(answer)) => Seen {
            key: slot(&range.key),
            put: None,
            got: answer
                .kvs
                .first()
                .map_or((0, 0), |kv| (number(&kv.value), kv.mod_revision)),
            revision,
        },
        _ => unreachable!("puts and gets only"),
    }
}

/// The search, over all keys at once.
pub(crate) fn search_revisions(history: &[Timed<Seen>]) -> Option<bool> {
    let initial = State {
        revision: 1,
        keys: [(0, 0); 10],
    };
    is_linearizable::<Revisions>(initial, history, CONFIGURATIONS_MAX)
}
