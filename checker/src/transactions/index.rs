//! Keys and appended elements, found by binary search.

use super::{Operation, Status, Transaction};

/// No position.
pub(super) const NONE: u32 = u32::MAX;

/// One append.
#[derive(Clone, Copy, Debug)]
pub(super) struct Append {
    pub(super) key: u32,
    pub(super) element: u64,
    pub(super) transaction: u32,
    /// Its place among all appends, by transaction, key and place in the transaction.
    sent: u32,
    /// Whether it is its transaction's last to this key.
    pub(super) is_last: bool,
    pub(super) status: Status,
}

/// The appends of a history. Keys are numbered here without gaps.
pub(super) struct Index {
    /// Every key, sorted; its place is its number.
    pub(super) keys: Vec<u32>,
    /// By number of the key: whether an element was appended to it twice.
    pub(super) ambiguous: Vec<bool>,
    /// Sorted by number of the key and element.
    pub(super) appends: Vec<Append>,
    /// By number of the key: where its appends begin; one more at the end.
    starts: Vec<u32>,
    /// The appends by transaction, key and place in the transaction.
    own: Vec<u32>,
    /// By transaction: where its appends begin there; one more at the end.
    own_starts: Vec<u32>,
    /// Number of each key, where keys are small.
    table: Vec<u32>,
}

impl Index {
    pub(super) fn of(transactions: &[Transaction]) -> Self {
        let operations = || transactions.iter().flat_map(|t| &t.operations);
        let mut keys: Vec<u32> = operations().map(key_of).collect();
        let count = keys.len();
        let largest = keys.iter().max().map_or(0, |key| *key as usize);
        let mut table = Vec::new();
        if largest <= 4 * count {
            let mut used = vec![false; largest + 1];
            keys.iter().for_each(|key| used[*key as usize] = true);
            keys = (0..)
                .zip(&used)
                .filter_map(|(k, used)| used.then_some(k))
                .collect();
            table = vec![NONE; largest + 1];
            for (number, key) in (0..).zip(&keys) {
                table[*key as usize] = number;
            }
        } else {
            keys.sort_unstable();
            keys.dedup();
        }
        let mut index = Self {
            ambiguous: vec![false; keys.len()],
            starts: vec![0; keys.len() + 1],
            appends: Vec::new(),
            own: Vec::new(),
            own_starts: vec![0],
            keys,
            table,
        };
        let mut appends = Vec::new();
        let mut groups = Groups::default();
        for (number, transaction) in (0..).zip(transactions) {
            groups.each(&index, transaction, |key, places| {
                let from = appends.len();
                for place in places {
                    if let Operation::Append { element, .. } = transaction.operations[*place] {
                        appends.push(Append {
                            key,
                            element,
                            transaction: number,
                            sent: appends.len() as u32,
                            is_last: false,
                            status: transaction.status,
                        });
                    }
                }
                if let Some(last) = appends[from..].last_mut() {
                    last.is_last = true;
                }
            });
            index.own_starts.push(appends.len() as u32);
        }
        appends.sort_unstable_by_key(|a| (a.key, a.element, a.sent));
        index.own = vec![NONE; appends.len()];
        for (id, append) in (0..).zip(&appends) {
            index.own[append.sent as usize] = id;
            index.starts[append.key as usize + 1] += 1;
        }
        for key in 0..index.keys.len() {
            index.starts[key + 1] += index.starts[key];
        }
        for pair in appends.windows(2) {
            if (pair[0].key, pair[0].element) == (pair[1].key, pair[1].element) {
                index.ambiguous[pair[0].key as usize] = true;
            }
        }
        index.appends = appends;
        index
    }

    /// The number of a key of the history.
    pub(super) fn number(&self, key: u32) -> u32 {
        match self.table.get(key as usize) {
            Some(number) => *number,
            None => self.keys.partition_point(|k| *k < key) as u32,
        }
    }

    /// The append of this element to the key of this number.
    pub(super) fn find(&self, key: u32, element: u64) -> Option<u32> {
        let range = self.range(key);
        let from = range.start;
        let place = self.appends[range].binary_search_by_key(&element, |a| a.element);
        place.ok().map(|at| (from + at) as u32)
    }

    /// The appends of a transaction to the key of this number, in order.
    pub(super) fn own(&self, transaction: u32, key: u32) -> &[u32] {
        let [from, to] = [0, 1].map(|next| self.own_starts[transaction as usize + next] as usize);
        let own = &self.own[from..to];
        let key_of = |id: &u32| self.appends[*id as usize].key;
        let first = own.partition_point(|id| key_of(id) < key);
        let count = own[first..].partition_point(|id| key_of(id) == key);
        &own[first..first + count]
    }

    /// The append of the same transaction to the same key before this one.
    pub(super) fn before(&self, id: u32) -> Option<u32> {
        let append = &self.appends[id as usize];
        let before = self.own[append.sent.checked_sub(1)? as usize];
        let other = &self.appends[before as usize];
        let same = (other.transaction, other.key) == (append.transaction, append.key);
        same.then_some(before)
    }

    /// Where the appends to the key of this number are.
    pub(super) fn range(&self, key: u32) -> std::ops::Range<usize> {
        self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize
    }
}

pub(super) fn key_of(operation: &Operation) -> u32 {
    match operation {
        Operation::Append { key, .. } | Operation::Read { key, .. } => *key,
    }
}

/// The operations of a transaction, key by key.
#[derive(Default)]
pub(super) struct Groups {
    places: Vec<(u32, usize)>,
    of_key: Vec<usize>,
}

impl Groups {
    /// Calls for each key, by its number, with the places of the operations on it.
    pub(super) fn each(
        &mut self,
        index: &Index,
        transaction: &Transaction,
        mut f: impl FnMut(u32, &[usize]),
    ) {
        let operations = transaction.operations.iter().enumerate();
        self.places.clear();
        self.places
            .extend(operations.map(|(at, op)| (index.number(key_of(op)), at)));
        self.places.sort_unstable();
        for group in self.places.chunk_by(|a, b| a.0 == b.0) {
            self.of_key.clear();
            self.of_key.extend(group.iter().map(|(_, at)| *at));
            f(group[0].0, &self.of_key);
        }
    }
}
