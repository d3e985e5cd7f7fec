//! A file's bytes: what it holds, and what of that is durable.
//!
//! The backing file always holds what readers see. For everything that is not
//! durable two things are kept in memory: the durable bytes it replaced
//! (`saved`), and the writes themselves in order (`records`). A power loss puts
//! the saved bytes back and replays those writes that survive.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use nix::fcntl::FallocateFlags;

use super::holes::{allocate, copy, zero};
use super::image::{Image, Piece, Ranges};

/// What was done to a file, and not made durable.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) seq: u64,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    Write { at: u64, data: Vec<u8> },
    Resize { to: u64 },
    Zero { at: u64, len: u64 },
}

impl Action {
    /// The bytes it changes in a file of this size; those that it appends
    /// without writing them are not among them.
    fn touches(&self, size: u64) -> Range<u64> {
        match *self {
            Self::Write { at, ref data } => at..at + data.len() as u64,
            Self::Resize { to } => to.min(size)..size,
            Self::Zero { at, len } => at..at + len,
        }
    }

    fn held(&self) -> u64 {
        match self {
            Self::Write { data, .. } => data.len() as u64,
            _ => 0,
        }
    }
}

/// What becomes of a record when the power goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Kept,
    /// Of a write, only these parts of the file.
    Torn(Vec<Range<u64>>),
}

/// What a power loss did to a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Loss {
    pub(super) lost: Ranges,
    pub(super) survived: Ranges,
    pub(super) counts: [u64; 3],
}

#[derive(Debug, Default)]
pub(super) struct Content {
    size: u64,
    durable: u64,
    saved: Image,
    records: VecDeque<Record>,
    held: u64,
}

