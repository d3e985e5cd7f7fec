//! Histories that begin in the middle.

use super::{Model, Operation};

/// An object that is in some state before the first operation: for a window of a longer history.
#[derive(Clone, Debug)]
pub struct StartingAt<M: Model> {
    /// The object.
    pub model: M,
    /// Its state.
    pub state: M::State,
}

impl<M: Model> Model for StartingAt<M> {
    type State = M::State;
    type Op = M::Op;

    fn initial(&self) -> M::State {
        self.state.clone()
    }

    fn step(&self, state: &M::State, op: &M::Op) -> Option<M::State> {
        self.model.step(state, op)
    }

    fn accepts(&self, state: &M::State, op: &M::Op) -> bool {
        self.model.accepts(state, op)
    }

    fn is_read_only(&self, op: &M::Op) -> bool {
        self.model.is_read_only(op)
    }

    fn forget(&self, op: &M::Op) -> M::Op {
        self.model.forget(op)
    }

    fn dead(&self, state: &M::State, op: &M::Op) -> bool {
        self.model.dead(state, op)
    }

    fn unobserved(&self, operations: &[&Operation<M::Op>]) -> Vec<usize> {
        self.model.unobserved(operations)
    }

    fn study(&self, start: &M::State, operations: &[&Operation<M::Op>]) -> Self {
        Self {
            model: self.model.study(start, operations),
            state: self.state.clone(),
        }
    }

    fn partition(&self, operations: &[Operation<M::Op>]) -> Vec<Vec<usize>> {
        self.model.partition(operations)
    }

    fn bytes(&self, state: &M::State) -> usize {
        self.model.bytes(state)
    }

    fn refusal(&self, state: &M::State, op: &M::Op) -> String {
        self.model.refusal(state, op)
    }
}
