//! Cores: few operations that are not linearizable by themselves.

use std::sync::atomic::Ordering;

use super::budget::{Budget, Purse};
use super::machine::{Found, middles, search};
use super::plan::{Event, Plan};
use super::witness::{CoreOperation, Start};
use super::{Model, Operation, Options, StartingAt};

/// A core of at most so many operations is not made smaller by cutting off what came before.
const SMALL: usize = 5;

/// Operations called between a cut and the operation without place.
const CUTS: [usize; 4] = [0, 3, 12, 60];

/// Ways to a cut, beyond which it explains nothing.
const STARTS_MAX: usize = 8;

/// Operations beyond which the history as a whole is not made smaller.
const WHOLE_MAX: usize = 500;

/// Configurations that one attempt may cost: a multiple of what the first one did, and a few.
const ATTEMPT: (u64, u64) = (4, 4_096);

pub(super) struct Core<S, Op> {
    pub(super) operations: Vec<CoreOperation<Op>>,
    pub(super) starts: Vec<Start<S>>,
    pub(super) is_minimal: bool,
}

/// Finds a core of a part in which an operation has no place.
pub(super) fn shrink<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    part: &[usize],
    operation: usize,
    options: &Options,
) -> Core<M::State, M::Op> {
    let mut shrinker = Shrinker {
        model,
        history,
        options,
        left: options.core_max,
        attempt: options.core_max,
        end: history[operation].ret.unwrap_or(u64::MAX),
        starts: vec![Start {
            state: model.initial(),
            done: Vec::new(),
        }],
        called: Vec::new(),
        kept: Vec::new(),
    };
    let called = |end: u64| {
        let mut called: Vec<_> = part.to_vec();
        called.retain(|&i| history[i].call <= end);
        called.sort_by_key(|&i| (history[i].call, i));
        called
    };
    shrinker.begin(called(shrinker.end));
    if shrinker.is_violated(&shrinker.kept.clone()) != Some(true) {
        // A model with hindsight may owe the verdict to what came later.
        shrinker.end = u64::MAX;
        shrinker.begin(called(u64::MAX));
    }
    shrinker.attempt = attempt(options.core_max - shrinker.left);
    let best = shrinker.whole();
    if best.operations.len() <= SMALL {
        return best;
    }
    shrinker.cut(part, operation, best)
}

/// What an attempt may cost, by what the first one did.
fn attempt(spent: u64) -> u64 {
    ATTEMPT.0 * spent + ATTEMPT.1
}

struct Shrinker<'a, M: Model> {
    model: &'a M,
    history: &'a [Operation<M::Op>],
    options: &'a Options<'a>,
    /// Configurations that may still be spent, and those that an attempt may.
    left: u64,
    attempt: u64,
    /// When the operation without place returned, or the end of time.
    end: u64,
    starts: Vec<Start<M::State>>,
    /// Operations called until then, by call.
    called: Vec<usize>,
    /// Those whose results count, by index into `called`.
    kept: Vec<bool>,
}

