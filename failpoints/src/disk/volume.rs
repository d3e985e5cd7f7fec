//! Files and names over a backing directory, and what of them is durable.
//!
//! The part of the disk that knows nothing of FUSE: every method is an
//! operation of a file system, and [`Volume::lose`] is the power loss. Names
//! are locked before contents, where both are.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata as Attributes};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Options;
use super::backing::Backing;
use super::content::Content;
use super::holes::allocated;
use super::image::Ranges;
use super::journal::{Change, Journal};
use super::tree::{Edit, Ino, Kind, ROOT, Tree};

/// More changes of names than this are not kept: the oldest become durable.
const MOST_CHANGES: usize = 4096;

/// Something with an inode number.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) ino: Ino,
    pub(super) kind: Kind,
    data: Mutex<Data>,
    /// How often the kernel was told of it, less how often it forgot.
    lookups: AtomicU64,
}

/// What is inside a regular file. It is open while it has to be.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) file: Option<Arc<File>>,
    pub(super) content: Content,
    /// The parts that take space.
    pub(super) blocks: Ranges,
    pub(super) handles: u64,
    /// A power loss took it, name and all.
    pub(super) gone: bool,
}

impl Inode {
    fn new(ino: Ino, kind: Kind) -> Arc<Self> {
        Arc::new(Self {
            ino,
            kind,
            data: Mutex::default(),
            lookups: AtomicU64::new(0),
        })
    }

    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Data {
    pub(super) fn open(&mut self, file: File) -> io::Result<()> {
        self.content = Content::durable(file.metadata()?.len());
        self.blocks = allocated(&file)?;
        self.file = Some(Arc::new(file));
        Ok(())
    }

    /// The file, of an inode that was opened before.
    pub(super) fn opened(&self) -> io::Result<Arc<File>> {
        match &self.file {
            Some(file) if !self.gone => Ok(Arc::clone(file)),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }

    /// Closes the file if nothing needs it open.
    pub(super) fn close_idle(&mut self) {
        if self.handles == 0 && self.content.is_durable() {
            self.file = None;
        }
    }
}

/// Names, and what exists.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) current: Tree,
    pub(super) durable: Tree,
    pub(super) journal: Journal,
    pub(super) inodes: HashMap<Ino, Arc<Inode>>,
    /// Modes of directories, to make them again.
    pub(super) modes: HashMap<Ino, u32>,
    pub(super) next: Ino,
}

impl Space {
    /// Files with data that are not durable, by number: what is drawn for them must not depend on
    /// the order of a hash table.
    pub(super) fn dirty(&self) -> Vec<&Arc<Inode>> {
        let inodes = self.inodes.values();
        let mut dirty: Vec<_> = inodes
            .filter(|inode| !inode.data().content.is_durable())
            .collect();
        dirty.sort_by_key(|inode| inode.ino);
        dirty
    }
}

#[derive(Debug)]
pub(super) struct Volume {
    pub(super) backing: Backing,
    pub(super) options: Options,
    space: Mutex<Space>,
    seq: AtomicU64,
    /// Bytes in memory for what is not durable.
    pub(super) held: AtomicU64,
    pub(super) writebacks: AtomicU64,
}

impl Volume {
    /// Everything in the directory is durable at first.
    pub(super) fn open(path: &Path, options: Options) -> io::Result<Self> {
        let backing = Backing::open(path)?;
        let mut space = Space {
            current: Tree::new(),
            durable: Tree::new(),
            journal: Journal::new(options.metadata),
            inodes: HashMap::from([(ROOT, Inode::new(ROOT, Kind::Directory))]),
            modes: HashMap::new(),
            next: ROOT + 1,
        };
        let mut known: HashMap<PathBuf, Ino> = HashMap::from([(PathBuf::new(), ROOT)]);
        let mut linked: HashMap<(u64, u64), Ino> = HashMap::new();
        for (path, kind) in backing.scan()? {
            let meta = fs::symlink_metadata(backing.at(&path))?;
            let ino = match (kind, std::os::unix::fs::MetadataExt::nlink(&meta)) {
                (Kind::File, 2..) => {
                    use std::os::unix::fs::MetadataExt;
                    let next = space.next;
                    *linked.entry((meta.dev(), meta.ino())).or_insert(next)
                }
                _ => space.next,
            };
            if ino == space.next {
                space.adopt(kind, meta.permissions().mode());
            }
            let parent = path.parent().and_then(|parent| known.get(parent));
            let (Some(&dir), Some(name)) = (parent, path.file_name()) else {
                continue;
            };
            let name = name.to_owned();
            let to = Some((ino, kind));
            space.current.apply(&Edit { dir, name, to });
            known.insert(path, ino);
        }
        space.durable = space.current.clone();
        Ok(Self {
            backing,
            options,
            space: Mutex::new(space),
            seq: AtomicU64::new(1),
            held: AtomicU64::new(0),
            writebacks: AtomicU64::new(0),
        })
    }

