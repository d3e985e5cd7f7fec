//! The harness's own requests: set-up, the nemesis, and everything asked when judging. They are
//! observations, not traffic, and each is recorded with its answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use checker::history::{
    AuthRequest, Bytes, ClusterRequest, ErrorOrigin, MaintenanceRequest, Outcome, Purpose,
    RangeRequest, Request, Response, StatusResponse,
};
use tokio::sync::Mutex;

use crate::cluster::Cluster;
use crate::recorder::Recorder;
use crate::rpc::{Credentials, Session};

/// Time limit of one of the harness's own requests.
pub const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Time limit of a defragmentation, which stops the member's world.
const DEFRAGMENT_LIMIT: Duration = Duration::from_secs(30);

/// Pause between two polls.
const POLL: Duration = Duration::from_millis(50);

/// One session for each member and user.
type Sessions = Arc<Mutex<HashMap<(String, String), Arc<Mutex<Session>>>>>;

/// Asks members, as root where auth is on. Clones share sessions.
#[derive(Clone)]
pub struct Admin {
    cluster: Cluster,
    recorder: Recorder,
    auth_on: Arc<AtomicBool>,
    sessions: Sessions,
}

impl Admin {
    /// An admin of this cluster.
    #[must_use]
    pub fn new(cluster: Cluster, recorder: Recorder) -> Self {
        Self {
            cluster,
            recorder,
            auth_on: Arc::default(),
            sessions: Arc::default(),
        }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The recorder.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Whether auth is on.
    #[must_use]
    pub fn auth_is_on(&self) -> bool {
        self.auth_on.load(Ordering::SeqCst)
    }

    async fn session(&self, member: &str, user: &str) -> anyhow::Result<Arc<Mutex<Session>>> {
        let mut sessions = self.sessions.lock().await;
        let key = (member.to_owned(), user.to_owned());
        if let Some(session) = sessions.get(&key) {
            return Ok(session.clone());
        }
        let session = Arc::new(Mutex::new(Session::new(
            &self.cluster.endpoint(member).await?,
        )?));
        sessions.insert(key, session.clone());
        Ok(session)
    }

    /// Asks a member, as root where auth is on.
    ///
    /// # Errors
    /// When the recorder is gone or there is no such member. An error from the member is an
    /// [`Outcome`].
    pub async fn ask(
        &self,
        purpose: Purpose,
        round: u32,
        member: &str,
        request: Request,
    ) -> anyhow::Result<Outcome> {
        let user = self.auth_is_on().then_some("root");
        self.ask_as(purpose, round, member, user, request).await
    }

    /// Asks a member as a user: with the token at hand, after a log-in where there is none. A
    /// token that the member refuses as invalid is renewed once (members forget tokens when they
    /// restart); both attempts are recorded.
    ///
    /// # Errors
    /// As [`Admin::ask`].
    pub async fn ask_as(
        &self,
        purpose: Purpose,
        round: u32,
        member: &str,
        user: Option<&str>,
        request: Request,
    ) -> anyhow::Result<Outcome> {
        let session = self.session(member, user.unwrap_or_default()).await?;
        let mut session = session.lock().await;
        let Some(user) = user else {
            return self
                .send(&mut session, purpose, round, member, None, request)
                .await;
        };
        for renewed in [false, true] {
            if !session.has_token() {
                let password = Credentials::of(user).password_name();
                let log_in = Request::Authenticate {
                    user: user.to_owned(),
                    password,
                };
                let outcome = self
                    .send(&mut session, Purpose::Watchdog, round, member, None, log_in)
                    .await?;
                if outcome.response().is_none() {
                    return Ok(outcome);
                }
            }
            let outcome = self
                .send(
                    &mut session,
                    purpose,
                    round,
                    member,
                    Some(user),
                    request.clone(),
                )
                .await?;
            match &outcome {
                Outcome::Error { code, message, .. }
                    if !renewed && api::errors::is_invalid_auth_token(*code, message) =>
                {
                    session.forget_token();
                }
                _ => return Ok(outcome),
            }
        }
        unreachable!("the second attempt returns")
    }

    /// A fresh log-in as `user`, recorded under `purpose`; the token is kept for later asks.
    ///
    /// # Errors
    /// As [`Admin::ask`].
    pub async fn log_in(
        &self,
        purpose: Purpose,
        round: u32,
        member: &str,
        user: &str,
    ) -> anyhow::Result<Outcome> {
        let session = self.session(member, user).await?;
        let mut session = session.lock().await;
        session.forget_token();
        let password = Credentials::of(user).password_name();
        let request = Request::Authenticate {
            user: user.to_owned(),
            password,
        };
        self.send(&mut session, purpose, round, member, None, request)
            .await
    }

    async fn send(
        &self,
        session: &mut Session,
        purpose: Purpose,
        round: u32,
        member: &str,
        user: Option<&str>,
        request: Request,
    ) -> anyhow::Result<Outcome> {
        let limit = match request {
            Request::Maintenance(MaintenanceRequest::Defragment) => DEFRAGMENT_LIMIT,
            _ => ASK_LIMIT,
        };
        let outcome = self
            .recorder
            .ask(purpose, round, member, user, request, async |r| {
                session.call(r, limit).await
            })
            .await?;
        Ok(outcome)
    }

    /// Asks until the answer is no error, through one serving voter after the other, at most
    /// `limit`.
    ///
    /// # Errors
    /// When no voter answers in time: the last error is in the message.
    pub async fn insist(
        &self,
        purpose: Purpose,
        request: Request,
        limit: Duration,
    ) -> anyhow::Result<Response> {
        let answer = self
            .insist_or_find_done(purpose, request, limit, None, |_, _| false)
            .await?;
        answer.ok_or_else(|| anyhow!("nothing counts as done already"))
    }

    /// As [`Admin::insist`], but for requests that cannot be made twice: an error that `done`
    /// knows, after an attempt whose result is unknown, means that this attempt took effect; the
    /// answer is then `None`. The member `avoid` is not asked.
    ///
    /// # Errors
    /// As [`Admin::insist`].
    pub async fn insist_or_find_done(
        &self,
        purpose: Purpose,
        request: Request,
        limit: Duration,
        avoid: Option<&str>,
        done: fn(i32, &str) -> bool,
    ) -> anyhow::Result<Option<Response>> {
        let start = Instant::now();
        let mut last = String::from("no member is up");
        let mut unknown = false;
        for round in 0.. {
            for member in self.cluster.serving().await {
                if avoid == Some(member.as_str()) {
                    continue;
                }
                match self.ask(purpose, round, &member, request.clone()).await? {
                    Outcome::Ok { response } => return Ok(Some(response)),
                    Outcome::Error { code, message, .. } if unknown && done(code, &message) => {
                        return Ok(None);
                    }
                    Outcome::Error {
                        code,
                        message,
                        origin,
                    } => {
                        unknown |= origin != ErrorOrigin::NotSent;
                        last = format!("{member}: code {code}: {message}");
                    }
                }
            }
            if start.elapsed() > limit {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        bail!(
            "{} failed for {} s; last: {last}",
            request.kind(),
            limit.as_secs()
        )
    }

    /// Waits until a member serves: a voter answers a linearizable read (or refuses it for auth's
    /// sake, which it does after the read index), a learner answers Status.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_ready(&self, member: &str, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        let voter = self
            .cluster
            .voters()
            .await
            .iter()
            .any(|name| name == member);
        let request = if voter {
            Request::Range(RangeRequest {
                key: Bytes::from("gauntlet/ready"),
                ..Default::default()
            })
        } else {
            Request::Maintenance(MaintenanceRequest::Status)
        };
        for round in 0.. {
            let last = match self
                .ask(Purpose::Ready, round, member, request.clone())
                .await?
            {
                Outcome::Ok { .. } => return Ok(()),
                Outcome::Error { code, message, .. } => {
                    if api::errors::is_invalid_auth_token(code, &message)
                        || api::errors::is_permission_denied(code, &message)
                    {
                        return Ok(());
                    }
                    format!("code {code}: {message}")
                }
            };
            if let Some(end) = self.cluster.unexpected_end(member).await {
                bail!("{end}");
            }
            if start.elapsed() > limit {
                bail!(
                    "{member} did not serve within {} s; last: {last}",
                    limit.as_secs()
                );
            }
            tokio::time::sleep(POLL).await;
        }
        unreachable!("the loop ends by return")
    }

    /// Status of one member.
    ///
    /// # Errors
    /// As [`Admin::ask`].
    pub async fn status(
        &self,
        purpose: Purpose,
        round: u32,
        member: &str,
    ) -> anyhow::Result<Option<StatusResponse>> {
        let request = Request::Maintenance(MaintenanceRequest::Status);
        Ok(match self.ask(purpose, round, member, request).await? {
            Outcome::Ok {
                response: Response::Status(status),
            } => Some(status),
            _ => None,
        })
    }

    /// The leader's name, as the first voter sees it that knows one.
    ///
    /// # Errors
    /// As [`Admin::ask`]; when nobody knows a leader within `limit`.
    pub async fn leader(&self, limit: Duration) -> anyhow::Result<String> {
        let start = Instant::now();
        for round in 0.. {
            for member in self.cluster.serving().await {
                if let Some(status) = self.status(Purpose::Watchdog, round, &member).await?
                    && let Some(name) = self.cluster.name_of(status.leader).await
                {
                    return Ok(name);
                }
            }
            if start.elapsed() > limit {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("no leader within {} s", limit.as_secs())
    }

    /// Waits until a member's applied index has reached what the furthest voter's was.
    ///
    /// # Errors
    /// As [`Admin::ask`].
    pub async fn wait_caught_up(
        &self,
        purpose: Purpose,
        member: &str,
        limit: Duration,
    ) -> anyhow::Result<bool> {
        let start = Instant::now();
        let mut goal = None;
        for round in 0.. {
            if goal.is_none() {
                for voter in self.cluster.serving().await {
                    if voter != member
                        && let Some(status) = self.status(purpose, round, &voter).await?
                    {
                        goal = goal.max(Some(status.raft_applied_index));
                    }
                }
            }
            let own = self.status(purpose, round, member).await?;
            let alone = self.cluster.voters().await.len() <= 1;
            match (goal, own) {
                (Some(goal), Some(own)) if own.raft_applied_index >= goal => return Ok(true),
                (None, Some(_)) if alone => return Ok(true),
                _ => {}
            }
            if start.elapsed() > limit {
                return Ok(false);
            }
            tokio::time::sleep(POLL).await;
        }
        unreachable!("the loop ends by return")
    }

    /// Learns member ids from the cluster's own list.
    ///
    /// # Errors
    /// When no voter lists them in time.
    pub async fn learn_members(&self, limit: Duration) -> anyhow::Result<()> {
        let request = Request::Cluster(ClusterRequest::List { linearizable: true });
        match self.insist(Purpose::Setup, request, limit).await? {
            Response::Cluster { members, .. } => self.cluster.learn_ids(&members).await,
            other => bail!("MemberList answered {other:?}"),
        }
    }

    /// An auth change through any voter.
    ///
    /// # Errors
    /// As [`Admin::insist`].
    pub async fn change_auth(
        &self,
        purpose: Purpose,
        change: AuthRequest,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let on = match &change {
            AuthRequest::Enable => Some(true),
            AuthRequest::Disable => Some(false),
            _ => None,
        };
        self.insist(purpose, Request::Auth(change), limit).await?;
        if let Some(on) = on {
            self.auth_on.store(on, Ordering::SeqCst);
        }
        Ok(())
    }
}
