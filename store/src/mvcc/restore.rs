use std::collections::BTreeMap;

use super::read::{State, decode, decode_key};
use super::revision::{BUCKET, Revision, is_tombstone};
use super::{FINISHED, Inner, SCHEDULED};
use crate::backend::Bucket;
use crate::bugs::Bug;

/// Pairs that are read at once.
const CHUNK: usize = 10_000;

/// What was found.
pub(super) struct Restored {
    /// Whether there was any pair.
    pub(super) data: bool,
    /// A compaction that was scheduled and did not finish.
    pub(super) unfinished: Option<i64>,
}

/// Reads the backend into `state`, as etcd's restore (server/mvcc/kvstore.go), and attaches keys to
/// their leases.
pub(super) fn restore(store: &Inner, state: &mut State) -> Restored {
    *state = State {
        generation: store.backend.generation(),
        ..State::default()
    };
    let finished = marker(store, FINISHED);
    let scheduled = marker(store, SCHEDULED);
    state.compact_rev = finished.unwrap_or(state.compact_rev);

    let mut leases = BTreeMap::new();
    let mut next = Revision::main(1);
    let mut data = false;
    loop {
        let pairs = store.backend.range(BUCKET, &next.to_key(), None, CHUNK);
        for (stored, value) in &pairs {
            let revision = decode_key(stored);
            let kv = decode(value);
            next = revision.next();
            state.rev = revision.main;
            if is_tombstone(stored) || kv.lease == 0 {
                leases.remove(&kv.key);
            } else {
                leases.insert(kv.key.clone(), kv.lease);
            }
            restore_pair(store, state, is_tombstone(stored), revision, kv);
        }
        data |= !pairs.is_empty();
        if pairs.len() < CHUNK {
            break;
        }
    }

    // Compaction may have removed the last revisions.
    state.rev = state.rev.max(state.compact_rev);
    // Planted #17780: a compaction that was cut off does not count, though it may have removed
    // them, too, so that the revision falls. The right code counts it.
    if !store.options.bugs.has(Bug::RevisionFalls) {
        state.rev = state.rev.max(scheduled.unwrap_or_default());
    }
    for (key, lease) in leases {
        store.lessor.attach(lease, &key);
    }
    crate::info!("kvstore restored", "current-rev": state.rev);
    Restored {
        data,
        unfinished: scheduled.filter(|scheduled| *scheduled > state.compact_rev),
    }
}

fn restore_pair(
    store: &Inner,
    state: &mut State,
    tombstone: bool,
    revision: Revision,
    kv: api::pb::mvccpb::KeyValue,
) {
    let index = &mut state.index;
    if !tombstone {
        index.restore(kv.key, revision, kv.create_revision, kv.version);
    } else if !index.restore_tombstone(kv.key, revision, store.options.bugs) {
        crate::warning!("tombstone of a deleted key", "revision": revision.main);
    }
}

/// One of the markers that a compaction leaves.
pub(super) fn marker(store: &Inner, name: &[u8]) -> Option<i64> {
    let value = store.backend.get(Bucket::Meta, name)?;
    Some(decode_key(&value).main)
}
