//! What later answers show of each key, for the guess at what made a revision that nobody
//! acknowledged.

use hashbrown::HashMap;

use super::effects::Effect;
use super::history::{Action, Dense, Kv, NONE, Op, Part, Range, Span, Target, Txn};
use super::place::Places;
use super::state::{Key, State};
use crate::history::CompareResult;

/// Entries of one key that are looked through at most for the next answer.
const ENTRIES_MAX: usize = 4096;

/// Ranges over more keys than this say nothing of the keys that are not there.
const ABSENT_MAX: usize = 64;

/// Something known of a key at a revision.
#[derive(Clone, Copy)]
struct Entry {
    revision: u32,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// An acknowledged put.
    Put,
    /// An acknowledged delete that found the key.
    Delete,
    /// The key was not there.
    Absent,
    /// The key was last put at this revision; create revision and version are 0 if not shown.
    Shown {
        modified: u32,
        create: u32,
        version: u32,
    },
}

/// How an effect at a revision goes together with what is known later, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Something like it is missing by this revision.
    Needed(u32),
    /// Nothing speaks for it or against it.
    Free,
    /// It takes another unknown write to make it possible.
    Unlikely,
    /// It contradicts what is shown.
    Excluded,
}

pub(super) struct Ahead {
    /// Entries of key `k`, by revision, at `starts[k]..starts[k + 1]`.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// No answer shows a version.
    lean: bool,
    /// For revisions without known writer: a key and value that an answer or event shows.
    pub shown: HashMap<u32, (u32, u32)>,
    /// Likewise a key that an event shows deleted.
    pub deleted: HashMap<u32, u32>,
    /// Likewise a key that was put then.
    pub put: HashMap<u32, u32>,
}

impl Ahead {
    pub(super) fn of(history: &Dense, places: &Places, state: &State) -> Self {
        let mut this = Self {
            starts: vec![0; history.keys.len() + 1],
            entries: Vec::new(),
            lean: history.lean,
            shown: HashMap::new(),
            deleted: HashMap::new(),
            put: HashMap::new(),
        };
        let is_gap = |revision: u32| {
            let writer = places.writer.get(revision as usize);
            revision > 1 && writer.is_some_and(|writer| *writer == NONE)
        };
        for kv in &history.kvs {
            if is_gap(kv.modified) && !history.values.get(kv.value).is_empty() {
                this.shown.entry(kv.modified).or_insert((kv.key, kv.value));
            }
            if is_gap(kv.create) {
                this.put.entry(kv.create).or_insert(kv.key);
            }
        }
        for op in &history.ops {
            if let (Part::Write | Part::Read, Action::Txn(txn)) = (op.part, op.action) {
                let txn = &history.txns[txn as usize];
                for (key, modified) in known_by_guards(history, txn) {
                    if is_gap(modified) {
                        this.put.entry(modified).or_insert(key);
                    }
                }
            }
        }
        for (revision, key, value) in &history.events {
            match value {
                _ if !is_gap(*revision) => {}
                Some(value) => {
                    this.shown.entry(*revision).or_insert((*key, *value));
                }
                None => {
                    this.deleted.entry(*revision).or_insert(*key);
                }
            }
        }
        this.each(history, places, state, &mut |this, key, _| {
            this.starts[key as usize] += 1
        });
        let mut sum = 0;
        for start in &mut this.starts {
            sum += std::mem::replace(start, sum);
        }
        let nothing = Entry {
            revision: 0,
            what: What::Put,
        };
        this.entries = vec![nothing; sum as usize];
        let mut next = this.starts.clone();
        this.each(history, places, state, &mut |this, key, entry| {
            let slot = &mut next[key as usize];
            this.entries[*slot as usize] = entry;
            *slot += 1;
        });
        this
    }

    /// Calls for everything known of keys, in the order of revisions.
    fn each(
        &mut self,
        history: &Dense,
        places: &Places,
        state: &State,
        f: &mut impl FnMut(&mut Self, u32, Entry),
    ) {
        for revision in 1..=places.last {
            let writer = places.writer[revision as usize];
            if let Some(op) = history.ops.get(writer as usize) {
                of_op(history, state, op, revision, &mut |key, entry| {
                    f(self, key, entry)
                });
            } else {
                if let Some((key, _)) = self.shown.get(&revision).copied() {
                    let what = What::Put;
                    f(self, key, Entry { revision, what });
                }
                if let Some(key) = self.deleted.get(&revision).copied() {
                    let what = What::Delete;
                    f(self, key, Entry { revision, what });
                }
            }
            for op in places.after(revision) {
                let op = &history.ops[*op as usize];
                if op.part == Part::Read {
                    of_op(history, state, op, revision + 1, &mut |key, entry| {
                        f(self, key, entry)
                    });
                }
            }
        }
    }

