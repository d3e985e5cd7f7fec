//! Other tools' histories, for the [generic engine](crate::generic).
//!
//! Readers are streaming: besides the operations they hold one line, or one form, of at most
//! [`FORM_MAX`] bytes. Times are the ranks of events: what the file says first happened first.
//!
//! An operation that failed did not happen and is left out, unless its failure says something: a
//! compare-and-set that failed saw another value. One whose result is unknown (`:info`, or no
//! completion at all) may take effect at any time after its call; a read of that kind says nothing
//! and is left out.

mod bare;
mod builder;
pub mod edn;
mod jepsen_edn;
mod jepsen_log;
mod porcupine_kv;

pub use bare::bare;
pub use jepsen_edn::jepsen_edn;
pub use jepsen_log::jepsen_log;
pub use porcupine_kv::porcupine_kv;

/// Bytes of a line or form, at most.
pub const FORM_MAX: usize = 1 << 20;

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct ImportError {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1, in bytes.
    pub column: u64,
    /// What is wrong.
    pub what: String,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: u64,
    column: u64,
}

impl Place {
    fn error(self, what: impl Into<String>) -> ImportError {
        ImportError {
            line: self.line,
            column: self.column,
            what: what.into(),
        }
    }
}
