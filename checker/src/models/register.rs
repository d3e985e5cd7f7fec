//! A register.

use std::collections::HashSet;

use super::{Value, unknown_where};
use crate::generic::{Model, Operation};

/// A register that starts empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// An operation on a [`Register`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// A read, and what it saw.
    Read(Value),
    /// A write.
    Write(Value),
}

impl Model for Register {
    type State = Value;
    type Op = RegisterOp;

    fn initial(&self) -> Value {
        None
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        match *op {
            RegisterOp::Read(seen) => (seen == *state).then_some(*state),
            RegisterOp::Write(value) => Some(value),
        }
    }

    fn is_read_only(&self, op: &RegisterOp) -> bool {
        matches!(op, RegisterOp::Read(_))
    }

    fn unobserved(&self, operations: &[&Operation<RegisterOp>]) -> Vec<usize> {
        let seen: HashSet<Value> = operations
            .iter()
            .filter(|o| o.ret.is_some())
            .filter_map(|o| match o.op {
                RegisterOp::Read(seen) => Some(seen),
                RegisterOp::Write(_) => None,
            })
            .collect();
        unknown_where(
            operations,
            |op| matches!(op, RegisterOp::Write(value) if !seen.contains(value)),
        )
    }

    fn refusal(&self, state: &Value, op: &RegisterOp) -> String {
        format!("{op:?}, but the register holds {state:?}")
    }
}
