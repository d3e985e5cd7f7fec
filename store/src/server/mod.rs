//! From a request to the log and back: proposals, apply, membership, alarms
//! (etcd's server/etcdserver).
//!
//! A [`Server`] is what the gRPC services ask. Writes go through [`Server::request`], reads that must
//! be linearizable come after [`Server::barrier`].

mod accounts;
mod alarms;
mod apply;
mod authorize;
mod cluster;
mod compact;
mod kv;
mod leader;
mod leases;
mod members;
mod peers;
mod position;
mod proposals;
mod quota;
mod range;
mod reply;
mod start;
mod txn;
mod waiters;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api::pb::etcdserverpb as pb;

use crate::Error;
use crate::auth::{AuthInfo, AuthStore, token_index};
use crate::backend::Backend;
use crate::bugs::Bugs;
use crate::config::Config;
use crate::lease::Lessor;
use crate::mvcc::Store;
use crate::replication::{Node, Status};
use crate::watch::Hub;

use self::alarms::Alarms;
use self::compact::Compactions;
use self::leader::Leadership;
use self::members::Members;
use self::position::Position;
use self::reply::Outcome;
use self::waiters::Waiters;

pub use self::quota::Cost;
pub use self::reply::{Reply, WrongReply};
pub(crate) use self::start::listen;

/// A member of a cluster, with everything that it is made of.
pub struct Server {
    id: u64,
    cluster_id: u64,
    config: Config,
    backend: Backend,
    lessor: Arc<Lessor>,
    store: Arc<Store>,
    hub: Arc<Hub>,
    auth: Arc<AuthStore>,
    members: Members,
    alarms: Alarms,
    position: Arc<Position>,
    waiters: Waiters<Outcome>,
    changes: Waiters<Result<(), Error>>,
    leadership: Leadership,
    /// Set once the log is open; nobody asks before.
    node: OnceLock<Node>,
    /// Whoever exceeded the quota waits here until the alarm is raised.
    over_quota: tokio::sync::mpsc::Sender<(u64, Outcome)>,
    compactions: Compactions,
    /// Why this member is to end, once it is.
    ending: tokio::sync::watch::Sender<Option<Ending>>,
    tasks: std::sync::Mutex<tokio::task::JoinSet<()>>,
}

/// Why a member ends by itself or is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Asked,
    /// It does not belong to the cluster any more.
    Removed,
}

/// Who asks: what came with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The token of a log-in.
    pub token: Option<String>,
}

impl Server {
    /// This member's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// The flags it runs with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which bugs are on.
    #[must_use]
    pub fn bugs(&self) -> Bugs {
        self.config.bugs
    }

    /// The database.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The keys.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The leases.
    #[must_use]
    pub fn lessor(&self) -> &Arc<Lessor> {
        &self.lessor
    }

    /// The watchers.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Users and permissions.
    #[must_use]
    pub fn auth(&self) -> &Arc<AuthStore> {
        &self.auth
    }

    /// What raft says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        self.node.get().map(Node::status).unwrap_or_default()
    }

    /// Whether this member leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.status().leader == self.id
    }

    /// Whether this member is a learner.
    #[must_use]
    pub fn is_learner(&self) -> bool {
        self.members.is_learner(self.id)
    }

    /// The members, as this one knows them.
    #[must_use]
    pub fn members(&self) -> Vec<pb::Member> {
        self.members.all().into_iter().map(Into::into).collect()
    }

    /// The alarms that are raised.
    #[must_use]
    pub fn alarms(&self) -> Vec<pb::AlarmMember> {
        self.alarms.of(pb::AlarmType::None)
    }

    /// A header with the store's current revision.
    #[must_use]
    pub fn header(&self) -> pb::ResponseHeader {
        pb::ResponseHeader {
            revision: self.store.rev(),
            ..self.header_without_revision()
        }
    }

    /// A header as answers about the cluster have it.
    #[must_use]
    pub fn header_without_revision(&self) -> pb::ResponseHeader {
        pb::ResponseHeader {
            cluster_id: self.cluster_id,
            member_id: self.id,
            revision: 0,
            raft_term: self.status().term,
        }
    }

    /// Fills what is missing; a revision that is there stays.
    pub fn fill(&self, header: &mut Option<pb::ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        let mut filled = self.header_without_revision();
        filled.revision = if revision == 0 {
            self.store.rev()
        } else {
            revision
        };
        *header = Some(filled);
    }

    /// Who asks, as a user: nobody while auth is off, or when there is no token.
    ///
    /// A token that another member made is known here once this one has applied the entry that
    /// made it, which is waited for as long as a request may take (isValidSimpleToken in
    /// auth/simple_token.go).
    ///
    /// # Errors
    /// [`Error::InvalidAuthToken`].
    pub async fn who(&self, caller: &Caller) -> Result<Option<AuthInfo>, Error> {
        let Some(token) = caller.token.as_deref() else {
            return Ok(None);
        };
        if !self.auth.is_enabled() {
            return Ok(None);
        }
        let index = token_index(token).ok_or(Error::InvalidAuthToken)?;
        let applied = self.node().wait_applied(index);
        let applied = tokio::time::timeout(self.request_limit(), applied).await;
        applied.map_err(|_| Error::InvalidAuthToken)?;
        let info = self.auth.info_of(token);
        info.map(Some).ok_or(Error::InvalidAuthToken)
    }

    /// Refuses everybody but administrators; nobody while auth is off.
    ///
    /// # Errors
    /// [`Error::InvalidAuthToken`], [`Error::UserEmpty`], [`Error::PermissionDenied`],
    /// [`Error::AuthOldRevision`].
    pub async fn admin(&self, caller: &Caller) -> Result<(), Error> {
        let who = self.who(caller).await?.unwrap_or_default();
        self.auth.is_admin(&who)
    }

    /// How long a request may take.
    #[must_use]
    pub fn request_limit(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.config.election_timeout()
    }

    /// Comes back when everything that was committed before this call is applied here.
    ///
    /// # Errors
    /// [`Error::LeaderChanged`], [`Error::Timeout`], [`Error::Stopped`], and what raft refuses.
    pub async fn barrier(&self) -> Result<(), Error> {
        let applied = async {
            // Raft's thread asks the leader once for all who wait, as etcd's linearizableReadLoop.
            let index = self.node().read_index().await?;
            self.node().wait_applied(index).await;
            Ok(())
        };
        let limit = self.request_limit();
        let applied = tokio::time::timeout(limit, applied).await;
        applied.unwrap_or(Err(Error::Timeout))
    }

    /// An id that no other request has.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.waiters.next_id()
    }

    /// Comes back when this member has had no leader for three election timeouts: streams that
    /// require one end then.
    pub async fn leader_lost(&self) {
        self.leadership.lost().await;
    }

    /// Comes back when the server is to end, and says why.
    pub async fn ending(&self) -> Ending {
        let mut ending = self.ending.subscribe();
        let why = ending.wait_for(Option::is_some).await;
        // The sender lives as long as the server.
        why.ok().and_then(|why| *why).unwrap_or(Ending::Asked)
    }

    /// The server is to end; the first reason counts.
    pub fn end(&self, why: Ending) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            ending.get_or_insert(why);
            first
        });
    }

    fn node(&self) -> &Node {
        self.node.get().expect("the log is open")
    }
}
