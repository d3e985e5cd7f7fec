//! Watchers: who is up to date is told by the writer, who is behind catches up from the backend, as
//! in etcd's server/mvcc/watchable_store.go.
//!
//! A watcher is in one of four places. *Synced*: it was offered everything up to the revision that
//! the hub was told last. *Unsynced*: one thread reads the history for it, a window at a time.
//! *Victim*: its stream was full, and another thread offers it its last batch again. *Compacted*:
//! it was cancelled, and keeps its id until the client cancels it, too.
//!
//! All that a stream gets goes through one bounded channel, in order: nothing can overtake events,
//! and a slow reader costs no more than a full channel and a batch for each of its watches.

mod catch_up;
mod group;
mod watcher;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use api::pb::mvccpb::Event;
use tokio::sync::mpsc;

use crate::bugs::Bugs;
use crate::mvcc::Store;
use group::Group;

/// So many deliveries wait in a stream at most (etcd's `chanBufLen`).
pub const STREAM_BUFFER: usize = 128;

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchSpec {
    /// The first key, or the only one; empty is the smallest.
    pub key: Vec<u8>,
    /// Where the range ends: empty for one key, `[0]` for all from `key` on.
    pub end: Vec<u8>,
    /// The first revision to tell of; 0: the one after the current.
    pub start_rev: i64,
    /// Whether events shall carry the pair they replaced.
    pub prev_kv: bool,
    /// Whether the watch shall hear of revisions now and then when nothing happens.
    pub progress_notify: bool,
    /// Whether a large delivery may be sent in parts.
    pub fragment: bool,
    /// Leave out puts.
    pub no_put: bool,
    /// Leave out deletions.
    pub no_delete: bool,
}

/// What a watch stream gets, in order.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Delivery {
    /// A watch is there; the store was at `rev`.
    Created {
        watch_id: i64,
        rev: i64,
        prev_kv: bool,
        progress_notify: bool,
        fragment: bool,
    },
    /// A watch was not created.
    Refused { rev: i64, reason: String },
    /// Changes: all of a revision that the watch is for, oldest first. `prev_kv` is empty.
    Events {
        watch_id: i64,
        rev: i64,
        events: Vec<Event>,
    },
    /// Everything up to `rev` has been delivered: to this watch, or with id -1 to all of the stream.
    Progress { watch_id: i64, rev: i64 },
    /// The watch is cancelled: what it would need next is compacted.
    Compacted { watch_id: i64, compact_rev: i64 },
    /// The watch is cancelled, as asked.
    Canceled { watch_id: i64, rev: i64 },
}

/// The receiver of a stream's deliveries is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// All watchers of a member.
pub struct Hub {
    store: Arc<Store>,
    group: Arc<Group>,
    streams: AtomicU64,
    progress_interval: Duration,
    bugs: Bugs,
    threads: Vec<JoinHandle<()>>,
}

impl Hub {
    /// Watches the store, and starts the threads that let watchers catch up.
    #[must_use]
    pub fn new(store: Arc<Store>, progress_interval: Duration, bugs: Bugs) -> Arc<Self> {
        let group = Arc::new(Group::new(store.rev(), bugs));
        store.observe(group.clone());
        let threads = catch_up::start(&store, &group);
        Arc::new(Self {
            store,
            group,
            streams: AtomicU64::new(0),
            progress_interval,
            bugs,
            threads,
        })
    }

    /// Opens a stream for many watches.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> (Stream, mpsc::Receiver<Delivery>) {
        let (to, from) = mpsc::channel(STREAM_BUFFER);
        let stream = Stream {
            hub: self.clone(),
            number: self.streams.fetch_add(1, Ordering::Relaxed),
            to,
        };
        (stream, from)
    }

    /// How often a quiet watch that asked for it hears of the revision.
    #[must_use]
    pub fn progress_interval(&self) -> Duration {
        self.progress_interval
    }

    /// The store that is watched.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The bugs that are switched on.
    #[must_use]
    pub fn bugs(&self) -> Bugs {
        self.bugs
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.group.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                crate::warning!("a watch thread panicked");
            }
        }
    }
}

/// A stream of watches; dropping it cancels them all.
pub struct Stream {
    hub: Arc<Hub>,
    number: u64,
    to: mpsc::Sender<Delivery>,
}

impl Stream {
    /// Adds a watch with this id, or with one of the stream's choice (0). The answer,
    /// [`Delivery::Created`] or [`Delivery::Refused`], is delivered before the watch's first event.
    /// Waits while the stream is full.
    ///
    /// # Errors
    /// Nobody receives the deliveries any more.
    pub async fn watch(&self, id: i64, spec: WatchSpec) -> Result<(), Closed> {
        let permit = self.to.reserve().await.map_err(|_| Closed)?;
        let rev = self.hub.store.rev();
        let mut state = self.hub.group.lock();
        let answer = match state.add(self.number, id, &spec, rev, &self.to) {
            Ok(watch_id) => Delivery::Created {
                watch_id,
                rev,
                prev_kv: spec.prev_kv,
                progress_notify: spec.progress_notify,
                fragment: spec.fragment,
            },
            Err(refusal) => Delivery::Refused {
                rev,
                reason: refusal.reason().to_owned(),
            },
        };
        permit.send(answer);
        drop(state);
        self.hub.group.wake();
        Ok(())
    }

    /// Answers a watch with a refusal that was found elsewhere.
    ///
    /// # Errors
    /// Nobody receives the deliveries any more.
    pub async fn refuse(&self, reason: String) -> Result<(), Closed> {
        let rev = self.hub.store.rev();
        let refused = Delivery::Refused { rev, reason };
        self.to.send(refused).await.map_err(|_| Closed)
    }

    /// Ends a watch, and delivers [`Delivery::Canceled`] after all that it got. An unknown id is
    /// ignored, as in etcd.
    ///
    /// # Errors
    /// Nobody receives the deliveries any more.
    pub async fn cancel(&self, watch_id: i64) -> Result<(), Closed> {
        if !self.hub.group.lock().remove(self.number, watch_id) {
            return Ok(());
        }
        let rev = self.hub.store.rev();
        let canceled = Delivery::Canceled { watch_id, rev };
        self.to.send(canceled).await.map_err(|_| Closed)
    }

    /// Delivers [`Delivery::Progress`] for the whole stream if all its watches are synced, and
    /// nothing otherwise (etcd's `RequestProgressAll`). Nor is there an answer, as in releases
    /// after 3.5.16, while a watch starts at a revision to come.
    pub fn progress_all(&self) {
        self.progress_of(i64::MIN..=i64::MAX, -1);
    }

    /// The same for one watch.
    pub fn progress(&self, watch_id: i64) {
        self.progress_of(watch_id..=watch_id, watch_id);
    }

    fn progress_of(&self, ids: RangeInclusive<i64>, answer_as: i64) {
        fail::fail_point!("beforeProgressIfSync");
        self.hub
            .group
            .lock()
            .progress_if_synced(self.number, ids, answer_as);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.hub.group.lock().remove_stream(self.number);
    }
}
