//! Watchers: who is up to date is told by the writer, who is behind catches up from the backend, as
//! in etcd's server/mvcc/watchable_store.go.
//!
//! STUB: signatures to build on.

use std::sync::Arc;
use std::time::Duration;

use api::pb::mvccpb::Event;
use tokio::sync::mpsc;

use crate::bugs::Bugs;
use crate::mvcc::Store;

/// What to watch.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct WatchSpec {
    pub key: Vec<u8>,
    pub end: Vec<u8>,
    pub start_rev: i64,
    pub prev_kv: bool,
    pub progress_notify: bool,
    pub no_put: bool,
    pub no_delete: bool,
}

/// What a watch stream gets.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Delivery {
    pub watch_id: i64,
    pub rev: i64,
    pub events: Vec<Event>,
    /// Set: the watch is cancelled because its revisions are compacted.
    pub compact_rev: i64,
}

/// All watchers of a member.
pub struct Hub;

impl Hub {
    /// Watches the store, and starts the thread that lets watchers catch up.
    #[must_use]
    pub fn new(_store: Arc<Store>, _progress_interval: Duration, _bugs: Bugs) -> Arc<Self> {
        todo!()
    }
    /// Opens a stream for many watches.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> (Stream, mpsc::Receiver<Delivery>) {
        todo!()
    }
}

/// A stream of watches; dropping it cancels them all.
pub struct Stream;
