//! Operations and states in words.

use crate::generic::Model;
use crate::import::Values;
use crate::models::{
    CasRegister, CasRegisterOp, KeyValue, KeyValueOp, Mutex, MutexOp, Queue, QueueOp, Set, SetOp,
    Value,
};

/// Characters of a value told at most, from its end; and elements.
const CHARS_MAX: usize = 60;
const ELEMENTS_MAX: usize = 12;

/// A model whose operations can be told.
pub(super) trait Words: Model {
    /// What the object is.
    const OBJECT: &'static str;

    /// What a process did, or (where the result is not known) asked for.
    fn say(op: &Self::Op, is_known: bool, values: &Values) -> String;

    /// What a state is.
    fn state(state: &Self::State, values: &Values) -> String;
}

fn value(value: Value, values: &Values) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(number) => values.atom(number).to_string(),
    }
}

fn elements<'a>(all: impl ExactSizeIterator<Item = &'a i64>, values: &Values) -> String {
    let count = all.len();
    let mut told: Vec<_> = all
        .take(ELEMENTS_MAX)
        .map(|element| values.atom(*element).to_string())
        .collect();
    if count > ELEMENTS_MAX {
        told.push(format!("and {} more", count - ELEMENTS_MAX));
    }
    if told.is_empty() {
        "nothing".to_owned()
    } else {
        told.join(" ")
    }
}

/// The end of a long text: what was appended last.
fn shorten(text: &str) -> String {
    let count = text.chars().count();
    if count <= CHARS_MAX {
        return format!("{text:?}");
    }
    let tail: String = text.chars().skip(count - CHARS_MAX).collect();
    format!("{count} characters that end in {tail:?}")
}

impl Words for CasRegister {
    const OBJECT: &'static str = "register";

    fn say(op: &CasRegisterOp, is_known: bool, values: &Values) -> String {
        match *op {
            CasRegisterOp::Read(seen) => format!("read {}", value(seen, values)),
            CasRegisterOp::Write(written) if is_known => {
                format!("wrote {}", value(written, values))
            }
            CasRegisterOp::Write(written) => format!("asked to write {}", value(written, values)),
            CasRegisterOp::Cas { from, to, done } => {
                let (from, to) = (value(from, values), value(to, values));
                match done.filter(|_| is_known) {
                    Some(true) => format!("replaced {from} by {to}"),
                    Some(false) => format!("failed to replace {from} by {to}"),
                    None => format!("asked to replace {from} by {to}"),
                }
            }
        }
    }

    fn state(state: &Value, values: &Values) -> String {
        format!("the register holds {}", value(*state, values))
    }
}

impl Words for KeyValue {
    const OBJECT: &'static str = "store";

    fn say(op: &KeyValueOp, is_known: bool, _: &Values) -> String {
        match op {
            KeyValueOp::Get { key, value } => format!("got {} from {key:?}", shorten(value)),
            KeyValueOp::Put { key, value } if is_known => {
                format!("put {} to {key:?}", shorten(value))
            }
            KeyValueOp::Put { key, value } => format!("asked to put {} to {key:?}", shorten(value)),
            KeyValueOp::Append { key, value } if is_known => {
                format!("appended {} to {key:?}", shorten(value))
            }
            KeyValueOp::Append { key, value } => {
                format!("asked to append {} to {key:?}", shorten(value))
            }
        }
    }

    fn state(state: &Self::State, _: &Values) -> String {
        let mut told: Vec<_> = state
            .iter()
            .take(2)
            .map(|(key, value)| format!("{key:?} is {}", shorten(value)))
            .collect();
        if told.is_empty() {
            told.push("the store is empty".to_owned());
        }
        told.join(" and ")
    }
}

impl Words for Set {
    const OBJECT: &'static str = "set";

    fn say(op: &SetOp, is_known: bool, values: &Values) -> String {
        let asked = if is_known { "" } else { "asked to " };
        match op {
            SetOp::Add(element) => {
                let add = if is_known { "added" } else { "add" };
                format!("{asked}{add} {}", values.atom(*element))
            }
            SetOp::Remove(element) => {
                let remove = if is_known { "removed" } else { "remove" };
                format!("{asked}{remove} {}", values.atom(*element))
            }
            SetOp::Contains(element, was_in) => {
                let is = if *was_in { "in" } else { "not in" };
                format!("found {} {is} the set", values.atom(*element))
            }
            SetOp::Read(all) => format!("read {}", elements(all.iter(), values)),
        }
    }

    fn state(state: &Self::State, values: &Values) -> String {
        format!("the set holds {}", elements(state.iter(), values))
    }
}

impl Words for Queue {
    const OBJECT: &'static str = "queue";

    fn say(op: &QueueOp, is_known: bool, values: &Values) -> String {
        match *op {
            QueueOp::Enqueue(value) if is_known => format!("enqueued {}", values.atom(value)),
            QueueOp::Enqueue(value) => format!("asked to enqueue {}", values.atom(value)),
            QueueOp::Dequeue(value) => format!("dequeued {}", values.atom(value)),
            QueueOp::DequeueEmpty => "found the queue empty".to_owned(),
            QueueOp::DequeueUnknown => "asked to dequeue".to_owned(),
        }
    }

    fn state(state: &Self::State, values: &Values) -> String {
        format!("the queue holds {}", elements(state.iter(), values))
    }
}

impl Words for Mutex {
    const OBJECT: &'static str = "mutex";

    fn say(op: &MutexOp, is_known: bool, _: &Values) -> String {
        let what = match (op, is_known) {
            (MutexOp::Acquire, true) => "acquired it",
            (MutexOp::Acquire, false) => "asked to acquire it",
            (MutexOp::Release, true) => "released it",
            (MutexOp::Release, false) => "asked to release it",
        };
        what.to_owned()
    }

    fn state(state: &bool, _: &Values) -> String {
        let state = if *state { "held" } else { "free" };
        format!("the mutex is {state}")
    }
}
