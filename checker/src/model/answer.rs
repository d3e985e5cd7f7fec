//! What the model answers, and how a recorded answer differs from it.

use std::fmt;
use std::rc::Rc;

use super::RangeAnswer;
use crate::history::{
    Bytes, DeleteRequest, KeyValue, RangeResponse, Response, TxnOpResponse, TxnResponse,
};

/// The store's answer, without a header.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a range.
    Range(RangeAnswer),
    /// To a range at an older revision, where the past is not kept.
    Elsewhen {
        /// The revision asked for.
        revision: i64,
    },
    /// To a put.
    Put {
        /// The key-value before, where asked for.
        previous: Option<Rc<KeyValue>>,
    },
    /// To a delete.
    Delete {
        /// How many keys were deleted.
        deleted: i64,
        /// What they were, by key, where asked for.
        previous: Vec<Rc<KeyValue>>,
    },
    /// To a transaction.
    Txn {
        /// Whether the guards held.
        succeeded: bool,
        /// One for each operation of the branch taken.
        answers: Vec<Answer>,
    },
    /// To a compaction, or a lease's grant or revocation.
    Done,
}

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

/// One difference between a recorded answer and the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In what.
    pub kind: DifferenceKind,
    /// The key, where it is about one.
    pub key: Option<Bytes>,
    /// What the model holds, in words.
    pub expected: String,
    /// What was answered, in words.
    pub answered: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, answered {}", self.expected, self.answered)
    }
}

fn differ(
    kind: DifferenceKind,
    key: Option<&Bytes>,
    expected: impl Into<String>,
    answered: impl Into<String>,
) -> Result<(), Difference> {
    Err(Difference {
        kind,
        key: key.cloned(),
        expected: expected.into(),
        answered: answered.into(),
    })
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

impl Answer {
    pub(super) fn deleted(request: &DeleteRequest, gone: Vec<Rc<KeyValue>>) -> Self {
        Self::Delete {
            deleted: i64::try_from(gone.len()).unwrap_or(i64::MAX),
            previous: if request.prev_kv { gone } else { Vec::new() },
        }
    }

    /// Compares with a recorded answer. Headers are not looked at; an [`Answer::Elsewhen`] agrees
    /// with every range.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn agrees_with(&self, response: &Response) -> Result<(), Difference> {
        match (self, response) {
            (_, Response::Range(r)) => self.agrees_with_range(r),
            (Self::Put { previous }, Response::Put(r)) => {
                put(previous.as_deref(), r.prev_kv.as_ref())
            }
            (Self::Delete { deleted, previous }, Response::Delete(r)) => {
                delete(*deleted, previous, r.deleted, &r.prev_kvs)
            }
            (Self::Txn { succeeded, answers }, Response::Txn(r)) => txn(*succeeded, answers, r),
            (
                Self::Done,
                Response::Compact { .. }
                | Response::LeaseGrant { .. }
                | Response::LeaseRevoke { .. },
            ) => Ok(()),
            _ => shape(),
        }
    }

    fn agrees_with_range(&self, response: &RangeResponse) -> Result<(), Difference> {
        match self {
            Self::Range(expected) => expected.agrees_with(response),
            Self::Elsewhen { .. } => Ok(()),
            _ => shape(),
        }
    }

    fn agrees_with_op(&self, response: &TxnOpResponse) -> Result<(), Difference> {
        match (self, response) {
            (_, TxnOpResponse::Range(r)) => self.agrees_with_range(r),
            (Self::Put { previous }, TxnOpResponse::Put(r)) => {
                put(previous.as_deref(), r.prev_kv.as_ref())
            }
            (Self::Delete { deleted, previous }, TxnOpResponse::Delete(r)) => {
                delete(*deleted, previous, r.deleted, &r.prev_kvs)
            }
            (Self::Txn { succeeded, answers }, TxnOpResponse::Txn(r)) => {
                txn(*succeeded, answers, r)
            }
            _ => shape(),
        }
    }
}

fn shape() -> Result<(), Difference> {
    differ(
        DifferenceKind::Shape,
        None,
        "an answer to the request",
        "one to another kind of request",
    )
}

fn put(expected: Option<&KeyValue>, answered: Option<&KeyValue>) -> Result<(), Difference> {
    if expected == answered {
        return Ok(());
    }
    let key = expected.or(answered).map(|kv| &kv.key);
    differ(
        DifferenceKind::Previous,
        key,
        describe(expected),
        describe(answered),
    )
}