    pub(super) fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed) - 1
    }

    pub(super) fn inode(&self, ino: Ino) -> io::Result<Arc<Inode>> {
        self.space().inode(ino)
    }

    /// The path it is known by: below the root, or none if it has no name.
    pub(super) fn path(&self, ino: Ino) -> Option<PathBuf> {
        self.space().current.path(ino)
    }

    pub(super) fn lookup(&self, dir: Ino, name: &OsStr) -> io::Result<Ino> {
        self.space().current.get(dir, name).ok_or_else(missing)
    }

    /// The kernel was told of it.
    pub(super) fn remember(&self, ino: Ino) {
        if let Ok(inode) = self.inode(ino) {
            inode.lookups.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn forget(&self, ino: Ino, times: u64) {
        let mut space = self.space();
        if let Some(inode) = space.inodes.get(&ino) {
            inode.lookups.fetch_sub(times, Ordering::Relaxed);
        }
        space.drop_unused(ino);
    }

    pub(super) fn attributes(&self, ino: Ino) -> io::Result<Attributes> {
        let space = self.space();
        let inode = space.inode(ino)?;
        let data = inode.data();
        if data.gone {
            return Err(io::Error::from_raw_os_error(libc::ESTALE));
        }
        match &data.file {
            Some(file) => file.metadata(),
            None => fs::symlink_metadata(self.location(&space, ino)),
        }
    }

    pub(super) fn links(&self, ino: Ino) -> usize {
        self.space().current.links(ino)
    }

    /// Where its backing file is now.
    pub(super) fn location(&self, space: &Space, ino: Ino) -> PathBuf {
        match space.current.path(ino) {
            Some(path) => self.backing.at(&path),
            None => self.backing.spooled(ino),
        }
    }

    pub(super) fn set_mode(&self, ino: Ino, mode: u32) -> io::Result<()> {
        let mut space = self.space();
        let permissions = fs::Permissions::from_mode(mode & 0o7777);
        fs::set_permissions(self.location(&space, ino), permissions)?;
        if let Some(kept) = space.modes.get_mut(&ino) {
            *kept = mode & 0o7777;
        }
        Ok(())
    }

    /// Opens a regular file, and counts it as open.
    pub(super) fn open_file(&self, ino: Ino) -> io::Result<Arc<Inode>> {
        let space = self.space();
        let inode = space.inode(ino)?;
        {
            let mut data = inode.data();
            if data.gone {
                return Err(io::Error::from_raw_os_error(libc::ESTALE));
            }
            if data.file.is_none() {
                let file = self.backing.open_file(&self.location(&space, ino))?;
                data.open(file)?;
            }
            data.handles += 1;
        }
        Ok(inode)
    }

    /// Takes back one [`open_file`](Self::open_file).
    pub(super) fn release(&self, inode: &Inode) {
        let mut data = inode.data();
        data.handles = data.handles.saturating_sub(1);
        data.close_idle();
    }

    /// Names, kinds and numbers of what is in a directory.
    pub(super) fn list(&self, dir: Ino) -> Vec<(std::ffi::OsString, Ino, Kind)> {
        let space = self.space();
        let entries = space.current.entries(dir);
        entries
            .filter_map(|(name, ino)| Some((name.clone(), ino, space.inodes.get(&ino)?.kind)))
            .collect()
    }

    pub(super) fn parent(&self, ino: Ino) -> Ino {
        self.space().current.parent(ino)
    }

    /// Every inode the kernel may know.
    pub(super) fn known(&self) -> Vec<Ino> {
        self.space().inodes.keys().copied().collect()
    }

    /// Adds to the journal, and keeps it short.
    pub(super) fn record(&self, space: &mut Space, change: Change) -> io::Result<()> {
        for edit in &change.edits {
            space.current.apply(edit);
        }
        space.journal.push(change);
        if space.journal.len() > MOST_CHANGES {
            let middle = space.journal.iter().nth(MOST_CHANGES / 2);
            let seq = middle.map_or(0, |change| change.seq);
            self.writebacks.fetch_add(1, Ordering::Relaxed);
            let changes = space.journal.commit_until(seq);
            self.commit(space, changes)?;
        }
        Ok(())
    }

    /// Makes changes of names durable.
    pub(super) fn commit(&self, space: &mut Space, changes: Vec<Change>) -> io::Result<()> {
        for change in &changes {
            if let Some(inode) = change.flush.and_then(|ino| space.inodes.get(&ino)) {
                self.settle(&mut inode.data(), change.seq)?;
            }
            for edit in &change.edits {
                space.durable.apply(edit);
            }
        }
        let mut touched: Vec<Ino> = changes.into_iter().flat_map(|it| it.inodes).collect();
        touched.sort_unstable();
        touched.dedup();
        for ino in touched {
            if !space.has_a_name(ino) {
                self.backing.discard(ino);
                if let Some(inode) = space.inodes.get(&ino) {
                    let mut data = inode.data();
                    let before = data.content.held();
                    data.content.settle(u64::MAX);
                    self.released(before, 0);
                }
                space.drop_unused(ino);
            }
        }
        Ok(())
    }

    /// Makes a file's data durable up to a moment; says whether its durable
    /// size changed. The real file is synced first.
    pub(super) fn settle(&self, data: &mut Data, seq: u64) -> io::Result<bool> {
        if let Some(file) = &data.file {
            file.sync_data()?;
        }
        let before = data.content.held();
        let grew = data.content.settle(seq);
        self.released(before, data.content.held());
        data.close_idle();
        Ok(grew)
    }

    pub(super) fn released(&self, before: u64, after: u64) {
        if after >= before {
            self.held.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.held.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

impl Space {
    pub(super) fn inode(&self, ino: Ino) -> io::Result<Arc<Inode>> {
        let inode = self.inodes.get(&ino).cloned();
        inode.ok_or_else(|| io::Error::from_raw_os_error(libc::ESTALE))
    }

    /// A new inode.
    pub(super) fn adopt(&mut self, kind: Kind, mode: u32) -> Arc<Inode> {
        let inode = Inode::new(self.next, kind);
        self.inodes.insert(self.next, Arc::clone(&inode));
        if kind == Kind::Directory {
            self.modes.insert(self.next, mode & 0o7777);
        }
        self.next += 1;
        inode
    }

    /// Whether it has a name, or would have after some power loss.
    fn has_a_name(&self, ino: Ino) -> bool {
        ino == ROOT
            || self.current.links(ino) > 0
            || self.durable.links(ino) > 0
            || self.journal.iter().any(|it| it.inodes.contains(&ino))
    }

    pub(super) fn drop_unused(&mut self, ino: Ino) {
        let Some(inode) = self.inodes.get(&ino) else {
            return;
        };
        if inode.lookups.load(Ordering::Relaxed) == 0 && !self.has_a_name(ino) {
            self.inodes.remove(&ino);
            self.modes.remove(&ino);
        }
    }
}

pub(super) fn missing() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}
