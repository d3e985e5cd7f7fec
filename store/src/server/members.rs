//! Who belongs to the cluster, as in etcd's server/etcdserver/api/membership.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;

use api::pb::etcdserverpb as pb;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::backend::{Backend, Batch, Bucket};
use crate::replication::{ConfChange, Peer};
use crate::request::Publish;

/// So many members may be learners.
const MOST_LEARNERS: usize = 1;

/// A member. Kept as etcd keeps it: JSON under its hexadecimal id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: u64,
    #[serde(rename = "peerURLs")]
    pub(crate) peer_urls: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(rename = "clientURLs", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) client_urls: Vec<String>,
    #[serde(rename = "isLearner", default)]
    pub(crate) learner: bool,
}

impl Member {
    fn peer(&self) -> Peer {
        Peer {
            id: self.id,
            urls: self.peer_urls.clone(),
            learner: self.learner,
        }
    }

    /// Whether it has ever said who it is.
    fn is_started(&self) -> bool {
        !self.name.is_empty()
    }
}

impl From<Member> for pb::Member {
    fn from(member: Member) -> Self {
        Self {
            id: member.id,
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            is_learner: member.learner,
        }
    }
}

impl From<pb::Member> for Member {
    fn from(member: pb::Member) -> Self {
        Self {
            id: member.id,
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            learner: member.is_learner,
        }
    }
}

/// The id of a member, made of what etcd makes it of, but with SHA-256 for SHA-1: ids need not be
/// etcd's, only unique.
pub(crate) fn member_id(peer_urls: &[String], salt: &str) -> u64 {
    let mut urls: Vec<_> = peer_urls.iter().map(String::as_str).collect();
    urls.sort_unstable();
    first_eight(Sha256::new().chain_update(urls.concat()).chain_update(salt))
}

/// The id of a cluster, by its first members.
pub(crate) fn cluster_id(members: impl Iterator<Item = u64>) -> u64 {
    let ids: BTreeSet<_> = members.collect();
    let hash = ids.iter().fold(Sha256::new(), |hash, id| {
        hash.chain_update(id.to_be_bytes())
    });
    first_eight(hash)
}

fn first_eight(hash: Sha256) -> u64 {
    let hash = hash.finalize();
    let first = hash.first_chunk::<8>().expect("a hash of 32 bytes");
    // Zero means nobody.
    u64::from_be_bytes(*first).max(1)
}

/// All members, and all who have left for good.
#[derive(Debug)]
pub(crate) struct Members(RwLock<State>);

#[derive(Clone, Debug, Default)]
struct State {
    members: BTreeMap<u64, Member>,
    removed: BTreeSet<u64>,
    /// They are not from this member's own database.
    assumed: bool,
}

impl Members {
    pub(crate) fn read(backend: &Backend) -> Self {
        Self(RwLock::new(State::stored(backend)))
    }

    pub(crate) fn read_again(&self, backend: &Backend) {
        *self.write() = State::stored(backend);
    }

    /// Members that were heard of: they count until the log says anything itself.
    pub(crate) fn assume(&self, members: Vec<Member>) {
        *self.write() = State {
            members: members.into_iter().map(|m| (m.id, m)).collect(),
            removed: BTreeSet::new(),
            assumed: true,
        };
    }

    /// The log speaks.
    pub(crate) fn believe(&self) {
        let mut state = self.write();
        if state.assumed {
            *state = State::default();
        }
    }

    pub(crate) fn all(&self) -> Vec<Member> {
        self.state().members.values().cloned().collect()
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.state().members.values().map(Member::peer).collect()
    }

    pub(crate) fn get(&self, id: u64) -> Option<Member> {
        self.state().members.get(&id).cloned()
    }

    pub(crate) fn is_learner(&self, id: u64) -> bool {
        self.state().members.get(&id).is_some_and(|m| m.learner)
    }

    pub(crate) fn is_removed(&self, id: u64) -> bool {
        self.state().removed.contains(&id)
    }

    pub(crate) fn voters(&self) -> Vec<Member> {
        let state = self.state();
        let voters = state.members.values().filter(|member| !member.learner);
        voters.cloned().collect()
    }

    /// Of all voters but `but` and the one that is to come (`and`), enough have started to be a
    /// quorum (IsReadyTo{Add,Remove,Promote}… in membership/cluster.go).
    pub(crate) fn is_ready(&self, but: u64, and: Coming) -> bool {
        let voters = self.voters();
        let stay = || voters.iter().filter(|member| member.id != but);
        let started = stay().filter(|member| member.is_started()).count();
        match and {
            Coming::Nobody => started > stay().count() / 2,
            // One alone may always get a second.
            Coming::New => {
                (started == 1 && voters.len() == 1) || started > voters.len().div_ceil(2)
            }
            Coming::Learner => started + 1 > voters.len().div_ceil(2),
        }
    }

