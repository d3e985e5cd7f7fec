//! What comes in: messages, proposals, reads, changes of the configuration, snapshots.

use std::sync::atomic::Ordering;
use std::time::Instant;

use fail::fail_point;
use raft::StateRole;
use raft::eraftpb::{self, MessageType};

use super::super::apply::Changed;
use super::super::planted;
use super::super::wal::Mark;
use super::super::wire::Kind;
use super::{BACKLOG_BYTES, Driver, EARLY_READS, HELD, MESSAGE_BYTES, RELEASE_AFTER_SNAPSHOT};
use crate::Error;
use crate::bugs::Bug;

impl Driver {
    pub(super) fn message(&mut self, message: eraftpb::Message) {
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
    pub(super) fn propose(&mut self, now: Instant) {
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
    pub(super) fn can_read(&self) -> bool {
        let raft = &self.raft.raft;
        let early = raft.state == StateRole::Leader && !raft.commit_to_current_term();
        raft.leader_id != 0 && !early && !self.state.removed
    }

    pub(super) fn read(&mut self, now: Instant) {
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

    pub(super) fn conf_changed(&mut self, changed: Changed) {
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
                // Raft's leader counts on finding itself among the members.
                let term = self.raft.raft.term;
                self.raft.raft.become_follower(term, raft::INVALID_ID);
                self.state.removed = true;
            }
            Kind::Remove => self.links.remove(change.id),
            _ => {}
        }
        // Whoever asked may be stopping.
        let _ = reply.send(conf);
    }

    /// A snapshot of this member's own state, which the machine has made durable.
    pub(super) fn snapshot(&mut self, mark: Mark) {
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
        let upto = match busy {
            true => 0,
            // At least the first entry goes, so that a member that joins gets a snapshot (etcd:
            // `compacti := uint64(1)`, server/etcdserver/server.go).
            false => index.saturating_sub(self.catchup_entries).max(1),
        };
        self.raft.mut_store().compact(mark, upto);
        if upto > 0 {
            crate::info!("compacted Raft logs", "compact-index": upto);
        }
    }
}
