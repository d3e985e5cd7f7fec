//! A strictly serializable store of lists, with clients whose transactions abort or are lost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use checker::transactions::{Operation, Status, Transaction};

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// 1 ms and exponentially distributed 4 ms, in nanoseconds.
    fn latency(&mut self) -> u64 {
        let uniform = (self.below(1 << 32) + 1) as f64 / (1_u64 << 32) as f64;
        1_000_000 + (-uniform.ln() * 4e6) as u64
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) transactions: usize,
    pub(crate) clients: u32,
    /// Lists in use at any time.
    pub(crate) keys: u32,
    /// Appends after which a list is left for a new one.
    pub(crate) appends_a_key: u32,
    /// Per cent.
    pub(crate) unknown: u64,
    /// Per cent.
    pub(crate) aborted: u64,
}

/// A legal history in order of calls.
pub(crate) fn simulate(shape: Shape, seed: u64) -> Vec<Transaction> {
    let mut rng = Rng(seed);
    let mut ready: BinaryHeap<_> = (0..shape.clients)
        .map(|c| Reverse((u64::from(c), c)))
        .collect();
    let mut names: Vec<u32> = (0..shape.keys).collect();
    let mut appends = vec![0; names.len()];
    let mut next_key = shape.keys;
    let mut next_element = 0;
    let mut transactions = Vec::new();
    let mut points = Vec::new();
    while transactions.len() < shape.transactions {
        let Some(Reverse((call, process))) = ready.pop() else {
            break;
        };
        let ret = call + rng.latency();
        let mut point = call + rng.below(ret - call + 1);
        let (status, mut takes_effect) = match rng.below(100) {
            draw if draw < shape.unknown => (Status::Unknown, rng.chance(50)),
            draw if draw < shape.unknown + shape.aborted => (Status::Aborted, false),
            _ => (Status::Committed, true),
        };
        if status == Status::Unknown {
            point += rng.below(20_000_000);
        }
        let mut operations = Vec::new();
        for _ in 0..=rng.below(4) {
            let slot = rng.below(names.len() as u64) as usize;
            let key = names[slot];
            if rng.chance(50) {
                next_element += 1;
                operations.push(Operation::Append {
                    key,
                    element: next_element,
                });
                appends[slot] += 1;
                if appends[slot] == shape.appends_a_key {
                    names[slot] = next_key;
                    next_key += 1;
                    appends[slot] = 0;
                }
            } else {
                operations.push(Operation::Read {
                    key,
                    elements: Vec::new(),
                });
            }
        }
        // Half of those that are not committed do not know what they read.
        if status != Status::Committed && rng.chance(50) {
            operations.retain(|op| matches!(op, Operation::Append { .. }));
            takes_effect &= !operations.is_empty();
        }
        points.push((point, transactions.len(), takes_effect));
        transactions.push(Transaction {
            process,
            call,
            ret: (status != Status::Unknown).then_some(ret),
            status,
            operations,
        });
        ready.push(Reverse((ret + 1 + rng.below(100_000), process)));
    }
    points.sort_unstable();
    let mut lists: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for (_, at, takes_effect) in points {
        let mut own: Vec<(u32, u64)> = Vec::new();
        for operation in &mut transactions[at].operations {
            match operation {
                Operation::Append { key, element } if takes_effect => {
                    lists.entry(*key).or_default().push(*element);
                }
                Operation::Append { key, element } => own.push((*key, *element)),
                Operation::Read { key, elements } => {
                    elements.clone_from(lists.entry(*key).or_default());
                    let mine = own.iter().filter(|(k, _)| k == key);
                    elements.extend(mine.map(|(_, element)| element));
                }
            }
        }
    }
    transactions
}
