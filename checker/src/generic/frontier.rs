//! Breadth first: all configurations after each event, and nothing else.

use super::Model;
use super::budget::{Exhausted, Purse};
use super::configuration::{Antichain, Configuration};
use super::machine::{Machine, Nowhere};
use super::plan::{Event, Kind, Number};

/// What a walk comes to.
pub(super) enum Walked<S> {
    /// The event it was to come to, which has not happened yet.
    There,
    Nowhere(Nowhere<S>),
    /// The frontier has become wider than the budget allows.
    TooWide,
    Exhausted(Exhausted),
}

/// All configurations before an event, and the way to it.
pub(super) struct Walk<const W: usize> {
    pub(super) frontier: Vec<Configuration<W>>,
    closing: Closing<W>,
    sweeper: Sweeper,
}

impl<const W: usize> Walk<W> {
    pub(super) fn new<M: Model>(machine: &mut Machine<M, W>) -> Self {
        Self {
            frontier: vec![machine.initial()],
            closing: Closing::new(),
            sweeper: Sweeper::default(),
        }
    }

    pub(super) fn until<M: Model>(
        &mut self,
        end: usize,
        machine: &mut Machine<M, W>,
        purse: &mut Purse,
    ) -> Walked<M::State> {
        let Self {
            frontier,
            closing,
            sweeper,
        } = self;
        while machine.at < end {
            let number = match machine.plan.events[machine.at] {
                Event::Call(number) => {
                    machine.forward();
                    if !matches!(machine.plan.kinds[number as usize], Kind::Unknown { .. }) {
                        for configuration in &mut *frontier {
                            machine.settle_one(configuration, number);
                        }
                        if frontier.iter().all(|c| machine.is_dead(c, number)) {
                            return Walked::Nowhere(machine.nowhere(number, frontier));
                        }
                        frontier.retain(|c| !machine.is_dead(c, number));
                    }
                    continue;
                }
                Event::Return(number) => number,
            };
            let slot = machine.plan.slot(number);
            if !frontier.iter().all(|c| c.done.has(slot)) {
                match closing.close(machine, frontier, number, purse) {
                    Ok(true) => {}
                    Ok(false) => return Walked::TooWide,
                    Err(why) => return Walked::Exhausted(why),
                }
                if closing.with.len() == 0 {
                    return Walked::Nowhere(machine.nowhere(number, frontier));
                }
                frontier.clear();
                frontier.extend(closing.with.configurations());
            }
            for configuration in &mut *frontier {
                configuration.done.remove(slot);
            }
            machine.forward();
            sweeper.sweep(machine, frontier);
        }
        Walked::There
    }
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
        let behind = size_of_val(frontier);
        let mut position = 0;
        while position < without.len() {
            if without.len() + with.len() > purse.budget.frontier_max {
                return Ok(false);
            }
            if let Some(from) = without.get(position) {
                machine.follow(from, |machine, by, mut next| {
                    // The next frontier is copied from the one set.
                    let copy = with.len() * size_of::<Configuration<W>>();
                    purse.pay(machine.bytes() + without.bytes() + with.bytes() + copy + behind)?;
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
            // Clearing a table costs as much as it once held.
            let often = (2 * machine.states.len()).max(machine.states.capacity() / 4);
            self.states = self.states.max(often);
        }
        if machine.trace.len() > self.trace {
            machine
                .trace
                .retain(frontier.iter_mut().map(|c| &mut c.trace));
            self.trace = self.trace.max(2 * machine.trace.len());
        }
    }
}
