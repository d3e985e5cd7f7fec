//! Faults against real etcd.
//!
//! Needs an etcd binary, so it runs only when asked to:
//! `ETCD=/path/to/etcd cargo test -p gauntlet-failpoints --test real_etcd -- --ignored`

#[path = "real_etcd/disk.rs"]
mod disk;
#[path = "real_etcd/member.rs"]
mod member;
#[path = "real_etcd/members.rs"]
mod members;
#[path = "real_etcd/network.rs"]
mod network;
#[path = "real_etcd/symbols.rs"]
mod symbols;
#[path = "real_etcd/trace.rs"]
mod trace;
#[path = "real_etcd/trace_cost.rs"]
mod trace_cost;
