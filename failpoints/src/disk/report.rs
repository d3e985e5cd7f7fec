//! What was not durable, and what became of it: plain data, bounded.

use serde::{Deserialize, Serialize};

/// Of files and changes at most so many are named; the rest is counted.
pub(super) const MOST_NAMED: usize = 256;

/// Of a file's byte ranges at most so many are named.
pub(super) const MOST_RANGES: usize = 64;

/// Everything that a power loss could take, as of now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsynced {
    /// Files with bytes or a size that are not durable, by path; at most 256.
    pub files: Vec<UnsyncedFile>,
    /// Changes of names that are not durable, oldest first; at most 256.
    pub changes: Vec<String>,
    /// How many files and changes are not named here.
    pub omitted: u64,
    /// Bytes written but not durable, in all files.
    pub bytes: u64,
}

impl Unsynced {
    /// Whether a power loss would take nothing.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.changes.is_empty()
    }
}

/// A file with something that is not durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsyncedFile {
    /// Its path below the mount; its last one if it was unlinked.
    pub path: String,
    /// Its size as readers see it, in bytes.
    pub size: u64,
    /// Its durable size, in bytes.
    pub durable_size: u64,
    /// The byte ranges `[start, end)` that are not durable; at most 64.
    pub ranges: Vec<(u64, u64)>,
    /// The number of writes, truncations and the like that are not durable.
    pub writes: u64,
}

/// What a power loss took, and what it left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerLoss {
    /// What was not durable when the power went.
    pub unsynced: Unsynced,
    /// What became of the files; at most 256, in the order of
    /// [`Unsynced::files`].
    pub files: Vec<FileLoss>,
    /// The changes of names that survived, oldest first, as in
    /// [`Unsynced::changes`]; at most 256.
    pub survived: Vec<String>,
    /// Writes (truncations and the like) that are gone.
    pub writes_lost: u64,
    /// Writes that survived whole.
    pub writes_kept: u64,
    /// Writes that survived in part.
    pub writes_torn: u64,
    /// Changes of names that are gone.
    pub changes_lost: u64,
    /// Changes of names that survived.
    pub changes_kept: u64,
}

/// What became of one file with un-synced bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLoss {
    /// Its path when the power went.
    pub path: String,
    /// Its path afterwards; none if it is gone with its name.
    pub found: Option<String>,
    /// Its size afterwards, in bytes.
    pub size: u64,
    /// The byte ranges `[start, end)` that were written and lost; at most 64.
    pub lost: Vec<(u64, u64)>,
    /// The byte ranges `[start, end)` that were written and survived, though
    /// nothing made them durable; at most 64.
    pub survived: Vec<(u64, u64)>,
}

/// Numbers of a disk since it was mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Reads that came to the disk; the kernel's page cache answers others.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written: u64,
    /// fsync and fdatasync calls, of files and directories, and writes of
    /// files opened with O_SYNC or O_DSYNC.
    pub syncs: u64,
    /// Power losses.
    pub losses: u64,
    /// How often the oldest un-synced data were made durable because their
    /// number passed a limit of the disk.
    pub writebacks: u64,
    /// Bytes kept in memory for what is not durable.
    pub held: u64,
}
