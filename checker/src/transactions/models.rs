//! Consistency models, and which of them imply which.
//!
//! Adya 1999 for the levels (PL-1, PL-2, PL-2.99, PL-3, PL-SI), K. Daudjee and K. Salem
//! (VLDB 2006) for strong sessions, and the lattice of P. Bailis et al., *Highly Available
//! Transactions*, VLDB 2014, for what implies what.

use std::fmt;

/// A consistency model of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// Writes have one order (PL-1).
    ReadUncommitted,
    /// Reads see what was committed, and the final state of each transaction (PL-2).
    ReadCommitted,
    /// Transactions see all of each other's effects or none, and their own.
    ReadAtomic,
    /// Reads are of one snapshot, and no two transactions update one version (PL-SI).
    SnapshotIsolation,
    /// There is one order for all that touches single items (PL-2.99).
    RepeatableRead,
    /// There is one serial order (PL-3).
    Serializable,
    /// Snapshot isolation that keeps the order of each process.
    StrongSessionSnapshotIsolation,
    /// Serializability that keeps the order of each process.
    StrongSessionSerializable,
    /// Snapshot isolation that keeps real time.
    StrongSnapshotIsolation,
    /// One serial order that keeps real time.
    StrictSerializable,
}

impl Model {
    /// All of them, weaker ones before stronger ones.
    pub const ALL: [Self; 10] = [
        Self::ReadUncommitted,
        Self::ReadCommitted,
        Self::ReadAtomic,
        Self::SnapshotIsolation,
        Self::RepeatableRead,
        Self::Serializable,
        Self::StrongSessionSnapshotIsolation,
        Self::StrongSessionSerializable,
        Self::StrongSnapshotIsolation,
        Self::StrictSerializable,
    ];

    /// The models that this one promises directly more than.
    fn stronger_than(self) -> &'static [Self] {
        match self {
            Self::ReadUncommitted => &[],
            Self::ReadCommitted => &[Self::ReadUncommitted],
            Self::ReadAtomic => &[Self::ReadCommitted],
            Self::RepeatableRead => &[Self::ReadCommitted],
            Self::SnapshotIsolation => &[Self::ReadAtomic],
            Self::Serializable => &[Self::RepeatableRead, Self::SnapshotIsolation],
            Self::StrongSessionSnapshotIsolation => &[Self::SnapshotIsolation],
            Self::StrongSessionSerializable => {
                &[Self::Serializable, Self::StrongSessionSnapshotIsolation]
            }
            Self::StrongSnapshotIsolation => &[Self::StrongSessionSnapshotIsolation],
            Self::StrictSerializable => &[
                Self::StrongSessionSerializable,
                Self::StrongSnapshotIsolation,
            ],
        }
    }

    /// Whether what keeps this model keeps the other.
    #[must_use]
    pub fn implies(self, other: Self) -> bool {
        self == other
            || self
                .stronger_than()
                .iter()
                .any(|weaker| weaker.implies(other))
    }

    /// The name, as sentences use it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read uncommitted",
            Self::ReadCommitted => "read committed",
            Self::ReadAtomic => "read atomic",
            Self::SnapshotIsolation => "snapshot isolation",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
            Self::StrongSessionSnapshotIsolation => "strong session snapshot isolation",
            Self::StrongSessionSerializable => "strong session serializable",
            Self::StrongSnapshotIsolation => "strong snapshot isolation",
            Self::StrictSerializable => "strict serializable",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
