//! Transactions: what they compare, what they are checked for, what they do
//! (applierV3backend.Txn in server/etcdserver/apply.go).

use std::cmp::Ordering;

use api::pb::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use api::pb::etcdserverpb::request_op::Request;
use api::pb::etcdserverpb::response_op::Response;
use api::pb::etcdserverpb::{self as pb};
use api::pb::mvccpb::KeyValue;

use super::kv::{self, Read, Snapshot};
use crate::Error;
use crate::lease::Lessor;
use crate::mvcc::{Keys, RangeOptions, Store, WriteTxn};

/// A transaction whose branches are chosen: all comparisons, those of nested transactions too, are
/// made before anything is done.
struct Chosen<'a> {
    succeeded: bool,
    ops: Vec<Op<'a>>,
}

enum Op<'a> {
    Range(&'a pb::RangeRequest),
    Put(&'a pb::PutRequest),
    DeleteRange(&'a pb::DeleteRangeRequest),
    Txn(Chosen<'a>),
    Nothing,
}

/// Whether it only reads, so that it need not go through the log.
pub(super) fn is_read_only(txn: &pb::TxnRequest) -> bool {
    ops(txn).all(|op| matches!(op.request, Some(Request::RequestRange(_))))
}

/// Whether all its reads may be answered from this member's own state.
pub(super) fn is_serializable(txn: &pb::TxnRequest) -> bool {
    ops(txn).all(|op| match &op.request {
        Some(Request::RequestRange(range)) => range.serializable,
        _ => false,
    })
}

fn ops(txn: &pb::TxnRequest) -> impl Iterator<Item = &pb::RequestOp> {
    txn.success.iter().chain(&txn.failure)
}

/// What a member that nobody waits at strips with #18667.
pub(super) fn strip_reads(txn: &mut pb::TxnRequest) {
    for ops in [&mut txn.success, &mut txn.failure] {
        ops.retain(|op| !matches!(op.request, Some(Request::RequestRange(_))));
    }
}

/// Applies one that writes.
pub(super) fn apply(
    txn: &mut WriteTxn<'_>,
    lessor: &Lessor,
    compact_rev: i64,
    request: &pb::TxnRequest,
) -> Result<pb::TxnResponse, Error> {
    let chosen = choose(txn, request);
    check(
        &chosen,
        &|put| kv::check_put(txn, lessor, put),
        txn.rev(),
        compact_rev,
    )?;
    let mut response = perform(txn, chosen)?;
    response.header = kv::header_at(txn.rev());
    Ok(response)
}

/// Answers one that only reads, from one state of the store.
pub(super) fn read(store: &Store, request: &pb::TxnRequest) -> Result<pb::TxnResponse, Error> {
    loop {
        let at = Snapshot {
            store,
            rev: store.rev(),
        };
        let chosen = choose(&at, request);
        check(&chosen, &|_| Ok(()), at.rev, store.compact_rev())?;
        match answer(&at, &chosen) {
            // Compacted meanwhile: what it was checked against is gone.
            Err(Error::Compacted) => {}
            Err(error) => return Err(error),
            // A comparison that met the compaction would have been taken to fail.
            Ok(_) if store.compact_rev() > at.rev => {}
            Ok(mut response) => {
                response.header = kv::header_at(at.rev);
                return Ok(response);
            }
        }
    }
}

fn choose<'a>(from: &impl Read, txn: &'a pb::TxnRequest) -> Chosen<'a> {
    let succeeded = txn.compare.iter().all(|compare| holds(from, compare));
    let branch = if succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    let ops = branch.iter().map(|op| match &op.request {
        Some(Request::RequestRange(range)) => Op::Range(range),
        Some(Request::RequestPut(put)) => Op::Put(put),
        Some(Request::RequestDeleteRange(delete)) => Op::DeleteRange(delete),
        Some(Request::RequestTxn(txn)) => Op::Txn(choose(from, txn)),
        None => Op::Nothing,
    });
    Chosen {
        succeeded,
        ops: ops.collect(),
    }
}

/// Refuses it before anything is done if a put cannot be made or a range cannot be read.
fn check(
    chosen: &Chosen<'_>,
    check_put: &impl Fn(&pb::PutRequest) -> Result<(), Error>,
    rev: i64,
    compact_rev: i64,
) -> Result<(), Error> {
    // All puts come before all ranges, as which error is told depends on it.
    let mut deleted = Vec::new();
    walk(chosen, &mut |op| match op {
        Op::DeleteRange(delete) => {
            deleted.push(Keys {
                key: &delete.key,
                end: &delete.range_end,
            });
            Ok(())
        }
        // Here etcd panics in mid-transaction.
        Op::Put(put) if kv::keeps(put) && deleted.iter().any(|keys| keys.contains(&put.key)) => {
            Err(Error::KeyNotFound)
        }
        Op::Put(put) => check_put(put),
        _ => Ok(()),
    })?;
    walk(chosen, &mut |op| match op {
        Op::Range(range) if range.revision == 0 => Ok(()),
        Op::Range(range) if range.revision > rev => Err(Error::FutureRev),
        Op::Range(range) if range.revision < compact_rev => Err(Error::Compacted),
        _ => Ok(()),
    })
}

fn walk<'a>(
    chosen: &Chosen<'a>,
    visit: &mut impl FnMut(&Op<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    chosen.ops.iter().try_for_each(|op| match op {
        Op::Txn(nested) => walk(nested, visit),
        op => visit(op),
    })
}

fn perform(txn: &mut WriteTxn<'_>, chosen: Chosen<'_>) -> Result<pb::TxnResponse, Error> {
    let responses = chosen.ops.into_iter().map(|op| {
        let response = match op {
            Op::Range(request) => Some(Response::ResponseRange(kv::range(txn, request)?)),
            Op::Put(request) => Some(Response::ResponsePut(kv::put(txn, request)?)),
            Op::DeleteRange(request) => Some(Response::ResponseDeleteRange(kv::delete_range(
                txn, request,
            )?)),
            Op::Txn(nested) => Some(Response::ResponseTxn(perform(txn, nested)?)),
            Op::Nothing => None,
        };
        Ok(pb::ResponseOp { response })
    });
    Ok(pb::TxnResponse {
        header: kv::header_at(0),
        succeeded: chosen.succeeded,
        responses: responses.collect::<Result<_, Error>>()?,
    })
}

/// As [`perform`], for one that only reads.
fn answer(from: &impl Read, chosen: &Chosen<'_>) -> Result<pb::TxnResponse, Error> {
    let responses = chosen.ops.iter().map(|op| {
        let response = match op {
            Op::Range(request) => Some(Response::ResponseRange(kv::range(from, request)?)),
            _ => None,
        };
        Ok(pb::ResponseOp { response })
    });
    Ok(pb::TxnResponse {
        header: kv::header_at(0),
        succeeded: chosen.succeeded,
        responses: responses.collect::<Result<_, Error>>()?,
    })
}

/// Whether a comparison holds for every key in its range; for none at all it is made with a pair of
/// zeros, but for values, which nothing equals.
fn holds(from: &impl Read, compare: &pb::Compare) -> bool {
    let Ok(found) = from.range(&compare.key, &compare.range_end, RangeOptions::default()) else {
        return false;
    };
    if found.kvs.is_empty() {
        return compare.target != i32::from(CompareTarget::Value)
            && holds_for(compare, &KeyValue::default());
    }
    found.kvs.iter().all(|kv| holds_for(compare, kv))
}

fn holds_for(compare: &pb::Compare, kv: &KeyValue) -> bool {
    let union = compare.target_union.as_ref();
    // What is not of the target's kind counts as nothing.
    let Ok(target) = CompareTarget::try_from(compare.target) else {
        return holds_by(compare, Ordering::Equal);
    };
    let ordering = match target {
        CompareTarget::Value => {
            let value = match union {
                Some(TargetUnion::Value(value)) => value.as_slice(),
                _ => &[],
            };
            kv.value.as_slice().cmp(value)
        }
        CompareTarget::Create => kv.create_revision.cmp(&match union {
            Some(TargetUnion::CreateRevision(rev)) => *rev,
            _ => 0,
        }),
        CompareTarget::Mod => kv.mod_revision.cmp(&match union {
            Some(TargetUnion::ModRevision(rev)) => *rev,
            _ => 0,
        }),
        CompareTarget::Version => kv.version.cmp(&match union {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        CompareTarget::Lease => kv.lease.cmp(&match union {
            Some(TargetUnion::Lease(lease)) => *lease,
            _ => 0,
        }),
    };
    holds_by(compare, ordering)
}

/// As in etcd, a result that there is not always holds, and a target that there is not is equal.
fn holds_by(compare: &pb::Compare, ordering: Ordering) -> bool {
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering == Ordering::Equal,
        Ok(CompareResult::NotEqual) => ordering != Ordering::Equal,
        Ok(CompareResult::Greater) => ordering == Ordering::Greater,
        Ok(CompareResult::Less) => ordering == Ordering::Less,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(target: CompareTarget, result: CompareResult, union: TargetUnion) -> pb::Compare {
        pb::Compare {
            result: result.into(),
            target: target.into(),
            target_union: Some(union),
            ..Default::default()
        }
    }

    #[test]
    fn comparisons_are_made_by_target() {
        let kv = KeyValue {
            version: 3,
            create_revision: 4,
            mod_revision: 9,
            lease: 7,
            value: b"v".to_vec(),
            ..Default::default()
        };
        use CompareResult::{Equal, Greater, Less, NotEqual};
        let cases = [
            (CompareTarget::Version, Equal, TargetUnion::Version(3), true),
            (
                CompareTarget::Create,
                Less,
                TargetUnion::CreateRevision(4),
                false,
            ),
            (
                CompareTarget::Mod,
                Greater,
                TargetUnion::ModRevision(8),
                true,
            ),
            (CompareTarget::Lease, NotEqual, TargetUnion::Lease(7), false),
            (
                CompareTarget::Value,
                Less,
                TargetUnion::Value(b"w".to_vec()),
                true,
            ),
            // Not of the target's kind: as if it were 0.
            (CompareTarget::Mod, Greater, TargetUnion::Version(100), true),
        ];
        for (target, result, union, expected) in cases {
            let compare = compare(target, result, union);
            assert_eq!(holds_for(&compare, &kv), expected, "{compare:?}");
        }
    }

    #[test]
    fn reads_are_stripped_and_nothing_else() {
        let range = pb::RequestOp {
            request: Some(Request::RequestRange(pb::RangeRequest::default())),
        };
        let put = pb::RequestOp {
            request: Some(Request::RequestPut(pb::PutRequest::default())),
        };
        let mut txn = pb::TxnRequest {
            success: vec![range.clone(), put.clone()],
            failure: vec![range.clone()],
            ..Default::default()
        };
        assert!(!is_read_only(&txn));
        strip_reads(&mut txn);
        assert_eq!(txn.success, [put]);
        assert!(txn.failure.is_empty());
        // Nothing at all is read from local state, as in etcd.
        assert!(is_read_only(&pb::TxnRequest::default()));
        assert!(is_serializable(&pb::TxnRequest::default()));
        let serializable = pb::TxnRequest {
            failure: vec![range],
            ..Default::default()
        };
        assert!(is_read_only(&serializable) && !is_serializable(&serializable));
    }
}
