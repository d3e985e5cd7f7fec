//! The parts of planted bugs that are more than a line.

use raft::eraftpb::{Entry, EntryType};
use raft::{Raft, StateRole, Storage};

/// Entries up to the first change of the configuration (#14370).
pub(super) fn plain(entries: &[Entry]) -> &[Entry] {
    let end = entries.iter().position(|entry| {
        entry.get_entry_type() != EntryType::EntryNormal || !entry.context.is_empty()
    });
    &entries[..end.unwrap_or(entries.len())]
}

/// Planted #learner-votes: when it decides what is committed, the leader takes a learner's
/// acknowledgement for that of the voter that is furthest behind; the right code counts voters only.
pub(super) fn count_learner<T: Storage>(raft: &mut Raft<T>, from: u64) {
    let conf = raft.prs().conf();
    if raft.state != StateRole::Leader || !conf.learners().contains(&from) {
        return;
    }
    let (own, progress) = (raft.id, raft.prs());
    let Some(learner) = progress.get(from).map(|progress| progress.matched) else {
        return;
    };
    let others = progress
        .iter()
        .filter(|(id, _)| **id != own && progress.conf().voters().contains(**id));
    let Some((voter, matched)) = others
        .map(|(id, progress)| (*id, progress.matched))
        .min_by_key(|(_, matched)| *matched)
    else {
        return;
    };
    let set = |raft: &mut Raft<T>, matched| {
        if let Some(progress) = raft.mut_prs().get_mut(voter) {
            progress.matched = matched;
        }
    };
    if learner > matched {
        set(raft, learner);
        let more = raft.maybe_commit();
        set(raft, matched);
        if more {
            raft.bcast_append();
        }
    }
}
