//! What an imported file holds.

use std::collections::HashMap;
use std::fmt;

use super::edn::Form;
use super::{EtcdHistory, ImportError, Place, Transactions};
use crate::generic::Operation;
use crate::models::{CasRegisterOp, KeyValueOp, MutexOp, QueueOp, SetOp};

/// A history, by the kind of object that it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum History {
    /// Registers: reads, writes, compare-and-set.
    Registers(Objects<CasRegisterOp>),
    /// A key-value store with append.
    KeyValue(Objects<KeyValueOp>),
    /// Sets.
    Sets(Objects<SetOp>),
    /// Queues.
    Queues(Objects<QueueOp>),
    /// Mutexes.
    Mutexes(Objects<MutexOp>),
    /// Transactions of appends and reads of lists.
    ListAppend(Transactions),
    /// etcd's key-value API.
    Etcd(EtcdHistory),
}

/// A history of one or more objects of one kind, which are independent of each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects<Op> {
    /// The operations, by call. Times are the ranks of events in the file.
    pub operations: Vec<Operation<Op>>,
    /// Where each of them stands in the file.
    pub origins: Vec<Origin>,
    /// Which object each of them is about, as an index into `names`.
    pub objects: Vec<u32>,
    /// The objects' names, by first appearance; the only object of a history may have none.
    pub names: Vec<Option<Atom>>,
    /// Values that are not integers.
    pub values: Values,
    /// Operations left out, because they failed or say nothing.
    pub left_out: u64,
    /// Set if the file ends where more is due: then this is a prefix of a history.
    pub cut: Option<ImportError>,
}

/// Where an operation stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose operation it is.
    pub process: u64,
    /// The line of its invocation, from 1.
    pub call: u64,
    /// The line of its completion, if it has one.
    pub ret: Option<u64>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ret {
            Some(ret) if ret != self.call => write!(f, "lines {} and {ret}", self.call),
            _ => write!(f, "line {}", self.call),
        }
    }
}

/// A scalar, as keys and elements are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
    /// A keyword, without its colon.
    Keyword(String),
    /// Any other atom, as it is written: numbers that are no 64-bit integers, symbols.
    Symbol(String),
}

impl Atom {
    pub(super) fn of(form: &Form, place: Place) -> Result<Self, ImportError> {
        match form {
            Form::Int(number) => Ok(Self::Int(*number)),
            Form::String(text) => Ok(Self::Text(text.clone())),
            Form::Keyword(name) => Ok(Self::Keyword(name.clone())),
            Form::Symbol(text) => Ok(Self::Symbol(text.clone())),
            Form::Bool(value) => Ok(Self::Symbol(value.to_string())),
            _ => Err(place.error("a number, string or keyword is due here")),
        }
    }
}

/// As in EDN.
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => {
                f.write_str("\"")?;
                for c in text.chars() {
                    match c {
                        '"' | '\\' => write!(f, "\\{c}")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\t' => f.write_str("\\t")?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
            Self::Keyword(name) => write!(f, ":{name}"),
            Self::Symbol(text) => f.write_str(text),
        }
    }
}

/// Numbers for values that are not integers: models know integers only. They begin at the least of
/// 64 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    atoms: Vec<Atom>,
    numbers: HashMap<Atom, i64>,
}

/// The least integer that is taken for itself: lower ones stand for other values, 2^32 at most.
pub(super) const LEAST: i64 = i64::MIN + (1 << 32);

impl Values {
    /// The number that stands for a value.
    pub(super) fn number(&mut self, form: &Form, place: Place) -> Result<i64, ImportError> {
        match Atom::of(form, place)? {
            Atom::Int(number) if number < LEAST => {
                Err(place.error(format!("{number} is too low a number")))
            }
            Atom::Int(number) => Ok(number),
            atom => Ok(self.intern(atom)),
        }
    }

    /// The number that stands for a value that is not an integer.
    pub(super) fn intern(&mut self, atom: Atom) -> i64 {
        if let Some(number) = self.numbers.get(&atom) {
            return *number;
        }
        let number = i64::MIN.saturating_add_unsigned(self.atoms.len() as u64);
        self.atoms.push(atom.clone());
        self.numbers.insert(atom, number);
        number
    }

    /// The value that a number stands for.
    #[must_use]
    pub fn atom(&self, number: i64) -> Atom {
        usize::try_from(number.wrapping_sub(i64::MIN).cast_unsigned())
            .ok()
            .and_then(|index| self.atoms.get(index))
            .cloned()
            .unwrap_or(Atom::Int(number))
    }
}

impl History {
    /// The kind, as in tables and `--model`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Registers(_) => "cas-register",
            Self::KeyValue(_) => "kv-append",
            Self::Sets(_) => "set",
            Self::Queues(_) => "queue",
            Self::Mutexes(_) => "mutex",
            Self::ListAppend(_) => "list-append",
            Self::Etcd(_) => "etcd",
        }
    }

    /// How many operations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Registers(all) => all.operations.len(),
            Self::KeyValue(all) => all.operations.len(),
            Self::Sets(all) => all.operations.len(),
            Self::Queues(all) => all.operations.len(),
            Self::Mutexes(all) => all.operations.len(),
            Self::ListAppend(all) => all.transactions.len(),
            Self::Etcd(all) => all.lines.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where and how the file was cut short, if it was.
    #[must_use]
    pub fn cut(&self) -> Option<&ImportError> {
        match self {
            Self::Registers(all) => all.cut.as_ref(),
            Self::KeyValue(all) => all.cut.as_ref(),
            Self::Sets(all) => all.cut.as_ref(),
            Self::Queues(all) => all.cut.as_ref(),
            Self::Mutexes(all) => all.cut.as_ref(),
            Self::ListAppend(all) => all.cut.as_ref(),
            Self::Etcd(all) => all.cut.as_ref(),
        }
    }
}
