use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::ops::{Bound, RangeBounds};

use super::key_index::{Found, KeyIndex};
use super::revision::Revision;
use crate::bugs::{Bug, Bugs};

/// Keys as requests name them: one key if `end` is empty, all from `key` on if it is a zero byte,
/// those with `key <= k < end` otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) end: &'a [u8],
}

impl Keys<'_> {
    pub(crate) fn contains(self, key: &[u8]) -> bool {
        match self.end {
            [] => key == self.key,
            [0] => key >= self.key,
            end => key >= self.key && key < end,
        }
    }

    /// `None` when there can be no such key.
    fn bounds(&self) -> Option<impl RangeBounds<[u8]>> {
        let end = match self.end {
            [] => Bound::Included(self.key),
            [0] => Bound::Unbounded,
            end if end <= self.key => return None,
            end => Bound::Excluded(end),
        };
        Some((Bound::Included(self.key), end))
    }
}

/// All keys and their revisions, as in etcd's server/mvcc/index.go.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<Vec<u8>, KeyIndex>);

impl Index {
    pub(super) fn get(&self, key: &[u8], at: i64) -> Option<Found> {
        self.0.get(key)?.get(at)
    }

    /// The keys that exist at `at`, in order.
    pub(super) fn range(&self, keys: Keys<'_>, at: i64) -> impl Iterator<Item = (&[u8], Found)> {
        keys.bounds()
            .map(|bounds| self.0.range::<[u8], _>(bounds))
            .into_iter()
            .flatten()
            .filter_map(move |(key, index)| Some((key.as_slice(), index.get(at)?)))
    }

    pub(super) fn put(&mut self, key: &[u8], revision: Revision) {
        match self.0.get_mut(key) {
            Some(index) => index.put(revision),
            None => self.0.entry(key.to_vec()).or_default().put(revision),
        }
    }

    /// Gives whether there was something to delete.
    #[must_use]
    pub(super) fn tombstone(&mut self, key: &[u8], revision: Revision) -> bool {
        self.0
            .get_mut(key)
            .is_some_and(|index| index.tombstone(revision))
    }

    /// A pair that the database has, in the order of revisions.
    pub(super) fn restore(&mut self, key: Vec<u8>, revision: Revision, created: i64, version: i64) {
        match self.0.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().put(revision),
            Entry::Vacant(new) => {
                let created = Revision::main(created);
                new.insert(KeyIndex::restored(created, revision, version));
            }
        }
    }

    /// A tombstone that the database has. Gives whether it belongs there.
    #[must_use]
    pub(super) fn restore_tombstone(
        &mut self,
        key: Vec<u8>,
        revision: Revision,
        bugs: Bugs,
    ) -> bool {
        match self.0.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().tombstone(revision),
            // Planted #19179: a tombstone whose key's creation was compacted is not taken into the
            // index, so that the compaction that keeps it does not know it. The right code does.
            Entry::Vacant(_) if bugs.has(Bug::TombstoneRestored) => true,
            Entry::Vacant(new) => {
                new.insert(KeyIndex::restored_tombstone(revision));
                true
            }
        }
    }

    /// Forgets what a compaction at `at` removes; gives what it keeps of that time.
    pub(super) fn compact(&mut self, at: i64, bugs: Bugs) -> HashSet<Revision> {
        // #17780 needs this, too: where the tombstone stays, the revision does not fall.
        let drop_tombstones = bugs.has(Bug::TombstoneCompacted) || bugs.has(Bug::RevisionFalls);
        let mut kept = HashSet::new();
        self.0.retain(|_, index| {
            index.compact(at, &mut kept);
            if drop_tombstones {
                // Planted #18089: the tombstone at the compaction's own revision goes, too, though
                // that revision can still be watched. The right code stops before this.
                index.drop_tombstone(&mut kept);
            }
            !index.is_empty()
        });
        kept
    }

    /// What counts in a hash as of `at`.
    pub(super) fn keep(&self, at: i64) -> HashSet<Revision> {
        let mut kept = HashSet::new();
        for index in self.0.values() {
            index.keep(at, &mut kept);
        }
        kept
    }
}
