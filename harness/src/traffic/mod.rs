//! Recorded client traffic: many concurrent clients, each pinned to one member.
//!
//! A client is closed-loop (or held to a rate): one unary request at a time, drawn from its own
//! sub-seed and what it has seen, recorded before it is sent. It never retries. After a result
//! that is unknown it only reads until a read succeeds, so that an outage costs at most one
//! unknown write a client.

mod client;
mod draw;
mod lists;
mod watcher;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

pub use client::{Client, ClientEnd};

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

/// What all clients share.
#[derive(Clone)]
pub struct Shared {
    /// Turns true when traffic ends.
    pub stop: watch::Receiver<bool>,
    /// Counters.
    pub counters: Arc<Counters>,
    /// Every lease asked for, granted or unknown: they are revoked when the run winds down.
    pub leases: Arc<Mutex<Vec<i64>>>,
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
