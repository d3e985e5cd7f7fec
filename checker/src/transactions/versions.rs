//! The order of the versions of each key, and what reads of single versions show.

use super::index::{Index, NONE};
use super::reads::{External, Order, Reads};
use super::{Anomaly, Found, Status};

/// The versions of one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions<'a> {
    /// The key's number.
    pub(super) key: u32,
    /// Appends that took effect, in the order in which they did.
    pub(super) chain: Vec<u32>,
    /// By length of a list that is read: how many of the chain are in it.
    pub(super) rank: Vec<u32>,
    /// Appends that took effect after the chain, in any order.
    pub(super) rest: Vec<u32>,
    /// Reads of the key.
    pub(super) reads: Vec<External<'a>>,
}

/// The versions of the keys on whose order all reads agree.
pub(super) fn of<'a>(index: &Index, reads: &Reads<'a>, found: &mut Found) -> Vec<Versions<'a>> {
    let mut external = reads.external.clone();
    external.sort_unstable_by_key(|read| (read.key, read.elements.len(), read.transaction));
    let mut external = external.as_slice();
    let mut all = Vec::new();
    for (key, order) in (0..).zip(&reads.orders) {
        let count = external.partition_point(|read| read.key == key);
        let (of_key, others) = external.split_at(count);
        external = others;
        if order.sound {
            let mut versions = Versions {
                key,
                reads: of_key.to_vec(),
                ..Versions::default()
            };
            versions.observed(index, &order.appends, found);
            versions.own_order(index, reads, order, found);
            versions.single_reads(index, reads, &order.appends, found);
            versions.unobserved(index, reads);
            all.push(versions);
        }
    }
    all
}

impl Versions<'_> {
    fn observed(&mut self, index: &Index, order: &[u32], found: &mut Found) {
        let mut dirty = NONE;
        for id in order {
            self.rank.push(self.chain.len() as u32);
            let append = &index.appends[*id as usize];
            if append.status == Status::Aborted {
                dirty = *id;
                continue;
            }
            self.chain.push(*id);
            if dirty != NONE {
                let aborted = &index.appends[dirty as usize];
                found.add(Anomaly::DirtyUpdate {
                    aborted: aborted.transaction as usize,
                    committed: append.transaction as usize,
                    key: index.keys[self.key as usize],
                    elements: [aborted.element, append.element],
                });
                dirty = NONE;
            }
        }
        self.rank.push(self.chain.len() as u32);
    }

    /// Each append must be seen after those of its transaction before it.
    fn own_order(&self, index: &Index, reads: &Reads<'_>, order: &Order<'_>, found: &mut Found) {
        let place = |id: u32| reads.places[id as usize];
        let wrong = order.appends.iter().find_map(|id| {
            let before = index.before(*id)?;
            (place(before) > place(*id)).then_some((before, *id))
        });
        if let Some((before, id)) = wrong {
            let append = &index.appends[id as usize];
            found.add(Anomaly::OutOfOrder {
                writer: append.transaction as usize,
                reader: order.reader as usize,
                key: index.keys[self.key as usize],
                elements: [index.appends[before as usize].element, append.element],
            });
        }
    }

    fn single_reads(&self, index: &Index, reads: &Reads<'_>, order: &[u32], found: &mut Found) {
        let key = index.keys[self.key as usize];
        for read in &self.reads {
            if let Some(last) = read.elements.len().checked_sub(1) {
                let append = &index.appends[order[last] as usize];
                if !append.is_last && append.transaction != read.transaction {
                    found.add(Anomaly::IntermediateRead {
                        writer: append.transaction as usize,
                        reader: read.transaction as usize,
                        key,
                        element: append.element,
                    });
                }
            }
            let own = index.own(read.transaction, self.key);
            if own
                .iter()
                .any(|id| (reads.places[*id as usize] as usize) < read.elements.len())
            {
                found.add(Anomaly::Internal {
                    transaction: read.transaction as usize,
                    key,
                });
            }
        }
        let updates = self.reads.iter().filter(|read| read.appends);
        let updates: Vec<_> = updates.collect();
        for same in updates.chunk_by(|a, b| a.elements.len() == b.elements.len()) {
            if let [first, second, ..] = same {
                found.add(Anomaly::LostUpdate {
                    key,
                    read: first.elements.last().copied(),
                    transactions: [first.transaction as usize, second.transaction as usize],
                });
            }
        }
    }

    /// Appends that nobody read. The next of them is known if the last element read is of a
    /// transaction that appended more, or if the last version was read by one that appended to it.
    /// A second one of these stays among the rest: it is part of a lost update, and of a cycle.
    fn unobserved(&mut self, index: &Index, reads: &Reads<'_>) {
        let unread = |id: &u32| {
            let append = &index.appends[*id as usize];
            reads.committed[append.transaction as usize] && reads.places[*id as usize] == NONE
        };
        let range = index.range(self.key);
        self.rest = (range.start as u32..range.end as u32)
            .filter(unread)
            .collect();
        if self.rest.is_empty() {
            return;
        }
        let longest = self.rank.len() - 1;
        let updates = self.reads.iter().rev();
        let updates = updates
            .take_while(|read| read.elements.len() == longest)
            .filter(|read| read.appends);
        let of_last = self
            .chain
            .last()
            .map(|id| index.appends[*id as usize].transaction);
        let mut candidates = of_last
            .into_iter()
            .chain(updates.map(|read| read.transaction));
        let next = |transaction: &u32| index.own(*transaction, self.key).iter().any(unread);
        if let Some(next) = candidates.find(next) {
            let own = index.own(next, self.key).iter().copied();
            self.chain.extend(own.filter(unread));
            self.rest
                .retain(|id| index.appends[*id as usize].transaction != next);
        }
    }
}
