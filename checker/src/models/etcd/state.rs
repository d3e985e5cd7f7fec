//! The store's state, and what requests do to it.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use super::map::Map;
use crate::history::{Bytes, DeleteRequest, KeyValue, PutRequest, RangeRequest, Request};
use crate::model::{Answer, RangeAnswer, Refusal, Store, bounds};

/// A key-value that hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry(pub(super) Arc<KeyValue>);

impl Hash for Entry {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let kv = &self.0;
        let numbers = (kv.create_revision, kv.mod_revision, kv.version, kv.lease);
        (&kv.key, &kv.value, numbers).hash(hasher);
    }
}

pub(super) type Keys = Map<Bytes, Entry>;

/// A state of etcd's store: cheap to copy, compare and hash, whatever it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EtcdState {
    pub(super) revision: i64,
    pub(super) compacted: i64,
    pub(super) keys: Keys,
    leases: Arc<BTreeSet<i64>>,
    /// The keys at earlier revisions, as far as some answer shows them.
    pub(super) past: Map<i64, Keys>,
}

impl Default for EtcdState {
    fn default() -> Self {
        Self {
            revision: 1,
            compacted: -1,
            keys: Keys::default(),
            leases: Arc::default(),
            past: Map::default(),
        }
    }
}

impl From<&Store> for EtcdState {
    /// The state of a store. What it was at earlier revisions is not known.
    fn from(store: &Store) -> Self {
        let mut keys = Keys::default();
        for kv in store.key_values() {
            keys.insert(kv.key.clone(), Entry(Arc::new(KeyValue::clone(kv))));
        }
        Self {
            revision: store.revision(),
            compacted: store.compacted(),
            keys,
            leases: Arc::new(store.leases().map(|(id, _)| id).collect()),
            past: Map::default(),
        }
    }
}

impl EtcdState {
    /// The revision: 1 plus the number of requests that changed keys.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The key-value stored under a key.
    #[must_use]
    pub fn get(&self, key: &Bytes) -> Option<&KeyValue> {
        self.keys.get(key).map(|entry| &*entry.0)
    }

    /// The key-values, by key.
    pub fn key_values(&self) -> impl Iterator<Item = &KeyValue> {
        let all = self.keys.range((Bound::Unbounded, Bound::Unbounded));
        all.into_iter().map(|entry| &*entry.0)
    }

    /// The leases that are granted, by id.
    pub fn leases(&self) -> impl Iterator<Item = i64> {
        self.leases.iter().copied()
    }

    /// The state at an earlier revision, if that is kept.
    pub(super) fn at(&self, revision: i64) -> Option<Self> {
        let keys = if revision == self.revision {
            &self.keys
        } else {
            self.past.get(&revision)?
        };
        Some(Self {
            revision,
            keys: keys.clone(),
            ..self.clone()
        })
    }

    pub(super) fn select(&self, key: &Bytes, end: &Bytes) -> Vec<&Entry> {
        if end.is_empty() {
            return self.keys.get(key).into_iter().collect();
        }
        bounds(key, end).map_or_else(Vec::new, |bounds| self.keys.range(bounds))
    }

    pub(super) fn grant(&mut self, id: i64) -> Result<Answer, Refusal> {
        if id == 0 || !Arc::make_mut(&mut self.leases).insert(id) {
            return Err(Refusal::LeaseExists);
        }
        Ok(Answer::Done)
    }
}

/// One request being applied.
pub(super) struct Change<'s> {
    pub(super) state: &'s mut EtcdState,
    /// The keys before.
    pub(super) before: Keys,
    is_dirty: bool,
}

impl<'s> Change<'s> {
    pub(super) fn of(state: &'s mut EtcdState) -> Self {
        Self {
            before: state.keys.clone(),
            state,
            is_dirty: false,
        }
    }

    /// Applies a request as etcd would. After a refusal nothing is changed.
    pub(super) fn apply(mut self, request: &Request) -> Result<Answer, Refusal> {
        let answer = match request {
            Request::Range(range) => {
                self.check_range(range)?;
                self.range(range)
            }
            Request::Put(put) => {
                self.check_put(put)?;
                Answer::Put {
                    previous: self.put(put),
                }
            }
            Request::Delete(delete) => self.delete(delete),
            Request::Txn(txn) => self.txn(txn)?,
            Request::Compact { revision, .. } => self.compact(*revision)?,
            Request::LeaseGrant { id, .. } => self.state.grant(*id)?,
            Request::LeaseRevoke { id } => self.revoke(*id)?,
            _ => return Err(Refusal::NotModelled),
        };
        self.state.revision += i64::from(self.is_dirty);
        Ok(answer)
    }

    fn compact(&mut self, revision: i64) -> Result<Answer, Refusal> {
        if revision <= self.state.compacted {
            return Err(Refusal::Compacted);
        }
        if revision > self.state.revision {
            return Err(Refusal::FutureRevision);
        }
        self.state.compacted = revision;
        Ok(Answer::Done)
    }

