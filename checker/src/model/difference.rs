//! In what a recorded answer differs from the model's.

use std::fmt;

use crate::history::{Bytes, KeyValue};

/// In what a recorded answer differs from the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// The number of keys in a range.
    Count,
    /// Whether a limit cut something off.
    More,
    /// A key is shown that is not there, or not shown though it is.
    Presence,
    /// A key is shown with another value, revision, version or lease.
    Content,
    /// Key-values in another order than asked for.
    Order,
    /// The key-value before a put or delete.
    Previous,
    /// The number of keys deleted.
    Deleted,
    /// An error was due, or a success.
    Refusal,
    /// The branch of a transaction.
    Branch,
    /// An answer to another kind of request.
    Shape,
}

/// One side of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// A key-value, or that there is none.
    KeyValue(Option<Box<KeyValue>>),
    /// A number.
    Number(i64),
    /// Anything else, in words.
    Words(&'static str),
}

/// One difference between a recorded answer and the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In what.
    pub kind: DifferenceKind,
    /// The key, where it is about one.
    pub key: Option<Bytes>,
    /// What the model holds.
    pub expected: Side,
    /// What was answered.
    pub answered: Side,
}

impl Difference {
    /// A difference that is not about one key.
    pub(crate) fn of(kind: DifferenceKind, expected: Side, answered: Side) -> Self {
        Self {
            kind,
            key: None,
            expected,
            answered,
        }
    }

    /// A difference about one key's key-value.
    pub(crate) fn of_key(
        kind: DifferenceKind,
        expected: Option<&KeyValue>,
        answered: Option<&KeyValue>,
    ) -> Self {
        Self {
            kind,
            key: expected.or(answered).map(|kv| kv.key.clone()),
            expected: Side::KeyValue(expected.cloned().map(Box::new)),
            answered: Side::KeyValue(answered.cloned().map(Box::new)),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, answered {}", self.expected, self.answered)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyValue(kv) => f.write_str(&describe(kv.as_deref())),
            Self::Number(number) => write!(f, "{number}"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

/// A key-value in words.
pub(crate) fn describe(kv: Option<&KeyValue>) -> String {
    let Some(kv) = kv else {
        return "no key-value".to_owned();
    };
    let lease = if kv.lease == 0 {
        String::new()
    } else {
        format!(", lease {}", kv.lease)
    };
    format!(
        "{} = {:?} (mod revision {}, create revision {}, version {}{lease})",
        kv.key,
        shorten(&kv.value.to_string()),
        kv.mod_revision,
        kv.create_revision,
        kv.version,
    )
}

/// At most 60 characters of a text.
fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX).chain(['…']).collect()
}
