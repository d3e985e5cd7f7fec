//! A map that is copied in no time and shares what its copies have in common: a treap (Seidel &
//! Aragon, *Randomized search trees*, 1996) with priorities drawn from the keys, so that equal maps
//! have equal shapes, and with a hash that every change keeps up to date.

use std::cmp::Ordering;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash};
use std::ops::Bound;
use std::sync::Arc;

/// The map.
#[derive(Clone, Debug)]
pub(super) struct Map<K, V> {
    root: Link<K, V>,
    len: usize,
}

type Link<K, V> = Option<Arc<Node<K, V>>>;

#[derive(Debug)]
struct Node<K, V> {
    key: K,
    value: V,
    priority: u64,
    /// Of the entry.
    hash: u64,
    /// Of all entries from here down.
    sum: u64,
    left: Link<K, V>,
    right: Link<K, V>,
}

fn hash<T: Hash>(what: &T) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(what)
}

fn sum<K, V>(link: &Link<K, V>) -> u64 {
    link.as_ref().map_or(0, |node| node.sum)
}

impl<K: Ord + Hash + Clone, V: Clone> Node<K, V> {
    fn with(&self, left: Link<K, V>, right: Link<K, V>) -> Link<K, V> {
        Some(Arc::new(Self {
            key: self.key.clone(),
            value: self.value.clone(),
            priority: self.priority,
            hash: self.hash,
            sum: self.hash.wrapping_add(sum(&left)).wrapping_add(sum(&right)),
            left,
            right,
        }))
    }

    fn is_above(&self, other: &Self) -> bool {
        (self.priority, &self.key) > (other.priority, &other.key)
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<K: Ord + Hash + Clone, V: Clone + Hash> Map<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let mut at = &self.root;
        while let Some(node) = at {
            at = match key.cmp(&node.key) {
                Ordering::Equal => return Some(&node.value),
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
            };
        }
        None
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let node = Node {
            priority: hash(&key),
            hash: hash(&(&key, &value)),
            key,
            value,
            sum: 0,
            left: None,
            right: None,
        };
        self.len += usize::from(self.get(&node.key).is_none());
        self.root = insert(&self.root, &node);
    }

    pub(super) fn remove(&mut self, key: &K) {
        if self.get(key).is_some() {
            self.len -= 1;
            self.root = remove(&self.root, key);
        }
    }

    /// The values of keys between bounds, by key.
    pub(super) fn range(&self, bounds: (Bound<&K>, Bound<&K>)) -> Vec<&V> {
        let mut found = Vec::new();
        collect(&self.root, bounds, &mut found);
        found
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A number that equal maps share.
    pub(super) fn sum(&self) -> u64 {
        sum(&self.root)
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        same(&self.root, &other.root)
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K: Ord + Hash + Clone, V: Clone + Hash> Hash for Map<K, V> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.sum());
    }
}

fn same<K: PartialEq, V: PartialEq>(a: &Link<K, V>, b: &Link<K, V>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            Arc::ptr_eq(a, b)
                || a.sum == b.sum
                    && a.key == b.key
                    && a.value == b.value
                    && same(&a.left, &b.left)
                    && same(&a.right, &b.right)
        }
        _ => false,
    }
}

fn insert<K: Ord + Hash + Clone, V: Clone>(at: &Link<K, V>, new: &Node<K, V>) -> Link<K, V> {
    let Some(node) = at else {
        return new.with(None, None);
    };
    match new.key.cmp(&node.key) {
        Ordering::Equal => new.with(node.left.clone(), node.right.clone()),
        _ if new.is_above(node) => {
            let (left, right) = split(at, &new.key);
            new.with(left, right)
        }
        Ordering::Less => node.with(insert(&node.left, new), node.right.clone()),
        Ordering::Greater => node.with(node.left.clone(), insert(&node.right, new)),
    }
}

/// What is below a key, and what is above it.
fn split<K: Ord + Hash + Clone, V: Clone>(at: &Link<K, V>, key: &K) -> (Link<K, V>, Link<K, V>) {
    let Some(node) = at else {
        return (None, None);
    };
    if node.key < *key {
        let (left, right) = split(&node.right, key);
        (node.with(node.left.clone(), left), right)
    } else {
        let (left, right) = split(&node.left, key);
        (left, node.with(right, node.right.clone()))
    }
}

fn remove<K: Ord + Hash + Clone, V: Clone>(at: &Link<K, V>, key: &K) -> Link<K, V> {
    let node = at.as_ref()?;
    match key.cmp(&node.key) {
        Ordering::Equal => join(&node.left, &node.right),
        Ordering::Less => node.with(remove(&node.left, key), node.right.clone()),
        Ordering::Greater => node.with(node.left.clone(), remove(&node.right, key)),
    }
}

/// One tree of two, the first of which is below the second.
fn join<K: Ord + Hash + Clone, V: Clone>(low: &Link<K, V>, high: &Link<K, V>) -> Link<K, V> {
    match (low, high) {
        (None, rest) | (rest, None) => rest.clone(),
        (Some(a), Some(b)) if a.is_above(b) => a.with(a.left.clone(), join(&a.right, high)),
        (Some(_), Some(b)) => b.with(join(low, &b.left), b.right.clone()),
    }
}

fn collect<'m, K: Ord, V>(
    at: &'m Link<K, V>,
    bounds: (Bound<&K>, Bound<&K>),
    found: &mut Vec<&'m V>,
) {
    let Some(node) = at else { return };
    let above = match bounds.0 {
        Bound::Included(low) => node.key >= *low,
        Bound::Excluded(low) => node.key > *low,
        Bound::Unbounded => true,
    };
    let below = match bounds.1 {
        Bound::Included(high) => node.key <= *high,
        Bound::Excluded(high) => node.key < *high,
        Bound::Unbounded => true,
    };
    if above {
        collect(&node.left, bounds, found);
    }
    if above && below {
        found.push(&node.value);
    }
    if below {
        collect(&node.right, bounds, found);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(changes in prop::collection::vec((0..20_u8, prop::option::of(0..3_u8)), 0..60)) {
            let (mut map, mut expected) = (Map::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (key, value) in changes {
                copies.push((map.clone(), expected.clone()));
                match value {
                    Some(value) => {
                        map.insert(key, value);
                        expected.insert(key, value);
                    }
                    None => {
                        map.remove(&key);
                        expected.remove(&key);
                    }
                }
            }
            prop_assert_eq!(map.len(), expected.len());
            copies.push((map.clone(), expected.clone()));
            for (copy, expected) in copies {
                for bounds in [
                    (Bound::Unbounded, Bound::Unbounded),
                    (Bound::Included(&5), Bound::Excluded(&15)),
                ] {
                    prop_assert_eq!(copy.range(bounds), expected.range(bounds).map(|e| e.1).collect::<Vec<_>>());
                }
                let mut built = Map::default();
                for (key, value) in expected.iter().rev() {
                    built.insert(*key, *value);
                }
                prop_assert!(built == copy && built.sum() == copy.sum());
                prop_assert_eq!(copy == map, copy.sum() == map.sum());
                prop_assert_eq!(copy.get(&7), expected.get(&7));
            }
        }
    }
}
