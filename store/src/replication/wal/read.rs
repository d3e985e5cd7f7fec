//! Reading the log back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use raft::eraftpb::{Entry, HardState};

use super::super::Identity;
use super::frame::{self, Mark, Record};
use super::segments;

/// The segment that is written next, and how much of it is good.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) path: PathBuf,
    pub(super) number: u64,
    pub(super) size: u64,
}

/// What a log holds.
#[derive(Debug)]
pub(in super::super) struct Found {
    pub(in super::super) identity: Identity,
    pub(in super::super) hard_state: HardState,
    /// The snapshots, oldest first.
    pub(in super::super) marks: Vec<Mark>,
    /// Entries after the last snapshot, without a gap, those that were overwritten left out.
    pub(in super::super) entries: Vec<Entry>,
    pub(super) last: Last,
}

/// Reads a log; none if there is none. Entries up to the last snapshot are left out, as in etcd: a
/// member that was restarted sends a snapshot to whoever is behind it.
pub(in super::super) fn read(dir: &Path) -> anyhow::Result<Option<Found>> {
    let all = segments(dir)?;
    let Some((number, _, path)) = all.last() else {
        return Ok(None);
    };
    let mut state = State::default();
    let mut size = 0;
    for (at, (_, _, path)) in all.iter().enumerate() {
        let last = at + 1 == all.len();
        size = (|| state.segment(&fs::read(path)?, last))()
            .with_context(|| path.display().to_string())?;
    }
    Ok(Some(Found {
        identity: state.identity.context("the WAL names no member")?,
        hard_state: state.hard_state,
        marks: state.marks,
        entries: state.entries,
        last: Last {
            path: path.clone(),
            number: *number,
            size,
        },
    }))
}

#[derive(Default)]
struct State {
    identity: Option<Identity>,
    hard_state: HardState,
    marks: Vec<Mark>,
    entries: Vec<Entry>,
}

impl State {
    /// Takes over a segment; says how many of its bytes are good.
    fn segment(&mut self, bytes: &[u8], last: bool) -> anyhow::Result<u64> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let Some((body, next)) = frame::split(rest) else {
                ensure!(last, "a bad record at byte {at}, before the last segment");
                ensure!(
                    !frame::good_frame_in(&rest[1..]),
                    "a bad record at byte {at}, with good ones after it"
                );
                ensure!(at > 0, "the segment's head is bad");
                return Ok(at as u64);
            };
            for record in frame::records(body).with_context(|| format!("at byte {at}"))? {
                self.record(record)
                    .with_context(|| format!("at byte {at}"))?;
            }
            rest = next;
        }
        Ok(bytes.len() as u64)
    }

    fn record(&mut self, record: Record) -> anyhow::Result<()> {
        match record {
            Record::Identity(identity) => match &self.identity {
                Some(known) if *known != identity => bail!("segments of different members"),
                _ => self.identity = Some(identity),
            },
            Record::HardState(state) => self.hard_state = state,
            Record::Mark(mark) => {
                let newest = self.marks.last().map_or(0, |last| last.index);
                if mark.index > newest {
                    // A snapshot of a peer is ahead of all entries; one of our own is among them.
                    if self
                        .entries
                        .last()
                        .is_none_or(|last| last.index < mark.index)
                    {
                        self.entries.clear();
                    }
                    self.entries.retain(|entry| entry.index > mark.index);
                    self.marks.push(mark);
                }
            }
            Record::Entry(entry) => {
                if let Some(first) = self.entries.first() {
                    let at = entry.index.checked_sub(first.index);
                    let at = at.context("an entry before the first")? as usize;
                    ensure!(
                        at <= self.entries.len(),
                        "a gap before entry {}",
                        entry.index
                    );
                    self.entries.truncate(at);
                } else {
                    let before = self.marks.last().map_or(0, |mark| mark.index);
                    ensure!(
                        entry.index <= before + 1,
                        "a gap before entry {}",
                        entry.index
                    );
                }
                self.entries.push(entry);
            }
        }
        Ok(())
    }
}
