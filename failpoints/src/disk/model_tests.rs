//! Random sequences of operations, on the volume and on the model.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::Options;
use super::journal::Metadata;
use super::model::{Model, Seen};
use super::survival::{Survival, Tear};
use super::tree::{Ino, ROOT};
use super::volume::{Inode, Volume};

const PATHS: [&str; 10] = [
    "f", "g", "a", "b", "a/f", "a/g", "b/f", "a/b", "a/b/f", "b/a",
];

#[derive(Clone, Debug)]
enum Act {
    Create(usize),
    Mkdir(usize),
    Link(usize, usize),
    Unlink(usize),
    Rmdir(usize),
    Rename(usize, usize),
    /// Opened, and kept open until the power goes.
    Open(usize),
    Write(usize, u16, u16, u8),
    Resize(usize, u16),
    Allocate(usize, u16, u16),
    Punch(usize, u16, u16),
    Sync(usize),
    SyncDirectory(usize),
    SyncAll,
    Lose(Survival),
}

fn survival() -> impl Strategy<Value = Survival> {
    let tear = prop_oneof![Just(Tear::Prefix), Just(Tear::Sector), Just(Tear::Page)];
    prop_oneof![
        Just(Survival::SyncedOnly),
        (any::<u64>(), tear.clone()).prop_map(|(seed, unit)| Survival::Torn { seed, unit }),
        (any::<u64>(), proptest::option::of(tear))
            .prop_map(|(seed, tear)| Survival::Subset { seed, tear }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let path = || 0..PATHS.len();
    let (at, len) = (|| 0_u16..12_000, || 0_u16..9_000);
    prop_oneof![
        6 => path().prop_map(Act::Create),
        4 => path().prop_map(Act::Mkdir),
        2 => (path(), path()).prop_map(|(from, to)| Act::Link(from, to)),
        3 => path().prop_map(Act::Unlink),
        1 => path().prop_map(Act::Rmdir),
        5 => (path(), path()).prop_map(|(from, to)| Act::Rename(from, to)),
        1 => path().prop_map(Act::Open),
        12 => (path(), at(), len(), 1..=255_u8).prop_map(|(p, a, l, b)| Act::Write(p, a, l, b)),
        3 => (path(), at()).prop_map(|(p, to)| Act::Resize(p, to)),
        2 => (path(), at(), len()).prop_map(|(p, a, l)| Act::Allocate(p, a, l)),
        2 => (path(), at(), len()).prop_map(|(p, a, l)| Act::Punch(p, a, l)),
        4 => path().prop_map(Act::Sync),
        3 => (0..=PATHS.len()).prop_map(Act::SyncDirectory),
        1 => Just(Act::SyncAll),
        2 => survival().prop_map(Act::Lose),
    ]
}

/// The directory as anybody sees it, and which paths are the same file.
fn look(root: &Path) -> (Seen, BTreeMap<String, u64>) {
    let (mut seen, mut same) = (Seen::new(), BTreeMap::new());
    let mut todo = vec![String::new()];
    while let Some(prefix) = todo.pop() {
        for entry in fs::read_dir(root.join(&prefix)).unwrap().flatten() {
            let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            let meta = entry.metadata().unwrap();
            same.insert(path.clone(), meta.ino());
            if meta.is_dir() {
                todo.push(format!("{path}/"));
                seen.insert(path, None);
            } else {
                seen.insert(path.clone(), Some(fs::read(root.join(path)).unwrap()));
            }
        }
    }
    (seen, same)
}

struct Pair {
    dir: TempDir,
    volume: Volume,
    model: Model,
    open: Vec<Arc<Inode>>,
}

impl Pair {
    fn new(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        fs::create_dir(&root).unwrap();
        Self {
            volume: Volume::open(&root, options).unwrap(),
            model: Model::new(options.metadata),
            open: Vec::new(),
            dir,
        }
    }

    fn look(&self) -> (Seen, BTreeMap<String, u64>) {
        look(&self.dir.path().join("data"))
    }

    fn find(&self, path: &str) -> io::Result<Ino> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(ROOT, |at, name| self.volume.lookup(at, OsStr::new(name)))
    }

    fn slot<'a>(&self, path: &'a str) -> io::Result<(Ino, &'a OsStr)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.find(dir)?, OsStr::new(name)))
    }

    fn with<T>(
        &mut self,
        path: &str,
        act: impl FnOnce(&Volume, &Inode) -> io::Result<T>,
    ) -> io::Result<T> {
        let ino = self.find(path)?;
        if self.model.file(path).is_none() {
            return Err(io::Error::other("not a file"));
        }
        let inode = self.volume.open_file(ino)?;
        let done = act(&self.volume, &inode);
        self.volume.release(&inode);
        done
    }

    /// Does it to both; they must agree whether it can be done.
    fn act(&mut self, act: &Act) {
        let path = |index: &usize| PATHS.get(*index).copied().unwrap_or("");
        let (done, modelled) = match act {
            Act::Create(p) => {
                let made = self.slot(path(p)).and_then(|(dir, name)| {
                    let inode = self.volume.create(dir, name, 0o644)?;
                    self.volume.release(&inode);
                    Ok(())
                });
                (made, self.model.make(path(p), false))
            }
            Act::Mkdir(p) => {
                let slot = self.slot(path(p));
                let made = slot.and_then(|(dir, name)| self.volume.mkdir(dir, name, 0o755));
                (made.map(|_| ()), self.model.make(path(p), true))
            }
            Act::Link(from, to) => {
                let linked = self.find(path(from)).and_then(|ino| {
                    let (dir, name) = self.slot(path(to))?;
                    self.volume.link(ino, dir, name)
                });
                (linked, self.model.link(path(from), path(to)))
            }
            Act::Unlink(p) => {
                let slot = self.slot(path(p));
                let gone = slot.and_then(|(dir, name)| self.volume.unlink(dir, name));
                (gone, self.model.unlink(path(p), false))
            }
            Act::Rmdir(p) => {
                let slot = self.slot(path(p));
                let gone = slot.and_then(|(dir, name)| self.volume.rmdir(dir, name));
                (gone, self.model.unlink(path(p), true))
            }
            Act::Rename(from, to) => {
                let renamed = self
                    .slot(path(from))
                    .and_then(|old| self.volume.rename(old, self.slot(path(to))?, true));
                (renamed, self.model.rename(path(from), path(to)))
            }
            Act::Open(p) => {
                if self.model.file(path(p)).is_some() {
                    let ino = self.find(path(p)).unwrap();
                    self.open.push(self.volume.open_file(ino).unwrap());
                }
                return;
            }
            Act::Write(p, at, len, byte) => {
                let (at, len) = (usize::from(*at), usize::from(*len));
                let data: Vec<u8> = (0..len)
                    .map(|index| byte.wrapping_add(index as u8))
                    .collect();
                let written = self.with(path(p), |volume, inode| {
                    volume.write(inode, at as u64, &data, None)
                });
                let modelled = self.model.change(path(p), |bytes| {
                    if bytes.len() < at + len {
                        bytes.resize(at + len, 0);
                    }
                    bytes[at..at + len].copy_from_slice(&data);
                });
                (written, modelled)
            }
            Act::Resize(p, to) => {
                let resized = self.with(path(p), |volume, inode| {
                    volume.resize(inode, u64::from(*to))
                });
                let to = usize::from(*to);
                (
                    resized,
                    self.model.change(path(p), |bytes| bytes.resize(to, 0)),
                )
            }
            Act::Allocate(p, at, len) => {
                let range = u64::from(*at)..u64::from(*at) + u64::from(*len) + 1;
                let end = range.end as usize;
                let done = self.with(path(p), |volume, inode| {
                    volume.allocate(inode, 0, range, None)
                });
                let modelled = self.model.change(path(p), |bytes| {
                    bytes.resize(bytes.len().max(end), 0);
                });
                (done, modelled)
            }
            Act::Punch(p, at, len) => {
                let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                let range = u64::from(*at)..u64::from(*at) + u64::from(*len) + 1;
                let (start, end) = (range.start as usize, range.end as usize);
                let done = self.with(path(p), |volume, inode| {
                    volume.allocate(inode, mode, range, None)
                });
                let modelled = self.model.change(path(p), |bytes| {
                    let end = end.min(bytes.len());
                    bytes[start.min(end)..end].fill(0);
                });
                (done, modelled)
            }
            Act::Sync(p) => {
                let synced = self.with(path(p), Volume::sync);
                (synced, self.model.sync(path(p)))
            }
            Act::SyncDirectory(p) => {
                if self.model.sync_directory(path(p)).is_some() {
                    let ino = self.find(path(p)).unwrap();
                    self.volume.sync_directory(ino).unwrap();
                }
                return;
            }
            Act::SyncAll => {
                self.volume.sync_all().unwrap();
                self.model.sync_all();
                let spool = self.dir.path().join("data.unsynced");
                assert!(!spool.exists(), "a plain directory once all is durable");
                assert!(self.volume.unsynced().is_empty());
                return;
            }
            Act::Lose(survival) => return self.lose(*survival),
        };
        assert_eq!(done.is_ok(), modelled.is_some(), "{act:?}: {done:?}");
        assert_eq!(self.look().0, self.model.current(), "after {act:?}");
    }

    fn lose(&mut self, survival: Survival) {
        let report = self.volume.lose(survival).unwrap();
        let (seen, same) = self.look();
        match survival {
            Survival::SyncedOnly => {
                assert_eq!(seen, self.model.synced());
                assert_eq!((report.writes_kept, report.changes_kept), (0, 0));
            }
            Survival::Torn { .. } => {
                assert!(self.model.torn(&seen), "{seen:?}\n{:#?}", self.model);
                assert!(report.writes_torn <= 1);
            }
            Survival::Subset { .. } => {
                assert!(self.model.plausible(&seen), "{seen:?}\n{:#?}", self.model);
            }
        }
        for inode in self.open.drain(..) {
            self.volume.release(&inode);
        }
        assert!(self.volume.unsynced().is_empty());
        let held = &self.volume.held;
        assert_eq!(held.load(std::sync::atomic::Ordering::Relaxed), 0);
        self.model = Model::settled(self.volume.options.metadata, &seen, &same);
    }
}

