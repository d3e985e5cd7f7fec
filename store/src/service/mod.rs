//! The gRPC services, one module each: requests are checked as in etcd's api/v3rpc, handed to the
//! server, and errors get etcd's codes.
//!
//! STUB.

pub mod watch;
