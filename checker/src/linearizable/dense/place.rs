//! Where each operation belongs: the revision it makes, or after the write of which it comes.

use hashbrown::HashMap;

use super::history::{Action, Dense, NONE, Op, Part};
use super::state::{Misfit, misfit};
use crate::linearizable::operation::NEVER;

/// Operations by revision. Vectors are indexed by revision, from 0 to the last and one more.
pub(super) struct Places {
    pub last: u32,
    /// The operation that is known to make the revision, or [`NONE`].
    pub writer: Vec<u32>,
    /// What comes after the write of revision `r` stands at `starts[r]..starts[r + 1]` of
    /// [`Places::after`].
    starts: Vec<u32>,
    after: Vec<u32>,
    /// Earliest return of everything after the write of the revision: what is called later
    /// cannot have made it.
    pub deadline: Vec<u64>,
    /// Answers that show the state of a revision without a place in the order, or besides it:
    /// revision, operation, and the range pinned to it, or [`NONE`] for the whole answer.
    pub shows: Vec<(u32, u32, u32)>,
}

/// A place for an operation that does not say its revision.
struct Floating {
    /// It comes after the write of this revision.
    after: u32,
    /// Its place among what else comes there.
    moment: u64,
    op: u32,
}

impl Places {
    pub(super) fn of(history: &Dense, foreign_compactions: bool) -> Result<Self, Misfit> {
        let ops = &history.ops;
        let mut last = 1;
        let mut may_write = 2;
        for op in ops {
            let proven = match op.part {
                Part::SawFuture | Part::Maybe | Part::MaybeCompaction => 1,
                _ => op.revision,
            };
            last = last.max(proven);
            may_write += usize::from(matches!(op.part, Part::Write | Part::Revoke | Part::Maybe));
            may_write += usize::from(matches!(op.action, Action::Grant { .. }));
        }
        if last as usize > may_write {
            return Err(misfit("more revisions than writes"));
        }
        let size = last as usize + 2;
        let mut this = Self {
            last,
            writer: vec![NONE; size],
            starts: vec![0; size + 1],
            after: Vec::new(),
            deadline: vec![NEVER; size + 1],
            shows: Vec::new(),
        };
        // For each revision: latest call up to its write, and earliest return from its write on.
        let mut called = vec![0_u64; size + 1];
        let mut returned = vec![NEVER; size + 1];
        let mut floating = Vec::new();
        for (index, op) in (0_u32..).zip(ops) {
            let at = op.revision as usize;
            match op.part {
                Part::Write if at < 2 => return Err(misfit("a write at the first revision")),
                Part::Write => {
                    if this.writer[at] != NONE {
                        return Err(misfit("two writes at one revision"));
                    }
                    this.writer[at] = index;
                    called[at] = called[at].max(op.call);
                    returned[at] = returned[at].min(op.ret);
                    this.deadline[at - 1] = this.deadline[at - 1].min(op.ret);
                }
                Part::Read | Part::Revoke => {
                    this.starts[at] += 1;
                    called[at + 1] = called[at + 1].max(op.call);
                    returned[at] = returned[at].min(op.ret);
                    let bound = if op.part == Part::Read { at } else { at - 1 };
                    this.deadline[bound] = this.deadline[bound].min(op.ret);
                }
                Part::LocalRead => {
                    returned[at] = returned[at].min(op.ret);
                    this.deadline[at] = this.deadline[at].min(op.ret);
                    this.shows.push((op.revision, index, NONE));
                }
                Part::Compaction | Part::SawCompacted => {
                    returned[at] = returned[at].min(op.ret);
                    this.deadline[at] = this.deadline[at].min(op.ret);
                    // Whoever compacts without being recorded may have caused the error.
                    if op.part == Part::Compaction || !foreign_compactions {
                        floating.push(index);
                    }
                }
                Part::SawFuture => floating.push(index),
                Part::SawCompactedLocally | Part::Maybe | Part::MaybeCompaction => {}
            }
            this.pins(history, index, &op.action);
        }
        for at in 1..size {
            called[at] = called[at].max(called[at - 1]);
        }
        for at in (0..size).rev() {
            this.deadline[at] = this.deadline[at].min(this.deadline[at + 1]);
            returned[at] = returned[at].min(returned[at + 1]);
        }
        // What no order can mend need not be tried.
        let inverted = |op: &Op| match op.part {
            Part::Read => returned[op.revision as usize + 1] < op.call,
            Part::Write => this.deadline[op.revision as usize] < op.call,
            _ => false,
        };
        if ops.iter().any(inverted) {
            return Err(misfit(
                "something later had returned before an operation was called",
            ));
        }
        let placed = this.float(history, &floating, &called, &returned)?;
        for floating in &placed {
            this.starts[floating.after as usize] += 1;
        }
        this.fill(history, &placed);
        this.shows.sort_unstable();
        Ok(this)
    }

