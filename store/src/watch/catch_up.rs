//! The two threads behind the writer: one reads history for whoever is behind, one offers full
//! streams again what they had no room for.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::group::{Group, Window};
use crate::mvcc::Store;

/// The pause between two readings of history when nobody got further.
const SYNC_PAUSE: Duration = Duration::from_millis(100);
/// The pause between two offers to full streams.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
/// A window has at most so many revisions (etcd's `watchBatchMaxRevs`) …
const WINDOW_REVISIONS: i64 = 1000;
/// … and ends when it has so many bytes.
const WINDOW_BYTES: usize = 1 << 20;
/// It is read in steps of so many revisions.
const STEP: i64 = 50;

pub(super) fn start(store: &Arc<Store>, group: &Arc<Group>) -> Vec<JoinHandle<()>> {
    let (for_sync, for_retry, store) = (group.clone(), group.clone(), store.clone());
    let sync = Builder::new()
        .name("watch-sync".into())
        .spawn(move || sync(&store, &for_sync));
    let retry = Builder::new()
        .name("watch-retry".into())
        .spawn(move || retry(&for_retry));
    let started: io::Result<Vec<_>> = [sync, retry].into_iter().collect();
    started
        .unwrap_or_else(|error| crate::fatal!("cannot start a thread", "error": error.to_string()))
}

fn sync(store: &Store, group: &Group) {
    loop {
        let mut state = group.lock();
        while !state.stopped && !state.has_unsynced() {
            state = group
                .bell
                .wait(state)
                .expect("nobody panicked with watchers");
        }
        if state.stopped {
            return;
        }
        drop(state);
        fail::fail_point!("beforeSyncWatchers");
        if !pass(store, group) {
            pause(group, SYNC_PAUSE);
        }
    }
}

/// Reads one window for whoever is furthest behind. Whether anybody got further.
fn pass(store: &Store, group: &Group) -> bool {
    let compact_rev = store.compact_rev();
    let from = {
        let mut state = group.lock();
        state.cancel_compacted(compact_rev);
        state.read_from(compact_rev)
    };
    from.is_some_and(|from| {
        let window = read(store, from);
        group.lock().offer_window(&window)
    })
}

fn read(store: &Store, from: i64) -> Window {
    let rev = store.rev();
    let first = from.max(1);
    let (mut events, mut bytes, mut end) = (Vec::new(), 0, first);
    while end <= rev && end < first + WINDOW_REVISIONS && bytes < WINDOW_BYTES {
        let to = (end + STEP).min(rev + 1);
        let step = store.changes(&[0], &[0], end, to);
        let sizes = step.iter().filter_map(|event| event.kv.as_ref());
        bytes += sizes.map(|kv| kv.key.len() + kv.value.len()).sum::<usize>();
        events.extend(step);
        end = to;
    }
    Window {
        from,
        end,
        rev,
        compact_rev: store.compact_rev(),
        events,
    }
}

fn retry(group: &Group) {
    loop {
        let mut state = group.lock();
        while !state.stopped && !state.has_victims() {
            state = group
                .bell
                .wait(state)
                .expect("nobody panicked with watchers");
        }
        if state.stopped {
            return;
        }
        drop(state);
        fail::fail_point!("beforeMoveVictims");
        let mut state = group.lock();
        let moved = state.offer_again();
        drop(state);
        if moved {
            group.wake();
        } else {
            pause(group, RETRY_PAUSE);
        }
    }
}

/// Waits, but not for a group that is stopped.
fn pause(group: &Group, time: Duration) {
    let state = group.lock();
    let waited = group
        .bell
        .wait_timeout_while(state, time, |state| !state.stopped);
    drop(waited.expect("nobody panicked with watchers"));
}
