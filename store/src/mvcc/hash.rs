use std::collections::HashSet;

use super::KvHash;
use super::revision::{BUCKET, Revision, is_tombstone};

/// How many hashes that compactions made are kept.
const MOST: usize = 10;

/// The hash of all pairs that a store has at a revision, as in etcd's server/mvcc/hash.go at
/// v3.5.16: a CRC-32C of the bucket's name, then of keys and values as they lie in the database.
pub(super) struct Hasher<'a> {
    crc: u32,
    compact_rev: i64,
    rev: i64,
    keep: &'a HashSet<Revision>,
    skip: bool,
}

impl<'a> Hasher<'a> {
    /// As of `rev`; of what is not later than `compact_rev`, only `keep` counts. `skip`: the first
    /// pair is left out.
    pub(super) fn new(compact_rev: i64, rev: i64, keep: &'a HashSet<Revision>, skip: bool) -> Self {
        Self {
            crc: crc32c::crc32c(BUCKET.name().as_bytes()),
            compact_rev,
            rev,
            keep,
            skip,
        }
    }

    pub(super) fn write(&mut self, key: &[u8], value: &[u8], revision: Revision) {
        if revision.main > self.rev {
            return;
        }
        let compacted = revision.main <= self.compact_rev
            && !self.keep.is_empty()
            && !self.keep.contains(&revision);
        // Releases before 3.5.16 did not keep it.
        let tombstone = revision.main == self.compact_rev && is_tombstone(key);
        if compacted || tombstone || std::mem::take(&mut self.skip) {
            return;
        }
        self.crc = crc32c::crc32c_append(self.crc, key);
        self.crc = crc32c::crc32c_append(self.crc, value);
    }

    pub(super) fn finish(self) -> Hashed {
        Hashed {
            hash: self.crc,
            compact_rev: self.compact_rev,
            rev: self.rev,
        }
    }
}

/// What a hasher found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    hash: u32,
    compact_rev: i64,
    rev: i64,
}

impl Hashed {
    pub(super) fn answer(self, current: i64) -> KvHash {
        KvHash {
            hash: self.hash,
            rev: current,
            compact_rev: self.compact_rev,
            hash_rev: self.rev,
        }
    }
}

/// The hashes of the last compactions, as of their revisions: they cover what the compactions
/// removed, so that members can be compared however far each has compacted.
#[derive(Default)]
pub(super) struct Hashes(Vec<Hashed>);

impl Hashes {
    pub(super) fn get(&self, rev: i64) -> Option<Hashed> {
        self.0.iter().find(|hashed| hashed.rev == rev).copied()
    }

    pub(super) fn add(&mut self, hashed: Hashed) {
        self.0.push(hashed);
        self.0.sort_by_key(|hashed| hashed.rev);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }
}
