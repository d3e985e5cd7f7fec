//! Laying all operations out in one order: the chain of revisions first, then what has no exact
//! revision (compactions, and errors that tell of compacted or future revisions) at its earliest
//! possible place.
//!
//! Every operation gets its earliest possible time: the latest invocation among itself and all
//! that must come before it. An order exists if and only if no operation's earliest time is after
//! its return, and nothing must come before itself.

use super::leases::{Leases, lease_of};
use super::operation::{Operations, Role, Seen, is_local};
use super::revisions::{Op, Revisions, slot};
use super::search::{Placement, Step};
use crate::history::Request;

/// A place in the order.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Earliest time, and the operation whose invocation it is.
    earliest: (u64, Option<Op>),
    step: Step,
}

/// Why there is no order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Conflict {
    /// `later` returned before `earlier` was invoked, but must come after it.
    RealTime { earlier: Op, later: Op },
    /// `read` showed a revision below that of `compaction`, and must come after it: it saw a
    /// revision that the compaction's member had not reached when it answered.
    ReadBelowCompaction { read: Op, compaction: Op },
    /// A compaction was acknowledged at a revision above the store's.
    CompactionOfFuture { compaction: Op, header: i64 },
    /// Two compactions at one revision were acknowledged.
    CompactedTwice { first: Op, second: Op },
    /// Nothing can have compacted that far by then.
    NeverCompacted { error: Op, revision: i64 },
}

/// What the layout cannot decide.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stuck {
    Conflict(Conflict),
    /// A compaction with unknown result may have been applied beyond the last known revision.
    BeyondLast,
}

struct Compaction {
    op: Op,
    revision: i64,
    /// It comes before the write after this revision.
    header: i64,
    earliest: (u64, Option<Op>),
    after: usize,
}

struct Pin {
    revision: i64,
    op: Op,
    at: i64,
    earliest: (u64, Option<Op>),
    node: usize,
}

pub(super) struct Layout<'a, 's> {
    operations: &'s Operations<'a>,
    revisions: &'s Revisions,
    leases: &'s Leases,
    /// Whether compactions by others than the recorded clients are possible.
    foreign_compactions: bool,
    chain: Vec<Node>,
    /// Chain nodes up to and with the write of each revision.
    through_write: Vec<usize>,
    earliest_write: Vec<(u64, Option<Op>)>,
    pins: Vec<Pin>,
    compactions: Vec<Compaction>,
}

/// Lays out a complete placement, or (with `None`) only what is certain whatever fills the gaps.
pub(super) fn lay_out(
    operations: &Operations,
    revisions: &Revisions,
    leases: &Leases,
    placement: Option<&Placement>,
    foreign_compactions: bool,
) -> Result<Vec<Step>, Stuck> {
    let size = revisions.writer.len();
    let mut layout = Layout {
        operations,
        revisions,
        leases,
        foreign_compactions,
        chain: Vec::new(),
        through_write: vec![0; size],
        earliest_write: vec![(0, None); size],
        pins: Vec::new(),
        compactions: Vec::new(),
    };
    layout.compactions().map_err(Stuck::Conflict)?;
    layout.chain(placement).map_err(Stuck::Conflict)?;
    let floating = layout.floating()?;
    Ok(layout.merge(floating))
}

impl Layout<'_, '_> {
    /// Acknowledged compactions, in the only order they can have: each goes further.
    fn compactions(&mut self) -> Result<(), Conflict> {
        for (op, operation) in self.operations.all.iter().enumerate() {
            if let (Role::Compaction(header), Request::Compact { revision, .. }) =
                (operation.role, operation.request)
            {
                if *revision > header {
                    return Err(Conflict::CompactionOfFuture {
                        compaction: op,
                        header,
                    });
                }
                let (revision, earliest) = (*revision, (0, None));
                self.compactions.push(Compaction {
                    op,
                    revision,
                    header,
                    earliest,
                    after: 0,
                });
            }
        }
        self.compactions
            .sort_by_key(|compaction| compaction.revision);
        for pair in self.compactions.windows(2) {
            if pair[0].revision == pair[1].revision {
                return Err(Conflict::CompactedTwice {
                    first: pair[0].op,
                    second: pair[1].op,
                });
            }
        }
        let mut header = i64::MAX;
        for compaction in self.compactions.iter_mut().rev() {
            header = header.min(compaction.header);
            compaction.header = header;
            if header < compaction.revision {
                // A later, further compaction was acknowledged before this revision existed.
                return Err(Conflict::CompactionOfFuture {
                    compaction: compaction.op,
                    header,
                });
            }
        }
        Ok(())
    }

