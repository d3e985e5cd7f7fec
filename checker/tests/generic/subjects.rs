//! What the models' clients do in random histories.

use checker::generic::Model;
use checker::models::*;

/// A model whose operations can be drawn.
pub(crate) trait Subject: Model + Default {
    /// Whether it can be as at first again once it was not.
    const RETURNS: bool;
    /// A request with the answer that a correct object gives.
    fn act(state: &Self::State, kind: u8, a: i64, b: i64) -> Self::Op;
    /// The operation with another answer or argument.
    fn spoil(op: &Self::Op, a: i64) -> Self::Op;
}

impl Subject for Register {
    const RETURNS: bool = false;

    fn act(state: &Value, kind: u8, a: i64, _: i64) -> RegisterOp {
        match kind % 2 {
            0 => RegisterOp::Read(*state),
            _ => RegisterOp::Write(Some(a)),
        }
    }

    fn spoil(op: &RegisterOp, a: i64) -> RegisterOp {
        match op {
            RegisterOp::Read(_) => RegisterOp::Read(Some(a)),
            RegisterOp::Write(_) => RegisterOp::Write(Some(a)),
        }
    }
}

impl Subject for CasRegister {
    const RETURNS: bool = false;

    fn act(state: &Value, kind: u8, a: i64, b: i64) -> CasRegisterOp {
        match kind % 3 {
            0 => CasRegisterOp::Read(*state),
            1 => CasRegisterOp::Write(Some(a)),
            _ => CasRegisterOp::Cas {
                from: Some(a),
                to: Some(b),
                done: Some(*state == Some(a)),
            },
        }
    }

    fn spoil(op: &CasRegisterOp, a: i64) -> CasRegisterOp {
        match *op {
            CasRegisterOp::Read(_) => CasRegisterOp::Read(Some(a)),
            CasRegisterOp::Write(_) => CasRegisterOp::Write(Some(a)),
            CasRegisterOp::Cas { from, to, done } => CasRegisterOp::Cas {
                from,
                to,
                done: done.map(|done| !done),
            },
        }
    }
}

impl Subject for Queue {
    const RETURNS: bool = true;

    fn act(state: &std::collections::VecDeque<i64>, kind: u8, a: i64, _: i64) -> QueueOp {
        match (kind % 2, state.front()) {
            (0, _) => QueueOp::Enqueue(a),
            (_, Some(first)) => QueueOp::Dequeue(*first),
            (_, None) => QueueOp::DequeueEmpty,
        }
    }

    fn spoil(op: &QueueOp, a: i64) -> QueueOp {
        match op {
            QueueOp::Enqueue(_) => QueueOp::Enqueue(a),
            QueueOp::Dequeue(_) if a == 0 => QueueOp::DequeueEmpty,
            _ => QueueOp::Dequeue(a),
        }
    }
}

impl Subject for Set {
    const RETURNS: bool = true;

    fn act(state: &std::collections::BTreeSet<i64>, kind: u8, a: i64, b: i64) -> SetOp {
        match kind % 4 {
            0 => SetOp::Add(a),
            1 => SetOp::Remove(a),
            2 if b == 0 => SetOp::Read(state.clone()),
            _ => SetOp::Contains(a, state.contains(&a)),
        }
    }

    fn spoil(op: &SetOp, a: i64) -> SetOp {
        match op {
            SetOp::Add(_) => SetOp::Add(a),
            SetOp::Remove(_) => SetOp::Remove(a),
            SetOp::Contains(element, was_in) => SetOp::Contains(*element, !was_in),
            SetOp::Read(_) => SetOp::Read((0..a).collect()),
        }
    }
}

impl Subject for Mutex {
    const RETURNS: bool = true;

    fn act(held: &bool, _: u8, _: i64, _: i64) -> MutexOp {
        if *held {
            MutexOp::Release
        } else {
            MutexOp::Acquire
        }
    }

    fn spoil(op: &MutexOp, _: i64) -> MutexOp {
        match op {
            MutexOp::Acquire => MutexOp::Release,
            MutexOp::Release => MutexOp::Acquire,
        }
    }
}

impl Subject for KeyValue {
    const RETURNS: bool = false;

    fn act(state: &Self::State, kind: u8, a: i64, b: i64) -> KeyValueOp {
        let (key, value) = ((b % 2).to_string(), format!("x{a}"));
        match kind % 4 {
            0 | 1 => KeyValueOp::Get {
                value: state.get(&key).cloned().unwrap_or_default(),
                key,
            },
            2 => KeyValueOp::Put { key, value },
            _ => KeyValueOp::Append { key, value },
        }
    }

    fn spoil(op: &KeyValueOp, a: i64) -> KeyValueOp {
        let mut op = op.clone();
        let (KeyValueOp::Get { value, .. }
        | KeyValueOp::Put { value, .. }
        | KeyValueOp::Append { value, .. }) = &mut op;
        value.push_str(&format!("x{a}"));
        op
    }
}
