//! Steps on members and their processes.

use std::time::Duration;

use anyhow::bail;
use api::errors::{is_member_not_found, is_member_not_learner};
use checker::history::{ClusterRequest, Purpose, Request, Response};

use tokio::task::JoinSet;

use super::{Nemesis, RESTART_LIMIT, STEP_LIMIT};

impl Nemesis {
    pub(super) async fn member_add(&self, name: &str, learner: bool) -> anyhow::Result<String> {
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

    pub(super) async fn member_promote(&self, name: &str) -> anyhow::Result<String> {
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

    pub(super) async fn member_remove(&self, target: &str) -> anyhow::Result<String> {
        let cluster = self.admin.cluster();
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

    /// SIGKILL of all members at the same time, and a restart of all.
    pub(super) async fn power_cycle(&self, down: Duration) -> anyhow::Result<String> {
        let cluster = self.admin.cluster();
        let mut killed = Vec::new();
        for member in cluster.names().await {
            if cluster.is_running(&member).await {
                killed.push(member);
            }
        }
        let mut ends = JoinSet::new();
        for member in killed.clone() {
            let cluster = cluster.clone();
            ends.spawn(async move { cluster.kill(&member).await });
        }
        while let Some(end) = ends.join_next().await {
            end??;
        }
        tokio::time::sleep(down).await;
        for member in &killed {
            cluster.restart(member).await?;
        }
        for member in &killed {
            self.admin.wait_ready(member, RESTART_LIMIT).await?;
        }
        Ok(format!(
            "{} were down for {} ms",
            killed.join(", "),
            down.as_millis()
        ))
    }

    /// SIGTERM and restart of one member after the other.
    pub(super) async fn rolling_restart(&self, members: &[String]) -> anyhow::Result<String> {
        let cluster = self.admin.cluster();
        for member in members {
            cluster.terminate(member).await?;
            cluster.restart(member).await?;
            self.admin.wait_ready(member, RESTART_LIMIT).await?;
        }
        Ok(format!("restarted {}", members.join(", ")))
    }
}
