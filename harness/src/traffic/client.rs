//! One client: pinned to a member, one unary request at a time.

use std::time::Duration;

use checker::history::{ErrorOrigin, Outcome, Request};
use scenarios::plan::{ClientPlan, TrafficPlan};
use tokio::task::JoinSet;

use super::Shared;
use super::draw::Draw;
use super::watcher::{Manner, Who, watch};
use crate::recorder::{Recorder, RecorderGone};
use crate::rpc::{Credentials, Endpoint, Session};

/// Wait after a result that was no answer, growing up to the second figure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// How a client ended.
pub type ClientEnd = Result<(), RecorderGone>;

/// A client, ready to run.
pub struct Client {
    plan: ClientPlan,
    request_timeout: Duration,
    watch_time: Duration,
    watches_max: usize,
    draw: Draw,
    session: Session,
    recorder: Recorder,
    shared: Shared,
}

impl Client {
    /// A client as planned, pinned to `endpoint`.
    ///
    /// # Errors
    /// When the endpoint is no address, or the sub-seed no number.
    pub fn new(
        plan: &ClientPlan,
        traffic: &TrafficPlan,
        endpoint: &Endpoint,
        recorder: Recorder,
        shared: Shared,
    ) -> anyhow::Result<Self> {
        let seed = plan.seed.parse()?;
        Ok(Self {
            plan: plan.clone(),
            request_timeout: Duration::from_millis(traffic.request_timeout_ms),
            watch_time: Duration::from_millis(traffic.profile.watch_ms),
            watches_max: traffic.profile.watches_max as usize,
            draw: Draw::new(seed, plan.id, &traffic.profile, traffic.value_bytes),
            session: Session::new(endpoint)?,
            recorder,
            shared,
        })
    }

    /// Runs until traffic ends; the request in flight is then waited for.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn run(mut self) -> ClientEnd {
        let mut watches = JoinSet::new();
        let mut pace = (self.plan.rate > 0).then(|| {
            let mut pace = tokio::time::interval(Duration::from_secs(1) / self.plan.rate);
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            pace
        });
        let mut backoff = BACKOFF.0;
        let mut heard = true;
        while !self.shared.stopped() {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            while watches.try_join_next().is_some() {}
            if self.plan.user.is_some() && !self.session.has_token() && !self.log_in().await? {
                self.pause(&mut backoff).await;
                continue;
            }
            let request = if heard {
                self.draw.next()
            } else {
                self.draw.probe()
            };
            if let Request::Watch(request) = request {
                if watches.len() < self.watches_max {
                    let parts = (self.recorder.clone(), self.shared.clone());
                    let (id, member, user) = (
                        self.plan.id,
                        self.plan.member.clone(),
                        self.plan.user.clone(),
                    );
                    let session = self.session.clone();
                    let manner = Manner {
                        lives: Some(self.watch_time),
                        progress: None,
                        slow: None,
                    };
                    watches.spawn(async move {
                        let who = Who {
                            client: id,
                            member: &member,
                            user: user.as_deref(),
                            session,
                        };
                        watch(parts, who, request, manner).await.map(|_| ())
                    });
                }
                continue;
            }
            if let Request::LeaseGrant { id, .. } = &request
                && let Ok(mut leases) = self.shared.leases.lock()
            {
                leases.push(*id);
            }
            let outcome = self.call(request).await?;
            heard = !matters_unknown(&outcome);
            if heard {
                backoff = BACKOFF.0;
            } else {
                self.pause(&mut backoff).await;
            }
        }
        while let Some(end) = watches.join_next().await {
            if let Ok(end) = end {
                end?;
            }
        }
        Ok(())
    }

    async fn pause(&self, backoff: &mut Duration) {
        tokio::select! {
            () = tokio::time::sleep(*backoff) => {}
            () = self.shared.wait_stopped() => {}
        }
        *backoff = (*backoff * 2).min(BACKOFF.1);
    }

    async fn log_in(&mut self) -> Result<bool, RecorderGone> {
        let Some(user) = self.plan.user.clone() else {
            return Ok(true);
        };
        let password = Credentials::of(&user).password_name();
        let outcome = self.call(Request::Authenticate { user, password }).await?;
        Ok(outcome.response().is_some())
    }

    async fn call(&mut self, request: Request) -> Result<Outcome, RecorderGone> {
        let user = if self.session.has_token() {
            self.plan.user.clone()
        } else {
            None
        };
        let session = &mut self.session;
        let limit = self.request_timeout;
        let outcome = self
            .recorder
            .operation(
                self.plan.id,
                &self.plan.member,
                user.as_deref(),
                request.clone(),
                async |r| session.call(r, limit).await,
            )
            .await?;
        self.shared.counters.count(outcome.response().is_some());
        if let Some(header) = outcome.response().and_then(|response| response.header()) {
            self.shared.seen.saw(header.revision);
            if let Request::Compact { revision, .. } = &request {
                self.shared.seen.compacted(*revision);
            }
        }
        self.draw.learn(&request, &outcome);
        if let Outcome::Error { code, message, .. } = &outcome
            && api::errors::is_invalid_auth_token(*code, message)
        {
            self.session.forget_token();
        }
        Ok(outcome)
    }
}

/// Whether nothing was heard: then the client only reads until something is.
fn matters_unknown(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ok { .. } => false,
        Outcome::Error {
            origin: ErrorOrigin::Server,
            message,
            ..
        } => {
            !message.starts_with("etcdserver: ")
                || message.contains("timed out")
                || message.contains("no leader")
                || message.contains("leader changed")
        }
        Outcome::Error { .. } => true,
    }
}
