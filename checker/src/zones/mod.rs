//! A linearizability check for registers whose written values are unique. It knows nothing of
//! revisions, and so it cross-checks the [revision order](crate::linearizable).
//!
//! P. B. Gibbons and E. Korach, *Testing Shared Memories*, SIAM J. Comput. 26(4), 1997, section on
//! known read mappings: where each value is written once, a read names the write it saw. A
//! *cluster* is a write with its reads, and no other write may come between them. An operation
//! precedes another if it returned before the other was called; equal times do not order. Let *r*
//! be the earliest return in a cluster and *c* its latest call: some operation of cluster A
//! precedes some of cluster B if and only if r(A) < c(B). Then a history of one register is
//! linearizable if and only if
//!
//! 1. no read returned before its write was called, and every value read was written; and
//! 2. no two clusters precede each other: not both r(A) < c(B) and r(B) < c(A).
//!
//! *Necessary:* clusters are contiguous in any order that explains the reads. *Sufficient:* a cycle
//! of clusters contains two that precede each other (take the one with the latest r: all others of
//! the cycle precede its successor, and so does the one after that). Without cycles the clusters
//! can be ordered, each laid out as the write, then its reads by their calls.
//!
//! Clusters with r < c have the *forward zone* (r, c), the others the *backward zone* \[c, r\]. In
//! those terms condition 2 says that forward zones do not overlap, and that no backward zone lies
//! inside a forward one: sorting, one sweep, and a binary search for each backward zone, O(n log n).
//!
//! The initial value is a write that returned before all time. A write that was not answered has no
//! return; if its value is never read it is left out, since it need not have taken effect and, if
//! it did, no read depends on it. An unanswered read says nothing. Registers are independent, so
//! each key is judged alone (Herlihy and Wing 1990, locality).

mod clusters;
mod cross_check;
mod hash;
mod projection;
mod witness;

pub use cross_check::{CrossCheck, ENGINE, cross_check};
pub use projection::{Counts, Projection, Value, project};

use std::hash::Hash;

/// One operation on one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<K, V> {
    /// The register.
    pub key: K,
    /// Read or write, with its value.
    pub kind: Kind<V>,
    /// When it was called.
    pub call: u64,
    /// When it returned; None where the result is unknown.
    pub ret: Option<u64>,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<V> {
    /// Writes a value.
    Write(V),
    /// Saw this value; None is the initial one.
    Read(Option<V>),
}

/// Why a history of one register is not linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contradiction {
    /// A read saw a value that nobody writes.
    NeverWritten,
    /// A read returned before the write of its value was called.
    BeforeItsWrite,
    /// A read saw the initial value after another value was there.
    InitialAgain,
    /// Two values were each there before the other: one of them came back, though written once.
    CameBack,
}

/// A proof that one register's history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub contradiction: Contradiction,
    /// The operations that prove it, as indices into the slice checked, by their calls. They are a
    /// violation by themselves. Two or three where the writes themselves are out of order with one
    /// read, as for a stale read; at most six.
    pub operations: Vec<usize>,
}

/// What the check comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every register that could be judged is linearizable.
    Holds,
    /// Some are not.
    Violated {
        /// One proof for each of them, in the order in which the registers first appear.
        witnesses: Vec<Violation>,
    },
}

/// Figures of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Registers judged.
    pub keys: u64,
    /// Operations on them that entered the judgement.
    pub operations: u64,
    /// Writes left out because they were not answered and their value is never read.
    pub writes_dropped: u64,
    /// Reads left out because they were not answered.
    pub reads_dropped: u64,
    /// Registers skipped because a value that was read is written more than once.
    pub keys_skipped: u64,
    /// Operations on those.
    pub operations_skipped: u64,
}

/// Result of [`check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The verdict on all registers that were judged.
    pub outcome: Outcome,
    /// What was judged and what was not.
    pub figures: Figures,
}

/// Checks operations on any number of registers, in any order.
///
/// Exact for registers each of whose values that is read is written once; others are skipped, and
/// counted.
#[must_use]
pub fn check<K: Eq + Hash, V: Eq + Hash>(operations: &[Operation<K, V>]) -> Checked {
    let (witnesses, figures) = clusters::Clusters::of(operations).judge(operations);
    let outcome = if witnesses.is_empty() {
        Outcome::Holds
    } else {
        Outcome::Violated { witnesses }
    };
    Checked { outcome, figures }
}
