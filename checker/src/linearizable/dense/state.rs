//! The sequential store over numbers: the rules of [`crate::model`], again.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::rc::Rc;

use hashbrown::HashMap;

use super::history::{Action, Delete, Dense, Guard, Kv, NONE, PutForm, Slice, Span, Target, Txn};
use crate::model::bounds;

/// Why an operation does not fit where it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub why: &'static str,
    /// The key that differs, or [`NONE`].
    pub key: u32,
}

pub(super) const fn differs(key: u32) -> Misfit {
    let why = "a key is shown otherwise than it is";
    Misfit { why, key }
}

pub(super) const fn misfit(why: &'static str) -> Misfit {
    Misfit { why, key: NONE }
}

/// A key; absent while `modified` is 0.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key {
    pub value: u32,
    pub create: u32,
    pub modified: u32,
    pub version: u32,
    pub lease: u32,
}

impl Key {
    pub(super) fn is_there(&self) -> bool {
        self.modified != 0
    }
}

/// A lease that is granted.
#[derive(Clone)]
pub(super) struct Lease {
    /// The operation that granted it.
    pub grant: u32,
    pub keys: Vec<u32>,
}

#[derive(Clone)]
pub(super) struct State<'h> {
    pub(super) history: &'h Dense,
    /// All keys in the order of their bytes.
    sorted: Rc<[u32]>,
    /// For each of [`Dense::spans`], its part of `sorted`.
    bounds: Rc<[(u32, u32)]>,
    pub keys: Vec<Key>,
    /// Leases that are granted.
    pub leases: HashMap<u32, Lease>,
    /// Leases that keys are attached to.
    pub attached: BTreeSet<u32>,
    pub revision: u32,
    pub compacted: u32,
    dirty: bool,
}

impl<'h> State<'h> {
    pub(super) fn new(history: &'h Dense) -> Self {
        let keys = u32::try_from(history.keys.len()).expect("numbered by 32 bits");
        let mut sorted: Vec<u32> = (0..keys).collect();
        sorted.sort_unstable_by_key(|key| history.keys.get(*key));
        let at = |bytes: &[u8]| {
            let at = sorted.partition_point(|key| history.keys.get(*key) < bytes);
            u32::try_from(at).expect("as many as keys")
        };
        let part = |(first, end): &(crate::history::Bytes, crate::history::Bytes)| {
            use std::ops::Bound;
            match bounds(first, end) {
                None => (0, 0),
                Some((_, Bound::Unbounded)) => (at(first.as_slice()), keys),
                Some(_) => (at(first.as_slice()), at(end.as_slice())),
            }
        };
        let bounds = history.spans.iter().map(part).collect();
        Self {
            history,
            sorted: sorted.into(),
            bounds,
            keys: vec![Key::default(); keys as usize],
            leases: HashMap::new(),
            attached: BTreeSet::new(),
            revision: 1,
            compacted: 0,
            dirty: false,
        }
    }

    /// All keys of a span, there or not, in order.
    pub(super) fn members<'s>(&'s self, span: &'s Span) -> &'s [u32] {
        match span {
            Span::One(key) => std::slice::from_ref(key),
            Span::Many(number) => {
                let (start, end) = self.bounds[*number as usize];
                &self.sorted[start as usize..end as usize]
            }
        }
    }

    pub(super) fn there<'s>(&'s self, span: &'s Span) -> impl DoubleEndedIterator<Item = u32> + 's {
        let there = |key: &u32| self.keys[*key as usize].is_there();
        self.members(span).iter().copied().filter(there)
    }

    /// Applies an operation, and compares its answer if there is one. Ranges pinned to a revision
    /// are left to [`State::shows`].
    pub(super) fn apply(&mut self, action: &Action, answered: bool) -> Result<(), Misfit> {
        match action {
            Action::Txn(txn) => {
                let txn = &self.history.txns[*txn as usize];
                let mut chosen = Vec::new();
                self.choose(txn, &mut chosen);
                self.check_branch(txn, &mut chosen.iter())?;
                self.run(txn, &mut chosen.iter(), answered)?;
            }
            other => {
                self.check(other)?;
                self.part(other, answered)?;
            }
        }
        if std::mem::take(&mut self.dirty) {
            self.revision += 1;
        }
        Ok(())
    }

