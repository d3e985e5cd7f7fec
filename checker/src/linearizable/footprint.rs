//! Which keys and leases a request reads and writes, as masks: two requests whose masks share no
//! bit have nothing in common. Many keys, or many leases, share bits.

use std::collections::{BTreeMap, HashMap};

use super::leases::lease_of;
use super::operation::{Operations, each_op};
use super::revisions::Op;
use crate::history::{Bytes, Compare, DeleteRequest, PutRequest, RangeRequest, Request, TxnOp};
use crate::model::bounds;

/// Bits of a mask that stand for keys.
pub(super) const KEY_BITS: usize = 96;
/// Bits of a mask that stand for leases.
const LEASE_BITS: usize = 32;

/// The bit of each key that any request puts to (other keys never exist) and of each lease.
pub(super) struct Footprints<'a> {
    keys: BTreeMap<&'a Bytes, u128>,
    /// The lease's bit, and those of the keys that are put with it.
    leases: HashMap<i64, u128>,
    /// The only key of a bit, where it has only one.
    alone: [Option<&'a Bytes>; KEY_BITS],
}

impl<'a> Footprints<'a> {
    pub(super) fn of(operations: &Operations<'a>) -> Self {
        let mut keys: BTreeMap<&Bytes, u128> = BTreeMap::new();
        let mut alone = [None; KEY_BITS];
        for op in &operations.all {
            op.each_put(|put| {
                let number = keys.len();
                keys.entry(&put.key).or_insert_with(|| {
                    let bit = number % KEY_BITS;
                    alone[bit] = (number < KEY_BITS).then_some(&put.key);
                    1 << bit
                });
            });
        }
        let mut leases: HashMap<i64, u128> = HashMap::new();
        for op in &operations.all {
            if let Some(lease) = lease_of(op) {
                let bit = KEY_BITS + leases.len() % LEASE_BITS;
                leases.entry(lease).or_insert(1 << bit);
            }
            op.each_put(|put| {
                if put.lease != 0 {
                    let bit = KEY_BITS + leases.len() % LEASE_BITS;
                    *leases.entry(put.lease).or_insert(1 << bit) |= keys[&put.key];
                }
            });
        }
        Self {
            keys,
            leases,
            alone,
        }
    }

    /// The key that a bit stands for, where it stands for nothing else.
    pub(super) fn key_of(&self, bit: usize) -> Option<&'a Bytes> {
        self.alone.get(bit).copied().flatten()
    }

    pub(super) fn key(&self, key: &Bytes) -> u128 {
        self.keys.get(key).copied().unwrap_or(0)
    }

    /// A lease and the keys that may be attached to it.
    pub(super) fn lease(&self, lease: i64) -> u128 {
        self.leases.get(&lease).copied().unwrap_or(0)
    }

    fn span(&self, key: &Bytes, end: &Bytes) -> u128 {
        if end.is_empty() {
            return self.key(key);
        }
        let Some(bounds) = bounds(key, end) else {
            return 0;
        };
        self.keys
            .range::<Bytes, _>(bounds)
            .fold(0, |mask, (_, bit)| mask | bit)
    }

    /// Keys that a request writes in some branch, and leases that it ends.
    pub(super) fn writes(&self, operations: &Operations, op: Op) -> u128 {
        match operations.all[op].request {
            Request::Put(put) => self.key(&put.key),
            Request::Delete(delete) => self.span(&delete.key, &delete.range_end),
            Request::LeaseRevoke { id } => self.lease(*id),
            Request::Txn(txn) => {
                let mut mask = 0;
                each_op(txn, &mut |op| match op {
                    TxnOp::Put(PutRequest { key, .. }) => mask |= self.key(key),
                    TxnOp::Delete(DeleteRequest { key, range_end, .. }) => {
                        mask |= self.span(key, range_end);
                    }
                    TxnOp::Range(_) | TxnOp::Txn(_) => {}
                });
                mask
            }
            _ => 0,
        }
    }

    /// What decides which branch a transaction takes; nothing for other requests: what they do to
    /// a key depends on that key alone.
    pub(super) fn decides(&self, operations: &Operations, op: Op) -> u128 {
        let Request::Txn(txn) = operations.all[op].request else {
            return 0;
        };
        let mut mask = self.guards(&txn.compare);
        each_op(txn, &mut |op| {
            if let TxnOp::Txn(inner) = op {
                mask |= self.guards(&inner.compare);
            }
        });
        mask
    }

    /// Keys and leases that a request's success and answer depend on, those written included.
    pub(super) fn touches(&self, operations: &Operations, op: Op) -> u128 {
        let operation = &operations.all[op];
        let put = |put: &PutRequest| self.key(&put.key) | self.lease(put.lease);
        match operation.request {
            Request::Range(RangeRequest { key, range_end, .. })
            | Request::Delete(DeleteRequest { key, range_end, .. }) => self.span(key, range_end),
            Request::Put(request) => put(request),
            Request::Txn(txn) => {
                let mut mask = self.decides(operations, op);
                each_op(txn, &mut |op| {
                    mask |= match op {
                        TxnOp::Put(request) => put(request),
                        TxnOp::Range(RangeRequest { key, range_end, .. })
                        | TxnOp::Delete(DeleteRequest { key, range_end, .. }) => {
                            self.span(key, range_end)
                        }
                        TxnOp::Txn(_) => 0,
                    };
                });
                mask
            }
            _ => lease_of(operation).map_or(0, |lease| self.lease(lease)),
        }
    }

    fn guards(&self, guards: &[Compare]) -> u128 {
        guards.iter().fold(0, |mask, guard| {
            mask | self.span(&guard.key, &guard.range_end)
        })
    }
}
