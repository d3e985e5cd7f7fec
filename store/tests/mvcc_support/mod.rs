//! A store on a directory of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pb::mvccpb::Event;
use api::pb::mvccpb::event::EventType;
use store::backend::{self, Backend, Bucket};
use store::bugs::{Bug, Bugs};
use store::lease::Lessor;
use store::mvcc::{Options, RangeOptions, Store};

/// A lease that every opened store has.
pub(crate) const LEASE: i64 = 7;

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) batch_limit: usize,
    pub(crate) compaction_batch_limit: usize,
    pub(crate) bugs: Bugs,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            batch_limit: 10_000,
            compaction_batch_limit: 1000,
            bugs: Bugs::default(),
        }
    }
}

impl Setup {
    pub(crate) fn with(self, bug: Option<Bug>) -> Self {
        let bugs = bug.map_or(self.bugs, |bug| self.bugs.with(bug));
        Self { bugs, ..self }
    }
}

/// A member's layers, dropped together. Nothing is committed but what has to be.
pub(crate) struct Member {
    pub(crate) store: Arc<Store>,
    pub(crate) lessor: Arc<Lessor>,
    pub(crate) backend: Backend,
}

impl Member {
    pub(crate) fn open(path: &Path, setup: Setup) -> Self {
        let options = backend::Options {
            batch_interval: Duration::from_secs(3600),
            batch_limit: setup.batch_limit,
            bugs: setup.bugs,
        };
        let backend = Backend::open(path, options).unwrap();
        let lessor = Arc::new(Lessor::open(&backend, 1, setup.bugs));
        if !lessor.exists(LEASE) {
            lessor.grant(&mut backend.batch(), LEASE, 3600).unwrap();
            backend.force_commit();
        }
        let options = Options {
            compaction_batch_limit: setup.compaction_batch_limit,
            compaction_sleep: Duration::from_millis(1),
            bugs: setup.bugs,
        };
        let store = Store::open(backend.clone(), Arc::clone(&lessor), options);
        Self {
            store,
            lessor,
            backend,
        }
    }

    pub(crate) fn put(&self, key: &str, value: &str) -> i64 {
        self.store.write().put(key.as_bytes(), value.as_bytes(), 0)
    }

    pub(crate) fn delete(&self, key: &str) -> i64 {
        self.store.write().delete_range(key.as_bytes(), b"").1
    }

    /// Compacts, and waits until it is done.
    pub(crate) fn compact(&self, rev: i64) {
        let done = self.store.compact(rev).unwrap();
        done.blocking_recv().unwrap();
    }

    /// Waits until a compaction is done, whoever began it.
    pub(crate) fn finished(&self, rev: i64) {
        let until = Instant::now() + Duration::from_secs(20);
        let name = b"finishedCompactRev";
        while self
            .backend
            .get(Bucket::Meta, name)
            .map(|value| value[..8].to_vec())
            != Some(rev.to_be_bytes().to_vec())
        {
            assert!(Instant::now() < until, "no compaction at {rev} finished");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// `key=value` of all keys at a revision.
    pub(crate) fn pairs(&self, rev: i64) -> Vec<String> {
        let options = RangeOptions {
            rev,
            ..RangeOptions::default()
        };
        let result = self.store.range(b"\0", b"\0", options).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        result
            .kvs
            .iter()
            .map(|kv| format!("{}={}", text(&kv.key), text(&kv.value)))
            .collect()
    }

    /// All changes from a revision on, as [`shown`].
    pub(crate) fn changes(&self, min: i64) -> Vec<String> {
        let events = self.store.changes(b"\0", b"\0", min, 0);
        events.iter().map(shown).collect()
    }
}

/// `5 put a` or `6 delete a`.
pub(crate) fn shown(event: &Event) -> String {
    let kv = event.kv.as_ref().unwrap();
    let kind = match event.r#type() {
        EventType::Put => "put",
        EventType::Delete => "delete",
    };
    let key = String::from_utf8(kv.key.clone()).unwrap();
    format!("{} {kind} {key}", kv.mod_revision)
}