    fn revoke(&mut self, id: i64) -> Result<Answer, Refusal> {
        if !Arc::make_mut(&mut self.state.leases).remove(&id) {
            return Err(Refusal::LeaseNotFound);
        }
        let all = self.before.range((Bound::Unbounded, Bound::Unbounded));
        for entry in all.into_iter().filter(|entry| entry.0.lease == id) {
            self.state.keys.remove(&entry.0.key);
            self.is_dirty = true;
        }
        Ok(Answer::Done)
    }

    pub(super) fn check_put(&self, put: &PutRequest) -> Result<(), Refusal> {
        if (put.ignore_value || put.ignore_lease) && self.state.keys.get(&put.key).is_none() {
            return Err(Refusal::KeyNotFound);
        }
        if put.lease != 0 && !self.state.leases.contains(&put.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        Ok(())
    }

    fn check_range(&self, range: &RangeRequest) -> Result<(), Refusal> {
        if range.revision > self.state.revision {
            Err(Refusal::FutureRevision)
        } else if range.revision > 0 && range.revision < self.state.compacted {
            Err(Refusal::Compacted)
        } else {
            Ok(())
        }
    }

    /// Writes at the next revision; returns the key-value before, where asked for.
    pub(super) fn put(&mut self, put: &PutRequest) -> Option<Rc<KeyValue>> {
        let at = self.state.revision + 1;
        let old = self.state.keys.get(&put.key).map(|entry| entry.0.clone());
        let mut new = KeyValue {
            key: put.key.clone(),
            create_revision: at,
            mod_revision: at,
            version: 1,
            value: put.value.clone(),
            lease: put.lease,
        };
        if let Some(old) = &old {
            new.create_revision = old.create_revision;
            new.version = old.version + 1;
            if put.ignore_lease {
                new.lease = old.lease;
            }
            if put.ignore_value {
                new.value = old.value.clone();
            }
        }
        self.state
            .keys
            .insert(put.key.clone(), Entry(Arc::new(new)));
        self.is_dirty = true;
        old.filter(|_| put.prev_kv).map(shared)
    }

    pub(super) fn delete(&mut self, delete: &DeleteRequest) -> Answer {
        let gone: Vec<Entry> = self
            .state
            .select(&delete.key, &delete.range_end)
            .into_iter()
            .cloned()
            .collect();
        for entry in &gone {
            self.state.keys.remove(&entry.0.key);
            self.is_dirty = true;
        }
        let deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        let previous = gone.into_iter().filter(|_| delete.prev_kv);
        Answer::Delete {
            deleted,
            previous: previous.map(|entry| shared(entry.0)).collect(),
        }
    }

    /// A range whose revision has been judged.
    pub(super) fn range(&self, range: &RangeRequest) -> Answer {
        let revision = range.revision;
        if revision <= 0 || (revision == self.state.revision && !self.is_dirty) {
            return Answer::Range(show(range, self.state));
        }
        let keys = if revision == self.state.revision {
            Some(&self.before)
        } else {
            self.state.past.get(&revision)
        };
        match keys {
            None => Answer::Elsewhen { revision },
            Some(keys) => {
                let then = EtcdState {
                    keys: keys.clone(),
                    ..EtcdState::default()
                };
                Answer::Range(show(range, &then))
            }
        }
    }
}

fn shared(kv: Arc<KeyValue>) -> Rc<KeyValue> {
    Rc::new(Arc::unwrap_or_clone(kv))
}

/// A range over the newest keys of a state.
fn show(range: &RangeRequest, state: &EtcdState) -> RangeAnswer {
    let all = state.select(&range.key, &range.range_end);
    let mut answer = RangeAnswer {
        kvs: Vec::new(),
        kept: 0,
        count: i64::try_from(all.len()).unwrap_or(i64::MAX),
        sorted_by: range.sort_target,
        keys_only: range.keys_only,
    };
    if range.count_only {
        return answer;
    }
    let within =
        |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    let mut kvs: Vec<_> = all
        .into_iter()
        .map(|entry| entry.0.clone())
        .filter(|kv| {
            within(
                kv.mod_revision,
                range.min_mod_revision,
                range.max_mod_revision,
            )
        })
        .filter(|kv| {
            let (min, max) = (range.min_create_revision, range.max_create_revision);
            within(kv.create_revision, min, max)
        })
        .collect();
    kvs.sort_by(|a, b| answer.compare(a, b));
    if range.sort_order == crate::history::SortOrder::Descend {
        kvs.sort_by(|a, b| answer.compare(b, a));
    }
    let limit = usize::try_from(range.limit).ok().filter(|limit| *limit > 0);
    answer.kept = kvs.len().min(limit.unwrap_or(usize::MAX));
    answer.kvs = kvs.into_iter().map(shared).collect();
    answer
}
