//! What was written and deleted, key by key, with the times between which each took effect.

use std::collections::{BTreeMap, HashMap};

use crate::checks::class::Class;
use crate::checks::content::in_range;
use crate::checks::run::Op;
use crate::checks::values::each_put;
use crate::history::{Bytes, DeleteRequest, PutRequest, Request, Response, TxnOp, TxnOpResponse};

/// A put, alone or in a transaction, that took effect or can have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write<'a> {
    /// The operation.
    pub(super) op: Op<'a>,
    /// The value; none where the put kept the one that was there.
    pub(super) value: Option<&'a Bytes>,
    /// Whether it was acknowledged: it certainly took effect.
    pub(super) acknowledged: bool,
    /// The latest time at which it can have taken effect.
    pub(super) latest: u64,
    lease: Lease,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    None,
    Attached(i64),
    Kept,
}

/// A delete, alone or in a transaction, that took effect or can have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removal<'a> {
    /// The operation.
    pub(super) op: Op<'a>,
    /// Whether it was acknowledged.
    pub(super) acknowledged: bool,
    /// The latest time at which it can have taken effect.
    pub(super) latest: u64,
    start: &'a Bytes,
    end: &'a Bytes,
}

impl Removal<'_> {
    /// Whether it deletes a key.
    pub(super) fn covers(&self, key: &Bytes) -> bool {
        in_range(key, self.start, self.end)
    }
}

/// Everything that can have changed a key.
#[derive(Debug, Default)]
pub(super) struct Events<'a> {
    /// Puts by key.
    pub(super) writes: BTreeMap<&'a Bytes, Vec<Write<'a>>>,
    /// Deletes of single keys.
    single: HashMap<&'a Bytes, Vec<Removal<'a>>>,
    /// Deletes of ranges.
    ranges: Vec<Removal<'a>>,
    /// The latest time at which each lease can have been revoked.
    revoked: HashMap<i64, u64>,
    /// The earliest time at which each lease that was certainly or possibly granted can expire.
    expires: HashMap<i64, u64>,
    /// Requests with a certain answer, by the keys and values that they carried in any branch.
    carried: HashMap<(&'a Bytes, &'a Bytes), Op<'a>>,
}

impl<'a> Events<'a> {
    /// Collects them. Operations that certainly had no effect are left out; those that were refused
    /// are kept as possible, because a refusal is a claim that another check judges.
    pub(super) fn of(ops: &[Op<'a>]) -> Self {
        let mut events = Self::default();
        for op in ops {
            let in_doubt = matches!(op.class, Class::Refused | Class::Unknown);
            if !in_doubt {
                each_put(op.request, &mut |put| {
                    events.carried.insert((&put.key, &put.value), *op);
                });
            }
            if op.class != Class::Definite {
                events.add(op);
            }
        }
        events
    }

    /// A request that carried a value and whose answer is certain: where no put of it can have taken
    /// effect, the request failed, or was a transaction that took its other branch.
    pub(super) fn carrier(&self, key: &'a Bytes, value: &'a Bytes) -> Option<&Op<'a>> {
        self.carried.get(&(key, value))
    }

    fn add(&mut self, op: &Op<'a>) {
        let certain = op.class == Class::Ok;
        match op.request {
            Request::Put(put) => self.put(op, put, certain),
            Request::Delete(delete) => self.delete(op, delete, certain),
            Request::Txn(txn) => match op.outcome.and_then(|outcome| outcome.response()) {
                Some(Response::Txn(answer)) => {
                    let branch = if answer.succeeded {
                        &txn.success
                    } else {
                        &txn.failure
                    };
                    self.branch(op, branch, Some(&answer.responses));
                }
                _ => {
                    self.branch(op, &txn.success, None);
                    self.branch(op, &txn.failure, None);
                }
            },
            Request::LeaseRevoke { id } => {
                let latest = self.revoked.entry(*id).or_default();
                *latest = (*latest).max(op.latest());
            }
            Request::LeaseGrant { id, ttl } => {
                let (id, ttl) = match op.outcome.and_then(|outcome| outcome.response()) {
                    Some(Response::LeaseGrant { id, ttl, .. }) => (*id, *ttl),
                    _ => (*id, *ttl),
                };
                let ttl = u64::try_from(ttl)
                    .unwrap_or(0)
                    .saturating_mul(1_000_000_000);
                let earliest = op.at.saturating_add(ttl);
                let kept = self.expires.entry(id).or_insert(earliest);
                *kept = (*kept).min(earliest);
            }
            _ => {}
        }
    }

