//! The one pass: places, fills, applies, compares; and goes back a little where a guess was wrong.

use std::sync::atomic::Ordering;

use super::Ordered;
use super::gaps::{Filler, Fillers, Gaps, Pool};
use super::history::{Action, Dense, NONE, Part};
use super::place::Places;
use super::state::{Misfit, State, misfit};
use crate::linearizable::{Options, OrderStep};

/// Revisions between two looks at the stop flag.
const BREATH: u32 = 4096;

/// Guesses between two points that the replay can go back to.
const GUESSES_MAX: usize = 32;

/// Revisions that are replayed again after going back, at most: one for so many of all and a few
/// more.
const AGAIN_EVERY: u32 = 4;
const AGAIN_MORE: u32 = 50_000;

struct Replay<'h> {
    history: &'h Dense,
    places: Places,
    /// Made when the first revision without known writer comes up.
    gaps: Option<Gaps<'h>>,
    now: Moment<'h>,
    /// Latest call when each revision was made.
    reached: Vec<u64>,
    /// Compactions so far: to which revision, and the latest call by then.
    compactions: Vec<(u32, u64)>,
    order: Vec<OrderStep>,
    /// Moments to go back to, the older one first.
    points: Vec<Moment<'h>>,
    /// Guesses since the oldest point.
    guesses: Vec<Guess>,
    /// Revisions replayed again.
    again: u32,
}

/// All that changes from revision to revision, but the lists, of which it has the lengths.
#[derive(Clone)]
struct Moment<'h> {
    state: State<'h>,
    pool: Pool,
    /// The latest call so far.
    latest: u64,
    /// How far the answers outside the order have been compared.
    shown: usize,
    /// Revisions without known writer.
    filled: u64,
    compactions: usize,
    order: usize,
}

/// What was taken for a revision, and what else could have been.
struct Guess {
    revision: u32,
    fillers: Fillers,
    taken: usize,
}

