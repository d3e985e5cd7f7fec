use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, TableError,
};

use super::commit::begin;
use super::{BackendError, Bucket};

/// Pairs in one transaction of a copy, as etcd's defragLimit.
const CHUNK: usize = 10_000;

/// Of the file's pages, at most so many bytes are kept in memory.
const CACHE: usize = 128 << 20;

/// Opens or creates a database with all its buckets, and verifies what is in it.
pub(super) fn open_database(path: &Path) -> Result<Database, BackendError> {
    let failed = |error: redb::Error| BackendError::new("opening the database", path, error);
    let database = Builder::new()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .create(path)
        .map_err(|error| failed(error.into()))?;
    create_buckets(&database).map_err(failed)?;
    sync_directory(path)?;
    Ok(database)
}

fn create_buckets(database: &Database) -> Result<(), redb::Error> {
    let present = database.begin_read()?;
    let mut missing = Vec::new();
    for bucket in Bucket::ALL {
        match present.open_table(bucket.table()) {
            Ok(_) => {}
            Err(TableError::TableDoesNotExist(_)) => missing.push(bucket),
            Err(error) => return Err(error.into()),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = begin(database)?;
    for bucket in missing {
        transaction.open_table(bucket.table())?;
    }
    Ok(transaction.commit()?)
}

/// Makes a new name last.
pub(super) fn sync_directory(path: &Path) -> Result<(), BackendError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| BackendError::new("syncing", directory, error))
}

/// The database as of its last commit.
pub(super) struct Source {
    transaction: ReadTransaction,
    path: PathBuf,
}

impl Source {
    pub(super) fn begin(database: &Database, path: &Path) -> Result<Self, BackendError> {
        let transaction = database
            .begin_read()
            .map_err(|error| BackendError::new("reading", path, error))?;
        Ok(Self {
            transaction,
            path: path.to_owned(),
        })
    }

    /// Copies all pairs to a new file, synced with its name.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), BackendError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(BackendError::new("removing", path, error));
            }
            _ => {}
        }
        let copy = open_database(path)?;
        self.fill(&copy)
            .map_err(|error| BackendError::new("copying the database to", path, error))?;
        copy.close()
            .map_err(|error| BackendError::new("closing", path, error))
    }

    fn fill(&self, copy: &Database) -> Result<(), redb::Error> {
        for bucket in Bucket::ALL {
            let from = self.transaction.open_table(bucket.table())?;
            let mut pairs = from.iter()?.peekable();
            while pairs.peek().is_some() {
                let transaction = begin(copy)?;
                let mut to = transaction.open_table(bucket.table())?;
                for pair in pairs.by_ref().take(CHUNK) {
                    let (key, value) = pair?;
                    to.insert(key.value(), value.value())?;
                }
                drop(to);
                transaction.commit()?;
            }
        }
        Ok(())
    }

    /// See [`super::Backend::hash`].
    pub(super) fn hash(&self) -> Result<u32, BackendError> {
        self.hash_buckets()
            .map_err(|error| BackendError::new("reading", &self.path, error))
    }

    fn hash_buckets(&self) -> Result<u32, redb::Error> {
        let mut hash = 0;
        for bucket in Bucket::ALL {
            hash = crc32c::crc32c_append(hash, bucket.name().as_bytes());
            for pair in self.transaction.open_table(bucket.table())?.iter()? {
                let (key, value) = pair?;
                let key = key.value();
                if bucket == Bucket::Meta && (key == b"consistent_index" || key == b"term") {
                    continue;
                }
                hash = crc32c::crc32c_append(hash, key);
                hash = crc32c::crc32c_append(hash, value.value());
            }
        }
        Ok(hash)
    }

    /// The bytes of all pages that hold pairs.
    pub(super) fn size(&self) -> Result<i64, BackendError> {
        let mut bytes = 0;
        for bucket in Bucket::ALL {
            bytes += self
                .transaction
                .open_table(bucket.table())
                .map_err(redb::Error::from)
                .and_then(|table| Ok(table.stats()?))
                .map(|stats| {
                    stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes()
                })
                .map_err(|error| BackendError::new("reading", &self.path, error))?;
        }
        Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}
