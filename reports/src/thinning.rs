//! Which operations a page has room for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something on the time axis that may be left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) bytes: usize,
    /// Part of a finding: goes in before anything else.
    pub(crate) needed: bool,
}

/// Indexes of the candidates that fit into `budget` bytes, ascending: first the needed ones, then
/// those nearest in time to a point of interest. Without points of interest an even sample is kept.
pub(crate) fn fitting(candidates: &[Candidate], interest: &[u64], budget: usize) -> Vec<usize> {
    let total: usize = candidates.iter().map(|candidate| candidate.bytes).sum();
    if total <= budget {
        return (0..candidates.len()).collect();
    }
    let mut interest = interest.to_vec();
    interest.sort_unstable();
    let mut queue: BinaryHeap<_> = candidates
        .iter()
        .enumerate()
        .map(|(index, candidate)| {
            let rank = if interest.is_empty() {
                u64::from((index as u32).reverse_bits())
            } else {
                distance(candidate, &interest)
            };
            Reverse((!candidate.needed, rank, index))
        })
        .collect();
    let mut left = budget;
    let mut kept = Vec::new();
    while let Some(Reverse((_, _, index))) = queue.pop() {
        let Some(rest) = left.checked_sub(candidates[index].bytes) else {
            break;
        };
        left = rest;
        kept.push(index);
    }
    kept.sort_unstable();
    kept
}

/// From the candidate to the nearest of the sorted points; 0 where one lies in it.
fn distance(candidate: &Candidate, interest: &[u64]) -> u64 {
    let next = interest.partition_point(|at| *at < candidate.from);
    let before = next
        .checked_sub(1)
        .map(|index| candidate.from - interest[index]);
    let after = interest
        .get(next)
        .map(|at| at.saturating_sub(candidate.until));
    before.into_iter().chain(after).min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(from: u64) -> Candidate {
        Candidate {
            from,
            until: from + 5,
            bytes: 10,
            needed: false,
        }
    }

    #[test]
    fn everything_stays_where_everything_fits() {
        let candidates: Vec<_> = (0..5).map(|index| at(index * 10)).collect();
        assert_eq!(fitting(&candidates, &[], 50), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_witness_and_its_surroundings_stay() {
        let mut candidates: Vec<_> = (0..10).map(|index| at(index * 10)).collect();
        candidates[9].needed = true;
        assert_eq!(fitting(&candidates, &[33], 40), [2, 3, 4, 9]);
    }

    #[test]
    fn without_a_point_of_interest_the_sample_spans_the_run() {
        let candidates: Vec<_> = (0..64).map(|index| at(index * 10)).collect();
        let kept = fitting(&candidates, &[], 160);
        assert_eq!(kept.len(), 16);
        let quarter = |n: usize| kept.iter().filter(|index| **index / 16 == n).count();
        assert_eq!([quarter(0), quarter(1), quarter(2), quarter(3)], [4; 4]);
    }
}
