//! Answers to be checked against the state at one revision.

use super::operation::{Operation, Operations, Role};
use super::revisions::Op;
use crate::history::{RangeRequest, RangeResponse, Request, Response};
use crate::model::{Answer, Difference, DifferenceKind, Side, Store};

/// One answer, or one range of a transaction, that shows the state at a revision.
#[derive(Clone, Copy)]
pub(super) struct Check<'a> {
    pub revision: i64,
    pub op: Op,
    what: What<'a>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    /// The whole request, which must change nothing.
    Whole,
    /// A range pinned to the revision.
    Pinned(&'a RangeRequest, &'a RangeResponse),
}

/// All checks, by revision, and within one by operation.
pub(super) struct Checks<'a> {
    sorted: Vec<Check<'a>>,
}

impl<'a> Checks<'a> {
    pub(super) fn of(operations: &Operations<'a>) -> Self {
        let mut sorted = Vec::new();
        for (index, op) in operations.all.iter().enumerate() {
            let pinned_alone = matches!(op.request, Request::Range(range) if range.revision > 0);
            if let Role::Read(revision) | Role::LocalRead(revision) = op.role
                && !pinned_alone
                && !matches!(op.request, Request::LeaseGrant { .. })
            {
                sorted.push(Check {
                    revision,
                    op: index,
                    what: What::Whole,
                });
            }
            op.each_pinned(|range, answer| {
                let revision = range.revision;
                sorted.push(Check {
                    revision,
                    op: index,
                    what: What::Pinned(range, answer),
                });
            });
        }
        sorted.sort_by_key(|check| (check.revision, check.op));
        Self { sorted }
    }

    /// Those at a revision.
    pub(super) fn at(&self, revision: i64) -> &[Check<'a>] {
        let start = self
            .sorted
            .partition_point(|check| check.revision < revision);
        let rest = &self.sorted[start..];
        &rest[..rest.partition_point(|check| check.revision == revision)]
    }
}

impl Check<'_> {
    /// Compares the answer with a store that stands at the check's revision, and leaves the store
    /// as it was.
    pub(super) fn judge(&self, op: &Operation<'_>, store: &mut Store) -> Result<(), Difference> {
        debug_assert_eq!(store.revision(), self.revision);
        let response = op.response().expect("only answers are checked");
        match self.what {
            What::Pinned(range, answer) => store.range_now(range).agrees_with(answer),
            What::Whole => match (op.request, response) {
                (Request::Range(range), Response::Range(answer)) => {
                    store.range_now(range).agrees_with(answer)
                }
                _ => judge_read_only(op.request, response, store),
            },
        }
    }
}

fn judge_read_only(
    request: &Request,
    response: &Response,
    store: &mut Store,
) -> Result<(), Difference> {
    let before = store.checkpoint();
    let revision = store.revision();
    let answer = store.apply(request);
    let changed = store.revision() != revision;
    store.roll_back(before);
    let answer = answer.map_err(|refusal| {
        let expected = Side::Words(refusal.words());
        Difference::of(DifferenceKind::Refusal, expected, Side::Words("success"))
    })?;
    answer.agrees_with(response)?;
    if changed {
        // Every change shows in the answer: a put in the branch, a count of deleted keys.
        debug_assert!(!matches!(answer, Answer::Range(_)));
        let expected = Side::Words("keys changed");
        let answered = Side::Words("no change");
        return Err(Difference::of(DifferenceKind::Deleted, expected, answered));
    }
    Ok(())
}