impl Content {
    /// Of a file whose every byte is durable.
    pub(super) fn durable(size: u64) -> Self {
        Self {
            size,
            durable: size,
            ..Self::default()
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn durable_size(&self) -> u64 {
        self.durable
    }

    pub(super) fn is_durable(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn records(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.records.iter()
    }

    /// Bytes kept in memory.
    pub(super) fn held(&self) -> u64 {
        self.held + self.saved.held()
    }

    /// The ranges that are not durable.
    pub(super) fn dirty(&self) -> Ranges {
        let mut dirty = Ranges::default();
        let mut size = self.durable;
        for record in &self.records {
            dirty.add(record.action.touches(size));
            size = after(size, &record.action);
            if let Action::Resize { to } = record.action
                && to > self.durable
            {
                dirty.add(self.durable..to);
            }
        }
        dirty.remove(self.size.max(self.durable)..u64::MAX);
        dirty
    }

    pub(super) fn write(&mut self, file: &File, seq: u64, at: u64, data: &[u8]) -> io::Result<()> {
        let end = at + data.len() as u64;
        self.save(file, at..end)?;
        let written = file.write_all_at(data, at);
        if written.is_err() {
            // What a failed write left behind counts as not written.
            let _ = file.set_len(self.size);
        }
        written?;
        self.push(
            seq,
            Action::Write {
                at,
                data: data.to_vec(),
            },
        );
        Ok(())
    }

    pub(super) fn resize(&mut self, file: &File, seq: u64, to: u64) -> io::Result<()> {
        self.save(file, to..self.size.max(to))?;
        file.set_len(to)?;
        if to != self.size {
            self.push(seq, Action::Resize { to });
        }
        Ok(())
    }

    /// fallocate(2) in any of its modes that keep what is behind the range in
    /// place.
    pub(super) fn allocate(
        &mut self,
        file: &File,
        seq: u64,
        mode: FallocateFlags,
        range: Range<u64>,
    ) -> io::Result<()> {
        let zeroes = mode.intersects(
            FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_ZERO_RANGE,
        );
        let inside = range.start.min(self.size)..range.end.min(self.size);
        if zeroes {
            self.save(file, inside.clone())?;
        }
        allocate(file, mode, &range)?;
        if zeroes && !inside.is_empty() {
            let len = inside.end - inside.start;
            self.push(
                seq,
                Action::Zero {
                    at: inside.start,
                    len,
                },
            );
        }
        if !mode.contains(FallocateFlags::FALLOC_FL_KEEP_SIZE) && range.end > self.size {
            self.push(seq, Action::Resize { to: range.end });
        }
        Ok(())
    }

    /// Everything up to this record is durable from now on. Says whether the
    /// durable size changed.
    pub(super) fn settle(&mut self, seq: u64) -> bool {
        let before = self.durable;
        let count = self.records.partition_point(|record| record.seq <= seq);
        if count == self.records.len() {
            self.records.clear();
            self.held = 0;
            self.saved.clear();
            self.durable = self.size;
            return self.durable != before;
        }
        for record in self.records.drain(..count) {
            self.held -= record.action.held();
            replay(&mut self.saved, &mut self.durable, &record.action, None);
        }
        let mut touched = Ranges::default();
        let mut size = self.durable;
        for record in &self.records {
            touched.add(record.action.touches(size.max(self.durable)));
            size = after(size, &record.action);
        }
        self.saved.retain(&touched);
        self.durable != before
    }

    /// Takes everything that is not durable but what its fate spares, and
    /// makes what is left durable.
    ///
    /// Fates are asked in the order of the records. A truncation, or a hole
    /// punched, that is lost takes what was written after it along: its blocks
    /// were freed by the journal before they could be written anew.
    pub(super) fn lose(
        &mut self,
        file: &File,
        mut fate: impl FnMut(&Record) -> Fate,
    ) -> io::Result<Loss> {
        let mut loss = Loss::default();
        let mut blocked = false;
        let mut saved = std::mem::take(&mut self.saved);
        let (mut size, mut seen) = (self.durable, self.durable);
        for record in std::mem::take(&mut self.records) {
            let range = record.action.touches(seen);
            seen = after(seen, &record.action);
            let barrier = shrinks(&record.action, &range);
            let range = match record.action {
                Action::Resize { .. } => 0..0,
                _ => range,
            };
            let fate = match fate(&record) {
                _ if blocked => Fate::Lost,
                fate => fate,
            };
            loss.counts[match &fate {
                Fate::Lost => 0,
                Fate::Kept => 1,
                Fate::Torn(_) => 2,
            }] += 1;
            loss.lost.add(range.clone());
            loss.survived.remove(range.clone());
            match &fate {
                Fate::Lost => blocked |= barrier,
                Fate::Kept => {
                    loss.lost.remove(range.clone());
                    loss.survived.add(range);
                    replay(&mut saved, &mut size, &record.action, None);
                }
                Fate::Torn(parts) => {
                    for part in parts {
                        loss.lost.remove(part.clone());
                        loss.survived.add(part.clone());
                    }
                    replay(&mut saved, &mut size, &record.action, Some(parts));
                }
            }
        }
        file.set_len(size)?;
        for (at, piece) in saved.iter() {
            match piece {
                Piece::Bytes(bytes) => file.write_all_at(bytes, at)?,
                Piece::Zeros(len) => zero(file, at..at + len)?,
            }
        }
        *self = Self::durable(size);
        Ok(loss)
    }

    fn push(&mut self, seq: u64, action: Action) {
        self.size = after(self.size, &action);
        self.held += action.held();
        self.records.push_back(Record { seq, action });
    }

    /// Keeps the durable bytes of a range that is about to change. What is not
    /// kept yet has not changed yet.
    fn save(&mut self, file: &File, range: Range<u64>) -> io::Result<()> {
        let known = range.start.min(self.durable)..range.end.min(self.durable);
        for gap in self.saved.gaps(known) {
            copy(file, gap, &mut self.saved)?;
        }
        Ok(())
    }
}

fn shrinks(action: &Action, range: &Range<u64>) -> bool {
    !matches!(action, Action::Write { .. }) && !range.is_empty()
}

/// The size after an action.
fn after(size: u64, action: &Action) -> u64 {
    match *action {
        Action::Write { at, ref data } => size.max(at + data.len() as u64),
        Action::Resize { to } => to,
        Action::Zero { .. } => size,
    }
}

/// Does to known bytes what the action did to the file.
fn replay(image: &mut Image, size: &mut u64, action: &Action, parts: Option<&[Range<u64>]>) {
    match *action {
        Action::Write { at, ref data } => {
            let whole = at..at + data.len() as u64;
            let whole = std::array::from_ref(&whole);
            for part in parts.unwrap_or(whole) {
                if part.start > *size {
                    image.put(*size, Piece::Zeros(part.start - *size));
                }
                let bytes = &data[(part.start - at) as usize..(part.end - at) as usize];
                image.put(part.start, Piece::Bytes(bytes.to_vec()));
                *size = part.end.max(*size);
            }
        }
        Action::Resize { to } => {
            if to > *size {
                image.put(*size, Piece::Zeros(to - *size));
            }
            image.forget(to..u64::MAX);
            *size = to;
        }
        Action::Zero { at, len } => {
            let end = (at + len).min(*size);
            if at < end {
                image.put(at, Piece::Zeros(end - at));
            }
        }
    }
}
