//! The Lease service (api/v3rpc/lease.go, quota.go).

use std::sync::Arc;

use api::pb::etcdserverpb as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{admit, requires_leader};
use crate::Error;
use crate::request::Body;
use crate::server::{Caller, Cost, Server};

/// The service.
pub struct LeaseService(Arc<Server>);

impl LeaseService {
    /// Serves a member's leases.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self(server)
    }
}

#[tonic::async_trait]
impl pb::lease_server::Lease for LeaseService {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let mut grant = request.into_inner();
        self.0.check_room(&caller, Cost::LEASE_GRANT).await?;
        while grant.id == 0 {
            grant.id = rand::random::<i64>() & i64::MAX;
        }
        let response = self.0.request(&caller, Body::LeaseGrant(grant)).await?;
        Ok(Response::new(response))
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let body = Body::LeaseRevoke(request.into_inner());
        let response = self.0.request(&caller, body).await?;
        Ok(Response::new(response))
    }

    type LeaseKeepAliveStream = ReceiverStream<Result<pb::LeaseKeepAliveResponse, Status>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        // Whoever has a lease's id may renew it, with auth as without.
        admit(&self.0, &request, false)?;
        let needs_leader = requires_leader(&request);
        let server = Arc::clone(&self.0);
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = keep_alive(&server, request.into_inner(), &answers) => ended,
                () = server.leader_lost(), if needs_leader => Err(Error::NoLeader.into()),
                () = answers.closed() => Ok(()),
            };
            if let Err(status) = ended {
                // A client that is gone needs no reason.
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let response = time_to_live(&self.0, &caller, request.get_ref()).await?;
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        admit(&self.0, &request, false)?;
        let ids = self.0.lessor().ids().into_iter();
        Ok(Response::new(pb::LeaseLeasesResponse {
            header: Some(self.0.header()),
            leases: ids.map(|id| pb::LeaseStatus { id }).collect(),
        }))
    }
}

/// Renews one lease after the other, as the client asks.
async fn keep_alive(
    server: &Server,
    mut requests: Streaming<pb::LeaseKeepAliveRequest>,
    answers: &mpsc::Sender<Result<pb::LeaseKeepAliveResponse, Status>>,
) -> Result<(), Status> {
    while let Some(pb::LeaseKeepAliveRequest { id }) = requests.message().await? {
        // As etcd has it, the header is from before the renewal.
        let header = Some(server.header());
        let ttl = match server.lease_renew(id).await {
            Err(Error::LeaseNotFound) => 0,
            renewed => renewed?,
        };
        let answer = pb::LeaseKeepAliveResponse { header, id, ttl };
        if answers.send(Ok(answer)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The keys of a lease are shown to those who may read them all, as permissions are before and
/// after.
async fn time_to_live(
    server: &Server,
    caller: &Caller,
    request: &pb::LeaseTimeToLiveRequest,
) -> Result<pb::LeaseTimeToLiveResponse, Error> {
    let auth = server.auth();
    let revision = auth.revision();
    if request.keys && auth.is_enabled() {
        let who = server.who(caller).await?.ok_or(Error::UserEmpty)?;
        let keys = server.lessor().keys(request.id).unwrap_or_default();
        let mut keys = keys.iter();
        keys.try_for_each(|key| auth.may_range(&who, key, &[]))?;
    }
    let mut response = pb::LeaseTimeToLiveResponse {
        header: None,
        id: request.id,
        ttl: -1,
        granted_ttl: 0,
        keys: Vec::new(),
    };
    match server.lease_standing(request.id).await {
        Err(Error::LeaseNotFound) => {}
        standing => {
            let standing = standing?;
            response.ttl = standing.remaining_ttl;
            response.granted_ttl = standing.granted_ttl;
            if request.keys {
                if auth.is_enabled() && revision != auth.revision() {
                    return Err(Error::AuthOldRevision);
                }
                response.keys = standing.keys;
            }
        }
    }
    server.fill(&mut response.header);
    Ok(response)
}
