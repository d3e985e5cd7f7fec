//! Breadth first: all configurations after each event, and nothing else.

use super::Model;
use super::budget::{Exhausted, Purse};
use super::configuration::{Antichain, Configuration};
use super::machine::{Found, Machine};
use super::plan::{Event, Kind, Number};
use super::replay::unfold;

/// The frontier before the event at which it became too wide.
pub(super) type Wide<const W: usize> = Vec<Configuration<W>>;

/// Walks the events. Gives the frontier back when it becomes too wide.
pub(super) fn walk<M: Model, const W: usize>(
    machine: &mut Machine<M, W>,
    purse: &mut Purse,
) -> Result<Found<M::State>, Wide<W>> {
    let mut frontier = vec![machine.initial()];
    let mut closing = Closing::new();
    let mut sweeper = Sweeper::default();
    while machine.at < machine.plan.events.len() {
        let number = match machine.plan.events[machine.at] {
            Event::Call(number) => {
                machine.forward();
                if !matches!(machine.plan.kinds[number as usize], Kind::Unknown { .. }) {
                    for configuration in &mut frontier {
                        machine.settle_one(configuration, number);
                    }
                    if frontier.iter().all(|c| machine.is_dead(c, number)) {
                        return Ok(Found::Nowhere(machine.nowhere(number, &frontier)));
                    }
                    frontier.retain(|c| !machine.is_dead(c, number));
                }
                continue;
            }
            Event::Return(number) => number,
        };
        let slot = machine.plan.slot(number);
        if !frontier.iter().all(|c| c.done.has(slot)) {
            match closing.close(machine, &frontier, number, purse) {
                Ok(true) => {}
                Ok(false) => return Err(frontier),
                Err(why) => return Ok(machine.exhausted(why)),
            }
            if closing.with.len() == 0 {
                return Ok(Found::Nowhere(machine.nowhere(number, &frontier)));
            }
            frontier.clear();
            frontier.extend(closing.with.configurations());
        }
        for configuration in &mut frontier {
            configuration.done.remove(slot);
        }
        machine.forward();
        sweeper.sweep(machine, &mut frontier);
    }
    let end = frontier.first().expect("an empty frontier ends the walk");
    let order = unfold(machine.plan, &machine.trace.path(end.trace));
    Ok(Found::Order(order))
}

/// The configurations at one return: those in which the operation has not taken effect, and those
/// in which it has.
struct Closing<const W: usize> {
    without: Antichain<W>,
    with: Antichain<W>,
}

impl<const W: usize> Closing<W> {
    fn new() -> Self {
        Self {
            without: Antichain::new(),
            with: Antichain::new(),
        }
    }

    /// Finds the configurations that follow when an operation has to have taken effect. False if
    /// there are too many.
    fn close<M: Model>(
        &mut self,
        machine: &mut Machine<M, W>,
        frontier: &[Configuration<W>],
        number: Number,
        purse: &mut Purse,
    ) -> Result<bool, Exhausted> {
        let slot = machine.plan.slot(number);
        let Self { without, with } = self;
        without.clear(machine.writes);
        with.clear(machine.writes);
        for &configuration in frontier {
            if configuration.done.has(slot) {
                with.insert(configuration, &machine.used);
            } else {
                without.insert(configuration, &machine.used);
            }
        }
        let mut position = 0;
        while position < without.len() {
            if without.len() + with.len() > purse.budget.frontier_max {
                return Ok(false);
            }
            if let Some(from) = without.get(position) {
                machine.follow(from, |machine, by, mut next| {
                    purse.pay(|| machine.bytes() + without.bytes() + with.bytes())?;
                    if !machine.settle(&mut next) {
                        return Ok(());
                    }
                    let set = match next.done.has(slot) {
                        true => &mut *with,
                        false => &mut *without,
                    };
                    if set.insert(next, &machine.used) {
                        set.last_mut().trace = machine.place(from.trace, by);
                    }
                    Ok(())
                })?;
            }
            position += 1;
        }
        Ok(true)
    }
}

/// Forgets states and traces that no configuration needs any more.
struct Sweeper {
    states: usize,
    trace: usize,
}

impl Default for Sweeper {
    fn default() -> Self {
        Self {
            states: 1 << 10,
            trace: 1 << 14,
        }
    }
}

impl Sweeper {
    fn sweep<M: Model, const W: usize>(
        &mut self,
        machine: &mut Machine<M, W>,
        frontier: &mut [Configuration<W>],
    ) {
        if machine.states.len() > self.states {
            let named = frontier.iter_mut().map(|c| &mut c.state);
            machine.states.retain(named, &machine.plan.model);
            self.states = self.states.max(2 * machine.states.len());
        }
        if machine.trace.len() > self.trace {
            machine
                .trace
                .retain(frontier.iter_mut().map(|c| &mut c.trace));
            self.trace = self.trace.max(2 * machine.trace.len());
        }
    }
}