    /// Whether the log's change is one that this configuration can have.
    pub(crate) fn check(&self, change: &ConfChange) -> Result<(), Error> {
        let state = self.state();
        let id = match change {
            ConfChange::Add { peer, .. } | ConfChange::Update { peer, .. } => peer.id,
            ConfChange::Promote { id, .. } | ConfChange::Remove { id, .. } => *id,
        };
        if state.removed.contains(&id) {
            return Err(Error::MemberNotFound);
        }
        let known = state.members.get(&id);
        let clash = |peer: &Peer| {
            let others = state.members.values().filter(|other| other.id != peer.id);
            let mut urls = others.flat_map(|other| &other.peer_urls);
            urls.any(|url| peer.urls.contains(url))
        };
        match change {
            ConfChange::Add { .. } if known.is_some() => Err(Error::MemberExist),
            ConfChange::Add { peer, .. } if clash(peer) => Err(Error::PeerUrlExist),
            ConfChange::Add { peer, .. }
                if peer.learner
                    && state.members.values().filter(|m| m.learner).count() >= MOST_LEARNERS =>
            {
                Err(Error::TooManyLearners)
            }
            ConfChange::Add { .. } => Ok(()),
            _ if known.is_none() => Err(Error::MemberNotFound),
            ConfChange::Promote { .. } if !known.is_some_and(|member| member.learner) => {
                Err(Error::MemberNotLearner)
            }
            ConfChange::Update { peer, .. } if clash(peer) => Err(Error::PeerUrlExist),
            _ => Ok(()),
        }
    }

    /// Makes a change that was checked.
    pub(crate) fn change(&self, batch: &mut Batch<'_>, change: &ConfChange) {
        match change {
            ConfChange::Add { peer, .. } => self.put(
                batch,
                Member {
                    id: peer.id,
                    peer_urls: peer.urls.clone(),
                    learner: peer.learner,
                    ..Member::default()
                },
            ),
            ConfChange::Promote { id, .. } => self.alter(batch, *id, |member| {
                member.learner = false;
            }),
            ConfChange::Update { peer, .. } => self.alter(batch, peer.id, |member| {
                member.peer_urls.clone_from(&peer.urls);
            }),
            ConfChange::Remove { id, .. } => {
                let key = key(*id);
                batch.delete(Bucket::Members, &key);
                batch.put(Bucket::MembersRemoved, &key, b"removed");
                let mut state = self.write();
                state.members.remove(id);
                state.removed.insert(*id);
            }
        }
    }

    /// Takes down what a member says of itself.
    pub(crate) fn publish(&self, batch: &mut Batch<'_>, said: &Publish) {
        self.alter(batch, said.member_id, |member| {
            member.name.clone_from(&said.name);
            member.client_urls.clone_from(&said.client_urls);
        });
    }

    fn alter(&self, batch: &mut Batch<'_>, id: u64, change: impl FnOnce(&mut Member)) {
        // Who has left meanwhile has nothing to be changed.
        if let Some(mut member) = self.get(id) {
            change(&mut member);
            self.put(batch, member);
        }
    }

    fn put(&self, batch: &mut Batch<'_>, member: Member) {
        let value = serde_json::to_vec(&member).expect("plain fields");
        batch.put(Bucket::Members, &key(member.id), &value);
        self.write().members.insert(member.id, member);
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().expect("nobody panics while holding it")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.0.write().expect("nobody panics while holding it")
    }
}

/// Who is to become a voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    Nobody,
    New,
    Learner,
}

fn key(id: u64) -> Vec<u8> {
    format!("{id:x}").into_bytes()
}

impl State {
    fn stored(backend: &Backend) -> Self {
        let members = backend.range(Bucket::Members, &[], None, 0);
        let members = members.iter().filter_map(|(_, value)| {
            serde_json::from_slice::<Member>(value)
                .inspect_err(
                    |error| crate::warning!("unreadable member", "error": error.to_string()),
                )
                .ok()
        });
        let removed = backend.range(Bucket::MembersRemoved, &[], None, 0);
        let removed = removed
            .iter()
            .filter_map(|(key, _)| u64::from_str_radix(std::str::from_utf8(key).ok()?, 16).ok());
        Self {
            members: members.map(|member| (member.id, member)).collect(),
            removed: removed.collect(),
            assumed: false,
        }
    }
}
