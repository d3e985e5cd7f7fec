//! Recorded client traffic: many concurrent clients, each pinned to one member.
//!
//! A client is closed-loop (or held to a rate): one unary request at a time, drawn from its own
//! sub-seed and what it has seen, recorded before it is sent. It never retries. After a result
//! that is unknown it only reads until a read succeeds, so that an outage costs at most one
//! unknown write a client.

mod client;
mod compaction;
mod draw;
mod lists;
mod tombstone;
mod watcher;
mod watchers;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tokio::sync::watch;

pub use client::{Client, ClientEnd};
pub use watchers::Watcher;

/// Counters shared by the clients, for the progress line.
#[derive(Debug, Default)]
pub struct Counters {
    /// Operations that were answered.
    pub ok: AtomicU64,
    /// Operations that ended in an error of any kind.
    pub errors: AtomicU64,
}

impl Counters {
    fn count(&self, ok: bool) {
        let counter = if ok { &self.ok } else { &self.errors };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The newest revisions that anybody has seen.
#[derive(Debug, Default)]
pub struct Seen {
    revision: AtomicI64,
    compacted: AtomicI64,
}

impl Seen {
    fn saw(&self, revision: i64) {
        self.revision.fetch_max(revision, Ordering::Relaxed);
    }

    fn compacted(&self, revision: i64) {
        self.compacted.fetch_max(revision, Ordering::Relaxed);
    }

    /// The store's, and the last that was compacted (0 before that), as far as was seen.
    fn revisions(&self) -> (i64, i64) {
        let newest = self.revision.load(Ordering::Relaxed).max(1);
        (newest, self.compacted.load(Ordering::Relaxed))
    }
}

/// What all clients share.
#[derive(Clone)]
pub struct Shared {
    /// Turns true when traffic ends, or the member is gone that the client is pinned to.
    pub stop: watch::Receiver<bool>,
    /// Counters.
    pub counters: Arc<Counters>,
    /// Every lease asked for, granted or unknown: they are revoked when the run winds down.
    pub leases: Arc<Mutex<Vec<i64>>>,
    /// Revisions, for watchers to start from.
    pub seen: Arc<Seen>,
}

impl Shared {
    /// Whether traffic has ended.
    #[must_use]
    pub fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until traffic has ended.
    pub async fn wait_stopped(&self) {
        let mut stop = self.stop.clone();
        let _ = stop.wait_for(|stopped| *stopped).await;
    }
}
