//! A mutex.

use crate::generic::Model;

/// A mutex that starts free. It does not know who holds it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// An operation on a [`Mutex`] that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// It was free, and is held now.
    Acquire,
    /// It was held, and is free now.
    Release,
}

impl Model for Mutex {
    /// Whether it is held.
    type State = bool;
    type Op = MutexOp;

    fn initial(&self) -> bool {
        false
    }

    fn step(&self, held: &bool, op: &MutexOp) -> Option<bool> {
        match op {
            MutexOp::Acquire => (!held).then_some(true),
            MutexOp::Release => held.then_some(false),
        }
    }

    fn refusal(&self, held: &bool, op: &MutexOp) -> String {
        let state = if *held { "held" } else { "free" };
        format!("{op:?}, but the mutex is {state}")
    }
}
