use std::collections::HashSet;

use super::revision::Revision;

/// The revisions of one key, as in etcd's server/mvcc/key_index.go at v3.5.16: a generation for
/// each of its lives, of which all but the last end with a tombstone. The last is empty where the
/// key is deleted.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    modified: Revision,
    generations: Vec<Generation>,
}

#[derive(Debug, Default)]
struct Generation {
    created: Revision,
    version: i64,
    revisions: Vec<Revision>,
}

/// A key as it is at some revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) modified: Revision,
    pub(super) created: Revision,
    pub(super) version: i64,
}

impl KeyIndex {
    /// A key whose first change that is still known is this one.
    pub(super) fn restored(created: Revision, modified: Revision, version: i64) -> Self {
        Self {
            modified,
            generations: vec![Generation {
                created,
                version,
                revisions: vec![modified],
            }],
        }
    }

    /// A key of which no more than its deletion is known.
    pub(super) fn restored_tombstone(deleted: Revision) -> Self {
        let mut index = Self::restored(Revision::default(), deleted, 1);
        index.generations.push(Generation::default());
        index
    }

    pub(super) fn put(&mut self, revision: Revision) {
        assert!(
            revision > self.modified,
            "a put at {revision:?}, after one at {:?}",
            self.modified
        );
        if self.generations.is_empty() {
            self.generations.push(Generation::default());
        }
        let generation = self.generations.last_mut().expect("there is one");
        if generation.revisions.is_empty() {
            generation.created = revision;
        }
        generation.revisions.push(revision);
        generation.version += 1;
        self.modified = revision;
    }

    /// Gives whether there was something to delete.
    #[must_use]
    pub(super) fn tombstone(&mut self, revision: Revision) -> bool {
        let alive = self
            .generations
            .last()
            .is_some_and(|generation| !generation.revisions.is_empty());
        if alive {
            self.put(revision);
            self.generations.push(Generation::default());
        }
        alive
    }

    /// The key as of `at`; `None` when it does not exist then.
    pub(super) fn get(&self, at: i64) -> Option<Found> {
        let (last, ended) = self.generations.split_last()?;
        let generation = std::iter::once(last)
            .chain(ended.iter().rev())
            .find(|generation| {
                let first = generation.revisions.first();
                first.is_some_and(|first| first.main <= at)
            })?;
        let deleted = !std::ptr::eq(generation, last)
            && generation
                .revisions
                .last()
                .is_some_and(|tombstone| tombstone.main <= at);
        if deleted {
            return None;
        }
        let place = generation
            .revisions
            .iter()
            .rposition(|revision| revision.main <= at)?;
        let later = generation.revisions.len() - place - 1;
        Some(Found {
            modified: generation.revisions[place],
            created: generation.created,
            version: generation.version - i64::try_from(later).unwrap_or(i64::MAX),
        })
    }

    /// Forgets what a compaction at `at` removes, and adds to `kept` what it keeps: the last
    /// revision that is not later, even if that is a tombstone.
    pub(super) fn compact(&mut self, at: i64, kept: &mut HashSet<Revision>) {
        let (generation, place) = self.compacted(at);
        self.generations.drain(..generation);
        if let Some(place) = place {
            let revisions = &mut self.generations[0].revisions;
            kept.insert(revisions[place]);
            revisions.drain(..place);
        }
    }

    /// After [`compact`](Self::compact): forgets a tombstone that is all that is left of a life.
    pub(super) fn drop_tombstone(&mut self, kept: &mut HashSet<Revision>) {
        if let [ended, _, ..] = self.generations.as_slice()
            && let [tombstone] = ended.revisions[..]
        {
            kept.remove(&tombstone);
            self.generations.remove(0);
        }
    }

    /// Adds to `kept` what counts in a hash as of `at`: the last revision that is not later, unless
    /// it is a tombstone. That differs from [`compact`](Self::compact), since releases before
    /// 3.5.16 compacted such tombstones away and hashes have to be equal.
    pub(super) fn keep(&self, at: i64, kept: &mut HashSet<Revision>) {
        let (generation, place) = self.compacted(at);
        let Some(place) = place else {
            return;
        };
        let revisions = &self.generations[generation].revisions;
        let ended = generation + 1 != self.generations.len();
        if !(ended && place + 1 == revisions.len()) {
            kept.insert(revisions[place]);
        }
    }

    /// The first generation that a compaction at `at` keeps, and in it the place of the last
    /// revision that is not later.
    fn compacted(&self, at: i64) -> (usize, Option<usize>) {
        let last = self.generations.len() - 1;
        let generation = self.generations[..last]
            .iter()
            .position(|generation| {
                let tombstone = generation.revisions.last();
                tombstone.is_some_and(|tombstone| tombstone.main >= at)
            })
            .unwrap_or(last);
        let place = self.generations[generation]
            .revisions
            .iter()
            .rposition(|revision| revision.main <= at);
        (generation, place)
    }

    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.generations[..], [only] if only.revisions.is_empty())
    }
}
