//! Named streams of random numbers, all from one seed.
//!
//! Each component draws from a stream of its own (`cluster`, `traffic`, `steps`, `client/3`), so
//! that one more draw in one component moves nothing in another.
//!
//! A stream is ChaCha20 under a 32-byte key of four little-endian 64-bit words. Word *i* (0 to 3) is
//!
//! ```text
//! mix(mix(seed + (i + 1) * 0x9e3779b97f4a7c15) ^ fnv1a(name followed by the byte i))
//! ```
//!
//! with 64-bit FNV-1a, the finaliser of SplitMix64 as `mix`, and arithmetic modulo 2^64. Uniform
//! draws are made here, by rejection, and not by a library whose algorithm may change with its
//! version: what a seed means changes only together with [`crate::plan::SEED_SCHEME`].

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha20Rng);

impl Stream {
    /// The stream of this name under this seed.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let mut key = [0; 32];
        for (i, word) in key.chunks_exact_mut(8).enumerate() {
            let salt = GOLDEN.wrapping_mul(i as u64 + 1);
            let hash = fnv1a(name.bytes().chain([i as u8]));
            let mixed = mix(mix(seed.wrapping_add(salt)) ^ hash);
            word.copy_from_slice(&mixed.to_le_bytes());
        }
        Self(ChaCha20Rng::from_seed(key))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `n`, each as likely.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    pub fn below(&mut self, n: u64) -> u64 {
        let limit = u64::MAX - u64::MAX % n;
        loop {
            let bits = self.bits();
            if bits < limit {
                return bits % n;
            }
        }
    }

    /// A number from `low` to `high`, both included, each as likely.
    ///
    /// # Panics
    ///
    /// If `low` is above `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "{low} is above {high}");
        match (high - low).checked_add(1) {
            Some(n) => low + self.below(n),
            None => self.bits(),
        }
    }

    /// The generator itself, for code that wants one of `rand`'s.
    #[must_use]
    pub fn into_rng(self) -> ChaCha20Rng {
        self.0
    }
}

fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_published_fnv1a() {
        assert_eq!(fnv1a("".bytes()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("foobar".bytes()), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn mix_is_the_finaliser_of_splitmix64() {
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn streams_differ_by_name_and_by_seed() {
        let first = |seed, name| Stream::new(seed, name).bits();
        assert_eq!(first(1, "steps"), first(1, "steps"));
        assert_ne!(first(1, "steps"), first(1, "traffic"));
        assert_ne!(first(1, "steps"), first(2, "steps"));
        assert_ne!(first(1, "client/1"), first(1, "client/2"));
    }

    #[test]
    fn draws_cover_their_range_and_stay_inside() {
        let mut stream = Stream::new(7, "test");
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[stream.between(3, 7) as usize - 3] += 1;
        }
        assert!(seen.iter().all(|n| (150..250).contains(n)), "{seen:?}");
        assert_eq!(stream.between(9, 9), 9);
        stream.between(0, u64::MAX);
    }
}
