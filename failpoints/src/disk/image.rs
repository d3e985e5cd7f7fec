//! Sets of byte ranges, and the bytes of a file where they are known.

use std::collections::BTreeMap;
use std::ops::Range;

/// Byte ranges, merged where they touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(super) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        let touching: Vec<u64> = self
            .0
            .range(..=end)
            .rev()
            .take_while(|&(_, &stop)| stop >= start)
            .map(|(&begin, _)| begin)
            .collect();
        for begin in touching {
            if let Some(stop) = self.0.remove(&begin) {
                start = start.min(begin);
                end = end.max(stop);
            }
        }
        self.0.insert(start, end);
    }

    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let cut: Vec<(u64, u64)> = self
            .0
            .range(..range.end)
            .rev()
            .take_while(|&(_, &stop)| stop > range.start)
            .map(|(&begin, &stop)| (begin, stop))
            .collect();
        for (begin, stop) in cut {
            self.0.remove(&begin);
            if begin < range.start {
                self.0.insert(begin, range.start);
            }
            if stop > range.end {
                self.0.insert(range.end, stop);
            }
        }
    }

    /// What of `range` is not in the set.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut rest = Self::default();
        rest.add(range.clone());
        for held in self.within(range) {
            rest.remove(held);
        }
        rest.iter().collect()
    }

    /// What of `range` is in the set.
    pub(super) fn within(&self, range: Range<u64>) -> Vec<Range<u64>> {
        if range.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<Range<u64>> = self
            .0
            .range(..range.end)
            .rev()
            .take_while(|&(_, &stop)| stop > range.start)
            .map(|(&begin, &stop)| begin.max(range.start)..stop.min(range.end))
            .collect();
        found.reverse();
        found
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().map(|(&start, &end)| start..end)
    }

    /// The number of bytes in the set.
    pub(super) fn total(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }
}

/// A stretch of known bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// So many zero bytes: holes and preallocated space are long.
    Zeros(u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(len) => *len,
        }
    }

    fn held(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(_) => 0,
        }
    }

    fn slice(&self, range: Range<u64>) -> Self {
        match self {
            Self::Bytes(bytes) => {
                Self::Bytes(bytes[range.start as usize..range.end as usize].to_vec())
            }
            Self::Zeros(_) => Self::Zeros(range.end - range.start),
        }
    }
}

/// Known bytes of a file: pieces that do not overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pieces: BTreeMap<u64, Piece>,
    held: u64,
}

impl Image {
    /// The bytes it takes in memory, without what keeps them.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Piece)> {
        self.pieces.iter().map(|(&at, piece)| (at, piece))
    }

    pub(super) fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::default();
        for (at, piece) in self.iter() {
            ranges.add(at..at + piece.len());
        }
        ranges
    }

    /// What of `range` is not known.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut rest = Ranges::default();
        rest.add(range.clone());
        for (at, piece) in self.overlapping(&range) {
            rest.remove(at..at + piece.len());
        }
        rest.iter().collect()
    }

    /// Learns these bytes, in place of what was known.
    pub(super) fn put(&mut self, at: u64, piece: Piece) {
        if piece.len() == 0 {
            return;
        }
        self.forget(at..at + piece.len());
        self.held += piece.held();
        self.pieces.insert(at, piece);
    }

    /// Knows no longer what is in `range`.
    pub(super) fn forget(&mut self, range: Range<u64>) {
        let cut: Vec<u64> = self.overlapping(&range).map(|(at, _)| at).collect();
        for at in cut {
            let Some(piece) = self.pieces.remove(&at) else {
                continue;
            };
            self.held -= piece.held();
            let end = at + piece.len();
            let mut keep = |part: Range<u64>| {
                let kept = piece.slice(part.start - at..part.end - at);
                self.held += kept.held();
                self.pieces.insert(part.start, kept);
            };
            if at < range.start {
                keep(at..range.start);
            }
            if end > range.end {
                keep(range.end..end);
            }
        }
    }

    /// Knows no longer what is outside of these.
    pub(super) fn retain(&mut self, ranges: &Ranges) {
        let outside: Vec<Range<u64>> = self
            .ranges()
            .iter()
            .flat_map(|known| ranges.gaps(known))
            .collect();
        for range in outside {
            self.forget(range);
        }
    }

    fn overlapping<'a>(&'a self, range: &Range<u64>) -> impl Iterator<Item = (u64, &'a Piece)> {
        let start = range.start;
        let end = if range.is_empty() { start } else { range.end };
        self.pieces
            .range(..end)
            .rev()
            .take_while(move |&(&at, piece)| at + piece.len() > start)
            .map(|(&at, piece)| (at, piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_split() {
        let mut ranges = Ranges::default();
        ranges.add(0..4);
        ranges.add(8..12);
        ranges.add(4..6);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..6, 8..12]);
        ranges.remove(2..9);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..2, 9..12]);
        assert_eq!(ranges.gaps(1..10).first(), Some(&(2..9)));
        assert_eq!(ranges.within(1..10), [1..2, 9..10]);
        assert_eq!(ranges.total(), 5);
    }

    #[test]
    fn images_overlay_and_forget() {
        let mut image = Image::default();
        image.put(0, Piece::Bytes(vec![1; 8]));
        image.put(2, Piece::Zeros(2));
        assert_eq!(image.held(), 6);
        image.forget(7..20);
        assert_eq!(image.ranges().iter().last(), Some(0..7));
        assert_eq!(image.gaps(0..9).first(), Some(&(7..9)));
        let mut keep = Ranges::default();
        keep.add(1..3);
        image.retain(&keep);
        let left: Vec<_> = image.iter().collect();
        let expected = [(1, &Piece::Bytes(vec![1])), (2, &Piece::Zeros(1))];
        assert_eq!(left, expected);
        assert_eq!(image.held(), 1);
    }
}
