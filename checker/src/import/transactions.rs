//! Transactions of a list-append test, as Elle takes them.

use std::collections::HashMap;
use std::io::BufRead;

use super::edn::Form;
use super::jepsen_edn::{Event, Kind, events};
use super::{Atom, ImportError, Origin, Place};

/// One transaction: appends to lists, and reads of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Whose it is.
    pub process: u64,
    /// When it was invoked, as a rank among the events of the file.
    pub call: u64,
    /// When it completed, likewise; nothing if it never did.
    pub ret: Option<u64>,
    /// What it came to.
    pub outcome: TransactionOutcome,
    /// What it did. Reads of one that did not succeed are without values.
    pub ops: Vec<MicroOp>,
}

/// What a transaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// It was committed.
    Ok,
    /// It was not committed.
    Fail,
    /// Unknown.
    Info,
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicroOp {
    /// An element was added at the end of a list.
    Append {
        /// Which list.
        key: Atom,
        /// The element.
        value: Atom,
    },
    /// A list was read.
    Read {
        /// Which list.
        key: Atom,
        /// Its elements. Nothing if they are not known: a list that is not there reads as empty.
        values: Option<Vec<Atom>>,
    },
}

/// A history of transactions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transactions {
    /// The transactions, by call.
    pub transactions: Vec<Transaction>,
    /// Where each of them stands in the file.
    pub origins: Vec<Origin>,
    /// Set if the file ends where more is due: then this is a prefix of a history.
    pub cut: Option<ImportError>,
}

/// Whether a value is a list of micro-operations.
pub(super) fn is_transaction(value: &Form) -> bool {
    let Form::Vector(ops) = value else {
        return false;
    };
    matches!(ops.first(), Some(Form::Vector(op)) if matches!(op.first(), Some(Form::Keyword(_))))
}

/// Reads events such as `{:process 0, :type :ok, :f :txn, :value [[:append 3 1] [:r 4 [1 2]]]}`.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn list_append(input: impl BufRead) -> Result<Transactions, ImportError> {
    let mut all = Transactions::default();
    let mut pending: HashMap<u64, usize> = HashMap::new();
    let mut rank = 0;
    let cut = events(input, |event| {
        let Event {
            place,
            process,
            kind,
            ..
        } = event;
        let now = rank;
        rank += 1;
        if kind == Kind::Invoke {
            if pending.insert(process, all.transactions.len()).is_some() {
                let what = format!("process {process} invokes before its last one completed");
                return Err(place.error(what));
            }
            all.transactions.push(Transaction {
                process,
                call: now,
                ret: None,
                outcome: TransactionOutcome::Info,
                ops: micro_ops(&event.value, false, place)?,
            });
            all.origins.push(Origin {
                process,
                call: place.line,
                ret: None,
            });
            return Ok(true);
        }
        let index = pending.remove(&process).ok_or_else(|| {
            place.error(format!(
                "process {process} completes what it did not invoke"
            ))
        })?;
        let transaction = &mut all.transactions[index];
        transaction.ret = Some(now);
        all.origins[index].ret = Some(place.line);
        transaction.outcome = match kind {
            Kind::Ok => TransactionOutcome::Ok,
            Kind::Fail => TransactionOutcome::Fail,
            Kind::Invoke | Kind::Info => TransactionOutcome::Info,
        };
        if kind == Kind::Ok {
            let ops = micro_ops(&event.value, true, place)?;
            if !same_requests(&transaction.ops, &ops) {
                let what = "the transaction completes with other operations than it was invoked \
                            with";
                return Err(place.error(what));
            }
            transaction.ops = ops;
        }
        Ok(true)
    })?;
    all.cut = cut;
    Ok(all)
}

fn same_requests(asked: &[MicroOp], answered: &[MicroOp]) -> bool {
    asked.len() == answered.len()
        && asked.iter().zip(answered).all(|pair| match pair {
            (MicroOp::Read { key, .. }, MicroOp::Read { key: other, .. }) => key == other,
            (one, other) => one == other,
        })
}

fn micro_ops(value: &Form, is_answer: bool, place: Place) -> Result<Vec<MicroOp>, ImportError> {
    let Form::Vector(ops) = value else {
        return Err(place.error("a transaction needs a vector of operations, [[:append k v] …]"));
    };
    ops.iter()
        .map(|op| micro_op(op, is_answer, place))
        .collect()
}

fn micro_op(op: &Form, is_answer: bool, place: Place) -> Result<MicroOp, ImportError> {
    let wrong = || place.error("[:append key value] or [:r key values] is due in a transaction");
    let Form::Vector(parts) = op else {
        return Err(wrong());
    };
    let [Form::Keyword(name), key, value] = parts.as_slice() else {
        return Err(wrong());
    };
    let key = Atom::of(key, place)?;
    match (name.as_str(), value) {
        ("append", value) => Ok(MicroOp::Append {
            key,
            value: Atom::of(value, place)?,
        }),
        ("r", Form::Nil) => Ok(MicroOp::Read {
            key,
            values: is_answer.then(Vec::new),
        }),
        ("r", Form::Vector(_)) if !is_answer => Ok(MicroOp::Read { key, values: None }),
        ("r", Form::Vector(values)) => {
            let values = values.iter().map(|value| Atom::of(value, place));
            Ok(MicroOp::Read {
                key,
                values: Some(values.collect::<Result<_, _>>()?),
            })
        }
        ("w" | "r", _) => Err(place.error(
            "this is a transaction of registers ([:w k v]); only those of lists ([:append k v]) \
             can be judged",
        )),
        _ => Err(wrong()),
    }
}
