//! Lease operations between revisions: grants, revocations of leases without keys, and what must
//! have happened unseen for others to succeed.

use super::super::leases::lease_of;
use super::super::revisions::{Op, slot};
use super::{Mismatch, Search, Step, Why};
use crate::history::Request;
use crate::model::Refusal;

impl<'a> Search<'a, '_> {
    /// Grants at a revision, and revocations that took no revision: those of one lease in any
    /// order that works, by call where several do.
    pub(super) fn lease_operations(&mut self, revision: i64) -> Result<(), Mismatch<'a>> {
        let at = slot(revision, self.revisions.last);
        let made_it = self.writes[at];
        let revokes = self
            .revisions
            .revokes_at(revision)
            .iter()
            .map(|(_, op)| *op);
        let revokes = revokes.filter(|op| made_it != Some(Step::Op(*op)));
        let grants = self.grants.get(&revision).into_iter().flatten().copied();
        let mut waiting: Vec<Op> = revokes.chain(grants).collect();
        waiting.sort_by_key(|op| (self.operations.all[*op].call, *op));
        let mut leases: Vec<_> = waiting
            .iter()
            .map(|op| lease_of(&self.operations.all[*op]))
            .collect();
        leases.sort_unstable();
        let several = leases.windows(2).any(|pair| pair[0] == pair[1]);
        while !waiting.is_empty() {
            let all = &self.operations.all;
            let first_return = waiting
                .iter()
                .map(|op| all[*op].ret)
                .min()
                .expect("not empty");
            let in_time = waiting.partition_point(|op| all[*op].call <= first_return);
            let attempts = [false, true].into_iter().flat_map(|hidden| {
                waiting[..in_time]
                    .iter()
                    .enumerate()
                    .map(move |(i, op)| (i, *op, hidden))
            });
            let mut ready = None;
            for (i, op, hidden) in attempts {
                if self.between_write(revision, op, hidden).is_ok() {
                    ready = Some(i);
                    break;
                }
            }
            let Some(next) = ready else {
                // Another order of grants and revocations of one lease might have worked.
                if several {
                    self.lossy = Some("a lease was granted and revoked at one revision");
                }
                return self.between_write(revision, waiting[0], true);
            };
            waiting.remove(next);
            self.steps += 1;
        }
        Ok(())
    }

    /// A grant or an empty revocation; with `hidden`, unknown operations may come to its help.
    fn between_write(
        &mut self,
        revision: i64,
        index: Op,
        hidden: bool,
    ) -> Result<(), Mismatch<'a>> {
        let op = &self.operations.all[index];
        let lease = lease_of(op).expect("a grant or a revocation");
        let fail = |why| {
            Err(Mismatch {
                revision,
                op: Some(index),
                why,
            })
        };
        let deadline = op.ret.min(self.revisions.before_next_write(revision));
        if matches!(op.request, Request::LeaseGrant { .. }) {
            let attached = self.store.lease_keys(lease).map(|keys| !keys.is_empty());
            if hidden && attached == Some(false) {
                self.end_quietly(revision, lease, deadline);
            }
            if let Err(refusal) = self.store.grant(lease) {
                return fail(Why::Refused(refusal));
            }
            self.note_grant(lease, index);
        } else {
            if hidden {
                self.ensure_lease(revision, lease, deadline);
            }
            match self.store.lease_keys(lease) {
                None => return fail(Why::Refused(Refusal::LeaseNotFound)),
                Some(keys) if !keys.is_empty() => return fail(Why::Effect),
                Some(_) => self.store.revoke(lease).expect("it is there"),
            };
        }
        self.between.push((revision, Step::Op(index)));
        Ok(())
    }

    /// Takes unknown grants for the leases that a write needs.
    pub(super) fn ensure_leases(&mut self, revision: i64, op: Op, deadline: u64) {
        if self.leases.maybe_grants.is_empty() {
            return;
        }
        let mut needed = Vec::new();
        self.operations.all[op]
            .each_put(|put| needed.extend((put.lease != 0).then_some(put.lease)));
        if let Request::LeaseRevoke { id } = self.operations.all[op].request {
            needed.push(*id);
        }
        for lease in needed {
            self.ensure_lease(revision, lease, deadline);
        }
    }

    fn ensure_lease(&mut self, revision: i64, lease: i64, deadline: u64) {
        if self.store.lease_keys(lease).is_some() {
            return;
        }
        let maybe = self
            .leases
            .maybe_grants
            .get(&lease)
            .map_or(&[][..], Vec::as_slice);
        let usable =
            |op: &&Op| !self.used.contains_key(*op) && self.operations.all[**op].call <= deadline;
        let mut usable = maybe.iter().filter(usable).copied();
        let Some(grant) = usable.next() else { return };
        if usable.next().is_some() {
            self.lossy = Some("several grants of one lease have unknown results");
        }
        self.mark_used(grant, None);
        self.store.grant(lease).expect("it is not there");
        self.note_grant(lease, grant);
        self.between.push((revision, Step::Op(grant)));
    }

    /// Ends a lease without keys by an unknown revocation or by expiry, so that it can be granted
    /// again.
    fn end_quietly(&mut self, revision: i64, lease: i64, deadline: u64) {
        let at = slot(revision, self.revisions.last);
        let Some(grant) = self.granted_by.get(&lease).copied() else {
            return;
        };
        self.lossy = Some("a lease is granted again, and how it ended is not known");
        let expiry = self.leases.earliest_expiry(
            lease,
            &self.operations.all[grant],
            self.revisions.started[at],
        );
        let maybe = self
            .leases
            .maybe_revokes
            .get(&lease)
            .map_or(&[][..], Vec::as_slice);
        let usable =
            |op: &&Op| !self.used.contains_key(*op) && self.operations.all[**op].call <= deadline;
        let step = match maybe.iter().find(usable) {
            Some(op) => Step::Op(*op),
            None if expiry <= deadline => Step::Expiry { lease, grant },
            None => return,
        };
        if let Step::Op(op) = step {
            self.mark_used(op, None);
        }
        self.store.revoke(lease).expect("it is there");
        self.between.push((revision, step));
    }
}
