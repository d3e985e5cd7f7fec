//! A store with a hub, and ways to write to it and read from a stream.

use std::sync::Arc;
use std::time::Duration;

use api::pb::mvccpb::Event;
use store::backend::{self, Backend};
use store::bugs::{Bug, Bugs};
use store::lease::Lessor;
use store::mvcc::{self, Store};
use store::watch::{Delivery, Hub, Stream, WatchSpec};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Longer than anything that is waited for takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for what must not come.
pub(crate) const QUIET: Duration = Duration::from_millis(300);

pub(crate) struct Member {
    pub(crate) store: Arc<Store>,
    pub(crate) hub: Arc<Hub>,
    backend: Backend,
    directory: TempDir,
}

impl Member {
    pub(crate) fn new() -> Self {
        Self::open(Bugs::default(), Duration::from_secs(600))
    }

    pub(crate) fn with(bug: Bug) -> Self {
        Self::open(Bugs::default().with(bug), Duration::from_secs(600))
    }

    pub(crate) fn open(bugs: Bugs, progress_interval: Duration) -> Self {
        let directory = TempDir::new().expect("a directory");
        let options = backend::Options {
            batch_interval: Duration::from_millis(20),
            batch_limit: 10_000,
            bugs,
        };
        let backend = Backend::open(&directory.path().join("db"), options).expect("a backend");
        let lessor = Arc::new(Lessor::open(&backend, 1, bugs));
        let options = mvcc::Options {
            compaction_batch_limit: 1000,
            compaction_sleep: Duration::from_millis(1),
            bugs,
        };
        let store = Store::open(backend.clone(), lessor, options);
        let hub = Hub::new(store.clone(), progress_interval, bugs);
        Self {
            store,
            hub,
            backend,
            directory,
        }
    }

    pub(crate) fn put(&self, key: &str, value: &str) -> i64 {
        let mut txn = self.store.write();
        let rev = txn.put(key.as_bytes(), value.as_bytes(), 0);
        txn.end();
        rev
    }

    pub(crate) fn delete(&self, key: &str) -> i64 {
        let mut txn = self.store.write();
        let (_, rev) = txn.delete_range(key.as_bytes(), &[]);
        txn.end();
        rev
    }

    pub(crate) async fn compact(&self, rev: i64) {
        let done = self.store.compact(rev).expect("a compaction");
        timeout(PATIENCE, done)
            .await
            .expect("in time")
            .expect("done");
    }

    /// Brings this member to where the other is, by its database.
    pub(crate) fn take_snapshot_of(&self, other: &Self) {
        let copy = self.directory.path().join("snapshot");
        other.backend.copy_to(&copy).expect("a copy");
        self.backend.replace(&copy).expect("replaced");
        self.store.restore();
    }
}

/// A stream and what comes out of it.
pub(crate) struct Reader {
    pub(crate) stream: Stream,
    pub(crate) from: Receiver<Delivery>,
}

impl Reader {
    pub(crate) fn new(member: &Member) -> Self {
        let (stream, from) = member.hub.stream();
        Self { stream, from }
    }

    /// A stream with one watch of all keys.
    pub(crate) async fn of_all(member: &Member, start_rev: i64) -> Self {
        let mut reader = Self::new(member);
        reader.watch(0, all(start_rev)).await;
        reader
    }

    /// Adds a watch, and gives the answer.
    pub(crate) async fn watch(&mut self, id: i64, spec: WatchSpec) -> Delivery {
        self.stream.watch(id, spec).await.expect("open");
        self.next().await
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        let next = timeout(PATIENCE, self.from.recv()).await;
        next.expect("a delivery in time").expect("an open stream")
    }

    /// The next delivery, which has to have events.
    pub(crate) async fn events(&mut self) -> Vec<Event> {
        match self.next().await {
            Delivery::Events { events, .. } => events,
            other => panic!("no events: {other:?}"),
        }
    }

    /// Revisions of events, up to `last` and then for a while.
    pub(crate) async fn revisions_to(&mut self, last: i64) -> Vec<i64> {
        let mut revisions = Vec::new();
        while revisions.last().is_none_or(|rev| *rev < last) {
            revisions.extend(revisions_of(&self.events().await));
        }
        while let Ok(Some(delivery)) = timeout(QUIET, self.from.recv()).await {
            let Delivery::Events { events, .. } = delivery else {
                panic!("no events: {delivery:?}");
            };
            revisions.extend(revisions_of(&events));
        }
        revisions
    }

    pub(crate) async fn nothing(&mut self) {
        if let Ok(delivery) = timeout(QUIET, self.from.recv()).await {
            panic!("unexpected: {delivery:?}");
        }
    }
}

pub(crate) fn all(start_rev: i64) -> WatchSpec {
    WatchSpec {
        key: vec![0],
        end: vec![0],
        start_rev,
        ..WatchSpec::default()
    }
}

pub(crate) fn one(key: &str) -> WatchSpec {
    WatchSpec {
        key: key.as_bytes().to_vec(),
        ..WatchSpec::default()
    }
}

pub(crate) fn revisions_of(events: &[Event]) -> Vec<i64> {
    let revision = |event: &Event| event.kv.as_ref().expect("a pair").mod_revision;
    events.iter().map(revision).collect()
}

pub(crate) fn keys_of(events: &[Event]) -> Vec<String> {
    let key = |event: &Event| event.kv.as_ref().expect("a pair").key.clone();
    let text = |key| String::from_utf8(key).expect("text");
    events.iter().map(key).map(text).collect()
}
