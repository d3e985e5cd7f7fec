//! Contents of files: read, write, allocate, sync.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use nix::fcntl::FallocateFlags;

use super::image::Ranges;
use super::report::{MOST_NAMED, MOST_RANGES, Unsynced, UnsyncedFile};
use super::tree::{Ino, Kind};
use super::volume::{Data, Inode, Volume};

/// Space is handed out in blocks of so many bytes.
const BLOCK: u64 = 4096;

/// What may be allocated: at most so many bytes on the whole disk.
pub(super) type Quota = Option<u64>;

fn blocks(range: Range<u64>) -> Range<u64> {
    range.start / BLOCK * BLOCK..range.end.div_ceil(BLOCK).saturating_mul(BLOCK)
}

impl Volume {
    pub(super) fn read(&self, inode: &Inode, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = inode.data().opened()?;
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match file.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(super) fn write(
        &self,
        inode: &Inode,
        at: u64,
        bytes: &[u8],
        quota: Quota,
    ) -> io::Result<()> {
        let range = at..at + bytes.len() as u64;
        self.make_room(inode, range.clone(), quota)?;
        self.alter(inode, |data, file, seq| {
            data.content.write(file, seq, at, bytes)?;
            data.blocks.add(blocks(range));
            Ok(())
        })
    }

    pub(super) fn resize(&self, inode: &Inode, to: u64) -> io::Result<()> {
        self.alter(inode, |data, file, seq| {
            data.content.resize(file, seq, to)?;
            data.blocks.remove(blocks(to..to).end..u64::MAX);
            Ok(())
        })
    }

    /// fallocate(2): plain, with `FALLOC_FL_KEEP_SIZE`, `FALLOC_FL_ZERO_RANGE`
    /// or `FALLOC_FL_PUNCH_HOLE`.
    pub(super) fn allocate(
        &self,
        inode: &Inode,
        mode: i32,
        range: Range<u64>,
        quota: Quota,
    ) -> io::Result<()> {
        use FallocateFlags as Flags;
        let known =
            Flags::FALLOC_FL_KEEP_SIZE | Flags::FALLOC_FL_ZERO_RANGE | Flags::FALLOC_FL_PUNCH_HOLE;
        let mode = Flags::from_bits(mode)
            .filter(|mode| known.contains(*mode))
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EOPNOTSUPP))?;
        let punch = mode.contains(Flags::FALLOC_FL_PUNCH_HOLE);
        if !punch {
            self.make_room(inode, range.clone(), quota)?;
        }
        self.alter(inode, |data, file, seq| {
            data.content.allocate(file, seq, mode, range.clone())?;
            if punch {
                let inner = range.start.div_ceil(BLOCK) * BLOCK..range.end / BLOCK * BLOCK;
                data.blocks.remove(inner);
            } else {
                data.blocks.add(blocks(range));
            }
            Ok(())
        })
    }

    fn alter(
        &self,
        inode: &Inode,
        act: impl FnOnce(&mut Data, &std::fs::File, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        {
            let mut data = inode.data();
            let file = data.opened()?;
            let before = data.content.held();
            // Drawn under the lock: a file's records are in order.
            let done = act(&mut data, &file, self.seq());
            self.released(before, data.content.held());
            done?;
        }
        self.relieve()
    }

    fn make_room(&self, inode: &Inode, range: Range<u64>, quota: Quota) -> io::Result<()> {
        let Some(quota) = quota else { return Ok(()) };
        let need: u64 = {
            let data = inode.data();
            let gaps = data.blocks.gaps(blocks(range));
            gaps.into_iter().map(|gap| gap.end - gap.start).sum()
        };
        if need > 0 && self.used()? + need > quota {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        Ok(())
    }

    /// The space that files take, in bytes.
    pub(super) fn used(&self) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt;
        let space = self.space();
        let mut used = 0;
        for inode in space.inodes.values().filter(|it| it.kind == Kind::File) {
            let data = inode.data();
            let unlinked = space.current.links(inode.ino) == 0 && data.handles == 0;
            used += match &data.file {
                _ if unlinked || data.gone => 0,
                Some(_) => data.blocks.total(),
                None => std::fs::symlink_metadata(self.location(&space, inode.ino))?.blocks() * 512,
            };
        }
        Ok(used)
    }

    /// fsync(2) or fdatasync(2) of a file: both make its data and its size
    /// durable.
    pub(super) fn sync(&self, inode: &Inode) -> io::Result<()> {
        let grew = self.settle(&mut inode.data(), u64::MAX)?;
        let mut space = self.space();
        let changes = space.journal.commit_file(inode.ino, grew);
        self.commit(&mut space, changes)
    }

    /// fsync(2) of a directory.
    pub(super) fn sync_directory(&self, ino: Ino) -> io::Result<()> {
        let mut space = self.space();
        if let Some(path) = space.current.path(ino) {
            std::fs::File::open(self.backing.at(&path))?.sync_all()?;
        }
        let changes = space.journal.commit_directory(ino);
        self.commit(&mut space, changes)
    }

    /// Everything is durable from now on, and the backing directory plain.
    pub(super) fn sync_all(&self) -> io::Result<()> {
        self.write_back(u64::MAX)?;
        self.backing.dir().sync_all()
    }

    /// Makes the oldest half durable if too much is kept in memory, as a kernel
    /// does with dirty pages.
    fn relieve(&self) -> io::Result<()> {
        if self.held.load(Ordering::Relaxed) <= self.options.dirty_limit {
            return Ok(());
        }
        self.writebacks.fetch_add(1, Ordering::Relaxed);
        let oldest = {
            let space = self.space();
            let firsts = space.inodes.values().filter_map(|inode| {
                let data = inode.data();
                data.content.records().next().map(|record| record.seq)
            });
            firsts.min().unwrap_or(0)
        };
        let newest = self.last_seq();
        self.write_back(oldest.midpoint(newest))?;
        if self.held.load(Ordering::Relaxed) > self.options.dirty_limit {
            self.write_back(newest)?;
        }
        Ok(())
    }

    fn write_back(&self, seq: u64) -> io::Result<()> {
        let mut space = self.space();
        let changes = space.journal.commit_until(seq);
        for inode in space.inodes.values() {
            let mut data = inode.data();
            if !data.content.is_durable() {
                self.settle(&mut data, seq)?;
            }
        }
        self.commit(&mut space, changes)
    }

    /// What a power loss could take now.
    pub(super) fn unsynced(&self) -> Unsynced {
        let space = self.space();
        let mut report = Unsynced::default();
        for inode in space.dirty() {
            let data = inode.data();
            let ranges = data.content.dirty();
            report.bytes += ranges.total();
            if report.files.len() == MOST_NAMED {
                report.omitted += 1;
                continue;
            }
            let path = space.current.path(inode.ino);
            report.files.push(UnsyncedFile {
                path: match path {
                    Some(path) => path.display().to_string(),
                    None => format!("(unlinked, inode {})", inode.ino),
                },
                size: data.content.size(),
                durable_size: data.content.durable_size(),
                ranges: named(&ranges),
                writes: data.content.records().len() as u64,
            });
        }
        let changes = space.journal.iter().map(|change| change.what.clone());
        report.changes = changes.take(MOST_NAMED).collect();
        report.omitted += space.journal.len().saturating_sub(MOST_NAMED) as u64;
        report
    }
}

pub(super) fn named(ranges: &Ranges) -> Vec<(u64, u64)> {
    let pairs = ranges.iter().map(|range| (range.start, range.end));
    pairs.take(MOST_RANGES).collect()
}
