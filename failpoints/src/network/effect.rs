//! What can be done to a link.

use std::time::Duration;

use super::Link;

/// What becomes of bytes in a blackhole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Loss {
    /// They are held back, and flow on after the heal. That is what a network
    /// that drops packets does to a TCP connection (retransmission, RFC 9293
    /// 3.8.1): the stream has no hole, the sender stalls once its buffers are
    /// full, and whoever loses patience closes the connection itself.
    #[default]
    Held,
    /// They are taken from the sender and thrown away, so that it never
    /// stalls. A stream cannot go on behind a hole: connections that lost
    /// bytes are reset at the heal.
    Lost,
}

/// A link that is slow. All zero and none: as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slow {
    /// How long each chunk of bytes waits at least.
    pub delay: Duration,
    /// How much longer it may wait: drawn evenly from zero to this, for each
    /// chunk. Bytes never overtake each other.
    pub jitter: Duration,
    /// What the jitter is drawn from.
    pub seed: u64,
    /// How fast bytes leave, for all connections of the link together.
    pub bytes_per_second: Option<u64>,
}

impl Slow {
    /// How long the `number`-th chunk (from zero) of a connection's direction
    /// waits on this link. The same for the same seed, link and number.
    pub fn wait(&self, link: &Link, number: u64) -> Duration {
        let nanos = self.jitter.as_nanos().min(u128::from(u64::MAX)) as u64;
        let draw = mix(self.seed ^ name_hash(link), number);
        let extra = ((u128::from(draw) * (u128::from(nanos) + 1)) >> 64) as u64;
        self.delay + Duration::from_nanos(extra)
    }

    /// Both at once: the waits add up, the lower bandwidth counts.
    pub(super) fn and(self, other: Self) -> Self {
        let bandwidths = [self.bytes_per_second, other.bytes_per_second];
        Self {
            delay: self.delay + other.delay,
            jitter: self.jitter + other.jitter,
            seed: self.seed.rotate_left(1) ^ other.seed,
            bytes_per_second: bandwidths.into_iter().flatten().min(),
        }
    }

    pub(super) fn is_slow(&self) -> bool {
        !self.delay.is_zero() || !self.jitter.is_zero() || self.bytes_per_second.is_some()
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014), jumped to its `number`-th draw.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a of the link's name, the same in every build.
fn name_hash(link: &Link) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    link.to_string().bytes().fold(0xCBF2_9CE4_8422_2325, fold)
}

/// One thing that lasts on a link until it is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Connections between the two members are reset, and new ones too: both
    /// ways, whichever way the link is named.
    Reset,
    /// No byte passes in the link's direction, whoever dialled, and nothing
    /// says so: connections stay open.
    Blackhole(Loss),
    /// Bytes pass slowly in the link's direction.
    Slow(Slow),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_bounded_spread_and_the_same_for_the_same_seed() {
        let slow = Slow {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(8),
            seed: 42,
            bytes_per_second: None,
        };
        let waits = |slow: &Slow, link: &Link| -> Vec<_> {
            (0..1000).map(|number| slow.wait(link, number)).collect()
        };
        let (ab, ba) = (Link::new("a", "b"), Link::new("b", "a"));
        let drawn = waits(&slow, &ab);
        assert!(
            drawn
                .iter()
                .all(|wait| (10..=18).contains(&wait.as_millis()))
        );
        let mean = drawn.iter().sum::<Duration>() / 1000;
        assert!(mean.abs_diff(Duration::from_millis(14)) < Duration::from_micros(400));
        assert_eq!(drawn, waits(&slow, &ab));
        assert_ne!(drawn, waits(&slow, &ba));
        assert_ne!(drawn, waits(&Slow { seed: 43, ..slow }, &ab));
    }

    #[test]
    fn slow_links_add_up_and_the_narrower_one_counts() {
        let slow = |millis, bytes_per_second| Slow {
            delay: Duration::from_millis(millis),
            jitter: Duration::from_millis(1),
            seed: 1,
            bytes_per_second,
        };
        let both = slow(5, Some(100)).and(slow(7, None)).and(slow(0, Some(9)));
        assert_eq!(both.delay, Duration::from_millis(12));
        assert_eq!(both.jitter, Duration::from_millis(3));
        assert_eq!(both.bytes_per_second, Some(9));
        assert!(both.is_slow() && !Slow::default().is_slow());
    }
}