    /// Notes each range of a branch taken that is pinned to a revision.
    fn pins(&mut self, history: &Dense, op: u32, action: &Action) {
        match *action {
            Action::Range(index) => {
                let pin = history.ranges[index as usize].pin;
                if pin > 0 {
                    self.shows.push((pin, op, index));
                }
            }
            Action::Txn(txn) => {
                let txn = &history.txns[txn as usize];
                if txn.pinned {
                    let taken = txn.taken();
                    for part in taken.of(&history.parts) {
                        self.pins(history, op, part);
                    }
                }
            }
            _ => {}
        }
    }

    /// Finds a revision for each operation that does not say one: compactions, and errors that
    /// tell of compacted or future revisions. Between what had returned before it was called and
    /// what was called after it had returned, each comes as early as it can: a compaction after
    /// what it would have kept from succeeding, errors after their compaction.
    fn float(
        &self,
        history: &Dense,
        floating: &[u32],
        called: &[u64],
        returned: &[u64],
    ) -> Result<Vec<Floating>, Misfit> {
        let last = self.last as usize;
        // After the write of which revisions an operation can come, at least and at most.
        let window = |op: u32| {
            let op = &history.ops[op as usize];
            // The first revision whose successors' writes had not returned, and the last whose own
            // write, and what comes before it, had been called.
            let least = returned[1..=last].partition_point(|ret| *ret < op.call);
            let most = called[..=last].partition_point(|call| *call <= op.ret);
            let number = |at: usize| u32::try_from(at).expect("a revision");
            (number(least.clamp(1, last)), number(most.max(2) - 1))
        };
        let mut placed = Vec::with_capacity(floating.len());
        let mut compactions: Vec<(u32, u32, u32)> = Vec::new();
        let mut errors = Vec::new();
        for index in floating {
            let op = &history.ops[*index as usize];
            let (least, most) = window(*index);
            match (op.part, op.action) {
                (Part::Compaction, Action::Compact(to)) => {
                    compactions.push((to, *index, most.min(op.revision)));
                }
                (Part::SawCompacted, _) => errors.push((op.revision, *index, most)),
                // The store must not have come to the revision that is in the future.
                (Part::SawFuture, _) if op.revision > least => placed.push(Floating {
                    after: least,
                    moment: op.call,
                    op: *index,
                }),
                _ => return Err(misfit("a revision that was not in the future any more")),
            }
        }
        self.unknown_compactions(history, &errors, &mut compactions, window);
        compactions.sort_unstable();
        let pinned = self.pinned_by(history);
        let mut before = (1, 0);
        let mut causes = Vec::with_capacity(compactions.len());
        for (to, op, most) in compactions {
            let (least, _) = window(op);
            let call = history.ops[op as usize].call;
            // Ranges pinned to what it discards come first.
            let pins = pinned.partition_point(|(pin, _)| *pin < to);
            let last_pinned = pins.checked_sub(1).map_or((0, 0), |at| pinned[at].1);
            before = before.max((to, 0)).max((least, 0)).max(last_pinned);
            before.1 = before.1.max(call);
            if before.0 > most {
                return Err(misfit("no place for a compaction"));
            }
            placed.push(Floating {
                after: before.0,
                moment: before.1,
                op,
            });
            causes.push((to, before));
        }
        for (revision, op, _) in errors {
            let compacted = causes.partition_point(|(to, _)| *to < revision);
            let (_, cause) = causes
                .get(compacted)
                .ok_or(misfit("nothing has compacted so far"))?;
            let (after, moment) = (window(op).0, history.ops[op as usize].call).max(*cause);
            placed.push(Floating { after, moment, op });
        }
        Ok(placed)
    }

