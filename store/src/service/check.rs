//! What makes a request of the KV service wrong by itself (api/v3rpc/key.go).

use std::collections::BTreeSet;

use api::pb::etcdserverpb as pb;
use api::pb::etcdserverpb::request_op::Request;

use crate::Error;

pub(super) fn range(request: &pb::RangeRequest) -> Result<(), Error> {
    key(&request.key)
}

pub(super) fn put(request: &pb::PutRequest) -> Result<(), Error> {
    key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(Error::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Error::LeaseProvided);
    }
    Ok(())
}

pub(super) fn delete_range(request: &pb::DeleteRangeRequest) -> Result<(), Error> {
    key(&request.key)
}

/// Refuses too many operations, empty keys, and keys that one branch changes twice.
pub(super) fn txn(request: &pb::TxnRequest, most_ops: usize) -> Result<(), Error> {
    shape(request, most_ops)?;
    for branch in [&request.success, &request.failure] {
        changes(branch)?;
    }
    Ok(())
}

fn key(key: &[u8]) -> Result<(), Error> {
    if key.is_empty() {
        return Err(Error::EmptyKey);
    }
    Ok(())
}

fn shape(request: &pb::TxnRequest, most_ops: usize) -> Result<(), Error> {
    let branches = request.success.len().max(request.failure.len());
    let ops = request.compare.len().max(branches);
    let left = most_ops.checked_sub(ops).ok_or(Error::TooManyOps)?;
    request
        .compare
        .iter()
        .try_for_each(|compare| key(&compare.key))?;
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete_range(request)?,
            Some(Request::RequestTxn(nested)) => shape(nested, left)?,
            None => return Err(Error::KeyNotFound),
        }
    }
    Ok(())
}

/// What a branch changes: keys put, and ranges deleted.
#[derive(Default)]
struct Changes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Changes<'a> {
    fn deletes(&self, key: &[u8]) -> bool {
        // As in etcd, a deletion of all keys from one on overlaps nothing: its end comes first.
        self.deletes.iter().any(|&(start, end)| match end {
            [] => key == start,
            end => start <= key && key < end,
        })
    }

    fn put(&mut self, key: &'a [u8]) -> Result<(), Error> {
        if self.deletes(key) || !self.puts.insert(key) {
            return Err(Error::DuplicateKey);
        }
        Ok(())
    }
}

/// Of the two branches of a nested transaction only one is taken: both may put the same key.
fn changes(ops: &[pb::RequestOp]) -> Result<Changes<'_>, Error> {
    let mut all = Changes::default();
    for op in ops {
        if let Some(Request::RequestDeleteRange(delete)) = &op.request {
            all.deletes.push((&delete.key, &delete.range_end));
        }
    }
    for op in ops {
        let Some(Request::RequestTxn(nested)) = &op.request else {
            continue;
        };
        let then = changes(&nested.success)?;
        let otherwise = changes(&nested.failure)?;
        for key in then.puts.union(&otherwise.puts) {
            all.put(key)?;
        }
        all.deletes.extend(then.deletes);
        all.deletes.extend(otherwise.deletes);
    }
    for op in ops {
        if let Some(Request::RequestPut(put)) = &op.request {
            all.put(&put.key)?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_op(key: &str) -> pb::RequestOp {
        pb::RequestOp {
            request: Some(Request::RequestPut(pb::PutRequest {
                key: key.into(),
                ..Default::default()
            })),
        }
    }

    fn delete_op(key: &str, end: &str) -> pb::RequestOp {
        pb::RequestOp {
            request: Some(Request::RequestDeleteRange(pb::DeleteRangeRequest {
                key: key.into(),
                range_end: end.into(),
                ..Default::default()
            })),
        }
    }

    fn branch(success: Vec<pb::RequestOp>) -> pb::TxnRequest {
        pb::TxnRequest {
            success,
            ..Default::default()
        }
    }

    fn nested(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> pb::RequestOp {
        pb::RequestOp {
            request: Some(Request::RequestTxn(pb::TxnRequest {
                success,
                failure,
                ..Default::default()
            })),
        }
    }

    #[test]
    fn a_branch_changes_a_key_once() {
        let duplicate = Err(Error::DuplicateKey);
        let cases = [
            (vec![put_op("a"), put_op("b")], Ok(())),
            (vec![put_op("a"), put_op("a")], duplicate),
            (vec![delete_op("a", "c"), put_op("b")], duplicate),
            (vec![put_op("c"), delete_op("a", "c")], Ok(())),
            (vec![put_op("z"), delete_op("a", "\0")], Ok(())),
            (vec![put_op("a"), delete_op("a", "")], duplicate),
            (vec![delete_op("a", ""), delete_op("a", "")], Ok(())),
            (vec![nested(vec![put_op("a")], vec![put_op("a")])], Ok(())),
            (
                vec![nested(vec![put_op("a")], vec![]), put_op("a")],
                duplicate,
            ),
            (
                vec![nested(vec![], vec![delete_op("a", "")]), put_op("a")],
                duplicate,
            ),
        ];
        for (ops, expected) in cases {
            assert_eq!(txn(&branch(ops.clone()), 128), expected, "{ops:?}");
        }
    }

    #[test]
    fn operations_are_counted_with_those_they_are_nested_in() {
        let inner = nested(vec![put_op("a"), put_op("b")], vec![]);
        assert_eq!(txn(&branch(vec![inner.clone()]), 3), Ok(()));
        assert_eq!(txn(&branch(vec![inner]), 2), Err(Error::TooManyOps));
        assert_eq!(txn(&branch(vec![put_op("")]), 2), Err(Error::EmptyKey));
        let nothing = pb::RequestOp { request: None };
        assert_eq!(txn(&branch(vec![nothing]), 2), Err(Error::KeyNotFound));
    }
}
