//! One database file under a batched transaction, as in etcd's server/mvcc/backend.
//!
//! STUB: signatures to build on.

use std::path::Path;
use std::time::Duration;

use crate::bugs::Bugs;

/// The tables of the database, named as etcd's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Bucket {
    Key,
    Meta,
    Lease,
    Alarm,
    Cluster,
    Members,
    MembersRemoved,
    Auth,
    AuthUsers,
    AuthRoles,
}

/// What goes wrong below: I/O and corruption. The caller cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);

/// `--backend-batch-interval`, `--backend-batch-limit` and so on.
#[derive(Clone, Debug)]
pub struct Options {
    /// A batch is committed after this time.
    pub batch_interval: Duration,
    /// A batch is committed when it has so many writes.
    pub batch_limit: usize,
    /// Which bugs are on.
    pub bugs: Bugs,
}

/// What runs before every commit, inside the transaction: writes the consistent index.
pub type PreCommit = Box<dyn Fn(&mut Batch<'_>) + Send + Sync>;

/// The database. Clones share it.
#[derive(Clone)]
pub struct Backend;

/// The batch transaction, locked: nobody else writes, and no commit happens until it is dropped.
/// Dropping it commits if the batch is full.
pub struct Batch<'a>(std::marker::PhantomData<&'a ()>);

impl Batch<'_> {
    /// Writes a pair.
    pub fn put(&mut self, _bucket: Bucket, _key: &[u8], _value: &[u8]) {
        todo!()
    }
    /// Removes a pair.
    pub fn delete(&mut self, _bucket: Bucket, _key: &[u8]) {
        todo!()
    }
    /// A value, pending writes included.
    #[must_use]
    pub fn get(&self, _bucket: Bucket, _key: &[u8]) -> Option<Vec<u8>> {
        todo!()
    }
    /// Pairs with `start <= key < end` in key order (no `end`: to the last), pending ones
    /// included; at most `limit` of them (0: all).
    #[must_use]
    pub fn range(
        &self,
        _bucket: Bucket,
        _start: &[u8],
        _end: Option<&[u8]>,
        _limit: usize,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        todo!()
    }
}

impl Backend {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// When it cannot be opened, or is corrupt.
    pub fn open(_path: &Path, _options: Options) -> Result<Self, BackendError> {
        todo!()
    }
    /// Sets what runs before every commit.
    pub fn set_pre_commit(&self, _hook: PreCommit) {
        todo!()
    }
    /// Locks the batch transaction.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        todo!()
    }
    /// A value, pending writes included.
    #[must_use]
    pub fn get(&self, _bucket: Bucket, _key: &[u8]) -> Option<Vec<u8>> {
        todo!()
    }
    /// As [`Batch::range`]; readers do not wait for a commit.
    #[must_use]
    pub fn range(
        &self,
        _bucket: Bucket,
        _start: &[u8],
        _end: Option<&[u8]>,
        _limit: usize,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        todo!()
    }
    /// Commits what is pending, the hook's writes included.
    pub fn force_commit(&self) {
        todo!()
    }
    /// Commits, and copies the database as of now to a new file at `path`, synced.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub fn copy_to(&self, _path: &Path) -> Result<(), BackendError> {
        todo!()
    }
    /// Copies what is alive to a new file and renames that over the old one.
    ///
    /// # Errors
    /// When the copy cannot be written; the old file then stays.
    pub fn defragment(&self) -> Result<(), BackendError> {
        todo!()
    }
    /// A CRC-32C of every bucket's pairs, pending ones committed before.
    #[must_use]
    pub fn hash(&self) -> u32 {
        todo!()
    }
    /// The file's size, in bytes.
    #[must_use]
    pub fn size(&self) -> i64 {
        todo!()
    }
    /// The part of it that is in use, in bytes.
    #[must_use]
    pub fn size_in_use(&self) -> i64 {
        todo!()
    }
    /// Replaces the whole database by the file at `new` (a snapshot from a peer, on the same file
    /// system), which is renamed over the old one. Every clone sees the new content.
    ///
    /// # Errors
    /// When it cannot be renamed or opened.
    pub fn replace(&self, _new: &Path) -> Result<(), BackendError> {
        todo!()
    }
    /// Commits and closes, so that nothing is pending when the process ends.
    pub fn close(&self) {
        todo!()
    }
}
