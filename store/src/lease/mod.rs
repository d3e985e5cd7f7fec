//! Leases, as in etcd's server/lease: granted and revoked through the log, renewed and expired by
//! the leader's clock.
//!
//! STUB: signatures to build on.

use std::time::Duration;

use crate::Error;
use crate::backend::{Backend, Batch};
use crate::bugs::Bugs;

/// The leases of a member.
pub struct Lessor;

/// A lease as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseStanding {
    /// As granted, in seconds; raised to the least allowed.
    pub granted_ttl: i64,
    /// What is left, in seconds, rounded as etcd does.
    pub remaining_ttl: i64,
    /// Its keys, sorted.
    pub keys: Vec<Vec<u8>>,
}

impl Lessor {
    /// Reads leases from the backend. Keys are attached by [`crate::mvcc::Store::open`].
    #[must_use]
    pub fn open(_backend: &Backend, _min_ttl: i64, _bugs: Bugs) -> Self {
        todo!()
    }
    /// Reads everything anew from a replaced backend; forgets attached keys.
    pub fn restore(&self, _backend: &Backend) {
        todo!()
    }
    /// Grants a lease. Gives the TTL that it really has, in seconds.
    ///
    /// # Errors
    /// [`Error::LeaseExist`], [`Error::LeaseTtlTooLarge`], [`Error::LeaseNotFound`] for id 0.
    pub fn grant(&self, _batch: &mut Batch<'_>, _id: i64, _ttl: i64) -> Result<i64, Error> {
        todo!()
    }
    /// The keys that a revocation has to delete, sorted.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`].
    pub fn keys(&self, _id: i64) -> Result<Vec<Vec<u8>>, Error> {
        todo!()
    }
    /// Forgets a lease whose keys have been deleted.
    pub fn remove(&self, _batch: &mut Batch<'_>, _id: i64) {
        todo!()
    }
    /// Whether there is such a lease.
    #[must_use]
    pub fn exists(&self, _id: i64) -> bool {
        todo!()
    }
    /// The key belongs to the lease from now on. Nothing happens if there is no such lease.
    pub fn attach(&self, _id: i64, _key: &[u8]) {
        todo!()
    }
    /// The key belongs to this lease no more.
    pub fn detach(&self, _id: i64, _key: &[u8]) {
        todo!()
    }
    /// The lease of a key; 0: none.
    #[must_use]
    pub fn lease_of(&self, _key: &[u8]) -> i64 {
        todo!()
    }
    /// This member leads: its clock decides. Every lease gets its whole TTL again, and `extend`
    /// (an election timeout) on top.
    pub fn promote(&self, _extend: Duration) {
        todo!()
    }
    /// This member does not lead: nothing expires here.
    pub fn demote(&self) {
        todo!()
    }
    /// Renews, on the leader. Gives the TTL in seconds.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`], [`Error::NotLeader`].
    pub fn renew(&self, _id: i64) -> Result<i64, Error> {
        todo!()
    }
    /// At most `max` leases whose time is over, on the leader, each again only after a while, since
    /// the revocation may be lost on its way.
    #[must_use]
    pub fn expired(&self, _max: usize) -> Vec<i64> {
        todo!()
    }
    /// How it stands.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`].
    pub fn standing(&self, _id: i64) -> Result<LeaseStanding, Error> {
        todo!()
    }
    /// All ids, in the order in which etcd lists them (by expiry).
    #[must_use]
    pub fn ids(&self) -> Vec<i64> {
        todo!()
    }
}
