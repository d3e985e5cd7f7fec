use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};

use redb::{Database, ReadableDatabase as _};

use super::pending::Pending;
use super::{Bucket, Pair, Shared};

/// What readers see: pending writes over the last commit.
pub(super) struct View {
    pub(super) database: Arc<Database>,
    pub(super) pending: Pending,
    pub(super) generation: u64,
}

impl View {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database: Arc::new(database),
            pending: Pending::default(),
            generation: 0,
        }
    }

    pub(super) fn replace(&mut self, database: Database) {
        self.database = Arc::new(database);
        self.pending = Pending::default();
        self.generation += 1;
    }

    pub(super) fn get(&self, bucket: Bucket, key: &[u8]) -> Option<Vec<u8>> {
        self.get_all(bucket, &[key]).pop().flatten()
    }

    pub(super) fn get_all<K: AsRef<[u8]>>(
        &self,
        bucket: Bucket,
        keys: &[K],
    ) -> Vec<Option<Vec<u8>>> {
        self.found(bucket, keys)
            .unwrap_or_else(|error| failed_to_read(&error))
    }

    pub(super) fn range(
        &self,
        bucket: Bucket,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Vec<Pair> {
        self.merged(bucket, start, end, limit)
            .unwrap_or_else(|error| failed_to_read(&error))
    }

    fn found<K: AsRef<[u8]>>(
        &self,
        bucket: Bucket,
        keys: &[K],
    ) -> Result<Vec<Option<Vec<u8>>>, redb::Error> {
        let mut table = None;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys.iter().map(AsRef::as_ref) {
            if let Some(pending) = self.pending.get(bucket, key) {
                values.push(pending);
                continue;
            }
            let table = match &table {
                Some(table) => table,
                None => table.insert(self.database.begin_read()?.open_table(bucket.table())?),
            };
            values.push(table.get(key)?.map(|value| value.value().to_vec()));
        }
        Ok(values)
    }

    fn merged(
        &self,
        bucket: Bucket,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, redb::Error> {
        let table = self.database.begin_read()?.open_table(bucket.table())?;
        let below = match end {
            Some(end) if end <= start => return Ok(Vec::new()),
            Some(end) => table.range(start..end)?,
            None => table.range(start..)?,
        };
        let below = below
            .map(|pair| pair.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())));
        Ok(self.pending.over(bucket, start, end, limit, below)?)
    }
}

/// Without its data a member cannot go on.
fn failed_to_read(error: &redb::Error) -> ! {
    crate::fatal!("failed to read the database", "error": error.to_string())
}

impl Shared {
    pub(super) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().expect("the view's lock")
    }

    pub(super) fn change_view(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().expect("the view's lock")
    }

    pub(super) fn database(&self) -> Arc<Database> {
        Arc::clone(&self.view().database)
    }
}
