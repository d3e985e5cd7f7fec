//! Which keys a request reads and writes, as masks: two requests whose masks share no bit have no
//! key in common. Keys share bits where there are more than 128 of them.

use std::collections::BTreeMap;

use super::operation::{Operations, each_op};
use super::revisions::Op;
use crate::history::{Bytes, Compare, DeleteRequest, PutRequest, RangeRequest, Request, TxnOp};
use crate::model::bounds;

/// Every key, and every lease.
pub(super) const ANYTHING: u128 = u128::MAX;

/// The bit of each key that any request puts to; other keys never exist.
pub(super) struct Footprints<'a> {
    bits: BTreeMap<&'a Bytes, u128>,
    /// Keys that are put with a lease, or may keep one.
    leased: u128,
}

impl<'a> Footprints<'a> {
    pub(super) fn of(operations: &Operations<'a>) -> Self {
        let mut bits: BTreeMap<&Bytes, u128> = BTreeMap::new();
        for op in &operations.all {
            op.each_put(|put| {
                let next = 1 << (bits.len() % 128);
                bits.entry(&put.key).or_insert(next);
            });
        }
        let mut leased = 0;
        for op in &operations.all {
            op.each_put(|put| {
                if put.lease != 0 {
                    leased |= bits[&put.key];
                }
            });
        }
        Self { bits, leased }
    }

    /// Keys that may be attached to a lease.
    pub(super) fn leased(&self) -> u128 {
        self.leased
    }

    pub(super) fn key(&self, key: &Bytes) -> u128 {
        self.bits.get(key).copied().unwrap_or(0)
    }

    fn span(&self, key: &Bytes, end: &Bytes) -> u128 {
        if end.is_empty() {
            return self.key(key);
        }
        let Some(bounds) = bounds(key, end) else {
            return 0;
        };
        self.bits
            .range::<Bytes, _>(bounds)
            .fold(0, |mask, (_, bit)| mask | bit)
    }

    /// Keys that a request writes in some branch.
    pub(super) fn writes(&self, operations: &Operations, op: Op) -> u128 {
        match operations.all[op].request {
            Request::Put(put) => self.key(&put.key),
            Request::Delete(delete) => self.span(&delete.key, &delete.range_end),
            Request::LeaseRevoke { .. } => self.leased,
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

    /// Keys that a request's effect and answer depend on, those written included; [`ANYTHING`]
    /// where leases come in.
    pub(super) fn touches(&self, operations: &Operations, op: Op) -> u128 {
        match operations.all[op].request {
            Request::Range(RangeRequest { key, range_end, .. })
            | Request::Delete(DeleteRequest { key, range_end, .. }) => self.span(key, range_end),
            Request::Put(put) if put.lease == 0 => self.key(&put.key),
            Request::Txn(txn) => {
                let mut mask = self.guards(&txn.compare);
                each_op(txn, &mut |op| {
                    mask |= match op {
                        TxnOp::Put(put) if put.lease == 0 => self.key(&put.key),
                        TxnOp::Put(_) => ANYTHING,
                        TxnOp::Range(RangeRequest { key, range_end, .. })
                        | TxnOp::Delete(DeleteRequest { key, range_end, .. }) => {
                            self.span(key, range_end)
                        }
                        TxnOp::Txn(inner) => self.guards(&inner.compare),
                    };
                });
                mask
            }
            _ => ANYTHING,
        }
    }

    fn guards(&self, guards: &[Compare]) -> u128 {
        guards.iter().fold(0, |mask, guard| {
            mask | self.span(&guard.key, &guard.range_end)
        })
    }
}
