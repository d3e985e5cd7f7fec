//! The backend: what is committed when, what readers see, copies and replacements.
#![allow(missing_docs)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::backend::{Backend, Bucket, Options};
use store::bugs::{Bug, Bugs};

const LONG: Duration = Duration::from_secs(3600);

fn options() -> Options {
    Options {
        batch_interval: LONG,
        batch_limit: 1_000_000,
        bugs: Bugs::default(),
    }
}

fn open(path: &Path) -> Backend {
    Backend::open(path, options()).unwrap()
}

/// What a crash now would leave: the file as it is, opened.
fn after_crash(path: &Path) -> Backend {
    let copy = path.with_extension("crashed");
    fs::copy(path, &copy).unwrap();
    open(&copy)
}

fn put(backend: &Backend, key: &str, value: &str) {
    backend
        .batch()
        .put(Bucket::Key, key.as_bytes(), value.as_bytes());
}

fn get(backend: &Backend, key: &str) -> Option<String> {
    let value = backend.get(Bucket::Key, key.as_bytes())?;
    Some(String::from_utf8(value).unwrap())
}

fn keys(backend: &Backend, start: &str, end: Option<&str>, limit: usize) -> Vec<String> {
    backend
        .range(Bucket::Key, start.as_bytes(), end.map(str::as_bytes), limit)
        .into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect()
}

#[test]
fn readers_see_a_batch_when_it_is_dropped_and_the_file_when_it_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let backend = open(&path);
    let mut batch = backend.batch();
    batch.put(Bucket::Key, b"a", b"1");
    assert_eq!(batch.get(Bucket::Key, b"a"), Some(b"1".to_vec()));
    assert_eq!(get(&backend, "a"), None);
    drop(batch);
    assert_eq!(get(&backend, "a"), Some("1".into()));
    assert_eq!(get(&after_crash(&path), "a"), None);
    backend.force_commit();
    assert_eq!(get(&after_crash(&path), "a"), Some("1".into()));
}

#[test]
fn a_batch_is_committed_when_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let options = Options {
        batch_limit: 2,
        ..options()
    };
    let backend = Backend::open(&path, options).unwrap();
    put(&backend, "a", "1");
    assert_eq!(get(&after_crash(&path), "a"), None);
    put(&backend, "b", "1");
    assert_eq!(get(&after_crash(&path), "a"), Some("1".into()));
}

#[test]
fn a_batch_is_committed_after_the_interval() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let options = Options {
        batch_interval: Duration::from_millis(20),
        ..options()
    };
    let backend = Backend::open(&path, options).unwrap();
    put(&backend, "a", "1");
    let until = Instant::now() + Duration::from_secs(10);
    while get(&after_crash(&path), "a").is_none() {
        assert!(Instant::now() < until, "never committed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_pending_is_lost_without_close_and_kept_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    put(&open(&path), "a", "1");
    let backend = open(&path);
    assert_eq!(get(&backend, "a"), None);
    put(&backend, "a", "2");
    backend.close();
    put(&backend, "b", "2");
    drop(backend);
    let backend = open(&path);
    assert_eq!(get(&backend, "a"), Some("2".into()));
    assert_eq!(get(&backend, "b"), None);
}

#[test]
fn ranges_merge_what_is_pending_with_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let backend = open(&dir.path().join("db"));
    for key in ["b", "d", "f", "h"] {
        put(&backend, key, "committed");
    }
    backend.force_commit();
    put(&backend, "a", "pending");
    put(&backend, "d", "pending");
    backend.batch().delete(Bucket::Key, b"f");
    put(&backend, "i", "pending");
    assert_eq!(keys(&backend, "", None, 0), ["a", "b", "d", "h", "i"]);
    assert_eq!(keys(&backend, "b", Some("h"), 0), ["b", "d"]);
    assert_eq!(keys(&backend, "d", None, 2), ["d", "h"]);
    assert_eq!(keys(&backend, "h", Some("b"), 0), [""; 0]);
    assert_eq!(get(&backend, "d"), Some("pending".into()));
    assert_eq!(get(&backend, "f"), None);

    let mut batch = backend.batch();
    batch.delete(Bucket::Key, b"a");
    batch.delete(Bucket::Key, b"b");
    batch.put(Bucket::Key, b"c", b"own");
    let own: Vec<_> = batch.range(Bucket::Key, b"", None, 3);
    let own: Vec<_> = own.into_iter().map(|(key, _)| key).collect();
    assert_eq!(own, [b"c", b"d", b"h"]);
}

#[test]
fn the_hook_writes_into_every_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let backend = open(&path);
    let index = Arc::new(AtomicU64::new(0));
    let hook_index = Arc::clone(&index);
    backend.set_pre_commit(Box::new(move |batch| {
        let index = hook_index.load(Ordering::Relaxed).to_be_bytes();
        batch.put(Bucket::Meta, b"index", &index);
    }));
    index.store(7, Ordering::Relaxed);
    put(&backend, "a", "1");
    backend.force_commit();
    let crashed = after_crash(&path);
    assert_eq!(get(&crashed, "a"), Some("1".into()));
    assert_eq!(
        crashed.get(Bucket::Meta, b"index"),
        Some(7_u64.to_be_bytes().to_vec())
    );
}

