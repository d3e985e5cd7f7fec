//! Leases as clients and the clock change them: renewals are the leader's, and expired ones are
//! revoked through the log (server/etcdserver/{v3_server,server}.go).

use std::sync::Arc;
use std::time::Duration;

use api::pb::etcdserverpb as pb;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Server;
use super::leader::RETRY;
use super::peers;
use crate::Error;
use crate::auth::AuthInfo;
use crate::lease::LeaseStanding;
use crate::request::Body;

/// How often expired leases are looked for, how many are revoked a second, and how many of these
/// revocations may be on their way at once.
const EVERY: Duration = Duration::from_millis(500);
const MOST_A_SECOND: usize = 1000;
const MOST_AT_ONCE: usize = 16;

impl Server {
    /// Renews a lease, on the leader wherever it is. Gives the TTL in seconds.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`], [`Error::NoLeader`], [`Error::Timeout`].
    pub async fn lease_renew(&self, id: i64) -> Result<i64, Error> {
        let request = pb::LeaseKeepAliveRequest { id };
        let answer: pb::LeaseKeepAliveResponse = self
            .on_leader(peers::RENEW, &request, || async move {
                let ttl = self.renew_here(id).await?;
                Ok(pb::LeaseKeepAliveResponse {
                    id,
                    ttl,
                    ..Default::default()
                })
            })
            .await?;
        Ok(answer.ttl)
    }

    /// How a lease stands, by the leader's clock.
    ///
    /// # Errors
    /// As [`Self::lease_renew`], and [`Error::LeaderChanged`].
    pub async fn lease_standing(&self, id: i64) -> Result<LeaseStanding, Error> {
        let request = pb::LeaseTimeToLiveRequest { id, keys: true };
        let answer: pb::LeaseTimeToLiveResponse = self
            .on_leader(peers::STANDING, &request, || async move {
                let standing = self.standing_here(id).await?;
                Ok(pb::LeaseTimeToLiveResponse {
                    id,
                    ttl: standing.remaining_ttl,
                    granted_ttl: standing.granted_ttl,
                    keys: standing.keys,
                    ..Default::default()
                })
            })
            .await?;
        Ok(LeaseStanding {
            granted_ttl: answer.granted_ttl,
            remaining_ttl: answer.ttl,
            keys: answer.keys,
        })
    }

    /// On a member that leads, and is known to by a quorum.
    pub(super) async fn renew_here(&self, id: i64) -> Result<i64, Error> {
        self.still_leads().await?;
        self.lessor.renew(id).await
    }

    pub(super) async fn standing_here(&self, id: i64) -> Result<LeaseStanding, Error> {
        self.still_leads().await?;
        let standing = self.lessor.standing(id)?;
        // What a member says that was deposed meanwhile is no more than a guess.
        if self.leads() {
            Ok(standing)
        } else {
            Err(Error::LeaderChanged)
        }
    }

    /// A leader that was paused or cut off may have been deposed without knowing (#15247): it asks
    /// a quorum first. Applies what is committed, too.
    async fn still_leads(&self) -> Result<(), Error> {
        if !self.leads() {
            return Err(Error::NotLeader);
        }
        self.barrier().await?;
        if self.leads() {
            Ok(())
        } else {
            Err(Error::NotLeader)
        }
    }

    /// Does something on the leader: here, or by asking it.
    pub(super) async fn on_leader<Q, A, F>(
        &self,
        kind: &str,
        request: &Q,
        here: impl Fn() -> F,
    ) -> Result<A, Error>
    where
        Q: prost::Message,
        A: prost::Message + Default,
        F: Future<Output = Result<A, Error>>,
    {
        let until = Instant::now() + self.request_limit();
        while Instant::now() < until {
            let leader = self.wait_leader(until).await?;
            let answer = if leader == self.id {
                tokio::time::timeout_at(until, here())
                    .await
                    .map_err(|_| Error::Timeout)?
            } else {
                let asked = self.node().ask(leader, kind, request.encode_to_vec());
                match tokio::time::timeout_at(until, asked).await {
                    Err(_) => Err(Error::Timeout),
                    Ok(Err(status)) => Err(Error::of(&status).unwrap_or(Error::NotLeader)),
                    Ok(Ok(bytes)) => A::decode(bytes.as_slice()).map_err(|_| Error::NotLeader),
                }
            };
            match answer {
                // Somebody else leads now, or nobody can be reached: look again.
                Err(
                    Error::NotLeader
                    | Error::LeaderChanged
                    | Error::NoLeader
                    | Error::Timeout
                    | Error::Stopped,
                ) => {
                    tokio::time::sleep(RETRY).await;
                }
                answer => return answer,
            }
        }
        Err(Error::Timeout)
    }

    /// Revokes what has expired, while this member leads.
    pub(super) async fn revoke_expired(self: Arc<Self>) {
        let permits = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let most = MOST_A_SECOND * EVERY.as_millis() as usize / 1000;
        loop {
            tokio::time::sleep(EVERY).await;
            if !self.leads() {
                continue;
            }
            let expired = self.lessor.expired(most);
            if expired.is_empty() {
                continue;
            }
            if self.still_leads().await.is_err() {
                crate::warning!("Ignore the lease revoking request because current member isn't a leader",
                    "local-member-id": format!("{:x}", self.id));
                continue;
            }
            for id in expired {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                let server = Arc::clone(&self);
                tokio::spawn(async move {
                    let request = Body::LeaseRevoke(pb::LeaseRevokeRequest { id });
                    let revoked = server
                        .request_as::<pb::LeaseRevokeResponse>(server.root(), request)
                        .await;
                    if let Err(error) = revoked {
                        crate::warning!("failed to revoke lease",
                            "lease-id": format!("{id:016x}"), "error": error.to_string());
                    }
                    drop(permit);
                });
            }
        }
    }

    /// The member itself, which may do everything.
    pub(super) fn root(&self) -> Option<AuthInfo> {
        self.auth.is_enabled().then(|| AuthInfo {
            user: "root".into(),
            revision: self.auth.revision(),
        })
    }
}
