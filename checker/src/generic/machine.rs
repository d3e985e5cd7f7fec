//! What both searches share: which operations are pending at an event, and which configurations
//! follow from one.

use super::Model;
use super::budget::{Exhausted, Purse};
use super::configuration::{Configuration, Slots};
use super::frontier::{Walk, Walked};
use super::plan::{Event, Kind, Number, Plan};
use super::replay::unfold;
use super::tables::{NONE, Placed, States, Trace, Used};

/// What a search comes to.
pub(super) enum Found<S> {
    /// An order, by number.
    Order(Vec<Number>),
    Nowhere(Nowhere<S>),
    Exhausted {
        /// Operations that had returned.
        reached: usize,
        why: Exhausted,
    },
}

/// The operation for which no configuration had a place.
pub(super) struct Nowhere<S> {
    pub(super) number: Number,
    /// Some states in which the order could be just before, and what was pending there.
    pub(super) survivors: Vec<(S, Vec<Number>)>,
}

/// States told about an operation without place.
const SURVIVORS_MAX: usize = 8;

pub(super) struct Machine<'a, M: Model, const W: usize> {
    pub(super) plan: &'a Plan<'a, M>,
    pub(super) states: States<M::State>,
    pub(super) used: Used,
    pub(super) trace: Trace,
    /// Events that have happened.
    pub(super) at: usize,
    pending: Vec<Number>,
    reads: Slots<W>,
    pub(super) writes: Slots<W>,
    /// Of each class, operations called.
    called: Vec<u32>,
    /// Classes in the order of their first call, as far as called.
    classes: Vec<u32>,
}

impl<'a, M: Model, const W: usize> Machine<'a, M, W> {
    pub(super) fn new(plan: &'a Plan<'a, M>) -> Self {
        Self {
            plan,
            states: States::new(),
            used: Used::new(),
            trace: Trace::new(),
            at: 0,
            pending: vec![NONE; plan.slots],
            reads: Slots::EMPTY,
            writes: Slots::EMPTY,
            called: vec![0; plan.classes.len()],
            classes: Vec::new(),
        }
    }

    pub(super) fn initial(&mut self) -> Configuration<W> {
        let model = &self.plan.model;
        Configuration {
            state: self.states.intern(model.initial(), |s| model.bytes(s)),
            used: 0,
            trace: NONE,
            done: Slots::EMPTY,
        }
    }

    /// Lets the next event happen.
    pub(super) fn forward(&mut self) {
        match self.plan.events[self.at] {
            Event::Call(number) => match self.plan.kinds[number as usize] {
                Kind::Unknown { class } => {
                    self.called[class as usize] += 1;
                    if self.called[class as usize] == 1 {
                        self.classes.push(class);
                    }
                }
                _ => self.open(number),
            },
            Event::Return(number) => self.close(number),
        }
        self.at += 1;
    }

    /// Takes the last event back.
    pub(super) fn back(&mut self) {
        self.at -= 1;
        match self.plan.events[self.at] {
            Event::Call(number) => match self.plan.kinds[number as usize] {
                Kind::Unknown { class } => {
                    self.called[class as usize] -= 1;
                    if self.called[class as usize] == 0 {
                        self.classes.pop();
                    }
                }
                _ => self.close(number),
            },
            Event::Return(number) => self.open(number),
        }
    }

    fn open(&mut self, number: Number) {
        match self.plan.kinds[number as usize] {
            Kind::Read { slot } => self.reads.insert(slot),
            Kind::Write { slot } => self.writes.insert(slot),
            Kind::Unknown { .. } => return,
        }
        self.pending[self.plan.slot(number) as usize] = number;
    }

    fn close(&mut self, number: Number) {
        self.reads.remove(self.plan.slot(number));
        self.writes.remove(self.plan.slot(number));
    }

