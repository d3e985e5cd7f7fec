//! Disks that lose power, tear writes, fail and flip bits.
//!
//! A [`DiskServer`] is a process of its own that serves FUSE file systems in a
//! mount namespace of its own. Members enter the namespace
//! ([`SpawnSpec::namespaces`](crate::process::SpawnSpec::namespaces)) and keep
//! their data directory on a [`Disk`] there. When everything is killed, nothing
//! stays: the kernel drops the mounts with the namespace.
//!
//! # What is durable
//!
//! The files of the backing directory always hold what readers see. The server
//! knows beside that what of it would be left after a power loss:
//!
//! * *Data and size of a file*: once fsync or fdatasync of it returned. Both
//!   cover the size, since data behind a durable size could not be read back
//!   (fsync(2), fdatasync(2)). A write under O_SYNC or O_DSYNC counts as
//!   followed by fdatasync (open(2)). The sync of the backing file is a real
//!   one.
//! * *Names* (create, link, rename, unlink, mkdir, rmdir): fsync(2) says that
//!   syncing a file does not make its directory entry durable; that takes a
//!   sync of the directory. File systems promise more, and not the same: see
//!   Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), whose
//!   persistence properties these two forms are:
//!
//!   [`Metadata::Ordered`], the default, is ext4's journal (`data=ordered`, see
//!   the kernel's `admin-guide/ext4.rst`). Changes of names are durable in the
//!   order they were made. The sync of a file commits them up to the last one
//!   that concerned this file, and all of them if its size had changed: the
//!   size is part of the same transaction. The sync of a directory commits up
//!   to the last change in it. Before a rename over another file is committed,
//!   the data of the renamed file are written (`auto_da_alloc`); data of other
//!   files are not, so a new file may be durable and empty. Where ext4 would
//!   commit on account of blocks that were allocated for other reasons, this
//!   form does not. There is no commit by time: what nothing synced is lost,
//!   though a real journal commits every few seconds.
//!
//!   [`Metadata::Strict`] is what POSIX leaves: the sync of a file never
//!   commits a name, the sync of a directory commits the changes in this
//!   directory, and those earlier ones they build on. A rename stays atomic, as
//!   on every Linux file system.
//!
//! * Modes, owners and times are not modelled: they are as durable as the
//!   backing directory makes them.
//!
//! LazyFS (Ramos et al., "When Amnesia Strikes", VLDB 2024), which etcd's own
//! robustness tests use, differs: it loses data, but every change of names is
//! durable at once.
//!
//! etcd relies on this: the WAL is preallocated (fallocate), written, and made
//! durable by fdatasync before entries are acknowledged; a new WAL directory is
//! renamed into place, then its parent is synced; snapshots are synced before
//! the WAL names them (`server/storage/wal`, `server/etcdserver/api/snap`).
//! bbolt writes pages with pwrite(2), makes them durable by fdatasync before
//! and after the meta page, and reads through a shared mapping (`bbolt/db.go`).
//! So the page cache is in use, and invalidated whenever what is below it
//! changes: at each power loss, and when bit flips begin and end.
//!
//! # Limits
//!
//! What is not durable is kept in memory. Past [`Options::dirty_limit`] the
//! oldest half is made durable, as a kernel writes back dirty pages;
//! [`Stats::writebacks`] counts it. The same holds for more than 4096 changes
//! of names. The kernel may hand on a write in several parts, and always does
//! above 1 MiB: each is a write of its own here. Device files, pipes and
//! sockets cannot be created, extended attributes are not supported. sync(2)
//! and syncfs(2) make nothing durable: the kernel does not pass them on.

mod attributes;
mod backing;
mod client;
mod content;
mod draw;
mod faults;
mod files;
mod fs;
mod gate;
mod holes;
mod image;
mod journal;
mod loss;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;
mod names;
mod probe;
mod protocol;
mod report;
mod rule;
mod server;
mod shared;
mod survival;
mod tree;
mod volume;

pub use client::{Disk, DiskServer};
pub use faults::{DiskFault, PowerCut};
pub use journal::Metadata;
pub use probe::probe;
pub use report::{FileLoss, PowerLoss, Stats, Unsynced, UnsyncedFile};
pub use rule::{Effect, Op, Rule, RuleId};
pub use server::server_main;
pub use survival::{Survival, Tear};

use serde::{Deserialize, Serialize};

/// How a disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// When changes of names are durable.
    pub metadata: Metadata,
    /// How many bytes may be kept in memory for what is not durable.
    pub dirty_limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            metadata: Metadata::default(),
            dirty_limit: 256 << 20,
        }
    }
}

/// Why a disk did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The server could not be started.
    #[error("cannot start the disk server: {0}")]
    Start(String),
    /// The server said no.
    #[error("disk `{disk}`: {reason}")]
    Refused {
        /// The disk's name.
        disk: String,
        /// The server's reason.
        reason: String,
    },
    /// The server did not answer in time (60 s).
    #[error("the disk server did not answer `{order}` in time")]
    Late {
        /// The order.
        order: String,
    },
    /// The server has ended.
    #[error("the disk server has ended")]
    Ended,
}
