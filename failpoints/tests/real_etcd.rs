//! Faults against real etcd.
//!
//! Needs an etcd binary, so it runs only when asked to:
//! `ETCD=/path/to/etcd cargo test -p gauntlet-failpoints --test real_etcd -- --ignored`

#[path = "real_etcd/disk.rs"]
mod disk;
#[path = "real_etcd/symbols.rs"]
mod symbols;
