//! Whether the run did enough, and how fast: counts, latencies, rate.

use std::collections::BTreeMap;

use crate::ended::Ended;
use crate::ops::Ops;

/// Operations of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct KindRow {
    pub(crate) kind: &'static str,
    /// In the order of [`Ended::ALL`].
    pub(crate) counts: [u64; 4],
    /// Of those answered, in nanoseconds; none for watches, whose length is the plan's choice.
    pub(crate) latency: Option<Latency>,
}

/// Latencies, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) median: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// A row a kind, most frequent first.
pub(crate) fn kinds(ops: &Ops<'_>) -> Vec<KindRow> {
    let mut rows: BTreeMap<&'static str, (KindRow, Vec<u64>)> = BTreeMap::new();
    for op in &ops.list {
        let kind = op.invoke.request.kind();
        let (row, took) = rows.entry(kind).or_default();
        row.kind = kind;
        let ended = op.ended();
        row.counts[ended as usize] += 1;
        if let (Ended::Ok, Some(end), false) = (ended, op.end, op.is_watch()) {
            took.push(end - op.invoke.at);
        }
    }
    let mut rows: Vec<_> = rows
        .into_values()
        .map(|(mut row, took)| {
            row.latency = latency(took);
            row
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.counts.iter().sum::<u64>()));
    rows
}

fn latency(mut took: Vec<u64>) -> Option<Latency> {
    took.sort_unstable();
    let at = |per_cent: usize| took[(took.len() - 1) * per_cent / 100];
    let max = *took.last()?;
    Some(Latency {
        median: at(50),
        p99: at(99),
        max,
    })
}

/// Operations ended in each of `buckets` equal parts of the run, by result.
pub(crate) fn rate(ops: &Ops<'_>, end: u64, buckets: usize) -> Vec<[u64; 4]> {
    let mut counts = vec![[0; 4]; buckets];
    for op in &ops.list {
        let at = op.end.unwrap_or(op.invoke.at);
        let bucket = u128::from(at) * buckets as u128 / (u128::from(end) + 1);
        let bucket = usize::try_from(bucket)
            .unwrap_or(usize::MAX)
            .min(buckets - 1);
        counts[bucket][op.ended() as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_members_of_the_sample() {
        let latency = latency((1..=200).rev().collect()).unwrap();
        assert_eq!(
            latency,
            Latency {
                median: 100,
                p99: 198,
                max: 200
            }
        );
        assert_eq!(super::latency(vec![]), None);
    }
}
