//! The volume as a FUSE file system.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use nix::sys::statvfs::fstatvfs;

use super::attributes::kind;
use super::rule::{Met, Op, flip};
use super::shared::{Handle, Shared};
use super::tree::Kind;

/// The kernel asks for names and attributes each time: a power loss changes
/// them behind its back. Pages are cached, and invalidated by the server.
const TTL: Duration = Duration::ZERO;

/// Larger writes come in several: each is a record of its own.
const MAX_WRITE: u32 = 1 << 20;

/// One mount.
#[derive(Debug)]
pub(super) struct Mounted(pub(super) Arc<Shared>);

fn answer(reply: ReplyEmpty) -> impl FnOnce(io::Result<()>) {
    move |done| match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

fn answer_entry(reply: ReplyEntry) -> impl FnOnce(io::Result<FileAttr>) {
    move |done| match done {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(error) => reply.error(error.into()),
    }
}

impl Mounted {
    /// An operation on a name in a directory.
    fn change_name<T>(
        &self,
        parent: INodeNo,
        name: &OsStr,
        act: impl FnOnce(&Shared, &OsStr) -> io::Result<T> + Send + 'static,
        reply: impl FnOnce(io::Result<T>) + Send + 'static,
    ) {
        let of = name.to_owned();
        let act = move |shared: &Shared, _: &_| act(shared, &of);
        self.0
            .perform(Op::Name, parent.0, Some(name.to_owned()), act, reply);
    }
}

impl Filesystem for Mounted {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // A refusal names a value that would do; the default does as well.
        let _ = config.set_max_write(MAX_WRITE);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.volume.lookup(parent.0, name);
        answer_entry(reply)(found.and_then(|ino| self.0.entry(ino)));
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.0.volume.forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.attr(ino.0) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let ino = ino.0;
        let rest = move |shared: &Shared| {
            if let Some(mode) = mode {
                shared.volume.set_mode(ino, mode)?;
            }
            if uid.is_some() || gid.is_some() {
                shared.chown(ino, uid, gid)?;
            }
            if atime.is_some() || mtime.is_some() {
                shared.set_times(ino, [atime, mtime])?;
            }
            shared.attr(ino)
        };
        let answer = move |done: io::Result<FileAttr>| match done {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error.into()),
        };
        let Some(size) = size else {
            return answer(rest(&self.0));
        };
        let act = move |shared: &Shared, _: &_| {
            shared.truncate(ino, size)?;
            rest(shared)
        };
        self.0.perform(Op::Write, ino, None, act, answer);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.0.volume.read_link(ino.0) {
            Ok(target) => reply.data(target.as_os_str().as_bytes()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        if mode & libc::S_IFMT != libc::S_IFREG {
            return reply.error(Errno::EPERM);
        }
        let (uid, gid) = (request.uid(), request.gid());
        let act = move |shared: &Shared, name: &OsStr| {
            let inode = shared.volume.create(parent.0, name, mode)?;
            shared.volume.release(&inode);
            shared.own(inode.ino, uid, gid)?;
            shared.entry(inode.ino)
        };
        self.change_name(parent, name, act, answer_entry(reply));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let (uid, gid) = (request.uid(), request.gid());
        let act = move |shared: &Shared, name: &OsStr| {
            let ino = shared.volume.mkdir(parent.0, name, mode)?;
            shared.own(ino, uid, gid)?;
            shared.entry(ino)
        };
        self.change_name(parent, name, act, answer_entry(reply));
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let target = target.to_owned();
        let act = move |shared: &Shared, name: &OsStr| {
            let ino = shared.volume.symlink(parent.0, name, &target)?;
            shared.entry(ino)
        };
        self.change_name(parent, name, act, answer_entry(reply));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let act = move |shared: &Shared, name: &OsStr| shared.volume.unlink(parent.0, name);
        self.change_name(parent, name, act, answer(reply));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let act = move |shared: &Shared, name: &OsStr| shared.volume.rmdir(parent.0, name);
        self.change_name(parent, name, act, answer(reply));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let known = RenameFlags::RENAME_NOREPLACE | RenameFlags::RENAME_EXCHANGE;
        if !known.contains(flags) {
            return reply.error(Errno::EINVAL);
        }
        let new_name = new_name.to_owned();
        let act = move |shared: &Shared, name: &OsStr| {
            let (old, new) = ((parent.0, name), (new_parent.0, &*new_name));
            if flags.contains(RenameFlags::RENAME_EXCHANGE) {
                return shared.volume.exchange(old, new);
            }
            let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
            shared.volume.rename(old, new, replace)
        };
        self.change_name(parent, name, act, answer(reply));
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let act = move |shared: &Shared, name: &OsStr| {
            shared.volume.link(ino.0, parent.0, name)?;
            shared.entry(ino.0)
        };
        self.change_name(parent, name, act, answer_entry(reply));
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.0.volume.open_file(ino.0) {
            Ok(inode) => {
                let synced = flags.0 & libc::O_DSYNC != 0;
                let handle = self.0.keep(Handle::File { inode, synced });
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (uid, gid) = (request.uid(), request.gid());
        let act = move |shared: &Shared, name: &OsStr| {
            let inode = shared.volume.create(parent.0, name, mode)?;
            shared.own(inode.ino, uid, gid)?;
            let attr = shared.entry(inode.ino)?;
            let synced = flags & libc::O_DSYNC != 0;
            Ok((attr, shared.keep(Handle::File { inode, synced })))
        };
        let reply = move |done: io::Result<(FileAttr, u64)>| match done {
            Ok((attr, handle)) => {
                let handle = FileHandle(handle);
                reply.created(&TTL, &attr, Generation(0), handle, FopenFlags::empty());
            }
            Err(error) => reply.error(error.into()),
        };
        self.change_name(parent, name, act, reply);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let act = move |shared: &Shared, met: &Met| {
            shared.counters.reads.fetch_add(1, Ordering::Relaxed);
            let (inode, _) = shared.file(handle.0)?;
            let mut bytes = shared.volume.read(&inode, offset, size as usize)?;
            for flips in &met.flips {
                flip(&mut bytes, offset, *flips);
            }
            Ok(bytes)
        };
        let reply = move |done: io::Result<Vec<u8>>| match done {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        };
        self.0.perform(Op::Read, ino.0, None, act, reply);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        let act = move |shared: &Shared, met: &Met| {
            let (inode, synced) = shared.file(handle.0)?;
            shared.volume.write(&inode, offset, &data, met.quota)?;
            let counters = &shared.counters;
            counters.writes.fetch_add(1, Ordering::Relaxed);
            counters
                .written
                .fetch_add(data.len() as u64, Ordering::Relaxed);
            if synced {
                shared.sync_after_write(&inode)?;
            }
            Ok(data.len() as u32)
        };
        let reply = move |done: io::Result<u32>| match done {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error.into()),
        };
        self.0.perform(Op::Write, ino.0, None, act, reply);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let act = move |shared: &Shared, met: &Met| {
            let (inode, _) = shared.file(handle.0)?;
            let range = offset..offset + length;
            shared.volume.allocate(&inode, mode, range, met.quota)
        };
        self.0.perform(Op::Write, ino.0, None, act, answer(reply));
    }

    fn fsync(&self, _: &Request, ino: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let act = move |shared: &Shared, _: &_| {
            shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
            let (inode, _) = shared.file(handle.0)?;
            shared.volume.sync(&inode)
        };
        self.0.perform(Op::Fsync, ino.0, None, act, answer(reply));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.close(handle.0);
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let mut entries = vec![
            (".".into(), ino.0, Kind::Directory),
            ("..".into(), self.0.volume.parent(ino.0), Kind::Directory),
        ];
        entries.extend(self.0.volume.list(ino.0));
        let handle = self.0.keep(Handle::Directory(entries.into()));
        reply.opened(FileHandle(handle), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let Ok(Handle::Directory(entries)) = self.0.handle(handle.0) else {
            return reply.error(Errno::EBADF);
        };
        for (index, (name, ino, what)) in entries.iter().enumerate().skip(offset as usize) {
            if reply.add(INodeNo(*ino), index as u64 + 1, kind(*what), name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.0.close(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let act = move |shared: &Shared, _: &_| {
            shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
            shared.volume.sync_directory(ino.0)
        };
        self.0.perform(Op::Fsync, ino.0, None, act, answer(reply));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let found = fstatvfs(self.0.volume.backing.dir());
        let Ok(found) = found else {
            return reply.error(Errno::EIO);
        };
        let size = found.fragment_size();
        let (mut blocks, mut free) = (found.blocks(), found.blocks_available());
        let quota = self.0.rules.quota();
        if let (Some(quota), Ok(used)) = (quota, self.0.volume.used()) {
            blocks = quota / size;
            free = quota.saturating_sub(used) / size;
        }
        let (files, free_files) = (found.files(), found.files_free());
        let size = size as u32;
        reply.statfs(blocks, free, free, files, free_files, size, 255, size);
    }
}
