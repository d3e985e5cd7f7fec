//! Names: which directory entry leads to which inode.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// An inode's number, never used twice.
pub(super) type Ino = u64;

/// The root directory's, as FUSE wants it.
pub(super) const ROOT: Ino = 1;

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Symlink,
}

/// One directory entry set, changed or removed.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) dir: Ino,
    pub(super) name: OsString,
    pub(super) to: Option<(Ino, Kind)>,
}

/// Every directory entry there is.
///
/// Directories that lost their last entry keep their own: whether something is
/// part of the tree is a question of reaching it from the root.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    dirs: BTreeMap<Ino, BTreeMap<OsString, Ino>>,
    links: BTreeMap<Ino, BTreeSet<(Ino, OsString)>>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            dirs: BTreeMap::from([(ROOT, BTreeMap::new())]),
            links: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, dir: Ino, name: &OsStr) -> Option<Ino> {
        self.dirs.get(&dir)?.get(name).copied()
    }

    pub(super) fn entries(&self, dir: Ino) -> impl Iterator<Item = (&OsString, Ino)> {
        let entries = self.dirs.get(&dir).into_iter().flatten();
        entries.map(|(name, &ino)| (name, ino))
    }

    pub(super) fn is_empty(&self, dir: Ino) -> bool {
        self.entries(dir).next().is_none()
    }

    /// How many entries lead there.
    pub(super) fn links(&self, ino: Ino) -> usize {
        self.links.get(&ino).map_or(0, BTreeSet::len)
    }

    pub(super) fn parent(&self, ino: Ino) -> Ino {
        let first = self.links.get(&ino).and_then(BTreeSet::first);
        first.map_or(ROOT, |&(dir, _)| dir)
    }

    pub(super) fn apply(&mut self, edit: &Edit) {
        let entries = self.dirs.entry(edit.dir).or_default();
        let before = match edit.to {
            Some((ino, _)) => entries.insert(edit.name.clone(), ino),
            None => entries.remove(&edit.name),
        };
        let link = (edit.dir, edit.name.clone());
        if let Some(before) = before
            && let Some(links) = self.links.get_mut(&before)
        {
            links.remove(&link);
            if links.is_empty() {
                self.links.remove(&before);
            }
        }
        if let Some((ino, kind)) = edit.to {
            self.links.entry(ino).or_default().insert(link);
            if kind == Kind::Directory {
                self.dirs.entry(ino).or_default();
            }
        }
    }

    /// A path from the root to it, if one leads there.
    pub(super) fn path(&self, ino: Ino) -> Option<PathBuf> {
        let mut names = Vec::new();
        let mut at = ino;
        while at != ROOT {
            let (dir, name) = self.links.get(&at)?.first()?;
            names.push(name);
            at = *dir;
            // No legal sequence of renames makes a circle; a wrong one must
            // not hang the disk.
            if names.len() > self.links.len() {
                return None;
            }
        }
        Some(names.into_iter().rev().collect())
    }

    /// Everything that can be reached, each directory before what is in it.
    pub(super) fn walk(&self) -> Vec<(PathBuf, Ino)> {
        let mut found = Vec::new();
        let mut todo = vec![(PathBuf::new(), ROOT)];
        let mut seen = BTreeSet::from([ROOT]);
        while let Some((path, dir)) = todo.pop() {
            for (name, ino) in self.entries(dir) {
                let path = path.join(name);
                found.push((path.clone(), ino));
                if self.dirs.contains_key(&ino) && seen.insert(ino) {
                    todo.push((path, ino));
                }
            }
        }
        found
    }

    /// Drops what cannot be reached.
    pub(super) fn prune(&mut self) {
        let mut reached: BTreeSet<Ino> = self.walk().into_iter().map(|(_, ino)| ino).collect();
        reached.insert(ROOT);
        self.dirs.retain(|dir, _| reached.contains(dir));
        for links in self.links.values_mut() {
            links.retain(|(dir, _)| reached.contains(dir));
        }
        self.links.retain(|_, links| !links.is_empty());
    }
}
