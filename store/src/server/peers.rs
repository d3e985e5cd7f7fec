//! What peers ask one another beside raft's messages.

use std::pin::Pin;
use std::sync::{Arc, Weak};

use api::pb::etcdserverpb as pb;
use prost::Message;
use tonic::Status;

use super::Server;
use crate::replication::Answer;

/// A member that joins asks who belongs to the cluster: nothing for [`pb::MemberListResponse`].
pub(super) const MEMBERS: &str = "members";
/// [`pb::LeaseKeepAliveRequest`] for its response.
pub(super) const RENEW: &str = "lease/renew";
/// [`pb::LeaseTimeToLiveRequest`] for its response.
pub(super) const STANDING: &str = "lease/standing";
/// [`pb::MemberPromoteRequest`] for its response; the member that passes it on has checked who asks.
pub(super) const PROMOTE: &str = "member/promote";

/// Answers for a server that may have ended.
pub(super) struct Desk(pub(super) Weak<Server>);

impl Answer for Desk {
    fn answer(
        &self,
        kind: String,
        body: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, Status>> + Send + '_>> {
        Box::pin(async move {
            let server = self.0.upgrade().ok_or(crate::Error::Stopped)?;
            server.answer(&kind, &body).await
        })
    }
}

impl Server {
    async fn answer(self: Arc<Self>, kind: &str, body: &[u8]) -> Result<Vec<u8>, Status> {
        if self.node.get().is_none() {
            return Err(Status::unavailable("not yet started"));
        }
        Ok(match kind {
            MEMBERS => pb::MemberListResponse {
                header: Some(self.header_without_revision()),
                members: self.members(),
            }
            .encode_to_vec(),
            RENEW => {
                let id = read::<pb::LeaseKeepAliveRequest>(body)?.id;
                let ttl = self.renew_here(id).await?;
                let answer = pb::LeaseKeepAliveResponse {
                    id,
                    ttl,
                    ..Default::default()
                };
                answer.encode_to_vec()
            }
            STANDING => {
                let id = read::<pb::LeaseTimeToLiveRequest>(body)?.id;
                let standing = self.standing_here(id).await?;
                let answer = pb::LeaseTimeToLiveResponse {
                    id,
                    ttl: standing.remaining_ttl,
                    granted_ttl: standing.granted_ttl,
                    keys: standing.keys,
                    ..Default::default()
                };
                answer.encode_to_vec()
            }
            PROMOTE => {
                let id = read::<pb::MemberPromoteRequest>(body)?.id;
                self.promote_here(id).await?.encode_to_vec()
            }
            kind => return Err(Status::unimplemented(format!("no such question: {kind}"))),
        })
    }
}

fn read<M: Message + Default>(body: &[u8]) -> Result<M, Status> {
    M::decode(body).map_err(|error| Status::invalid_argument(error.to_string()))
}
