//! A guess at what made a revision that no acknowledged write made.
//!
//! A wrong guess costs only time: what comes out is replayed like everything else, and where that
//! fails the search over all alternatives has the word.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use super::ahead::{Ahead, Fit};
use super::effects::Effect;
use super::history::{Action, Dense, Op, Part, nanos};
use super::place::Places;
use super::state::State;
use crate::linearizable::leases::expiry;

/// Of the plain puts of one key, and of all other writes, so many of the latest called are tried
/// first.
const LATEST: usize = 64;

/// Fillers of one revision that are remembered, the best ones.
const FILLERS_MAX: usize = 4;

/// What fills a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filler {
    Op(u32),
    Expiry(u32),
}

/// Fillers of one revision with different effects, best first: by fit, then the one that was
/// called last.
#[derive(Clone, Default)]
pub(super) struct Fillers {
    ranked: Vec<Ranked>,
}

#[derive(Clone)]
struct Ranked {
    rank: (Fit, Reverse<u64>),
    filler: Filler,
    /// Keys put or deleted.
    effects: Vec<(u32, bool)>,
}

/// What is known beforehand.
pub(super) struct Gaps<'h> {
    history: &'h Dense,
    ahead: Ahead,
    /// Unknown writes by call.
    writes: Vec<u32>,
    /// Unknown writes that put a value to a key.
    putting: HashMap<(u32, u32), Vec<u32>>,
    /// Unknown writes whose value is shown, with the revision.
    reserved: HashMap<u32, u32>,
    /// By lease, the last revision of an acknowledged request that needs it.
    last_use: Vec<u32>,
    /// Acknowledged renewals by lease and return, each with the latest call by then.
    renewals: Vec<(u32, u64, u64)>,
}

/// Unknown operations that have been called and not used.
#[derive(Clone, Default)]
pub(super) struct Pool {
    /// How many of [`Gaps::writes`] have been called.
    called: usize,
    /// Plain puts, by key.
    puts: BTreeMap<u32, Vec<u32>>,
    /// Other writes, by call.
    others: Vec<u32>,
    used: HashSet<u32>,
    /// Grants, by lease.
    grants: HashMap<u32, Vec<u32>>,
}

impl<'h> Gaps<'h> {
    pub(super) fn new(history: &'h Dense, places: &Places, state: &State) -> (Self, Pool) {
        let mut this = Self {
            history,
            ahead: Ahead::of(history, places, state),
            writes: Vec::new(),
            putting: HashMap::new(),
            reserved: HashMap::new(),
            last_use: vec![0; history.leases.len()],
            renewals: history.renewals.clone(),
        };
        let mut pool = Pool::default();
        for (index, op) in (0_u32..).zip(&history.ops) {
            match (op.part, op.action) {
                (Part::Maybe, Action::Grant { lease, .. }) => {
                    pool.grants.entry(lease).or_default().push(index);
                }
                (Part::Maybe, action) => {
                    this.writes.push(index);
                    this.putting_of(index, &action);
                }
                (Part::Write | Part::Revoke, action) => this.uses(&action, op.revision),
                _ => {}
            }
        }
        this.writes.sort_by_key(|op| history.ops[*op as usize].call);
        for (revision, pair) in &this.ahead.shown {
            if let Some([only]) = this.putting.get(pair).map(Vec::as_slice) {
                this.reserved.insert(*only, *revision);
            }
        }
        this.renewals.sort_unstable();
        for same in this.renewals.chunk_by_mut(|a, b| a.0 == b.0) {
            let mut latest = 0;
            for (_, _, call) in same {
                latest = latest.max(*call);
                *call = latest;
            }
        }
        (this, pool)
    }

    fn putting_of(&mut self, op: u32, action: &Action) {
        match *action {
            Action::Put { key, value, .. } => {
                self.putting.entry((key, value)).or_default().push(op);
            }
            Action::Txn(txn) => {
                let history = self.history;
                let txn = &history.txns[txn as usize];
                for branch in [txn.success, txn.failure] {
                    for part in branch.of(&history.parts) {
                        self.putting_of(op, part);
                    }
                }
            }
            _ => {}
        }
    }

