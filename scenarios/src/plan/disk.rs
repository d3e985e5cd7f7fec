//! Disks of our own below members' data: what they lose, and how they fail.

use serde::{Deserialize, Serialize};

use super::Target;

/// Members keep their data on disks that can lose power: when a change of names (create, rename,
/// unlink) is durable on them. Data and size of a file are so once it was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskPlan {
    /// In the order of the changes, as with ext4's journal: a sync of a file commits its name.
    Ordered,
    /// As POSIX has it: by a sync of the directory alone.
    Strict,
}

/// Which un-synced writes survive a power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Survival {
    /// None.
    SyncedOnly,
    /// All up to a drawn moment, and of the write at that moment some 512-byte sectors.
    Torn,
    /// Some of them, whole or some 512-byte sectors of them, in any order.
    Subset,
}

impl Survival {
    /// The name, as in scenario files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SyncedOnly => "synced-only",
            Self::Torn => "torn",
            Self::Subset => "subset",
        }
    }
}

/// A fault of single operations on members' disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskFault {
    /// The name that other steps know it by.
    pub fault: String,
    /// On whose disk.
    pub target: Target,
    /// Which files: a glob, of the last component where it has no `/`, else of the whole path below
    /// the data directory.
    pub paths: String,
    /// The first operation that it acts on, counted from 1 on each member.
    pub hit: u64,
    /// How many operations it acts on; 0 means all from then on.
    pub times: u64,
    /// What it does.
    pub kind: DiskFaultKind,
    /// The run says something even if it is never hit. Otherwise such a run cannot hold.
    #[serde(default)]
    pub optional: bool,
}

/// What a disk fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum DiskFaultKind {
    /// The operation fails with EIO.
    Eio {
        /// Which operations.
        op: DiskOp,
    },
    /// Writes fail with ENOSPC that would make all files of the disk together take more space.
    Enospc {
        /// The space, in bytes.
        bytes: u64,
    },
    /// fsync and fdatasync wait first.
    SlowFsync {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// Readers, by mapping too, see one flipped bit in every stretch of so many bytes; what is
    /// stored stays as it is.
    BitFlip {
        /// The stretch, in bytes.
        every: u64,
        /// Where the draws come from, as a decimal string.
        seed: String,
    },
}

impl DiskFaultKind {
    /// The name, as in scenario files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Eio { .. } => "eio",
            Self::Enospc { .. } => "enospc",
            Self::SlowFsync { .. } => "slow_fsync",
            Self::BitFlip { .. } => "bit_flip",
        }
    }
}

/// A kind of operation on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskOp {
    /// Reads, by mapping too.
    Read,
    /// Writes, truncations, allocations.
    Write,
    /// fsync and fdatasync, of files and directories.
    Fsync,
    /// Create, rename, unlink, mkdir, rmdir.
    Name,
}
