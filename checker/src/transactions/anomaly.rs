//! Anomalies as data.

use super::Model;

/// Why one transaction comes before another in every serial order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dependency {
    /// ww: the second appended next, or after all that was read.
    WriteWrite {
        /// The list.
        key: u32,
        /// What the first appended.
        first: u64,
        /// What the second appended.
        then: u64,
    },
    /// wr: the second read a list that ends in what the first appended.
    WriteRead {
        /// The list.
        key: u32,
        /// What was appended and read.
        element: u64,
    },
    /// rw: the first read a list without what the second appended.
    ReadWrite {
        /// The list.
        key: u32,
        /// The last element read; None where the list was empty.
        read: Option<u64>,
        /// What the second appended.
        then: u64,
    },
    /// The process had the answer of the first before it sent the second.
    Process,
    /// The first returned before the second was called.
    RealTime,
}

/// A dependency between two transactions, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// The one that comes first.
    pub from: usize,
    /// The one that comes later.
    pub to: usize,
    /// Why.
    pub because: Dependency,
}

/// Kinds of cycles by their dependencies, the strongest evidence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CycleKind {
    /// ww only.
    G0,
    /// ww and wr.
    G1c,
    /// One rw.
    GSingle,
    /// Several rw, no two in a row.
    GNonadjacent,
    /// Several rw.
    G2Item,
}

/// What else a cycle needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ordering {
    /// Nothing.
    None,
    /// The order of processes.
    Process,
    /// Real time.
    RealTime,
}

/// A proof that transactions are not strictly serializable. Transactions are indices into the slice
/// checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// A transaction read something else than what its own earlier operations left there, or its
    /// own append before it made it.
    Internal {
        /// Which.
        transaction: usize,
        /// The list.
        key: u32,
    },
    /// An element was read twice in one list, though appended once.
    DuplicateElements {
        /// Who read it.
        reader: usize,
        /// The list.
        key: u32,
        /// The element.
        element: u64,
    },
    /// An element was read that no transaction appends.
    UnwrittenRead {
        /// Who read it.
        reader: usize,
        /// The list.
        key: u32,
        /// The element.
        element: u64,
    },
    /// G1a: an element was read whose transaction aborted.
    AbortedRead {
        /// Who appended it.
        writer: usize,
        /// Who read it.
        reader: usize,
        /// The list.
        key: u32,
        /// The element.
        element: u64,
    },
    /// G1b: a read ends in an element whose transaction appended another after it.
    IntermediateRead {
        /// Who appended it.
        writer: usize,
        /// Who read it.
        reader: usize,
        /// The list.
        key: u32,
        /// The element.
        element: u64,
    },
    /// A list has an append without another that its transaction made to it before, or before it.
    OutOfOrder {
        /// Who appended them.
        writer: usize,
        /// Who read the list.
        reader: usize,
        /// The list.
        key: u32,
        /// What was appended, in that order.
        elements: [u64; 2],
    },
    /// A committed append came on top of one whose transaction aborted.
    DirtyUpdate {
        /// Who aborted.
        aborted: usize,
        /// Who committed.
        committed: usize,
        /// The list.
        key: u32,
        /// What they appended.
        elements: [u64; 2],
    },
    /// Of two reads of one list neither is the beginning of the other.
    IncompatibleOrder {
        /// Who read.
        readers: [usize; 2],
        /// The list.
        key: u32,
        /// Where they differ, from 0.
        place: usize,
        /// What they read there.
        elements: [u64; 2],
    },
    /// Two transactions read one version and appended to it.
    LostUpdate {
        /// The list.
        key: u32,
        /// The last element of the version; None where it was empty.
        read: Option<u64>,
        /// Which.
        transactions: [usize; 2],
    },
    /// Each of these transactions must come before the next, and the last before the first.
    Cycle {
        /// Its kind.
        kind: CycleKind,
        /// What else it needs.
        ordering: Ordering,
        /// Its dependencies, each from where the one before led.
        steps: Vec<Step>,
    },
}

/// What sentences call things.
pub struct Names<'a> {
    /// A transaction, by its index.
    pub transaction: &'a dyn Fn(usize) -> String,
    /// A list.
    pub key: &'a dyn Fn(u32) -> String,
    /// An element.
    pub element: &'a dyn Fn(u64) -> String,
}

