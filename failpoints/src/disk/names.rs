//! Changes of names: create, link, rename, unlink.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::journal::Change;
use super::tree::{Edit, Ino, Kind};
use super::volume::{Inode, Space, Volume, missing};

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn set(dir: Ino, name: &OsStr, to: Option<(Ino, Kind)>) -> Edit {
    Edit {
        dir,
        name: name.to_owned(),
        to,
    }
}

impl Space {
    /// The path of an entry, existing or not, in an existing directory.
    fn entry(&self, dir: Ino, name: &OsStr) -> io::Result<PathBuf> {
        match self.inodes.get(&dir).map(|inode| inode.kind) {
            Some(Kind::Directory) => {}
            Some(_) => return Err(errno(libc::ENOTDIR)),
            None => return Err(errno(libc::ESTALE)),
        }
        let path = self.current.path(dir).ok_or_else(missing)?;
        Ok(path.join(name))
    }

    fn vacant(&self, dir: Ino, name: &OsStr) -> io::Result<PathBuf> {
        let path = self.entry(dir, name)?;
        match self.current.get(dir, name) {
            Some(_) => Err(errno(libc::EEXIST)),
            None => Ok(path),
        }
    }

    fn occupied(&self, dir: Ino, name: &OsStr) -> io::Result<(PathBuf, Arc<Inode>)> {
        let path = self.entry(dir, name)?;
        let ino = self.current.get(dir, name).ok_or_else(missing)?;
        Ok((path, self.inode(ino)?))
    }
}

impl Volume {
    fn change(&self, what: String, edits: Vec<Edit>, inodes: Vec<Ino>) -> Change {
        Change {
            seq: self.seq(),
            what,
            edits,
            inodes,
            moves_directory: false,
            flush: None,
        }
    }

    fn made(
        &self,
        space: &mut Space,
        (dir, name): (Ino, &OsStr),
        (kind, mode): (Kind, u32),
        path: &Path,
    ) -> io::Result<Arc<Inode>> {
        let inode = space.adopt(kind, mode);
        let what = match kind {
            Kind::Directory => "mkdir",
            Kind::File => "create",
            Kind::Symlink => "symlink",
        };
        let edits = vec![set(dir, name, Some((inode.ino, kind)))];
        let change = self.change(format!("{what} {}", path.display()), edits, vec![inode.ino]);
        self.record(space, change)?;
        Ok(inode)
    }

    /// Creates a file and opens it.
    pub(super) fn create(&self, dir: Ino, name: &OsStr, mode: u32) -> io::Result<Arc<Inode>> {
        let mut space = self.space();
        let path = space.vacant(dir, name)?;
        let file = self.backing.create(&path, mode & 0o7777)?;
        let inode = self.made(&mut space, (dir, name), (Kind::File, mode), &path)?;
        let mut data = inode.data();
        data.open(file)?;
        data.handles += 1;
        drop(data);
        Ok(inode)
    }

    pub(super) fn mkdir(&self, dir: Ino, name: &OsStr, mode: u32) -> io::Result<Ino> {
        let mut space = self.space();
        let path = space.vacant(dir, name)?;
        self.backing.create_dir(&path, mode & 0o7777)?;
        let inode = self.made(&mut space, (dir, name), (Kind::Directory, mode), &path)?;
        Ok(inode.ino)
    }

    pub(super) fn symlink(&self, dir: Ino, name: &OsStr, target: &Path) -> io::Result<Ino> {
        let mut space = self.space();
        let path = space.vacant(dir, name)?;
        std::os::unix::fs::symlink(target, self.backing.at(&path))?;
        let inode = self.made(&mut space, (dir, name), (Kind::Symlink, 0o777), &path)?;
        Ok(inode.ino)
    }

    pub(super) fn read_link(&self, ino: Ino) -> io::Result<PathBuf> {
        let space = self.space();
        fs::read_link(self.location(&space, ino))
    }

    pub(super) fn link(&self, ino: Ino, dir: Ino, name: &OsStr) -> io::Result<()> {
        let mut space = self.space();
        let path = space.vacant(dir, name)?;
        let inode = space.inode(ino)?;
        if inode.kind == Kind::Directory {
            return Err(errno(libc::EPERM));
        }
        let from = space.current.path(ino).ok_or_else(missing)?;
        fs::hard_link(self.backing.at(&from), self.backing.at(&path))?;
        let what = format!("link {} -> {}", path.display(), from.display());
        let edits = vec![set(dir, name, Some((ino, inode.kind)))];
        let change = self.change(what, edits, vec![ino]);
        self.record(&mut space, change)
    }