fn delete(
    expected: i64,
    previous: &[Rc<KeyValue>],
    answered: i64,
    shown: &[KeyValue],
) -> Result<(), Difference> {
    if expected != answered {
        return differ(
            DifferenceKind::Deleted,
            None,
            format!("{expected} keys deleted"),
            format!("{answered}"),
        );
    }
    for i in 0..previous.len().max(shown.len()) {
        let (expected, answered) = (previous.get(i).map(|kv| &**kv), shown.get(i));
        put(expected, answered)?;
    }
    Ok(())
}

fn txn(succeeded: bool, answers: &[Answer], response: &TxnResponse) -> Result<(), Difference> {
    let branch = |succeeded| {
        if succeeded {
            "the success branch"
        } else {
            "the failure branch"
        }
    };
    if succeeded != response.succeeded {
        return differ(
            DifferenceKind::Branch,
            None,
            branch(succeeded),
            branch(response.succeeded),
        );
    }
    if answers.len() != response.responses.len() {
        return differ(
            DifferenceKind::Shape,
            None,
            format!("{} answers in the branch", answers.len()),
            format!("{}", response.responses.len()),
        );
    }
    answers
        .iter()
        .zip(&response.responses)
        .try_for_each(|(answer, op)| answer.agrees_with_op(op))
}

impl RangeAnswer {
    /// Compares with a recorded range answer.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn agrees_with(&self, response: &RangeResponse) -> Result<(), Difference> {
        for kv in &response.kvs {
            if !self.kvs.iter().any(|own| own.key == kv.key) {
                let answered = describe(Some(kv));
                return differ(
                    DifferenceKind::Presence,
                    Some(&kv.key),
                    "no such key",
                    answered,
                );
            }
        }
        if response.kvs.len() < self.kept {
            let shown = |kv: &&Rc<KeyValue>| response.kvs.iter().any(|other| other.key == kv.key);
            if let Some(missing) = self.kvs[..self.kept].iter().find(|kv| !shown(kv)) {
                let expected = describe(Some(missing));
                return differ(
                    DifferenceKind::Presence,
                    Some(&missing.key),
                    expected,
                    "no such key",
                );
            }
        }
        self.agree_in_order(response)?;
        if response.count != self.count {
            let (expected, answered) = (format!("{} keys", self.count), response.count.to_string());
            return differ(DifferenceKind::Count, None, expected, answered);
        }
        if response.more != self.more() {
            let word = |more| if more { "more keys" } else { "no more keys" };
            return differ(
                DifferenceKind::More,
                None,
                word(self.more()),
                word(response.more),
            );
        }
        Ok(())
    }

    /// Group by group of equal sort values: within one, any order will do.
    fn agree_in_order(&self, response: &RangeResponse) -> Result<(), Difference> {
        if response.kvs.len() != self.kept {
            return differ(
                DifferenceKind::Count,
                None,
                format!("{} key-values", self.kept),
                response.kvs.len().to_string(),
            );
        }
        let mut start = 0;
        while start < self.kept {
            let first = &self.kvs[start];
            let equal = |kv: &&Rc<KeyValue>| self.compare(first, kv).is_eq();
            let end = start + self.kvs[start..].iter().take_while(equal).count();
            let group = &self.kvs[start..end];
            let answered = &response.kvs[start..end.min(self.kept)];
            for (i, kv) in answered.iter().enumerate() {
                let Some(own) = group.iter().find(|own| own.key == kv.key) else {
                    let expected = describe(Some(&self.kvs[start + i]));
                    return differ(
                        DifferenceKind::Order,
                        Some(&kv.key),
                        expected,
                        describe(Some(kv)),
                    );
                };
                if answered[..i].iter().any(|other| other.key == kv.key) {
                    return differ(
                        DifferenceKind::Order,
                        Some(&kv.key),
                        "each key once",
                        "one twice",
                    );
                }
                if !self.same(own, kv) {
                    let expected = describe(Some(own));
                    return differ(
                        DifferenceKind::Content,
                        Some(&kv.key),
                        expected,
                        describe(Some(kv)),
                    );
                }
            }
            start = end;
        }
        Ok(())
    }

    fn same(&self, own: &KeyValue, answered: &KeyValue) -> bool {
        let value_agrees = if self.keys_only {
            answered.value.is_empty()
        } else {
            own.value == answered.value
        };
        value_agrees
            && own.create_revision == answered.create_revision
            && own.mod_revision == answered.mod_revision
            && own.version == answered.version
            && own.lease == answered.lease
    }
}
