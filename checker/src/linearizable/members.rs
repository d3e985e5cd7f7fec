//! Which member's answers differ from the others', and by how many revisions.

use super::explain::millis;
use super::operation::{Operation, Operations, Role};

/// A member whose revisions are shifted against those of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub member: String,
    /// Since when, in nanoseconds.
    pub since: u64,
    /// By at least and at most how many revisions; negative means behind.
    pub least: i64,
    pub most: i64,
    /// How many of its answers show it.
    pub answers: usize,
}

/// Fewer answers than this prove nothing worth telling.
const ANSWERS_MIN: usize = 3;

impl Shift {
    /// In a sentence.
    pub(super) fn sentence(&self) -> String {
        format!(
            "Every answer of {} from {} on ({} of them) is {} {} those of the other members.",
            self.member,
            millis(self.since),
            self.answers,
            self.revisions(),
            if self.least > 0 { "ahead of" } else { "behind" },
        )
    }

    fn revisions(&self) -> String {
        let (one, other) = (self.least.abs(), self.most.abs());
        match (one.min(other), one.max(other)) {
            (1, 1) => "1 revision".to_owned(),
            (least, most) if least == most => format!("{least} revisions"),
            (least, most) => format!("{least} to {most} revisions"),
        }
    }
}

/// Looks for a shift of one of `suspects`, the members that every contradiction involves.
pub(super) fn shift(operations: &Operations, suspects: &[String]) -> Option<Shift> {
    let shifts = suspects
        .iter()
        .filter_map(|member| shift_of(operations, member));
    // Of two members that differ, the one ahead holds what the other does not.
    shifts.max_by_key(|shift| (shift.least > 0, shift.answers))
}

fn shift_of(operations: &Operations, member: &str) -> Option<Shift> {
    let ordered = |op: &&Operation| matches!(op.role, Role::Write(_) | Role::Read(_));
    let of = |op: &Operation| op.order_revision().expect("a write or a read");
    let (mut own, others): (Vec<&Operation>, Vec<&Operation>) = operations
        .all
        .iter()
        .filter(ordered)
        .partition(|op| op.member == member);
    own.sort_by_key(|op| op.call);
    let mut returned: Vec<(u64, i64)> = others.iter().map(|op| (op.ret, of(op))).collect();
    // Nearly sorted already: a stable sort takes what is in order as it is.
    returned.sort();
    for i in 1..returned.len() {
        returned[i].1 = returned[i].1.max(returned[i - 1].1);
    }
    // Before a write the store stands at least one revision lower.
    let below = |op: &Operation| of(op) - i64::from(matches!(op.role, Role::Write(_)));
    let mut called: Vec<(u64, i64)> = others.iter().map(|op| (op.call, below(op))).collect();
    called.sort();
    for i in (1..called.len()).rev() {
        called[i - 1].1 = called[i - 1].1.min(called[i].1);
    }

    let (mut least, mut most) = (i64::MIN, i64::MAX);
    let mut since = None;
    let mut answers = 0;
    for op in own.iter().rev() {
        let before = returned
            .partition_point(|(ret, _)| *ret < op.call)
            .checked_sub(1);
        let after = called.get(called.partition_point(|(call, _)| *call <= op.ret));
        let at_least = after.map_or(i64::MIN, |(_, revision)| of(op) - revision);
        let at_most = before.map_or(i64::MAX, |i| below(op) - returned[i].1);
        if at_least.max(least) > at_most.min(most) {
            break;
        }
        (least, most) = (least.max(at_least), most.min(at_most));
        since = Some(op.call);
        answers += 1;
    }
    let bounded = least > 0 && most < i64::MAX || most < 0 && least > i64::MIN;
    let since = since.filter(|_| bounded && answers >= ANSWERS_MIN)?;
    Some(Shift {
        member: member.to_owned(),
        since,
        least,
        most,
        answers,
    })
}
