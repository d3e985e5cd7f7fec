//! When leases may have expired.

use hashbrown::HashMap;

use super::operation::{Operation, Operations, Role};
use super::revisions::Op;
use crate::history::{Request, Response};

pub(super) const NANOS: u64 = 1_000_000_000;

/// Grants and renewals, by lease.
pub(super) struct Leases {
    /// Acknowledged renewals: return, and the latest call of all up to that return; by return.
    renewals: HashMap<i64, Vec<(u64, u64)>>,
    /// Grants whose result is unknown, by lease, in the order of calls.
    pub maybe_grants: HashMap<i64, Vec<Op>>,
    /// Revocations whose result is unknown, likewise.
    pub maybe_revokes: HashMap<i64, Vec<Op>>,
    /// The earliest time at which each grant's lease can have expired, ascending.
    expiries: Vec<(u64, i64)>,
}

impl Leases {
    pub(super) fn of(operations: &Operations) -> Self {
        let mut this = Self {
            renewals: HashMap::new(),
            maybe_grants: HashMap::new(),
            maybe_revokes: HashMap::new(),
            expiries: Vec::new(),
        };
        for (index, op) in operations.all.iter().enumerate() {
            if let (Role::Read(_) | Role::Maybe, Request::LeaseGrant { .. }) = (op.role, op.request)
                && let Some(lease) = lease_of(op)
            {
                this.expiries
                    .push((op.call.saturating_add(time_to_live(op)), lease));
            }
            match (op.role, op.request) {
                (Role::Renewal(lease), _) => {
                    this.renewals
                        .entry(lease)
                        .or_default()
                        .push((op.ret, op.call));
                }
                (Role::Maybe, Request::LeaseGrant { id, .. }) => {
                    this.maybe_grants.entry(*id).or_default().push(index);
                }
                (Role::Maybe, Request::LeaseRevoke { id }) => {
                    this.maybe_revokes.entry(*id).or_default().push(index);
                }
                _ => {}
            }
        }
        for renewals in this.renewals.values_mut() {
            renewals.sort_unstable();
            let mut latest = 0;
            for (_, call) in renewals {
                latest = latest.max(*call);
                *call = latest;
            }
        }
        this.expiries.sort_unstable();
        for ops in this
            .maybe_grants
            .values_mut()
            .chain(this.maybe_revokes.values_mut())
        {
            ops.sort_by_key(|op| operations.all[*op].call);
        }
        this
    }

    /// Leases that can have expired by a time.
    pub(super) fn ending_by(&self, time: u64) -> impl Iterator<Item = i64> {
        let some = self.expiries.partition_point(|(expiry, _)| *expiry <= time);
        self.expiries[..some].iter().map(|(_, lease)| *lease)
    }

    /// The earliest time, not before `after`, at which a lease can have expired: the granted time
    /// to live after its grant, and after each renewal acknowledged by that time, counted from
    /// their invocations.
    pub(super) fn earliest_expiry(&self, lease: i64, grant: &Operation, after: u64) -> u64 {
        let ttl = time_to_live(grant);
        let renewals = self.renewals.get(&lease).map_or(&[][..], Vec::as_slice);
        expiry(after.max(grant.call.saturating_add(ttl)), ttl, |time| {
            let counted = renewals.partition_point(|(ret, _)| *ret < time);
            counted.checked_sub(1).map_or(0, |last| renewals[last].1)
        })
    }
}

/// The earliest time from `start` on that is a time to live away from every renewal acknowledged by
/// then; `renewed_by` says when the latest of those was invoked.
pub(super) fn expiry(start: u64, ttl: u64, renewed_by: impl Fn(u64) -> u64) -> u64 {
    let mut time = start;
    loop {
        let later = time.max(renewed_by(time).saturating_add(ttl));
        if later == time {
            return time;
        }
        time = later;
    }
}

/// The time to live granted, or at least granted, in nanoseconds.
pub(super) fn time_to_live(grant: &Operation) -> u64 {
    let seconds = match (grant.response(), grant.request) {
        (Some(Response::LeaseGrant { ttl, .. }), _) => *ttl,
        // Too short a time is raised by the store, never shortened.
        (_, Request::LeaseGrant { ttl, .. }) => *ttl,
        _ => 0,
    };
    u64::try_from(seconds).unwrap_or(0).saturating_mul(NANOS)
}

/// The id that a grant or revocation is about.
pub(super) fn lease_of(op: &Operation) -> Option<i64> {
    match (op.request, op.response()) {
        (_, Some(Response::LeaseGrant { id, .. })) => Some(*id),
        (Request::LeaseGrant { id, .. } | Request::LeaseRevoke { id }, _) => Some(*id),
        _ => None,
    }
}
