//! The revisions of a history: who made each, by when it must have existed, and which are gaps.

use super::operation::{NEVER, Operations, Role};

/// An index into [`Operations::all`].
pub(super) type Op = usize;

/// Revisions 1 to [`Revisions::last`]; vectors are indexed by revision.
pub(super) struct Revisions {
    /// The highest revision considered: the highest that any answer proves to have existed, or, if
    /// the history holds too few writes for that, one that cannot be reached.
    pub last: i64,
    /// The acknowledged operation that made the revision; the first by id where several claim it.
    pub writer: Vec<Option<Op>>,
    /// Earliest return of what comes after the write of the revision: an operation invoked later
    /// cannot have made the revision.
    pub deadline: Vec<u64>,
    /// Likewise, with the write of the revision itself.
    pub deadline_with: Vec<u64>,
    /// Latest invocation of what comes before the write of the revision.
    pub started: Vec<u64>,
    /// Acknowledged revocations by their revision, sorted.
    pub revokes: Vec<(i64, Op)>,
    /// Writers beyond the first at the same revision: the revision, the first, the other.
    pub duplicates: Vec<(i64, Op, Op)>,
}

impl Revisions {
    pub(super) fn of(operations: &Operations) -> Self {
        let all = &operations.all;
        let proven = all
            .iter()
            .filter_map(|op| op.proves_revision())
            .max()
            .unwrap_or(1)
            .max(1);
        let fillers = all
            .iter()
            .filter(|op| may_change(op.role, op.request))
            .count();
        let last = proven.min(i64::try_from(fillers).unwrap_or(i64::MAX - 2) + 2);
        let size = usize::try_from(last).expect("bounded by the number of operations") + 1;

        let mut writer = vec![None; size];
        let mut writes = Vec::new();
        let mut revokes = Vec::new();
        let mut deadline = vec![NEVER; size];
        let mut deadline_with = vec![NEVER; size];
        let mut started = vec![0; size];
        for (index, op) in all.iter().enumerate() {
            let Some(proven) = op.proves_revision() else {
                continue;
            };
            let at = slot(proven, last);
            match op.role {
                Role::Write(r) => {
                    writes.push((r, index));
                    if r > 1 && r <= last {
                        writer[at].get_or_insert(index);
                    }
                }
                Role::Revoke(r) => revokes.push((r, index)),
                _ => {}
            }
            // A write, or a revocation that may be one, bounds only what comes before it.
            let made_it =
                at > 1 && matches!(op.role, Role::Write(r) | Role::Revoke(r) if r <= last);
            let bounded = if made_it { at - 1 } else { at };
            deadline[bounded] = deadline[bounded].min(op.ret);
            deadline_with[at] = deadline_with[at].min(op.ret);
            if op.order_revision().is_some() && at + 1 < size {
                started[at + 1] = started[at + 1].max(op.call);
            }
        }
        for at in (1..size.saturating_sub(1)).rev() {
            deadline[at] = deadline[at].min(deadline[at + 1]);
            deadline_with[at] = deadline_with[at].min(deadline_with[at + 1]);
        }
        for at in 1..size {
            started[at] = started[at].max(started[at - 1]);
        }
        revokes.sort_unstable();
        writes.sort_unstable();
        let mut duplicates = Vec::new();
        for same in writes.chunk_by(|a, b| a.0 == b.0) {
            let (revision, first) = same[0];
            duplicates.extend(same[1..].iter().map(|(_, other)| (revision, first, *other)));
        }
        Self {
            last,
            writer,
            deadline,
            deadline_with,
            started,
            revokes,
            duplicates,
        }
    }

    /// Earliest return of what comes after everything at a revision.
    pub(super) fn before_next_write(&self, revision: i64) -> u64 {
        let next = usize::try_from(revision + 1).expect("a revision");
        self.deadline_with.get(next).copied().unwrap_or(NEVER)
    }

    /// The acknowledged revocations at a revision.
    pub(super) fn revokes_at(&self, revision: i64) -> &[(i64, Op)] {
        let start = self.revokes.partition_point(|(r, _)| *r < revision);
        let end = self.revokes.partition_point(|(r, _)| *r <= revision);
        &self.revokes[start..end]
    }

    /// Revisions that no acknowledged write claims.
    pub(super) fn gaps(&self) -> impl Iterator<Item = i64> {
        (2..=self.last).filter(|r| self.writer[slot(*r, self.last)].is_none())
    }
}

/// A revision as an index, those beyond the last folded onto it.
pub(super) fn slot(revision: i64, last: i64) -> usize {
    usize::try_from(revision.clamp(1, last)).expect("at least 1")
}

/// Whether an operation may have made a revision, by itself or (a grant) by its lease's expiry.
fn may_change(role: Role, request: &crate::history::Request) -> bool {
    matches!(role, Role::Write(_) | Role::Revoke(_) | Role::Maybe)
        || matches!(request, crate::history::Request::LeaseGrant { .. }) && role != Role::Nothing
}