    /// How an effect on a key that stands as it does fits at a revision.
    pub(super) fn fit(&self, key: u32, now: &Key, effect: Effect, revision: u32) -> Fit {
        let all = &self.entries
            [self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize];
        let from = all.partition_point(|entry| entry.revision < revision);
        // Acknowledged puts of the key's present life, and the delete that ends it.
        let mut puts = 0;
        let mut ended = None;
        for entry in all[from..].iter().take(ENTRIES_MAX) {
            match entry.what {
                // That is the effect itself.
                What::Put | What::Delete if entry.revision == revision => {}
                What::Put if ended.is_none() => puts += 1,
                What::Put => {}
                What::Delete => {
                    ended.get_or_insert(entry.revision);
                }
                What::Absent => return fit_absent(now, effect, ended, puts, entry.revision),
                What::Shown {
                    modified,
                    create,
                    version,
                } => {
                    if modified < revision {
                        return Fit::Excluded;
                    }
                    if let Some(end) = ended {
                        return fit_ended(now, effect, puts, end);
                    }
                    if version == 0 && self.lean {
                        return Fit::Free;
                    }
                    if version == 0 {
                        continue;
                    }
                    let same_life = now.is_there() && now.create == create;
                    let missing = i64::from(version) - i64::from(now.version) - puts;
                    return match effect {
                        Effect::Put { .. } if same_life && missing > 0 => Fit::Needed(modified),
                        Effect::Put { .. } if same_life => Fit::Excluded,
                        Effect::Delete if same_life => Fit::Excluded,
                        Effect::Delete => Fit::Needed(create),
                        Effect::Put { .. } if now.is_there() => Fit::Free,
                        Effect::Put { .. } if create == revision => Fit::Needed(revision),
                        Effect::Put { .. } => Fit::Unlikely,
                    };
                }
            }
        }
        match ended {
            Some(end) => fit_ended(now, effect, puts, end),
            None => Fit::Free,
        }
    }
}

/// The next answer shows no key.
fn fit_absent(now: &Key, effect: Effect, ended: Option<u32>, puts: i64, at: u32) -> Fit {
    match (effect, ended) {
        (_, Some(end)) => fit_ended(now, effect, puts, end),
        (Effect::Delete, None) if puts == 0 => Fit::Needed(at),
        (Effect::Put { .. }, None) if now.is_there() => Fit::Free,
        (_, None) => Fit::Unlikely,
    }
}

/// The next that is known for sure is a delete that finds the key, after some known puts.
fn fit_ended(now: &Key, effect: Effect, puts: i64, end: u32) -> Fit {
    match effect {
        Effect::Delete if puts == 0 => Fit::Unlikely,
        Effect::Put { .. } if puts == 0 && !now.is_there() => Fit::Needed(end),
        _ => Fit::Free,
    }
}

/// What an answered operation shows that is applied as, or would have made, a revision.
fn of_op(history: &Dense, state: &State, op: &Op, made: u32, f: &mut impl FnMut(u32, Entry)) {
    match &op.action {
        Action::Txn(txn) => {
            let txn = &history.txns[*txn as usize];
            for (key, modified) in known_by_guards(history, txn) {
                let what = shown(modified, 0, 0);
                let revision = made - 1;
                f(key, Entry { revision, what });
            }
            let taken = txn.taken();
            let mut wrote = false;
            for part in taken.of(&history.parts) {
                // Answers within a transaction that has written show revisions in between.
                match part {
                    Action::Txn(_) => wrote = true,
                    Action::Get { .. } | Action::Range(_) if wrote => {}
                    part => of_part(history, state, part, made, f),
                }
                wrote |= !matches!(part, Action::Get { .. } | Action::Range(_));
            }
        }
        part => of_part(history, state, part, made, f),
    }
}

/// Mod revisions that the guards of a transaction prove.
fn known_by_guards<'h>(history: &'h Dense, txn: &'h Txn) -> impl Iterator<Item = (u32, u32)> + 'h {
    let guards = txn.guards.of(&history.guards).iter();
    guards.filter_map(
        |guard| match (txn.succeeded, guard.span, guard.result, guard.target) {
            (true, Span::One(key), CompareResult::Equal, Target::Mod(modified)) => {
                Some((key, u32::try_from(modified).ok()?))
            }
            _ => None,
        },
    )
}

fn of_part(
    history: &Dense,
    state: &State,
    part: &Action,
    made: u32,
    f: &mut impl FnMut(u32, Entry),
) {
    let before = made - 1;
    match *part {
        Action::Get { key, kv } => state_at(before, key, history.kvs.get(kv as usize), f),
        Action::Range(range) => {
            let range: &Range = &history.ranges[range as usize];
            if range.pin == 0 {
                for kv in range.kvs.of(&history.kvs) {
                    state_at(before, kv.key, Some(kv), f);
                }
                let shown = range.kvs.of(&history.kvs);
                let members = state.members(&range.span);
                if shown.len() == range.count as usize && members.len() <= ABSENT_MAX {
                    let absent = |key: &&u32| shown.iter().all(|kv| kv.key != **key);
                    for key in members.iter().filter(absent) {
                        state_at(before, *key, None, f);
                    }
                }
            }
        }
        Action::Put { key, form, .. } => {
            if let Some(form) = history.puts.get(form as usize)
                && form.ask_previous
            {
                state_at(before, key, history.kvs.get(form.previous as usize), f);
            }
            let what = What::Put;
            f(
                key,
                Entry {
                    revision: made,
                    what,
                },
            );
        }
        Action::Delete(delete) => {
            let delete = &history.deletes[delete as usize];
            let shown = delete.previous.of(&history.kvs);
            for kv in shown {
                state_at(before, kv.key, Some(kv), f);
            }
            let revision = made;
            let what = What::Delete;
            match delete.span {
                Span::One(key) if delete.deleted > 0 => f(key, Entry { revision, what }),
                Span::One(key) => state_at(before, key, None, f),
                Span::Many(_) => {
                    for kv in shown {
                        f(kv.key, Entry { revision, what });
                    }
                }
            }
        }
        _ => {}
    }
}

fn state_at(revision: u32, key: u32, kv: Option<&Kv>, f: &mut impl FnMut(u32, Entry)) {
    let what = kv.map_or(What::Absent, |kv| shown(kv.modified, kv.create, kv.version));
    f(key, Entry { revision, what });
}

fn shown(modified: u32, create: u32, version: u32) -> What {
    match modified {
        0 => What::Absent,
        modified => What::Shown {
            modified,
            create,
            version,
        },
    }
}
