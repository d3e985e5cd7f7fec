//! The store's state, its changes and their undoing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;

use super::Answer;
use crate::history::{Bytes, DeleteRequest, KeyValue, PutRequest, Request};

/// Why the store answers with an error. An error has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `ignore_value` or `ignore_lease` on a key that is not there.
    KeyNotFound,
    /// A put with, or a revocation of, a lease that is not there.
    LeaseNotFound,
    /// A grant of a lease id that is there, or of id 0, which the store would have replaced.
    LeaseExists,
    /// A revision below the compacted one; for a compaction, not above it.
    Compacted,
    /// A revision above the store's.
    FutureRevision,
    /// Not a request of the key-value or lease API, or one that leaves no trace in the model
    /// (keep-alive, time-to-live, watch).
    NotModelled,
}

impl Refusal {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::KeyNotFound => "the key is not there",
            Self::LeaseNotFound => "the lease is not there",
            Self::LeaseExists => "the lease is there already",
            Self::Compacted => "the revision is compacted",
            Self::FutureRevision => "the revision is in the future",
            Self::NotModelled => "not a request of the key-value or lease API",
        }
    }
}

/// A place in the store's history of changes, to return to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint(usize);

#[derive(Clone, Debug)]
enum Change {
    Key(Bytes, Option<Rc<KeyValue>>),
    Granted(i64),
    Revoked(i64),
    Attached(i64, Bytes),
    Detached(i64, Bytes),
    Revision(i64),
    Compacted(i64),
}

/// Versions of one key, oldest first: the revision, and the key-value from then on.
type Versions = Vec<(i64, Option<Rc<KeyValue>>)>;

