//! Reading, writing, compacting, observing; hashes as etcd's.
#![allow(missing_docs)]

#[allow(dead_code)]
mod mvcc_support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::pb::mvccpb::Event;
use mvcc_support::{LEASE, Member, Setup, shown};
use store::Error;
use store::mvcc::{Observer, RangeOptions};

fn member() -> (tempfile::TempDir, Member) {
    let dir = tempfile::tempdir().unwrap();
    let member = Member::open(&dir.path().join("db"), Setup::default());
    (dir, member)
}

#[test]
fn an_empty_store_is_at_revision_one_and_was_never_compacted() {
    let (_dir, member) = member();
    assert_eq!((member.store.rev(), member.store.compact_rev()), (1, -1));
    assert_eq!(member.put("a", "1"), 2);
    assert_eq!(member.delete("b"), 2, "nothing was deleted");
    assert_eq!(member.delete("a"), 3);
}

#[test]
fn a_transaction_reads_its_own_changes_and_others_do_not() {
    let (_dir, member) = member();
    member.put("a", "1");
    let mut txn = member.store.write();
    assert_eq!(txn.rev(), 2);
    assert_eq!(txn.put(b"b", b"1", 0), 3);
    assert_eq!(txn.delete_range(b"a", b""), (1, 3));
    let own = txn.range(b"\0", b"\0", RangeOptions::default()).unwrap();
    assert_eq!((own.kvs.len(), own.rev, txn.rev()), (1, 3, 3));
    assert_eq!(own.kvs[0].key, b"b");
    assert_eq!(member.pairs(0), ["a=1"]);
    txn.end();
    assert_eq!(member.pairs(0), ["b=1"]);
    assert_eq!(member.changes(3), ["3 put b", "3 delete a"]);
}

#[test]
fn a_count_is_without_pairs_and_over_the_limit() {
    let (_dir, member) = member();
    for key in ["a", "b", "c"] {
        member.put(key, "1");
    }
    let read = |limit, count_only| {
        let options = RangeOptions {
            limit,
            rev: 0,
            count_only,
        };
        let result = member.store.range(b"a", b"z", options).unwrap();
        (result.kvs.len(), result.count)
    };
    assert_eq!(read(0, true), (0, 3));
    assert_eq!(read(2, false), (2, 3));
    assert_eq!(read(0, false), (3, 3));
}

#[test]
fn a_compaction_is_refused_at_or_below_the_last_and_in_the_future() {
    let (_dir, member) = member();
    for value in ["1", "2", "3"] {
        member.put("a", value);
    }
    assert_eq!(member.store.compact(5).unwrap_err(), Error::FutureRev);
    member.compact(3);
    assert_eq!(member.store.compact(3).unwrap_err(), Error::Compacted);
    assert_eq!(member.store.hash_kv(2), Err(Error::Compacted));
    assert_eq!(member.store.hash_kv(5), Err(Error::FutureRev));
    assert_eq!(member.pairs(3), ["a=2"]);
}

/// What etcd 3.5.16 answers to HashKV after the same requests: hash, compact revision.
#[test]
fn hashes_are_those_of_etcd() {
    let (_dir, member) = member();
    let hash = |rev| {
        let hashed = member.store.hash_kv(rev).unwrap();
        (hashed.hash, hashed.compact_rev)
    };
    assert_eq!(hash(0), (1_084_519_789, -1));
    member.put("a", "1");
    member.store.write().put(b"b", b"1", LEASE);
    member.put("a", "2");
    assert_eq!(hash(0), (378_681_635, -1));
    assert_eq!(hash(3), (2_216_658_957, -1));
    member.delete("a");
    member.put("c", "1");
    let mut txn = member.store.write();
    txn.put(b"d", b"1", 0);
    txn.delete_range(b"b", b"");
    txn.put(b"a", b"3", 0);
    txn.end();
    assert_eq!(hash(0), (2_723_807_199, -1));
    assert_eq!(hash(5), (3_902_571_675, -1));
    member.compact(5);
    assert_eq!(hash(0), (4_034_507_079, 5));
    assert_eq!(hash(5), (3_902_571_675, -1), "as the compaction hashed");
    assert_eq!(hash(6), (54_578_972, 5));
    member.store.write().delete_range(b"c", b"e");
    assert_eq!(hash(0), (1_479_342_642, 5));
    member.compact(8);
    assert_eq!(hash(0), (116_190_299, 8));
    assert_eq!(hash(8), (1_479_342_642, 5));
    member.put("z", "9");
    assert_eq!(hash(0), (3_090_712_150, 8));
}

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Observer for Seen {
    fn changed(&self, rev: i64, events: &[Event]) {
        let events: Vec<_> = events.iter().map(shown).collect();
        self.0
            .lock()
            .unwrap()
            .push(format!("{rev}: {}", events.join(", ")));
    }
    fn restored(&self, rev: i64) {
        self.0.lock().unwrap().push(format!("restored at {rev}"));
    }
}

#[test]
fn history_is_not_read_from_a_database_that_is_still_to_be_restored() {
    let (_dir, member) = member();
    for at in 2..=9 {
        assert_eq!(member.put("a", &at.to_string()), at);
    }
    // The same history, compacted, as a peer's snapshot brings it.
    let (other_dir, other) = self::member();
    for at in 2..=9 {
        other.put("a", &at.to_string());
    }
    let compacted = other.store.compact(8).unwrap();
    compacted.blocking_recv().unwrap();
    let snapshot = other_dir.path().join("snapshot");
    other.backend.copy_to(&snapshot).unwrap();
    let whole = |events: &[Event]| events.len() == 8;
    assert!(whole(&member.store.changes(&[0], &[0], 2, 0)));
    let hash = member.store.hash_kv(0).unwrap();

    member.backend.replace(&snapshot).unwrap();
    std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            let events = member.store.changes(&[0], &[0], 2, 0);
            assert!(
                whole(&events) || member.store.compact_rev() == 8,
                "{events:?}"
            );
        });
        let hashed = scope.spawn(|| member.store.hash_kv(0).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        member.store.restore();
        read.join().unwrap();
        let hashed = hashed.join().unwrap();
        assert!(hashed == hash || hashed.compact_rev == 8, "{hashed:?}");
    });
}

#[test]
fn the_observer_hears_of_every_revision_and_of_a_replacement() {
    let (dir, member) = member();
    let seen = Arc::new(Seen::default());
    member.store.observe(Arc::clone(&seen) as Arc<dyn Observer>);
    member.put("a", "1");
    let mut txn = member.store.write();
    txn.put(b"b", b"1", 0);
    txn.delete_range(b"a", b"");
    txn.end();
    let snapshot = dir.path().join("snapshot");
    member.backend.copy_to(&snapshot).unwrap();
    member.put("a", "2");
    member.backend.replace(&snapshot).unwrap();
    member.store.restore();
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            "2: 2 put a",
            "3: 3 put b, 3 delete a",
            "4: 4 put a",
            "restored at 3"
        ]
    );
    assert_eq!(member.pairs(0), ["b=1"]);
    assert_eq!(member.put("c", "1"), 4);
}
