//! etcd's protocol, as code and as facts. Every other crate of gauntlet that speaks to a member
//! or judges what a member said starts here.
//!
//! A short tour:
//!
//! - `pb` (feature `grpc`, on by default) is the wire: messages, clients and servers for all of
//!   etcd's client services and for gRPC health, compiled from `proto/` at build time.
//! - [`errors`] says which errors prove that a request had no effect, which only claim it, and
//!   that all others prove nothing.
//! - [`revisions`] says what the revision in a response header means, and which of them place a
//!   request in the order of writes.
//!
//! The last two are plain tables with the lines of etcd's source that they were read from. With
//! `default-features = false` they are all there is, and the crate has no dependency: a checker
//! can use them without building a gRPC stack.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod errors;
#[cfg(feature = "grpc")]
pub mod pb;
pub mod revisions;
