//! The nemesis: walks the plan's steps, and says of each what became of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use api::errors::{is_member_not_found, is_member_not_learner};
use checker::history::{
    AuthRequest, Bytes, ClusterRequest, FaultPhase, MaintenanceRequest, Outcome, Purpose,
    PutRequest, Request, Response,
};
use scenarios::plan::{Action, Plan, Step, Target};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::recorder::RecorderGone;
use crate::setup::grant;

/// How long a step may insist on an administrative request.
const STEP_LIMIT: Duration = Duration::from_secs(20);

/// How long a restarted member may take until it serves.
const RESTART_LIMIT: Duration = Duration::from_secs(20);

/// Pause of a burst of puts after one that failed.
const PUT_PAUSE: Duration = Duration::from_millis(100);

/// The nemesis of one run.
#[derive(Clone)]
pub struct Nemesis {
    admin: Admin,
    bound: Arc<Mutex<HashMap<String, String>>>,
}

/// What the steps came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps that did what they say.
    pub done: u64,
    /// Steps that were tried and failed.
    pub failed: u64,
}

impl Nemesis {
    /// A nemesis of this cluster.
    #[must_use]
    pub fn new(admin: Admin) -> Self {
        Self {
            admin,
            bound: Arc::default(),
        }
    }

    /// Walks the steps. A step that fails is recorded as failed, and the walk goes on: the run is
    /// judged all the same.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn walk(&self, plan: &Plan, on_step: impl Fn(&str)) -> anyhow::Result<Tally> {
        let mut background = JoinSet::new();
        let mut tally = Tally::default();
        for (index, step) in plan.steps.iter().enumerate() {
            tokio::time::sleep(Duration::from_micros(step.after_us)).await;
            on_step(step.action.name());
            let this = self.clone();
            let owned = step.clone();
            if step.background {
                background.spawn(async move { this.step(index, &owned).await });
            } else {
                count(&mut tally, this.step(index, &owned).await?);
            }
        }
        while let Some(done) = background.join_next().await {
            count(&mut tally, done??);
        }
        Ok(tally)
    }

    async fn step(&self, index: usize, step: &Step) -> Result<bool, RecorderGone> {
        let action = &step.action;
        let recorder = self.admin.recorder();
        let targets = match self.targets(action).await {
            Ok(targets) => targets,
            Err(error) => {
                let why = format!("{error:#}");
                recorder
                    .fault(index, action.name(), &[], FaultPhase::Failed, why)
                    .await?;
                return Ok(false);
            }
        };
        let name = action.name();
        recorder
            .fault(index, name, &targets, FaultPhase::Begin, "")
            .await?;
        match self.act(action, &targets).await {
            Ok(detail) => {
                recorder
                    .fault(index, name, &targets, FaultPhase::End, detail)
                    .await?;
                Ok(true)
            }
            Err(error) => {
                let why = format!("{error:#}");
                recorder
                    .fault(index, name, &targets, FaultPhase::Failed, why)
                    .await?;
                Ok(false)
            }
        }
    }

    async fn targets(&self, action: &Action) -> anyhow::Result<Vec<String>> {
        match (action, action.target()) {
            (_, Some(target)) => self.resolve(target).await,
            (Action::MemberAdd { name, .. }, None) => Ok(vec![name.clone()]),
            (_, None) => Ok(Vec::new()),
        }
    }

    async fn resolve(&self, target: &Target) -> anyhow::Result<Vec<String>> {
        let all_but = async |one: &str| {
            let names = self.admin.cluster().names().await;
            names
                .into_iter()
                .filter(|name| name != one)
                .collect::<Vec<_>>()
        };
        let bound = async |name: &str| {
            let bound = self.bound.lock().await;
            bound
                .get(name)
                .cloned()
                .ok_or_else(|| anyhow!("no earlier step found a {name:?}"))
        };
        Ok(match target {
            Target::Member(name) => vec![name.clone()],
            Target::AllBut(name) => all_but(name).await,
            Target::All => self.admin.cluster().names().await,
            Target::Bound(name) => vec![bound(name).await?],
            Target::AllButBound(name) => all_but(&bound(name).await?).await,
            Target::Leader(name) => {
                let leader = self.admin.leader(STEP_LIMIT).await?;
                self.bound.lock().await.insert(name.clone(), leader.clone());
                vec![leader]
            }
            Target::Follower(name) => {
                let leader = self.admin.leader(STEP_LIMIT).await?;
                let voters = self.admin.cluster().voters().await;
                let after = voters
                    .iter()
                    .position(|voter| *voter == leader)
                    .unwrap_or(0)
                    + 1;
                let follower = voters[after % voters.len()].clone();
                self.bound
                    .lock()
                    .await
                    .insert(name.clone(), follower.clone());
                vec![follower]
            }
        })
    }

    /// Acts on every target at the same time, and gives what there is to say of it.
    async fn act(&self, action: &Action, targets: &[String]) -> anyhow::Result<String> {
        match action {
            Action::MemberAdd { name, learner } => self.member_add(name, *learner).await,
            Action::GrantPermission { user, prefix } => {
                let change = grant(user, prefix);
                self.admin
                    .change_auth(Purpose::Nemesis, change, STEP_LIMIT)
                    .await?;
                Ok(format!("{user} may now use {prefix}"))
            }
            Action::RevokePermission { user, prefix } => {
                let key = Bytes::from(prefix.as_str());
                let range_end = key.prefix_end();
                let change = AuthRequest::RoleRevokePermission {
                    role: user.clone(),
                    key,
                    range_end,
                };
                self.admin
                    .change_auth(Purpose::Nemesis, change, STEP_LIMIT)
                    .await?;
                Ok(format!("{user} may no longer use {prefix}"))
            }
            Action::Puts { count, prefix } => self.puts(*count, prefix).await,
            Action::Compact { behind, physical } => self.compact(*behind, *physical).await,
            Action::Sleep => Ok(String::new()),
            _ => {
                let mut set = JoinSet::new();
                for target in targets {
                    let (this, action, target) = (self.clone(), action.clone(), target.clone());
                    set.spawn(async move { this.act_on(&action, &target).await });
                }
                let mut details = Vec::new();
                let mut failure = None;
                while let Some(done) = set.join_next().await {
                    match done? {
                        Ok(detail) => details.push(detail),
                        Err(error) => failure = Some(error),
                    }
                }
                details.retain(|detail| !detail.is_empty());
                details.sort();
                failure.map_or_else(|| Ok(details.join("; ")), Err)
            }
        }
    }

    async fn act_on(&self, action: &Action, target: &str) -> anyhow::Result<String> {
        let cluster = self.admin.cluster();
        match action {
            Action::Defragment { .. } => {
                let request = Request::Maintenance(MaintenanceRequest::Defragment);
                let outcome = self.admin.ask(Purpose::Nemesis, 0, target, request).await?;
                Ok(match outcome {
                    Outcome::Ok { .. } => format!("{target} answered"),
                    Outcome::Error { code, message, .. } => {
                        format!("{target} did not answer: code {code}: {message}")
                    }
                })
            }
            Action::Kill { .. } => Ok(format!("{target} had pid {}", cluster.kill(target).await?)),
            Action::Terminate { .. } => Ok(format!(
                "{target} had pid {}",
                cluster.terminate(target).await?
            )),
            Action::Pause { .. } => cluster.pause(target).await.map(|()| String::new()),
            Action::Resume { .. } => cluster.resume(target).await.map(|()| String::new()),
            Action::Restart { wait_ready, .. } => {
                cluster.restart(target).await?;
                if *wait_ready {
                    self.admin.wait_ready(target, RESTART_LIMIT).await?;
                }
                Ok(String::new())
            }
            Action::Cut { .. } => cluster.cut(target).await.map(|()| String::new()),
            Action::HealNetwork { .. } => {
                cluster.heal_network(target).await.map(|()| String::new())
            }
            Action::MemberPromote { .. } => self.member_promote(target).await,
            Action::MemberRemove { .. } => {
                let id = cluster.id(target).await;
                if id == 0 {
                    bail!("the id of {target} is not known");
                }
                cluster.expect_end(target).await?;
                let request = Request::Cluster(ClusterRequest::Remove { id });
                self.admin
                    .insist_or_find_done(
                        Purpose::Nemesis,
                        request,
                        STEP_LIMIT,
                        Some(target),
                        is_member_not_found,
                    )
                    .await?;
                cluster.removed(target).await?;
                Ok(String::new())
            }
            Action::WaitCaughtUp { timeout_ms, .. } => {
                let limit = Duration::from_millis(*timeout_ms);
                if self
                    .admin
                    .wait_caught_up(Purpose::Nemesis, target, limit)
                    .await?
                {
                    Ok(String::new())
                } else {
                    bail!("{target} had not caught up after {timeout_ms} ms")
                }
            }
            other => bail!("{} has no target", other.name()),
        }
    }

    async fn member_add(&self, name: &str, learner: bool) -> anyhow::Result<String> {
        let cluster = self.admin.cluster();
        let url = cluster.prepare(name, learner).await?;
        let call = ClusterRequest::Add {
            peer_urls: vec![url.clone()],
            learner,
        };
        let answer = self
            .admin
            .insist_or_find_done(
                Purpose::Nemesis,
                Request::Cluster(call),
                STEP_LIMIT,
                None,
                |_, message| message.contains("Peer URLs already exists"),
            )
            .await;
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                let list = Request::Cluster(ClusterRequest::List { linearizable: true });
                self.admin
                    .insist(Purpose::Nemesis, list, STEP_LIMIT)
                    .await?
            }
            Err(error) => {
                cluster.forget(name).await;
                return Err(error.context(format!("the cluster did not add {name}")));
            }
        };
        let Response::Cluster { members, .. } = answer else {
            bail!("the answer to a membership call was {answer:?}");
        };
        cluster.join(name, &url, &members).await?;
        self.admin.wait_ready(name, RESTART_LIMIT).await?;
        Ok(format!(
            "{name} joined as a {}",
            if learner { "learner" } else { "voter" }
        ))
    }

    async fn member_promote(&self, name: &str) -> anyhow::Result<String> {
        let id = self.admin.cluster().id(name).await;
        if id == 0 {
            bail!("the id of {name} is not known");
        }
        let request = Request::Cluster(ClusterRequest::Promote { id });
        self.admin
            .insist_or_find_done(
                Purpose::Nemesis,
                request,
                STEP_LIMIT,
                Some(name),
                is_member_not_learner,
            )
            .await?;
        self.admin.cluster().promoted(name).await?;
        Ok(String::new())
    }

    async fn puts(&self, count: u32, prefix: &str) -> anyhow::Result<String> {
        let clock = self.admin.recorder().clock();
        let mut answered = 0;
        for number in 0..count {
            let put = PutRequest {
                key: Bytes::from(format!("{prefix}{}", number % 10)),
                value: Bytes::from(format!("n{}.{number}", clock.now())),
                ..Default::default()
            };
            let serving = self.admin.cluster().serving().await;
            let Some(member) = serving.get(number as usize % serving.len().max(1)) else {
                tokio::time::sleep(PUT_PAUSE).await;
                continue;
            };
            // Not sent again through another member: it may still take effect.
            match self
                .admin
                .ask(Purpose::Nemesis, 0, member, Request::Put(put))
                .await?
            {
                Outcome::Ok { .. } => answered += 1,
                Outcome::Error { .. } => tokio::time::sleep(PUT_PAUSE).await,
            }
        }
        Ok(format!("{answered} of {count} puts answered"))
    }

    async fn compact(&self, behind: i64, physical: bool) -> anyhow::Result<String> {
        let mut revision = 0;
        let serving = self.admin.cluster().serving().await;
        for member in &serving {
            if let Some(status) = self.admin.status(Purpose::Nemesis, 0, member).await? {
                revision = revision.max(status.header.revision);
            }
        }
        let revision = revision - behind;
        if revision < 1 {
            bail!("there is nothing to compact yet");
        }
        let request = Request::Compact { revision, physical };
        let outcome = self
            .admin
            .ask(Purpose::Nemesis, 0, &serving[0], request)
            .await?;
        Ok(match outcome {
            Outcome::Ok { .. } => format!("compacted at {revision}"),
            Outcome::Error { message, .. } => format!("compaction at {revision}: {message}"),
        })
    }
}

fn count(tally: &mut Tally, done: bool) {
    if done {
        tally.done += 1;
    } else {
        tally.failed += 1;
    }
}
