//! The thread that runs raft: takes what has come, lets raft decide, writes the log, sends.

mod ready;
mod step;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use raft::eraftpb::{self, Entry};
use raft::{RawNode, SnapshotStatus, StateRole};
use tokio::sync::oneshot;

use super::Shared;
use super::apply::{Changed, Task};
use super::memory::Memory;
use super::reads::{Reads, Reply};
use super::snapshots::Snapshots;
use super::transport::Links;
use super::wal::{Mark, Wal};
use crate::Error;
use crate::bugs::Bugs;

/// What is handed to raft in one go.
const BURST: usize = 4096;
/// What one append may hold, as in etcd (maxSizePerMsg, server/etcdserver/raft.go).
pub(super) const MESSAGE_BYTES: u64 = 1024 * 1024;
/// A member with more than this to apply takes no more entries.
const BACKLOG_BYTES: u64 = 64 * 1024 * 1024;
/// Proposals that wait for a leader.
const HELD: usize = 4096;
/// Others' read requests that wait until the leader's first entry is committed.
const EARLY_READS: usize = 1024;
/// A follower that has just had a snapshot needs what came since.
const RELEASE_AFTER_SNAPSHOT: Duration = Duration::from_secs(5);

/// What the thread is told.
pub(super) enum Command {
    Propose(Proposal),
    Message(Box<eraftpb::Message>),
    ReadIndex(Reply),
    Progress(oneshot::Sender<BTreeMap<u64, u64>>),
    Transfer(u64),
    Unreachable(u64),
    SnapshotSent { to: u64, ok: bool },
    Connected,
    Applied(u64),
    ConfChanged(Changed),
    Snapshot(Mark),
    Stop,
}

/// An entry for raft, and who wants to know whether raft took it.
pub(super) struct Proposal {
    pub(super) entry: Entry,
    pub(super) until: Instant,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

/// The thread's state.
pub(super) struct Driver {
    pub(super) id: u64,
    pub(super) raft: RawNode<Memory>,
    pub(super) wal: Wal,
    pub(super) snapshots: Snapshots,
    pub(super) links: Links,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Receiver<Command>,
    pub(super) tasks: Sender<Task>,
    pub(super) reads: Reads,
    pub(super) heartbeat: Duration,
    /// Ticks that the first election need not wait for.
    pub(super) head_start: usize,
    pub(super) catchup_entries: u64,
    pub(super) bugs: Bugs,
    pub(super) state: State,
}

/// What the thread remembers.
#[derive(Default)]
pub(super) struct State {
    /// Proposals of this round, and those that wait for a leader.
    held: VecDeque<Proposal>,
    early_reads: Vec<eraftpb::Message>,
    unreachable: Vec<u64>,
    applied: u64,
    leader: u64,
    /// Whether the election clock has been put forward after the start.
    advanced: bool,
    /// The commit index has changed since the last write.
    unwritten_commit: bool,
    /// Handed over before it was committed (#14370).
    handed: u64,
    sending_snapshots: usize,
    last_snapshot_sent: Option<Instant>,
    /// This member is no longer one.
    removed: bool,
}

impl Driver {
    /// Runs until it is told to stop, or everybody who could is gone.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let mut tick = Instant::now() + self.heartbeat;
        self.campaign_alone();
        loop {
            let due = self.reads.due().filter(|_| self.can_read());
            let wake = due.map_or(tick, |due| due.min(tick));
            let wait = wake.saturating_duration_since(Instant::now());
            let mut next = match self.commands.recv_timeout(wait) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if self.shared.stop.load(Ordering::Relaxed) {
                // Nobody is there to take it if the other thread has ended.
                let _ = self.tasks.send(Task::Stop);
                return Ok(());
            }
            let mut taken = 0;
            while let Some(command) = next {
                self.command(command);
                taken += 1;
                next = (taken < BURST)
                    .then(|| self.commands.try_recv().ok())
                    .flatten();
            }
            let now = Instant::now();
            if now >= tick {
                // As Go's tickers: those that were missed are not made up for.
                tick = (tick + self.heartbeat).max(now);
                self.tick(now)?;
            }
            self.propose(now);
            self.read(now);
            self.ready()?;
        }
    }

    fn tick(&mut self, now: Instant) -> anyhow::Result<()> {
        if !self.state.removed {
            self.raft.tick();
        }
        self.reads.expire(now);
        if self.state.unwritten_commit {
            self.write(&[], None)?;
        }
        Ok(())
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Propose(proposal) if self.state.held.len() < HELD + BURST => {
                self.state.held.push_back(proposal);
            }
            Command::Propose(proposal) => {
                // Whoever is gone need not hear it.
                let _ = proposal.reply.send(Err(Error::TooManyRequests));
            }
            Command::Message(message) => self.message(*message),
            Command::ReadIndex(reply) => self.reads.ask(reply, Instant::now()),
            Command::Progress(reply) => {
                let leads = self.raft.raft.state == StateRole::Leader;
                let all = self.raft.raft.prs().iter();
                let matched = all.filter(|_| leads).map(|(id, pr)| (*id, pr.matched));
                let _ = reply.send(matched.collect());
            }
            Command::Transfer(to) => self.raft.transfer_leader(to),
            Command::Unreachable(id) => self.raft.report_unreachable(id),
            Command::SnapshotSent { to, ok } => {
                self.state.sending_snapshots = self.state.sending_snapshots.saturating_sub(1);
                self.state.last_snapshot_sent = Some(Instant::now());
                self.raft.report_snapshot(
                    to,
                    if ok {
                        SnapshotStatus::Finish
                    } else {
                        SnapshotStatus::Failure
                    },
                );
            }
            Command::Connected => self.advance_ticks(),
            Command::Applied(index) => {
                self.state.applied = self.state.applied.max(index);
                self.note_applied();
                self.campaign_alone();
            }
            Command::ConfChanged(changed) => self.conf_changed(changed),
            Command::Snapshot(mark) => self.snapshot(mark),
            Command::Stop => {}
        }
    }

    /// Raft may not be told of more than it knows to be committed.
    pub(super) fn note_applied(&mut self) {
        let log = &self.raft.raft.raft_log;
        let applied = self.state.applied.min(log.committed).min(log.persisted);
        if applied > log.applied() {
            self.raft.advance_apply_to(applied);
        }
    }

    /// After a start there has been no leader for long: the first election need not wait for a
    /// whole timeout (etcd: `--initial-election-tick-advance`).
    fn advance_ticks(&mut self) {
        if !std::mem::replace(&mut self.state.advanced, true) && self.raft.raft.leader_id == 0 {
            for _ in 0..self.head_start {
                self.raft.tick();
            }
        }
    }

    /// The only voter has nobody to wait for.
    fn campaign_alone(&mut self) {
        let raft = &self.raft.raft;
        let alone = raft.promotable() && raft.prs().is_singleton();
        if alone && raft.leader_id == 0 && raft.raft_log.applied() >= raft.raft_log.committed {
            self.state.advanced = true;
            if let Err(error) = self.raft.campaign() {
                crate::warning!("failed to campaign", "error": error.to_string());
            }
        }
    }
}
