//! Every key at every revision, as in etcd's server/mvcc: an index in memory from keys to
//! revisions, and the pairs by revision in the backend.
//!
//! Whoever writes holds the backend's batch for the length of a transaction; then comes the lock of
//! what is in memory, for moments. Readers hold that lock while they read, so that a compaction
//! cannot begin to take away what they have found in the index.

mod compaction;
mod hash;
mod index;
mod key_index;
mod read;
mod restore;
mod revision;
mod txn;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use api::pb::mvccpb::event::EventType;
use api::pb::mvccpb::{Event, KeyValue};
use fail::fail_point;
use tokio::sync::oneshot;

use self::compaction::{Compactor, Job};
use self::hash::{Hasher, Hashes};
pub(crate) use self::index::Keys;
use self::read::{Failure, State, decode, decode_key};
use self::revision::{BUCKET, Revision, is_tombstone};
pub use self::txn::WriteTxn;
use crate::Error;
use crate::backend::{Backend, Bucket};
use crate::bugs::{Bug, Bugs};
use crate::lease::Lessor;

/// In [`Bucket::Meta`]: the revisions of the last compaction that was begun, and of the last that
/// came to its end.
const SCHEDULED: &[u8] = b"scheduledCompactRev";
const FINISHED: &[u8] = b"finishedCompactRev";

/// Pairs that are read at once where all are read.
const CHUNK: usize = 1000;

/// How long readers wait for [`Store::restore`] after [`Backend::replace`].
const RESTORED_WITHIN: Duration = Duration::from_secs(30);

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
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// All changes of one revision. In `Event`, `prev_kv` is empty. The store is at `rev` already:
    /// whoever reads it meanwhile sees these changes, too.
    fn changed(&self, rev: i64, events: &[Event]);
    /// The store has been replaced by a snapshot and is at this revision.
    fn restored(&self, rev: i64);
}

/// The store.
pub struct Store {
    inner: Arc<Inner>,
    compactor: Compactor,
}

/// What the compacting thread shares.
struct Inner {
    backend: Backend,
    lessor: Arc<Lessor>,
    options: Options,
    state: RwLock<State>,
    observer: OnceLock<Arc<dyn Observer>>,
    hashes: Mutex<Hashes>,
    /// Whether there was data when it was opened.
    restarted: AtomicBool,
}

impl Inner {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("the state's lock")
    }

    fn change_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("the state's lock")
    }

    fn hashes(&self) -> MutexGuard<'_, Hashes> {
        self.hashes.lock().expect("the hashes' lock")
    }

    /// Planted hash-skips: after a restart, hashes leave out the first pair. The right code never
    /// leaves one out.
    fn hash_skips(&self) -> bool {
        self.options.bugs.has(Bug::HashSkips) && self.restarted.load(Ordering::Relaxed)
    }

    /// Calls `each` with every pair, key and value, of revisions from `min` on and before `max`.
    fn scan(&self, min: i64, max: i64, mut each: impl FnMut(&[u8], &[u8])) {
        let mut next = Revision::main(min.max(0));
        let end = Revision::main(max.max(0)).to_key();
        loop {
            let pairs = self
                .backend
                .range(BUCKET, &next.to_key(), Some(&end), CHUNK);
            for (key, value) in &pairs {
                each(key, value);
                next = decode_key(key).next();
            }
            if pairs.len() < CHUNK {
                return;
            }
        }
    }
}

impl Store {
    /// Reads the backend: current revision, index, keys' leases; goes on with a compaction that was
    /// scheduled and not finished.
    #[must_use]
    pub fn open(backend: Backend, lessor: Arc<Lessor>, options: Options) -> Arc<Self> {
        let inner = Arc::new(Inner {
            backend,
            lessor,
            options,
            state: RwLock::default(),
            observer: OnceLock::new(),
            hashes: Mutex::default(),
            restarted: AtomicBool::new(false),
        });
        let store = Arc::new(Self {
            compactor: Compactor::start(Arc::clone(&inner)),
            inner,
        });
        let data = store.read_backend();
        store.inner.restarted.store(data, Ordering::Relaxed);
        store
    }

    /// Gives whether there was any pair.
    fn read_backend(&self) -> bool {
        let restored = restore::restore(&self.inner, &mut self.inner.change_state());
        if let Some(rev) = restored.unfinished {
            match self.compact(rev) {
                Ok(_) => crate::info!("resume scheduled compaction", "revision": rev),
                Err(error) => {
                    crate::warning!("compaction encountered error", "error": error.message());
                }
            }
        }
        restored.data
    }

