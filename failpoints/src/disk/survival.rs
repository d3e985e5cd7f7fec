//! What of the un-synced data survives a power loss.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::content::{Action, Fate, Record};
use super::draw::Draw;

/// What of the un-synced data survives a power loss. Draws come from the seed
/// alone: the same seed over the same un-synced data gives the same loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Survival {
    /// Nothing: what is left is what was synced, and no more.
    SyncedOnly,
    /// Everything up to a drawn moment; the write at that moment in part.
    Torn {
        /// Where the draws come from.
        seed: u64,
        /// What is left of that write.
        unit: Tear,
    },
    /// Each write, or each part of it, by itself: writes are reordered.
    /// Changes of names survive up to a drawn one, or each by itself where
    /// names are [`Strict`](super::Metadata::Strict).
    Subset {
        /// Where the draws come from.
        seed: u64,
        /// Whether writes are torn as well.
        tear: Option<Tear>,
    },
}

/// How a write survives in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tear {
    /// Its first bytes, of any number.
    Prefix,
    /// Some of the 512-byte sectors it covers.
    Sector,
    /// Some of the 4 KiB pages it covers.
    Page,
}

impl Survival {
    pub(super) fn draw(&self) -> Draw {
        match *self {
            Self::SyncedOnly => Draw::new(0),
            Self::Torn { seed, .. } | Self::Subset { seed, .. } => Draw::new(seed),
        }
    }
}

impl Tear {
    /// What is left of a record torn like this. Only writes tear.
    pub(super) fn tear(self, record: &Record, draw: &mut Draw) -> Fate {
        let Action::Write { at, data } = &record.action else {
            return Fate::Lost;
        };
        let range = *at..*at + data.len() as u64;
        let parts: Vec<Range<u64>> = match self {
            Self::Prefix => {
                let left = range.start..range.start + draw.below(data.len() as u64);
                std::iter::once(left).collect()
            }
            Self::Sector => units(range.clone(), 512).filter(|_| draw.coin()).collect(),
            Self::Page => units(range.clone(), 4096).filter(|_| draw.coin()).collect(),
        };
        let left: u64 = parts.iter().map(|part| part.end - part.start).sum();
        match left {
            0 => Fate::Lost,
            left if left == range.end - range.start => Fate::Kept,
            _ => Fate::Torn(parts),
        }
    }
}

/// A range in pieces that end at multiples of the unit.
fn units(range: Range<u64>, unit: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = range.end.min((start / unit + 1) * unit);
        (start < range.end).then_some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_end_at_multiples() {
        let cut: Vec<_> = units(500..1100, 512).collect();
        assert_eq!(cut, [500..512, 512..1024, 1024..1100]);
        assert_eq!(units(5..5, 512).count(), 0);
    }

    #[test]
    fn tearing_is_a_matter_of_the_seed() {
        let record = Record {
            seq: 1,
            action: Action::Write {
                at: 100,
                data: vec![0; 20_000],
            },
        };
        for tear in [Tear::Prefix, Tear::Sector, Tear::Page] {
            let again = || tear.tear(&record, &mut Draw::new(7));
            assert_eq!(again(), again());
            assert!(matches!(again(), Fate::Torn(_)), "{tear:?}");
        }
    }
}
