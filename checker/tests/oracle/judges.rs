//! The two oracles, for any model.

use std::marker::PhantomData;

use checker::generic::{Model, Operation};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use crate::wgl;

/// What both oracles say; they must agree.
pub(crate) fn is_linearizable<M: Model>(model: &M, operations: &[Operation<M::Op>]) -> bool {
    let by_stateright = stateright(model, operations);
    let by_search = plain(model, operations);
    assert_eq!(by_stateright, by_search, "{operations:?}");
    by_stateright
}

#[derive(Clone)]
struct Object<M: Model> {
    model: M,
    state: M::State,
}

impl<M: Model> SequentialSpec for Object<M> {
    /// Operations carry their results.
    type Op = M::Op;
    type Ret = ();

    /// Of one in flight, which may have no effect.
    fn invoke(&mut self, op: &M::Op) {
        self.is_valid_step(op, &());
    }

    fn is_valid_step(&mut self, op: &M::Op, (): &()) -> bool {
        let next = self.model.step(&self.state, op);
        let is_valid = next.is_some();
        self.state = next.unwrap_or_else(|| self.state.clone());
        is_valid
    }
}

/// An operation belongs to any thread that is free; one without result to a thread of its own.
fn stateright<M: Model>(model: &M, operations: &[Operation<M::Op>]) -> bool {
    let mut events = Vec::new();
    for (i, operation) in operations.iter().enumerate() {
        events.push((operation.call, 0, i));
        events.extend(operation.ret.map(|ret| (ret, 1, i)));
    }
    events.sort_unstable();
    let mut tester = LinearizabilityTester::new(Object {
        model: model.clone(),
        state: model.initial(),
    });
    let mut threads = vec![usize::MAX; operations.len()];
    let mut is_free = Vec::new();
    for (_, kind, i) in events {
        if kind == 1 {
            is_free[threads[i]] = true;
            tester.on_return(threads[i], ()).expect("a legal return");
            continue;
        }
        let free = is_free.iter().position(|free| *free);
        threads[i] = free.unwrap_or_else(|| {
            is_free.push(true);
            is_free.len() - 1
        });
        is_free[threads[i]] = false;
        let op = operations[i].op.clone();
        tester.on_invoke(threads[i], op).expect("a legal call");
    }
    tester.is_consistent()
}

struct Plain<'m, M>(PhantomData<&'m M>);

impl<'m, M: Model> wgl::Model for Plain<'m, M> {
    type State = M::State;
    type Operation = (&'m M, M::Op);

    fn step(state: &M::State, (model, op): &(&'m M, M::Op)) -> Option<M::State> {
        model.step(state, op)
    }
}

fn plain<M: Model>(model: &M, operations: &[Operation<M::Op>]) -> bool {
    let timed: Vec<_> = operations
        .iter()
        .map(|o| ((model, o.op.clone()), o.call, o.ret))
        .collect();
    wgl::is_linearizable::<Plain<M>>(model.initial(), &timed, usize::MAX).expect("no bound")
}