    pub(super) fn unlink(&self, dir: Ino, name: &OsStr) -> io::Result<()> {
        let mut space = self.space();
        let (path, inode) = space.occupied(dir, name)?;
        if inode.kind == Kind::Directory {
            return Err(errno(libc::EISDIR));
        }
        if space.current.links(inode.ino) > 1 {
            fs::remove_file(self.backing.at(&path))?;
        } else {
            self.backing.put_away(&path, inode.ino)?;
        }
        let what = format!("unlink {}", path.display());
        let change = self.change(what, vec![set(dir, name, None)], vec![inode.ino]);
        self.record(&mut space, change)
    }

    pub(super) fn rmdir(&self, dir: Ino, name: &OsStr) -> io::Result<()> {
        let mut space = self.space();
        let (path, inode) = space.occupied(dir, name)?;
        if inode.kind != Kind::Directory {
            return Err(errno(libc::ENOTDIR));
        }
        fs::remove_dir(self.backing.at(&path))?;
        let what = format!("rmdir {}", path.display());
        let change = self.change(what, vec![set(dir, name, None)], vec![inode.ino]);
        self.record(&mut space, change)
    }

    /// rename(2), or renameat2(2) with `RENAME_NOREPLACE`.
    pub(super) fn rename(
        &self,
        (dir, name): (Ino, &OsStr),
        (new_dir, new_name): (Ino, &OsStr),
        replace: bool,
    ) -> io::Result<()> {
        let mut space = self.space();
        let (from, inode) = space.occupied(dir, name)?;
        let to = space.entry(new_dir, new_name)?;
        let mut inodes = vec![inode.ino];
        let mut flush = None;
        if let Some(other) = space.current.get(new_dir, new_name) {
            if !replace {
                return Err(errno(libc::EEXIST));
            }
            if other == inode.ino {
                return Ok(());
            }
            let replaced = space.inode(other)?;
            match (inode.kind, replaced.kind) {
                (Kind::Directory, Kind::Directory) if !space.current.is_empty(other) => {
                    return Err(errno(libc::ENOTEMPTY));
                }
                (Kind::Directory, Kind::Directory) => {}
                (Kind::Directory, _) => return Err(errno(libc::ENOTDIR)),
                (_, Kind::Directory) => return Err(errno(libc::EISDIR)),
                _ if space.current.links(other) == 1 => self.backing.keep(&to, other)?,
                _ => {}
            }
            flush = (inode.kind == Kind::File).then_some(inode.ino);
            inodes.push(other);
        }
        if let Err(error) = fs::rename(self.backing.at(&from), self.backing.at(&to)) {
            if let Some(&kept) = inodes.get(1) {
                self.backing.discard(kept);
            }
            return Err(error);
        }
        let what = format!("rename {} -> {}", from.display(), to.display());
        let edits = vec![
            set(dir, name, None),
            set(new_dir, new_name, Some((inode.ino, inode.kind))),
        ];
        let mut change = self.change(what, edits, inodes);
        change.moves_directory = inode.kind == Kind::Directory;
        change.flush = flush;
        self.record(&mut space, change)
    }

    /// renameat2(2) with `RENAME_EXCHANGE`.
    pub(super) fn exchange(
        &self,
        (dir, name): (Ino, &OsStr),
        (other_dir, other_name): (Ino, &OsStr),
    ) -> io::Result<()> {
        let mut space = self.space();
        let (path, inode) = space.occupied(dir, name)?;
        let (other_path, other) = space.occupied(other_dir, other_name)?;
        if inode.ino == other.ino {
            return Ok(());
        }
        let (from, to) = (self.backing.at(&path), self.backing.at(&other_path));
        renameat2(AT_FDCWD, &from, AT_FDCWD, &to, RenameFlags::RENAME_EXCHANGE)?;
        let what = format!("exchange {} <-> {}", path.display(), other_path.display());
        let edits = vec![
            set(dir, name, Some((other.ino, other.kind))),
            set(other_dir, other_name, Some((inode.ino, inode.kind))),
        ];
        let mut change = self.change(what, edits, vec![inode.ino, other.ino]);
        change.moves_directory = [&inode, &other].iter().any(|it| it.kind == Kind::Directory);
        self.record(&mut space, change)
    }
}
