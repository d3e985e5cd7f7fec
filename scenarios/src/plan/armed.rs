//! Faults that wait in a process until it comes by.

use serde::{Deserialize, Serialize};

use super::{StoreKind, StorePin, Target};

/// A fault at a place of a member's process: it acts when a thread gets there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The name that other steps know it by.
    pub fault: String,
    /// On whom.
    pub target: Target,
    /// Where, in any binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// The same place by the name that it has in a store which serves failpoints, as builds with
    /// gofail and the embedded store do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<String>,
    /// The first hit that it acts on, counted from 1 on each member.
    pub hit: u64,
    /// How many hits it acts on; 0 means all from then on.
    pub times: u64,
    /// Only when the function is called, directly or not, from this one; a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_from: Option<String>,
    /// What it does.
    pub act: Act,
    /// The run says something even if it is never hit. Otherwise such a run cannot hold.
    #[serde(default)]
    pub optional: bool,
}

/// A place that threads come by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Place {
    /// A function of the binary.
    Symbol {
        /// Patterns of its name, since names differ between releases; the first that the binary
        /// has.
        symbol: Vec<String>,
        /// Where in it.
        edge: Edge,
    },
    /// A system call.
    Syscall {
        /// Its names; any of them.
        call: Vec<String>,
        /// Only on this path: a pattern with `*`, of the last component where it has no `/`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Where in it.
        edge: Edge,
    },
}

/// Which end of a function or system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// Before anything of it is done.
    #[default]
    Entry,
    /// When all of it is done.
    Return,
}

/// How a fault gets to its place in a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Binding<'a> {
    /// By the process.
    Place(&'a Place),
    /// By a failpoint that the store serves.
    Point(&'a str),
}

impl Arm {
    /// Whether failpoints can do it: a thread can be stopped at one, and killed where it stops. Who
    /// calls a function is no question there: a failpoint is one place.
    #[must_use]
    pub fn fits_points(&self) -> bool {
        matches!(self.act, Act::Kill | Act::Hold { .. } | Act::Report)
    }

    /// Its binding in this store.
    ///
    /// # Errors
    /// Why there is none.
    pub fn binding(&self, store: &StorePin) -> Result<Binding<'_>, String> {
        let fault = &self.fault;
        if let (Some(point), true) = (&self.point, store.points && self.fits_points()) {
            return Ok(Binding::Point(point));
        }
        match &self.at {
            Some(Place::Symbol { symbol, .. }) if store.kind == StoreKind::Embedded => {
                Err(format!(
                    "{fault:?} is at the function {}, which the embedded store does not have",
                    symbol.join(" or ")
                ))
            }
            Some(place) => Ok(Binding::Place(place)),
            None => Err(format!(
                "{fault:?} is at the failpoint {}, and {} serves none",
                self.point.as_deref().unwrap_or_default(),
                store.spec
            )),
        }
    }
}

/// What an armed fault does to whoever hits it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Act {
    /// SIGKILL of the member, exactly there.
    Kill,
    /// The thread stops; all others run on.
    Hold {
        /// At most this long, in milliseconds.
        for_ms: u64,
    },
    /// The function returns at once, undone.
    Skip {
        /// What it returns.
        returns: Returns,
    },
    /// Nothing: hits are counted and recorded.
    Report,
    /// The system call fails.
    Fail {
        /// The error's name, for example `EIO`.
        errno: String,
    },
    /// A write writes only so much, and the next one fails.
    Short {
        /// Bytes written.
        bytes: u64,
        /// The error's name for the write after it.
        errno: String,
    },
}

/// What a skipped function returns. A Go binary does not say whether a function has results, so it
/// has to be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// It has no results.
    #[default]
    Nothing,
    /// Its result is zero: no error, false, nil.
    Zero,
    /// Its result is one: true.
    One,
}
