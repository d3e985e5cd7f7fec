//! What configurations refer to by number: states, sets of used unknown operations, traces.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use super::Model;
use super::budget::{table_bytes, vec_bytes};
use super::plan::Number;

/// A multiplicative hash; tables compare in full, so that a collision only costs time.
#[derive(Clone, Copy, Default)]
pub(super) struct Multiply(u64);

/// Builds [`Multiply`].
#[derive(Clone, Copy, Default)]
pub(super) struct Fast;

impl BuildHasher for Fast {
    type Hasher = Multiply;

    fn build_hasher(&self) -> Multiply {
        Multiply(0)
    }
}

impl Hasher for Multiply {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// The end of a chain, or no parent.
pub(super) const NONE: u32 = u32::MAX;

/// States by number, each kept once.
pub(super) struct States<S> {
    all: Vec<S>,
    /// The next state with the same hash.
    next: Vec<u32>,
    heads: HashMap<u64, u32, Fast>,
    /// Bytes behind the states' pointers.
    inside: usize,
}

impl<S: Eq + Hash> States<S> {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            next: Vec::new(),
            heads: HashMap::default(),
            inside: 0,
        }
    }

    pub(super) fn intern(&mut self, state: S, bytes: impl Fn(&S) -> usize) -> u32 {
        let hash = Fast.hash_one(&state);
        let head = self.heads.get(&hash).copied().unwrap_or(NONE);
        let mut at = head;
        while at != NONE {
            if self.all[at as usize] == state {
                return at;
            }
            at = self.next[at as usize];
        }
        let number = self.all.len() as u32;
        self.inside += bytes(&state).saturating_sub(size_of::<S>());
        self.all.push(state);
        self.next.push(head);
        self.heads.insert(hash, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> &S {
        &self.all[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.heads.capacity()
    }

    pub(super) fn bytes(&self) -> usize {
        let heads = table_bytes::<(u64, u32)>(self.heads.len(), self.heads.capacity());
        self.inside + vec_bytes(&self.all) + vec_bytes(&self.next) + heads
    }
}

impl<S: Eq + Hash> States<S> {
    /// Keeps only the states that are named, and renames them.
    pub(super) fn retain<'n, M: Model<State = S>>(
        &mut self,
        named: impl Iterator<Item = &'n mut u32>,
        model: &M,
    ) {
        let mut named: Vec<_> = named.collect();
        let mut renamed = vec![NONE; self.all.len()];
        for number in &named {
            renamed[**number as usize] = 0;
        }
        let mut kept = 0;
        for (number, renamed) in renamed.iter_mut().enumerate() {
            if *renamed != NONE {
                *renamed = kept as u32;
                self.all.swap(kept, number);
                kept += 1;
            }
        }
        for number in &mut named {
            **number = renamed[**number as usize];
        }
        self.all.truncate(kept);
        self.next.clear();
        self.heads.clear();
        self.inside = 0;
        for (number, state) in (0..).zip(&self.all) {
            let head = self.heads.insert(Fast.hash_one(state), number);
            self.next.push(head.unwrap_or(NONE));
            self.inside += model.bytes(state).saturating_sub(size_of::<S>());
        }
    }
}

/// How many of each class of unknown operations were used, as interned lists of class and count.
pub(super) struct Used {
    all: Vec<Box<[(u32, u32)]>>,
    numbers: HashMap<Box<[(u32, u32)]>, u32, Fast>,
    /// Bytes behind the lists' pointers.
    inside: usize,
}

impl Used {
    /// Number 0 is the empty list.
    pub(super) fn new() -> Self {
        let mut numbers = HashMap::default();
        numbers.insert(Box::default(), 0);
        Self {
            all: vec![Box::default()],
            numbers,
            inside: 0,
        }
    }

    pub(super) fn count(&self, used: u32, class: u32) -> u32 {
        let list = &self.all[used as usize];
        match list.binary_search_by_key(&class, |entry| entry.0) {
            Ok(at) => list[at].1,
            Err(_) => 0,
        }
    }

    pub(super) fn plus_one(&mut self, used: u32, class: u32) -> u32 {
        let mut list = self.all[used as usize].to_vec();
        match list.binary_search_by_key(&class, |entry| entry.0) {
            Ok(at) => list[at].1 += 1,
            Err(at) => list.insert(at, (class, 1)),
        }
        let list = list.into_boxed_slice();
        if let Some(&number) = self.numbers.get(&list) {
            return number;
        }
        let number = self.all.len() as u32;
        self.inside += 2 * size_of_val(&*list);
        self.all.push(list.clone());
        self.numbers.insert(list, number);
        number
    }

    /// Whether `a` used no more of any class than `b`.
    pub(super) fn is_within(&self, a: u32, b: u32) -> bool {
        if a == b || a == 0 {
            return true;
        }
        let (a, b) = (&self.all[a as usize], &self.all[b as usize]);
        let mut rest = b.iter();
        a.len() <= b.len()
            && a.iter()
                .all(|&(class, count)| rest.any(|&(c, n)| c == class && count <= n))
    }

    pub(super) fn bytes(&self) -> usize {
        let (len, capacity) = (self.numbers.len(), self.numbers.capacity());
        let numbers = table_bytes::<(Box<[(u32, u32)]>, u32)>(len, capacity);
        self.inside + vec_bytes(&self.all) + numbers
    }
}

/// One operation that took effect, after which, and at which event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) before: u32,
    pub(super) number: Number,
    pub(super) event: u32,
}

/// How configurations came about.
pub(super) struct Trace {
    all: Vec<Placed>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { all: Vec::new() }
    }

    pub(super) fn push(&mut self, placed: Placed) -> u32 {
        self.all.push(placed);
        self.all.len() as u32 - 1
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn bytes(&self) -> usize {
        vec_bytes(&self.all)
    }

    /// The way to `end`, first operation first.
    pub(super) fn path(&self, end: u32) -> Vec<Placed> {
        let mut path = Vec::new();
        let mut at = end;
        while at != NONE {
            let placed = self.all[at as usize];
            path.push(placed);
            at = placed.before;
        }
        path.reverse();
        path
    }

    /// Keeps only the ways to the ends that are named, and renames them.
    pub(super) fn retain<'n>(&mut self, ends: impl Iterator<Item = &'n mut u32>) {
        let mut renamed = vec![NONE; self.all.len()];
        let mut ends: Vec<_> = ends.collect();
        for end in &ends {
            let mut at = **end;
            while at != NONE && renamed[at as usize] == NONE {
                renamed[at as usize] = 0;
                at = self.all[at as usize].before;
            }
        }
        let mut kept = 0;
        for at in 0..self.all.len() {
            if renamed[at] != NONE {
                renamed[at] = kept as u32;
                let placed = self.all[at];
                let before = match placed.before {
                    NONE => NONE,
                    before => renamed[before as usize],
                };
                self.all[kept] = Placed { before, ..placed };
                kept += 1;
            }
        }
        self.all.truncate(kept);
        for end in &mut ends {
            if **end != NONE {
                **end = renamed[**end as usize];
            }
        }
    }
}
