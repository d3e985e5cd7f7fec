//! A plain model of files, names and what of them is durable, and the volume
//! held against it.
//!
//! The model keeps every version of every file and of all names as a copy, and
//! looks up what a power loss leaves; the volume keeps undo and redo records.
//! What the volume did is read from the backing directory, not asked of it.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::Metadata;

pub(super) type Id = usize;
type Slots = BTreeMap<(Id, String), Id>;

/// What is in a directory tree: for each path its bytes, or none for a
/// directory.
pub(super) type Seen = BTreeMap<String, Option<Vec<u8>>>;

/// A change of names.
#[derive(Clone, Debug)]
struct Step {
    seq: u64,
    after: Slots,
    edits: Vec<((Id, String), Option<Id>)>,
    touched: Vec<Id>,
    moves_directory: bool,
    flush: Option<Id>,
}

/// Versions of a file, each with the moment it was made; the first is durable.
pub(super) type Versions = Vec<(u64, Vec<u8>)>;

#[derive(Clone, Debug)]
pub(super) struct Model {
    metadata: Metadata,
    seq: u64,
    next: Id,
    dirs: BTreeSet<Id>,
    pub(super) files: BTreeMap<Id, Versions>,
    slots: Slots,
    durable: Slots,
    steps: Vec<Step>,
}

fn settle(versions: &mut Versions, seq: u64) -> bool {
    let before = versions[0].1.len();
    while versions.len() > 1 && versions[1].0 <= seq {
        versions.remove(0);
    }
    versions[0].1.len() != before
}

impl Model {
    pub(super) fn new(metadata: Metadata) -> Self {
        Self {
            metadata,
            seq: 1,
            next: 1,
            dirs: BTreeSet::from([0]),
            files: BTreeMap::new(),
            slots: Slots::new(),
            durable: Slots::new(),
            steps: Vec::new(),
        }
    }

    /// One in which everything is durable. Files are given with an identity:
    /// those with several names have several paths.
    pub(super) fn settled(metadata: Metadata, seen: &Seen, same: &BTreeMap<String, u64>) -> Self {
        let mut model = Self::new(metadata);
        let mut known: BTreeMap<u64, Id> = BTreeMap::new();
        for (path, bytes) in seen {
            let (dir, name) = model.slot(path).expect("parents come first");
            let id = match bytes {
                None => {
                    model.dirs.insert(model.next);
                    model.next
                }
                Some(bytes) => {
                    let id = *known.entry(same[path]).or_insert(model.next);
                    model.files.insert(id, vec![(0, bytes.clone())]);
                    id
                }
            };
            model.next = model.next.max(id + 1);
            model.slots.insert((dir, name), id);
        }
        model.durable = model.slots.clone();
        model
    }

