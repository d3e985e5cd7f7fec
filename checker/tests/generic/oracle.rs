//! The plain search of Wing & Gong (1993) with Lowe's memory, and nothing else.

use std::collections::HashSet;

use checker::generic::{Model, Operation};

/// Whether some order of all operations with known result, and any of the others, is legal.
pub(crate) fn is_linearizable<M: Model>(model: &M, operations: &[Operation<M::Op>]) -> bool {
    assert!(operations.len() <= 64);
    goes_on(model, operations, 0, &model.initial(), &mut HashSet::new())
}

fn goes_on<M: Model>(
    model: &M,
    operations: &[Operation<M::Op>],
    done: u64,
    state: &M::State,
    dead: &mut HashSet<(u64, M::State)>,
) -> bool {
    let left = || (0..operations.len()).filter(|i| done >> i & 1 == 0);
    let Some(first_return) = left().filter_map(|i| operations[i].ret).min() else {
        return true;
    };
    if !dead.insert((done, state.clone())) {
        return false;
    }
    left()
        .filter(|&i| operations[i].call <= first_return)
        .any(|i| {
            model
                .step(state, &operations[i].op)
                .is_some_and(|next| goes_on(model, operations, done | 1 << i, &next, dead))
        })
}

/// Whether an order proves a history linearizable, by the definition.
pub(crate) fn proves<M: Model>(
    model: &M,
    operations: &[Operation<M::Op>],
    order: &[usize],
) -> bool {
    let in_time = |a: usize, b: usize| {
        order[a] != order[b]
            && operations[order[b]]
                .ret
                .is_none_or(|ret| ret >= operations[order[a]].call)
    };
    let pairs = (0..order.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let complete = (0..operations.len()).all(|i| operations[i].ret.is_none() || order.contains(&i));
    let mut state = Some(model.initial());
    for &i in order {
        state = state.and_then(|state| model.step(&state, &operations[i].op));
    }
    complete && state.is_some() && pairs.into_iter().all(|(a, b)| in_time(a, b))
}
