//! Keys: put, range, delete, transactions, compaction.

use api::pb::etcdserverpb::{self as pb, compare::TargetUnion, request_op::Request as Op};

use super::Dice;
use crate::step::Step;
use crate::translate::at;

const KEYS: &[&str] = &["a", "a", "b", "b", "c", "ab", "ac", "b\0", "d"];
/// Leases that the lease steps grant; 99 is never there.
pub(super) const LEASES: &[i64] = &[11, 12, 13];

pub(super) fn key(dice: &mut Dice) -> Vec<u8> {
    match dice.between(0, 99) {
        0 => Vec::new(),
        1 => vec![0],
        2 => b"c\xff".to_vec(),
        _ => dice.pick(KEYS).into(),
    }
}

/// A key with an end: one key, an interval, a prefix, from a key on, everything, nothing.
pub(super) fn span(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    let key = key(dice);
    let end = match dice.between(0, 9) {
        0..=3 => Vec::new(),
        4 => vec![0],
        5 => {
            let mut end = key.clone();
            if let Some(last) = end.last_mut() {
                *last = last.saturating_add(1);
            }
            end
        }
        6 => key.clone(),
        7 => return (vec![0], vec![0]),
        _ => dice.pick(KEYS).into(),
    };
    (key, end)
}

fn value(dice: &mut Dice) -> Vec<u8> {
    match dice.between(0, 30) {
        0 => Vec::new(),
        1 => vec![b'x'; 5000],
        2 => vec![0, 255, b'v'],
        n => format!("v{}", n % 7).into(),
    }
}

fn lease(dice: &mut Dice) -> i64 {
    match dice.between(0, 19) {
        0 => 99,
        1 => -1,
        2..=4 => dice.pick(LEASES),
        _ => 0,
    }
}

pub(super) fn put(dice: &mut Dice) -> pb::PutRequest {
    let ignore_value = dice.one_in(12);
    let ignore_lease = dice.one_in(12);
    pb::PutRequest {
        key: key(dice),
        value: if ignore_value && !dice.one_in(4) {
            Vec::new()
        } else {
            value(dice)
        },
        lease: if ignore_lease && !dice.one_in(4) {
            0
        } else {
            lease(dice)
        },
        prev_kv: dice.one_in(3),
        ignore_value,
        ignore_lease,
    }
}

/// Mostly of this sequence; sometimes none, negative, or far off.
pub(super) fn revision(dice: &mut Dice) -> i64 {
    match dice.between(0, 29) {
        0 => -1,
        1 => 1,
        2 => i64::MAX,
        3 => at(1000),
        4 => at(-2),
        _ => at(dice.between(0, 12)),
    }
}

pub(super) fn range(dice: &mut Dice) -> pb::RangeRequest {
    let (key, range_end) = span(dice);
    let sort_order = dice.weighted(&[(8, 0), (4, 1), (4, 2), (1, 3), (1, -1)]);
    // To sort by a target that is not there makes etcd panic.
    let sort_target = match sort_order {
        0..=2 => dice.weighted(&[(8, 0), (2, 1), (2, 2), (2, 3), (2, 4)]),
        _ => dice.pick(&[0, 1, 4, 5, -1]),
    };
    let bound = |dice: &mut Dice| if dice.one_in(8) { revision(dice) } else { 0 };
    pb::RangeRequest {
        key,
        range_end,
        limit: dice.weighted(&[(12, 0), (3, 1), (3, 2), (1, 3), (1, -1), (1, i64::MAX)]),
        revision: if dice.one_in(4) { revision(dice) } else { 0 },
        sort_order,
        sort_target,
        serializable: dice.one_in(4),
        keys_only: dice.one_in(6),
        count_only: dice.one_in(8),
        min_mod_revision: bound(dice),
        max_mod_revision: bound(dice),
        min_create_revision: bound(dice),
        max_create_revision: bound(dice),
    }
}

pub(super) fn delete(dice: &mut Dice) -> pb::DeleteRangeRequest {
    let (key, range_end) = span(dice);
    pb::DeleteRangeRequest {
        key,
        range_end,
        prev_kv: dice.one_in(2),
    }
}

fn compare(dice: &mut Dice) -> pb::Compare {
    let (key, range_end) = if dice.one_in(3) {
        span(dice)
    } else {
        (key(dice), Vec::new())
    };
    let target = dice.between(0, 4);
    // Now and then a value that is not of the target's kind, or none.
    let given = if dice.one_in(20) {
        dice.between(0, 5)
    } else {
        target
    };
    let target_union = match given {
        0 => Some(TargetUnion::Version(dice.between(-1, 3))),
        1 => Some(TargetUnion::CreateRevision(dice.pick(&[
            0,
            at(1),
            at(2),
            at(3),
            -1,
        ]))),
        2 => Some(TargetUnion::ModRevision(dice.pick(&[
            0,
            at(1),
            at(2),
            at(4),
            at(6),
        ]))),
        3 => Some(TargetUnion::Value(value(dice))),
        4 => Some(TargetUnion::Lease(lease(dice))),
        _ => None,
    };
    pb::Compare {
        result: dice.weighted(&[(6, 0), (4, 1), (4, 2), (4, 3), (1, 4), (1, -1)]),
        target: if dice.one_in(40) {
            9
        } else {
            i32::try_from(target).unwrap_or(0)
        },
        key,
        range_end,
        target_union,
    }
}

