use api::pb::mvccpb::event::EventType;
use api::pb::mvccpb::{Event, KeyValue};
use prost::Message as _;

use super::index::Keys;
use super::read::Failure;
use super::revision::{BUCKET, Revision};
use super::{Inner, RangeOptions, RangeResult};
use crate::Error;
use crate::backend::Batch;

/// A write transaction: all its changes have one revision, the next one. Others wait. Dropping it
/// ends it.
pub struct WriteTxn<'a> {
    store: &'a Inner,
    batch: Batch<'a>,
    /// The revision that it began at.
    begin: i64,
    events: Vec<Event>,
}

impl<'a> WriteTxn<'a> {
    pub(super) fn begin(store: &'a Inner) -> Self {
        let batch = store.backend.batch();
        Self {
            store,
            batch,
            begin: store.state().rev,
            events: Vec::new(),
        }
    }

    /// The backend transaction that its changes go to.
    pub fn batch(&mut self) -> &mut Batch<'a> {
        &mut self.batch
    }
}

impl WriteTxn<'_> {
    /// Reads, this transaction's own changes included.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`].
    pub fn range(
        &self,
        key: &[u8],
        end: &[u8],
        options: RangeOptions,
    ) -> Result<RangeResult, Error> {
        let state = self.store.state();
        let fetch = |keys: &[[u8; 17]]| {
            let values = keys.iter().map(|key| self.batch.get(BUCKET, key));
            values.collect()
        };
        match state.read(Keys { key, end }, options, self.rev(), fetch) {
            Ok(result) => Ok(result),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Missing(revision)) => super::missing(revision),
        }
    }

    /// Writes a pair, and moves the key to `lease` (0: none). Gives the transaction's revision.
    pub fn put(&mut self, key: &[u8], value: &[u8], lease: i64) -> i64 {
        let revision = self.next();
        let mut state = self.store.change_state();
        let known = state.index.get(key, revision.main);
        let kv = KeyValue {
            key: key.to_vec(),
            value: value.to_vec(),
            create_revision: known.map_or(revision.main, |known| known.created.main),
            mod_revision: revision.main,
            version: known.map_or(0, |known| known.version) + 1,
            lease,
        };
        self.batch
            .put(BUCKET, &revision.to_key(), &kv.encode_to_vec());
        state.index.put(key, revision);
        drop(state);
        if known.is_some() {
            self.detach(key);
        }
        if lease != 0 {
            self.store.lessor.attach(lease, key);
        }
        self.changed(EventType::Put, kv);
        revision.main
    }

    /// Deletes keys. Gives how many there were, and the revision after it.
    pub fn delete_range(&mut self, key: &[u8], end: &[u8]) -> (i64, i64) {
        let keys: Vec<_> = {
            let state = self.store.state();
            let keys = state.index.range(Keys { key, end }, self.rev());
            keys.map(|(key, _)| key.to_vec()).collect()
        };
        let deleted = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        for key in keys {
            self.delete(key);
        }
        (deleted, self.rev())
    }

    fn delete(&mut self, key: Vec<u8>) {
        let revision = self.next();
        let stored = KeyValue {
            key: key.clone(),
            ..KeyValue::default()
        };
        self.batch.put(
            BUCKET,
            &revision.to_tombstone_key(),
            &stored.encode_to_vec(),
        );
        let there = self.store.change_state().index.tombstone(&key, revision);
        assert!(there, "a key that was found is gone");
        self.detach(&key);
        let kv = KeyValue {
            key,
            mod_revision: revision.main,
            ..KeyValue::default()
        };
        self.changed(EventType::Delete, kv);
    }

    fn detach(&self, key: &[u8]) {
        let lease = self.store.lessor.lease_of(key);
        if lease != 0 {
            self.store.lessor.detach(lease, key);
        }
    }

    fn changed(&mut self, kind: EventType, kv: KeyValue) {
        self.events.push(Event {
            r#type: kind.into(),
            kv: Some(kv),
            prev_kv: None,
        });
    }

    /// Where its next change belongs.
    fn next(&self) -> Revision {
        Revision {
            main: self.begin + 1,
            sub: i64::try_from(self.events.len()).unwrap_or(i64::MAX),
        }
    }

    /// The current revision: the transaction's own if it has changed anything.
    #[must_use]
    pub fn rev(&self) -> i64 {
        self.begin + i64::from(!self.events.is_empty())
    }

    /// Ends it: the revision counts, observers are told.
    pub fn end(self) {}
}

impl Drop for WriteTxn<'_> {
    /// Readers see the pairs before the revision counts, and the revision counts before observers
    /// hear of it: whoever catches up from the store in between finds all of it there.
    fn drop(&mut self) {
        if self.events.is_empty() || std::thread::panicking() {
            return;
        }
        self.batch.write_back();
        let rev = self.rev();
        self.store.change_state().rev = rev;
        if let Some(observer) = self.store.observer.get() {
            observer.changed(rev, &self.events);
        }
    }
}
