//! The standard health service: serving, from the moment that clients are listened to
//! (api/v3rpc/health.go).

use std::sync::Arc;

use api::pb::health::health_check_response::ServingStatus;
use api::pb::health::{HealthCheckRequest, HealthCheckResponse, health_server::Health};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::server::Server;

/// The service.
pub struct HealthService(Arc<Server>);

impl HealthService {
    /// Serves a member's health.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self(server)
    }
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse {
        status: ServingStatus::Serving.into(),
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if request.get_ref().service.is_empty() {
            Ok(Response::new(serving()))
        } else {
            Err(Status::not_found("unknown service"))
        }
    }

    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (out, responses) = mpsc::channel(1);
        let server = Arc::clone(&self.0);
        tokio::spawn(async move {
            // It never changes: the stream stays open until somebody leaves.
            if out.send(Ok(serving())).await.is_ok() {
                tokio::select! {
                    _ = server.ending() => {}
                    () = out.closed() => {}
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}
