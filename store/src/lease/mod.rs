//! Leases, as in etcd's server/lease: granted and revoked through the log, renewed and expired by
//! the leader's clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prost::Message as _;
use tokio::sync::watch;

use crate::Error;
use crate::backend::{Backend, Batch, Bucket};
use crate::bugs::{Bug, Bugs};

/// The longest TTL, in seconds (server/lease/lessor.go, `MaxLeaseTTL`).
pub const MAX_TTL: i64 = 9_000_000_000;

/// An expired lease is named again after this time if it has not been revoked by then.
const RETRY_INTERVAL: Duration = Duration::from_secs(3);

/// What is left of a lease that does not expire here: etcd's longest duration, in seconds.
const FOREVER: i64 = i64::MAX / 1_000_000_000;

/// A lease as the database has it (leasepb.Lease).
#[derive(Clone, PartialEq, prost::Message)]
struct Saved {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    ttl: i64,
}

struct Lease {
    ttl: i64,
    keys: BTreeSet<Vec<u8>>,
    /// When it expires; never where this member does not lead.
    expiry: Option<Instant>,
    /// When it is to be named as expired, for the first time or again.
    due: Option<Instant>,
}

impl Lease {
    fn new(ttl: i64) -> Self {
        Self {
            ttl,
            keys: BTreeSet::new(),
            expiry: None,
            due: None,
        }
    }

    fn refresh(&mut self, extend: Duration) {
        let ttl = Duration::from_secs(self.ttl.unsigned_abs());
        self.expiry = Some(Instant::now() + extend + ttl);
        self.due = self.expiry;
    }

    fn expired(&self) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= Instant::now())
    }

    /// In seconds, rounded towards zero; negative once it is overdue.
    fn remaining(&self) -> i64 {
        let Some(expiry) = self.expiry else {
            return FOREVER;
        };
        let now = Instant::now();
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(FOREVER);
        if expiry >= now {
            seconds(expiry - now)
        } else {
            -seconds(now - expiry)
        }
    }
}

#[derive(Default)]
struct State {
    leases: BTreeMap<i64, Lease>,
    keys: HashMap<Vec<u8>, i64>,
    leads: bool,
}

/// The leases of a member.
pub struct Lessor {
    state: Mutex<State>,
    /// Told when a lease is gone or this member leads no more.
    changed: watch::Sender<()>,
    min_ttl: i64,
    bugs: Bugs,
}

/// A lease as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseStanding {
    /// As granted, in seconds; raised to the least allowed.
    pub granted_ttl: i64,
    /// What is left, in seconds, rounded towards zero as etcd does; negative when overdue.
    pub remaining_ttl: i64,
    /// Its keys, sorted.
    pub keys: Vec<Vec<u8>>,
}

impl Lessor {
    /// Reads leases from the backend. Keys are attached by [`crate::mvcc::Store::open`]. Shorter
    /// TTLs than `min_ttl`, in seconds, are raised to it.
    #[must_use]
    pub fn open(backend: &Backend, min_ttl: i64, bugs: Bugs) -> Self {
        let lessor = Self {
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            min_ttl,
            bugs,
        };
        lessor.restore(backend);
        lessor
    }

    /// Reads everything anew from a replaced backend; forgets attached keys.
    ///
    /// # Panics
    /// When the database holds what is no lease.
    pub fn restore(&self, backend: &Backend) {
        let leases = backend
            .range(Bucket::Lease, &[], None, 0)
            .into_iter()
            .map(|(_, value)| {
                let saved = Saved::decode(&value[..]).expect("a lease in the database");
                (saved.id, Lease::new(saved.ttl.max(self.min_ttl)))
            })
            .collect();
        let mut state = self.lock();
        state.leases = leases;
        state.keys.clear();
        self.changed.send_replace(());
    }

    /// Grants a lease. Gives the TTL that it really has, in seconds.
    ///
    /// # Errors
    /// [`Error::LeaseExist`], [`Error::LeaseTtlTooLarge`], [`Error::LeaseNotFound`] for id 0.
    pub fn grant(&self, batch: &mut Batch<'_>, id: i64, ttl: i64) -> Result<i64, Error> {
        if id == 0 {
            return Err(Error::LeaseNotFound);
        }
        if ttl > MAX_TTL {
            return Err(Error::LeaseTtlTooLarge);
        }
        let mut state = self.lock();
        if state.leases.contains_key(&id) {
            return Err(Error::LeaseExist);
        }
        let ttl = ttl.max(self.min_ttl);
        let mut lease = Lease::new(ttl);
        if state.leads {
            lease.refresh(Duration::ZERO);
        }
        state.leases.insert(id, lease);
        let saved = Saved { id, ttl };
        batch.put(Bucket::Lease, &id.to_be_bytes(), &saved.encode_to_vec());
        Ok(ttl)
    }

    /// The keys that a revocation has to delete, sorted.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`].
    pub fn keys(&self, id: i64) -> Result<Vec<Vec<u8>>, Error> {
        let state = self.lock();
        let lease = state.leases.get(&id).ok_or(Error::LeaseNotFound)?;
        Ok(lease.keys.iter().cloned().collect())
    }

