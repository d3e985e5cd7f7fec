//! Byte strings as numbers.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Each distinct byte string once, numbered in the order of first sight.
#[derive(Clone, Default)]
pub(super) struct Interner {
    text: Vec<u8>,
    /// Where each string ends in `text`.
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// Makes room for so many strings more.
    pub(super) fn reserve(&mut self, strings: usize) {
        let Self {
            text,
            ends,
            table,
            hasher,
        } = self;
        ends.reserve(strings);
        table.reserve(strings, |other| hasher.hash_one(slice(text, ends, *other)));
    }

    /// The number of a string; none where the strings outgrow 4 GiB.
    pub(super) fn intern(&mut self, bytes: &[u8]) -> Option<u32> {
        let Self {
            text,
            ends,
            table,
            hasher,
        } = self;
        let hash = hasher.hash_one(bytes);
        let same = |number: &u32| slice(text, ends, *number) == bytes;
        if let Some(number) = table.find(hash, same) {
            return Some(*number);
        }
        let number = u32::try_from(ends.len()).ok().filter(|n| *n < u32::MAX)?;
        let end = u32::try_from(text.len() + bytes.len()).ok()?;
        text.extend_from_slice(bytes);
        ends.push(end);
        table.insert_unique(hash, number, |other| {
            hasher.hash_one(slice(text, ends, *other))
        });
        Some(number)
    }

    pub(super) fn get(&self, number: u32) -> &[u8] {
        slice(&self.text, &self.ends, number)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn slice<'t>(text: &'t [u8], ends: &[u32], number: u32) -> &'t [u8] {
    let at = number as usize;
    let start = at.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &text[start..ends[at] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_have_one_number() {
        let mut interner = Interner::default();
        let numbers: Vec<_> = ["a", "", "b", "a", ""]
            .iter()
            .map(|text| interner.intern(text.as_bytes()).unwrap())
            .collect();
        assert_eq!(numbers, [0, 1, 2, 0, 1]);
        assert_eq!(interner.get(2), b"b");
        assert_eq!(interner.get(1), b"");
        assert_eq!(interner.len(), 3);
    }
}
