//! Contradictions that two or three operations prove by themselves, whatever filled the gaps.

use super::candidates::Domains;
use super::explain::{Teller, push_once};
use super::leases::time_to_live;
use super::members::shift;
use super::operation::Role;
use super::revisions::{Op, slot};
use crate::history::Request;
use crate::verdict::{FINDINGS_MAX, Finding};

/// Findings of one kind between the same members are told once, with a count.
#[derive(Default)]
struct Groups {
    found: Vec<Group>,
}

struct Group {
    kind: Kind,
    members: Vec<String>,
    first: Finding,
    more: u64,
}

/// In the order of reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    FirstRevision,
    Duplicate,
    Inversion,
    NotWritten,
    NobodyWrote,
    Unseen,
    Pinned,
    Phantom,
}

impl Groups {
    fn add(&mut self, teller: &Teller, kind: Kind, ops: &[Op], tell: impl FnOnce() -> Finding) {
        let mut members: Vec<String> = Vec::new();
        for op in ops {
            push_once(&mut members, teller.op(*op).member.to_owned());
        }
        members.sort_unstable();
        let same = |group: &&mut Group| group.kind == kind && group.members == members;
        let room = self.found.len() < 4 * FINDINGS_MAX;
        match self.found.iter_mut().find(same) {
            Some(group) => group.more += 1,
            None if room => {
                self.found.push(Group {
                    kind,
                    members,
                    first: tell(),
                    more: 0,
                });
            }
            None => {}
        }
    }
}

/// All of them, grouped; empty if there are none.
pub(super) fn contradictions(teller: &Teller, domains: &Domains) -> Vec<Finding> {
    let mut groups = Groups::default();
    first_revision(teller, &mut groups);
    duplicates(teller, &mut groups);
    inversions(teller, &mut groups);
    values(teller, &mut groups);
    pins(teller, &mut groups);
    phantom(teller, domains, &mut groups);

    let Groups { mut found } = groups;
    found.sort_by_key(|group| (group.kind, group.first.at));
    // A member that every contradiction involves may be shifted against the others.
    let mut suspects = found
        .first()
        .map_or(Vec::new(), |group| group.members.clone());
    for group in &found {
        if group.kind <= Kind::Inversion {
            suspects.retain(|member| group.members.contains(member));
        }
    }
    let shift = shift(teller.operations, &suspects);
    let mut findings: Vec<Finding> = Vec::new();
    for Group {
        mut first,
        more,
        members,
        ..
    } in found
    {
        if more > 0 {
            first.explanation.push(format!(
                "{more} more of this kind between the same members ({}).",
                members.join(", ")
            ));
        }
        if let Some(shift) = shift
            .as_ref()
            .filter(|shift| members.contains(&shift.member))
        {
            first.explanation.push(shift.sentence());
        }
        findings.push(first);
    }
    findings
}

/// The empty store is at revision 1: no write can have made that.
fn first_revision(teller: &Teller, groups: &mut Groups) {
    for (op, operation) in teller.operations.all.iter().enumerate() {
        if operation.role == Role::Write(1) {
            groups.add(teller, Kind::FirstRevision, &[op], || {
                teller.made_first_revision(op)
            });
        }
    }
}

fn duplicates(teller: &Teller, groups: &mut Groups) {
    for (revision, first, second) in &teller.revisions.duplicates {
        groups.add(teller, Kind::Duplicate, &[*first, *second], || {
            teller.duplicate(*revision, *first, *second)
        });
    }
}

/// Operations in the order of their invocation; each against the furthest that had been seen by
/// then. So the first of a group is the first in time: the shortest way into the trouble. A write
/// stands before the reads of its revision.
fn inversions(teller: &Teller, groups: &mut Groups) {
    let all = &teller.operations.all;
    let place = |op: Op| {
        let operation = &all[op];
        let revision = operation.order_revision()?;
        let read = !matches!(operation.role, Role::Write(_));
        Some((revision, read))
    };
    let mut by_call: Vec<Op> = (0..all.len()).filter(|op| place(*op).is_some()).collect();
    let mut by_return = by_call.clone();
    by_call.sort_by_key(|op| (all[*op].call, *op));
    by_return.sort_by_key(|op| (all[*op].ret, *op));
    let mut returned = by_return.into_iter().peekable();
    let mut furthest: Option<Op> = None;
    for op in by_call {
        while let Some(before) = returned.next_if(|before| all[*before].ret < all[op].call) {
            if furthest.is_none_or(|known| place(known) < place(before)) {
                furthest = Some(before);
            }
        }
        if let Some(seen) = furthest.filter(|seen| place(op) < place(*seen)) {
            groups.add(teller, Kind::Inversion, &[op, seen], || {
                teller.inversion(op, seen)
            });
        }
    }
}

