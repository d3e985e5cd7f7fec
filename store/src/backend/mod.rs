//! One database file under a batched transaction, as in etcd's server/mvcc/backend.
//!
//! Writes go to a buffer that every reader sees. A thread commits the buffer every batch interval,
//! and whoever fills it commits it at once; a commit is one durable transaction of the database
//! below. Readers look at the buffer over the last committed state, so that they do not wait for a
//! commit: until its end the buffer stays, and hides whether the state below has its writes yet.
//!
//! The database below is [redb](https://docs.rs/redb): one file, in Rust alone, transactions, and a
//! checksum on every page. It does not map the file into memory as bbolt does, so that bytes that a
//! disk lost or flipped are seen where they are read. Two settings follow from what a harness
//! does to files:
//!
//! * a commit has two phases (data, sync, the page that points to it, sync), so that after a kill
//!   or a loss of power the last commit stands, and a damaged one is told from a torn one;
//! * opening verifies every page, after a clean end too: a damaged file is refused, not served.
//!   That takes time by the size of the file, not by what was going on when it was left.

mod batch;
mod bucket;
mod commit;
mod copy;
mod defragment;
mod pending;
mod view;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

pub use self::batch::Batch;
use self::batch::Writer;
pub use self::bucket::Bucket;
use self::commit::Committer;
use self::view::View;
use crate::bugs::{Bug, Bugs};

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// What goes wrong below: I/O and corruption. The caller cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);

impl BackendError {
    fn new(doing: &str, path: &Path, error: impl std::fmt::Display) -> Self {
        Self(format!("{doing} {}: {error}", path.display()))
    }
}

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
///
/// When the last clone is dropped without [`close`](Self::close), what is pending is lost, as in a
/// crash.
#[derive(Clone)]
pub struct Backend {
    shared: Arc<Shared>,
    committer: Arc<Committer>,
}

/// What clones and the committing thread share. Locks are taken in this order.
struct Shared {
    path: PathBuf,
    options: Options,
    writer: Mutex<Writer>,
    view: RwLock<View>,
    hook: Mutex<Option<Arc<PreCommit>>>,
}

impl Backend {
    /// Opens or creates the file; removes what an unfinished defragmentation left beside it.
    ///
    /// # Errors
    /// When it cannot be opened, or is corrupt.
    pub fn open(path: &Path, options: Options) -> Result<Self, BackendError> {
        defragment::remove_leftovers(path)?;
        let database = copy::open_database(path)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            writer: Mutex::new(Writer::default()),
            view: RwLock::new(View::new(database)),
            hook: Mutex::new(None),
            options,
        });
        let committer = Arc::new(Committer::start(Arc::clone(&shared)));
        Ok(Self { shared, committer })
    }

    /// Sets what runs before every commit.
    pub fn set_pre_commit(&self, hook: PreCommit) {
        let _batch = self.batch();
        *self.shared.hook.lock().expect("the hook's lock") = Some(Arc::new(hook));
    }

    /// Locks the batch transaction.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch::lock(&self.shared)
    }

    /// A value, pending writes included.
    #[must_use]
    pub fn get(&self, bucket: Bucket, key: &[u8]) -> Option<Vec<u8>> {
        self.shared.view().get(bucket, key)
    }

    /// The values of several keys, in their order, all at the same time.
    #[must_use]
    pub fn get_all<K: AsRef<[u8]>>(&self, bucket: Bucket, keys: &[K]) -> Vec<Option<Vec<u8>>> {
        self.shared.view().get_all(bucket, keys)
    }

    /// As [`Batch::range`]; readers do not wait for a commit.
    #[must_use]
    pub fn range(
        &self,
        bucket: Bucket,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Vec<Pair> {
        self.shared.view().range(bucket, start, end, limit)
    }

    /// Commits what is pending, the hook's writes included.
    pub fn force_commit(&self) {
        self.batch().commit();
    }

    /// How often the whole database has been [replaced](Self::replace) since it was opened.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.view().generation
    }

    /// Commits, and copies the database as of now to a new file at `path`, synced.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), BackendError> {
        let database = {
            let mut batch = self.batch();
            batch.commit();
            copy::Source::begin(&self.shared.database(), &self.shared.path)?
        };
        database.copy_to(path)
    }

    /// Copies what is alive to a new file and renames that over the old one. Writers wait, readers
    /// do not.
    ///
    /// # Errors
    /// When the copy cannot be written; the old file then stays.
    pub fn defragment(&self) -> Result<(), BackendError> {
        defragment::run(&self.shared)
    }

    /// A CRC-32C of every bucket's pairs, pending ones committed before. The consistent index and
    /// the term are left out, as in etcd.
    #[must_use]
    pub fn hash(&self) -> u32 {
        self.force_commit();
        copy::Source::begin(&self.shared.database(), &self.shared.path)
            .and_then(|source| source.hash())
            .unwrap_or_else(|error| crate::fatal!("failed to hash", "error": error.0))
    }

    /// The file's size, in bytes.
    #[must_use]
    pub fn size(&self) -> i64 {
        match fs::metadata(&self.shared.path) {
            Ok(metadata) => i64::try_from(metadata.len()).unwrap_or(i64::MAX),
            Err(error) => {
                crate::warning!("failed to read the database's size", "error": error.to_string());
                0
            }
        }
    }

    /// The part of it that is in use, in bytes.
    #[must_use]
    pub fn size_in_use(&self) -> i64 {
        copy::Source::begin(&self.shared.database(), &self.shared.path)
            .and_then(|source| source.size())
            .unwrap_or_else(|error| crate::fatal!("failed to read sizes", "error": error.0))
    }

    /// Replaces the whole database by the file at `new` (a snapshot from a peer, on the same file
    /// system), which is renamed over the old one. Every clone sees the new content; what was
    /// pending is gone.
    ///
    /// # Errors
    /// When it cannot be renamed or opened.
    pub fn replace(&self, new: &Path) -> Result<(), BackendError> {
        // Planted #20271: the writers' lock, which a defragmentation holds from its copy to its
        // rename, is not taken. The right code waits for the defragmentation.
        let writer =
            (!self.shared.options.bugs.has(Bug::DefragSnapshot)).then(|| self.shared.lock_writer());
        let path = &self.shared.path;
        fs::rename(new, path).map_err(|error| BackendError::new("renaming to", path, error))?;
        copy::sync_directory(path)?;
        let database = copy::open_database(path)?;
        self.shared.change_view().replace(database);
        if let Some(mut writer) = writer {
            writer.pending = 0;
        }
        Ok(())
    }

    /// Commits, and commits no more: later writes are lost with the process. The file is free for
    /// others when the last clone is dropped.
    pub fn close(&self) {
        self.committer.stop();
        let mut batch = self.batch();
        batch.commit();
        batch.close();
    }
}
