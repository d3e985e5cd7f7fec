//! Why a history is not linearizable.

use super::budget::{Budget, Purse};
use super::machine::{Found, search};
use super::plan::Plan;
use super::{Model, Operation, Options};

/// A proof that a history is not linearizable.
#[derive(Clone, Debug, PartialEq)]
pub struct Witness<State, Op> {
    /// The operation, by index into the history, for which no order had a place: everything that
    /// returned before it does have one. After a search in depth, the one of the longest order.
    pub operation: usize,
    /// States in which an order of everything before can be, the first few.
    pub survivors: Vec<Survivor<State>>,
    /// Operations that are not linearizable by themselves, in the order of their calls: few with
    /// their results, the others of unknown result. What is left out was weakened away: reads by
    /// leaving them out, mutators by forgetting their results, which keeps any order that there
    /// was; so the core proves the history wrong, and [`check`](super::check) rejects it alone.
    pub core: Vec<CoreOperation<Op>>,
    /// Whether each result in the core is needed. Otherwise the budget for it ran out.
    pub is_minimal: bool,
}

/// A state that survived until the operation without place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor<State> {
    /// The state.
    pub state: State,
    /// What was pending then, and what the model has against it; the operation without place
    /// comes first.
    pub pending: Vec<Refused>,
}

/// A pending operation and why it does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The operation, by index into the history.
    pub operation: usize,
    /// The model's refusal. Nothing, if it was possible but led nowhere.
    pub refusal: Option<String>,
}

/// An operation of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreOperation<Op> {
    /// Its index in the history.
    pub index: usize,
    /// The operation, weakened if it has no return.
    pub operation: Operation<Op>,
}

/// Pending operations told about a state.
const PENDING_MAX: usize = 32;

impl<State, Op: Clone> Witness<State, Op> {
    pub(super) fn new<M: Model<State = State, Op = Op>>(
        model: &M,
        history: &[Operation<Op>],
        part: &[usize],
        operation: usize,
        survivors: Vec<(State, Vec<usize>)>,
        options: &Options,
    ) -> Self {
        let studied: Vec<_> = part.iter().map(|&i| &history[i]).collect();
        let studied = model.study(&studied);
        let survivors = survivors
            .into_iter()
            .map(|(state, mut pending)| {
                pending.sort_by_key(|&i| i != operation);
                pending.truncate(PENDING_MAX);
                let refused = |&i: &usize| Refused {
                    operation: i,
                    refusal: (!studied.accepts(&state, &history[i].op))
                        .then(|| studied.refusal(&state, &history[i].op)),
                };
                let pending = pending.iter().map(refused).collect();
                Survivor { state, pending }
            })
            .collect();
        let mut shrinker = Shrinker::new(model, history, part, operation, options);
        let is_minimal = shrinker.shrink();
        Self {
            operation,
            survivors,
            core: shrinker.core(),
            is_minimal,
        }
    }

    /// The core as a history of its own.
    #[must_use]
    pub fn core_history(&self) -> Vec<Operation<Op>> {
        self.core.iter().map(|c| c.operation.clone()).collect()
    }
}

struct Shrinker<'a, M: Model> {
    model: &'a M,
    history: &'a [Operation<M::Op>],
    /// When the operation without place returned, or the end of time.
    end: u64,
    /// Operations called until then, by call.
    called: Vec<usize>,
    /// Those whose results count, by index into `called`.
    kept: Vec<bool>,
    budget: Budget<'a>,
}

impl<'a, M: Model> Shrinker<'a, M> {
    /// What is called later than the operation without place returned cannot matter, unless a
    /// model with hindsight says so.
    fn new(
        model: &'a M,
        history: &'a [Operation<M::Op>],
        part: &[usize],
        operation: usize,
        options: &Options<'a>,
    ) -> Self {
        let mut shrinker = Self {
            model,
            history,
            end: 0,
            called: Vec::new(),
            kept: Vec::new(),
            budget: Budget::new(options, options.core_max, 1),
        };
        shrinker.cut(part, history[operation].ret.unwrap_or(u64::MAX));
        if shrinker.is_violated(&shrinker.kept) != Some(true) {
            shrinker.cut(part, u64::MAX);
        }
        shrinker
    }

    fn cut(&mut self, part: &[usize], end: u64) {
        let history = self.history;
        self.end = end;
        self.called = part
            .iter()
            .copied()
            .filter(|&i| history[i].call <= end)
            .collect();
        self.called.sort_by_key(|&i| (history[i].call, i));
        self.kept = self.called.iter().map(|&i| self.has_returned(i)).collect();
    }

    fn has_returned(&self, i: usize) -> bool {
        self.history[i].ret.is_some_and(|ret| ret <= self.end)
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
                let call = operation.call;
                let operation = Operation {
                    op,
                    call,
                    ret: None,
                };
                weakened.push(CoreOperation { index, operation });
            }
        }
        weakened
    }

    /// Whether the rest is violated by itself; nothing, if that takes too long.
    fn is_violated(&self, kept: &[bool]) -> Option<bool> {
        let operations: Vec<_> = self
            .weakened(kept)
            .into_iter()
            .map(|core| core.operation)
            .collect();
        let part: Vec<_> = (0..operations.len()).collect();
        let plan = Plan::new(self.model, &operations, &part);
        match search(&plan, &mut Purse::new(&self.budget))? {
            Found::Nowhere(_) => Some(true),
            Found::Order(_) => Some(false),
            Found::Exhausted { .. } => None,
        }
    }

    /// Delta debugging (Zeller & Hildebrandt 2002) over results; sound since weakening is
    /// monotone. True if no single result can be spared.
    fn shrink(&mut self) -> bool {
        let mut size = self.kept.iter().filter(|kept| **kept).count().div_ceil(2);
        let mut is_minimal = true;
        loop {
            let mut progress = false;
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
            if self.budget.left() == 0 {
                return false;
            }
            if size == 1 && !progress {
                return is_minimal;
            }
            size = if size == 1 { 1 } else { size.div_ceil(2) };
        }
    }

    /// What is left, without the unknown operations that nobody can have seen.
    fn core(&self) -> Vec<CoreOperation<M::Op>> {
        let mut core = self.weakened(&self.kept);
        let operations: Vec<_> = core.iter().map(|core| &core.operation).collect();
        let mut stays = vec![true; core.len()];
        for unobserved in self.model.unobserved(&operations) {
            stays[unobserved] = operations[unobserved].ret.is_some();
        }
        let mut stays = stays.into_iter();
        core.retain(|_| stays.next().unwrap_or(true));
        core
    }
}
