//! Engine A: is a history of any object linearizable?
//!
//! # A tour
//!
//! 1. Say what the object does when operations come one after the other: a [`Model`]. Two methods
//!    are a must, [`initial`](Model::initial) and [`step`](Model::step). Those that come ready are
//!    in [`checker::models`](crate::models).
//! 2. Write down what clients saw as [`Operation`]s; one without return is of unknown result.
//! 3. Call [`check`]. The verdict comes with its proof: an order that [`replay`] confirms, or a
//!    [`Witness`], which says where every order ended and why, and names few operations that are
//!    wrong by themselves ([`Witness::core`]).
//! 4. If the check takes too long, give it the hooks of [`Model`], one by one: first
//!    [`is_read_only`](Model::is_read_only), then [`dead`](Model::dead). Histories that begin in
//!    the middle are judged with [`StartingAt`].
//!
//! ```
//! use checker::generic::{Model, Operation, Options, Verdict, check};
//!
//! /// A counter. An operation is a read (0 added) or an addition, and what it saw afterwards.
//! #[derive(Clone)]
//! struct Counter;
//!
//! impl Model for Counter {
//!     type State = u32;
//!     type Op = (u32, u32);
//!
//!     fn initial(&self) -> u32 { 0 }
//!
//!     fn step(&self, state: &u32, &(added, saw): &(u32, u32)) -> Option<u32> {
//!         (state + added == saw).then_some(saw)
//!     }
//!
//!     fn is_read_only(&self, op: &(u32, u32)) -> bool { op.0 == 0 }
//! }
//!
//! let op = |op, call, ret| Operation { op, call, ret: Some(ret) };
//! let mut history = vec![op((1, 1), 0, 5), op((1, 2), 1, 3), op((0, 1), 2, 4)];
//! let verdict = check(&Counter, &history, &Options::default());
//! assert_eq!(verdict, Verdict::Holds { order: vec![0, 2, 1] });
//!
//! history.push(op((0, 1), 6, 7)); // it saw 1 again, long after 2 was there
//! let Verdict::Violated { witness } = check(&Counter, &history, &Options::default()) else {
//!     panic!("a stale read")
//! };
//! assert_eq!((witness.operation, witness.survivors[0].state), (3, 2));
//! ```
//!
//! # How it works
//!
//! The question is NP-complete even for one register when values repeat (Gibbons & Korach 1997), so
//! every search is bounded, and the answer to one that was cut short is [`Verdict::Inconclusive`],
//! never a guess.
//!
//! The search is just-in-time linearization (Lowe, *Testing for linearizability*, 2017), a
//! descendant of Wing & Gong's (*Testing and verifying concurrent objects*, 1993): events are
//! walked in time, and only when an operation returns are the orders of pending operations that
//! end in it explored. What is kept are configurations: a state, which of the pending operations
//! have taken effect, and which operations with unknown result were used. On top of it:
//!
//! * *Eager reads.* An operation that leaves the state as it is takes effect as soon as it is
//!   legal, and is never branched on: moving it there changes nothing for anybody else. This is why
//!   complete histories with revisions need one configuration at a time.
//! * *Dead configurations.* One in which some pending operation can never become legal again, as
//!   the model says in [`Model::dead`], is dropped.
//! * *Dominance.* Of two configurations with the same state and the same pending mutators, the one
//!   with fewer reads taken or more unknown operations used is dropped: those are optional.
//! * *Hindsight.* A model may [study](Model::study) the history and refuse what a later answer
//!   excludes, such as appends in another order than a later read shows.
//! * *Unknown results.* Equal ones are interchangeable and used in the order of their calls; those
//!   that [`Model::unobserved`] names are left out.
//! * *Interned states*, forgotten again when no configuration holds them. Nothing but
//!   the order grows with the length of the history.
//! * *Partitions* (Horn & Kroening, *Faster linearizability checking via P-compositionality*, 2015).
//!
//! When more configurations survive an event than [`Options::frontier_max`], the search goes on
//! depth first from there, over the same configurations: that finds an order early in histories
//! that have many.
//!
//! A core is made by weakening: a read is left out, a mutator's result is forgotten. Both keep any
//! order that there was, so what is still wrong afterwards proves the history wrong. Where that
//! leaves more than five operations, the core may begin in the middle, with every configuration
//! that the walk holds there ([`Witness::starts`]).