    fn chain(&mut self, placement: Option<&Placement>) -> Result<(), Conflict> {
        let all = &self.operations.all;
        let last = self.revisions.last;
        let size = self.revisions.writer.len();
        let mut reads: Vec<Vec<Op>> = vec![Vec::new(); size];
        let mut futures: Vec<Vec<Op>> = vec![Vec::new(); size];
        for (op, operation) in all.iter().enumerate() {
            let lease = matches!(
                operation.request,
                Request::LeaseGrant { .. } | Request::LeaseRevoke { .. }
            );
            match operation.role {
                Role::Read(r) | Role::Revoke(r) if r <= last && (!lease || placement.is_none()) => {
                    reads[slot(r, last)].push(op);
                }
                Role::SawFuture(p) if p <= last => futures[slot(p, last)].push(op),
                _ => {}
            }
        }
        let mut between = placement
            .map_or(&[][..], |placement| &placement.between)
            .iter()
            .peekable();
        let mut latest: (u64, Option<Op>) = (0, None);
        let mut compaction = 0;
        for revision in 1..=last {
            let at = slot(revision, last);
            for op in &futures[at] {
                latest = latest.max((all[*op].call, Some(*op)));
            }
            let write = match placement {
                Some(placement) => placement.writes[at],
                None => self.revisions.writer[at].map(Step::Op),
            };
            if let Some(step) = write {
                latest = self.not_before(latest, step);
                self.place(step, latest, revision)?;
            }
            self.through_write[at] = self.chain.len();
            self.earliest_write[at] = latest;
            let mut here: Vec<Node> = Vec::new();
            while let Some((_, step)) = between.next_if(|(r, _)| *r == revision) {
                let mut earliest = self.not_before(latest, *step);
                // Operations on one lease keep their order.
                if let Some(before) = here
                    .iter()
                    .rfind(|n| self.lease(n.step) == self.lease(*step))
                {
                    earliest = earliest.max(before.earliest);
                }
                here.push(Node {
                    earliest,
                    step: *step,
                });
            }
            for op in &reads[at] {
                let step = Step::Op(*op);
                here.push(Node {
                    earliest: self.not_before(latest, step),
                    step,
                });
            }
            here.sort_by_key(|node| node.earliest.0);
            for node in here {
                latest = latest.max(node.earliest);
                self.place(node.step, node.earliest, revision)?;
            }
            while compaction < self.compactions.len()
                && self.compactions[compaction].header.min(last) == revision
            {
                latest = latest.max(self.place_compaction(compaction, revision)?);
                compaction += 1;
            }
        }
        Ok(())
    }

    /// The earliest time of a step after everything up to `latest`.
    fn not_before(&self, latest: (u64, Option<Op>), step: Step) -> (u64, Option<Op>) {
        let all = &self.operations.all;
        latest.max(match step {
            Step::Op(op) => (all[op].call, Some(op)),
            Step::Expiry { lease, grant } => (
                self.leases.earliest_expiry(lease, &all[grant], latest.0),
                Some(grant),
            ),
        })
    }

    fn lease(&self, step: Step) -> Option<i64> {
        match step {
            Step::Op(op) => lease_of(&self.operations.all[op]),
            Step::Expiry { lease, .. } => Some(lease),
        }
    }

    fn place(&mut self, step: Step, earliest: (u64, Option<Op>), at: i64) -> Result<(), Conflict> {
        let node = self.chain.len();
        self.chain.push(Node { earliest, step });
        let Step::Op(op) = step else { return Ok(()) };
        let operation = &self.operations.all[op];
        self.in_time(op, earliest)?;
        let mut lowest = None;
        operation.each_pinned(|range, _| {
            lowest = Some(lowest.map_or(range.revision, |lowest: i64| lowest.min(range.revision)));
        });
        if let Some(revision) = lowest {
            self.pins.push(Pin {
                revision,
                op,
                at,
                earliest,
                node,
            });
        }
        Ok(())
    }

    fn in_time(&self, op: Op, earliest: (u64, Option<Op>)) -> Result<(), Conflict> {
        match earliest {
            (time, Some(earlier)) if time > self.operations.all[op].ret => {
                Err(Conflict::RealTime { earlier, later: op })
            }
            _ => Ok(()),
        }
    }

    /// Everything that must come before a compaction to a revision, all of it already placed:
    /// earliest time and the number of chain nodes.
    fn before_compaction(&self, revision: i64) -> ((u64, Option<Op>), usize) {
        let at = slot(revision, self.revisions.last);
        let mut earliest = self.earliest_write[at];
        let mut after = self.through_write[at];
        for pin in self.pins.iter().filter(|pin| pin.revision < revision) {
            earliest = earliest.max(pin.earliest);
            after = after.max(pin.node + 1);
        }
        for other in self
            .compactions
            .iter()
            .take_while(|other| other.revision <= revision)
        {
            earliest = earliest.max(other.earliest);
            after = after.max(other.after);
        }
        (earliest, after)
    }

