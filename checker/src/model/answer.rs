//! What the model answers, and whether a recorded answer agrees.

use std::rc::Rc;

use super::difference::{Difference, DifferenceKind, Side};
use super::range::RangeAnswer;
use crate::history::{
    DeleteRequest, KeyValue, RangeResponse, Response, TxnOpResponse, TxnResponse,
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

impl Answer {
    pub(super) fn deleted(request: &DeleteRequest, gone: Vec<Rc<KeyValue>>) -> Self {
        Self::Delete {
            deleted: number(gone.len()),
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
                previous_agrees(previous.as_deref(), r.prev_kv.as_ref())
            }
            (Self::Delete { deleted, previous }, Response::Delete(r)) => {
                delete_agrees(*deleted, previous, r.deleted, &r.prev_kvs)
            }
            (Self::Txn { succeeded, answers }, Response::Txn(r)) => {
                txn_agrees(*succeeded, answers, r)
            }
            (
                Self::Done,
                Response::Compact { .. }
                | Response::LeaseGrant { .. }
                | Response::LeaseRevoke { .. },
            ) => Ok(()),
            _ => Err(shape()),
        }
    }

    fn agrees_with_range(&self, response: &RangeResponse) -> Result<(), Difference> {
        match self {
            Self::Range(expected) => expected.agrees_with(response),
            Self::Elsewhen { .. } => Ok(()),
            _ => Err(shape()),
        }
    }

    fn agrees_with_op(&self, response: &TxnOpResponse) -> Result<(), Difference> {
        match (self, response) {
            (_, TxnOpResponse::Range(r)) => self.agrees_with_range(r),
            (Self::Put { previous }, TxnOpResponse::Put(r)) => {
                previous_agrees(previous.as_deref(), r.prev_kv.as_ref())
            }
            (Self::Delete { deleted, previous }, TxnOpResponse::Delete(r)) => {
                delete_agrees(*deleted, previous, r.deleted, &r.prev_kvs)
            }
            (Self::Txn { succeeded, answers }, TxnOpResponse::Txn(r)) => {
                txn_agrees(*succeeded, answers, r)
            }
            _ => Err(shape()),
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn differ<T>(kind: DifferenceKind, expected: Side, answered: Side) -> Result<T, Difference> {
    Err(Difference::of(kind, expected, answered))
}

fn shape() -> Difference {
    let expected = Side::Words("an answer to the request");
    Difference::of(
        DifferenceKind::Shape,
        expected,
        Side::Words("one to another kind of request"),
    )
}

fn previous_agrees(
    expected: Option<&KeyValue>,
    answered: Option<&KeyValue>,
) -> Result<(), Difference> {
    if expected == answered {
        return Ok(());
    }
    Err(Difference::of_key(
        DifferenceKind::Previous,
        expected,
        answered,
    ))
}

fn delete_agrees(
    expected: i64,
    previous: &[Rc<KeyValue>],
    answered: i64,
    shown: &[KeyValue],
) -> Result<(), Difference> {
    for i in 0..previous.len().max(shown.len()) {
        previous_agrees(previous.get(i).map(|kv| &**kv), shown.get(i))?;
    }
    if expected != answered {
        return differ(
            DifferenceKind::Deleted,
            Side::Number(expected),
            Side::Number(answered),
        );
    }
    Ok(())
}

fn txn_agrees(
    succeeded: bool,
    answers: &[Answer],
    response: &TxnResponse,
) -> Result<(), Difference> {
    if succeeded != response.succeeded {
        let branch = |succeeded| {
            Side::Words(if succeeded {
                "the success branch"
            } else {
                "the failure branch"
            })
        };
        return differ(
            DifferenceKind::Branch,
            branch(succeeded),
            branch(response.succeeded),
        );
    }
    if answers.len() != response.responses.len() {
        return Err(shape());
    }
    let mut pairs = answers.iter().zip(&response.responses);
    pairs.try_for_each(|(answer, op)| answer.agrees_with_op(op))
}

impl RangeAnswer {
    /// Compares with a recorded range answer.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn agrees_with(&self, response: &RangeResponse) -> Result<(), Difference> {
        if !self.agrees_one_by_one(response) {
            self.find_difference(response)?;
        }
        if response.count != self.count {
            let answered = Side::Number(response.count);
            return differ(DifferenceKind::Count, Side::Number(self.count), answered);
        }
        if response.more != self.more() {
            let side = |more| Side::Words(if more { "more keys" } else { "no more keys" });
            return differ(DifferenceKind::More, side(self.more()), side(response.more));
        }
        Ok(())
    }

    /// The common case: the same key-values in the model's order.
    fn agrees_one_by_one(&self, response: &RangeResponse) -> bool {
        response.kvs.len() == self.kept
            && self
                .kvs
                .iter()
                .zip(&response.kvs)
                .all(|(own, answered)| own.key == answered.key && self.same(own, answered))
    }

    fn find_difference(&self, response: &RangeResponse) -> Result<(), Difference> {
        for kv in &response.kvs {
            if !self.kvs.iter().any(|own| own.key == kv.key) {
                return Err(Difference::of_key(DifferenceKind::Presence, None, Some(kv)));
            }
        }
        if response.kvs.len() < self.kept {
            let shown = |kv: &&Rc<KeyValue>| response.kvs.iter().any(|other| other.key == kv.key);
            if let Some(missing) = self.kvs[..self.kept].iter().find(|kv| !shown(kv)) {
                return Err(Difference::of_key(
                    DifferenceKind::Presence,
                    Some(missing),
                    None,
                ));
            }
        }
        if response.kvs.len() != self.kept {
            let answered = Side::Number(number(response.kvs.len()));
            return differ(
                DifferenceKind::Count,
                Side::Number(number(self.kept)),
                answered,
            );
        }
        // Group by group of equal sort values: within one, any order will do.
        let mut start = 0;
        while start < self.kept {
            let first = &self.kvs[start];
            let equal = |kv: &&Rc<KeyValue>| self.compare(first, kv).is_eq();
            let end = start + self.kvs[start..].iter().take_while(equal).count();
            let answered = &response.kvs[start..end.min(self.kept)];
            self.group_agrees(start, &self.kvs[start..end], answered)?;
            start = end;
        }
        Ok(())
    }

    fn group_agrees(
        &self,
        start: usize,
        group: &[Rc<KeyValue>],
        answered: &[KeyValue],
    ) -> Result<(), Difference> {
        for (i, kv) in answered.iter().enumerate() {
            let twice = answered[..i].iter().any(|other| other.key == kv.key);
            let own = group
                .iter()
                .find(|own| own.key == kv.key)
                .filter(|_| !twice);
            let Some(own) = own else {
                let expected = Some(&*self.kvs[start + i]);
                return Err(Difference::of_key(
                    DifferenceKind::Order,
                    expected,
                    Some(kv),
                ));
            };
            if !self.same(own, kv) {
                return Err(Difference::of_key(
                    DifferenceKind::Content,
                    Some(own),
                    Some(kv),
                ));
            }
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