impl<M: Model> Shrinker<'_, M> {
    fn begin(&mut self, called: Vec<usize>) {
        self.kept = called.iter().map(|&i| self.has_returned(i)).collect();
        self.called = called;
    }

    fn has_returned(&self, i: usize) -> bool {
        self.history[i].ret.is_some_and(|ret| ret <= self.end)
    }

    /// The core of everything until the end, for a quarter of the budget.
    fn whole(&mut self) -> Core<M::State, M::Op> {
        let reserve = self.left / 4 * 3;
        self.left -= reserve;
        let is_minimal = self.called.len() <= WHOLE_MAX && self.minimise();
        self.left += reserve;
        self.core(is_minimal)
    }

    /// The smallest of a core and those that begin shortly before the operation without place.
    fn cut(
        &mut self,
        part: &[usize],
        operation: usize,
        mut best: Core<M::State, M::Op>,
    ) -> Core<M::State, M::Op> {
        let plan = Plan::new(self.model, self.history, part);
        let is_call =
            |event: &Event| matches!(event, Event::Call(n) if plan.index[*n as usize] == operation);
        let Some(failed) = plan.events.iter().position(is_call) else {
            return best;
        };
        let calls: Vec<usize> = (0..=failed)
            .rev()
            .filter(|&at| matches!(plan.events[at], Event::Call(_)))
            .take(CUTS[CUTS.len() - 1] + 1)
            .collect();
        let mut events: Vec<usize> = CUTS.iter().filter_map(|&k| calls.get(k).copied()).collect();
        events.reverse();
        let budget = Budget::new(self.options, self.left, 1);
        let middles = middles(&plan, &events, STARTS_MAX, &mut Purse::new(&budget));
        self.left = budget.left();
        for (&event, middle) in events.iter().zip(&middles).rev() {
            if middle.is_empty() {
                continue;
            }
            let start = |(state, done): &(M::State, Vec<u32>)| Start {
                state: state.clone(),
                done: done.iter().map(|&n| plan.index[n as usize]).collect(),
            };
            self.starts = middle.iter().map(start).collect();
            // What had returned by then is behind every start.
            let mut is_past = vec![false; plan.operations.len()];
            for event in &plan.events[..event] {
                if let Event::Return(number) = *event {
                    is_past[number as usize] = true;
                }
            }
            let left = (0..)
                .zip(&plan.operations)
                .filter(|(number, o)| !is_past[*number] && o.call <= self.end);
            let mut called: Vec<usize> = left.map(|(number, _)| plan.index[number]).collect();
            called.sort_by_key(|&i| (self.history[i].call, i));
            self.begin(called);
            self.attempt = self.left;
            let left = self.left;
            if self.is_violated(&self.kept.clone()) != Some(true) {
                continue;
            }
            self.attempt = attempt(left - self.left);
            let is_minimal = self.minimise();
            let core = self.core(is_minimal);
            if core.operations.len() < best.operations.len() {
                best = core;
            }
            if best.operations.len() <= SMALL {
                break;
            }
        }
        best
    }

    fn weakened(&self, kept: &[bool]) -> Vec<CoreOperation<M::Op>> {
        let mut weakened = Vec::new();
        for (&index, &kept) in self.called.iter().zip(kept) {
            let operation = &self.history[index];
            if kept {
                let operation = operation.clone();
                weakened.push(CoreOperation { index, operation });
            } else if !self.model.is_read_only(&operation.op) {
                let op = if self.has_returned(index) {
                    self.model.forget(&operation.op)
                } else {
                    operation.op.clone()
                };
                let operation = Operation {
                    op,
                    call: operation.call,
                    ret: None,
                };
                weakened.push(CoreOperation { index, operation });
            }
        }
        weakened
    }

    /// Whether the rest is violated by itself, after every start; nothing, if that takes too long.
    fn is_violated(&mut self, kept: &[bool]) -> Option<bool> {
        let stop = self.options.stop;
        if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            self.left = 0;
        }
        if self.left == 0 {
            return None;
        }
        if self.is_dead(kept) {
            return Some(true);
        }
        let core = self.weakened(kept);
        for start in &self.starts {
            let operations: Vec<_> = core
                .iter()
                .filter(|core| !start.done.contains(&core.index))
                .map(|core| core.operation.clone())
                .collect();
            let part: Vec<_> = (0..operations.len()).collect();
            let model = StartingAt {
                model: self.model.clone(),
                state: start.state.clone(),
            };
            let may = self.left.min(self.attempt);
            let budget = Budget::new(self.options, may, 1);
            let found = search(
                &Plan::new(&model, &operations, &part),
                &mut Purse::new(&budget),
            );
            self.left -= may - budget.left();
            match found? {
                Found::Nowhere(_) => {}
                Found::Order(_) => return Some(false),
                Found::Exhausted { .. } => return None,
            }
        }
        Some(true)
    }

    /// Delta debugging (Zeller & Hildebrandt 2002) over results; sound since weakening is
    /// monotone. True if no single result can be spared.
    fn minimise(&mut self) -> bool {
        let mut size = self.kept.iter().filter(|kept| **kept).count().div_ceil(2);
        loop {
            let (mut progress, mut is_minimal) = (false, true);
            let mut skip = 0;
            loop {
                let kept: Vec<_> = (0..self.kept.len()).filter(|&i| self.kept[i]).collect();
                let Some(chunk) = kept.get(skip..) else { break };
                let chunk = &chunk[..size.min(chunk.len())];
                if chunk.is_empty() {
                    break;
                }
                let mut fewer = self.kept.clone();
                chunk.iter().for_each(|&i| fewer[i] = false);
                match self.is_violated(&fewer) {
                    Some(true) => {
                        self.kept = fewer;
                        progress = true;
                        continue;
                    }
                    Some(false) => {}
                    None if size == 1 => is_minimal = false,
                    None => {}
                }
                skip += size;
            }
            if self.left == 0 {
                return false;
            }
            if size == 1 && !progress {
                return is_minimal;
            }
            size = if size == 1 { 1 } else { size.div_ceil(2) };
        }
    }

    /// Whether some result is excluded for good from each start on, whatever else happens.
    fn is_dead(&self, kept: &[bool]) -> bool {
        self.starts.iter().all(|start| {
            let mut all = self.called.iter().zip(kept);
            all.any(|(index, kept)| {
                let op = &self.history[*index].op;
                *kept && !start.done.contains(index) && self.model.dead(&start.state, op)
            })
        })
    }

    /// What is left, without the unknown operations that nobody can have seen, or that are of no
    /// use to anybody.
    fn core(&self, is_minimal: bool) -> Core<M::State, M::Op> {
        let mut operations = self.weakened(&self.kept);
        if self.is_dead(&self.kept) {
            operations.retain(|core| core.operation.ret.is_some());
        }
        let all: Vec<_> = operations.iter().map(|core| &core.operation).collect();
        let mut stays = vec![true; operations.len()];
        for unobserved in self.model.unobserved(&all) {
            stays[unobserved] = all[unobserved].ret.is_some();
        }
        let mut stays = stays.into_iter();
        operations.retain(|_| stays.next().unwrap_or(true));
        Core {
            operations,
            starts: self.starts.clone(),
            is_minimal,
        }
    }
}
