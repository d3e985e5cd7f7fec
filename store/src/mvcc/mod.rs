//! Every key at every revision, as in etcd's server/mvcc: an index in memory from keys to
//! revisions, and the pairs by revision in the backend.
//!
//! STUB: signatures to build on.

use std::sync::Arc;
use std::time::Duration;

use api::pb::mvccpb::{Event, KeyValue};

use crate::Error;
use crate::backend::{Backend, Batch};
use crate::bugs::Bugs;
use crate::lease::Lessor;

/// How the store compacts.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `--experimental-compaction-batch-limit`.
    pub compaction_batch_limit: usize,
    /// `--experimental-compaction-sleep-interval`: the pause between two batches.
    pub compaction_sleep: Duration,
    /// Which bugs are on.
    pub bugs: Bugs,
}

/// What to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct RangeOptions {
    /// At most so many pairs; 0: all.
    pub limit: i64,
    /// As of this revision; 0 or less: now.
    pub rev: i64,
    /// Count only.
    pub count_only: bool,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct RangeResult {
    /// In key order.
    pub kvs: Vec<KeyValue>,
    /// All keys of the range, whatever the limit.
    pub count: i64,
    /// The current revision.
    pub rev: i64,
}

/// What HashKV answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct KvHash {
    pub hash: u32,
    pub rev: i64,
    pub compact_rev: i64,
    pub hash_rev: i64,
}

/// Who is told of changes, in the order of revisions, before the writer is done.
pub trait Observer: Send + Sync {
    /// All changes of one revision. In `Event`, `prev_kv` is empty.
    fn changed(&self, rev: i64, events: &[Event]);
    /// The store has been replaced by a snapshot and is at this revision.
    fn restored(&self, rev: i64);
}

/// The store.
pub struct Store;

/// A write transaction: all its changes have one revision, the next one. Others wait.
pub struct WriteTxn<'a>(std::marker::PhantomData<&'a ()>);

impl WriteTxn<'_> {
    /// Reads, this transaction's own changes included.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn range(
        &self,
        _key: &[u8],
        _end: &[u8],
        _options: RangeOptions,
    ) -> Result<RangeResult, Error> {
        todo!()
    }
    /// Writes a pair, and moves the key to `lease` (0: none). Gives the transaction's revision.
    pub fn put(&mut self, _key: &[u8], _value: &[u8], _lease: i64) -> i64 {
        todo!()
    }
    /// Deletes keys. Gives how many there were, and the revision after it.
    pub fn delete_range(&mut self, _key: &[u8], _end: &[u8]) -> (i64, i64) {
        todo!()
    }
    /// The current revision: the transaction's own if it has changed anything.
    #[must_use]
    pub fn rev(&self) -> i64 {
        todo!()
    }
    /// The backend transaction that its changes go to.
    pub fn batch(&mut self) -> &mut Batch<'_> {
        todo!()
    }
    /// Ends it: the revision counts, observers are told.
    pub fn end(self) {
        todo!()
    }
}

impl Store {
    /// Reads the backend: current revision, index, keys' leases; goes on with a compaction that was
    /// scheduled and not finished.
    #[must_use]
    pub fn open(_backend: Backend, _lessor: Arc<Lessor>, _options: Options) -> Arc<Self> {
        todo!()
    }
    /// Who is told of changes. Once, before the first write.
    pub fn observe(&self, _observer: Arc<dyn Observer>) {
        todo!()
    }
    /// The current revision; 1 when empty.
    #[must_use]
    pub fn rev(&self) -> i64 {
        todo!()
    }
    /// The revision up to which history is compacted; -1 when never.
    #[must_use]
    pub fn compact_rev(&self) -> i64 {
        todo!()
    }
    /// Reads. `end` as in etcd: empty for one key, `[0]` for all from `key` on.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn range(
        &self,
        _key: &[u8],
        _end: &[u8],
        _options: RangeOptions,
    ) -> Result<RangeResult, Error> {
        todo!()
    }
    /// Every change with `min <= revision < max` (0: to the last) to keys in the range, in order, tombstones included
    /// (their `kv` has key and mod revision only). `prev_kv` is empty.
    #[must_use]
    pub fn changes(&self, _key: &[u8], _end: &[u8], _min: i64, _max: i64) -> Vec<Event> {
        todo!()
    }
    /// Begins a write transaction.
    #[must_use]
    pub fn write(&self) -> WriteTxn<'_> {
        todo!()
    }
    /// Compacts up to `rev`: from now on older revisions cannot be read, and a thread of its own
    /// deletes them in batches. The receiver gets a message when they are gone.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn compact(&self, _rev: i64) -> Result<tokio::sync::oneshot::Receiver<()>, Error> {
        todo!()
    }
    /// A hash of all pairs up to `rev` (0: the current one) that compaction would keep, equal to etcd 3.5's.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn hash_kv(&self, _rev: i64) -> Result<KvHash, Error> {
        todo!()
    }
    /// Reads everything anew after [`Backend::replace`].
    pub fn restore(&self) {
        todo!()
    }
}
