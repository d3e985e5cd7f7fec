//! A key-value store with append.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{by_key, unknown_where};
use crate::generic::{Model, Operation};

/// A store of strings by key, each empty at first.
#[derive(Clone, Debug, Default)]
pub struct KeyValue {
    /// By key and by value written to it: what some read shows before it.
    before: Arc<HashMap<(String, String), String>>,
    /// Keys whose values only grow.
    appended: Arc<HashSet<String>>,
}

/// An operation on a [`KeyValue`] store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyValueOp {
    /// A read, and what it saw.
    Get {
        /// Of which key.
        key: String,
        /// The whole value.
        value: String,
    },
    /// A write.
    Put {
        /// Of which key.
        key: String,
        /// The new value.
        value: String,
    },
    /// A write at the end of what is there.
    Append {
        /// Of which key.
        key: String,
        /// What is added.
        value: String,
    },
}

use KeyValueOp::{Append, Get, Put};

impl KeyValueOp {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Get { key, .. } | Put { key, .. } | Append { key, .. } => key,
        }
    }
}

impl KeyValue {
    /// What has to be there when a value is written, as far as a read shows it.
    fn place(&self, key: &str, value: &str) -> Option<&str> {
        let place = (key.to_owned(), value.to_owned());
        self.before.get(&place).map(String::as_str)
    }
}

/// The values written to a key.
#[derive(Default)]
struct Written<'a> {
    /// What each begins with.
    first: Option<char>,
    is_ambiguous: bool,
    times: HashMap<&'a str, u32>,
}

impl<'a> Written<'a> {
    fn add(&mut self, value: &'a str) {
        let first = value.chars().next();
        let is_new = self.times.is_empty();
        let has_again = first.is_some_and(|first| value.matches(first).count() > 1);
        self.is_ambiguous |= first.is_none() || has_again || (!is_new && first != self.first);
        self.first = first;
        *self.times.entry(value).or_default() += 1;
    }
}

impl Model for KeyValue {
    type State = BTreeMap<String, String>;
    type Op = KeyValueOp;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(&self, state: &Self::State, op: &KeyValueOp) -> Option<Self::State> {
        if !self.accepts(state, op) {
            return None;
        }
        let mut next = state.clone();
        match op {
            Get { .. } => {}
            Put { key, value } => drop(next.insert(key.clone(), value.clone())),
            Append { key, value } => next.entry(key.clone()).or_default().push_str(value),
        }
        Some(next)
    }

    fn accepts(&self, state: &Self::State, op: &KeyValueOp) -> bool {
        match op {
            Get { key, value } => state.get(key).map_or("", String::as_str) == value,
            Put { .. } | Append { .. } if self.before.is_empty() => true,
            Put { key, value } => self.place(key, value).is_none_or(str::is_empty),
            Append { key, value } => {
                let held = state.get(key).map_or("", String::as_str);
                self.place(key, value).is_none_or(|before| before == held)
            }
        }
    }

    fn is_read_only(&self, op: &KeyValueOp) -> bool {
        matches!(op, Get { .. })
    }

    /// What is written stays part of the value until the next put: if no read shows it, nothing
    /// was read until then.
    fn unobserved(&self, operations: &[&Operation<KeyValueOp>]) -> Vec<usize> {
        let mut seen: HashMap<&str, Vec<&str>> = HashMap::new();
        for operation in operations.iter().filter(|o| o.ret.is_some()) {
            if let Get { key, value } = &operation.op {
                seen.entry(key).or_default().push(value);
            }
        }
        unknown_where(operations, |op| match op {
            Get { .. } => false,
            Put { key, value } | Append { key, value } => !seen
                .get(key.as_str())
                .is_some_and(|values| values.iter().any(|seen| seen.contains(value))),
        })
    }

    /// A read that shows a value shows what was there when it was written, as nothing but a put
    /// takes anything away. Used where nothing was there at first, each value was written once and
    /// reads can be taken apart: every value begins with a character that it does not have again,
    /// the same for all.
    fn study(&self, start: &Self::State, operations: &[&Operation<KeyValueOp>]) -> Self {
        let mut appended = HashSet::new();
        for operation in operations {
            if let Append { key, .. } = &operation.op {
                appended.insert(key.clone());
            }
        }
        for operation in operations {
            if let Put { key, .. } = &operation.op {
                appended.remove(key);
            }
        }
        let appended = Arc::new(appended);
        if !start.is_empty() {
            return Self {
                before: Arc::default(),
                appended,
            };
        }
        let mut keys: HashMap<&str, Written> = HashMap::new();
        for operation in operations {
            if let Put { key, value } | Append { key, value } = &operation.op {
                keys.entry(key).or_default().add(value);
            }
        }
        let mut before = HashMap::new();
        for operation in operations.iter().filter(|o| o.ret.is_some()) {
            let Get { key, value } = &operation.op else {
                continue;
            };
            let Some(Written {
                first: Some(first),
                times,
                ..
            }) = keys
                .get(key.as_str())
                .filter(|written| !written.is_ambiguous)
            else {
                continue;
            };
            let mut starts = value.match_indices(*first).map(|(at, _)| at).peekable();
            while let Some(start) = starts.next() {
                let end = starts.peek().copied().unwrap_or(value.len());
                let element = &value[start..end];
                if times.get(element) == Some(&1) {
                    before
                        .entry((key.clone(), element.to_owned()))
                        .or_insert_with(|| value[..start].to_owned());
                }
            }
        }
        Self {
            before: Arc::new(before),
            appended,
        }
    }

    /// What is only appended to keeps its beginning.
    fn dead(&self, state: &Self::State, op: &KeyValueOp) -> bool {
        match op {
            Get { key, value } if self.appended.contains(key) => {
                let held = state.get(key).map_or("", String::as_str);
                !value.starts_with(held)
            }
            _ => false,
        }
    }

    fn partition(&self, operations: &[Operation<KeyValueOp>]) -> Vec<Vec<usize>> {
        by_key(operations, |op| op.key().to_owned())
    }

    fn bytes(&self, state: &Self::State) -> usize {
        let entry = |(key, value): (&String, &String)| {
            2 * size_of::<String>() + key.capacity() + value.capacity()
        };
        size_of_val(state) + state.iter().map(entry).sum::<usize>()
    }

    fn refusal(&self, state: &Self::State, op: &KeyValueOp) -> String {
        let held = state.get(op.key()).map_or("", String::as_str);
        match op {
            Get { .. } => format!("{op:?}, but the value is {held:?}"),
            Put { .. } => format!("{op:?}, but a read shows it at the end of another value"),
            Append { key, value } => {
                let before = self.place(key, value).unwrap_or_default();
                format!("{op:?}, but the value is {held:?}, and a read shows it after {before:?}")
            }
        }
    }
}