    fn part(&mut self, action: &Action, answered: bool) -> Result<(), Misfit> {
        match *action {
            Action::Get { key, kv } => match answered {
                true => self.same(key, kv),
                false => Ok(()),
            },
            Action::Range(range) => {
                let range = &self.history.ranges[range as usize];
                match answered && range.pin == 0 {
                    true => self.shows(range),
                    false => Ok(()),
                }
            }
            Action::Put {
                key,
                value,
                lease,
                form,
            } => {
                let form = self.history.puts.get(form as usize);
                if answered {
                    self.previous(key, form)?;
                }
                self.put(key, value, lease, form);
                Ok(())
            }
            Action::Delete(delete) => {
                let delete = &self.history.deletes[delete as usize];
                self.delete(delete, answered)
            }
            Action::Revoke(lease) => self.revoke(lease),
            Action::Txn(_) | Action::Compact(_) | Action::Grant { .. } | Action::Error => {
                Err(misfit("not to be applied so"))
            }
        }
    }

    pub(super) fn check(&self, action: &Action) -> Result<(), Misfit> {
        let Action::Put {
            key, lease, form, ..
        } = *action
        else {
            return Ok(());
        };
        if lease != 0 && !self.leases.contains_key(&lease) {
            return Err(misfit("a put with a lease that is not there"));
        }
        match self.history.puts.get(form as usize) {
            Some(form)
                if (form.keep_value || form.keep_lease) && !self.keys[key as usize].is_there() =>
            {
                Err(misfit("a put that keeps what is not there"))
            }
            _ => Ok(()),
        }
    }

    fn previous(&self, key: u32, form: Option<&PutForm>) -> Result<(), Misfit> {
        let Some(form) = form else { return Ok(()) };
        if !form.ask_previous {
            return (form.previous == NONE)
                .then_some(())
                .ok_or(misfit("a previous key-value that was not asked for"));
        }
        self.same(key, form.previous)
    }

    /// Whether a key stands as an answer shows it: a key-value's number, or [`NONE`] for absent.
    fn same(&self, key: u32, shown: u32) -> Result<(), Misfit> {
        let own = &self.keys[key as usize];
        let Some(kv) = self.history.kvs.get(shown as usize) else {
            return (!own.is_there()).then_some(()).ok_or(differs(key));
        };
        if own.is_there() && kv.key == key && own.value == kv.value && self.numbers_agree(own, kv) {
            Ok(())
        } else {
            Err(differs(key))
        }
    }

    pub(super) fn numbers_agree(&self, own: &Key, kv: &Kv) -> bool {
        own.modified == kv.modified
            && own.lease == kv.lease
            && (own.version == kv.version && own.create == kv.create
                || self.history.lean && kv.version == 0 && kv.create == 0)
    }

    fn put(&mut self, key: u32, value: u32, lease: u32, form: Option<&PutForm>) {
        let at = self.revision + 1;
        let before = self.keys[key as usize];
        let keep_value = form.is_some_and(|form| form.keep_value);
        let keep_lease = form.is_some_and(|form| form.keep_lease);
        let new = Key {
            value: if keep_value { before.value } else { value },
            create: if before.is_there() { before.create } else { at },
            modified: at,
            version: before.version + 1,
            lease: if keep_lease { before.lease } else { lease },
        };
        if before.lease != new.lease {
            self.detach(key, before.lease);
            self.attach(key, new.lease);
        }
        self.keys[key as usize] = new;
        self.dirty = true;
    }

    fn delete(&mut self, delete: &Delete, answered: bool) -> Result<(), Misfit> {
        if answered {
            let answer = delete.previous.of(&self.history.kvs);
            let mut deleted = 0;
            for key in self.there(&delete.span) {
                if delete.ask_previous {
                    let index = delete.previous.start as usize + deleted;
                    if deleted >= answer.len() {
                        return Err(misfit("a deleted key is not shown"));
                    }
                    self.same(key, u32::try_from(index).expect("an index of 32 bits"))?;
                }
                deleted += 1;
            }
            let shown = if delete.ask_previous { deleted } else { 0 };
            if deleted != delete.deleted as usize || shown != answer.len() {
                return Err(misfit("a number of deleted keys differs"));
            }
        }
        if let Span::One(key) = delete.span {
            self.remove(key);
            return Ok(());
        }
        let gone: Vec<u32> = self.there(&delete.span).collect();
        gone.into_iter().for_each(|key| self.remove(key));
        Ok(())
    }

    fn remove(&mut self, key: u32) {
        let before = std::mem::take(&mut self.keys[key as usize]);
        if before.is_there() {
            self.detach(key, before.lease);
            self.dirty = true;
        }
    }

