//! The KV service (api/v3rpc/key.go, quota.go).

use std::sync::Arc;

use api::pb::etcdserverpb as pb;
use tonic::{Request, Response, Status};

use super::admit;
use super::check;
use crate::request::Body;
use crate::server::{Cost, Server};

/// The service.
pub struct KvService(Arc<Server>);

impl KvService {
    /// Serves a member's keys.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self(server)
    }
}

#[tonic::async_trait]
impl pb::kv_server::Kv for KvService {
    async fn range(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<pb::RangeResponse>, Status> {
        let caller = admit(&self.0, &request, request.get_ref().serializable)?;
        check::range(request.get_ref())?;
        let response = self.0.range(&caller, request.get_ref()).await?;
        Ok(Response::new(response))
    }

    async fn put(
        &self,
        request: Request<pb::PutRequest>,
    ) -> Result<Response<pb::PutResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let put = request.into_inner();
        self.0.check_room(&caller, Cost::of_put(&put)).await?;
        check::put(&put)?;
        let response = self.0.request(&caller, Body::Put(put)).await?;
        Ok(Response::new(response))
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        check::delete_range(request.get_ref())?;
        let body = Body::DeleteRange(request.into_inner());
        let response = self.0.request(&caller, body).await?;
        Ok(Response::new(response))
    }

    async fn txn(
        &self,
        request: Request<pb::TxnRequest>,
    ) -> Result<Response<pb::TxnResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let txn = request.into_inner();
        self.0.check_room(&caller, Cost::of_txn(&txn)).await?;
        check::txn(&txn, self.0.config().max_txn_ops)?;
        let response = self.0.txn(&caller, txn).await?;
        Ok(Response::new(response))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let response = self.0.compact(&caller, request.into_inner()).await?;
        Ok(Response::new(response))
    }
}