fn options(strict: bool) -> Options {
    let metadata = match strict {
        true => Metadata::Strict,
        false => Metadata::Ordered,
    };
    Options {
        metadata,
        ..Options::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_power_loss_leaves_what_the_model_says(
        strict in any::<bool>(),
        acts in proptest::collection::vec(act(), 1..60),
        last in survival(),
    ) {
        let mut pair = Pair::new(options(strict));
        for act in &acts {
            pair.act(act);
        }
        pair.act(&Act::Lose(last));
    }

    #[test]
    fn the_same_seed_takes_the_same(
        strict in any::<bool>(),
        acts in proptest::collection::vec(act(), 1..40),
        last in survival(),
    ) {
        let [mut one, mut other] = [(); 2].map(|()| Pair::new(options(strict)));
        for act in acts.iter().filter(|act| !matches!(act, Act::Lose(_))) {
            one.act(act);
            other.act(act);
        }
        let reports = [&one, &other].map(|pair| pair.volume.lose(last).unwrap());
        prop_assert_eq!(one.look().0, other.look().0);
        prop_assert_eq!(&reports[0], &reports[1]);
    }

    /// With little room in memory the oldest becomes durable: what a power loss
    /// leaves is some moment of the past, no older than what was synced.
    #[test]
    fn a_full_memory_writes_back_in_order(
        writes in proptest::collection::vec((0..2_usize, 0_u16..12_000, 1_u16..4_000, 1..=255_u8), 1..40),
    ) {
        let mut pair = Pair::new(Options { dirty_limit: 16 << 10, ..Options::default() });
        pair.act(&Act::Create(0));
        pair.act(&Act::Create(1));
        pair.act(&Act::SyncAll);
        let mut past = vec![pair.look().0];
        for (path, at, len, byte) in writes {
            pair.act(&Act::Write(path, at, len, byte));
            past.push(pair.look().0);
            let held = pair.volume.held.load(std::sync::atomic::Ordering::Relaxed);
            prop_assert!(held <= 16 << 10, "{}", held);
        }
        pair.volume.lose(Survival::SyncedOnly).unwrap();
        prop_assert!(past.contains(&pair.look().0));
    }
}
