//! Why a history is not linearizable.

use super::shrink::shrink;
use super::{Model, Operation, Options, StartingAt};

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
    /// Where the core begins, never empty: before the whole history, or, where that makes the core
    /// smaller, at a moment in its middle. Then these are all the ways in which the operations
    /// before that moment can have gone, and the core is violated after each.
    pub starts: Vec<Start<State>>,
    /// Whether each result in the core is needed. Otherwise the budget for it ran out.
    pub is_minimal: bool,
}

/// One way in which everything before a core can have gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<State> {
    /// The state then.
    pub state: State,
    /// Operations that were pending then and had taken effect, by index into the history. Those
    /// that are in the core are no part of it here.
    pub done: Vec<usize>,
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

impl<State: Clone, Op: Clone> Witness<State, Op> {
    pub(super) fn new<M: Model<State = State, Op = Op>>(
        model: &M,
        history: &[Operation<Op>],
        part: &[usize],
        operation: usize,
        survivors: Vec<(State, Vec<usize>)>,
        options: &Options,
    ) -> Self {
        let studied: Vec<_> = part.iter().map(|&i| &history[i]).collect();
        let studied = model.study(&model.initial(), &studied);
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
        let core = shrink(model, history, part, operation, options);
        Self {
            operation,
            survivors,
            core: core.operations,
            starts: core.starts,
            is_minimal: core.is_minimal,
        }
    }

    /// The core as histories of their own, one for each start: none of them is linearizable.
    #[must_use]
    pub fn core_histories<M: Model<State = State, Op = Op>>(
        &self,
        model: &M,
    ) -> Vec<(StartingAt<M>, Vec<Operation<Op>>)> {
        let history = |start: &Start<State>| {
            let model = StartingAt {
                model: model.clone(),
                state: start.state.clone(),
            };
            let core = self.core.iter().filter(|c| !start.done.contains(&c.index));
            (model, core.map(|c| c.operation.clone()).collect())
        };
        self.starts.iter().map(history).collect()
    }
}