mod budget;
mod configuration;
mod depth;
mod frontier;
mod machine;
mod parts;
mod plan;
mod replay;
mod shrink;
mod starting_at;
mod tables;
mod witness;

pub use parts::check;
pub use replay::replay;
pub use starting_at::StartingAt;
pub use witness::{CoreOperation, Refused, Start, Survivor, Witness};

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::AtomicBool;

/// A sequential specification: what operations do when they are applied one after the other.
///
/// An operation carries its result. One whose result is unknown carries that too, and must be
/// legal wherever some result is.
pub trait Model: Clone + Sync {
    /// The object's state.
    type State: Clone + Eq + Hash + Debug + Send + Sync;
    /// An operation with its result. Equal ones are interchangeable.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after an operation, or nothing if it cannot have its result here.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Whether the operation can have its result here.
    fn accepts(&self, state: &Self::State, op: &Self::Op) -> bool {
        self.step(state, op).is_some()
    }

    /// Whether the operation, with this result, leaves every state as it is.
    fn is_read_only(&self, _op: &Self::Op) -> bool {
        false
    }

    /// The operation with its result forgotten, for one that changes the state: it must accept
    /// every state that the operation accepts, and lead to the same one.
    fn forget(&self, op: &Self::Op) -> Self::Op {
        op.clone()
    }

    /// Whether the operation can have its result neither here nor in any state that follows.
    fn dead(&self, _state: &Self::State, _op: &Self::Op) -> bool {
        false
    }

    /// Operations with unknown result whose effect nobody can have seen: whatever order of the
    /// others is legal with them is legal without.
    fn unobserved(&self, _operations: &[&Operation<Self::Op>]) -> Vec<usize> {
        Vec::new()
    }

    /// The same object with knowledge of one part of a history, which begins in a given state: it
    /// may refuse whatever would leave some operation with known result without a place for good.
    #[must_use]
    fn study(&self, _start: &Self::State, _operations: &[&Operation<Self::Op>]) -> Self {
        self.clone()
    }

    /// Splits a history into parts that are linearizable exactly if the whole is, such as one for
    /// each key. Every operation is in one part; parts keep the order.
    fn partition(&self, operations: &[Operation<Self::Op>]) -> Vec<Vec<usize>> {
        vec![(0..operations.len()).collect()]
    }

    /// Bytes that a state takes, for the budget.
    fn bytes(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }

    /// Why a state refuses an operation, in words.
    fn refusal(&self, state: &Self::State, op: &Self::Op) -> String {
        format!("{op:?} is not possible in {state:?}")
    }
}

/// An operation of a history. Times are of any one clock, or ranks; intervals are closed, so that
/// operations which touch are concurrent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation<Op> {
    /// What was asked and answered.
    pub op: Op,
    /// When it was invoked.
    pub call: u64,
    /// When it returned. Without return it may take effect at any time after its call, or never.
    pub ret: Option<u64>,
}

/// Bounds of a check. With one thread, the verdict depends on nothing else but the history and
/// the stop flag.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Configurations created, over all parts and both kinds of search.
    pub configurations_max: u64,
    /// Bytes that the search may hold besides the history; it ends before it would hold more.
    pub bytes_max: usize,
    /// Configurations after one event, beyond which the search goes on depth first.
    pub frontier_max: usize,
    /// Parts checked at a time.
    pub threads: usize,
    /// Whether to ask [`Model::partition`].
    pub partition: bool,
    /// Configurations that may be spent on making a witness's core smaller.
    pub core_max: u64,
    /// Set by the caller to end the search early; the verdict is then inconclusive.
    pub stop: Option<&'a AtomicBool>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            configurations_max: 100_000_000,
            bytes_max: 1 << 30,
            frontier_max: 1 << 16,
            threads: 1,
            partition: true,
            core_max: 5_000_000,
            stop: None,
        }
    }
}

/// What a check comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<State, Op> {
    /// The history is linearizable.
    Holds {
        /// An order that proves it, by index into the history: [`replay`] has confirmed it.
        /// Operations with unknown result that need not have taken effect are left out.
        order: Vec<usize>,
    },
    /// It is not.
    Violated {
        /// The proof.
        witness: Witness<State, Op>,
    },
    /// The budget ran out, the search was stopped, or the history makes no sense.
    Inconclusive {
        /// Operations that the search had placed, at most.
        reached: usize,
        /// Why, in words.
        why: String,
    },
}
