//! The thread that applies what is committed, so that log writes and applies overlap.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context as _;
use protobuf::Message as _;
use raft::eraftpb::{self, ConfState, Entry, EntryType};

use super::driver::Command;
use super::snapshots::Snapshots;
use super::transport::Links;
use super::wal::Mark;
use super::wire::Change;
use super::{Applied, Committed, Machine, Shared};

/// How many entries are applied between two changes of the status.
const STEP: usize = 256;

/// What to do next.
pub(super) enum Task {
    Entries(Vec<Entry>),
    Snapshot {
        mark: Mark,
        db: PathBuf,
    },
    /// A peer needs the database with this message.
    CopyFor(Box<eraftpb::Message>),
    Stop,
}

/// A change of the configuration, applied by the machine.
pub(super) struct Changed {
    pub(super) index: u64,
    pub(super) raft: eraftpb::ConfChange,
    pub(super) change: Change,
    /// Not one of before the start.
    pub(super) fresh: bool,
    pub(super) reply: SyncSender<ConfState>,
}

/// The thread's state.
pub(super) struct Applier {
    pub(super) machine: Box<dyn Machine>,
    pub(super) commands: SyncSender<Command>,
    pub(super) links: Links,
    pub(super) snapshots: Snapshots,
    pub(super) shared: Arc<Shared>,
    pub(super) snapshot_count: u64,
    /// What is applied.
    pub(super) at: Mark,
    /// The last snapshot.
    pub(super) snapshot: u64,
    /// What the machine had at the start.
    pub(super) consistent: u64,
}

impl Applier {
    /// Applies until it is told to stop, or nobody is there to tell it.
    pub(super) fn run(mut self, tasks: &Receiver<Task>) -> anyhow::Result<()> {
        while let Ok(task) = tasks.recv() {
            if self.shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            match task {
                Task::Entries(entries) => {
                    let bytes = size(&entries);
                    for step in entries.chunks(STEP) {
                        for entry in step {
                            if !self.entry(entry)? {
                                return Ok(());
                            }
                        }
                        self.report();
                    }
                    self.shared.backlog.fetch_sub(bytes, Ordering::Relaxed);
                    if !self.tell(Command::Applied(self.at.index)) || !self.maybe_snapshot() {
                        return Ok(());
                    }
                }
                Task::Snapshot { mark, db } => self.take_over(mark, db)?,
                Task::CopyFor(message) => self.copy_for(*message),
                Task::Stop => return Ok(()),
            }
        }
        Ok(())
    }

    fn report(&self) {
        let applied = self.at.index;
        self.shared
            .status
            .send_modify(|status| status.applied = applied);
    }

    /// False if nobody listens any more.
    fn tell(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }

    fn entry(&mut self, entry: &Entry) -> anyhow::Result<bool> {
        if entry.index <= self.at.index {
            return Ok(true);
        }
        let (index, term) = (entry.index, entry.term);
        (self.at.index, self.at.term) = (index, term);
        match entry.get_entry_type() {
            EntryType::EntryNormal if entry.context.is_empty() => {
                self.machine.apply(Committed::Entry {
                    index,
                    term,
                    data: entry.data.to_vec(),
                });
            }
            EntryType::EntryNormal => {
                let change = decode(&entry.context).with_context(|| format!("entry {index}"))?;
                let applied = self.change(index, term, &change);
                let raft = eraftpb::ConfChange::default();
                return Ok(self.changed(raft, change, applied));
            }
            EntryType::EntryConfChange => {
                let raft = eraftpb::ConfChange::parse_from_bytes(&entry.data)
                    .with_context(|| format!("entry {index}"))?;
                let change = decode(&raft.context).with_context(|| format!("entry {index}"))?;
                let applied = self.change(index, term, &change);
                return Ok(self.changed(raft, change, applied));
            }
            EntryType::EntryConfChangeV2 => {
                anyhow::bail!("entry {index} is a joint change, which nobody proposes")
            }
        }
        Ok(true)
    }

    fn change(&mut self, index: u64, term: u64, change: &Change) -> Applied {
        match change.clone().into_conf_change() {
            Some(change) => self.machine.apply(Committed::ConfChange {
                index,
                term,
                change,
            }),
            None => {
                let data = Vec::new();
                self.machine.apply(Committed::Entry { index, term, data });
                Applied::Done
            }
        }
    }

    /// Tells raft, and waits until it goes by the new configuration.
    fn changed(&mut self, mut raft: eraftpb::ConfChange, change: Change, applied: Applied) -> bool {
        let refused = applied == Applied::Refused;
        if refused {
            // To raft, a change of no member.
            raft.node_id = 0;
            crate::warning!("refused a change of the configuration",
                "index": self.at.index, "member-id": format!("{:x}", change.id));
        }
        let (reply, answer) = sync_channel(1);
        let told = self.tell(Command::ConfChanged(Changed {
            index: self.at.index,
            raft,
            change: if refused { Change::default() } else { change },
            fresh: !refused && self.at.index > self.consistent,
            reply,
        }));
        let Some(conf) = told.then(|| answer.recv().ok()).flatten() else {
            return false;
        };
        self.at.conf = conf;
        true
    }

    fn maybe_snapshot(&mut self) -> bool {
        if self.at.index - self.snapshot <= self.snapshot_count {
            return true;
        }
        crate::info!("triggering snapshot",
            "local-member-applied-index": self.at.index,
            "local-member-snapshot-index": self.snapshot,
            "local-member-snapshot-count": self.snapshot_count);
        self.machine.commit();
        self.snapshot = self.at.index;
        self.tell(Command::Snapshot(self.at.clone()))
    }

    fn take_over(&mut self, mark: Mark, db: PathBuf) -> anyhow::Result<()> {
        let (index, term) = (mark.index, mark.term);
        crate::info!("applying snapshot",
            "current-applied-index": self.at.index, "incoming-leader-snapshot-index": index);
        self.machine.apply(Committed::Snapshot { index, term, db });
        crate::info!("applied snapshot",
            "current-applied-index": self.at.index, "incoming-leader-snapshot-index": index);
        self.snapshots.release(index)?;
        self.at = mark;
        self.snapshot = index;
        self.report();
        self.tell(Command::Applied(index));
        Ok(())
    }

    /// The snapshot is of what is applied here and now, whatever raft meant to send.
    fn copy_for(&mut self, mut message: eraftpb::Message) {
        let to = message.to;
        let path = self.snapshots.temporary(&format!("to-{to:x}"));
        if let Err(error) = self.machine.copy_to(&path) {
            crate::warning!("failed to copy the database for a peer",
                "remote-peer-id": format!("{to:x}"), "error": error.to_string());
            self.tell(Command::SnapshotSent { to, ok: false });
            return;
        }
        let metadata = message.mut_snapshot().mut_metadata();
        metadata.index = self.at.index;
        metadata.term = self.at.term;
        metadata.set_conf_state(self.at.conf.clone());
        self.links.send_snapshot(message, path);
    }
}

fn decode(bytes: &[u8]) -> anyhow::Result<Change> {
    use prost::Message as _;
    Ok(Change::decode(bytes)?)
}

/// What entries weigh in the queue.
pub(super) fn size(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.data.len() as u64).sum()
}