    fn find(&self, path: &str) -> Option<Id> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(0, |at, name| {
                self.slots.get(&(at, name.to_owned())).copied()
            })
    }

    /// A path's directory, which exists, and its last component.
    fn slot(&self, path: &str) -> Option<(Id, String)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = self.find(dir).filter(|dir| self.dirs.contains(dir))?;
        Some((dir, name.to_owned()))
    }

    fn vacant(&self, path: &str) -> Option<(Id, String)> {
        self.slot(path)
            .filter(|slot| !self.slots.contains_key(slot))
    }

    fn step(&mut self, edits: Vec<((Id, String), Option<Id>)>, touched: Vec<Id>) -> &mut Step {
        self.seq += 1;
        for (slot, to) in &edits {
            match to {
                Some(id) => self.slots.insert(slot.clone(), *id),
                None => self.slots.remove(slot),
            };
        }
        self.steps.push(Step {
            seq: self.seq,
            after: self.slots.clone(),
            edits,
            touched,
            moves_directory: false,
            flush: None,
        });
        self.steps.last_mut().expect("just pushed")
    }

    pub(super) fn make(&mut self, path: &str, directory: bool) -> Option<()> {
        let slot = self.vacant(path)?;
        let id = self.next;
        self.next += 1;
        if directory {
            self.dirs.insert(id);
        } else {
            self.files.insert(id, vec![(0, Vec::new())]);
        }
        self.step(vec![(slot, Some(id))], vec![id]);
        Some(())
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> Option<()> {
        let id = self.file(from)?;
        let slot = self.vacant(to)?;
        self.step(vec![(slot, Some(id))], vec![id]);
        Some(())
    }

    pub(super) fn unlink(&mut self, path: &str, directory: bool) -> Option<()> {
        let id = self.find(path).filter(|id| *id != 0)?;
        if self.dirs.contains(&id) != directory || !self.is_empty(id) {
            return None;
        }
        let slot = self.slot(path)?;
        self.step(vec![(slot, None)], vec![id]);
        Some(())
    }

    fn is_empty(&self, id: Id) -> bool {
        !self.slots.keys().any(|(dir, _)| *dir == id)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Option<()> {
        let id = self.find(from).filter(|id| *id != 0)?;
        let (old, new) = (self.slot(from)?, self.slot(to)?);
        let directory = self.dirs.contains(&id);
        if directory && (format!("{to}/")).starts_with(&format!("{from}/")) && from != to {
            return None;
        }
        let mut touched = vec![id];
        let replaced = self.slots.get(&new).copied();
        match replaced {
            Some(other) if other == id => return Some(()),
            Some(other) if self.dirs.contains(&other) != directory || !self.is_empty(other) => {
                return None;
            }
            Some(other) => touched.push(other),
            None => {}
        }
        let step = self.step(vec![(old, None), (new, Some(id))], touched);
        step.moves_directory = directory;
        step.flush = replaced.filter(|_| !directory).map(|_| id);
        Some(())
    }

    pub(super) fn file(&self, path: &str) -> Option<Id> {
        self.find(path).filter(|id| self.files.contains_key(id))
    }

    /// A new version of a file.
    pub(super) fn change(&mut self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> Option<()> {
        let id = self.file(path)?;
        self.seq += 1;
        let versions = self.files.get_mut(&id)?;
        let mut bytes = versions.last()?.1.clone();
        change(&mut bytes);
        versions.push((self.seq, bytes));
        Some(())
    }

    pub(super) fn sync(&mut self, path: &str) -> Option<()> {
        let id = self.file(path)?;
        let grew = settle(self.files.get_mut(&id)?, u64::MAX);
        if self.metadata == Metadata::Ordered {
            let last = match grew {
                true => self.steps.len(),
                false => self.through(|step| step.touched.contains(&id)),
            };
            self.commit((0..self.steps.len()).map(|index| index < last).collect());
        }
        Some(())
    }

    pub(super) fn sync_directory(&mut self, path: &str) -> Option<()> {
        let id = self.find(path).filter(|id| self.dirs.contains(id))?;
        let within = |step: &Step| step.edits.iter().any(|((dir, _), _)| *dir == id);
        let chosen = match self.metadata {
            Metadata::Ordered => {
                let last = self.through(|step| within(step) || step.touched.contains(&id));
                (0..self.steps.len()).map(|index| index < last).collect()
            }
            Metadata::Strict => {
                let mut chosen: Vec<bool> = self.steps.iter().map(within).collect();
                while let Some(more) = self.lacking(&chosen) {
                    chosen[more] = true;
                }
                chosen
            }
        };
        self.commit(chosen);
        Some(())
    }

    /// A step that a chosen, later one builds on, and that is not chosen.
    fn lacking(&self, chosen: &[bool]) -> Option<usize> {
        let slots = |step: &Step| -> BTreeSet<_> {
            step.edits.iter().map(|(slot, _)| slot.clone()).collect()
        };
        (0..chosen.len()).find(|&old| {
            !chosen[old]
                && (old + 1..chosen.len()).any(|new| {
                    let (old, later) = (&self.steps[old], &self.steps[new]);
                    chosen[new]
                        && ((old.moves_directory && later.moves_directory)
                            || !slots(old).is_disjoint(&slots(later)))
                })
        })
    }

    fn through(&self, matches: impl Fn(&Step) -> bool) -> usize {
        self.steps
            .iter()
            .rposition(matches)
            .map_or(0, |last| last + 1)
    }

    fn commit(&mut self, chosen: Vec<bool>) {
        let mut left = Vec::new();
        for (step, chosen) in std::mem::take(&mut self.steps).into_iter().zip(chosen) {
            if !chosen {
                left.push(step);
                continue;
            }
            if let Some(versions) = step.flush.and_then(|id| self.files.get_mut(&id)) {
                settle(versions, step.seq);
            }
            for (slot, to) in step.edits {
                match to {
                    Some(id) => self.durable.insert(slot, id),
                    None => self.durable.remove(&slot),
                };
            }
        }
        self.steps = left;
    }

    pub(super) fn sync_all(&mut self) {
        for versions in self.files.values_mut() {
            settle(versions, u64::MAX);
        }
        self.commit(vec![true; self.steps.len()]);
    }

    fn walk(
        &self,
        slots: &Slots,
        bytes: impl Fn(Id) -> Vec<u8>,
    ) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut seen = Seen::new();
        let mut todo = vec![(0, String::new())];
        while let Some((at, prefix)) = todo.pop() {
            for ((_, name), &id) in slots.iter().filter(|((dir, _), _)| *dir == at) {
                let path = format!("{prefix}{name}");
                if self.dirs.contains(&id) {
                    todo.push((id, format!("{path}/")));
                    seen.insert(path, None);
                } else {
                    seen.insert(path, Some(bytes(id)));
                }
            }
        }
        seen
    }

    /// What readers see.
    pub(super) fn current(&self) -> Seen {
        self.walk(&self.slots, |id| self.files[&id].last().unwrap().1.clone())
    }

    /// What a power loss leaves that spares nothing.
    pub(super) fn synced(&self) -> Seen {
        self.walk(&self.durable, |id| self.files[&id][0].1.clone())
    }

    /// Whether a power loss that spares everything up to some moment, and the
    /// write then in part, can have left this.
    pub(super) fn torn(&self, seen: &Seen) -> bool {
        let mut moments: Vec<u64> = self.steps.iter().map(|step| step.seq).collect();
        for versions in self.files.values() {
            moments.extend(versions[1..].iter().map(|(seq, _)| *seq));
        }
        moments.push(u64::MAX);
        moments.iter().any(|&moment| {
            let mut model = self.clone();
            let chosen = model.steps.iter().map(|step| step.seq < moment).collect();
            model.commit(chosen);
            let whole = |id: Id, seq| {
                let versions = &self.files[&id];
                let last = versions[1..].iter().rfind(|(at, _)| *at < seq);
                last.unwrap_or(&versions[0]).1.clone()
            };
            let before = model.walk(&model.durable, |id| whole(id, moment));
            let after = model.walk(&model.durable, |id| whole(id, moment.saturating_add(1)));
            before.keys().eq(seen.keys())
                && seen
                    .iter()
                    .all(|(path, bytes)| match (bytes, &before[path], &after[path]) {
                        (None, None, None) => true,
                        (Some(bytes), Some(before), Some(after)) => between(bytes, before, after),
                        _ => false,
                    })
        })
    }

    /// Whether each byte was once there, and each name leads somewhere known:
    /// all that is left when single writes survive.
    pub(super) fn plausible(&self, seen: &Seen) -> bool {
        let shape = |seen: &Seen| -> Vec<(String, bool)> {
            let pair = |(path, bytes): (&String, &Option<_>)| (path.clone(), bytes.is_some());
            seen.iter().map(pair).collect()
        };
        let shapes = self
            .steps
            .iter()
            .map(|step| &step.after)
            .chain([&self.durable]);
        let ordered = shapes
            .map(|slots| self.walk(slots, |_| Vec::new()))
            .any(|known| shape(&known) == shape(seen));
        let contents = seen.values().flatten().all(|bytes| {
            self.files.values().any(|versions| {
                let longest = versions.iter().map(|(_, bytes)| bytes.len()).max();
                bytes.len() <= longest.unwrap_or(0)
                    && bytes.iter().enumerate().all(|(at, byte)| {
                        *byte == 0 || versions.iter().any(|(_, it)| it.get(at) == Some(byte))
                    })
            })
        });
        contents && (ordered || self.metadata == Metadata::Strict)
    }
}

/// Whether the bytes are those of one write that survived in part.
fn between(bytes: &[u8], before: &[u8], after: &[u8]) -> bool {
    let at = |it: &[u8], index: usize| it.get(index).copied();
    let range = before.len().min(after.len())..=before.len().max(after.len());
    range.contains(&bytes.len())
        && bytes.iter().enumerate().all(|(index, byte)| {
            at(before, index) == Some(*byte)
                || at(after, index) == Some(*byte)
                // A hole below a part that survived.
                || (index >= before.len() && *byte == 0)
        })
}