fn op(dice: &mut Dice, depth: u32) -> pb::RequestOp {
    let request = match dice.between(0, 19) {
        0..=6 => Some(Op::RequestPut(put(dice))),
        7..=12 => Some(Op::RequestRange(range(dice))),
        13..=15 => Some(Op::RequestDeleteRange(delete(dice))),
        16..=18 if depth < 2 => Some(Op::RequestTxn(txn_at(dice, depth + 1))),
        16..=18 => Some(Op::RequestPut(put(dice))),
        _ if dice.one_in(6) => None,
        _ => Some(Op::RequestRange(range(dice))),
    };
    pb::RequestOp { request }
}

fn txn_at(dice: &mut Dice, depth: u32) -> pb::TxnRequest {
    let many = |dice: &mut Dice| dice.weighted(&[(3, 0), (5, 1), (4, 2), (2, 3), (1, 4)]);
    let compares = many(dice);
    let success = many(dice);
    let failure = many(dice);
    pb::TxnRequest {
        compare: (0..compares).map(|_| compare(dice)).collect(),
        success: (0..success).map(|_| op(dice, depth)).collect(),
        failure: (0..failure).map(|_| op(dice, depth)).collect(),
    }
}

pub(super) fn txn(dice: &mut Dice) -> pb::TxnRequest {
    if dice.one_in(40) {
        return many_ops(dice);
    }
    let mut txn = txn_at(dice, 0);
    if deletes_the_rest(&txn) {
        give_all(&mut txn);
    }
    txn
}

fn ops(txn: &pb::TxnRequest) -> impl Iterator<Item = &Op> {
    let both = txn.success.iter().chain(&txn.failure);
    both.filter_map(|op| op.request.as_ref())
}

/// From some key on, which etcd does not notice when a put of the same transaction overlaps.
fn deletes_the_rest(txn: &pb::TxnRequest) -> bool {
    ops(txn).any(|op| match op {
        Op::RequestDeleteRange(delete) => delete.range_end == [0],
        Op::RequestTxn(txn) => deletes_the_rest(txn),
        _ => false,
    })
}

/// A put that keeps what the transaction has deleted makes etcd panic.
fn give_all(txn: &mut pb::TxnRequest) {
    for op in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut op.request {
            Some(Op::RequestPut(put)) => (put.ignore_value, put.ignore_lease) = (false, false),
            Some(Op::RequestTxn(txn)) => give_all(txn),
            _ => {}
        }
    }
}

/// Around the limit of 128, in one of the three lists. The puts are not done: where more than a
/// dozen keys are equal in what they are sorted by, etcd's order is that of Go's unstable sort.
fn many_ops(dice: &mut Dice) -> pb::TxnRequest {
    let count = dice.pick(&[127, 128, 129]);
    let mut txn = pb::TxnRequest::default();
    match dice.between(0, 2) {
        0 => {
            let read = range(dice);
            let read = || pb::RequestOp {
                request: Some(Op::RequestRange(read.clone())),
            };
            txn.success = (0..count).map(|_| read()).collect();
        }
        1 => {
            let put = |n| pb::RequestOp {
                request: Some(Op::RequestPut(pb::PutRequest {
                    key: format!("m{n}").into(),
                    ..pb::PutRequest::default()
                })),
            };
            txn.failure = (0..count).map(put).collect();
        }
        _ => {
            let compare = |n| pb::Compare {
                key: format!("m{n}").into(),
                ..pb::Compare::default()
            };
            txn.compare = (0..count).map(compare).collect();
        }
    }
    txn
}

pub(super) fn compaction(dice: &mut Dice) -> pb::CompactionRequest {
    pb::CompactionRequest {
        revision: match dice.between(0, 9) {
            0 => revision(dice),
            1 => 0,
            _ => at(dice.between(0, 8)),
        },
        physical: dice.one_in(2),
    }
}

/// Any step on keys.
pub(super) fn step(dice: &mut Dice) -> Step {
    match dice.between(0, 99) {
        0..=34 => Step::call("KV/Put", &put(dice)),
        35..=61 => Step::call("KV/Range", &range(dice)),
        62..=71 => Step::call("KV/DeleteRange", &delete(dice)),
        72..=95 => Step::call("KV/Txn", &txn(dice)),
        _ => Step::call("KV/Compact", &compaction(dice)),
    }
}
