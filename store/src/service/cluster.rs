//! The Cluster service (api/v3rpc/member.go).

use std::sync::Arc;

use api::pb::etcdserverpb as pb;
use tonic::{Request, Response, Status};

use super::admit;
use crate::server::Server;

/// The service.
pub struct ClusterService(Arc<Server>);

impl ClusterService {
    /// Serves what a member knows of its cluster.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self(server)
    }
}

#[tonic::async_trait]
impl pb::cluster_server::Cluster for ClusterService {
    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let pb::MemberAddRequest {
            peer_urls,
            is_learner,
        } = request.into_inner();
        let member = self.0.member_add(&caller, peer_urls, is_learner).await?;
        Ok(Response::new(pb::MemberAddResponse {
            header: Some(self.0.header_without_revision()),
            member: Some(member),
            members: self.0.members(),
        }))
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        self.0.member_remove(&caller, request.get_ref().id).await?;
        Ok(Response::new(pb::MemberRemoveResponse {
            header: Some(self.0.header_without_revision()),
            members: self.0.members(),
        }))
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let pb::MemberUpdateRequest { id, peer_urls } = request.into_inner();
        self.0.member_update(&caller, id, peer_urls).await?;
        Ok(Response::new(pb::MemberUpdateResponse {
            header: Some(self.0.header_without_revision()),
            members: self.0.members(),
        }))
    }

    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        admit(&self.0, &request, false)?;
        if request.get_ref().linearizable {
            self.0.barrier().await?;
        }
        Ok(Response::new(pb::MemberListResponse {
            header: Some(self.0.header_without_revision()),
            members: self.0.members(),
        }))
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        self.0.member_promote(&caller, request.get_ref().id).await?;
        Ok(Response::new(pb::MemberPromoteResponse {
            header: Some(self.0.header_without_revision()),
            members: self.0.members(),
        }))
    }
}