    /// For each pin of a range that has a place in the order, ascending: the last such place up to
    /// it, as revision and moment.
    fn pinned_by(&self, history: &Dense) -> Vec<(u32, (u32, u64))> {
        let mut pinned: Vec<(u32, (u32, u64))> = self
            .shows
            .iter()
            .filter(|(_, _, range)| *range != NONE)
            .filter_map(|(pin, op, _)| {
                let op = &history.ops[*op as usize];
                match op.part {
                    Part::Read => Some((*pin, (op.revision, op.call))),
                    Part::Write => Some((*pin, (op.revision, 0))),
                    _ => None,
                }
            })
            .collect();
        pinned.sort_unstable();
        let mut last = (0, 0);
        for (_, place) in &mut pinned {
            last = last.max(*place);
            *place = last;
        }
        pinned
    }

    /// Takes the unknown compactions that alone can have caused some error.
    fn unknown_compactions(
        &self,
        history: &Dense,
        errors: &[(u32, u32, u32)],
        compactions: &mut Vec<(u32, u32, u32)>,
        window: impl Fn(u32) -> (u32, u32),
    ) {
        let unknown: Vec<(u32, u32)> = (0_u32..)
            .zip(&history.ops)
            .filter_map(|(index, op)| match (op.part, op.action) {
                (Part::MaybeCompaction, Action::Compact(to)) => Some((to, index)),
                _ => None,
            })
            .collect();
        if unknown.is_empty() {
            return;
        }
        for (revision, _, most) in errors {
            let covers =
                |(to, op, _): &(u32, u32, u32)| *to >= *revision && window(*op).0.max(*to) <= *most;
            if !compactions.iter().any(covers) {
                let cause = unknown
                    .iter()
                    .filter(|(to, op)| covers(&(*to, *op, 0)))
                    .min();
                compactions.extend(cause.map(|(to, op)| (*to, *op, self.last)));
            }
        }
    }

    /// Sorts everything into its revision, and there by time.
    fn fill(&mut self, history: &Dense, placed: &[Floating]) {
        let mut sum = 0;
        for start in &mut self.starts {
            sum += std::mem::replace(start, sum);
        }
        let mut next = self.starts.clone();
        self.after = vec![0; sum as usize];
        let mut put = |at: u32, op: u32| {
            let slot = &mut next[at as usize];
            self.after[*slot as usize] = op;
            *slot += 1;
        };
        for (index, op) in (0_u32..).zip(&history.ops) {
            if matches!(op.part, Part::Read | Part::Revoke) {
                put(op.revision, index);
            }
        }
        let mut moments = HashMap::with_capacity(placed.len());
        for floating in placed {
            put(floating.after, floating.op);
            moments.insert(floating.op, floating.moment);
        }
        // Any moment between call and return keeps the order of what did not overlap.
        let moment = |index: &u32| {
            let op = &history.ops[*index as usize];
            match op.part {
                Part::Read | Part::Revoke => op.call,
                _ => moments.get(index).copied().unwrap_or(op.call),
            }
        };
        for pair in self.starts.windows(2) {
            let here = &mut self.after[pair[0] as usize..pair[1] as usize];
            if here.len() > 1 {
                here.sort_by_key(moment);
            }
        }
    }

    /// What comes after the write of a revision, in order.
    pub(super) fn after(&self, revision: u32) -> &[u32] {
        let at = revision as usize;
        &self.after[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}