/// The sequential store.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) revision: i64,
    pub(super) compacted: i64,
    pub(super) live: BTreeMap<Bytes, Rc<KeyValue>>,
    leases: BTreeMap<i64, BTreeSet<Bytes>>,
    pub(super) past: Option<BTreeMap<Bytes, Versions>>,
    /// Keys were changed, and the revision does not count it yet.
    pub(super) dirty: bool,
    log: Vec<Change>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store at revision 1 that forgets the past: ranges at an older revision are answered
    /// with [`Answer::Elsewhen`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            revision: 1,
            compacted: -1,
            live: BTreeMap::new(),
            leases: BTreeMap::new(),
            past: None,
            dirty: false,
            log: Vec::new(),
        }
    }

    /// An empty store that keeps every version, and so answers ranges at any revision. It cannot be
    /// rolled back.
    #[must_use]
    pub fn with_past() -> Self {
        Self {
            past: Some(BTreeMap::new()),
            ..Self::new()
        }
    }

    /// The revision: 1 plus the number of requests that changed keys.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision last compacted at; -1 before the first compaction.
    #[must_use]
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// The key-value stored under a key.
    #[must_use]
    pub fn get(&self, key: &Bytes) -> Option<&Rc<KeyValue>> {
        self.live.get(key)
    }

    /// The keys attached to a lease; none where there is no such lease.
    #[must_use]
    pub fn lease_keys(&self, lease: i64) -> Option<&BTreeSet<Bytes>> {
        self.leases.get(&lease)
    }

    /// All leases with the keys attached to them, by id.
    pub fn leases(&self) -> impl Iterator<Item = (i64, &BTreeSet<Bytes>)> {
        self.leases.iter().map(|(id, keys)| (*id, keys))
    }

    /// Every key-value, by key.
    pub fn key_values(&self) -> impl Iterator<Item = &Rc<KeyValue>> {
        self.live.values()
    }

    /// Applies a request as etcd would.
    ///
    /// # Errors
    ///
    /// What the store would refuse; nothing is changed then.
    pub fn apply(&mut self, request: &Request) -> Result<Answer, Refusal> {
        match request {
            Request::Range(range) => self.range(range),
            Request::Put(put) => {
                self.check_put(put)?;
                let previous = self.put(put);
                self.settle();
                Ok(Answer::Put {
                    previous: previous.filter(|_| put.prev_kv),
                })
            }
            Request::Delete(delete) => {
                let gone = self.delete(delete);
                self.settle();
                Ok(Answer::deleted(delete, gone))
            }
            Request::Txn(txn) => self.txn(txn),
            Request::Compact { revision, .. } => self.compact(*revision),
            Request::LeaseGrant { id, .. } => self.grant(*id),
            Request::LeaseRevoke { id } => self.revoke(*id),
            _ => Err(Refusal::NotModelled),
        }
    }

    fn compact(&mut self, revision: i64) -> Result<Answer, Refusal> {
        if revision <= self.compacted {
            return Err(Refusal::Compacted);
        }
        if revision > self.revision {
            return Err(Refusal::FutureRevision);
        }
        self.log.push(Change::Compacted(self.compacted));
        self.compacted = revision;
        Ok(Answer::Done)
    }

    /// Grants a lease by id.
    ///
    /// # Errors
    ///
    /// [`Refusal::LeaseExists`].
    pub fn grant(&mut self, id: i64) -> Result<Answer, Refusal> {
        if id == 0 || self.leases.contains_key(&id) {
            return Err(Refusal::LeaseExists);
        }
        self.leases.insert(id, BTreeSet::new());
        self.log.push(Change::Granted(id));
        Ok(Answer::Done)
    }

    /// Ends a lease, by revocation or expiry: every key attached to it goes at one revision.
    ///
    /// # Errors
    ///
    /// [`Refusal::LeaseNotFound`].
    pub fn revoke(&mut self, id: i64) -> Result<Answer, Refusal> {
        let keys = self.leases.get(&id).ok_or(Refusal::LeaseNotFound)?.clone();
        let at = self.revision + 1;
        for key in &keys {
            self.remove(key, at);
        }
        self.leases.remove(&id);
        self.log.push(Change::Revoked(id));
        self.settle();
        Ok(Answer::Done)
    }

    pub(super) fn check_put(&self, put: &PutRequest) -> Result<(), Refusal> {
        if (put.ignore_value || put.ignore_lease) && !self.live.contains_key(&put.key) {
            return Err(Refusal::KeyNotFound);
        }
        if put.lease != 0 && !self.leases.contains_key(&put.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        Ok(())
    }

    /// Writes at the next revision without adding to it; returns the key-value before.
    pub(super) fn put(&mut self, put: &PutRequest) -> Option<Rc<KeyValue>> {
        let at = self.revision + 1;
        let old = self.live.get(&put.key).cloned();
        let before = old.as_deref();
        let lease = match before {
            Some(before) if put.ignore_lease => before.lease,
            _ => put.lease,
        };
        let value = match before {
            Some(before) if put.ignore_value => before.value.clone(),
            _ => put.value.clone(),
        };
        let new = Rc::new(KeyValue {
            key: put.key.clone(),
            create_revision: before.map_or(at, |before| before.create_revision),
            mod_revision: at,
            version: before.map_or(1, |before| before.version + 1),
            value,
            lease,
        });
        self.detach(&put.key, before.map_or(0, |before| before.lease));
        if let Some(keys) = self.leases.get_mut(&lease) {
            keys.insert(put.key.clone());
            self.log.push(Change::Attached(lease, put.key.clone()));
        }
        self.keep(&put.key, at, Some(new.clone()));
        self.live.insert(put.key.clone(), new);
        self.log.push(Change::Key(put.key.clone(), old.clone()));
        self.dirty = true;
        old
    }

    /// Deletes at the next revision without adding to it; returns what is gone.
    pub(super) fn delete(&mut self, delete: &DeleteRequest) -> Vec<Rc<KeyValue>> {
        let at = self.revision + 1;
        let gone = self.select(&delete.key, &delete.range_end);
        for kv in &gone {
            self.remove(&kv.key, at);
        }
        gone
    }

    fn remove(&mut self, key: &Bytes, at: i64) {
        let Some(old) = self.live.remove(key) else {
            return;
        };
        self.detach(key, old.lease);
        self.keep(key, at, None);
        self.log.push(Change::Key(key.clone(), Some(old)));
        self.dirty = true;
    }

    fn detach(&mut self, key: &Bytes, lease: i64) {
        if let Some(keys) = self.leases.get_mut(&lease)
            && keys.remove(key)
        {
            self.log.push(Change::Detached(lease, key.clone()));
        }
    }

    fn keep(&mut self, key: &Bytes, at: i64, version: Option<Rc<KeyValue>>) {
        if let Some(past) = &mut self.past {
            past.entry(key.clone()).or_default().push((at, version));
        }
    }

    /// Counts the changes, if there were any.
    pub(super) fn settle(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.log.push(Change::Revision(self.revision));
            self.revision += 1;
        }
    }

    /// Where the history of changes stands.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.log.len())
    }

    /// How many changes can be undone.
    pub(crate) fn changes(&self) -> usize {
        self.log.len()
    }

    /// A number for the state of keys and leases; equal states have equal numbers.
    pub(crate) fn fingerprint(&self) -> u128 {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut sum = 0_u128;
        let mut add = |item: &dyn Fn(u8) -> u64| {
            sum ^= u128::from(item(1)) << 64 | u128::from(item(2));
        };
        for kv in self.live.values() {
            let KeyValue {
                key,
                create_revision,
                mod_revision,
                version,
                value,
                lease,
            } = &**kv;
            add(&|seed| {
                let fields = (key, create_revision, mod_revision, version, value, lease);
                hasher.hash_one((seed, fields))
            });
        }
        for lease in self.leases.keys() {
            add(&|seed| hasher.hash_one((seed, lease)));
        }
        sum
    }

    /// Keys changed since a checkpoint, in the order of change; a key may come up more than once.
    pub fn changed_since(&self, checkpoint: Checkpoint) -> impl Iterator<Item = &Bytes> {
        self.log[checkpoint.0..]
            .iter()
            .filter_map(|change| match change {
                Change::Key(key, _) => Some(key),
                _ => None,
            })
    }

    /// Undoes everything since a checkpoint.
    ///
    /// # Panics
    ///
    /// If the store keeps the past, or has forgotten the changes since.
    pub fn roll_back(&mut self, checkpoint: Checkpoint) {
        assert!(
            self.past.is_none(),
            "a store that keeps the past cannot be rolled back"
        );
        assert!(
            checkpoint.0 <= self.log.len(),
            "the changes since that checkpoint are forgotten"
        );
        while self.log.len() > checkpoint.0 {
            match self.log.pop().expect("longer than the checkpoint") {
                Change::Key(key, Some(old)) => {
                    self.live.insert(key, old);
                }
                Change::Key(key, None) => {
                    self.live.remove(&key);
                }
                Change::Granted(id) => {
                    self.leases.remove(&id);
                }
                Change::Revoked(id) => {
                    self.leases.insert(id, BTreeSet::new());
                }
                Change::Attached(id, key) => {
                    self.leases.entry(id).or_default().remove(&key);
                }
                Change::Detached(id, key) => {
                    self.leases.entry(id).or_default().insert(key);
                }
                Change::Revision(old) => self.revision = old,
                Change::Compacted(old) => self.compacted = old,
            }
        }
    }

    /// Forgets the changes so far: no older checkpoint may be rolled back to. Keeps memory bounded
    /// where nothing is ever undone.
    pub fn forget_changes(&mut self) {
        self.log.clear();
    }
}
