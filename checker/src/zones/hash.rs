//! A fast hash for the two tables of the check: the multiplication and rotation of Firefox's and
//! rustc's `FxHasher` (<https://github.com/rust-lang/rustc-hash>). It does not resist keys that are
//! chosen to collide: these would make the check slow, never wrong.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds the tables' hasher.
pub(super) type Fast = BuildHasherDefault<Folded>;

const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;

/// The state so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Folded(u64);

impl Folded {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.add(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.add(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.add(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}
