//! Doing what a step says.

use std::time::Duration;

use anyhow::bail;
use checker::history::{MaintenanceRequest, Purpose};
use scenarios::plan::{Action, Clients, How, Shape, Target};
use tokio::task::JoinSet;

use super::{Nemesis, RESTART_LIMIT};

impl Nemesis {
    /// Acts on every target at the same time, and gives what there is to say of it.
    pub(super) async fn act(
        &self,
        step: usize,
        action: &Action,
        targets: &[String],
    ) -> anyhow::Result<String> {
        match action {
            Action::Arm(arm) => self.arm(step, arm, targets).await,
            Action::Disarm { fault } if self.has_disk_fault(fault).await => {
                self.take_back_disk_fault(fault).await
            }
            Action::Disarm { fault } => self.disarm(fault).await,
            Action::PowerLoss { survival, seed, .. } => {
                self.power_loss(targets, *survival, seed).await
            }
            Action::DiskFault(fault) => self.disk_fault(step, fault, targets).await,
            Action::DiskHeal { .. } => self.disk_heal(targets).await,
            Action::Release { fault } => self.release(fault).await,
            Action::AuthDisable => self.auth(false).await,
            Action::AuthEnable => self.auth(true).await,
            Action::LeaseChurn { count, prefix } => self.lease_churn(*count, prefix).await,
            Action::PowerCycle { down_ms } => {
                self.power_cycle(Duration::from_millis(*down_ms)).await
            }
            Action::RollingRestart { .. } => self.rolling_restart(targets).await,
            Action::MemberAdd { name, learner } => self.member_add(name, *learner).await,
            Action::GrantPermission { user, prefix } => {
                self.grant_or_revoke(user, prefix, true).await
            }
            Action::RevokePermission { user, prefix } => {
                self.grant_or_revoke(user, prefix, false).await
            }
            Action::Puts { count, prefix } => self.puts(*count, prefix).await,
            Action::Compact { behind, physical } => self.compact(*behind, *physical).await,
            Action::Sleep => Ok(String::new()),
            Action::SlowLink { to, .. } | Action::DropConnections { to, .. } => {
                self.break_links(action, targets, to.as_ref()).await
            }
            Action::Cut { to, .. } if !is_plain(action) => {
                self.break_links(action, targets, to.as_ref()).await
            }
            _ => {
                let mut set = JoinSet::new();
                for target in targets {
                    let (this, action, target) = (self.clone(), action.clone(), target.clone());
                    set.spawn(async move {
                        let _mark = this.in_flight.mark(action.name(), &target);
                        this.act_on(&action, &target).await
                    });
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

    async fn break_links(
        &self,
        action: &Action,
        subjects: &[String],
        to: Option<&Target>,
    ) -> anyhow::Result<String> {
        let to = match to {
            Some(to) => Some(self.resolve(to).await?),
            None => None,
        };
        let cluster = self.admin.cluster();
        cluster.break_links(action, subjects, to.as_deref()).await
    }

    async fn act_on(&self, action: &Action, target: &str) -> anyhow::Result<String> {
        let cluster = self.admin.cluster();
        match action {
            Action::Defragment { .. } => {
                self.ask_once(target, MaintenanceRequest::Defragment).await
            }
            Action::Snapshot { .. } => self.ask_once(target, MaintenanceRequest::Snapshot).await,
            Action::MoveLeader { .. } => self.move_leader(target).await,
            Action::AlarmRaise { .. } => self.alarm(target, true).await,
            Action::AlarmClear { .. } => self.alarm(target, false).await,
            Action::Gofail {
                failpoint, terms, ..
            } => cluster.gofail(target, failpoint, terms).await,
            Action::Swap { store, .. } => cluster.swap(target, store).await,
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
            Action::HealNetwork { .. } => cluster.heal_network(target).await,
            Action::MemberPromote { .. } => self.member_promote(target).await,
            Action::MemberRemove { .. } => self.member_remove(target).await,
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
}

/// Whether a cut says no more than whom: all their peer connections, known and still to come, of
/// members that may yet join too.
fn is_plain(action: &Action) -> bool {
    matches!(
        action,
        Action::Cut {
            how: How::Reset,
            shape: Shape::Isolate,
            to: None,
            clients: Clients::Spared,
            ..
        }
    )
}