    /// Forgets a lease whose keys have been deleted. To be done in the transaction that deleted
    /// them.
    pub fn remove(&self, batch: &mut Batch<'_>, id: i64) {
        batch.delete(Bucket::Lease, &id.to_be_bytes());
        let mut state = self.lock();
        if let Some(lease) = state.leases.remove(&id) {
            for key in &lease.keys {
                state.keys.remove(key);
            }
        }
        self.changed.send_replace(());
    }

    /// Whether there is such a lease.
    #[must_use]
    pub fn exists(&self, id: i64) -> bool {
        self.lock().leases.contains_key(&id)
    }

    /// The key belongs to the lease from now on. Nothing happens if there is no such lease.
    pub fn attach(&self, id: i64, key: &[u8]) {
        let mut state = self.lock();
        if let Some(lease) = state.leases.get_mut(&id) {
            lease.keys.insert(key.to_vec());
            if let Some(before) = state.keys.insert(key.to_vec(), id)
                && before != id
                && let Some(lease) = state.leases.get_mut(&before)
            {
                lease.keys.remove(key);
            }
        }
    }

    /// The key belongs to this lease no more.
    pub fn detach(&self, id: i64, key: &[u8]) {
        let mut state = self.lock();
        if let Some(lease) = state.leases.get_mut(&id)
            && lease.keys.remove(key)
        {
            state.keys.remove(key);
        }
    }

    /// The lease of a key; 0: none.
    #[must_use]
    pub fn lease_of(&self, key: &[u8]) -> i64 {
        self.lock().keys.get(key).copied().unwrap_or(0)
    }

    /// This member leads: its clock decides. Every lease gets its whole TTL again, and `extend`
    /// (an election timeout) on top.
    pub fn promote(&self, extend: Duration) {
        let mut state = self.lock();
        state.leads = true;
        for lease in state.leases.values_mut() {
            lease.refresh(extend);
        }
    }

    /// This member does not lead: nothing expires here.
    pub fn demote(&self) {
        let mut state = self.lock();
        state.leads = false;
        for lease in state.leases.values_mut() {
            (lease.expiry, lease.due) = (None, None);
        }
        self.changed.send_replace(());
    }

    /// Renews, on the leader. Gives the TTL in seconds. A lease that has expired cannot be renewed:
    /// this waits until it is revoked, or until this member leads no more.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`], [`Error::NotLeader`].
    pub async fn renew(&self, id: i64) -> Result<i64, Error> {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(ttl) = self.try_renew(id)? {
                return Ok(ttl);
            }
            changes.changed().await.map_err(|_| Error::Stopped)?;
        }
    }

    fn try_renew(&self, id: i64) -> Result<Option<i64>, Error> {
        let mut state = self.lock();
        if !state.leads {
            return Err(Error::NotLeader);
        }
        let lease = state.leases.get_mut(&id).ok_or(Error::LeaseNotFound)?;
        if lease.expired() {
            return Ok(None);
        }
        let due = lease.due;
        lease.refresh(Duration::ZERO);
        // Planted early-expiry: only the deadline that clients are told moves; the right code
        // moves with it the time at which the lease is named as expired.
        if self.bugs.has(Bug::EarlyExpiry) {
            lease.due = due;
        }
        Ok(Some(lease.ttl))
    }

    /// At most `max` leases whose time is over, on the leader, each again only after a while, since
    /// the revocation may be lost on its way. To be asked every 500 ms.
    #[must_use]
    pub fn expired(&self, max: usize) -> Vec<i64> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut due: Vec<_> = state
            .leases
            .iter_mut()
            .filter(|(_, lease)| lease.due.is_some_and(|due| due <= now))
            .collect();
        due.sort_by_key(|(_, lease)| lease.due);
        due.truncate(max);
        due.into_iter()
            .map(|(id, lease)| {
                lease.due = Some(now + RETRY_INTERVAL);
                *id
            })
            .collect()
    }

    /// How it stands, on the leader.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`]; [`Error::LeaderChanged`] where this member does not lead.
    pub fn standing(&self, id: i64) -> Result<LeaseStanding, Error> {
        let state = self.lock();
        let lease = state.leases.get(&id).ok_or(Error::LeaseNotFound)?;
        if lease.expiry.is_none() {
            return Err(Error::LeaderChanged);
        }
        Ok(LeaseStanding {
            granted_ttl: lease.ttl,
            remaining_ttl: lease.remaining(),
            keys: lease.keys.iter().cloned().collect(),
        })
    }

    /// All ids, in the order in which etcd lists them: by expiry, and by id where none expires.
    #[must_use]
    pub fn ids(&self) -> Vec<i64> {
        let state = self.lock();
        let mut leases: Vec<_> = state.leases.iter().collect();
        leases.sort_by_key(|(id, lease)| (lease.expiry, **id));
        leases.into_iter().map(|(id, _)| *id).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
