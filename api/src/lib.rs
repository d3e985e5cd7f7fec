//! etcd's protocol as facts.
//!
//! - [`pb`] (feature `grpc`, on by default): wire types, clients and servers.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "grpc")]
pub mod pb;