pub(super) fn order(history: &Dense, options: &Options<'_>) -> Result<Ordered, &'static str> {
    let places = Places::of(history, options.foreign_compactions).map_err(|misfit| misfit.why)?;
    let now = Moment {
        state: State::new(history),
        pool: Pool::default(),
        latest: 0,
        shown: 0,
        filled: 0,
        compactions: 0,
        order: 0,
    };
    let mut replay = Replay {
        history,
        gaps: None,
        now,
        reached: vec![0, 0],
        compactions: Vec::new(),
        order: Vec::with_capacity(history.ops.len()),
        points: Vec::new(),
        guesses: Vec::new(),
        again: 0,
        places,
    };
    replay.reached.reserve(replay.places.last as usize);
    replay.run(options).map_err(|misfit| misfit.why)?;
    Ok(Ordered {
        order: replay.order,
        revisions: u64::from(replay.places.last),
        gaps: replay.now.filled,
    })
}

impl<'h> Replay<'h> {
    fn run(&mut self, options: &Options<'_>) -> Result<(), Misfit> {
        let stop = options.stop;
        let mut revision = 1;
        while revision <= self.places.last {
            if revision % BREATH == 0 && stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(misfit("stopped by the caller"));
            }
            match self.revision(revision) {
                Ok(()) => revision += 1,
                Err(misfit) => revision = self.go_back(misfit)?,
            }
        }
        self.outside_the_order(options.foreign_compactions)
    }

    fn revision(&mut self, revision: u32) -> Result<(), Misfit> {
        let mut revoked = NONE;
        if revision > 1 {
            let writer = self.places.writer[revision as usize];
            if writer != NONE {
                self.write(writer, revision)?;
            } else {
                revoked = self.revocation(revision);
                match revoked {
                    NONE => self.fill(revision)?,
                    revoked => self.write(revoked, revision)?,
                }
            }
            self.reached.push(self.now.latest);
        }
        self.shows(revision)?;
        for at in 0..self.places.after(revision).len() {
            let op = self.places.after(revision)[at];
            if op != revoked {
                self.after(op, revision)?;
            }
        }
        Ok(())
    }

    /// An acknowledged revocation that has keys to delete at a revision.
    fn revocation(&self, revision: u32) -> u32 {
        let ops = self.places.after(revision).iter();
        ops.copied()
            .find(|op| match self.history.ops[*op as usize].action {
                Action::Revoke(lease) => self.now.state.attached.contains(&lease),
                _ => false,
            })
            .unwrap_or(NONE)
    }

    /// Puts an operation next in the order.
    fn next(&mut self, op: u32) -> Result<(), Misfit> {
        let op = &self.history.ops[op as usize];
        if op.ret < self.now.latest {
            let why = "an operation had returned before something earlier was called";
            return Err(misfit(why));
        }
        self.now.latest = self.now.latest.max(op.call);
        self.order.push(OrderStep::Operation(op.id()));
        Ok(())
    }

    fn write(&mut self, index: u32, revision: u32) -> Result<(), Misfit> {
        let op = &self.history.ops[index as usize];
        if op.is_answered() {
            self.grant_if_needed(&op.action)?;
        }
        self.next(index)?;
        let state = &self.now.state;
        self.pins(&op.action, state.compacted, state.revision)?;
        self.now.state.apply(&op.action, op.is_answered())?;
        (self.now.state.revision == revision)
            .then_some(())
            .ok_or(misfit("a write changes nothing"))
    }

    /// The gaps' knowledge, made when it is first needed.
    fn gaps(&mut self) -> &Gaps<'h> {
        let Self {
            history,
            places,
            gaps,
            now,
            ..
        } = self;
        gaps.get_or_insert_with(|| {
            let (gaps, pool) = Gaps::new(history, places, &now.state);
            now.pool = pool;
            gaps
        })
    }

    fn fill(&mut self, revision: u32) -> Result<(), Misfit> {
        self.gaps();
        let known = self
            .guesses
            .binary_search_by_key(&revision, |guess| guess.revision);
        let filler = match known {
            Ok(at) => self.guesses[at].fillers.get(self.guesses[at].taken),
            Err(_) => self.guess(revision),
        };
        self.now.filled += 1;
        match filler.ok_or(misfit("nothing is found that can have made a revision"))? {
            Filler::Op(op) => {
                if !self.now.pool.take(self.history, op) {
                    return Err(misfit("an unknown write takes effect twice"));
                }
                self.write(op, revision)
            }
            Filler::Expiry(lease) => {
                let latest = self.now.latest;
                let gaps = self.gaps.as_ref().expect("just made");
                let expiry = gaps.expiry(&self.now.state, lease, latest);
                self.now.latest = expiry.ok_or(misfit("a lease expires that is not there"))?;
                let id = self.history.leases[lease as usize];
                self.order.push(OrderStep::Expiry { lease: id });
                self.now.state.expire(lease)?;
                (self.now.state.revision == revision)
                    .then_some(())
                    .ok_or(misfit("an expiry changes nothing"))
            }
        }
    }

    /// Takes the best filler, and remembers the others if there are any.
    fn guess(&mut self, revision: u32) -> Option<Filler> {
        let deadline = self.places.deadline[revision as usize];
        let gaps = self.gaps.as_ref().expect("made before");
        let latest = self.now.latest;
        let now = &mut self.now;
        let fillers = gaps.fillers(&mut now.pool, &now.state, deadline, latest);
        let best = fillers.get(0);
        if fillers.len() > 1 {
            let newest = self
                .points
                .last()
                .map_or(1, |point| point.state.revision + 1);
            let since = self.guesses.iter().rev();
            let since = since.take_while(|guess| guess.revision >= newest).count();
            if self.points.is_empty() || since >= GUESSES_MAX {
                self.set_point();
            }
            self.guesses.push(Guess {
                revision,
                fillers,
                taken: 0,
            });
        }
        best
    }

    /// Makes the moment before this revision one to go back to.
    fn set_point(&mut self) {
        let mut point = self.now.clone();
        point.compactions = self.compactions.len();
        point.order = self.order.len();
        if self.points.len() > 1 {
            self.points.remove(0);
        }
        self.points.push(point);
        let oldest = self.points[0].state.revision;
        self.guesses.retain(|guess| guess.revision > oldest);
    }

    /// Goes back to the last guess that may have made the difference, and takes the next best
    /// filler there. Returns the revision to go on with.
    fn go_back(&mut self, misfit: Misfit) -> Result<u32, Misfit> {
        let mut key = misfit.key;
        let mut at = self.guesses.len();
        loop {
            at = at.checked_sub(1).ok_or(misfit)?;
            let guess = &self.guesses[at];
            if key != NONE && !guess.fillers.concern(key) {
                continue;
            }
            if guess.taken + 1 < guess.fillers.len() {
                break;
            }
            // What was tried here may have failed because of any guess before.
            key = NONE;
        }
        self.guesses.truncate(at + 1);
        self.guesses[at].taken += 1;
        let revision = self.guesses[at].revision;
        self.points.retain(|point| point.state.revision < revision);
        let point = self.points.last().ok_or(misfit)?;
        self.again += self.now.state.revision + 1 - point.state.revision;
        if self.again > AGAIN_MORE + self.places.last / AGAIN_EVERY {
            return Err(misfit);
        }
        self.now = point.clone();
        self.reached.truncate(point.state.revision as usize + 1);
        self.compactions.truncate(point.compactions);
        self.order.truncate(point.order);
        Ok(point.state.revision + 1)
    }

    /// Grants a lease that a put needs by a grant with unknown result.
    fn grant_if_needed(&mut self, action: &Action) -> Result<(), Misfit> {
        match *action {
            Action::Put { lease, .. } | Action::Revoke(lease) if lease != 0 => {
                if self.now.state.leases.contains_key(&lease) {
                    return Ok(());
                }
                self.gaps();
                match self.now.pool.take_grant(lease) {
                    Some(grant) => {
                        self.next(grant)?;
                        self.now.state.grant(lease, grant)
                    }
                    None => Ok(()),
                }
            }
            Action::Txn(txn) => {
                let txn = &self.history.txns[txn as usize];
                let parts = txn.taken().of(&self.history.parts);
                parts.iter().try_for_each(|part| self.grant_if_needed(part))
            }
            _ => Ok(()),
        }
    }

    /// What comes after the write of a revision.
    fn after(&mut self, index: u32, revision: u32) -> Result<(), Misfit> {
        let op = &self.history.ops[index as usize];
        if op.part == Part::Revoke {
            self.grant_if_needed(&op.action)?;
        }
        self.next(index)?;
        let state = &mut self.now.state;
        match (op.part, op.action) {
            (_, Action::Grant { lease, .. }) => state.grant(lease, index),
            (Part::Read | Part::Revoke, action) => {
                let (compacted, newest) = (state.compacted, state.revision);
                self.pins(&action, compacted, newest)?;
                self.now.state.apply(&action, true)?;
                (self.now.state.revision == revision)
                    .then_some(())
                    .ok_or(misfit("an operation changes keys that made no revision"))
            }
            (Part::Compaction | Part::MaybeCompaction, Action::Compact(to)) => {
                let too_late = op.part == Part::Compaction && revision > op.revision;
                if to <= state.compacted || to > revision || too_late {
                    return Err(misfit("a compaction is out of its place"));
                }
                state.compacted = to;
                self.compactions.push((to, self.now.latest));
                Ok(())
            }
            (Part::SawCompacted, _) => (state.compacted >= op.revision)
                .then_some(())
                .ok_or(misfit("nothing has compacted so far")),
            (Part::SawFuture, _) => (state.revision < op.revision)
                .then_some(())
                .ok_or(misfit("a revision exists that should not")),
            _ => Err(misfit("an operation without a place in the order")),
        }
    }

    /// Ranges that are pinned to a revision find it: neither compacted nor in the future.
    fn pins(&self, action: &Action, compacted: u32, newest: u32) -> Result<(), Misfit> {
        match *action {
            Action::Range(range) => match self.history.ranges[range as usize].pin {
                0 => Ok(()),
                pin if pin > newest => Err(misfit("a range at a future revision")),
                pin if pin < compacted => Err(misfit("a range at a compacted revision")),
                _ => Ok(()),
            },
            Action::Txn(txn) => {
                let txn = &self.history.txns[txn as usize];
                if !txn.pinned {
                    return Ok(());
                }
                let mut parts = txn.taken().of(&self.history.parts).iter();
                parts.try_for_each(|part| self.pins(part, compacted, newest))
            }
            _ => Ok(()),
        }
    }

    /// Compares the answers that show the state at a revision from outside the order.
    fn shows(&mut self, revision: u32) -> Result<(), Misfit> {
        while let Some((at, op, range)) = self.places.shows.get(self.now.shown).copied() {
            if at > revision {
                return Ok(());
            }
            if at < revision {
                return Err(misfit("a range at a revision that never was"));
            }
            self.now.shown += 1;
            let op = &self.history.ops[op as usize];
            match self.history.ranges.get(range as usize) {
                Some(range) => self.now.state.shows(range)?,
                None => {
                    self.now.state.apply(&op.action, true)?;
                    if self.now.state.revision != revision {
                        return Err(misfit("a read changes keys"));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is to be said of operations without a place in the order.
    fn outside_the_order(&self, foreign_compactions: bool) -> Result<(), Misfit> {
        if self.now.shown != self.places.shows.len() {
            return Err(misfit("a range at a revision that never was"));
        }
        for op in &self.history.ops {
            let reached = || match self.reached.get(op.revision as usize) {
                Some(time) if *time <= op.ret => Ok(()),
                _ => Err(misfit("a revision was seen before it can have been made")),
            };
            match op.part {
                Part::Compaction => reached()?,
                Part::LocalRead => {
                    reached()?;
                    // It can be pinned to what its member has reached.
                    self.pins(&op.action, 0, op.revision)?;
                }
                Part::SawCompactedLocally if !foreign_compactions => {
                    let by_then = |(to, time): &(u32, u64)| *to >= op.revision && *time <= op.ret;
                    if !self.compactions.iter().any(by_then) {
                        return Err(misfit("nothing had compacted so far"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
