//! Readers through a mapping: what lies in the page cache must not hide what
//! happened below it.

// mmap(2) has no safe form: what it maps may change under the reader.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;

use failpoints::disk::{Effect, Op, Rule};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::bench::Bench;

const LEN: usize = 64 << 10;

/// A shared, read-only mapping, as bbolt has one.
struct Mapping(std::ptr::NonNull<std::ffi::c_void>);

impl Mapping {
    fn of(file: &File) -> Self {
        let len = NonZeroUsize::new(LEN).unwrap();
        let flags = MapFlags::MAP_SHARED;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing
        // else refers to it.
        let at = unsafe { mmap(None, len, ProtFlags::PROT_READ, flags, file, 0) };
        Self(at.unwrap())
    }

    fn read(&self) -> Vec<u8> {
        let start = self.0.cast::<u8>().as_ptr();
        let byte = |index| {
            // SAFETY: within the mapping, which the file covers; volatile,
            // since the file may change between two reads.
            unsafe { start.add(index).read_volatile() }
        };
        (0..LEN).map(byte).collect()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        unsafe { munmap(self.0, LEN).unwrap() };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_bytes_vanish_from_mappings() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let file = File::create_new(bench.at("db")).unwrap();
    file.write_all_at(&[1; LEN], 0).unwrap();
    file.sync_data().unwrap();
    let mapping = Mapping::of(&file);
    assert_eq!(mapping.read(), [1; LEN]);
    file.write_all_at(&[2; 8192], 4096).unwrap();
    let seen = mapping.read();
    assert_eq!((seen[4095], seen[4096], seen[12_288]), (1, 2, 1));
    bench.lose().await;
    assert_eq!(mapping.read(), [1; LEN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn flips_are_seen_by_read_and_through_mappings_and_heal() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let file = File::create_new(bench.at("db")).unwrap();
    let plain: Vec<u8> = (0..LEN).map(|index| (index / 7) as u8).collect();
    file.write_all_at(&plain, 0).unwrap();
    let mapping = Mapping::of(&file);
    assert_eq!(mapping.read(), plain);
    let flips = |seen: &[u8]| -> u32 {
        let pairs = seen.iter().zip(&plain);
        pairs.map(|(seen, plain)| (seen ^ plain).count_ones()).sum()
    };
    let effect = Effect::BitFlip {
        seed: 7,
        every: 4096,
    };
    let rule = bench
        .disk
        .arm(Rule::new("db", Op::Read, effect))
        .await
        .unwrap();
    let mapped = mapping.read();
    assert_eq!(flips(&mapped), LEN as u32 / 4096);
    assert_eq!(fs::read(bench.at("db")).unwrap(), mapped);
    assert_eq!(
        fs::read(bench.plain("db")).unwrap(),
        plain,
        "stored bytes stay"
    );
    bench.disk.clear(rule).await.unwrap();
    assert_eq!(mapping.read(), plain);
    assert_eq!(fs::read(bench.at("db")).unwrap(), plain);
}