    fn uses(&mut self, action: &Action, revision: u32) {
        match *action {
            Action::Put { lease, .. } | Action::Revoke(lease) => {
                let last = &mut self.last_use[lease as usize];
                *last = revision.max(*last);
            }
            Action::Txn(txn) => {
                let history = self.history;
                let txn = &history.txns[txn as usize];
                for part in txn.taken().of(&history.parts) {
                    self.uses(part, revision);
                }
            }
            _ => {}
        }
    }

    /// What may have made the revision after the state's, by a time.
    pub(super) fn fillers(
        &self,
        pool: &mut Pool,
        state: &State,
        deadline: u64,
        latest: u64,
    ) -> Fillers {
        let revision = state.revision + 1;
        self.call_until(pool, deadline);
        let mut fillers = Fillers::default();
        if let Some(pair) = self.ahead.shown.get(&revision)
            && let Some(ops) = self.putting.get(pair)
        {
            let (key, value) = *pair;
            let mut effects = Vec::new();
            for index in ops.iter().filter(|op| !pool.used.contains(*op)) {
                let op = &self.history.ops[*index as usize];
                state.effects(&op.action, &mut effects);
                if op.call <= deadline && effects.contains(&(key, Effect::Put { value })) {
                    fillers.offer(Fit::Needed(revision), op.call, Filler::Op(*index), &effects);
                }
            }
            return fillers;
        }
        let must = match (
            self.ahead.deleted.get(&revision),
            self.ahead.put.get(&revision),
        ) {
            (Some(key), _) => Some((*key, true)),
            (None, Some(key)) => Some((*key, false)),
            (None, None) => None,
        };
        self.guess(pool, state, (deadline, latest), must, &mut fillers);
        fillers
    }

    fn call_until(&self, pool: &mut Pool, deadline: u64) {
        while let Some(op) = self.writes.get(pool.called) {
            let operation: &Op = &self.history.ops[*op as usize];
            if operation.call > deadline {
                return;
            }
            pool.called += 1;
            if pool.used.contains(op) {
                continue;
            }
            match operation.action {
                Action::Put { .. } if self.reserved.contains_key(op) => {}
                Action::Put { key, .. } => pool.puts.entry(key).or_default().push(*op),
                _ => pool.others.push(*op),
            }
        }
    }

    fn guess(
        &self,
        pool: &Pool,
        state: &State,
        (deadline, latest): (u64, u64),
        must: Option<(u32, bool)>,
        fillers: &mut Fillers,
    ) {
        let revision = state.revision + 1;
        let mut effects = Vec::new();
        for lease in &state.attached {
            if self.last_use[*lease as usize] > revision {
                continue;
            }
            let expiry = self.expiry(state, *lease, latest);
            if expiry.is_some_and(|expiry| expiry <= deadline) {
                state.effects(&Action::Revoke(*lease), &mut effects);
                let fit = self.fit(state, &effects, must, revision);
                fillers.offer(fit, u64::MAX, Filler::Expiry(*lease), &effects);
            }
        }
        for puts in pool.puts.values() {
            // One with a lease that is not there would be refused.
            for index in puts.iter().rev().take(LATEST) {
                let op = &self.history.ops[*index as usize];
                state.effects(&op.action, &mut effects);
                if !effects.is_empty() {
                    let fit = self.fit(state, &effects, must, revision);
                    fillers.offer(fit, op.call, Filler::Op(*index), &effects);
                    break;
                }
            }
        }
        let older = pool.others.len().saturating_sub(LATEST);
        let (earlier, later) = pool.others.split_at(older);
        for ops in [later, earlier] {
            for index in ops.iter().rev() {
                if self.reserved.get(index).is_some_and(|at| *at != revision) {
                    continue;
                }
                let op = &self.history.ops[*index as usize];
                state.effects(&op.action, &mut effects);
                let fit = self.fit(state, &effects, must, revision);
                fillers.offer(fit, op.call, Filler::Op(*index), &effects);
            }
            if fillers.is_needed() {
                break;
            }
        }
    }

