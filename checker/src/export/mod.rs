//! Histories in other tools' formats: [`jepsen_edn`] for those that take Jepsen's, [`own_jsonl`]
//! for `gauntlet check`.
//!
//! What was [imported](crate::import) and is exported again has the same verdict. What a format
//! cannot express is an error, or counted and named, where leaving it out leaves every verdict
//! *violated* a true one. A history that was cut short stays one.

mod jepsen_edn;
mod own_jsonl;

pub use jepsen_edn::jepsen_edn;
pub use own_jsonl::own_jsonl;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Operations written.
    pub operations: u64,
    /// What was left out or changed, with its number.
    pub left_out: Vec<(String, u64)>,
}

impl Exported {
    fn leave_out(&mut self, what: &str, number: u64) {
        if number > 0 {
            self.left_out.push((what.to_owned(), number));
        }
    }
}

/// Why a history cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Io(#[from] std::io::Error),
    /// The format has no words for it.
    #[error("{format} cannot express {what}")]
    Inexpressible {
        /// The format.
        format: &'static str,
        /// What it cannot express, and what to do.
        what: String,
    },
}