    /// Adds one branch of a transaction: with answers it was taken, without it may have been.
    fn branch(&mut self, op: &Op<'a>, branch: &'a [TxnOp], answers: Option<&'a [TxnOpResponse]>) {
        let certain = answers.is_some();
        for (index, step) in branch.iter().enumerate() {
            match step {
                TxnOp::Put(put) => self.put(op, put, certain),
                TxnOp::Delete(delete) => self.delete(op, delete, certain),
                TxnOp::Txn(inner) => match answers.and_then(|answers| answers.get(index)) {
                    Some(TxnOpResponse::Txn(answer)) => {
                        let taken = if answer.succeeded {
                            &inner.success
                        } else {
                            &inner.failure
                        };
                        self.branch(op, taken, Some(&answer.responses));
                    }
                    _ => {
                        self.branch(op, &inner.success, None);
                        self.branch(op, &inner.failure, None);
                    }
                },
                TxnOp::Range(_) => {}
            }
        }
    }

    fn put(&mut self, op: &Op<'a>, put: &'a PutRequest, acknowledged: bool) {
        let lease = match (put.ignore_lease, put.lease) {
            (true, _) => Lease::Kept,
            (false, 0) => Lease::None,
            (false, id) => Lease::Attached(id),
        };
        self.writes.entry(&put.key).or_default().push(Write {
            op: *op,
            value: (!put.ignore_value).then_some(&put.value),
            acknowledged,
            latest: op.latest(),
            lease,
        });
    }

    fn delete(&mut self, op: &Op<'a>, delete: &'a DeleteRequest, acknowledged: bool) {
        let removal = Removal {
            op: *op,
            acknowledged,
            latest: op.latest(),
            start: &delete.key,
            end: &delete.range_end,
        };
        if delete.range_end.is_empty() {
            self.single.entry(&delete.key).or_default().push(removal);
        } else {
            self.ranges.push(removal);
        }
    }

    /// Deletes that cover a key.
    pub(super) fn removals(&self, key: &Bytes) -> impl Iterator<Item = &Removal<'a>> {
        let single = self.single.get(key).into_iter().flatten();
        single.chain(self.ranges.iter().filter(|removal| removal.covers(key)))
    }

    /// The latest time at which a put of `value` to `key` can have taken effect; none if there is
    /// no such put.
    pub(super) fn latest_write(&self, key: &Bytes, value: &Bytes) -> Option<u64> {
        let writes = self.writes.get(key)?;
        writes
            .iter()
            .filter(|write| write.value == Some(value))
            .map(|write| write.latest)
            .max()
    }

    /// The latest time at which something other than the end of `own`'s lease can have removed the
    /// key, and the latest at which that can have. A lease removes a key only while it is the one
    /// attached to it, so a write that was over before cannot lend its lease to a later one.
    pub(super) fn latest_removal(&self, key: &Bytes, read_until: u64) -> Removable<'_, 'a> {
        let explicit = self.removals(key).map(|removal| removal.latest).max();
        let writes = self.writes.get(key).map_or([].as_slice(), Vec::as_slice);
        let leased = writes
            .iter()
            .filter_map(|write| Some(self.lease_end(write, writes, read_until)?.min(write.latest)))
            .max();
        Removable {
            events: self,
            writes,
            read_until,
            others: explicit.max(leased),
        }
    }

    /// The latest time at which the lease that a write attached can have ended; none if it cannot
    /// have.
    fn lease_end(&self, write: &Write<'a>, writes: &[Write<'a>], read_until: u64) -> Option<u64> {
        match write.lease {
            Lease::None => None,
            Lease::Attached(id) => self.end_of(id, read_until),
            Lease::Kept => writes
                .iter()
                .filter_map(|other| match other.lease {
                    Lease::Attached(id) => self.end_of(id, read_until),
                    _ => None,
                })
                .max(),
        }
    }

    fn end_of(&self, id: i64, read_until: u64) -> Option<u64> {
        let expired = match self.expires.get(&id) {
            Some(earliest) => (*earliest <= read_until).then_some(u64::MAX),
            None => Some(u64::MAX),
        };
        expired.max(self.revoked.get(&id).copied())
    }
}

/// When a key can last have been removed.
pub(super) struct Removable<'e, 'a> {
    events: &'e Events<'a>,
    writes: &'e [Write<'a>],
    read_until: u64,
    others: Option<u64>,
}

impl<'a> Removable<'_, 'a> {
    /// Whether something can have removed what a write left.
    pub(super) fn explains(&self, write: &Write<'a>) -> bool {
        let own = self.events.lease_end(write, self.writes, self.read_until);
        self.others
            .max(own)
            .is_some_and(|latest| latest >= write.op.at)
    }
}
