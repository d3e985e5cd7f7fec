//! The end of the log in memory, as raft reads it.

use std::collections::VecDeque;

use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use super::wal::Mark;

/// What raft may ask for.
pub(super) struct Memory {
    hard_state: HardState,
    /// The last raft snapshot; index 0 for none.
    mark: Mark,
    /// Index and term of the entry before the first that is kept.
    before: (u64, u64),
    entries: VecDeque<Entry>,
}

impl Memory {
    /// `entries` begin after the snapshot, without a gap.
    pub(super) fn new(hard_state: HardState, mark: Mark, entries: Vec<Entry>) -> Self {
        debug_assert!(
            entries
                .first()
                .is_none_or(|first| first.index == mark.index + 1)
        );
        Self {
            hard_state,
            before: (mark.index, mark.term),
            mark,
            entries: VecDeque::from(entries),
        }
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    pub(super) fn set_hard_state(&mut self, state: HardState) {
        self.hard_state = state;
    }

    pub(super) fn set_commit(&mut self, commit: u64) {
        self.hard_state.commit = commit;
    }

    pub(super) fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// Puts entries at their indexes; what was there and after is gone.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = first.index.saturating_sub(self.before.0 + 1);
        self.entries.truncate(keep as usize);
        self.entries.extend(entries.iter().cloned());
    }

    /// A snapshot of a peer replaces everything.
    pub(super) fn restore(&mut self, mark: Mark) {
        self.before = (mark.index, mark.term);
        self.hard_state.commit = self.hard_state.commit.max(mark.index);
        self.entries.clear();
        self.mark = mark;
    }

    /// A snapshot was taken here: entries up to `upto` are let go.
    pub(super) fn compact(&mut self, mark: Mark, upto: u64) {
        while let Some(first) = self.entries.front()
            && first.index <= upto
        {
            self.before = (first.index, first.term);
            self.entries.pop_front();
        }
        self.mark = mark;
    }

    fn end(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }
}

impl Storage for Memory {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(
            self.hard_state.clone(),
            self.mark.conf.clone(),
        ))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.end() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let range = (low - self.before.0 - 1) as usize..(high - self.before.0 - 1) as usize;
        let (max, mut size) = (max_size.into(), 0);
        Ok(self
            .entries
            .range(range)
            .take_while(|entry| {
                use protobuf::Message as _;
                let first = size == 0;
                size += u64::from(entry.compute_size()).max(1);
                first || max.is_none_or(|max| size <= max)
            })
            .cloned()
            .collect())
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        if index == self.mark.index {
            return Ok(self.mark.term);
        }
        let at = index
            .checked_sub(self.before.0 + 1)
            .ok_or(Error::Store(StorageError::Compacted))?;
        self.entries
            .get(at as usize)
            .map(|entry| entry.term)
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.end())
    }

    /// The last snapshot's metadata: the database itself is copied when the message is sent.
    fn snapshot(&self, request_index: u64, _to: u64) -> Result<Snapshot> {
        if self.mark.index == 0 || self.mark.index < request_index {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.index = self.mark.index;
        metadata.term = self.mark.term;
        metadata.set_conf_state(self.mark.conf.clone());
        Ok(snapshot)
    }
}
