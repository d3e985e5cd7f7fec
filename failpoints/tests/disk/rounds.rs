//! Many rounds, many writers.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use failpoints::disk::{Effect, Op, Rule, Survival, Tear};

use crate::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_rounds_of_faults_and_losses() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let log = bench.at("log");
    for round in 0..200_u64 {
        let rule = match round % 4 {
            0 => Rule::new("log", Op::Fsync, Effect::Eio),
            1 => Rule::new("log", Op::Write, Effect::Quota { bytes: 0 }),
            2 => Rule::new("log", Op::Fsync, Effect::Delay { millis: 1 }),
            _ => Rule::new(
                "log",
                Op::Read,
                Effect::BitFlip {
                    seed: round,
                    every: 64,
                },
            ),
        };
        let rule = bench.disk.arm(rule).await.unwrap();
        let temp = bench.at("tmp");
        let met = (|| {
            let mut file = File::create(&temp)?;
            file.write_all(&round.to_le_bytes())?;
            file.sync_all()?;
            fs::rename(&temp, &log)?;
            File::open(&log)?.sync_all()?;
            fs::read(&log)
        })();
        assert_eq!(met.is_err(), round % 4 < 2, "{round}: {met:?}");
        bench.disk.clear(rule).await.unwrap();
        fs::write(&temp, round.to_le_bytes()).unwrap();
        fs::rename(&temp, &log).unwrap();
        File::open(&log).unwrap().sync_all().unwrap();
        fs::write(&log, "not synced").unwrap();
        bench.lose().await;
        let left = fs::read(&log).unwrap();
        assert_eq!(left, round.to_le_bytes(), "{round}");
        assert_eq!(bench.names(), ["log"]);
    }
    assert_eq!(bench.disk.stats().await.unwrap().losses, 200);
}

/// Counts up in records of a file, goes on from what was synced, and publishes
/// what it has synced.
fn count_up(path: &Path, synced: &AtomicU64, stop: &AtomicBool) -> std::io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let first = synced.load(Ordering::Relaxed) + 1;
    for next in first..60_000 {
        if stop.load(Ordering::Acquire) {
            break;
        }
        file.write_all_at(
            &[next.to_le_bytes(), next.to_le_bytes()].concat(),
            next * 16,
        )?;
        if next.is_multiple_of(3) {
            file.sync_data()?;
            synced.store(next, Ordering::Release);
        }
    }
    Ok(())
}

/// No loss, whatever survives it, takes what a writer has synced.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_keep_what_they_synced() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let writers: Vec<_> = (0..6)
        .map(|index| (bench.at(&format!("w{index}")), Arc::new(AtomicU64::new(0))))
        .collect();
    for (path, _) in &writers {
        let file = File::create(path).unwrap();
        file.set_len(1 << 20).unwrap();
        file.sync_all().unwrap();
    }
    for seed in 0..40 {
        let stop = Arc::new(AtomicBool::new(false));
        let counting: Vec<_> = writers
            .iter()
            .cloned()
            .map(|(path, synced)| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || count_up(&path, &synced, &stop))
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let tear = (seed % 2 == 0).then_some(Tear::Prefix);
        let survival = match seed % 3 {
            0 => Survival::SyncedOnly,
            1 => Survival::Torn {
                seed,
                unit: Tear::Sector,
            },
            _ => Survival::Subset { seed, tear },
        };
        bench.disk.freeze().await.unwrap();
        stop.store(true, Ordering::Release);
        bench.disk.power_loss(survival).await.unwrap();
        for counting in counting {
            // What was under way when the power went has failed.
            let _ = counting.join().unwrap();
        }
        for (path, synced) in &writers {
            let bytes = fs::read(path).unwrap();
            assert_eq!(bytes.len(), 1 << 20);
            for record in 1..=synced.load(Ordering::Acquire) {
                let at = record as usize * 16;
                let found = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
                assert_eq!(found, record, "round {seed}, {}", path.display());
            }
        }
    }
    let least = writers.iter().map(|it| it.1.load(Ordering::Relaxed)).min();
    assert!(least > Some(10), "{least:?}");
}
