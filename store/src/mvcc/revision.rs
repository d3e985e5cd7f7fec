use crate::backend::Bucket;

/// A change: the revision that it belongs to, and its place among that revision's changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Revision {
    pub(super) main: i64,
    pub(super) sub: i64,
}

/// Where pairs are, by revision.
pub(super) const BUCKET: Bucket = Bucket::Key;

const LENGTH: usize = 8 + 1 + 8;
const TOMBSTONE: u8 = b't';

impl Revision {
    pub(super) fn main(main: i64) -> Self {
        Self { main, sub: 0 }
    }

    /// The one after it: no change's key lies between the two, tombstones included.
    pub(super) fn next(self) -> Self {
        Self {
            main: self.main,
            sub: self.sub + 1,
        }
    }

    /// As in etcd's server/mvcc/revision.go: both numbers in big-endian form around an underscore,
    /// so that keys are in the order of revisions.
    pub(super) fn to_key(self) -> [u8; LENGTH] {
        let mut key = [b'_'; LENGTH];
        key[..8].copy_from_slice(&self.main.to_be_bytes());
        key[9..].copy_from_slice(&self.sub.to_be_bytes());
        key
    }

    /// The key of a deletion is marked.
    pub(super) fn to_tombstone_key(self) -> [u8; LENGTH + 1] {
        let mut key = [TOMBSTONE; LENGTH + 1];
        key[..LENGTH].copy_from_slice(&self.to_key());
        key
    }

    /// `None` when it is no such key.
    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let (main, rest) = key.split_first_chunk()?;
        let (_, rest) = rest.split_first()?;
        Some(Self {
            main: i64::from_be_bytes(*main),
            sub: i64::from_be_bytes(*rest.first_chunk()?),
        })
    }
}

pub(super) fn is_tombstone(key: &[u8]) -> bool {
    key.len() == LENGTH + 1 && key[LENGTH] == TOMBSTONE
}