    fn attach(&mut self, key: u32, lease: u32) {
        if let Some(Lease { keys, .. }) = self.leases.get_mut(&lease) {
            keys.push(key);
            self.attached.insert(lease);
        }
    }

    fn detach(&mut self, key: u32, lease: u32) {
        if lease == 0 {
            return;
        }
        let Some(Lease { keys, .. }) = self.leases.get_mut(&lease) else {
            return;
        };
        if let Some(at) = keys.iter().position(|other| *other == key) {
            keys.swap_remove(at);
        }
        if keys.is_empty() {
            self.attached.remove(&lease);
        }
    }

    /// Grants a lease by an operation.
    pub(super) fn grant(&mut self, lease: u32, by: u32) -> Result<(), Misfit> {
        let granted = Lease {
            grant: by,
            keys: Vec::new(),
        };
        match self.leases.insert(lease, granted) {
            Some(_) => Err(misfit("a lease is granted that is there")),
            None => Ok(()),
        }
    }

    fn revoke(&mut self, lease: u32) -> Result<(), Misfit> {
        let ended = self.leases.remove(&lease);
        let ended = ended.ok_or(misfit("a lease ends that is not there"))?;
        for key in ended.keys {
            self.keys[key as usize] = Key::default();
            self.dirty = true;
        }
        self.attached.remove(&lease);
        Ok(())
    }

    /// Ends a lease by expiry.
    pub(super) fn expire(&mut self, lease: u32) -> Result<(), Misfit> {
        self.apply(&Action::Revoke(lease), false)
    }

    /// Which branch each transaction takes, itself first, then the nested ones of its branch.
    pub(super) fn choose(&self, txn: &Txn, chosen: &mut Vec<bool>) {
        let succeeded = txn
            .guards
            .of(&self.history.guards)
            .iter()
            .all(|guard| self.holds(guard));
        chosen.push(succeeded);
        for part in self.branch(txn, succeeded).of(&self.history.parts) {
            if let Action::Txn(inner) = part {
                self.choose(&self.history.txns[*inner as usize], chosen);
            }
        }
    }

    pub(super) fn branch(&self, txn: &Txn, succeeded: bool) -> Slice {
        if succeeded { txn.success } else { txn.failure }
    }

    fn holds(&self, guard: &Guard) -> bool {
        let mut there = self.there(&guard.span).peekable();
        if there.peek().is_none() {
            return !matches!(guard.target, Target::Value(_))
                && self.guards(guard, &Key::default());
        }
        there.all(|key| self.guards(guard, &self.keys[key as usize]))
    }

    fn guards(&self, guard: &Guard, key: &Key) -> bool {
        let order = match guard.target {
            Target::Version(given) => i64::from(key.version).cmp(&given),
            Target::Create(given) => i64::from(key.create).cmp(&given),
            Target::Mod(given) => i64::from(key.modified).cmp(&given),
            Target::Lease(given) => self.history.leases[key.lease as usize].cmp(&given),
            Target::Value(given) if given == key.value => Ordering::Equal,
            Target::Value(given) => {
                let values = &self.history.values;
                values.get(key.value).cmp(values.get(given))
            }
        };
        guard.result.admits(order)
    }

    pub(super) fn check_branch<'c>(
        &self,
        txn: &Txn,
        chosen: &mut impl Iterator<Item = &'c bool>,
    ) -> Result<(), Misfit> {
        let succeeded = *chosen.next().ok_or(misfit("a branch was not chosen"))?;
        for part in self.branch(txn, succeeded).of(&self.history.parts) {
            match part {
                Action::Txn(inner) => {
                    self.check_branch(&self.history.txns[*inner as usize], chosen)?;
                }
                part => self.check(part)?,
            }
        }
        Ok(())
    }

    fn run<'c>(
        &mut self,
        txn: &Txn,
        chosen: &mut impl Iterator<Item = &'c bool>,
        answered: bool,
    ) -> Result<(), Misfit> {
        let succeeded = *chosen.next().ok_or(misfit("a branch was not chosen"))?;
        if answered && succeeded != txn.succeeded {
            let guards = txn.guards.of(&self.history.guards);
            let key = match guards.first().map(|guard| guard.span) {
                Some(Span::One(key)) => key,
                _ => NONE,
            };
            let why = "a transaction takes the other branch";
            return Err(Misfit { why, key });
        }
        let history = self.history;
        for part in self.branch(txn, succeeded).of(&history.parts) {
            match part {
                Action::Txn(inner) => self.run(&history.txns[*inner as usize], chosen, answered)?,
                part => self.part(part, answered)?,
            }
        }
        Ok(())
    }
}
