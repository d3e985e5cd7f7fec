//! What a crash leaves, at failpoints: the file as it is then, opened as a member of its own; and
//! what happens while something is held there. Each planted bug beside the right behaviour.
#![allow(missing_docs)]

#[allow(dead_code)]
mod mvcc_support;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fail::FailScenario;
use mvcc_support::{Member, Setup};
use store::backend::{Backend, Bucket, Options};
use store::bugs::Bug;

struct Place {
    // Failpoints belong to the process: one test at a time has them.
    _failpoints: FailScenario<'static>,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            _failpoints: FailScenario::setup(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    /// The first time from now on that a thread comes to this failpoint, the file is copied. Gives
    /// the copy's path.
    fn crash_at(&self, failpoint: &str) -> PathBuf {
        let (path, copy) = (self.path(), self.dir.path().join("crashed"));
        let into = copy.clone();
        let count = AtomicU32::new(0);
        fail::cfg_callback(failpoint, move || {
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                fs::copy(&path, &into).unwrap();
            }
        })
        .unwrap();
        copy
    }
}

fn batches_of(limit: usize, bug: Option<Bug>) -> Setup {
    Setup {
        compaction_batch_limit: limit,
        ..Setup::default()
    }
    .with(bug)
}

/// The history of one member, up to revision 10.
fn fill(member: &Member) {
    for key in ["a", "b", "a", "c", "b"] {
        member.put(key, "1");
    }
    member.delete("a");
    member.put("a", "2");
    member.put("d", "1");
    member.delete("c");
    member.backend.force_commit();
}

#[test]
fn a_compaction_that_was_cut_off_anywhere_is_finished_after_the_restart() {
    for failpoint in [
        "compactBeforeCommitScheduledCompact",
        "compactAfterCommitScheduledCompact",
        "compactBeforeCommitBatch",
        "compactAfterCommitBatch",
        "compactBeforeSetFinishedCompact",
        "compactAfterSetFinishedCompact",
    ] {
        let place = Place::new();
        let setup = batches_of(2, None);
        let member = Member::open(&place.path(), setup);
        fill(&member);
        let crashed = place.crash_at(failpoint);
        member.compact(10);
        let crashed = Member::open(&crashed, setup);
        assert_eq!(crashed.store.rev(), 10, "{failpoint}");
        if failpoint == "compactBeforeCommitScheduledCompact" {
            assert_eq!(crashed.store.compact_rev(), -1);
            crashed.compact(10);
        }
        assert_eq!(crashed.store.compact_rev(), 10, "{failpoint}");
        crashed.finished(10);
        assert_eq!(crashed.pairs(0), member.pairs(0), "{failpoint}");
        assert_eq!(crashed.changes(10), ["10 delete c"], "{failpoint}");
        for member in [&crashed, &member] {
            member.put("e", "1");
        }
        assert_eq!(crashed.store.hash_kv(0), member.store.hash_kv(0));
        assert_eq!(crashed.backend.hash(), member.backend.hash());
    }
}

/// Three keys are written and deleted again, up to revision 7; the compaction there is cut off when
/// all is deleted and the end is not noted. Etcd's TestReproduce17780.
fn revision_after_a_cut_compaction(bug: Option<Bug>) -> i64 {
    let place = Place::new();
    let setup = batches_of(6, bug);
    let member = Member::open(&place.path(), setup);
    for key in ["a", "b", "c"] {
        member.put(key, "1");
    }
    for key in ["a", "b", "c"] {
        member.delete(key);
    }
    let crashed = place.crash_at("compactBeforeSetFinishedCompact");
    member.compact(7);
    Member::open(&crashed, setup).store.rev()
}

#[test]
fn a_cut_compaction_does_not_lower_the_revision_unless_17780_is_on() {
    let revision = revision_after_a_cut_compaction;
    assert_eq!(revision(None), 7);
    assert_eq!(revision(Some(Bug::TombstoneCompacted)), 7);
    assert_eq!(revision(Some(Bug::RevisionFalls)), 1);
}

fn changes_from_the_compaction_on(bug: Option<Bug>) -> Vec<String> {
    let place = Place::new();
    let member = Member::open(&place.path(), batches_of(1000, bug));
    member.put("a", "1");
    let deleted = member.delete("a");
    member.put("b", "1");
    member.compact(deleted);
    member.changes(deleted)
}

#[test]
fn a_compaction_keeps_the_tombstone_at_its_revision_unless_18089_is_on() {
    let right = ["3 delete a", "4 put b"];
    assert_eq!(changes_from_the_compaction_on(None), right);
    let wrong = changes_from_the_compaction_on(Some(Bug::TombstoneCompacted));
    assert_eq!(wrong, right[1..]);
}

