//! Shapes of partitions: which ordered links a fault is put on.
//!
//! All are plain functions of names. Names that occur twice count once; links
//! from a member to itself are never among them.
//!
//! Sources: the shapes are Jepsen's (`jepsen.nemesis`: `bisect`, `bridge`,
//! `majorities-ring`), by their common names.

use std::collections::{BTreeMap, BTreeSet};

use super::Link;

/// Every link from one of these to one of those.
pub fn one_way<A: AsRef<str>, B: AsRef<str>>(from: &[A], to: &[B]) -> BTreeSet<Link> {
    from.iter()
        .flat_map(|from| to.iter().map(move |to| (from.as_ref(), to.as_ref())))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| Link::new(from, to))
        .collect()
}

/// Every link between one of these and one of those, both ways.
pub fn between<A: AsRef<str>, B: AsRef<str>>(these: &[A], those: &[B]) -> BTreeSet<Link> {
    let mut links = one_way(these, those);
    links.extend(one_way(those, these));
    links
}

/// One member sees nobody, and nobody sees it. With whoever leads as the one,
/// this is the leader away.
pub fn isolate<M: AsRef<str>>(members: &[M], one: &str) -> BTreeSet<Link> {
    between(members, &[one])
}

/// These on one side, all others on the other.
pub fn halves<A: AsRef<str>, B: AsRef<str>>(members: &[A], side: &[B]) -> BTreeSet<Link> {
    let here: BTreeSet<_> = side.iter().map(AsRef::as_ref).collect();
    let others: Vec<_> = members.iter().map(AsRef::as_ref).collect();
    let others: Vec<_> = others.into_iter().filter(|m| !here.contains(m)).collect();
    between(side, &others)
}

/// The smaller half of these, the first ones: one of three, two of five.
pub fn minority<M: AsRef<str>>(members: &[M]) -> &[M] {
    &members[..members.len().saturating_sub(1) / 2]
}

/// Two halves that see each other only through `joint`, which sees all. The
/// others are divided in the order given.
pub fn bridge<M: AsRef<str>>(members: &[M], joint: &str) -> BTreeSet<Link> {
    let others: Vec<_> = members.iter().map(AsRef::as_ref).collect();
    let others: Vec<_> = others.into_iter().filter(|m| *m != joint).collect();
    let (left, right) = others.split_at(others.len() / 2);
    between(left, right)
}

/// Every member sees a majority, and no two see the same one: in a ring, in
/// the order given, each sees its nearest neighbours alone. Three members have
/// no such ring with links that work both ways (each would see all): there
/// each one hears itself and the one before it, so that links work one way.
pub fn ring<M: AsRef<str>>(members: &[M]) -> BTreeSet<Link> {
    let names: Vec<_> = members.iter().map(AsRef::as_ref).collect();
    let count = names.len();
    let majority = count / 2 + 1;
    let mut links = BTreeSet::new();
    for (at, from) in names.iter().enumerate() {
        for step in 1..count {
            // Members ahead of `from`, in the ring's direction.
            let open = match count {
                0..=3 => step < majority,
                _ => step.min(count - step) <= (majority - 1).div_ceil(2),
            };
            if !open {
                links.insert(Link::new(*from, names[(at + step) % count]));
            }
        }
    }
    links
}

/// Whom each member hears through the links that are left, itself included.
pub fn heard<M: AsRef<str>>(
    members: &[M],
    cut: &BTreeSet<Link>,
) -> BTreeMap<String, BTreeSet<String>> {
    let hears = |to: &str| {
        let names = members.iter().map(AsRef::as_ref);
        names
            .filter(|from| *from == to || !cut.contains(&Link::new(*from, to)))
            .map(Into::into)
            .collect()
    };
    let names = members.iter().map(AsRef::as_ref);
    names.map(|to| (to.to_owned(), hears(to))).collect()
}
