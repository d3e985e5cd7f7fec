//! Other tools' histories, and how they are told apart.
//!
//! | format | what | engine |
//! | --- | --- | --- |
//! | `history-jsonl` | gauntlet's own `history.jsonl` ([`crate::history`]) | revision order |
//! | `jepsen-edn` | a `history.edn` as Jepsen writes it ([`jepsen_edn`]) | generic, by its operations |
//! | `jepsen-log` | a `jepsen.log` of a compare-and-set register ([`jepsen_log`]) | generic |
//! | `porcupine-kv` | the key-value text of Porcupine's test data ([`porcupine_kv`]) | generic |
//! | `compact-jsonl` | puts and gets, one JSON object an operation ([`compact_jsonl`]) | revision order, or generic without revisions |
//! | `etcd-robustness` | a report directory of etcd's `tests/robustness` ([`etcd_report`]) | revision order |
//!
//! [`recognise`] tells the format by content, [`read`] and [`etcd_report::read_dir`] read it, and
//! [`judge()`] gives the verdict.
//!
//! Readers are streaming: besides the operations they hold one line, or one form, of at most
//! [`FORM_MAX`] bytes. Times are the ranks of events where a file gives events: what it says first
//! happened first.
//!
//! An operation that failed did not happen and is left out, unless its failure says something: a
//! compare-and-set that failed saw another value. One whose result is unknown (`:info`, or no
//! completion at all) may take effect at any time after its call; a read of that kind says nothing
//! and is left out.
//!
//! A file that ends where more is due was cut short: what is there is a prefix of a history, since
//! every tool writes an event when it happens. A prefix can be violated; it never holds.

mod bare;
mod builder;
pub mod compact_jsonl;
pub mod edn;
pub mod etcd_report;
mod file;
mod format;
mod history;
mod jepsen_edn;
mod jepsen_log;
mod json;
pub mod judge;
mod own_jsonl;
mod porcupine_kv;
mod transactions;

pub use bare::bare;
pub use etcd_report::EtcdHistory;
pub use file::{FileError, read_bytes, read_path};
pub use format::{Format, PREFIX_BYTES, read, recognise};
pub use history::{Atom, History, Objects, Origin, Values};
pub use jepsen_edn::{Workload, jepsen_edn, workload};
pub use jepsen_log::jepsen_log;
pub use judge::judge;
pub(crate) use own_jsonl::WHOLE;
pub use own_jsonl::own_jsonl;
pub use porcupine_kv::porcupine_kv;
pub use transactions::{MicroOp, Transaction, TransactionOutcome, Transactions, list_append};

/// Bytes of a line or form, at most.
pub const FORM_MAX: usize = 1 << 20;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct ImportError {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1, in bytes.
    pub column: u64,
    /// What is wrong.
    pub what: String,
    /// Whether the file ends where more is due.
    pub is_cut: bool,
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
            is_cut: false,
        }
    }

    fn cut(self, what: impl Into<String>) -> ImportError {
        ImportError {
            is_cut: true,
            ..self.error(what)
        }
    }
}
