//! The wire types and the gRPC client and server code, generated from `proto/` at build time.
//!
//! Keys, values and other byte strings are `Vec<u8>`. Field names are snake case where etcd's
//! are camel case (`peer_urls`, `raft_applied_index`): names never reach the wire.
//!
//! ```
//! use api::pb::etcdserverpb::{self, kv_client::KvClient};
//!
//! async fn put(endpoint: String) -> Result<i64, Box<dyn std::error::Error>> {
//!     let mut kv = KvClient::connect(endpoint).await?;
//!     let request = etcdserverpb::PutRequest {
//!         key: b"k".to_vec(),
//!         value: b"v".to_vec(),
//!         ..Default::default()
//!     };
//!     let answer = kv.put(request).await?.into_inner();
//!     Ok(answer.header.map_or(0, |header| header.revision))
//! }
//! ```

/// Package `etcdserverpb`: the services KV, Watch, Lease, Cluster, Maintenance and Auth.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// Package `mvccpb`: stored pairs and change events.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// Package `authpb`: users, roles and permissions.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod authpb {
    tonic::include_proto!("authpb");
}

/// Package `grpc.health.v1`: the standard health service.
///
/// etcd 3.4 and 3.5.1 answer "serving" unconditionally, so it says nothing about readiness.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The compiled descriptors (an encoded `google.protobuf.FileDescriptorSet`).
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