    /// The worst fit of several effects, and the most urgent of those that are needed.
    fn fit(
        &self,
        state: &State,
        effects: &[(u32, Effect)],
        must: Option<(u32, bool)>,
        revision: u32,
    ) -> Fit {
        if let Some((key, deleted)) = must {
            let wanted = |(other, effect): &(u32, Effect)| {
                *other == key && (*effect == Effect::Delete) == deleted
            };
            if !effects.iter().any(wanted) {
                return Fit::Excluded;
            }
        }
        let mut needed = u32::MAX;
        let mut worst = None;
        for (key, effect) in effects {
            let now = &state.keys[*key as usize];
            match self.ahead.fit(*key, now, *effect, revision) {
                Fit::Needed(by) => needed = needed.min(by),
                fit => worst = worst.max(Some(fit)),
            }
        }
        match worst {
            _ if effects.is_empty() => Fit::Excluded,
            Some(fit @ (Fit::Excluded | Fit::Unlikely)) => fit,
            _ if needed < u32::MAX => Fit::Needed(needed),
            Some(fit) => fit,
            None => Fit::Excluded,
        }
    }

    /// The earliest time, not before `after`, at which a lease that is there can have expired, as
    /// [`Leases::earliest_expiry`](crate::linearizable::leases::Leases::earliest_expiry) says.
    pub(super) fn expiry(&self, state: &State, lease: u32, after: u64) -> Option<u64> {
        let grant = state.leases.get(&lease)?.grant;
        let op = self.history.ops.get(grant as usize)?;
        let Action::Grant { ttl, .. } = op.action else {
            return None;
        };
        let ttl = nanos(ttl);
        let start = self.renewals.partition_point(|(other, ..)| *other < lease);
        let end = self.renewals.partition_point(|(other, ..)| *other <= lease);
        let renewals = &self.renewals[start..end];
        let first = after.max(op.call.saturating_add(ttl));
        Some(expiry(first, ttl, |time| {
            let counted = renewals.partition_point(|(_, ret, _)| *ret < time);
            counted.checked_sub(1).map_or(0, |last| renewals[last].2)
        }))
    }
}

impl Pool {
    /// Takes the only unknown grant of a lease, if there is one that has not been taken.
    pub(super) fn take_grant(&mut self, lease: u32) -> Option<u32> {
        match self.grants.get(&lease)?.as_slice() {
            [_] => self.grants.remove(&lease)?.pop(),
            _ => None,
        }
    }

    /// Marks a write as used, and says whether it had not been.
    pub(super) fn take(&mut self, history: &Dense, op: u32) -> bool {
        let list = match history.ops[op as usize].action {
            Action::Put { key, .. } => self.puts.get_mut(&key),
            _ => Some(&mut self.others),
        };
        if let Some(list) = list
            && let Some(at) = list.iter().rposition(|other| *other == op)
        {
            list.remove(at);
        }
        self.used.insert(op)
    }
}

impl Fillers {
    fn offer(&mut self, fit: Fit, call: u64, filler: Filler, effects: &[(u32, Effect)]) {
        let rank = (fit, Reverse(call));
        let worst = self.ranked.last().map(|ranked| ranked.rank);
        let full = self.ranked.len() == FILLERS_MAX;
        if fit == Fit::Excluded || full && worst.is_some_and(|worst| rank >= worst) {
            return;
        }
        let effects: Vec<(u32, bool)> = effects
            .iter()
            .map(|(key, effect)| (*key, *effect == Effect::Delete))
            .collect();
        let alike = |other: &Ranked| {
            let expiry = |filler| matches!(filler, Filler::Expiry(_));
            other.effects == effects && expiry(other.filler) == expiry(filler)
        };
        match self.ranked.iter().position(alike) {
            Some(at) if self.ranked[at].rank <= rank => return,
            Some(at) => {
                self.ranked.remove(at);
            }
            None => {}
        }
        let at = self.ranked.partition_point(|other| other.rank < rank);
        let ranked = Ranked {
            rank,
            filler,
            effects,
        };
        self.ranked.insert(at, ranked);
        self.ranked.truncate(FILLERS_MAX);
    }

    fn is_needed(&self) -> bool {
        let first = self.ranked.first();
        first.is_some_and(|ranked| matches!(ranked.rank.0, Fit::Needed(_)))
    }

    pub(super) fn get(&self, number: usize) -> Option<Filler> {
        self.ranked.get(number).map(|ranked| ranked.filler)
    }

    pub(super) fn len(&self) -> usize {
        self.ranked.len()
    }

    /// Whether it makes a difference to a key which of them is taken.
    pub(super) fn concern(&self, key: u32) -> bool {
        let touches = |ranked: &Ranked| ranked.effects.iter().any(|(other, _)| *other == key);
        self.ranked.iter().any(touches)
    }
}
