//! Single changes to a history, each of which a broken store could have made.

use checker::history::*;

use super::simulate::{Dice, History};

/// What may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The header's revision is off by one or two.
    Revision,
    /// Two operations' revisions are swapped.
    SwappedRevisions,
    /// A shown value is another one.
    Value,
    /// A shown mod revision, create revision or version is off by one.
    Bookkeeping,
    /// A key-value is left out of a range, and not counted.
    Missing,
    /// A range answers what it could have answered some revisions ago.
    Stale,
    /// A count, of keys or of deleted keys, is off by one.
    Count,
    /// The other branch of a transaction.
    Branch,
    /// A previous key-value is left out.
    NoPrevious,
    /// The operation ends before, or begins after, it did.
    Time,
    /// Success or error becomes unknown: never a violation by itself.
    Forgotten,
    /// The operation is not in the history at all.
    Removed,
}

impl Mutation {
    pub(crate) const ALL: [Self; 12] = [
        Self::Revision,
        Self::SwappedRevisions,
        Self::Value,
        Self::Bookkeeping,
        Self::Missing,
        Self::Stale,
        Self::Count,
        Self::Branch,
        Self::NoPrevious,
        Self::Time,
        Self::Forgotten,
        Self::Removed,
    ];
}

/// Changes one operation, drawn among all; false where none can be changed that way.
pub(crate) fn mutate(history: &mut History, mutation: Mutation, dice: &mut Dice) -> bool {
    let count = history.ops.len();
    if count == 0 {
        return false;
    }
    let start = usize::try_from(dice.below(count as u64)).unwrap();
    (0..count).any(|i| apply(history, (start + i) % count, mutation, dice))
}

fn apply(history: &mut History, at: usize, mutation: Mutation, dice: &mut Dice) -> bool {
    match mutation {
        Mutation::Removed => {
            history.ops.remove(at);
            return true;
        }
        Mutation::Forgotten => return history.ops[at].outcome.take().is_some(),
        Mutation::Time => {
            let op = &mut history.ops[at];
            if op.outcome.is_none() || op.call == op.ret {
                return false;
            }
            if dice.percent(50) {
                op.ret = op.call;
            } else {
                op.call = op.ret;
            }
            return true;
        }
        Mutation::SwappedRevisions => {
            let other = usize::try_from(dice.below(history.ops.len() as u64)).unwrap();
            let revision = |i: usize| response(&history.ops[i].outcome).map(revision_of);
            let (Some(a), Some(b)) = (revision(at), revision(other)) else {
                return false;
            };
            for (i, revision) in [(at, b), (other, a)] {
                *header_of(response_mut(&mut history.ops[i].outcome).unwrap()) = revision;
            }
            return a != b;
        }
        Mutation::Branch => return other_branch(history, at),
        _ => {}
    }
    let Some(response) = response_mut(&mut history.ops[at].outcome) else {
        return false;
    };
    match mutation {
        Mutation::Revision | Mutation::Stale => {
            if mutation == Mutation::Stale && !matches!(response, Response::Range(_)) {
                return false;
            }
            let by = i64::try_from(1 + dice.below(2)).unwrap();
            let header = header_of(response);
            let up = mutation == Mutation::Revision && dice.percent(50);
            if !up && *header <= by {
                return false;
            }
            *header = if up { *header + by } else { *header - by };
            true
        }
        Mutation::Value | Mutation::Bookkeeping => {
            let mut kvs = Vec::new();
            collect(response, &mut kvs);
            if kvs.is_empty() {
                return false;
            }
            let pick = usize::try_from(dice.below(kvs.len() as u64)).unwrap();
            let kv = &mut *kvs[pick];
            if mutation == Mutation::Value {
                kv.value = format!("v{}", dice.below(4)).into();
                return true;
            }
            let by = if dice.percent(50) { 1 } else { -1 };
            match dice.below(3) {
                0 => kv.mod_revision += by,
                1 => kv.create_revision += by,
                _ => kv.version += by,
            }
            true
        }
        Mutation::Missing => match response {
            Response::Range(range) if !range.kvs.is_empty() => {
                range.kvs.pop();
                range.count -= 1;
                true
            }
            _ => false,
        },
        Mutation::Count => match response {
            Response::Range(range) => {
                range.count += 1;
                true
            }
            Response::Delete(delete) => {
                delete.deleted += if delete.deleted > 0 && dice.percent(50) {
                    -1
                } else {
                    1
                };
                true
            }
            _ => false,
        },
        Mutation::NoPrevious => match response {
            Response::Put(put) => put.prev_kv.take().is_some(),
            Response::Delete(delete) => delete.prev_kvs.pop().is_some(),
            _ => false,
        },
        _ => unreachable!("done above"),
    }
}

/// The answer of the other branch, as if nothing had been there.
fn other_branch(history: &mut History, at: usize) -> bool {
    let op = &mut history.ops[at];
    let Request::Txn(request) = &op.request else {
        return false;
    };
    let Some(Response::Txn(txn)) = response_mut(&mut op.outcome) else {
        return false;
    };
    let (succeeded, branch) = match txn.succeeded {
        true => (false, &request.failure),
        false => (true, &request.success),
    };
    if branch.iter().any(|op| matches!(op, TxnOp::Txn(_))) {
        return false;
    }
    let empty = |op: &TxnOp| match op {
        TxnOp::Range(_) => TxnOpResponse::Range(RangeResponse::default()),
        TxnOp::Put(_) => TxnOpResponse::Put(PutResponse::default()),
        TxnOp::Delete(_) => TxnOpResponse::Delete(DeleteResponse::default()),
        TxnOp::Txn(_) => TxnOpResponse::Txn(TxnResponse::default()),
    };
    txn.succeeded = succeeded;
    txn.responses = branch.iter().map(empty).collect();
    true
}

fn response(outcome: &Option<Outcome>) -> Option<&Response> {
    outcome
        .as_ref()
        .and_then(Outcome::response)
        .filter(|r| r.header().is_some())
}

fn response_mut(outcome: &mut Option<Outcome>) -> Option<&mut Response> {
    match outcome {
        Some(Outcome::Ok { response }) => Some(response),
        _ => None,
    }
}

fn revision_of(response: &Response) -> i64 {
    response.header().map_or(0, |header| header.revision)
}

fn header_of(response: &mut Response) -> &mut i64 {
    match response {
        Response::Range(r) => &mut r.header.revision,
        Response::Put(r) => &mut r.header.revision,
        Response::Delete(r) => &mut r.header.revision,
        Response::Txn(r) => &mut r.header.revision,
        Response::Compact { header }
        | Response::LeaseGrant { header, .. }
        | Response::LeaseRevoke { header }
        | Response::LeaseKeepAlive { header, .. } => &mut header.revision,
        _ => unreachable!("not simulated"),
    }
}

fn collect<'a>(response: &'a mut Response, kvs: &mut Vec<&'a mut KeyValue>) {
    match response {
        Response::Range(r) => kvs.extend(&mut r.kvs),
        Response::Put(r) => kvs.extend(&mut r.prev_kv),
        Response::Delete(r) => kvs.extend(&mut r.prev_kvs),
        Response::Txn(r) => {
            for op in &mut r.responses {
                match op {
                    TxnOpResponse::Range(r) => kvs.extend(&mut r.kvs),
                    TxnOpResponse::Put(r) => kvs.extend(&mut r.prev_kv),
                    TxnOpResponse::Delete(r) => kvs.extend(&mut r.prev_kvs),
                    TxnOpResponse::Txn(_) => {}
                }
            }
        }
        _ => {}
    }
}
