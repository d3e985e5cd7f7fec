//! Orders: how one is read off a search, and how it is confirmed without one.

use super::plan::{Event, Kind, Number, Plan};
use super::tables::Placed;
use super::{Model, Operation};

/// The whole order, from the mutators and unknown operations that the search placed: reads take
/// effect as soon as they are legal.
pub(super) fn unfold<M: Model>(plan: &Plan<M>, path: &[Placed]) -> Vec<Number> {
    let mut order = Vec::with_capacity(plan.operations.len());
    let mut state = plan.model.initial();
    let mut waiting: Vec<Number> = Vec::new();
    let mut path = path.iter().peekable();
    for (at, event) in (0..).zip(&plan.events) {
        match *event {
            Event::Call(number) => {
                if let Kind::Read { .. } = plan.kinds[number as usize] {
                    if plan.model.accepts(&state, plan.op(number)) {
                        order.push(number);
                    } else {
                        waiting.push(number);
                    }
                }
            }
            Event::Return(_) => {
                while let Some(placed) = path.next_if(|placed| placed.event == at) {
                    order.push(placed.number);
                    if let Some(next) = plan.model.step(&state, plan.op(placed.number)) {
                        state = next;
                    }
                    waiting.retain(|&number| {
                        let accepted = plan.model.accepts(&state, plan.op(number));
                        if accepted {
                            order.push(number);
                        }
                        !accepted
                    });
                }
            }
        }
    }
    order
}

/// Confirms that an order proves a history linearizable: every operation with known result is in
/// it, none twice, each is legal where it stands, and none stands before one that had returned
/// when it was called.
///
/// # Errors
///
/// What is wrong with the order, in words.
pub fn replay<M: Model>(
    model: &M,
    operations: &[Operation<M::Op>],
    order: &[usize],
) -> Result<(), String> {
    let mut place = vec![None; operations.len()];
    let mut latest_call = 0;
    for (position, &i) in order.iter().enumerate() {
        let Some(operation) = operations.get(i) else {
            return Err(format!("there is no operation {i}"));
        };
        if place[i].replace(position).is_some() {
            return Err(format!("operation {i} takes effect twice"));
        }
        latest_call = latest_call.max(operation.call);
        if operation.ret.is_some_and(|ret| ret < latest_call) {
            return Err(format!(
                "operation {i} comes after one called when it had returned"
            ));
        }
    }
    let known = |i: usize| operations[i].ret.is_some() && !says_nothing(model, &operations[i]);
    if let Some(missing) = (0..operations.len()).find(|&i| place[i].is_none() && known(i)) {
        return Err(format!("operation {missing} is missing"));
    }
    let parts = model.partition(operations);
    let is_whole = parts.len() == 1;
    for part in parts {
        let placed = if is_whole {
            order.to_vec()
        } else {
            let mut placed: Vec<_> = part.into_iter().filter(|&i| place[i].is_some()).collect();
            placed.sort_unstable_by_key(|&i| place[i]);
            placed
        };
        let mut state = model.initial();
        for i in placed {
            let op = &operations[i].op;
            state = model
                .step(&state, op)
                .ok_or_else(|| format!("operation {i}: {}", model.refusal(&state, op)))?;
        }
    }
    Ok(())
}

/// Without result, a read is no claim.
fn says_nothing<M: Model>(model: &M, operation: &Operation<M::Op>) -> bool {
    operation.ret.is_none() && model.is_read_only(&operation.op)
}