/// Whether a defragmentation's commit carries the hook's writes.
fn index_after_defragmentation(bugs: Bugs) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let backend = Backend::open(&path, Options { bugs, ..options() }).unwrap();
    backend.set_pre_commit(Box::new(|batch| batch.put(Bucket::Meta, b"index", b"7")));
    put(&backend, "a", "1");
    backend.defragment().unwrap();
    let crashed = after_crash(&path);
    assert_eq!(get(&crashed, "a"), Some("1".into()));
    crashed.get(Bucket::Meta, b"index")
}

#[test]
fn a_defragmentation_commits_the_index_with_the_data_unless_14685_is_on() {
    assert_eq!(
        index_after_defragmentation(Bugs::default()),
        Some(b"7".to_vec())
    );
    assert_eq!(
        index_after_defragmentation(Bugs::default().with(Bug::DefragIndex)),
        None
    );
}

#[test]
fn a_defragmentation_makes_the_file_smaller_and_keeps_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let backend = open(&path);
    let value = "v".repeat(1000);
    for key in 0..3000 {
        put(&backend, &key.to_string(), &value);
    }
    backend.force_commit();
    let mut batch = backend.batch();
    for key in 0..2900 {
        batch.delete(Bucket::Key, key.to_string().as_bytes());
    }
    drop(batch);
    let (size, hash) = (backend.size(), backend.hash());
    let clone = backend.clone();
    assert!(backend.size_in_use() < size / 4);
    backend.defragment().unwrap();
    assert!(clone.size() < size / 4, "{} bytes of {size}", clone.size());
    assert_eq!(clone.hash(), hash);
    put(&clone, "new", "1");
    clone.close();
    drop((backend, clone));
    let backend = open(&path);
    assert_eq!(get(&backend, "new"), Some("1".into()));
    assert_eq!(get(&backend, "2950"), Some(value));
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["db"]);
}

#[test]
fn an_unfinished_defragmentation_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("db.tmp.defrag.1");
    fs::write(&left, "half").unwrap();
    open(&dir.path().join("db"));
    assert!(!left.exists());
}

#[test]
fn a_copy_is_a_database_of_whole_sectors_with_the_same_content() {
    let dir = tempfile::tempdir().unwrap();
    let backend = open(&dir.path().join("db"));
    for key in 0..25_000 {
        put(&backend, &key.to_string(), "1");
    }
    backend.batch().put(Bucket::Auth, b"enabled", b"1");
    let copy = dir.path().join("copy");
    backend.copy_to(&copy).unwrap();
    put(&backend, "later", "1");
    assert_eq!(fs::metadata(&copy).unwrap().len() % 512, 0);
    assert_eq!(backend.size() % 512, 0);
    let copy = open(&copy);
    assert_eq!(get(&copy, "later"), None);
    assert_eq!(get(&copy, "24999"), Some("1".into()));
    put(&copy, "later", "1");
    assert_eq!(copy.hash(), backend.hash());
}

#[test]
fn the_hash_leaves_out_the_consistent_index() {
    let dir = tempfile::tempdir().unwrap();
    let backend = open(&dir.path().join("db"));
    put(&backend, "a", "1");
    let hash = backend.hash();
    backend.batch().put(Bucket::Meta, b"consistent_index", b"7");
    assert_eq!(backend.hash(), hash);
    put(&backend, "a", "2");
    assert_ne!(backend.hash(), hash);
}

#[test]
fn a_replacement_is_seen_by_every_clone_and_drops_what_was_pending() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let backend = open(&path);
    let clone = backend.clone();
    put(&backend, "a", "new");
    let snapshot = dir.path().join("snapshot");
    backend.copy_to(&snapshot).unwrap();
    put(&backend, "a", "old");
    put(&backend, "b", "old");
    let generation = clone.generation();
    backend.replace(&snapshot).unwrap();
    assert_eq!(clone.generation(), generation + 1);
    assert_eq!(get(&clone, "a"), Some("new".into()));
    assert_eq!(get(&clone, "b"), None);
    put(&clone, "c", "later");
    clone.close();
    assert!(!snapshot.exists());
    drop((backend, clone));
    let backend = open(&path);
    assert_eq!(get(&backend, "a"), Some("new".into()));
    assert_eq!(get(&backend, "c"), Some("later".into()));
}

#[test]
fn a_flipped_byte_is_found_when_the_file_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let backend = open(&path);
    put(&backend, "a", &"needle".repeat(100));
    backend.close();
    drop(backend);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(12)
        .position(|window| window == b"needleneedle")
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(Backend::open(&path, options()).is_err());
}
