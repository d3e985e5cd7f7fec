//! A queue.

use std::collections::{HashSet, VecDeque};

use super::unknown_where;
use crate::generic::{Model, Operation};

/// A first-in-first-out queue that starts empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

/// An operation on a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueOp {
    /// A value is put at the end.
    Enqueue(i64),
    /// The first value is taken.
    Dequeue(i64),
    /// Nothing was there to be taken.
    DequeueEmpty,
    /// The first value is taken if there is one; what it was is unknown.
    DequeueUnknown,
}

use QueueOp::{Dequeue, DequeueEmpty, DequeueUnknown, Enqueue};

impl Model for Queue {
    type State = VecDeque<i64>;
    type Op = QueueOp;

    fn initial(&self) -> VecDeque<i64> {
        VecDeque::new()
    }

    fn step(&self, state: &VecDeque<i64>, op: &QueueOp) -> Option<VecDeque<i64>> {
        if !self.accepts(state, op) {
            return None;
        }
        let mut next = state.clone();
        match *op {
            Enqueue(value) => next.push_back(value),
            Dequeue(_) | DequeueUnknown => drop(next.pop_front()),
            DequeueEmpty => {}
        }
        Some(next)
    }

    fn accepts(&self, state: &VecDeque<i64>, op: &QueueOp) -> bool {
        match *op {
            Enqueue(_) | DequeueUnknown => true,
            Dequeue(value) => state.front() == Some(&value),
            DequeueEmpty => state.is_empty(),
        }
    }

    fn is_read_only(&self, op: &QueueOp) -> bool {
        matches!(op, DequeueEmpty)
    }

    fn forget(&self, op: &QueueOp) -> QueueOp {
        match *op {
            Dequeue(_) => DequeueUnknown,
            other => other,
        }
    }

    /// A value that nobody is known to have taken only stands in the way.
    fn unobserved(&self, operations: &[&Operation<QueueOp>]) -> Vec<usize> {
        let taken: HashSet<i64> = operations
            .iter()
            .filter_map(|o| match o.op {
                Dequeue(value) => Some(value),
                _ => None,
            })
            .collect();
        unknown_where(
            operations,
            |op| matches!(op, Enqueue(value) if !taken.contains(value)),
        )
    }

    fn bytes(&self, state: &VecDeque<i64>) -> usize {
        size_of_val(state) + state.capacity() * size_of::<i64>()
    }

    fn refusal(&self, state: &VecDeque<i64>, op: &QueueOp) -> String {
        match state.front() {
            Some(first) => format!("{op:?}, but {first} is first of {}", state.len()),
            None => format!("{op:?}, but the queue is empty"),
        }
    }
}
