//! Steps that ask the store for something.

use std::time::Duration;

use anyhow::bail;
use checker::history::{
    AuthRequest, Bytes, MaintenanceRequest, Outcome, Purpose, PutRequest, Request, Response,
};

use super::{Nemesis, STEP_LIMIT};

/// Pause of a burst of puts after one that failed.
const PUT_PAUSE: Duration = Duration::from_millis(100);

/// Time to live of the harness's own leases, in seconds: longer than a run.
const LEASE_TTL_S: i64 = 600;

impl Nemesis {
    /// Asks one member, once, and puts its answer in words. An answer that is an error is no
    /// failure of the step: the request was made.
    pub(super) async fn ask_once(
        &self,
        member: &str,
        request: MaintenanceRequest,
    ) -> anyhow::Result<String> {
        let request = Request::Maintenance(request);
        let outcome = self.admin.ask(Purpose::Nemesis, 0, member, request).await?;
        Ok(match outcome {
            Outcome::Ok {
                response: Response::Snapshot { bytes, .. },
            } => format!("{member} sent {bytes} bytes"),
            Outcome::Ok { .. } => format!("{member} answered"),
            Outcome::Error { code, message, .. } => {
                format!("{member} did not answer: code {code}: {message}")
            }
        })
    }

    /// Asks the leader to hand over to this member.
    pub(super) async fn move_leader(&self, to: &str) -> anyhow::Result<String> {
        let target = self.admin.cluster().id(to).await;
        if target == 0 {
            bail!("the id of {to} is not known");
        }
        let leader = self.admin.leader(STEP_LIMIT).await?;
        if leader == to {
            return Ok(format!("{to} leads already"));
        }
        self.ask_once(&leader, MaintenanceRequest::MoveLeader { target })
            .await
    }

    pub(super) async fn alarm(&self, member: &str, raise: bool) -> anyhow::Result<String> {
        let id = self.admin.cluster().id(member).await;
        if id == 0 {
            bail!("the id of {member} is not known");
        }
        let request = match raise {
            true => MaintenanceRequest::AlarmRaise { member: id },
            false => MaintenanceRequest::AlarmClear { member: id },
        };
        let request = Request::Maintenance(request);
        let answer = self
            .admin
            .insist(Purpose::Nemesis, request, STEP_LIMIT)
            .await?;
        Ok(match answer {
            Response::Alarms { alarms, .. } => format!("answered with {} alarms", alarms.len()),
            other => bail!("the answer to an alarm call was {other:?}"),
        })
    }

    pub(super) async fn auth(&self, on: bool) -> anyhow::Result<String> {
        let change = match on {
            true => AuthRequest::Enable,
            false => AuthRequest::Disable,
        };
        self.admin
            .change_auth(Purpose::Nemesis, change, STEP_LIMIT)
            .await?;
        Ok(format!("auth is {}", if on { "on" } else { "off" }))
    }

    /// Grants a lease, puts a key with it, revokes it, and so on.
    pub(super) async fn lease_churn(&self, count: u32, prefix: &str) -> anyhow::Result<String> {
        let mut revoked = 0;
        for number in 0..count {
            let serving = self.admin.cluster().serving().await;
            let Some(member) = serving.get(number as usize % serving.len().max(1)) else {
                tokio::time::sleep(PUT_PAUSE).await;
                continue;
            };
            let ask = async |request| self.admin.ask(Purpose::Nemesis, 0, member, request).await;
            let grant = Request::LeaseGrant {
                ttl: LEASE_TTL_S,
                id: 0,
            };
            let Some(&Response::LeaseGrant { id, .. }) = ask(grant).await?.response() else {
                tokio::time::sleep(PUT_PAUSE).await;
                continue;
            };
            let put = PutRequest {
                key: Bytes::from(format!("{prefix}{}", number % 10)),
                value: Bytes::from(format!("l{id:x}")),
                lease: id,
                ..Default::default()
            };
            ask(Request::Put(put)).await?;
            let answer = ask(Request::LeaseRevoke { id }).await?;
            revoked += u32::from(answer.response().is_some());
        }
        Ok(format!("{revoked} of {count} leases granted and revoked"))
    }

    pub(super) async fn puts(&self, count: u32, prefix: &str) -> anyhow::Result<String> {
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

    pub(super) async fn compact(&self, behind: i64, physical: bool) -> anyhow::Result<String> {
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
    pub(super) async fn grant_or_revoke(
        &self,
        user: &str,
        prefix: &str,
        grant: bool,
    ) -> anyhow::Result<String> {
        let change = match grant {
            true => crate::setup::grant(user, prefix),
            false => {
                let key = Bytes::from(prefix);
                let range_end = key.prefix_end();
                AuthRequest::RoleRevokePermission {
                    role: user.to_owned(),
                    key,
                    range_end,
                }
            }
        };
        self.admin
            .change_auth(Purpose::Nemesis, change, STEP_LIMIT)
            .await?;
        let may = if grant { "may now" } else { "may no longer" };
        Ok(format!("{user} {may} use {prefix}"))
    }
}
