//! A set.

use std::collections::{BTreeSet, HashSet};

use super::{by_key, unknown_where};
use crate::generic::{Model, Operation};

/// A set that starts empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set {
    /// Whether nothing is ever removed, as far as is known.
    only_grows: bool,
}

/// An operation on a [`Set`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// An element is in it from now on.
    Add(i64),
    /// An element is not in it from now on.
    Remove(i64),
    /// Whether an element was in it.
    Contains(i64, bool),
    /// All its elements.
    Read(BTreeSet<i64>),
}

use SetOp::{Add, Contains, Read, Remove};

impl Model for Set {
    type State = BTreeSet<i64>;
    type Op = SetOp;

    fn initial(&self) -> BTreeSet<i64> {
        BTreeSet::new()
    }

    fn step(&self, state: &BTreeSet<i64>, op: &SetOp) -> Option<BTreeSet<i64>> {
        if !self.accepts(state, op) {
            return None;
        }
        let mut next = state.clone();
        match op {
            Add(element) => drop(next.insert(*element)),
            Remove(element) => drop(next.remove(element)),
            Contains(..) | Read(_) => {}
        }
        Some(next)
    }

    fn accepts(&self, state: &BTreeSet<i64>, op: &SetOp) -> bool {
        match op {
            Add(_) | Remove(_) => true,
            Contains(element, was_in) => state.contains(element) == *was_in,
            Read(elements) => elements == state,
        }
    }

    fn is_read_only(&self, op: &SetOp) -> bool {
        matches!(op, Contains(..) | Read(_))
    }

    /// Where nothing is removed, what is in the set stays in it.
    fn study(&self, _: &BTreeSet<i64>, operations: &[&Operation<SetOp>]) -> Self {
        Self {
            only_grows: !operations.iter().any(|o| matches!(o.op, Remove(_))),
        }
    }

    fn dead(&self, state: &BTreeSet<i64>, op: &SetOp) -> bool {
        self.only_grows
            && match op {
                Contains(element, false) => state.contains(element),
                Read(elements) => !state.is_subset(elements),
                Contains(_, true) | Add(_) | Remove(_) => false,
            }
    }

    /// An element that is never seen in the set need not be added, and one that is never seen out
    /// of it need not be removed.
    fn unobserved(&self, operations: &[&Operation<SetOp>]) -> Vec<usize> {
        let (mut seen, mut missed) = (HashSet::new(), HashSet::new());
        let mut is_read = false;
        for operation in operations.iter().filter(|o| o.ret.is_some()) {
            match &operation.op {
                Contains(element, true) => drop(seen.insert(*element)),
                Contains(element, false) => drop(missed.insert(*element)),
                Read(elements) => {
                    is_read = true;
                    seen.extend(elements);
                }
                Add(_) | Remove(_) => {}
            }
        }
        unknown_where(operations, |op| match op {
            Add(element) => !seen.contains(element),
            Remove(element) => !is_read && !missed.contains(element),
            Contains(..) | Read(_) => false,
        })
    }

    /// By element, unless the whole set is read.
    fn partition(&self, operations: &[Operation<SetOp>]) -> Vec<Vec<usize>> {
        if operations.iter().any(|o| matches!(o.op, Read(_))) {
            return vec![(0..operations.len()).collect()];
        }
        by_key(operations, |op| match op {
            Add(element) | Remove(element) | Contains(element, _) => *element,
            Read(_) => unreachable!("there are no reads"),
        })
    }

    fn bytes(&self, state: &BTreeSet<i64>) -> usize {
        size_of_val(state) + state.len() * 2 * size_of::<i64>()
    }

    fn refusal(&self, state: &BTreeSet<i64>, op: &SetOp) -> String {
        match op {
            Read(elements) => {
                let missing: Vec<_> = state.difference(elements).take(3).collect();
                let extra: Vec<_> = elements.difference(state).take(3).collect();
                format!("the read misses {missing:?}, and has {extra:?} that are not in the set")
            }
            other => format!("{other:?} is not so in a set of {}", state.len()),
        }
    }
}
