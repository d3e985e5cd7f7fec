//! The thread that runs raft: takes what has come, lets raft decide, writes the log, sends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use fail::fail_point;
use raft::eraftpb::{self, Entry, MessageType};
use raft::{RawNode, SnapshotStatus, StateRole};
use tokio::sync::oneshot;

use super::apply::{self, Changed, Task};
use super::memory::Memory;
use super::reads::{Reads, Reply};
use super::snapshots::Snapshots;
use super::transport::Links;
use super::wal::{Batch, Mark, Wal};
use super::wire::Kind;
use super::{Shared, planted};
use crate::Error;
use crate::bugs::{Bug, Bugs};

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
    pub(super) election_ticks: usize,
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
    fn note_applied(&mut self) {
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
            for _ in 1..self.election_ticks {
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

    fn message(&mut self, message: eraftpb::Message) {
        use MessageType as M;
        if self.state.removed {
            return;
        }
        let leads = self.raft.raft.state == StateRole::Leader;
        let kind = message.get_msg_type();
        match kind {
            M::MsgAppend if self.shared.backlog.load(Ordering::Relaxed) > BACKLOG_BYTES => return,
            // Raft would drop it.
            M::MsgReadIndex if leads && !self.raft.raft.commit_to_current_term() => {
                if self.state.early_reads.len() < EARLY_READS {
                    self.state.early_reads.push(message);
                }
                return;
            }
            // A follower would forward it once more, which raft takes for a fault.
            M::MsgTransferLeader if !leads => return,
            _ => {}
        }
        let from = message.from;
        let snapshot =
            (kind == M::MsgSnapshot).then(|| message.get_snapshot().get_metadata().index);
        match self.raft.step(message) {
            Ok(()) | Err(raft::Error::ProposalDropped | raft::Error::StepPeerNotFound) => {}
            Err(error) => crate::warning!("failed to process Raft message",
                "from": format!("{from:x}"), "error": error.to_string()),
        }
        if let Some(index) = snapshot
            && self
                .raft
                .snap()
                .is_none_or(|pending| pending.get_metadata().index != index)
            && index <= self.raft.raft.raft_log.applied()
            && let Err(error) = self.snapshots.release(index)
        {
            crate::warning!("failed to remove a snapshot that was not needed", "error": error.to_string());
        }
        if kind == M::MsgAppendResponse && self.bugs.has(Bug::LearnerVotes) {
            planted::count_learner(&mut self.raft.raft, from);
        }
    }

    /// Hands what was proposed to raft as one message, where there is a leader.
    fn propose(&mut self, now: Instant) {
        let held = &mut self.state.held;
        if self.state.removed {
            for proposal in held.drain(..) {
                let _ = proposal.reply.send(Err(Error::Stopped));
            }
        }
        held.retain(|proposal| !proposal.reply.is_closed() && proposal.until > now);
        while !self.state.held.is_empty()
            && self.raft.raft.leader_id != 0
            && self.raft.raft.lead_transferee.is_none()
        {
            let mut message = eraftpb::Message::default();
            message.set_msg_type(MessageType::MsgPropose);
            message.from = self.id;
            let (mut replies, mut bytes) = (Vec::new(), 0);
            while bytes < MESSAGE_BYTES
                && let Some(proposal) = self.state.held.pop_front()
            {
                bytes += proposal.entry.data.len() as u64;
                message.mut_entries().push(proposal.entry);
                replies.push(proposal.reply);
            }
            let taken = match self.raft.raft.step(message) {
                Ok(()) => Ok(()),
                Err(error) => {
                    crate::warning!("failed to propose", "error": error.to_string());
                    Err(Error::NoLeader)
                }
            };
            for reply in replies {
                let _ = reply.send(taken);
            }
        }
        while self.state.held.len() > HELD {
            if let Some(proposal) = self.state.held.pop_front() {
                let _ = proposal.reply.send(Err(Error::TooManyRequests));
            }
        }
    }

    /// Whether there is a leader to ask, which, if it is this member, knows what is committed.
    fn can_read(&self) -> bool {
        let raft = &self.raft.raft;
        let early = raft.state == StateRole::Leader && !raft.commit_to_current_term();
        raft.leader_id != 0 && !early && !self.state.removed
    }

    fn read(&mut self, now: Instant) {
        if !self.can_read() {
            return;
        }
        for message in std::mem::take(&mut self.state.early_reads) {
            self.message(message);
        }
        if let Some(context) = self.reads.question(now) {
            self.raft.read_index(context);
        }
    }

    fn ready(&mut self) -> anyhow::Result<()> {
        while self.raft.has_ready() {
            let mut ready = self.raft.ready();
            let leads = self.raft.raft.state == StateRole::Leader;
            self.status();
            if let Some(state) = ready.hs() {
                self.raft.mut_store().set_hard_state(state.clone());
                self.state.unwritten_commit = true;
            }
            let now = Instant::now();
            for state in ready.take_read_states() {
                self.reads.answer(&state.request_ctx, state.index, now);
            }
            self.hand_over(ready.take_committed_entries())?;
            if leads {
                fail_point!("raftBeforeLeaderSend");
            }
            // A leader's own disk is not waited for.
            self.send(ready.take_messages())?;
            let entries = ready.take_entries();
            let alone = leads && self.raft.raft.prs().is_singleton();
            // Planted #14370: a lone voter's entries are applied, and answered, before they are in
            // its log; the right code waits until raft says that they are committed, which is after
            // they were written.
            if self.bugs.has(Bug::ReplyBeforeLog) && alone {
                let handed = planted::plain(&entries);
                self.hand_over(handed.to_vec())?;
                self.state.handed = handed.last().map_or(self.state.handed, |e| e.index);
            }
            let snapshot = (!ready.snapshot().is_empty()).then(|| mark(ready.snapshot()));
            if ready.must_sync() {
                self.save(&entries, snapshot.as_ref())?;
            }
            if let Some(mark) = snapshot {
                self.received(mark)?;
            }
            self.raft.mut_store().append(&entries);
            if !leads {
                fail_point!("raftBeforeFollowerSend");
            }
            self.send(ready.take_persisted_messages())?;

            let mut light = self.raft.advance_append(ready);
            if let Some(commit) = light.commit_index() {
                self.raft.mut_store().set_commit(commit);
                self.state.unwritten_commit = true;
            }
            self.send(light.take_messages())?;
            self.hand_over(light.take_committed_entries())?;
            self.note_applied();
            for id in std::mem::take(&mut self.state.unreachable) {
                self.raft.report_unreachable(id);
            }
            self.status();
        }
        Ok(())
    }

    fn save(&mut self, entries: &[Entry], snapshot: Option<&Mark>) -> anyhow::Result<()> {
        if let Some(mark) = snapshot {
            fail_point!("raftBeforeSaveSnap");
            self.snapshots.save(mark)?;
            fail_point!("raftAfterSaveSnap");
        }
        fail_point!("raftBeforeSave");
        self.write(entries, snapshot)?;
        fail_point!("raftAfterSave");
        Ok(())
    }

    fn write(&mut self, entries: &[Entry], mark: Option<&Mark>) -> anyhow::Result<()> {
        self.wal.append(&Batch {
            entries,
            hard_state: Some(self.raft.store().hard_state()),
            mark,
        })?;
        self.state.unwritten_commit = false;
        Ok(())
    }

    /// A peer's snapshot is in the log: raft goes on from it, the machine takes its database over.
    fn received(&mut self, mark: Mark) -> anyhow::Result<()> {
        fail_point!("raftBeforeApplySnap");
        self.raft.mut_store().restore(mark.clone());
        fail_point!("raftAfterApplySnap");
        fail_point!("raftAfterWALRelease");
        let db = self.snapshots.database(mark.index);
        // Raft's own part of it is applied: what is handed over next begins after it.
        self.state.applied = self.state.applied.max(mark.index);
        Ok(self.tasks.send(Task::Snapshot { mark, db })?)
    }

    fn hand_over(&mut self, mut entries: Vec<Entry>) -> anyhow::Result<()> {
        let handed = self.state.handed;
        entries.retain(|entry| entry.index > handed);
        if !entries.is_empty() {
            let bytes = apply::size(&entries);
            self.shared.backlog.fetch_add(bytes, Ordering::Relaxed);
            self.tasks.send(Task::Entries(entries))?;
        }
        Ok(())
    }

    fn send(&mut self, messages: Vec<eraftpb::Message>) -> anyhow::Result<()> {
        for message in messages {
            let to = message.to;
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.state.sending_snapshots += 1;
                self.tasks.send(Task::CopyFor(Box::new(message)))?;
            } else if !self.links.send(message) {
                self.state.unreachable.push(to);
            }
        }
        Ok(())
    }

    fn conf_changed(&mut self, changed: Changed) {
        let Changed {
            index,
            raft,
            change,
            fresh,
            reply,
        } = changed;
        // A snapshot that came meanwhile has the configuration of later.
        let mut conf = self.raft.raft.prs().conf().to_conf_state();
        if index > self.raft.store().mark().index {
            match self.raft.apply_conf_change(&raft) {
                Ok(changed) => conf = changed,
                Err(error) => crate::warning!("raft refused a change of the configuration",
                    "error": error.to_string()),
            }
        }
        match change.kind() {
            Kind::First | Kind::Add if change.id != 0 => self.links.add(change.peer(), fresh),
            Kind::Update if fresh => self.links.add(change.peer(), true),
            Kind::Remove if change.id == self.id && fresh => {
                crate::info!("removed from the cluster", "local-member-id": format!("{:x}", self.id));
                // The others learn that it is committed, then hear no more.
                self.raft.ping();
                let messages = std::mem::take(&mut self.raft.raft.msgs);
                for message in messages {
                    self.links.send(message);
                }
                self.state.removed = true;
            }
            Kind::Remove => self.links.remove(change.id),
            _ => {}
        }
        // Whoever asked may be stopping.
        let _ = reply.send(conf);
    }

    /// A snapshot of this member's own state, which the machine has made durable.
    fn snapshot(&mut self, mark: Mark) {
        let index = mark.index;
        if index <= self.raft.store().mark().index {
            return;
        }
        fail_point!("raftBeforeWALSaveSnaphot");
        let saved = self
            .snapshots
            .save(&mark)
            .map_err(anyhow::Error::from)
            .and_then(|()| self.write(&[], Some(&mark)));
        if let Err(error) = saved {
            crate::fatal!("failed to save snapshot", "error": format!("{error:#}"));
        }
        crate::info!("saved snapshot", "snapshot-index": index);
        let sent = self.state.last_snapshot_sent;
        let busy = self.state.sending_snapshots > 0
            || sent.is_some_and(|at| at.elapsed() < RELEASE_AFTER_SNAPSHOT);
        let keep = if busy { 0 } else { index };
        let upto = keep.saturating_sub(self.catchup_entries);
        self.raft.mut_store().compact(mark, upto);
        crate::info!("compacted Raft logs", "compact-index": upto);
    }

    /// Says what has changed, and who leads.
    fn status(&mut self) {
        let raft = &self.raft.raft;
        let (id, leader, term) = (self.id, raft.leader_id, raft.term);
        let committed = raft.raft_log.committed;
        self.shared.status.send_if_modified(|status| {
            let before = *status;
            (status.leader, status.term, status.committed) = (leader, term, committed);
            *status != before
        });
        let before = std::mem::replace(&mut self.state.leader, leader);
        if before == leader {
            return;
        }
        let line = match (before, leader) {
            (0, _) => format!("elected leader {leader:x}"),
            (_, 0) => format!("lost leader {before:x}"),
            _ => format!("changed leader from {before:x} to {leader:x}"),
        };
        crate::info!(&format!("raft.node: {id:x} {line} at term {term}"));
        if leader != 0 {
            self.reads.leader_changed();
        }
        if leader != id {
            self.state.early_reads.clear();
        }
    }
}

fn mark(snapshot: &eraftpb::Snapshot) -> Mark {
    let metadata = snapshot.get_metadata();
    Mark {
        index: metadata.index,
        term: metadata.term,
        conf: metadata.get_conf_state().clone(),
    }
}
