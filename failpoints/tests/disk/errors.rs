//! Errors, quotas and delays of single operations.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use failpoints::disk::{DiskFault, Effect, Op, Rule, probe};
use failpoints::fault::inject;
use nix::fcntl::{FallocateFlags, fallocate};

use crate::bench::{Bench, SUBJECT, able};

fn errno<T: std::fmt::Debug>(done: io::Result<T>) -> Option<i32> {
    done.unwrap_err().raw_os_error()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nth_fsync_fails_and_leaves_the_data_unsynced() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let mut rule = Rule::new("*.wal", Op::Fsync, Effect::Eio);
    (rule.from, rule.times) = (3, Some(1));
    let rule = bench.disk.arm(rule).await.unwrap();
    let file = File::create(bench.at("0.wal")).unwrap();
    let other = File::create(bench.at("db")).unwrap();
    for count in 1..=4_u64 {
        file.write_all_at(&[count as u8], count).unwrap();
        other.sync_all().unwrap();
        let synced = file.sync_data();
        assert_eq!(synced.is_err(), count == 3, "{synced:?}");
        if count == 3 {
            assert_eq!(errno(synced), Some(libc::EIO));
            assert_eq!(bench.disk.unsynced().await.unwrap().bytes, 1);
        }
    }
    assert_eq!(bench.disk.hits(rule).await.unwrap(), Some(1));
    assert_eq!(bench.disk.clear(rule).await.unwrap(), Some(1));
    assert_eq!(bench.disk.clear(rule).await.unwrap(), None);
    bench.lose().await;
    assert_eq!(fs::read(bench.at("0.wal")).unwrap(), [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_as_faults_that_heal() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let file = File::create(bench.at("f")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    for (op, name) in [
        (Op::Read, "EIO on read of `f` on m1"),
        (Op::Write, "EIO on write of `f` on m1"),
        (Op::Name, "EIO on create, rename or unlink of `f` on m1"),
    ] {
        let rule = Rule::new("f", op, Effect::Eio);
        let fault = DiskFault::new(bench.disk.clone(), rule);
        let fault = inject(Box::new(fault)).await.unwrap();
        assert_eq!(fault.name(), name);
        let act = || match op {
            Op::Read => fs::read(bench.at("f")).map(|_| ()),
            Op::Write => file.write_all_at(b"bytes", 0),
            _ => fs::rename(bench.at("f"), bench.at("g")),
        };
        assert_eq!(errno(act()), Some(libc::EIO), "{name}");
        fault.heal().await.unwrap();
        act().unwrap();
    }
    assert_eq!(fs::read(bench.at("g")).unwrap(), b"bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_until_the_quota_is_lifted() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let mib = 1 << 20;
    let wal = File::create(bench.at("wal")).unwrap();
    fallocate(&wal, FallocateFlags::empty(), 0, 2 * mib).unwrap();
    let quota = Effect::Quota { bytes: 3 << 20 };
    let rule = Rule::new("**", Op::Write, quota);
    let rule = bench.disk.arm(rule).await.unwrap();
    let db = File::create(bench.at("db")).unwrap();
    db.write_all_at(&vec![1; 1 << 20], 0).unwrap();
    let more = [1; 4096];
    assert_eq!(errno(db.write_all_at(&more, 1 << 20)), Some(libc::ENOSPC));
    let grown = fallocate(&wal, FallocateFlags::empty(), 0, 3 * mib);
    assert_eq!(grown, Err(nix::errno::Errno::ENOSPC));
    // What has its space already is written all the same.
    wal.write_all_at(&vec![2; 2 << 20], 0).unwrap();
    db.write_all_at(&more, 0).unwrap();
    db.sync_all().unwrap();
    let free = nix::sys::statvfs::statvfs(&bench.at).unwrap();
    assert_eq!(
        (free.blocks_available(), db.metadata().unwrap().len()),
        (0, 1 << 20)
    );
    // A smaller file makes room.
    wal.set_len(1 << 20).unwrap();
    db.write_all_at(&more, 1 << 20).unwrap();
    assert_eq!(bench.disk.clear(rule).await.unwrap(), Some(2));
    db.write_all_at(&vec![1; 4 << 20], 0).unwrap();
    assert_eq!(fs::read(bench.at("db")).unwrap().len(), 4 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_fsync_takes_its_time_and_holds_up_nobody_else() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let file = File::create(bench.at("0.wal")).unwrap();
    let slow = |millis| Rule::new("*.wal", Op::Fsync, Effect::Delay { millis });
    let rule = bench.disk.arm(slow(300)).await.unwrap();
    let start = Instant::now();
    file.sync_data().unwrap();
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(300), "{taken:?}");
    bench.disk.clear(rule).await.unwrap();
    // Twenty at a time, of a minute each: others go on, and clearing the rule
    // lets them go.
    let rule = bench.disk.arm(slow(60_000)).await.unwrap();
    let start = Instant::now();
    let syncs: Vec<_> = (0..20)
        .map(|index| {
            let path = bench.at(&format!("{index}.wal"));
            let sync = move || File::create(path)?.sync_data();
            tokio::task::spawn_blocking(sync)
        })
        .collect();
    while bench.disk.hits(rule).await.unwrap() != Some(20) {
        assert!(start.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    File::create(bench.at("db")).unwrap().sync_data().unwrap();
    assert_eq!(bench.disk.clear(rule).await.unwrap(), Some(20));
    for sync in syncs {
        sync.await.unwrap().unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(50));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_says_yes_here() {
    if !able() {
        let refused = probe(SUBJECT.as_ref()).await.unwrap_err();
        assert!(
            refused.contains("root") || refused.contains("/dev/fuse"),
            "{refused}"
        );
        return;
    }
    probe(SUBJECT.as_ref()).await.unwrap();
    let refused = probe("/bin/true".as_ref()).await.unwrap_err();
    assert!(refused.contains("server_main"), "{refused}");
}
