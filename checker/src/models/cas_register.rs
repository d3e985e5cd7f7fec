//! A register with compare-and-set.

use std::collections::HashSet;

use super::{Value, unknown_where};
use crate::generic::{Model, Operation};

/// A register with compare-and-set that starts empty: the object of most of Jepsen's tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct CasRegister;

/// An operation on a [`CasRegister`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CasRegisterOp {
    /// A read, and what it saw.
    Read(Value),
    /// A write.
    Write(Value),
    /// A write if the register holds something.
    Cas {
        /// What it must hold.
        from: Value,
        /// What is written.
        to: Value,
        /// Whether it held it, if that is known.
        done: Option<bool>,
    },
}

use CasRegisterOp::{Cas, Read, Write};

impl Model for CasRegister {
    type State = Value;
    type Op = CasRegisterOp;

    fn initial(&self) -> Value {
        None
    }

    fn step(&self, state: &Value, op: &CasRegisterOp) -> Option<Value> {
        match *op {
            Read(seen) => (seen == *state).then_some(*state),
            Write(value) => Some(value),
            Cas { from, to, done } => match (from == *state, done) {
                (true, Some(false)) | (false, Some(true)) => None,
                (true, _) => Some(to),
                (false, _) => Some(*state),
            },
        }
    }

    fn is_read_only(&self, op: &CasRegisterOp) -> bool {
        matches!(
            op,
            Read(_)
                | Cas {
                    done: Some(false),
                    ..
                }
        )
    }

    fn forget(&self, op: &CasRegisterOp) -> CasRegisterOp {
        match *op {
            Cas { from, to, .. } => Cas {
                from,
                to,
                done: None,
            },
            other => other,
        }
    }

    /// A write is seen by whoever reads or expects its value; and a comparison that failed may
    /// owe that to any write.
    fn unobserved(&self, operations: &[&Operation<CasRegisterOp>]) -> Vec<usize> {
        let mut seen: HashSet<Value> = HashSet::new();
        for operation in operations {
            match operation.op {
                Cas {
                    done: Some(false), ..
                } => return Vec::new(),
                Read(seen_here) if operation.ret.is_some() => seen.insert(seen_here),
                Cas { from, .. } => seen.insert(from),
                Read(_) | Write(_) => false,
            };
        }
        unknown_where(operations, |op| match op {
            Write(value) | Cas { to: value, .. } => !seen.contains(value),
            Read(_) => false,
        })
    }

    fn refusal(&self, state: &Value, op: &CasRegisterOp) -> String {
        format!("{op:?}, but the register holds {state:?}")
    }
}