    /// Who is told of changes. Once, before the first write.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let first = self.inner.observer.set(observer).is_ok();
        assert!(first, "the store has an observer");
    }

    /// The current revision; 1 when empty.
    #[must_use]
    pub fn rev(&self) -> i64 {
        self.inner.state().rev
    }

    /// The revision up to which history is compacted; -1 when never.
    #[must_use]
    pub fn compact_rev(&self) -> i64 {
        self.inner.state().compact_rev
    }

    /// Reads. `end` as in etcd: empty for one key, `[0]` for all from `key` on.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn range(
        &self,
        key: &[u8],
        end: &[u8],
        options: RangeOptions,
    ) -> Result<RangeResult, Error> {
        let began = Instant::now();
        loop {
            let state = self.inner.state();
            let fetch = |keys: &[[u8; 17]]| self.inner.backend.get_all(BUCKET, keys);
            match state.read(Keys { key, end }, options, state.rev, fetch) {
                Ok(result) => return Ok(result),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Missing(revision)) => {
                    let replaced = state.generation != self.inner.backend.generation();
                    if !replaced || began.elapsed() > RESTORED_WITHIN {
                        missing(revision);
                    }
                }
            }
            // The database has been replaced and is still to be read.
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Every change with `min <= revision < max` (0: to the last) to keys in the range, in order,
    /// tombstones included (their `kv` has key and mod revision only). `prev_kv` is empty.
    ///
    /// A compaction may begin meanwhile, or a snapshot replace everything: nothing is missing if
    /// [`compact_rev`](Self::compact_rev) is not above `min` afterwards.
    #[must_use]
    pub fn changes(&self, key: &[u8], end: &[u8], min: i64, max: i64) -> Vec<Event> {
        let keys = Keys { key, end };
        self.of_one_database(|| {
            let (next, generation) = {
                let state = self.inner.state();
                (state.rev + 1, state.generation)
            };
            let max = if max > 0 { max.min(next) } else { next };
            (generation, self.changes_once(keys, min, max))
        })
    }

    fn changes_once(&self, keys: Keys<'_>, min: i64, max: i64) -> Vec<Event> {
        let mut events = Vec::new();
        self.inner.scan(min, max, |stored, value| {
            let mut kv = decode(value);
            if !keys.contains(&kv.key) {
                return;
            }
            let kind = if is_tombstone(stored) {
                kv.mod_revision = decode_key(stored).main;
                EventType::Delete
            } else {
                EventType::Put
            };
            events.push(Event {
                r#type: kind.into(),
                kv: Some(kv),
                prev_kv: None,
            });
        });
        events
    }

    /// Reads until the database is, afterwards, still the one of the generation that `read` went
    /// by: between [`Backend::replace`] and [`Store::restore`] it is not the one that is known in
    /// memory.
    fn of_one_database<R>(&self, read: impl Fn() -> (u64, R)) -> R {
        let began = Instant::now();
        loop {
            let (generation, result) = read();
            if generation == self.inner.backend.generation() {
                return result;
            }
            if began.elapsed() > RESTORED_WITHIN {
                crate::fatal!("the database was replaced and is not read");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Begins a write transaction.
    #[must_use]
    pub fn write(&self) -> WriteTxn<'_> {
        WriteTxn::begin(&self.inner)
    }

    /// Compacts up to `rev`: from now on older revisions cannot be read, and a thread of its own
    /// deletes them in batches. The receiver gets a message when they are gone, and an error when
    /// the store is dropped or replaced before that.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn compact(&self, rev: i64) -> Result<oneshot::Receiver<()>, Error> {
        let inner = &self.inner;
        let mut batch = inner.backend.batch();
        let whole = restore::marker(inner, SCHEDULED) == restore::marker(inner, FINISHED);
        let (previous, generation) = {
            let mut state = inner.change_state();
            if rev <= state.compact_rev {
                return Err(Error::Compacted);
            }
            if rev > state.rev {
                return Err(Error::FutureRev);
            }
            let previous = std::mem::replace(&mut state.compact_rev, rev);
            (previous, state.generation)
        };
        batch.put(Bucket::Meta, SCHEDULED, &Revision::main(rev).to_key());
        drop(batch);
        fail_point!("compactBeforeCommitScheduledCompact");
        inner.backend.force_commit();
        fail_point!("compactAfterCommitScheduledCompact");
        let (done, receiver) = oneshot::channel();
        self.compactor.schedule(Job {
            rev,
            previous,
            whole,
            generation,
            done,
        });
        Ok(receiver)
    }

    /// A hash of all pairs up to `rev` (0: the current one) that compaction would keep, equal to
    /// etcd 3.5's. As of the revision of one of the last compactions, what that compaction hashed.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn hash_kv(&self, rev: i64) -> Result<KvHash, Error> {
        self.of_one_database(|| self.hash_once(rev))
    }

    /// Gives the generation of what was hashed, too.
    fn hash_once(&self, rev: i64) -> (u64, Result<KvHash, Error>) {
        let inner = &self.inner;
        let known = inner.hashes().get(rev);
        // No compaction can begin while this is held; one that runs removes only what is not kept.
        let state = inner.state();
        if let Some(known) = known {
            return (state.generation, Ok(known.answer(state.rev)));
        }
        if rev > 0 && rev < state.compact_rev {
            return (state.generation, Err(Error::Compacted));
        }
        if rev > state.rev {
            return (state.generation, Err(Error::FutureRev));
        }
        let rev = if rev == 0 { state.rev } else { rev };
        let keep = state.index.keep(rev);
        let mut hasher = Hasher::new(state.compact_rev, rev, &keep, inner.hash_skips());
        inner.scan(0, rev.max(-1) + 1, |key, value| {
            hasher.write(key, value, decode_key(key));
        });
        (state.generation, Ok(hasher.finish().answer(state.rev)))
    }

    /// Reads everything anew after [`Backend::replace`].
    pub fn restore(&self) {
        self.read_backend();
        if let Some(observer) = self.inner.observer.get() {
            observer.restored(self.rev());
        }
    }
}

/// The index has a revision that the database does not have: nothing that is read can be trusted.
fn missing(revision: Revision) -> ! {
    crate::fatal!(
        "range failed to find revision pair",
        "revision-main": revision.main,
        "revision-sub": revision.sub,
    )
}
