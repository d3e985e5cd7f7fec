//! One member: its ports, directories and process.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use failpoints::ports::PortLease;
use failpoints::process::{ExitStatus, Process};

use super::Program;

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
    /// Where clients dial, if not the member itself.
    pub(super) door: Option<PortLease>,
    /// Where peers dial.
    pub(super) address: Ipv4Addr,
    /// Its network namespace; ours if none.
    pub(super) namespace: Option<PathBuf>,
    pub(super) dir: PathBuf,
    /// Where it serves its failpoints.
    pub(super) gofail: Option<PortLease>,
    /// What it runs from its next start on.
    pub(super) program: Program,
    pub(super) id: u64,
    pub(super) learner: bool,
    pub(super) life: Life,
    pub(super) paused: bool,
    pub(super) cut: bool,
    /// Without a majority, by broken links that are no cut of its own.
    pub(super) severed: bool,
    /// Its disk fails by the plan: that it may end by itself is the plan's doing.
    pub(super) excused: bool,
    /// The parts of its log, in bytes, of processes that were excused.
    pub(super) excused_log: Vec<Range<u64>>,
    /// What it is started with, again after a kill.
    pub(super) initial_cluster: String,
    pub(super) existing: bool,
    pub(super) running: Option<Running>,
}

/// A member's process.
pub(super) struct Running {
    pub(super) process: Process,
    /// What it runs.
    pub(super) binary: PathBuf,
    /// Where its part of the log begins, in bytes.
    pub(super) log_from: u64,
    pub(super) planned: Arc<Planned>,
}

/// Which ends of a process are the plan's doing.
#[derive(Debug, Default)]
pub(super) struct Planned {
    any: AtomicBool,
    /// Armed faults that may kill it.
    kills: AtomicU32,
}

impl Planned {
    /// Whether this end is the plan's doing. An armed kill is SIGKILL, so that a panic before it is
    /// not taken for it.
    pub(super) fn covers(&self, status: ExitStatus) -> bool {
        let killed = status == ExitStatus::Signal(nix::libc::SIGKILL);
        self.any.load(Ordering::SeqCst) || (killed && self.kills.load(Ordering::SeqCst) > 0)
    }
}

impl Running {
    pub(super) fn plan_end(&self) {
        self.planned.any.store(true, Ordering::SeqCst);
    }

    /// Counts the armed faults that may kill it.
    pub(super) fn expect_kill(&self, armed: bool) {
        if armed {
            self.planned.kills.fetch_add(1, Ordering::SeqCst);
        } else {
            self.planned.kills.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(super) fn ended(&self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Whether it has ended, by the plan.
    pub(super) fn ended_by_plan(&self) -> bool {
        self.ended()
            .is_some_and(|status| self.planned.covers(status))
    }
}

impl Member {
    /// What its process logs and how it ends is the plan's doing from now on.
    pub(super) fn excuse(&mut self) {
        self.excused = true;
        if let Some(running) = &self.running {
            running.plan_end();
            self.excused_log.push(running.log_from..u64::MAX);
        }
    }

    /// A new process writes to its log from here on.
    pub(super) fn next_log(&mut self, from: u64) {
        for part in &mut self.excused_log {
            part.end = part.end.min(from);
        }
    }

    pub(super) fn advertised_peer_port(&self) -> u16 {
        self.proxy.as_ref().unwrap_or(&self.peer).port()
    }

    /// The address that its peers are told.
    pub(super) fn peer_url(&self, tls: bool) -> String {
        let scheme = if tls { "https" } else { "http" };
        format!(
            "{scheme}://{}:{}",
            self.address,
            self.advertised_peer_port()
        )
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }
}
