//! The fast path: an order by one pass over numbers.
//!
//! Keys, values and leases become numbers ([`Dense`]); every operation goes to its revision, what
//! nobody acknowledged is filled by the best guess ([`gaps`]), and the order that comes out is
//! replayed: every answer, every revision, and the real time. If all of it fits, that order is the
//! proof, whoever proposed it. If anything does not, nothing is said: the search over all
//! alternatives decides, and it explains.
//!
//! Time and memory are linear in the history, apart from sorting within one revision.

mod ahead;
mod effects;
mod fill;
mod gaps;
mod history;
mod intern;
mod place;
mod ranges;
mod record;
mod replay;
mod state;

pub use history::Dense;

use super::{Options, OrderStep};

/// What the fast path comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// An order that proves that the history is linearizable.
    pub order: Vec<OrderStep>,
    /// The highest revision that was made.
    pub revisions: u64,
    /// How many revisions were made by requests without an acknowledged result.
    pub gaps: u64,
}

impl Dense {
    /// Looks for an order of all operations, and proves it by replay. Memory is bounded by the
    /// history's, so of the options only the stop flag and foreign compactions count.
    ///
    /// # Errors
    ///
    /// Why none was found, in words. That does not mean that there is none.
    pub fn order(&self, options: &Options<'_>) -> Result<Ordered, &'static str> {
        match self.outside {
            Some(outside) => Err(outside),
            None => replay::order(self, options),
        }
    }
}
