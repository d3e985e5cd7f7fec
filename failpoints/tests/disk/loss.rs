//! Power losses.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use failpoints::disk::{Metadata, Options, Survival, Tear};

use crate::bench::{Bench, names};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_synced_stays_and_the_rest_goes() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let mut file = File::create(bench.at("wal")).unwrap();
    file.write_all(b"synced").unwrap();
    file.sync_data().unwrap();
    file.write_all(b", lost").unwrap();
    file.write_all_at(b"SYN", 0).unwrap();
    fs::write(bench.at("new"), "never synced").unwrap();
    assert_eq!(fs::read(bench.at("wal")).unwrap(), b"SYNced, lost");
    let before = bench.disk.unsynced().await.unwrap();
    assert_eq!(before.bytes, 6 + 3 + 12);
    let lost = bench.lose().await;
    assert_eq!(fs::read(bench.at("wal")).unwrap(), b"synced");
    assert_eq!(fs::read(bench.plain("wal")).unwrap(), b"synced");
    assert_eq!(bench.names(), ["wal"]);
    assert_eq!(lost.unsynced, before);
    assert_eq!(before.changes, ["create new"]);
    let [wal, new] = &lost.files[..] else {
        panic!("{lost:?}")
    };
    assert_eq!((wal.path.as_str(), wal.size), ("wal", 6));
    assert_eq!(wal.lost, [(0, 3), (6, 12)]);
    assert_eq!((new.path.as_str(), &new.found), ("new", &None));
    assert_eq!((lost.writes_lost, lost.writes_kept), (3, 0));
    assert!(bench.disk.unsynced().await.unwrap().is_empty());
    assert_eq!(bench.disk.stats().await.unwrap().losses, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_durable_in_order_and_by_their_directory() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    // As etcd makes a WAL: a directory renamed into place, its parent synced.
    fs::create_dir(bench.at("wal.tmp")).unwrap();
    let file = File::create(bench.at("wal.tmp/0.wal")).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all_at(b"entry", 0).unwrap();
    file.sync_data().unwrap();
    fs::rename(bench.at("wal.tmp"), bench.at("wal")).unwrap();
    File::open(&bench.at).unwrap().sync_all().unwrap();
    // Replaced by rename, but neither synced: back to what it was.
    fs::write(bench.at("db"), "old").unwrap();
    File::open(bench.at("db")).unwrap().sync_all().unwrap();
    let mut new = File::create(bench.at("db.tmp")).unwrap();
    new.write_all(b"new").unwrap();
    fs::rename(bench.at("db.tmp"), bench.at("db")).unwrap();
    fs::remove_file(bench.at("wal/0.wal")).unwrap();
    assert_eq!(fs::read(bench.at("db")).unwrap(), b"new");
    bench.lose().await;
    assert_eq!(bench.names(), ["db", "wal"]);
    assert_eq!(fs::read(bench.at("db")).unwrap(), b"old");
    let wal = fs::read(bench.at("wal/0.wal")).unwrap();
    assert_eq!((wal.len(), &wal[..5]), (1 << 20, &b"entry"[..]));
    // Renamed over another, and committed by a later change: its data went
    // before the rename, though nobody synced them.
    let mut new = File::create(bench.at("db.tmp")).unwrap();
    new.write_all(b"new").unwrap();
    fs::rename(bench.at("db.tmp"), bench.at("db")).unwrap();
    new.write_all(b"er").unwrap();
    fs::write(bench.at("empty"), "lost").unwrap();
    File::create(bench.at("z")).unwrap().sync_all().unwrap();
    bench.lose().await;
    assert_eq!(bench.names(), ["db", "empty", "wal", "z"]);
    assert_eq!(fs::read(bench.at("db")).unwrap(), b"new");
    assert_eq!(fs::read(bench.at("empty")).unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_names_take_a_sync_of_their_directory() {
    let options = Options {
        metadata: Metadata::Strict,
        ..Options::default()
    };
    let Some(bench) = Bench::with(options).await else {
        return;
    };
    for dir in ["a", "b"] {
        fs::create_dir(bench.at(dir)).unwrap();
    }
    let sync = |name: &str| File::open(bench.at(name)).unwrap().sync_all().unwrap();
    sync(".");
    for name in ["a/f", "b/f"] {
        fs::write(bench.at(name), "synced").unwrap();
        sync(name);
    }
    sync("a");
    let lost = bench.lose().await;
    assert_eq!(fs::read(bench.at("a/f")).unwrap(), b"synced");
    assert_eq!(names(&bench.at("b")), [""; 0]);
    assert_eq!((lost.writes_lost, lost.changes_lost), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_under_o_dsync_are_durable() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let flags = libc::O_DSYNC;
    let mut options = OpenOptions::new();
    let options = options.create(true).append(true).custom_flags(flags);
    let mut file = options.open(bench.at("log")).unwrap();
    file.write_all(b"one ").unwrap();
    file.write_all(b"two").unwrap();
    fs::write(bench.at("other"), "x").unwrap();
    bench.lose().await;
    assert_eq!(bench.names(), ["log"]);
    assert_eq!(fs::read(bench.at("log")).unwrap(), b"one two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_write_survives_in_part() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let path = bench.at("db");
    let file = File::create(&path).unwrap();
    // In memory already: the kernel splits a write where it has to fetch.
    let [old, new] = [1, 2].map(|byte| vec![byte; 64 << 10]);
    let mut torn = 0;
    for seed in 0..30 {
        file.write_all_at(&old, 0).unwrap();
        file.sync_all().unwrap();
        file.write_all_at(&new, 0).unwrap();
        let unit = Tear::Sector;
        let lost = bench.disk.power_loss(Survival::Torn { seed, unit }).await;
        let lost = lost.unwrap();
        let left = fs::read(&path).unwrap();
        for sector in left.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]));
        }
        let news = left.iter().filter(|byte| **byte == 2).count();
        let mixed = news > 0 && news < left.len();
        assert_eq!(lost.writes_torn, u64::from(mixed), "{lost:?}");
        torn += lost.writes_torn;
    }
    assert!((5..30).contains(&torn), "{torn} of 30");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subset_of_writes_survives_out_of_order() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let path = bench.at("db");
    let file = File::create(&path).unwrap();
    let (mut reordered, mut all) = (0, std::collections::BTreeSet::new());
    for seed in 0..20 {
        file.write_all_at(&[b'-'; 8], 0).unwrap();
        file.sync_all().unwrap();
        for at in 0..8 {
            file.write_all_at(b"x", at).unwrap();
        }
        let survival = Survival::Subset { seed, tear: None };
        let lost = bench.disk.power_loss(survival).await.unwrap();
        assert_eq!(lost.writes_lost + lost.writes_kept, 8);
        let left = fs::read_to_string(&path).unwrap();
        let kept = left.matches('x').count() as u64;
        assert_eq!(kept, lost.writes_kept);
        reordered += u64::from(left.contains("-x"));
        all.insert(left);
    }
    assert!(reordered > 10 && all.len() > 10, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_frozen_is_held_and_then_lost_or_done() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let file = File::create(bench.at("f")).unwrap();
    file.write_all_at(b"old", 0).unwrap();
    file.sync_all().unwrap();
    for thawed in [false, true] {
        bench.disk.freeze().await.unwrap();
        let writer = file.try_clone().unwrap();
        let writing = tokio::task::spawn_blocking(move || writer.write_all_at(b"new", 0));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!writing.is_finished(), "held");
        assert_eq!(fs::read(bench.plain("f")).unwrap(), b"old");
        if thawed {
            bench.disk.thaw().await.unwrap();
            writing.await.unwrap().unwrap();
            assert_eq!(fs::read(bench.at("f")).unwrap(), b"new");
        } else {
            bench.lose().await;
            let error = writing.await.unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
            assert_eq!(fs::read(bench.at("f")).unwrap(), b"old");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healing_makes_everything_durable_and_leaves_plain_files() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    fs::write(bench.at("a"), "a").unwrap();
    File::open(bench.at("a")).unwrap().sync_all().unwrap();
    fs::remove_file(bench.at("a")).unwrap();
    fs::write(bench.at("b"), "b").unwrap();
    assert_eq!(names(bench.dir.path()), ["data", "data.unsynced"]);
    bench.disk.heal().await.unwrap();
    assert_eq!(names(bench.dir.path()), ["data"]);
    let lost = bench.lose().await;
    assert!(lost.unsynced.is_empty());
    assert_eq!(bench.names(), ["b"]);
    fs::write(bench.at("c"), "c").unwrap();
    let (disk, dir) = (bench.disk, bench.dir);
    disk.unmount().await.unwrap();
    assert_eq!(names(&dir.path().join("data")), ["b", "c"]);
    assert_eq!(
        names(&bench.at),
        ["b", "c"],
        "the directory below the mount"
    );
}
