//! Attributes of files, as FUSE wants them.

use std::fs::Metadata as Attributes;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::shared::Shared;
use super::tree::{Ino, Kind};

pub(super) fn kind(kind: Kind) -> FileType {
    match kind {
        Kind::Directory => FileType::Directory,
        Kind::File => FileType::RegularFile,
        Kind::Symlink => FileType::Symlink,
    }
}

fn time(seconds: i64, nanos: i64) -> SystemTime {
    let nanos = Duration::from_nanos(nanos.unsigned_abs());
    match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + nanos,
        Err(_) => UNIX_EPOCH,
    }
}

impl Shared {
    pub(super) fn attr(&self, ino: Ino) -> io::Result<FileAttr> {
        let meta: Attributes = self.volume.attributes(ino)?;
        let kind = FileType::from_std(meta.file_type());
        let nlink = match kind {
            Some(FileType::Directory) => meta.nlink() as u32,
            _ => self.volume.links(ino) as u32,
        };
        Ok(FileAttr {
            ino: INodeNo(ino),
            size: meta.size(),
            blocks: meta.blocks(),
            atime: time(meta.atime(), meta.atime_nsec()),
            mtime: time(meta.mtime(), meta.mtime_nsec()),
            ctime: time(meta.ctime(), meta.ctime_nsec()),
            crtime: UNIX_EPOCH,
            kind: kind.unwrap_or(FileType::RegularFile),
            perm: (meta.mode() & 0o7777) as u16,
            nlink,
            uid: meta.uid(),
            gid: meta.gid(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// The kernel holds a reference from now on.
    pub(super) fn entry(&self, ino: Ino) -> io::Result<FileAttr> {
        let attr = self.attr(ino)?;
        self.volume.remember(ino);
        Ok(attr)
    }

    /// New files belong to who made them, not to the server.
    pub(super) fn own(&self, ino: Ino, uid: u32, gid: u32) -> io::Result<()> {
        let meta = self.volume.attributes(ino)?;
        if (meta.uid(), meta.gid()) == (uid, gid) {
            return Ok(());
        }
        self.chown(ino, Some(uid), Some(gid))
    }

    pub(super) fn chown(&self, ino: Ino, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let space = self.volume.space();
        std::os::unix::fs::lchown(self.volume.location(&space, ino), uid, gid)
    }

    pub(super) fn set_times(&self, ino: Ino, times: [Option<TimeOrNow>; 2]) -> io::Result<()> {
        let [accessed, modified] = times.map(|time| match time {
            None => TimeSpec::UTIME_OMIT,
            Some(TimeOrNow::Now) => TimeSpec::UTIME_NOW,
            Some(TimeOrNow::SpecificTime(time)) => {
                let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                TimeSpec::from_duration(since)
            }
        });
        let space = self.volume.space();
        let path = self.volume.location(&space, ino);
        let flags = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(
            nix::fcntl::AT_FDCWD,
            &path,
            &accessed,
            &modified,
            flags,
        )?)
    }

    pub(super) fn truncate(&self, ino: Ino, to: u64) -> io::Result<()> {
        let inode = self.volume.open_file(ino)?;
        let done = self.volume.resize(&inode, to);
        self.volume.release(&inode);
        done
    }
}
