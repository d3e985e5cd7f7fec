//! Many rounds, many writers.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
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

/// Each writer counts up in records of its own file, and publishes what it has
/// synced: no loss, whatever survives it, takes less.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_keep_what_they_synced() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let stop = Arc::new(AtomicBool::new(false));
    let synced: Vec<Arc<AtomicU64>> = (0..6).map(|_| Arc::default()).collect();
    for (index, _) in synced.iter().enumerate() {
        let file = File::create(bench.at(&format!("w{index}"))).unwrap();
        file.set_len(1 << 20).unwrap();
        file.sync_all().unwrap();
    }
    let writers: Vec<_> = synced
        .iter()
        .enumerate()
        .map(|(index, synced)| {
            let (synced, stop) = (Arc::clone(synced), Arc::clone(&stop));
            let path = bench.at(&format!("w{index}"));
            thread::spawn(move || {
                let file = File::options().write(true).open(path).unwrap();
                let mut next = 1_u64;
                while !stop.load(Ordering::Relaxed) {
                    let record = [next.to_le_bytes(), next.to_le_bytes()].concat();
                    let at = (next % 60_000) * 16;
                    let wrote = file.write_all_at(&record, at);
                    let done = wrote.and_then(|()| match next.is_multiple_of(3) {
                        true => file.sync_data(),
                        false => Ok(()),
                    });
                    match done {
                        Ok(()) if next.is_multiple_of(3) => synced.store(next, Ordering::Release),
                        Ok(()) => {}
                        // The power went in the middle: go on from what was
                        // published.
                        Err(_) => next = synced.load(Ordering::Relaxed),
                    }
                    next += 1;
                }
            })
        })
        .collect();
    for seed in 0..40 {
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
        let promised: Vec<u64> = synced.iter().map(|it| it.load(Ordering::Acquire)).collect();
        bench.disk.power_loss(survival).await.unwrap();
        for (index, promised) in promised.into_iter().enumerate() {
            let bytes = fs::read(bench.at(&format!("w{index}"))).unwrap();
            assert_eq!(bytes.len(), 1 << 20);
            for record in 1..=promised {
                let at = (record % 60_000) as usize * 16;
                let found = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
                assert_eq!(found, record, "round {seed}, writer {index}");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    let least = synced.iter().map(|it| it.load(Ordering::Relaxed)).min();
    assert!(least > Some(10), "{least:?}");
}