/// What answers show of single key-values, against the writes at their revisions.
fn values(teller: &Teller, groups: &mut Groups) {
    let Teller {
        operations,
        revisions,
        facts,
    } = *teller;
    let mut contested: Vec<i64> = revisions
        .duplicates
        .iter()
        .map(|(revision, ..)| *revision)
        .collect();
    contested.sort_unstable();
    let contested = |revision: i64| contested.binary_search(&revision).is_ok();
    for shown in &facts.shown {
        let (kv, revision) = (shown.kv, shown.kv.mod_revision);
        if revision < 2 || revision > revisions.last || contested(revision) {
            continue;
        }
        match revisions.writer[slot(revision, revisions.last)] {
            Some(writer) => {
                let mut agrees = false;
                operations.all[writer].each_put(|put| {
                    agrees |= put.key == kv.key
                        && (put.ignore_value || !shown.with_value || put.value == kv.value);
                });
                if !agrees {
                    groups.add(teller, Kind::NotWritten, &[writer, shown.op], || {
                        teller.not_written(*shown, writer)
                    });
                }
            }
            None if shown.with_value => {
                let known = facts.maybe_puts.contains_key(&(&kv.key, &kv.value))
                    || facts.maybe_kept.contains(&kv.key);
                if !known {
                    groups.add(teller, Kind::NobodyWrote, &[shown.op], || {
                        teller.nobody_wrote(*shown)
                    });
                }
            }
            None => {}
        }
    }
    let mut unseen: Vec<(i64, Op, super::facts::Shown)> = Vec::new();
    for (key, key_facts) in &facts.keys {
        for (revision, op) in &key_facts.puts {
            if let Some(shown) = facts
                .unchanged(key, *revision)
                .filter(|_| !contested(*revision))
            {
                unseen.push((*revision, *op, shown));
            }
        }
    }
    unseen.sort_by_key(|(revision, op, _)| (*revision, *op));
    for (revision, op, shown) in unseen {
        groups.add(teller, Kind::Unseen, &[op, shown.op], || {
            teller.unseen_write(shown, op, revision)
        });
    }
}

/// Reads pinned to a revision above the one they were answered at.
fn pins(teller: &Teller, groups: &mut Groups) {
    for (op, operation) in teller.operations.all.iter().enumerate() {
        let Some(header) = operation.proves_revision() else {
            continue;
        };
        operation.each_pinned(|range, _| {
            if range.revision > header {
                groups.add(teller, Kind::Pinned, &[op], || {
                    teller.pinned_to_future(op, range.revision)
                });
            }
        });
    }
}

/// Revisions that no acknowledged write made, against all that can have made them by time: which
/// candidates there are only grows with the revision, so counting decides.
fn phantom(teller: &Teller, domains: &Domains, groups: &mut Groups) {
    let all = &teller.operations.all;
    let mut expiries: Vec<u64> = all
        .iter()
        .filter(|op| {
            matches!(op.request, Request::LeaseGrant { .. })
                && matches!(op.role, Role::Read(_) | Role::Maybe)
        })
        .map(|op| op.call.saturating_add(time_to_live(op)))
        .collect();
    expiries.sort_unstable();
    let mut gaps = 0;
    for gap in teller.revisions.gaps() {
        if !teller.revisions.revokes_at(gap).is_empty() {
            continue;
        }
        gaps += 1;
        let deadline = teller.revisions.deadline[slot(gap, teller.revisions.last)];
        let writes = domains.called_by(teller.operations, deadline);
        let candidates = writes + expiries.partition_point(|time| *time <= deadline);
        if gaps > candidates {
            let finding = teller.phantom(gap, gaps, candidates);
            let members = finding.members.clone();
            groups.found.push(Group {
                kind: Kind::Phantom,
                members,
                first: finding,
                more: 0,
            });
            return;
        }
    }
}