    /// Lets an operation that was just called take effect if it is a legal read. Everything else
    /// that is pending was settled when the state came about.
    pub(super) fn settle_one(&self, configuration: &mut Configuration<W>, number: Number) {
        if let Kind::Read { slot } = self.plan.kinds[number as usize] {
            let state = self.states.get(configuration.state);
            if self.plan.model.accepts(state, self.plan.op(number)) {
                configuration.done.insert(slot);
            }
        }
    }

    /// Whether an operation that was just called and has not taken effect never can.
    pub(super) fn is_dead(&self, configuration: &Configuration<W>, number: Number) -> bool {
        let state = self.states.get(configuration.state);
        let op = self.plan.op(number);
        let slot = self.plan.slot(number);
        !configuration.done.has(slot) && self.plan.model.dead(state, op)
    }

    /// Lets every pending read take effect that is legal. False if some pending operation has no
    /// place any more.
    pub(super) fn settle(&self, configuration: &mut Configuration<W>) -> bool {
        let state = self.states.get(configuration.state);
        let model = &self.plan.model;
        for slot in self.reads.without(&configuration.done).iter() {
            let op = self.plan.op(self.pending[slot as usize]);
            if model.accepts(state, op) {
                configuration.done.insert(slot);
            } else if model.dead(state, op) {
                return false;
            }
        }
        let mut writes = self.writes.without(&configuration.done).iter();
        !writes.any(|slot| model.dead(state, self.plan.op(self.pending[slot as usize])))
    }