/// The first batch of a compaction removes a key's creation; its tombstone is in the second, which
/// comes after a restart.
fn changes_after_a_cut_compaction(bug: Option<Bug>) -> Vec<String> {
    let place = Place::new();
    let setup = batches_of(2, bug);
    let member = Member::open(&place.path(), setup);
    for key in ["a", "b", "b"] {
        member.put(key, "1");
    }
    let deleted = member.delete("a");
    let crashed = place.crash_at("compactAfterCommitBatch");
    member.compact(deleted);
    assert_eq!(member.changes(deleted), ["5 delete a"]);
    let crashed = Member::open(&crashed, setup);
    crashed.finished(deleted);
    crashed.changes(deleted)
}

#[test]
fn a_restart_keeps_a_tombstone_without_its_creation_unless_19179_is_on() {
    assert_eq!(changes_after_a_cut_compaction(None), ["5 delete a"]);
    let wrong = changes_after_a_cut_compaction(Some(Bug::TombstoneRestored));
    assert_eq!(wrong, [""; 0]);
}

fn hash_changes_with_a_restart(bug: Option<Bug>) -> bool {
    let place = Place::new();
    let setup = Setup::default().with(bug);
    let member = Member::open(&place.path(), setup);
    fill(&member);
    let hash = member.store.hash_kv(0).unwrap();
    drop(member);
    let member = Member::open(&place.path(), setup);
    member.store.hash_kv(0).unwrap() != hash
}

#[test]
fn a_hash_is_the_same_after_a_restart_unless_hash_skips_is_on() {
    assert!(!hash_changes_with_a_restart(None));
    assert!(hash_changes_with_a_restart(Some(Bug::HashSkips)));
}

fn backend(place: &Place, bug: Option<Bug>) -> Backend {
    let options = Options {
        batch_interval: Duration::from_secs(3600),
        batch_limit: 1000,
        bugs: Setup::default().with(bug).bugs,
    };
    Backend::open(&place.path(), options).unwrap()
}

#[test]
fn a_commit_is_in_the_file_after_it_and_not_before() {
    for (failpoint, expected) in [("beforeCommit", None), ("afterCommit", Some(b"1".to_vec()))] {
        let place = Place::new();
        let db = backend(&place, None);
        let crashed = place.crash_at(failpoint);
        db.batch().put(Bucket::Key, b"a", b"1");
        db.force_commit();
        fs::rename(crashed, place.dir.path().join("other")).unwrap();
        drop(db);
        fs::rename(place.dir.path().join("other"), place.path()).unwrap();
        let db = backend(&place, None);
        assert_eq!(db.get(Bucket::Key, b"a"), expected, "{failpoint}");
    }
}

#[test]
fn readers_do_not_wait_for_a_commit() {
    let place = Place::new();
    let db = backend(&place, None);
    let (reached, reaches) = mpsc::channel();
    fail::cfg_callback("beforeCommit", move || {
        reached.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(3));
    })
    .unwrap();
    db.batch().put(Bucket::Key, b"a", b"1");
    std::thread::scope(|scope| {
        scope.spawn(|| db.force_commit());
        reaches.recv().unwrap();
        let began = Instant::now();
        assert_eq!(db.get(Bucket::Key, b"a"), Some(b"1".to_vec()));
        assert_eq!(db.range(Bucket::Key, b"", None, 0).len(), 1);
        assert!(began.elapsed() < Duration::from_secs(2));
    });
}

/// What a member has after a restart when a snapshot replaced its database while a
/// defragmentation was held: the snapshot's pair, and one that was written afterwards.
fn after_a_replacement_during(failpoint: &str, bug: Option<Bug>) -> [Option<Vec<u8>>; 2] {
    let place = Place::new();
    let db = backend(&place, bug);
    db.batch().put(Bucket::Key, b"a", b"new");
    let snapshot = place.dir.path().join("snapshot");
    db.copy_to(&snapshot).unwrap();
    db.batch().put(Bucket::Key, b"a", b"old");
    let (reached, reaches) = mpsc::channel();
    fail::cfg_callback(failpoint, move || {
        reached.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    })
    .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| db.defragment().unwrap());
        reaches.recv().unwrap();
        db.replace(&snapshot).unwrap();
        assert_eq!(db.get(Bucket::Key, b"a"), Some(b"new".to_vec()));
    });
    db.batch().put(Bucket::Key, b"b", b"later");
    db.force_commit();
    assert_eq!(db.get(Bucket::Key, b"a"), Some(b"new".to_vec()));
    drop(db);
    let db = backend(&place, bug);
    [db.get(Bucket::Key, b"a"), db.get(Bucket::Key, b"b")]
}

#[test]
fn a_defragmentation_does_not_undo_a_replacement_unless_20271_is_on() {
    for failpoint in ["defragBeforeCopy", "defragBeforeRename"] {
        let after = |bug| after_a_replacement_during(failpoint, bug);
        let right = [Some(b"new".to_vec()), Some(b"later".to_vec())];
        assert_eq!(after(None), right);
        let wrong = [Some(b"old".to_vec()), None];
        assert_eq!(after(Some(Bug::DefragSnapshot)), wrong);
    }
}
