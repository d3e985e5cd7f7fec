//! The whole line on real etcd: the `gauntlet` binary as a user calls it.
//!
//! These tests install the releases they need and run real clusters. They are never skipped.

#[path = "real/support.rs"]
mod support;

#[path = "real/armed.rs"]
mod armed;
#[path = "real/bad_input.rs"]
mod bad_input;
#[path = "real/cluster.rs"]
mod cluster;
#[path = "real/cmd.rs"]
mod cmd;
#[path = "real/disk.rs"]
mod disk;
#[path = "real/embedded.rs"]
mod embedded;
#[path = "real/killed.rs"]
mod killed;
#[path = "real/links.rs"]
mod links;
#[path = "real/verdicts.rs"]
mod verdicts;
