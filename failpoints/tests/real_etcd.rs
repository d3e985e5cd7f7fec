//! Faults on real etcd members.
//!
//! Needs an etcd binary, so it runs only when asked to:
//! `ETCD=/path/to/etcd cargo test -p gauntlet-failpoints --test real_etcd -- --ignored`

#[path = "real_etcd/members.rs"]
mod members;
#[path = "real_etcd/network.rs"]
mod network;
