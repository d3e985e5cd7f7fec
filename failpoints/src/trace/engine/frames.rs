//! Who called: the chain of frame pointers.

use std::ops::Range;

/// How many return addresses are looked at.
pub(super) const DEPTH: usize = 32;

/// The traced process's memory.
pub(super) trait Memory {
    /// Reads as much as there is of `buffer`, from its start; returns how much.
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize;

    /// One word.
    fn word(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        (self.read(address, &mut word) == 8).then(|| u64::from_le_bytes(word))
    }
}

/// Whether a return address on the stack is in one of `callers`.
///
/// `at_boundary`: at a function's entry or return, where the stack pointer
/// points at the return address and the frame pointer is the caller's. The
/// chain ends where it does not lead to higher addresses.
pub(super) fn called_from(
    memory: &impl Memory,
    at_boundary: bool,
    stack: u64,
    frame: u64,
    callers: &[Range<u64>],
) -> bool {
    let within = |address: u64| callers.iter().any(|range| range.contains(&address));
    if at_boundary && memory.word(stack).is_some_and(within) {
        return true;
    }
    let mut frame = frame;
    let mut above = stack;
    for _ in 1..DEPTH {
        if frame < above || !frame.is_multiple_of(8) {
            return false;
        }
        let Some(back) = frame.checked_add(8).and_then(|at| memory.word(at)) else {
            return false;
        };
        if within(back) {
            return true;
        }
        let Some(next) = memory.word(frame) else {
            return false;
        };
        above = frame.saturating_add(16);
        frame = next;
    }
    false
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Words(BTreeMap<u64, u64>);

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            match self.0.get(&address) {
                Some(word) if buffer.len() == 8 => {
                    buffer.copy_from_slice(&word.to_le_bytes());
                    8
                }
                _ => 0,
            }
        }
    }

    #[test]
    fn callers_are_found_up_the_chain_and_not_beyond() {
        let words = Words(BTreeMap::from([
            (0x1000, 0x40_0010),
            (0x1020, 0x1040),
            (0x1028, 0x50_0010),
            (0x1040, 0),
            (0x1048, 0x60_0010),
        ]));
        for caller in [0x40_0000, 0x50_0000, 0x60_0000] {
            let range = caller..caller + 0x20;
            assert!(called_from(&words, true, 0x1000, 0x1020, &[0..1, range]));
        }
        assert!(!called_from(
            &words,
            true,
            0x1000,
            0x1020,
            &[0x70_0000..0x70_0020]
        ));
        assert!(!called_from(&words, true, 0x1000, 0x1020, &[]));
        let direct = [0x40_0000..0x40_0020];
        assert!(!called_from(&words, false, 0x1000, 0x1020, &direct));
    }

    #[test]
    fn a_chain_that_turns_back_or_leaves_memory_ends() {
        let round = Words(BTreeMap::from([(0x1000, 1), (0x1020, 0x1020), (0x1028, 2)]));
        assert!(!called_from(&round, true, 0x1000, 0x1020, &[9..10]));
        assert!(called_from(&round, true, 0x1000, 0x1020, &[2..3]));
        for frame in [u64::MAX, u64::MAX - 7, 0x1021, 0] {
            assert!(!called_from(&round, true, 0x1000, frame, &[2..3]));
        }
    }

    #[test]
    fn no_more_than_the_nearest_are_looked_at() {
        let chain = |length: u64| {
            let mut words = BTreeMap::from([(0x1000, 1)]);
            for n in 1..=length {
                words.insert(0x1000 + 0x10 * n, 0x1000 + 0x10 * (n + 1));
                words.insert(0x1008 + 0x10 * n, 100 + n);
            }
            Words(words)
        };
        let last = DEPTH as u64 - 1;
        let found = |n: u64| called_from(&chain(64), true, 0x1000, 0x1010, &[100 + n..101 + n]);
        assert!(found(last));
        assert!(!found(last + 1));
    }
}
