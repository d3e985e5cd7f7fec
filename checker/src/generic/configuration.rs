//! Configurations, and sets of them without those that others make superfluous.

use std::collections::HashMap;

use super::budget::{table_bytes, vec_bytes};
use super::tables::{Fast, NONE, Used};

/// A set of slots.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Slots<const W: usize>([u64; W]);

impl<const W: usize> Slots<W> {
    pub(super) const EMPTY: Self = Self([0; W]);

    pub(super) fn has(&self, slot: u32) -> bool {
        self.0[slot as usize / 64] >> (slot % 64) & 1 == 1
    }

    pub(super) fn insert(&mut self, slot: u32) {
        self.0[slot as usize / 64] |= 1 << (slot % 64);
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.0[slot as usize / 64] &= !(1 << (slot % 64));
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    fn within(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    fn is_subset(&self, other: &Self) -> bool {
        self.without(other) == Self::EMPTY
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (0..).zip(self.0).flat_map(|(word, mut bits): (u32, u64)| {
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let bit = bits.trailing_zeros();
                    bits &= bits - 1;
                    64 * word + bit
                })
            })
        })
    }
}

/// Where a legal order of everything that has returned so far can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Configuration<const W: usize> {
    pub(super) state: u32,
    /// Unknown operations used, in [`Used`].
    pub(super) used: u32,
    /// The way here, in [`Trace`](super::tables::Trace).
    pub(super) trace: u32,
    /// Pending operations that have taken effect.
    pub(super) done: Slots<W>,
}

/// Configurations of which none is superfluous beside another.
///
/// Pending mutators are resources and duties at once, and must be equal; reads are duties only,
/// unknown operations resources only.
pub(super) struct Antichain<const W: usize> {
    all: Vec<Entry<W>>,
    /// By state and mutators done; used when there are more than a few.
    heads: HashMap<(u32, Slots<W>), u32, Fast>,
    writes: Slots<W>,
}

struct Entry<const W: usize> {
    configuration: Configuration<W>,
    /// The next one with the same key.
    next: u32,
    superfluous: bool,
}

/// Entries up to which a scan beats a table.
const FEW: usize = 8;

/// Entries beyond which a table is not worth keeping for the next event.
const MANY: usize = 1 << 10;

impl<const W: usize> Antichain<W> {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            heads: HashMap::default(),
            writes: Slots::EMPTY,
        }
    }

    /// Forgets everything; `writes` are the slots of pending mutators from now on.
    pub(super) fn clear(&mut self, writes: Slots<W>) {
        self.all.clear();
        if self.heads.capacity() > MANY {
            self.heads = HashMap::default();
        } else if !self.heads.is_empty() {
            self.heads.clear();
        }
        self.writes = writes;
    }

    fn key(&self, configuration: &Configuration<W>) -> (u32, Slots<W>) {
        (configuration.state, configuration.done.within(&self.writes))
    }

    /// Adds a configuration unless another makes it superfluous.
    pub(super) fn insert(&mut self, new: Configuration<W>, used: &Used) -> bool {
        let key = self.key(&new);
        let by_table = self.all.len() >= FEW;
        if by_table && self.heads.is_empty() {
            self.fill_table();
        }
        let head = self.heads.get(&key).copied().unwrap_or(NONE);
        let mut at = if by_table { head } else { 0 };
        while (at as usize) < self.all.len() {
            let is_peer = by_table || self.key(&self.all[at as usize].configuration) == key;
            let entry = &mut self.all[at as usize];
            if is_peer && !entry.superfluous {
                let old = &entry.configuration;
                if new.done.is_subset(&old.done) && used.is_within(old.used, new.used) {
                    return false;
                }
                if old.done.is_subset(&new.done) && used.is_within(new.used, old.used) {
                    entry.superfluous = true;
                }
            }
            at = if by_table { entry.next } else { at + 1 };
        }
        if by_table {
            self.heads.insert(key, self.all.len() as u32);
        }
        self.all.push(Entry {
            configuration: new,
            next: head,
            superfluous: false,
        });
        true
    }

    fn fill_table(&mut self) {
        for at in 0..self.all.len() {
            let key = self.key(&self.all[at].configuration);
            let next = self.heads.insert(key, at as u32).unwrap_or(NONE);
            self.all[at].next = next;
        }
    }

    /// The one added last.
    pub(super) fn last_mut(&mut self) -> &mut Configuration<W> {
        let last = self.all.last_mut().expect("one was added");
        &mut last.configuration
    }

    /// All ever added, by position.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The one at a position, unless a later one made it superfluous.
    pub(super) fn get(&self, position: usize) -> Option<Configuration<W>> {
        let entry = &self.all[position];
        (!entry.superfluous).then_some(entry.configuration)
    }

    pub(super) fn configurations(&self) -> impl Iterator<Item = Configuration<W>> {
        let live = self.all.iter().filter(|entry| !entry.superfluous);
        live.map(|entry| entry.configuration)
    }

    pub(super) fn bytes(&self) -> usize {
        let (len, capacity) = (self.heads.len(), self.heads.capacity());
        vec_bytes(&self.all) + table_bytes::<((u32, Slots<W>), u32)>(len, capacity)
    }
}
