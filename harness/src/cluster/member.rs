//! One member: its ports, directories and process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use failpoints::ports::PortLease;
use failpoints::process::{ExitStatus, Process};

/// Where a member is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process runs, or is paused.
    Up,
    /// Its process was stopped by the plan.
    Down,
    /// It has left the cluster for good.
    Removed,
}

/// A member.
pub(super) struct Member {
    pub(super) client: PortLease,
    pub(super) peer: PortLease,
    pub(super) proxy: Option<PortLease>,
    pub(super) dir: PathBuf,
    /// What it runs from its next start on.
    pub(super) binary: PathBuf,
    pub(super) id: u64,
    pub(super) learner: bool,
    pub(super) life: Life,
    pub(super) paused: bool,
    pub(super) cut: bool,
    /// What it is started with, again after a kill.
    pub(super) initial_cluster: String,
    pub(super) existing: bool,
    pub(super) running: Option<Running>,
}

/// A member's process.
pub(super) struct Running {
    pub(super) process: Process,
    /// Where its part of the log begins, in bytes.
    pub(super) log_from: u64,
    /// Whether the end of the process, when it comes, is the plan's doing.
    pub(super) end_is_planned: Arc<AtomicBool>,
}

impl Running {
    pub(super) fn plan_end(&self) {
        self.end_is_planned.store(true, Ordering::SeqCst);
    }

    pub(super) fn ended(&self) -> Option<ExitStatus> {
        self.process.exited()
    }
}

impl Member {
    pub(super) fn advertised_peer_port(&self) -> u16 {
        self.proxy.as_ref().unwrap_or(&self.peer).port()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }
}
