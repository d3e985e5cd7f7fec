//! The log on disk: segments `member/wal/<number>-<first index>.wal`, named as etcd's
//! (server/storage/wal), each a row of frames.
//!
//! A frame is one write: a mark, a length, a CRC-32 and records. It is on disk before the next one
//! is written. So a crash can tear the last frame only; a bad frame before a good one is damage,
//! and refused. Segments are never removed.

mod frame;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use raft::eraftpb::{Entry, HardState};

use super::Identity;
use frame::Frame;
pub(super) use frame::Mark;
pub(super) use read::{Found, read};

/// Where a segment ends, as in etcd: the next frame begins a new one.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// The log, open for appending.
pub(super) struct Wal {
    dir: PathBuf,
    file: File,
    size: u64,
    number: u64,
    segment_bytes: u64,
    identity: Identity,
    hard_state: HardState,
    mark: Option<Mark>,
    /// The index after the last entry: names the next segment.
    next: u64,
}

/// What one write holds.
#[derive(Default)]
pub(super) struct Batch<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) hard_state: Option<&'a HardState>,
    pub(super) mark: Option<&'a Mark>,
}

impl Wal {
    /// A new log, with its first entries and state. There must be none yet.
    pub(super) fn create(
        dir: &Path,
        identity: Identity,
        entries: &[Entry],
        hard_state: &HardState,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        if let Some(parent) = dir.parent() {
            sync_dir(parent)?;
        }
        let mut frame = Frame::default();
        frame.identity(&identity);
        for entry in entries {
            frame.entry(entry)?;
        }
        frame.hard_state(hard_state)?;
        let (file, size) = begin_segment(dir, 0, 0, frame)?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
            size,
            number: 0,
            segment_bytes: SEGMENT_BYTES,
            identity,
            hard_state: hard_state.clone(),
            mark: None,
            next: entries.last().map_or(1, |entry| entry.index + 1),
        })
    }

    /// Goes on after what was [`read`]; what a crash tore off the end is cut.
    pub(super) fn open(dir: &Path, found: &Found) -> anyhow::Result<Self> {
        let path = &found.last.path;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .with_context(|| path.display().to_string())?;
        if file.metadata()?.len() != found.last.size {
            crate::warning!("cut a torn record off the end of the WAL",
                "path": path.display().to_string(), "size": found.last.size);
            file.set_len(found.last.size)?;
        }
        file.sync_all()?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
            size: found.last.size,
            number: found.last.number,
            segment_bytes: SEGMENT_BYTES,
            identity: found.identity.clone(),
            hard_state: found.hard_state.clone(),
            mark: found.marks.last().cloned(),
            next: found.entries.last().map_or_else(
                || found.marks.last().map_or(1, |mark| mark.index + 1),
                |entry| entry.index + 1,
            ),
        })
    }

    /// Appends a batch by one write and makes it durable.
    pub(super) fn append(&mut self, batch: &Batch<'_>) -> std::io::Result<()> {
        if self.size >= self.segment_bytes {
            self.rotate()?;
        }
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state.clone();
        }
        if let Some(mark) = batch.mark {
            self.mark = Some(mark.clone());
            self.next = self.next.max(mark.index + 1);
        }
        if let Some(last) = batch.entries.last() {
            self.next = last.index + 1;
        }
        let mut frame = Frame::default();
        for entry in batch.entries {
            frame.entry(entry)?;
        }
        if let Some(hard_state) = batch.hard_state {
            frame.hard_state(hard_state)?;
        }
        if let Some(mark) = batch.mark {
            frame.mark(mark)?;
        }
        let bytes = frame.finish();
        self.file.write_all(&bytes)?;
        self.size += bytes.len() as u64;
        let begin = Instant::now();
        self.file.sync_data()?;
        let took = begin.elapsed();
        if took.as_secs() >= 1 {
            crate::warning!("slow fdatasync", "took": format!("{took:?}"), "expected-duration": "1s");
        }
        Ok(())
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        let mut frame = Frame::default();
        frame.identity(&self.identity);
        frame.hard_state(&self.hard_state)?;
        if let Some(mark) = &self.mark {
            frame.mark(mark)?;
        }
        self.number += 1;
        (self.file, self.size) = begin_segment(&self.dir, self.number, self.next, frame)?;
        crate::info!("created a new WAL segment",
            "path": segment(&self.dir, self.number, self.next).display().to_string());
        Ok(())
    }
}

fn segment(dir: &Path, number: u64, index: u64) -> PathBuf {
    dir.join(format!("{number:016x}-{index:016x}.wal"))
}

/// Makes a segment that has its head from the moment it has its name.
fn begin_segment(dir: &Path, number: u64, index: u64, head: Frame) -> std::io::Result<(File, u64)> {
    let temporary = dir.join(format!("{number}.tmp"));
    let bytes = head.finish();
    let _ = match fs::remove_file(&temporary) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        done => done,
    };
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, segment(dir, number, index))?;
    sync_dir(dir)?;
    Ok((file, bytes.len() as u64))
}

/// Makes names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The segments of a directory in order: number, first index, path.
fn segments(dir: &Path) -> anyhow::Result<Vec<(u64, u64, PathBuf)>> {
    let mut all = Vec::new();
    let listing = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
        listing => listing.with_context(|| dir.display().to_string())?,
    };
    for file in listing {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(stem) = name.strip_suffix(".wal") else {
            continue;
        };
        let parsed = stem.split_once('-').and_then(|(number, index)| {
            let hex = |text| u64::from_str_radix(text, 16).ok();
            Some((hex(number)?, hex(index)?))
        });
        let (number, index) = parsed.with_context(|| format!("a WAL file's name: {name}"))?;
        all.push((number, index, path));
    }
    all.sort();
    for (at, (number, _, path)) in all.iter().enumerate() {
        ensure!(
            *number == at as u64,
            "a WAL segment is missing before {}",
            path.display()
        );
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
