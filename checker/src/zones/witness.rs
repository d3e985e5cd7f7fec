//! The smallest proof that two clusters precede each other.

use super::clusters::Cluster;
use super::{Contradiction, Operation, Violation};

/// Of the operations that can show that each of two clusters precedes the other, those that need
/// the fewest besides the two writes.
pub(super) fn came_back<K, V>(
    a: &Cluster,
    b: &Cluster,
    operations: &[Operation<K, V>],
) -> Violation {
    let precedes = |before: u32, after: u32| {
        operations[before as usize]
            .ret
            .is_some_and(|ret| ret < operations[after as usize].call)
    };
    let pairs = |from: &Cluster, to: &Cluster| {
        let ends = |cluster: &Cluster| [cluster.write, cluster.first, cluster.last];
        let (from, to) = (ends(from), ends(to));
        let all = from
            .into_iter()
            .flat_map(move |before| to.map(|after| (before, after)));
        all.filter(|(before, after)| precedes(*before, *after))
            .collect::<Vec<_>>()
    };
    let back = pairs(b, a);
    let smallest = pairs(a, b)
        .into_iter()
        .flat_map(|there| back.iter().map(move |back| (there, *back)))
        .map(|(there, back)| {
            let mut proof = vec![a.write, b.write, there.0, there.1, back.0, back.1];
            proof.sort_unstable();
            proof.dedup();
            proof
        })
        .min_by_key(Vec::len)
        .expect("the clusters precede each other");
    Violation {
        contradiction: Contradiction::CameBack,
        operations: smallest.into_iter().map(|op| op as usize).collect(),
    }
}
