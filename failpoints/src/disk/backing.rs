//! The backing directory, as it lies below the mount.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::tree::{Ino, Kind, Tree};

/// The directory, and beside it one for what has no name in it any more but
/// would have one again after a power loss.
#[derive(Debug)]
pub(super) struct Backing {
    path: PathBuf,
    /// Open, and reached through `/proc/self/fd`: the mount may cover it.
    dir: File,
    spool: PathBuf,
    parent: File,
}

impl Backing {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other(
                "the root directory cannot be a backing directory",
            ));
        };
        let mut spool = name.to_owned();
        spool.push(".unsynced");
        let backing = Self {
            dir: File::open(&path)?,
            parent: File::open(parent)?,
            spool: spool.into(),
            path,
        };
        match fs::remove_dir_all(backing.spool()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(backing),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn dir(&self) -> &File {
        &self.dir
    }

    /// A path that names it, whatever is mounted over the directory.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        let dir = PathBuf::from(format!("/proc/self/fd/{}", self.dir.as_raw_fd()));
        // The link itself is a symbolic one: step behind it.
        let mut full = dir.join(".");
        if !path.as_os_str().is_empty() {
            full.push(path);
        }
        full
    }

    fn spool(&self) -> PathBuf {
        let parent = format!("/proc/self/fd/{}", self.parent.as_raw_fd());
        PathBuf::from(parent).join(&self.spool)
    }

    /// Where it is kept once it has no name.
    pub(super) fn spooled(&self, ino: Ino) -> PathBuf {
        self.spool().join(ino.to_string())
    }

    /// Takes the last name of something, but keeps it.
    pub(super) fn put_away(&self, path: &Path, ino: Ino) -> io::Result<()> {
        self.with_spool(|| fs::rename(self.at(path), self.spooled(ino)))
    }

    /// Keeps something that is about to be replaced.
    pub(super) fn keep(&self, path: &Path, ino: Ino) -> io::Result<()> {
        self.with_spool(|| fs::hard_link(self.at(path), self.spooled(ino)))
    }

    fn with_spool(&self, mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().mode(0o700).create(self.spool())?;
                act()
            }
            done => done,
        }
    }

    /// Forgets something without a name.
    pub(super) fn discard(&self, ino: Ino) {
        // It may have been gone before: a file is spooled only once unlinked.
        let _ = fs::remove_file(self.spooled(ino));
        let _ = fs::remove_dir(self.spool());
    }

    pub(super) fn open_file(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    pub(super) fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(self.at(path))
    }

    pub(super) fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().mode(mode).create(self.at(path))
    }

    /// Everything in it, each directory before what is in it.
    pub(super) fn scan(&self) -> io::Result<Vec<(PathBuf, Kind)>> {
        let mut found = Vec::new();
        let mut todo = vec![PathBuf::new()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(self.at(&dir))? {
                let entry = entry?;
                let path = dir.join(entry.file_name());
                let kind = entry.file_type()?;
                let kind = if kind.is_dir() {
                    todo.push(path.clone());
                    Kind::Directory
                } else if kind.is_file() {
                    Kind::File
                } else if kind.is_symlink() {
                    Kind::Symlink
                } else {
                    return Err(io::Error::other(format!(
                        "{} is neither file, directory nor symbolic link",
                        self.path.join(path).display()
                    )));
                };
                found.push((path, kind));
            }
        }
        Ok(found)
    }

    /// Renames, removes and creates until the directory is as `target` says.
    /// Modes are those of directories.
    pub(super) fn rebuild(
        &self,
        now: &Tree,
        target: &Tree,
        kind: impl Fn(Ino) -> Option<(Kind, u32)>,
    ) -> io::Result<()> {
        let mut dirs = Vec::new();
        let mut spooled = BTreeMap::new();
        for (path, ino) in now.walk() {
            match kind(ino) {
                Some((Kind::Directory, _)) => dirs.push(path),
                _ if spooled.insert(ino, ()).is_some() => fs::remove_file(self.at(&path))?,
                _ => self.put_away(&path, ino)?,
            }
        }
        dirs.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        for path in dirs {
            fs::remove_dir(self.at(&path))?;
        }
        let mut placed = BTreeMap::new();
        for (path, ino) in target.walk() {
            match (kind(ino), placed.get(&ino)) {
                (Some((Kind::Directory, mode)), _) => self.create_dir(&path, mode)?,
                (_, Some(other)) => fs::hard_link(other, self.at(&path))?,
                (_, None) => {
                    let at = self.at(&path);
                    fs::rename(self.spooled(ino), &at)?;
                    placed.insert(ino, at);
                }
            }
        }
        match fs::remove_dir_all(self.spool()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
