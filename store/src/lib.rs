//! The embedded store: an etcd-compatible store in one process, run as `gauntlet store` with etcd's
//! own flags, that real clients, disks and signals work on.
//!
//! It is a test subject, not a product: small and clear beats fast. Its healthy form behaves as etcd
//! does; with `--bug ID` one of the bugs in [`bugs`] is switched on.
//!
//! A tour, from the disk up:
//!
//! * [`backend`] is one file under a batched transaction; [`mvcc`] keeps every key at every revision
//!   in it, [`watch`] tells watchers what changes, [`lease`] lets keys expire, [`auth`] says who may
//!   do what;
//! * [`replication`] agrees on a log of [`request`]s, keeps it on disk and sends it to peers;
//! * [`server`] applies that log to the layers above and answers whoever waits;
//! * [`service`] is the gRPC front end; [`config`] the flags; [`failpoint`] the places where a
//!   harness can stop, delay or kill it; [`log`] writes JSON lines as etcd does.
#![forbid(unsafe_code)]

pub mod auth;
pub mod backend;
pub mod bugs;
pub mod config;
pub mod error;
pub mod failpoint;
pub mod lease;
pub mod log;
pub mod mvcc;
pub mod replication;
pub mod request;
pub mod server;
pub mod service;
pub mod watch;

pub use error::Error;

mod member;

pub use member::run;

/// The release of etcd whose behaviour the healthy store has.
pub const ETCD_VERSION: &str = "3.5.16";
