//! Changes of names that are not durable yet.

use std::collections::VecDeque;
use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::tree::{Edit, Ino};

/// When a change of names (create, rename, unlink, …) is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metadata {
    /// As with ext4's journal in its default mode (`data=ordered`): changes
    /// are durable in the order they were made. See [`disk`](super).
    #[default]
    Ordered,
    /// What POSIX leaves after a crash: a change is durable once a directory
    /// it changed was synced, whatever became of other directories.
    Strict,
}

/// One change of names.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) seq: u64,
    /// For reports: `rename wal.tmp -> wal`.
    pub(super) what: String,
    pub(super) edits: Vec<Edit>,
    /// The inodes whose links it changed; directories it was made in are in
    /// `edits`.
    pub(super) inodes: Vec<Ino>,
    pub(super) moves_directory: bool,
    /// A file whose data the journal writes before it commits this: one that
    /// was renamed over another.
    pub(super) flush: Option<Ino>,
}

impl Change {
    fn is_in(&self, dir: Ino) -> bool {
        self.edits.iter().any(|edit| edit.dir == dir)
    }

    fn slots(&self) -> impl Iterator<Item = (Ino, &OsStr)> {
        self.edits
            .iter()
            .map(|edit| (edit.dir, edit.name.as_os_str()))
    }

    /// Whether it cannot be durable without the other, which is older.
    fn needs(&self, older: &Self) -> bool {
        (self.moves_directory && older.moves_directory)
            || self
                .slots()
                .any(|slot| older.slots().any(|other| slot == other))
    }
}

/// The changes that are not durable, oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) metadata: Metadata,
    changes: VecDeque<Change>,
}

impl Journal {
    pub(super) fn new(metadata: Metadata) -> Self {
        Self {
            metadata,
            changes: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Change> {
        self.changes.iter()
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    /// What the sync of a file commits. `grew`: its size was part of it.
    pub(super) fn commit_file(&mut self, ino: Ino, grew: bool) -> Vec<Change> {
        match self.metadata {
            Metadata::Ordered if grew => self.changes.drain(..).collect(),
            Metadata::Ordered => self.commit_through(|change| change.inodes.contains(&ino)),
            Metadata::Strict => Vec::new(),
        }
    }

    /// What the sync of a directory commits.
    pub(super) fn commit_directory(&mut self, dir: Ino) -> Vec<Change> {
        match self.metadata {
            Metadata::Ordered => {
                self.commit_through(|change| change.is_in(dir) || change.inodes.contains(&dir))
            }
            Metadata::Strict => {
                let mut chosen: Vec<bool> = self
                    .changes
                    .iter()
                    .map(|change| change.is_in(dir))
                    .collect();
                self.close(&mut chosen);
                self.take(&chosen)
            }
        }
    }

    /// What is at most as new as this.
    pub(super) fn commit_until(&mut self, seq: u64) -> Vec<Change> {
        let count = self.changes.partition_point(|change| change.seq <= seq);
        self.changes.drain(..count).collect()
    }

    /// Which changes a power loss spares, if each may be spared by itself.
    pub(super) fn subset(&self, draw: &mut Draw) -> Vec<bool> {
        match self.metadata {
            Metadata::Ordered => {
                let kept = draw.below(self.len() as u64 + 1) as usize;
                (0..self.len()).map(|index| index < kept).collect()
            }
            Metadata::Strict => {
                let mut chosen: Vec<bool> = (0..self.len()).map(|_| draw.coin()).collect();
                self.close(&mut chosen);
                chosen
            }
        }
    }

    pub(super) fn take(&mut self, chosen: &[bool]) -> Vec<Change> {
        let mut taken = Vec::new();
        let mut left = VecDeque::new();
        for (change, chosen) in self.changes.drain(..).zip(chosen) {
            if *chosen {
                taken.push(change);
            } else {
                left.push_back(change);
            }
        }
        self.changes = left;
        taken
    }

    fn commit_through(&mut self, matches: impl Fn(&Change) -> bool) -> Vec<Change> {
        let count = self
            .changes
            .iter()
            .rposition(matches)
            .map_or(0, |last| last + 1);
        self.changes.drain(..count).collect()
    }

    /// Adds what the chosen changes need.
    fn close(&self, chosen: &mut [bool]) {
        for index in (0..chosen.len()).rev() {
            if !chosen[index] {
                continue;
            }
            let older = self.changes.iter().zip(chosen.iter_mut()).take(index);
            for (older, chosen) in older {
                *chosen |= self.changes[index].needs(older);
            }
        }
    }
}
