//! Depth first, with what was seen remembered: for histories with so many orders that keeping all
//! of them in step is too much, while finding one is not (Wing & Gong 1993, with Lowe's memory).
//!
//! It works on the same configurations as the walk, whose sets are as wide as operations overlap
//! and not as the history is long.

use std::collections::HashSet;

use super::Model;
use super::budget::{Exhausted, Purse, table_bytes, vec_bytes};
use super::configuration::{Configuration, Slots};
use super::machine::{Found, Machine, Nowhere};
use super::plan::{Event, Kind};
use super::replay::unfold;
use super::tables::Fast;

/// Configurations kept of those that came furthest.
const FURTHEST_MAX: usize = 64;

struct Depth<'m, 'a, M: Model, const W: usize> {
    machine: &'m mut Machine<'a, M, W>,
    seen: HashSet<(usize, u32, u32, Slots<W>), Fast>,
    stack: Vec<(usize, Configuration<W>)>,
    furthest: usize,
    nowhere: Option<Nowhere<M::State>>,
    at_furthest: Vec<Configuration<W>>,
}

/// Looks for an order from a frontier on.
pub(super) fn descend<M: Model, const W: usize>(
    machine: &mut Machine<M, W>,
    frontier: Vec<Configuration<W>>,
    purse: &mut Purse,
) -> Found<M::State> {
    let start = machine.at;
    let mut depth = Depth {
        machine,
        seen: HashSet::default(),
        stack: frontier.into_iter().map(|c| (start, c)).collect(),
        furthest: start,
        nowhere: None,
        at_furthest: Vec::new(),
    };
    match depth.run(purse) {
        Ok(Some(end)) => {
            let machine = depth.machine;
            Found::Order(unfold(machine.plan, &machine.trace.path(end.trace)))
        }
        Ok(None) => Found::Nowhere(depth.nowhere.expect("every way ended somewhere")),
        Err(why) => {
            let furthest = depth.furthest;
            depth.seek(furthest);
            depth.machine.exhausted(why)
        }
    }
}

impl<M: Model, const W: usize> Depth<'_, '_, M, W> {
    fn run(&mut self, purse: &mut Purse) -> Result<Option<Configuration<W>>, Exhausted> {
        while let Some((event, configuration)) = self.stack.pop() {
            self.seek(event);
            let Some(configuration) = self.advance(configuration) else {
                continue;
            };
            if self.machine.at == self.machine.plan.events.len() {
                return Ok(Some(configuration));
            }
            self.branch(configuration, purse)?;
        }
        Ok(None)
    }

    fn seek(&mut self, event: usize) {
        while self.machine.at > event {
            self.machine.back();
        }
        while self.machine.at < event {
            self.machine.forward();
        }
    }

    /// Goes on until an operation returns that has not taken effect.
    fn advance(&mut self, mut configuration: Configuration<W>) -> Option<Configuration<W>> {
        while let Some(&event) = self.machine.plan.events.get(self.machine.at) {
            match event {
                Event::Call(number) => {
                    self.machine.forward();
                    if !matches!(
                        self.machine.plan.kinds[number as usize],
                        Kind::Unknown { .. }
                    ) {
                        self.machine.settle_one(&mut configuration, number);
                        if self.machine.is_dead(&configuration, number) {
                            self.note(configuration, number);
                            return None;
                        }
                    }
                }
                Event::Return(number) => {
                    let slot = self.machine.plan.slot(number);
                    if !configuration.done.has(slot) {
                        self.note(configuration, number);
                        return Some(configuration);
                    }
                    configuration.done.remove(slot);
                    self.machine.forward();
                }
            }
        }
        Some(configuration)
    }

    /// Remembers how far it came, and what was left there.
    fn note(&mut self, configuration: Configuration<W>, number: u32) {
        let at = self.machine.at;
        if at > self.furthest || self.nowhere.is_none() {
            self.furthest = at;
            self.at_furthest.clear();
        } else if at < self.furthest || self.at_furthest.len() == FURTHEST_MAX {
            return;
        }
        self.at_furthest.push(configuration);
        self.nowhere = Some(self.machine.nowhere(number, &self.at_furthest));
    }

    fn branch(
        &mut self,
        configuration: Configuration<W>,
        purse: &mut Purse,
    ) -> Result<(), Exhausted> {
        let event = self.machine.at;
        let Configuration {
            state, used, done, ..
        } = configuration;
        if !self.seen.insert((event, state, used, done)) {
            return Ok(());
        }
        let Event::Return(due) = self.machine.plan.events[event] else {
            unreachable!("the way goes on until a return");
        };
        let mut next_is_due = None;
        let first = self.stack.len();
        let (stack, seen) = (&mut self.stack, &self.seen);
        self.machine
            .follow(configuration, |machine, by, mut next| {
                let (len, capacity) = (seen.len(), seen.capacity());
                let seen = table_bytes::<(usize, u32, u32, Slots<W>)>(len, capacity);
                purse.pay(machine.bytes() + seen + vec_bytes(stack))?;
                if machine.settle(&mut next) {
                    next.trace = machine.place(configuration.trace, by);
                    if by == due {
                        next_is_due = Some(next);
                    } else {
                        stack.push((event, next));
                    }
                }
                Ok(())
            })?;
        self.stack[first..].reverse();
        self.stack.extend(next_is_due.map(|next| (event, next)));
        Ok(())
    }
}