    fn place_compaction(&mut self, index: usize, at: i64) -> Result<(u64, Option<Op>), Conflict> {
        let Compaction {
            op,
            revision,
            header,
            ..
        } = self.compactions[index];
        debug_assert!(revision <= header && header.min(self.revisions.last) <= at);
        let (before, after) = self.before_compaction(revision);
        let earliest = before.max((self.operations.all[op].call, Some(op)));
        self.in_time(op, earliest)?;
        self.compactions[index].earliest = earliest;
        self.compactions[index].after = after;
        Ok(earliest)
    }

    /// Places what is not in the chain: (after how many chain nodes, earliest time, order among
    /// equals, operation).
    fn floating(&self) -> Result<Vec<(usize, u64, i64, Op)>, Stuck> {
        self.pins_respect_compactions().map_err(Stuck::Conflict)?;
        let all = &self.operations.all;
        let mut floating = Vec::new();
        for c in &self.compactions {
            let after = self.after(c.earliest.0).max(c.after);
            floating.push((after, c.earliest.0, c.revision, c.op));
        }
        let mut taken: Vec<Op> = Vec::new();
        for (index, op) in all.iter().enumerate() {
            match op.role {
                Role::SawFuture(_) => {
                    floating.push((self.after(op.call), op.call, i64::MAX, index));
                }
                Role::SawCompacted(revision) => {
                    let Some(cause) = self.cause(index, revision)? else {
                        continue;
                    };
                    let (time, after) = cause.place;
                    if let Some(maybe) = cause.maybe
                        && !taken.contains(&maybe)
                    {
                        taken.push(maybe);
                        floating.push((after, time, cause.revision, maybe));
                    }
                    if !is_local(op.request) {
                        let time = time.max(op.call);
                        floating.push((after.max(self.after(time)), time, i64::MAX, index));
                    }
                }
                Role::LocalRead(revision) | Role::Compaction(revision) => {
                    let at = slot(revision, self.revisions.last);
                    self.in_time(index, self.earliest_write[at])
                        .map_err(Stuck::Conflict)?;
                }
                _ => {}
            }
        }
        Ok(floating)
    }

    fn pins_respect_compactions(&self) -> Result<(), Conflict> {
        for pin in &self.pins {
            let further = self
                .compactions
                .partition_point(|c| c.revision <= pin.revision);
            if let Some(c) = self.compactions.get(further)
                && c.header < pin.at
            {
                return Err(Conflict::ReadBelowCompaction {
                    read: pin.op,
                    compaction: c.op,
                });
            }
        }
        Ok(())
    }

    /// How many chain nodes are earlier than a time.
    fn after(&self, time: u64) -> usize {
        self.chain.partition_point(|node| node.earliest.0 < time)
    }

    /// What compacted at least to `revision` before an error said so.
    fn cause(&self, error: Op, revision: i64) -> Result<Option<Cause>, Stuck> {
        if self.foreign_compactions {
            return Ok(None);
        }
        let all = &self.operations.all;
        let by = all[error].ret;
        let known = self.compactions.iter().find(|c| c.revision >= revision);
        if let Some(c) = known.filter(|c| c.earliest.0 <= by) {
            let place = (c.earliest.0, self.after(c.earliest.0).max(c.after));
            return Ok(Some(Cause {
                place,
                maybe: None,
                revision: c.revision,
            }));
        }
        let mut beyond = false;
        for (index, op) in all.iter().enumerate() {
            let Role::MaybeCompaction(to) = op.role else {
                continue;
            };
            if to < revision || op.call > by {
                continue;
            }
            if to > self.revisions.last {
                beyond = true;
                continue;
            }
            let (before, after) = self.before_compaction(to);
            let time = before.0.max(op.call);
            if time <= by {
                let place = (time, after.max(self.after(time)));
                return Ok(Some(Cause {
                    place,
                    maybe: Some(index),
                    revision: to,
                }));
            }
        }
        Err(if beyond {
            Stuck::BeyondLast
        } else {
            Stuck::Conflict(Conflict::NeverCompacted { error, revision })
        })
    }

    fn merge(&self, mut floating: Vec<(usize, u64, i64, Op)>) -> Vec<Step> {
        floating.sort_unstable();
        let mut floating = floating.into_iter().peekable();
        let mut order = Vec::new();
        let mut furthest = i64::MIN;
        for placed in 0..=self.chain.len() {
            while let Some((_, _, _, op)) = floating.next_if(|(after, ..)| *after <= placed) {
                let operation = &self.operations.all[op];
                if let Request::Compact { revision, .. } = operation.request
                    && !matches!(operation.seen, Seen::NoEffect { .. })
                {
                    // An unknown compaction that came too late had no effect.
                    if operation.role == Role::MaybeCompaction(*revision) && *revision <= furthest {
                        continue;
                    }
                    furthest = furthest.max(*revision);
                }
                order.push(Step::Op(op));
            }
            order.extend(self.chain.get(placed).map(|node| node.step));
        }
        order
    }
}

struct Cause {
    /// Earliest time, and after how many chain nodes.
    place: (u64, usize),
    /// The unknown compaction, if it is one.
    maybe: Option<Op>,
    revision: i64,
}
