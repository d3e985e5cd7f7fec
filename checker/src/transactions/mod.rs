//! Anomalies of transactions on append-only lists.
//!
//! K. Kingsbury and P. Alvaro, *Elle: Inferring Isolation Anomalies from Experimental Observations*,
//! VLDB 2020; the anomalies are A. Adya's (*Weak Consistency*, PhD thesis, MIT 1999), the two of one
//! version read twice are lost updates (Berenson et al., SIGMOD 1995), and cycles without adjacent
//! anti-dependencies are what snapshot isolation forbids (A. Cerone and A. Gotsman, JACM 2018).
//!
//! A value is a list to which unique elements are appended, so that one read shows in which order
//! all the writes before it took effect. From the longest read of each key follow the dependencies
//!
//! * *ww*: an element was appended right after another,
//! * *wr*: a read ends in an element,
//! * *rw*, the anti-dependency: a read lacks the element that was appended next,
//! * *process*: a process had the answer of one transaction before it sent the next,
//! * *real time*: a transaction returned before another was called; equal times do not order.
//!
//! Each of them must hold in every serial order, so that a cycle proves that there is none. The
//! last two are not written down pair by pair: returns lead to barriers in a chain, and each call
//! comes from the last barrier before it, which is linear and exact.
//!
//! **What is proved.** [`Outcome::Violated`] lists anomalies, each of which proves by itself that
//! the history is not strictly serializable, and names the weaker models that it rules out as well.
//! [`Outcome::Holds`] is no mere absence of anomalies: it has a serial order of the transactions
//! that respects real time, and in which every read was replayed and found right. It says this of
//! the operations given and of nothing else. Transactions that aborted, or whose result is unknown
//! and of whose elements none was ever read, are not in the order: they need not have had an effect.
//! Committed appends that nobody read come after all that was read of their key, since lists only
//! grow; their order among themselves is not known and not needed. Where an element was appended to
//! a key twice, a read of it does not tell which: such keys are left out and counted, and then what
//! else is in order is [`Outcome::Inconclusive`].
//!
//! Time and memory are linear in the operations and in the elements read, but for sorting and
//! [`Options::steps_max`]; the search for a shorter cycle stops there, with the shortest found.

mod anomaly;
mod components;
mod cycles;
mod explain;
mod graph;
mod index;
mod models;
mod projection;
mod reads;
mod replay;
mod second_opinion;
mod versions;

pub use anomaly::{Anomaly, CycleKind, Dependency, Names, Ordering, Step};
pub use models::Model;
pub use projection::{Projection, format, parse, project};
pub use second_opinion::{ENGINE, SecondOpinion, second_opinion};

use components::components;
use graph::{Edges, Graph};
use index::Index;
use reads::Reads;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It took effect.
    Committed,
    /// It had no effect, and its client knows.
    Aborted,
    /// It took effect, or did not, or still will. What it reads must be what it reads if it takes
    /// effect.
    Unknown,
}

/// A step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Appends an element to a list.
    Append {
        /// The list.
        key: u32,
        /// What is appended, once a key in the whole history.
        element: u64,
    },
    /// Saw this list.
    Read {
        /// The list.
        key: u32,
        /// All its elements; none before the first append.
        elements: Vec<u64>,
    },
}

/// Operations that take effect together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// Who sent it.
    pub process: u32,
    /// When it was sent.
    pub call: u64,
    /// When it was answered; None where it was not, or the answer does not tell what it did. One
    /// before `call` counts as at `call`.
    pub ret: Option<u64>,
    /// What it came to.
    pub status: Status,
    /// What it did, in order.
    pub operations: Vec<Operation>,
}

/// Bounds of [`check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Edges looked at in the search for cycles shorter than the first found.
    pub steps_max: u64,
    /// Anomalies listed; more are counted.
    pub anomalies_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps_max: 20_000_000,
            anomalies_max: 50,
        }
    }
}

/// What a history comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is strictly serializable.
    Holds {
        /// The proof: the transactions that took effect, as indices, in an order that was replayed.
        order: Vec<usize>,
    },
    /// It is not.
    Violated {
        /// The proofs: those read off single operations first, then cycles, the strongest first.
        anomalies: Vec<Anomaly>,
        /// How many more there were.
        omitted: u64,
    },
    /// Nothing is wrong with what could be judged.
    Inconclusive {
        /// What could not be.
        reason: String,
    },
}

/// Figures of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Transactions that took effect, those included whose result was unknown but was seen.
    pub committed: u64,
    /// Transactions whose result was unknown and which nobody saw.
    pub unseen: u64,
    /// Transactions that aborted.
    pub aborted: u64,
    /// Lists.
    pub keys: u64,
    /// Lists left out, because an element was appended to them twice.
    pub keys_skipped: u64,
    /// Dependencies found, barriers of real time included.
    pub edges: u64,
}

/// Result of [`check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The verdict.
    pub outcome: Outcome,
    /// What was judged.
    pub figures: Figures,
}

/// Anomalies found so far, and how many more.
struct Found {
    anomalies: Vec<Anomaly>,
    max: usize,
    omitted: u64,
}

impl Found {
    fn add(&mut self, anomaly: Anomaly) {
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.anomalies.push(anomaly);
        }
    }

    fn is_full(&self) -> bool {
        self.anomalies.len() >= self.max
    }
}

/// Looks for anomalies in transactions, given in any order.
///
/// Processor time is linear but for sorting; see the [module](self) for what the outcome means.
/// Histories of 2^30 operations or more are not judged.
#[must_use]
pub fn check(transactions: &[Transaction], options: &Options) -> Checked {
    let operations: usize = transactions.iter().map(|t| t.operations.len() + 1).sum();
    if operations >= 1 << 30 {
        return Checked {
            outcome: Outcome::Inconclusive {
                reason: format!("{operations} operations are more than the 2^30 that are judged"),
            },
            figures: Figures::default(),
        };
    }
    let mut found = Found {
        anomalies: Vec::new(),
        max: options.anomalies_max.max(1),
        omitted: 0,
    };
    let index = Index::of(transactions);
    let reads = Reads::of(transactions, &index, &mut found);
    let versions = versions::of(&index, &reads, &mut found);
    let graph = Graph::of(transactions, &index, &reads, &versions);
    let whole = components(&graph, 0..graph.nodes() as u32, None, Edges::ALL);
    cycles::search(&graph, &whole, &index, options.steps_max, &mut found);
    let committed = reads.committed.iter().filter(|c| **c).count() as u64;
    let aborted = transactions
        .iter()
        .filter(|t| t.status == Status::Aborted)
        .count() as u64;
    let figures = Figures {
        committed,
        unseen: transactions.len() as u64 - committed - aborted,
        aborted,
        keys: index.keys.len() as u64,
        keys_skipped: index.ambiguous.iter().filter(|a| **a).count() as u64,
        edges: graph.edges() as u64,
    };
    let outcome = if !found.anomalies.is_empty() {
        Outcome::Violated {
            anomalies: found.anomalies,
            omitted: found.omitted,
        }
    } else if figures.keys_skipped > 0 {
        Outcome::Inconclusive {
            reason: format!(
                "an element was appended twice to each of {} keys of {}",
                figures.keys_skipped, figures.keys
            ),
        }
    } else {
        let order = whole.order(&reads.committed);
        match replay::replay(transactions, &order) {
            Ok(()) => Outcome::Holds { order },
            Err(at) => Outcome::Inconclusive {
                reason: format!(
                    "no anomaly was found, but transaction {at} does not fit the order inferred: a fault of this check"
                ),
            },
        }
    };
    Checked { outcome, figures }
}
