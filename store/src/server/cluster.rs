//! Changes of the configuration as clients ask for them
//! (server/etcdserver/server.go, from AddMember on).

use std::time::{Duration, Instant, SystemTime};

use api::pb::etcdserverpb as pb;
use prost::Message as _;

use super::members::{Coming, Member, member_id};
use super::{Caller, Server, peers};
use crate::Error;
use crate::replication::{ConfChange, Peer};

/// A member that has been connected for so long is healthy.
const HEALTHY_SINCE: Duration = Duration::from_secs(5);
/// A learner is ready that has so much of the leader's log, in percent.
const READY_PERCENT: u64 = 90;

/// What a change of the configuration carries through the log.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Context {
    /// Of whoever waits.
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
}

impl Server {
    /// Adds a member. Gives it.
    ///
    /// # Errors
    /// [`Error::MemberBadUrls`], [`Error::PeerUrlExist`], [`Error::TooManyLearners`],
    /// [`Error::MemberNotEnoughStarted`], [`Error::Unhealthy`], and those of [`Self::request`].
    pub async fn member_add(
        &self,
        caller: &Caller,
        peer_urls: Vec<String>,
        learner: bool,
    ) -> Result<pb::Member, Error> {
        if !are_urls(&peer_urls) {
            return Err(Error::MemberBadUrls);
        }
        self.admin(caller).await?;
        if self.config.strict_reconfig_check {
            if !learner && !self.members.is_ready(0, Coming::New) {
                return Err(Error::MemberNotEnoughStarted);
            }
            let voters = self.members.voters();
            if self.healthy(&voters) < voters.len() {
                return Err(Error::Unhealthy);
            }
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // Seconds, as in etcd: the same URLs added twice within one are the same member.
        let salt = now.unwrap_or_default().as_secs().to_string();
        let peer = Peer {
            id: member_id(&peer_urls, &salt),
            urls: peer_urls,
            learner,
        };
        let member = Member {
            id: peer.id,
            peer_urls: peer.urls.clone(),
            learner,
            ..Member::default()
        };
        self.configure(|context| ConfChange::Add { peer, context })
            .await?;
        Ok(member.into())
    }

    /// Removes a member for good.
    ///
    /// # Errors
    /// [`Error::MemberNotFound`], [`Error::MemberNotEnoughStarted`], [`Error::Unhealthy`], and those
    /// of [`Self::request`].
    pub async fn member_remove(&self, caller: &Caller, id: u64) -> Result<(), Error> {
        self.admin(caller).await?;
        if self.config.strict_reconfig_check && !self.members.is_learner(id) {
            self.may_remove(id)?;
        }
        self.configure(|context| ConfChange::Remove { id, context })
            .await
    }

    fn may_remove(&self, id: u64) -> Result<(), Error> {
        if !self.members.is_ready(id, Coming::Nobody) {
            return Err(Error::MemberNotEnoughStarted);
        }
        // One that is down, or removed already, is not part of the quorum that is active.
        let counts = self.members.get(id).is_some() && self.node().active_since(id).is_some();
        if id != self.id && !counts {
            return Ok(());
        }
        let voters = self.members.voters();
        if self.healthy(&voters) < 2 + voters.len().saturating_sub(1) / 2 {
            return Err(Error::Unhealthy);
        }
        Ok(())
    }

    /// Gives a member other peer URLs.
    ///
    /// # Errors
    /// [`Error::MemberNotFound`], [`Error::PeerUrlExist`], [`Error::MemberBadUrls`], and those of
    /// [`Self::request`].
    pub async fn member_update(
        &self,
        caller: &Caller,
        id: u64,
        peer_urls: Vec<String>,
    ) -> Result<(), Error> {
        self.admin(caller).await?;
        // Only then, as etcd takes any.
        if self.members.get(id).is_some() && !are_urls(&peer_urls) {
            return Err(Error::MemberBadUrls);
        }
        let peer = Peer {
            id,
            urls: peer_urls,
            learner: self.members.is_learner(id),
        };
        self.configure(|context| ConfChange::Update { peer, context })
            .await
    }

    /// Makes a learner a voter, if it has caught up with the leader.
    ///
    /// # Errors
    /// [`Error::MemberNotFound`], [`Error::MemberNotLearner`], [`Error::LearnerNotReady`],
    /// [`Error::MemberNotEnoughStarted`], and those of [`Self::request`].
    pub async fn member_promote(&self, caller: &Caller, id: u64) -> Result<(), Error> {
        self.admin(caller).await?;
        let request = pb::MemberPromoteRequest { id };
        let here = || self.promote_here(id);
        self.on_leader(peers::PROMOTE, &request, here).await?;
        Ok(())
    }

    /// On the leader, which alone knows how far the learner is.
    pub(super) async fn promote_here(&self, id: u64) -> Result<pb::MemberPromoteResponse, Error> {
        if !self.leads() {
            return Err(Error::NotLeader);
        }
        let progress = self.node().progress().await;
        let own = *progress.get(&self.id).ok_or(Error::NotLeader)?;
        let learner = *progress.get(&id).ok_or(Error::MemberNotFound)?;
        if learner * 100 < own * READY_PERCENT {
            return Err(Error::LearnerNotReady);
        }
        if self.config.strict_reconfig_check && !self.members.is_ready(0, Coming::Learner) {
            return Err(Error::MemberNotEnoughStarted);
        }
        self.configure(|context| ConfChange::Promote { id, context })
            .await?;
        Ok(pb::MemberPromoteResponse {
            header: Some(self.header_without_revision()),
            members: self.members(),
        })
    }

    async fn configure(&self, change: impl FnOnce(Vec<u8>) -> ConfChange) -> Result<(), Error> {
        let start = Instant::now();
        let until = tokio::time::Instant::now() + self.request_limit();
        let mut waiting = self.changes.register()?;
        let context = Context { id: waiting.id };
        let change = change(context.encode_to_vec());
        let answer = async {
            self.node().propose_conf_change(change).await?;
            (&mut waiting.result).await.map_err(|_| Error::Stopped)?
        };
        match tokio::time::timeout_at(until, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.timed_out(start)),
        }
    }

    fn healthy(&self, members: &[Member]) -> usize {
        let since = Instant::now().checked_sub(HEALTHY_SINCE);
        let healthy = members.iter().filter(|member| {
            member.id == self.id || since.is_some_and(|since| self.connected(member.id, since))
        });
        healthy.count()
    }
}

fn are_urls(urls: &[String]) -> bool {
    let is_url = |url: &String| url.parse::<crate::config::Url>().is_ok();
    !urls.is_empty() && urls.iter().all(is_url)
}
