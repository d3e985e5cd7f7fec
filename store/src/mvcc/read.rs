use prost::Message as _;

use super::index::{Index, Keys};
use super::revision::Revision;
use super::{RangeOptions, RangeResult};
use crate::Error;
use api::pb::mvccpb::KeyValue;

/// What the store knows in memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) index: Index,
    pub(super) rev: i64,
    pub(super) compact_rev: i64,
    /// The backend's, that all this was read from.
    pub(super) generation: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            index: Index::default(),
            rev: 1,
            compact_rev: -1,
            generation: 0,
        }
    }
}

/// Why there is no answer.
pub(super) enum Failure {
    Refused(Error),
    /// The database does not have what the index has.
    Missing(Revision),
}

impl State {
    /// Reads with `current` as the newest revision. `fetch` gives the values of revisions' keys.
    pub(super) fn read<K>(
        &self,
        keys: Keys<'_>,
        options: RangeOptions,
        current: i64,
        fetch: K,
    ) -> Result<RangeResult, Failure>
    where
        K: FnOnce(&[[u8; 17]]) -> Vec<Option<Vec<u8>>>,
    {
        if options.rev > current {
            return Err(Failure::Refused(Error::FutureRev));
        }
        let at = if options.rev > 0 {
            options.rev
        } else {
            current
        };
        if at < self.compact_rev {
            return Err(Failure::Refused(Error::Compacted));
        }
        let mut found = self.index.range(keys, at).map(|(_, found)| found.modified);
        let most = match usize::try_from(options.limit) {
            _ if options.count_only => 0,
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        };
        let revisions: Vec<_> = found.by_ref().take(most).collect();
        let count = revisions.len() + found.count();
        let stored: Vec<_> = revisions.iter().map(|revision| revision.to_key()).collect();
        let kvs = fetch(&stored)
            .into_iter()
            .zip(revisions)
            .map(|(value, revision)| match value {
                Some(value) => Ok(decode(&value)),
                None => Err(Failure::Missing(revision)),
            })
            .collect::<Result<_, _>>()?;
        Ok(RangeResult {
            kvs,
            count: i64::try_from(count).unwrap_or(i64::MAX),
            rev: current,
        })
    }
}

/// A stored pair. The process ends if it is none: the database is damaged.
pub(super) fn decode(value: &[u8]) -> KeyValue {
    KeyValue::decode(value).unwrap_or_else(
        |error| crate::fatal!("failed to unmarshal mvccpb.KeyValue", "error": error.to_string()),
    )
}

/// A stored key, as [`decode`].
pub(super) fn decode_key(key: &[u8]) -> Revision {
    Revision::from_key(key).unwrap_or_else(
        || crate::fatal!("failed to read a revision key", "key": format!("{key:?}")),
    )
}
