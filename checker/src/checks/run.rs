//! The run as the checks look at it: operations joined with their answers, members, phases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::class::{Class, class_of};
use crate::history::{
    Asked, FaultRecord, MemberInfo, ObservationRecord, Outcome, Phase, Purpose, Record, Request,
};

/// The three streams of a run, and which of them are whole.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// `history.jsonl`.
    pub history: &'a [Record],
    /// `faults.jsonl`.
    pub faults: &'a [FaultRecord],
    /// `observations.jsonl`.
    pub observations: &'a [ObservationRecord],
    /// Whether the history had its footer: only then is an operation that is not in it known not
    /// to have been sent.
    pub history_complete: bool,
    /// Whether the observations had theirs.
    pub observations_complete: bool,
    /// Whether the store may compact by itself (`--auto-compaction-retention`).
    pub foreign_compactions: bool,
    /// The store has no HashKV: members are compared by revision and content.
    pub no_hashes: bool,
}

impl<'a> Run<'a> {
    /// A run whose streams are whole.
    #[must_use]
    pub fn whole(
        history: &'a [Record],
        faults: &'a [FaultRecord],
        observations: &'a [ObservationRecord],
    ) -> Self {
        Self {
            history,
            faults,
            observations,
            history_complete: true,
            observations_complete: true,
            foreign_compactions: false,
            no_hashes: false,
        }
    }

    /// Everything the harness asked, in order.
    pub(super) fn asked(self) -> impl Iterator<Item = &'a Asked> {
        self.observations.iter().filter_map(|record| match record {
            ObservationRecord::Asked(asked) => Some(asked),
            _ => None,
        })
    }

    /// What the harness asked for one purpose.
    pub(super) fn asked_for(self, purpose: Purpose) -> impl Iterator<Item = &'a Asked> {
        self.asked().filter(move |asked| asked.purpose == purpose)
    }

    /// When a phase began; the first time if it did so more than once.
    pub(super) fn phase_at(self, wanted: Phase) -> Option<u64> {
        self.observations.iter().find_map(|record| match record {
            ObservationRecord::Phase { at, phase } if *phase == wanted => Some(*at),
            _ => None,
        })
    }

    /// Whether auth was switched on in this run.
    pub(super) fn auth_was_on(self) -> bool {
        let enable = |request: &Request| {
            matches!(request, Request::Auth(crate::history::AuthRequest::Enable))
        };
        self.asked()
            .any(|asked| enable(&asked.request) && asked.outcome.response().is_some())
            || self.history.iter().any(|record| match record {
                Record::Invoke(invoke) => enable(&invoke.request),
                _ => false,
            })
    }

    /// Who is in the cluster in the end. Without any record of it, whoever was asked anything.
    pub(super) fn roster(self) -> Roster<'a> {
        let mut roster = Roster::default();
        let mut latest: Option<&'a [MemberInfo]> = None;
        let mut known = BTreeSet::new();
        for record in self.observations {
            if let ObservationRecord::Membership { at, members } = record {
                let names: BTreeSet<_> = members.iter().map(|m| m.name.as_str()).collect();
                for gone in known.difference(&names) {
                    roster.removed.entry(gone).or_insert(*at);
                }
                roster.removed.retain(|name, _| !names.contains(name));
                known.extend(names);
                latest = Some(members);
            }
        }
        match latest {
            Some(members) => {
                for member in members {
                    let side = if member.learner {
                        &mut roster.learners
                    } else {
                        &mut roster.voters
                    };
                    side.insert(member.name.as_str());
                }
            }
            None => roster.voters = self.asked().map(|asked| asked.member.as_str()).collect(),
        }
        roster
    }

    /// Every request of clients and harness alike, with its answer: first the history's, then the
    /// observations', each in the order of its stream.
    pub(super) fn operations(self) -> Vec<Op<'a>> {
        let mut ops = Vec::new();
        let mut place = HashMap::new();
        for record in self.history {
            match record {
                Record::Invoke(invoke) => {
                    place.insert(invoke.id, ops.len());
                    ops.push(Op {
                        source: Source::History(invoke.id),
                        at: invoke.at,
                        until: None,
                        member: &invoke.member,
                        user: invoke.user.as_deref(),
                        request: &invoke.request,
                        outcome: None,
                        class: Class::Unknown,
                    });
                }
                Record::Return(end) => {
                    if let Some(op) = place
                        .get(&end.id)
                        .and_then(|&index: &usize| ops.get_mut(index))
                    {
                        op.until = Some(end.at);
                        op.outcome = Some(&end.outcome);
                        op.class = class_of(op.request, &end.outcome);
                    }
                }
                _ => {}
            }
        }
        ops.extend(self.asked().map(|asked| Op {
            source: Source::Observation(asked.id),
            at: asked.at,
            until: Some(asked.until),
            member: &asked.member,
            user: asked.user.as_deref(),
            request: &asked.request,
            outcome: Some(&asked.outcome),
            class: class_of(&asked.request, &asked.outcome),
        }));
        ops
    }
}

/// Members by what they are in the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster<'a> {
    /// They vote.
    pub(super) voters: BTreeSet<&'a str>,
    /// They do not.
    pub(super) learners: BTreeSet<&'a str>,
    /// They were members once, until this time.
    pub(super) removed: BTreeMap<&'a str, u64>,
}

impl<'a> Roster<'a> {
    /// Voters and learners, in name order.
    pub(super) fn members(&self) -> BTreeSet<&'a str> {
        self.voters.union(&self.learners).copied().collect()
    }
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Source {
    /// In the history, under this number.
    History(u64),
    /// Among the observations, under this number.
    Observation(u64),
}

/// A request with its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op<'a> {
    /// Where it stands.
    pub(super) source: Source,
    /// When it was sent.
    pub(super) at: u64,
    /// When it was answered or given up, if ever.
    pub(super) until: Option<u64>,
    /// The member asked.
    pub(super) member: &'a str,
    /// The user it was asked as.
    pub(super) user: Option<&'a str>,
    /// What was asked.
    pub(super) request: &'a Request,
    /// What came back, if anything.
    pub(super) outcome: Option<&'a Outcome>,
    /// What that means.
    pub(super) class: Class,
}

impl Op<'_> {
    /// How sentences call it.
    pub(super) fn name(&self) -> String {
        let kind = self.request.kind();
        match self.source {
            Source::History(id) => format!("{kind} (operation {id})"),
            Source::Observation(id) => format!("{kind} of the harness (observation {id})"),
        }
    }

    /// The latest time at which it can have taken effect: its return if it was answered, no bound
    /// if it was not, or if it was refused and yet took effect.
    pub(super) fn latest(&self) -> u64 {
        match (self.class, self.until) {
            (Class::Ok, Some(until)) => until,
            _ => u64::MAX,
        }
    }
}

/// Puts an operation's number where findings list it.
pub(super) fn cite(finding: &mut crate::verdict::Finding, source: Source) {
    let (list, id) = match source {
        Source::History(id) => (&mut finding.operations, id),
        Source::Observation(id) => (&mut finding.observations, id),
    };
    if !list.contains(&id) {
        list.push(id);
    }
}
