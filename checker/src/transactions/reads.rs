//! What transactions read: within themselves, and of each other.

use super::index::{Groups, Index, NONE};
use super::{Anomaly, Found, Operation, Status, Transaction};

/// What a transaction read of a key before its own appends.
#[derive(Clone, Copy, Debug)]
pub(super) struct External<'a> {
    /// The key's number.
    pub(super) key: u32,
    pub(super) transaction: u32,
    pub(super) elements: &'a [u64],
    /// Whether it appended to the key as well.
    pub(super) appends: bool,
}

/// The longest read of a key.
#[derive(Clone, Debug)]
pub(super) struct Order<'a> {
    pub(super) elements: &'a [u64],
    /// Who read it.
    pub(super) reader: u32,
    /// The appends of its elements.
    pub(super) appends: Vec<u32>,
    /// Whether all reads agree on it, and each element was appended once.
    pub(super) sound: bool,
}

/// The reads of a history.
pub(super) struct Reads<'a> {
    /// By transaction: whether it took effect.
    pub(super) committed: Vec<bool>,
    /// Of these.
    pub(super) external: Vec<External<'a>>,
    /// By number of the key.
    pub(super) orders: Vec<Order<'a>>,
    /// By append: its place in its key's order.
    pub(super) places: Vec<u32>,
}

struct Reading<'a, 'f> {
    index: &'a Index,
    reads: Reads<'a>,
    /// Transactions to look at.
    queue: Vec<u32>,
    /// By append: whether a read of it after its transaction aborted was found.
    aborted_read: Vec<bool>,
    found: &'f mut Found,
}

impl<'a> Reads<'a> {
    /// Reads all that committed, then what was unknown and turns out to have been read.
    pub(super) fn of(transactions: &'a [Transaction], index: &'a Index, found: &mut Found) -> Self {
        let orders = index.ambiguous.iter().map(|ambiguous| Order {
            elements: &[],
            reader: NONE,
            appends: Vec::new(),
            sound: !ambiguous,
        });
        let mut reading = Reading {
            reads: Reads {
                committed: transactions
                    .iter()
                    .map(|t| t.status == Status::Committed)
                    .collect(),
                external: Vec::new(),
                orders: orders.collect(),
                places: vec![NONE; index.appends.len()],
            },
            queue: Vec::new(),
            aborted_read: vec![false; index.appends.len()],
            index,
            found,
        };
        let mut groups = Groups::default();
        for (number, transaction) in (0..).zip(transactions) {
            if transaction.status == Status::Committed {
                reading.transaction(&mut groups, number, transaction);
            }
        }
        while let Some(number) = reading.queue.pop() {
            reading.transaction(&mut groups, number, &transactions[number as usize]);
        }
        reading.reads
    }
}

impl<'a> Reading<'a, '_> {
    fn transaction(&mut self, groups: &mut Groups, number: u32, transaction: &'a Transaction) {
        let index = self.index;
        groups.each(index, transaction, |key, places| {
            let mut own = Vec::new();
            let mut before: Option<&[u64]> = None;
            let mut consistent = true;
            for place in places {
                let elements = match &transaction.operations[*place] {
                    Operation::Append { element, .. } => {
                        own.push(*element);
                        continue;
                    }
                    Operation::Read { elements, .. } => elements.as_slice(),
                };
                let base = elements.strip_suffix(own.as_slice());
                let as_expected = match (before, base) {
                    (None, base) => base.is_some(),
                    (Some(before), base) => base == Some(before),
                };
                if !as_expected {
                    consistent = false;
                    break;
                }
                before = base;
                self.observe(number, key, elements);
            }
            if !consistent {
                self.found.add(Anomaly::Internal {
                    transaction: number as usize,
                    key: index.keys[key as usize],
                });
            }
            if let Some(elements) = before {
                self.reads.external.push(External {
                    key,
                    transaction: number,
                    elements,
                    appends: !index.own(number, key).is_empty(),
                });
            }
        });
    }

    /// Takes in a list that was read.
    fn observe(&mut self, reader: u32, key: u32, elements: &'a [u64]) {
        if self.index.ambiguous[key as usize] {
            return;
        }
        let order = &self.reads.orders[key as usize];
        let known = order.elements;
        if known.starts_with(elements) {
            return;
        }
        if elements.starts_with(known) {
            self.reads.orders[key as usize].elements = elements;
            self.reads.orders[key as usize].reader = reader;
            for element in &elements[known.len()..] {
                let append = self.element(reader, key, *element);
                let order = &mut self.reads.orders[key as usize];
                if append != NONE {
                    let place = &mut self.reads.places[append as usize];
                    if *place != NONE {
                        order.sound = false;
                        self.duplicate(reader, key, *element);
                    } else {
                        *place = order.appends.len() as u32;
                    }
                }
                self.reads.orders[key as usize].appends.push(append);
            }
            return;
        }
        let at = known
            .iter()
            .zip(elements)
            .take_while(|(a, b)| a == b)
            .count();
        if order.sound {
            self.found.add(Anomaly::IncompatibleOrder {
                key: self.index.keys[key as usize],
                readers: [order.reader as usize, reader as usize],
                place: at,
                elements: [known[at], elements[at]],
            });
        }
        self.reads.orders[key as usize].sound = false;
        for element in &elements[at..] {
            self.element(reader, key, *element);
        }
        let mut sorted = elements.to_vec();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            self.duplicate(reader, key, twice[0]);
        }
    }

    fn duplicate(&mut self, reader: u32, key: u32, element: u64) {
        self.found.add(Anomaly::DuplicateElements {
            reader: reader as usize,
            key: self.index.keys[key as usize],
            element,
        });
    }

    /// The append of an element that was read.
    fn element(&mut self, reader: u32, key: u32, element: u64) -> u32 {
        let name = self.index.keys[key as usize];
        let Some(id) = self.index.find(key, element) else {
            self.reads.orders[key as usize].sound = false;
            self.found.add(Anomaly::UnwrittenRead {
                reader: reader as usize,
                key: name,
                element,
            });
            return NONE;
        };
        let append = &self.index.appends[id as usize];
        match append.status {
            Status::Committed => {}
            Status::Unknown => {
                let committed = &mut self.reads.committed[append.transaction as usize];
                if !*committed {
                    *committed = true;
                    self.queue.push(append.transaction);
                }
            }
            Status::Aborted => {
                if !std::mem::replace(&mut self.aborted_read[id as usize], true) {
                    self.found.add(Anomaly::AbortedRead {
                        writer: append.transaction as usize,
                        reader: reader as usize,
                        key: name,
                        element,
                    });
                }
            }
        }
        id
    }
}
