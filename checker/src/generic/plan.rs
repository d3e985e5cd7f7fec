//! A part of a history made ready for the search: events in time, and a slot for each operation
//! while it is pending.

use std::collections::HashMap;

use super::tables::Fast;
use super::{Model, Operation};

/// An operation's number within the plan.
pub(super) type Number = u32;

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Call(Number),
    Return(Number),
}

/// What an operation is to the search.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It leaves the state as it is.
    Read { slot: u32 },
    /// It may change the state, and must take effect before its return.
    Write { slot: u32 },
    /// It may take effect after its call, or never.
    Unknown { class: u32 },
}

pub(super) struct Plan<'a, M: Model> {
    pub(super) model: M,
    pub(super) operations: Vec<&'a Operation<M::Op>>,
    /// Each one's index in the history.
    pub(super) index: Vec<usize>,
    pub(super) kinds: Vec<Kind>,
    pub(super) events: Vec<Event>,
    /// Slots used at the same time, at most.
    pub(super) slots: usize,
    /// Unknown operations that are equal, in the order of their calls.
    pub(super) classes: Vec<Vec<Number>>,
    /// What all this takes.
    pub(super) bytes: usize,
}

/// Bytes of a plan for each operation, while it is made: two events with their times, and the rest.
pub(super) const BYTES_EACH: usize = 96;

impl<'a, M: Model> Plan<'a, M> {
    pub(super) fn new(model: &M, history: &'a [Operation<M::Op>], part: &[usize]) -> Self {
        let all: Vec<_> = part.iter().map(|&i| &history[i]).collect();
        let mut left_out = vec![false; all.len()];
        for unobserved in model.unobserved(&all) {
            left_out[unobserved] = all[unobserved].ret.is_none();
        }
        let (mut operations, mut index) = (Vec::new(), Vec::new());
        for (position, &operation) in all.iter().enumerate() {
            let says_nothing = operation.ret.is_none() && model.is_read_only(&operation.op);
            if !left_out[position] && !says_nothing {
                operations.push(operation);
                index.push(part[position]);
            }
        }
        let mut plan = Self {
            model: model.study(&model.initial(), &operations),
            kinds: Vec::with_capacity(operations.len()),
            operations,
            index,
            events: Vec::new(),
            slots: 0,
            classes: Vec::new(),
            bytes: 0,
        };
        plan.lay_out_events();
        plan.assign_slots();
        let each = size_of::<(&Operation<M::Op>, usize, usize, Kind, [Event; 2])>();
        let lists = plan.classes.len() * (size_of::<Vec<Number>>() + 4 * size_of::<Number>());
        plan.bytes = each * plan.operations.len() + lists;
        plan
    }

    /// Calls come before returns at the same time: intervals are closed.
    fn lay_out_events(&mut self) {
        let mut timed = Vec::with_capacity(2 * self.operations.len());
        for (number, operation) in (0..).zip(&self.operations) {
            timed.push((operation.call, false, number));
            if let Some(ret) = operation.ret {
                timed.push((ret, true, number));
            }
        }
        timed.sort_unstable();
        self.events = timed
            .into_iter()
            .map(|(_, is_return, number)| {
                if is_return {
                    Event::Return(number)
                } else {
                    Event::Call(number)
                }
            })
            .collect();
    }

    fn assign_slots(&mut self) {
        let mut classes: HashMap<&M::Op, u32, Fast> = HashMap::default();
        let mut free = Vec::new();
        self.kinds = vec![Kind::Unknown { class: 0 }; self.operations.len()];
        for event in &self.events {
            match *event {
                Event::Call(number) => {
                    let operation = self.operations[number as usize];
                    self.kinds[number as usize] = if operation.ret.is_none() {
                        let next = self.classes.len() as u32;
                        let class = *classes.entry(&operation.op).or_insert(next);
                        if class == next {
                            self.classes.push(Vec::new());
                        }
                        self.classes[class as usize].push(number);
                        Kind::Unknown { class }
                    } else {
                        let slot = free.pop().unwrap_or_else(|| {
                            self.slots += 1;
                            self.slots as u32 - 1
                        });
                        if self.model.is_read_only(&operation.op) {
                            Kind::Read { slot }
                        } else {
                            Kind::Write { slot }
                        }
                    };
                }
                Event::Return(number) => {
                    free.push(self.slot(number));
                }
            }
        }
    }

    /// The slot of an operation with known result.
    pub(super) fn slot(&self, number: Number) -> u32 {
        match self.kinds[number as usize] {
            Kind::Read { slot } | Kind::Write { slot } => slot,
            Kind::Unknown { .. } => unreachable!("an unknown operation does not return"),
        }
    }

    pub(super) fn op(&self, number: Number) -> &M::Op {
        &self.operations[number as usize].op
    }
}