impl Anomaly {
    /// The name in the field, for example `G1a` or `G-single-realtime`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Internal { .. } => "internal",
            Self::DuplicateElements { .. } => "duplicate-elements",
            Self::UnwrittenRead { .. } => "unwritten-read",
            Self::AbortedRead { .. } => "G1a",
            Self::IntermediateRead { .. } => "G1b",
            Self::OutOfOrder { .. } => "out-of-order",
            Self::DirtyUpdate { .. } => "dirty-update",
            Self::IncompatibleOrder { .. } => "incompatible-order",
            Self::LostUpdate { .. } => "lost-update",
            Self::Cycle { kind, ordering, .. } => match (kind, ordering) {
                (CycleKind::G0, Ordering::None) => "G0",
                (CycleKind::G0, Ordering::Process) => "G0-process",
                (CycleKind::G0, Ordering::RealTime) => "G0-realtime",
                (CycleKind::G1c, Ordering::None) => "G1c",
                (CycleKind::G1c, Ordering::Process) => "G1c-process",
                (CycleKind::G1c, Ordering::RealTime) => "G1c-realtime",
                (CycleKind::GSingle, Ordering::None) => "G-single",
                (CycleKind::GSingle, Ordering::Process) => "G-single-process",
                (CycleKind::GSingle, Ordering::RealTime) => "G-single-realtime",
                (CycleKind::GNonadjacent, Ordering::None) => "G-nonadjacent",
                (CycleKind::GNonadjacent, Ordering::Process) => "G-nonadjacent-process",
                (CycleKind::GNonadjacent, Ordering::RealTime) => "G-nonadjacent-realtime",
                (CycleKind::G2Item, Ordering::None) => "G2-item",
                (CycleKind::G2Item, Ordering::Process) => "G2-item-process",
                (CycleKind::G2Item, Ordering::RealTime) => "G2-item-realtime",
            },
        }
    }

    /// The transactions that show it, without repetition.
    #[must_use]
    pub fn transactions(&self) -> Vec<usize> {
        match self {
            Self::Internal { transaction, .. } => vec![*transaction],
            Self::DuplicateElements { reader, .. } | Self::UnwrittenRead { reader, .. } => {
                vec![*reader]
            }
            Self::AbortedRead { writer, reader, .. }
            | Self::IntermediateRead { writer, reader, .. } => vec![*writer, *reader],
            Self::OutOfOrder { writer, reader, .. } => {
                let mut both = vec![*writer, *reader];
                both.dedup();
                both
            }
            Self::DirtyUpdate {
                aborted, committed, ..
            } => vec![*aborted, *committed],
            Self::IncompatibleOrder { readers, .. } => {
                let mut readers = readers.to_vec();
                readers.dedup();
                readers
            }
            Self::LostUpdate { transactions, .. } => transactions.to_vec(),
            Self::Cycle { steps, .. } => steps.iter().map(|step| step.from).collect(),
        }
    }

    /// The lists that it is about.
    #[must_use]
    pub fn keys(&self) -> Vec<u32> {
        match self {
            Self::Internal { key, .. }
            | Self::DuplicateElements { key, .. }
            | Self::UnwrittenRead { key, .. }
            | Self::AbortedRead { key, .. }
            | Self::IntermediateRead { key, .. }
            | Self::OutOfOrder { key, .. }
            | Self::DirtyUpdate { key, .. }
            | Self::IncompatibleOrder { key, .. }
            | Self::LostUpdate { key, .. } => vec![*key],
            Self::Cycle { steps, .. } => steps
                .iter()
                .filter_map(|step| match step.because {
                    Dependency::WriteWrite { key, .. }
                    | Dependency::WriteRead { key, .. }
                    | Dependency::ReadWrite { key, .. } => Some(key),
                    Dependency::Process | Dependency::RealTime => None,
                })
                .collect(),
        }
    }

    /// The weakest models that it rules out.
    #[must_use]
    pub fn weakest_ruled_out(&self) -> &'static [Model] {
        match self {
            Self::Internal { .. } => &[Model::ReadAtomic],
            Self::DuplicateElements { .. }
            | Self::UnwrittenRead { .. }
            | Self::OutOfOrder { .. } => &[Model::ReadUncommitted],
            Self::AbortedRead { .. }
            | Self::IntermediateRead { .. }
            | Self::DirtyUpdate { .. }
            | Self::IncompatibleOrder { .. } => &[Model::ReadCommitted],
            Self::LostUpdate { .. } => &[Model::SnapshotIsolation, Model::RepeatableRead],
            Self::Cycle { kind, ordering, .. } => match (ordering, kind) {
                (Ordering::None, CycleKind::G0) => &[Model::ReadUncommitted],
                (Ordering::None, CycleKind::G1c) => &[Model::ReadCommitted],
                (Ordering::None, CycleKind::GSingle | CycleKind::GNonadjacent) => {
                    &[Model::SnapshotIsolation, Model::RepeatableRead]
                }
                (Ordering::None, CycleKind::G2Item) => &[Model::RepeatableRead],
                (Ordering::Process, CycleKind::G2Item) => &[Model::StrongSessionSerializable],
                (Ordering::Process, _) => &[Model::StrongSessionSnapshotIsolation],
                (Ordering::RealTime, CycleKind::G2Item) => &[Model::StrictSerializable],
                (Ordering::RealTime, _) => &[Model::StrongSnapshotIsolation],
            },
        }
    }

    /// Every model that it rules out, weaker ones first; strict serializability is always the last.
    #[must_use]
    pub fn rules_out(&self) -> Vec<Model> {
        let weakest = self.weakest_ruled_out();
        let ruled_out = |model: &Model| weakest.iter().any(|weak| model.implies(*weak));
        Model::ALL.into_iter().filter(ruled_out).collect()
    }
}
