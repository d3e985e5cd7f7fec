//! What raft wants done: writing, sending, applying.

use std::sync::atomic::Ordering;
use std::time::Instant;

use fail::fail_point;
use raft::StateRole;
use raft::eraftpb::{self, Entry, MessageType};

use super::super::apply::{self, Task};
use super::super::planted;
use super::super::wal::{Batch, Mark};
use super::Driver;
use crate::bugs::Bug;

impl Driver {
    pub(super) fn ready(&mut self) -> anyhow::Result<()> {
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

    pub(super) fn save(
        &mut self,
        entries: &[Entry],
        snapshot: Option<&Mark>,
    ) -> anyhow::Result<()> {
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

    pub(super) fn write(&mut self, entries: &[Entry], mark: Option<&Mark>) -> anyhow::Result<()> {
        self.wal.append(&Batch {
            entries,
            hard_state: Some(self.raft.store().hard_state()),
            mark,
        })?;
        self.state.unwritten_commit = false;
        Ok(())
    }

    /// A peer's snapshot is in the log: raft goes on from it, the machine takes its database over.
    pub(super) fn received(&mut self, mark: Mark) -> anyhow::Result<()> {
        fail_point!("raftBeforeApplySnap");
        self.raft.mut_store().restore(mark.clone());
        fail_point!("raftAfterApplySnap");
        fail_point!("raftAfterWALRelease");
        let db = self.snapshots.database(mark.index);
        // Raft's own part of it is applied: what is handed over next begins after it.
        self.state.applied = self.state.applied.max(mark.index);
        Ok(self.tasks.send(Task::Snapshot { mark, db })?)
    }

    pub(super) fn hand_over(&mut self, mut entries: Vec<Entry>) -> anyhow::Result<()> {
        let handed = self.state.handed;
        entries.retain(|entry| entry.index > handed);
        if !entries.is_empty() {
            let bytes = apply::size(&entries);
            self.shared.backlog.fetch_add(bytes, Ordering::Relaxed);
            self.tasks.send(Task::Entries(entries))?;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, messages: Vec<eraftpb::Message>) -> anyhow::Result<()> {
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

    /// Says what has changed, and who leads.
    pub(super) fn status(&mut self) {
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