    /// Gives every configuration that follows by one pending mutator or unknown operation, known
    /// ones first. They are not settled, and their trace is their origin's.
    pub(super) fn follow(
        &mut self,
        from: Configuration<W>,
        mut give: impl FnMut(&mut Self, Number, Configuration<W>) -> Result<(), Exhausted>,
    ) -> Result<(), Exhausted> {
        for slot in self.writes.without(&from.done).iter() {
            let number = self.pending[slot as usize];
            if let Some(state) = self.step(from.state, number) {
                let mut next = Configuration { state, ..from };
                next.done.insert(slot);
                give(self, number, next)?;
            }
        }
        for position in 0..self.classes.len() {
            let class = self.classes[position];
            let count = self.used.count(from.used, class);
            if count == self.called[class as usize] {
                continue;
            }
            let number = self.plan.classes[class as usize][count as usize];
            match self.step(from.state, number) {
                Some(state) if state != from.state => {
                    let used = self.used.plus_one(from.used, class);
                    give(
                        self,
                        number,
                        Configuration {
                            state,
                            used,
                            ..from
                        },
                    )?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn step(&mut self, state: u32, number: Number) -> Option<u32> {
        let model = &self.plan.model;
        let next = model.step(self.states.get(state), self.plan.op(number))?;
        Some(self.states.intern(next, |s| model.bytes(s)))
    }

    /// Notes that an operation took effect at the event that is about to happen.
    pub(super) fn place(&mut self, before: u32, number: Number) -> u32 {
        self.trace.push(Placed {
            before,
            number,
            event: self.at as u32,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        // Sweeping takes a number for each state and each step of the way.
        let sweep = 4 * self.states.len().max(self.trace.len());
        self.plan.bytes + self.states.bytes() + self.used.bytes() + self.trace.bytes() + sweep
    }

    /// Operations that had returned before the present event.
    pub(super) fn reached(&self) -> usize {
        let past = &self.plan.events[..self.at];
        past.iter()
            .filter(|e| matches!(e, Event::Return(_)))
            .count()
    }

    pub(super) fn exhausted(&self, why: Exhausted) -> Found<M::State> {
        let reached = self.reached();
        Found::Exhausted { reached, why }
    }

    /// Tells what was left when an operation found no place.
    pub(super) fn nowhere(
        &self,
        number: Number,
        configurations: &[Configuration<W>],
    ) -> Nowhere<M::State> {
        let mut survivors: Vec<(M::State, Vec<Number>)> = Vec::new();
        for configuration in configurations {
            let state = self.states.get(configuration.state);
            if survivors.len() == SURVIVORS_MAX || survivors.iter().any(|(s, _)| s == state) {
                continue;
            }
            let open = self.reads.iter().chain(self.writes.iter());
            let known = open
                .filter(|&slot| !configuration.done.has(slot))
                .map(|slot| self.pending[slot as usize]);
            let unknown = self.classes.iter().filter_map(|&class| {
                let count = self.used.count(configuration.used, class);
                let left = count < self.called[class as usize];
                left.then(|| self.plan.classes[class as usize][count as usize])
            });
            survivors.push((state.clone(), known.chain(unknown).collect()));
        }
        Nowhere { number, survivors }
    }
}

/// Looks for an order of one part.
pub(super) fn search<M: Model>(plan: &Plan<M>, purse: &mut Purse) -> Option<Found<M::State>> {
    Some(match plan.slots {
        0..=64 => search_in::<M, 1>(plan, purse),
        65..=128 => search_in::<M, 2>(plan, purse),
        129..=256 => search_in::<M, 4>(plan, purse),
        257..=1024 => search_in::<M, 16>(plan, purse),
        1025..=SLOTS_MAX => search_in::<M, 64>(plan, purse),
        _ => return None,
    })
}

/// Operations with known result that may be pending at the same time.
pub(super) const SLOTS_MAX: usize = 4096;

fn search_in<M: Model, const W: usize>(plan: &Plan<M>, purse: &mut Purse) -> Found<M::State> {
    let mut machine = Machine::<M, W>::new(plan);
    let mut walk = Walk::new(&mut machine);
    match walk.until(plan.events.len(), &mut machine, purse) {
        Walked::There => {
            let end = walk.frontier.first().expect("nowhere otherwise");
            Found::Order(unfold(plan, &machine.trace.path(end.trace)))
        }
        Walked::Nowhere(nowhere) => Found::Nowhere(nowhere),
        Walked::TooWide => super::depth::descend(&mut machine, walk.frontier, purse),
        Walked::Exhausted(why) => machine.exhausted(why),
    }
}

/// A state, and the pending operations that have taken effect in it.
pub(super) type Middle<S> = (S, Vec<Number>);

/// For each of some events in order, where the order can be just before: as far as the walk comes,
/// and empty where that is more than a few.
pub(super) fn middles<M: Model>(
    plan: &Plan<M>,
    events: &[usize],
    few: usize,
    purse: &mut Purse,
) -> Vec<Vec<Middle<M::State>>> {
    match plan.slots {
        0..=64 => middles_in::<M, 1>(plan, events, few, purse),
        65..=128 => middles_in::<M, 2>(plan, events, few, purse),
        129..=256 => middles_in::<M, 4>(plan, events, few, purse),
        257..=1024 => middles_in::<M, 16>(plan, events, few, purse),
        _ => middles_in::<M, 64>(plan, events, few, purse),
    }
}

fn middles_in<M: Model, const W: usize>(
    plan: &Plan<M>,
    events: &[usize],
    few: usize,
    purse: &mut Purse,
) -> Vec<Vec<Middle<M::State>>> {
    let mut machine = Machine::<M, W>::new(plan);
    let mut walk = Walk::new(&mut machine);
    let mut middles = Vec::new();
    for &event in events {
        let Walked::There = walk.until(event, &mut machine, purse) else {
            break;
        };
        let mut here: Vec<Middle<M::State>> = Vec::new();
        for configuration in walk.frontier.iter().take(8 * few) {
            let done = configuration.done.iter();
            let done = done.map(|slot| machine.pending[slot as usize]).collect();
            let middle = (machine.states.get(configuration.state).clone(), done);
            if !here.contains(&middle) {
                here.push(middle);
            }
        }
        if here.len() > few || walk.frontier.len() > 8 * few {
            here.clear();
        }
        middles.push(here);
    }
    middles
}
