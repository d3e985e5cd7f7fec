//! The dependencies between transactions.

use super::Transaction;
use super::index::Index;
use super::index::NONE;
use super::reads::Reads;
use super::versions::Versions;

/// Kinds of edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges(u8);

impl Edges {
    pub(super) const WW: Self = Self(1);
    pub(super) const WR: Self = Self(2);
    pub(super) const RW: Self = Self(4);
    pub(super) const PROCESS: Self = Self(8);
    pub(super) const REAL_TIME: Self = Self(16);
    /// From the end of a key's chain to an append that nobody read: goes on what led there.
    pub(super) const ON: Self = Self(32);
    pub(super) const ALL: Self = Self(63);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// An edge to `to`. For ww the appends of the two elements; for wr the append read; for rw the last
/// append read and the one that was not; for edges on, the append that nobody read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) to: u32,
    pub(super) kind: Edges,
    pub(super) first: u32,
    pub(super) then: u32,
}

/// Transactions, then the ends of chains of versions, then barriers of time.
pub(super) struct Graph {
    pub(super) transactions: u32,
    nodes: u32,
    starts: Vec<u32>,
    edges: Vec<Edge>,
}

#[derive(Default)]
struct Builder {
    nodes: u32,
    edges: Vec<(u32, Edge)>,
}

impl Builder {
    fn node(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    fn edge(&mut self, from: u32, kind: Edges, to: u32, first: u32, then: u32) {
        if from != to {
            self.edges.push((
                from,
                Edge {
                    to,
                    kind,
                    first,
                    then,
                },
            ));
        }
    }

    fn versions(&mut self, index: &Index, versions: &Versions<'_>) {
        let chain = &versions.chain;
        let writer = |id: u32| index.appends[id as usize].transaction;
        for pair in chain.windows(2) {
            self.edge(
                writer(pair[0]),
                Edges::WW,
                writer(pair[1]),
                pair[0],
                pair[1],
            );
        }
        let end = if versions.rest.is_empty() {
            NONE
        } else {
            self.node()
        };
        if let (Some(last), true) = (chain.last(), end != NONE) {
            self.edge(writer(*last), Edges::WW, end, *last, NONE);
        }
        for id in &versions.rest {
            self.edge(end, Edges::ON, writer(*id), NONE, *id);
        }
        for read in &versions.reads {
            let rank = versions.rank[read.elements.len()] as usize;
            let last = rank.checked_sub(1).map_or(NONE, |before| chain[before]);
            if last != NONE {
                self.edge(writer(last), Edges::WR, read.transaction, last, NONE);
            }
            match chain.get(rank) {
                Some(next) => {
                    self.edge(read.transaction, Edges::RW, writer(*next), last, *next);
                }
                None if end != NONE => self.edge(read.transaction, Edges::RW, end, last, NONE),
                None => {}
            }
        }
    }

    /// Chains of barriers: one for each process, and one for real time.
    fn precedences(&mut self, transactions: &[Transaction], committed: &[bool]) {
        let mut events = Vec::with_capacity(2 * transactions.len());
        for (at, transaction) in (0..).zip(transactions) {
            if committed[at as usize] {
                let process = transaction.process;
                events.push((process, transaction.call, false, at));
                events.extend(returned(transaction).map(|ret| (process, ret, true, at)));
            }
        }
        self.chains(&mut events, Edges::PROCESS);
        for (process, ..) in &mut events {
            *process = 0;
        }
        self.chains(&mut events, Edges::REAL_TIME);
    }

    /// A chain for each group of events: group, time, whether it is a return, transaction.
    fn chains(&mut self, events: &mut [(u32, u64, bool, u32)], kind: Edges) {
        // Calls come before returns of the same time: these do not order.
        events.sort_unstable();
        for group in events.chunk_by(|a, b| a.0 == b.0) {
            let mut barrier = NONE;
            let mut open = false;
            for (_, _, is_return, at) in group {
                if !is_return {
                    open = false;
                    if barrier != NONE {
                        self.edge(barrier, kind, *at, NONE, NONE);
                    }
                    continue;
                }
                if !open {
                    let next = self.node();
                    if barrier != NONE {
                        self.edge(barrier, kind, next, NONE, NONE);
                    }
                    barrier = next;
                    open = true;
                }
                self.edge(*at, kind, barrier, NONE, NONE);
            }
        }
    }
}

fn returned(transaction: &Transaction) -> Option<u64> {
    transaction.ret.map(|ret| ret.max(transaction.call))
}

impl Graph {
    pub(super) fn of(
        transactions: &[Transaction],
        index: &Index,
        reads: &Reads<'_>,
        versions: &[Versions<'_>],
    ) -> Self {
        let mut builder = Builder {
            nodes: transactions.len() as u32,
            edges: Vec::new(),
        };
        for versions in versions {
            builder.versions(index, versions);
        }
        builder.precedences(transactions, &reads.committed);
        let Builder { nodes, edges } = builder;
        let mut starts = vec![0; nodes as usize + 1];
        for (from, _) in &edges {
            starts[*from as usize + 1] += 1;
        }
        for node in 0..nodes as usize {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let none = Edge {
            to: NONE,
            kind: Edges(0),
            first: NONE,
            then: NONE,
        };
        let mut sorted = vec![none; edges.len()];
        for (from, edge) in edges {
            let place = &mut next[from as usize];
            sorted[*place as usize] = edge;
            *place += 1;
        }
        Self {
            transactions: transactions.len() as u32,
            nodes,
            starts,
            edges: sorted,
        }
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes as usize
    }

    pub(super) fn edges(&self) -> usize {
        self.edges.len()
    }

    /// The edges from a node.
    pub(super) fn from(&self, node: u32) -> &[Edge] {
        &self.edges[self.range(node)]
    }

    /// Where these are.
    pub(super) fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    /// The edge at a place in such a range.
    pub(super) fn edge(&self, at: usize) -> Edge {
        self.edges[at]
    }

    /// Whether a node is a transaction.
    pub(super) fn is_transaction(&self, node: u32) -> bool {
        node < self.transactions
    }
}
