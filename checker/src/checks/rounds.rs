//! Rounds of Status on all members, and which members stand at the same applied index.

use std::collections::BTreeMap;

use super::class::error_text;
use super::run::{Roster, Run};
use crate::history::{
    Asked, ObservationRecord, Outcome, ProcessEventKind, Purpose, Request, Response, StatusResponse,
};

/// One sweep of Status over the members.
struct Round<'a> {
    answers: BTreeMap<&'a str, &'a Asked>,
}

/// A member's state that did not change between the last two rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled<'a> {
    /// The member.
    pub(super) member: &'a str,
    /// The revision it states.
    pub(super) revision: i64,
    /// The applied index it states.
    pub(super) applied: u64,
    /// The observation that says so.
    pub(super) observation: u64,
    /// When that was answered.
    pub(super) at: u64,
}

/// What the last two rounds of Status came to.
#[derive(Debug, Default)]
pub(super) struct Quiet<'a> {
    /// Members that stood still, by applied index.
    pub(super) groups: BTreeMap<u64, Vec<Settled<'a>>>,
    /// Members that did not, or did not answer, and why.
    pub(super) unsettled: Vec<(&'a str, String)>,
    /// When the last round began.
    pub(super) began: u64,
    /// How many rounds there were.
    pub(super) rounds: usize,
}

impl<'a> Quiet<'a> {
    /// Reads the last two rounds in which every current member was asked.
    pub(super) fn of(run: Run<'a>, roster: &Roster<'a>) -> Self {
        let members = roster.members();
        let mut rounds: BTreeMap<u32, Round<'a>> = BTreeMap::new();
        for asked in run.asked_for(Purpose::ConvergenceStatus) {
            if members.contains(asked.member.as_str()) {
                let round = rounds.entry(asked.round).or_insert(Round {
                    answers: BTreeMap::new(),
                });
                let kept = round.answers.entry(&asked.member).or_insert(asked);
                if asked.outcome.response().is_some() || kept.outcome.response().is_none() {
                    *kept = asked;
                }
            }
        }
        rounds.retain(|_, round| round.answers.len() == members.len());
        let mut last = rounds.values().rev();
        let (Some(second), Some(first)) = (last.next(), last.next()) else {
            let why = if rounds.is_empty() {
                "no round of Status reached every member"
            } else {
                "there was one round of Status where two equal ones are needed"
            };
            return Self {
                unsettled: members.into_iter().map(|m| (m, why.to_owned())).collect(),
                rounds: rounds.len(),
                ..Self::default()
            };
        };
        let mut quiet = Self {
            began: second
                .answers
                .values()
                .map(|asked| asked.at)
                .min()
                .unwrap_or(0),
            rounds: rounds.len(),
            ..Self::default()
        };
        for (&member, &asked) in &second.answers {
            match (
                status(asked),
                first.answers.get(member).and_then(|asked| status(asked)),
            ) {
                (Some(now), Some(before)) if point(now) == point(before) => {
                    quiet
                        .groups
                        .entry(now.raft_applied_index)
                        .or_default()
                        .push(Settled {
                            member,
                            revision: now.header.revision,
                            applied: now.raft_applied_index,
                            observation: asked.id,
                            at: asked.until,
                        });
                }
                (Some(now), Some(before)) => quiet.unsettled.push((
                    member,
                    format!(
                        "it was still moving: revision {} at applied index {}, then {} at {}",
                        before.header.revision,
                        before.raft_applied_index,
                        now.header.revision,
                        now.raft_applied_index
                    ),
                )),
                (None, _) => quiet.unsettled.push((
                    member,
                    format!("its Status failed with {}", error_text(&asked.outcome)),
                )),
                (Some(_), None) => quiet.unsettled.push((
                    member,
                    "it answered the last round of Status but not the one before".to_owned(),
                )),
            }
        }
        quiet
    }

    /// What a member stood at, if it stood still.
    pub(super) fn settled(&self, member: &str) -> Option<&Settled<'a>> {
        self.groups
            .values()
            .flatten()
            .find(|settled| settled.member == member)
    }

    /// Whether a member had applied everything that any other had.
    pub(super) fn is_newest(&self, member: &str) -> bool {
        let newest = self.groups.last_key_value().map(|(_, group)| group);
        self.unsettled.is_empty()
            && newest.is_some_and(|group| group.iter().any(|settled| settled.member == member))
    }

    /// Whether two members stood at the same applied index.
    pub(super) fn together(&self, one: &str, other: &str) -> bool {
        match (self.settled(one), self.settled(other)) {
            (Some(one), Some(other)) => one.applied == other.applied,
            _ => false,
        }
    }
}

fn status(asked: &Asked) -> Option<&StatusResponse> {
    match &asked.outcome {
        Outcome::Ok {
            response: Response::Status(status),
        } => Some(status),
        _ => None,
    }
}

fn point(status: &StatusResponse) -> (i64, u64) {
    (status.header.revision, status.raft_applied_index)
}

/// How far a member came, after healing, towards what the leader had applied then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CatchUp {
    /// It reached it, by this time.
    Reached {
        /// When it was seen to have.
        at: u64,
        /// When it was last seen not to have, if ever.
        behind: Option<u64>,
    },
    /// It was last seen here.
    Behind {
        /// The applied index it had.
        applied: u64,
        /// The one it had to reach.
        target: u64,
        /// When that was seen.
        at: u64,
        /// The observation.
        observation: u64,
    },
    /// Nothing is known of it.
    Unseen,
}

/// The applied index that every member had to reach: the leader's at its first answer; where no
/// leader answered, the highest in the first round.
fn target(run: Run<'_>) -> Option<u64> {
    let answers = || {
        run.asked_for(Purpose::LivenessCatchUp)
            .filter_map(|asked| Some((asked, status(asked)?)))
    };
    answers()
        .find(|(_, status)| status.leader != 0 && status.leader == status.header.member_id)
        .map(|(_, status)| status.raft_applied_index)
        .or_else(|| {
            let first = answers().map(|(asked, _)| asked.round).min()?;
            answers()
                .filter(|(asked, _)| asked.round == first)
                .map(|(_, status)| status.raft_applied_index)
                .max()
        })
}

/// Whether a member caught up. Besides Status, an answered write, linearizable read or log-in
/// through it after healing proves it, for the member had to apply its log up to that point first.
pub(super) fn catch_up(run: Run<'_>, member: &str) -> CatchUp {
    let through_log = run.asked().find(|asked| {
        asked.member == member && asked.outcome.response().is_some() && proves_catch_up(asked)
    });
    let mut reached = through_log.map(|asked| asked.until);
    let mut behind = None;
    if let Some(target) = target(run) {
        for asked in run
            .asked_for(Purpose::LivenessCatchUp)
            .filter(|a| a.member == member)
        {
            let Some(status) = status(asked) else {
                continue;
            };
            let applied = status.raft_applied_index;
            if applied >= target {
                reached = Some(reached.unwrap_or(u64::MAX).min(asked.until));
                break;
            }
            let (at, observation) = (asked.until, asked.id);
            behind = Some(CatchUp::Behind {
                applied,
                target,
                at,
                observation,
            });
        }
    }
    match (reached, behind) {
        (Some(at), Some(CatchUp::Behind { at: behind, .. })) => CatchUp::Reached {
            at,
            behind: Some(behind),
        },
        (Some(at), _) => CatchUp::Reached { at, behind: None },
        (None, Some(behind)) => behind,
        (None, None) => CatchUp::Unseen,
    }
}

fn proves_catch_up(asked: &Asked) -> bool {
    let after_healing = matches!(
        asked.purpose,
        Purpose::LivenessWrite
            | Purpose::LivenessRead
            | Purpose::AuthLogin
            | Purpose::AuthAllowed
            | Purpose::ConvergenceContent
    );
    after_healing
        && match &asked.request {
            Request::Put(_) | Request::Authenticate { .. } => true,
            Request::Range(range) => !range.serializable,
            _ => false,
        }
}

/// When a member's process was last started.
pub(super) fn last_start(run: Run<'_>, member: &str) -> u64 {
    let started = |record: &ObservationRecord| match record {
        ObservationRecord::Process(event)
            if event.member == member && event.event == ProcessEventKind::Started =>
        {
            Some(event.at)
        }
        _ => None,
    };
    run.observations
        .iter()
        .filter_map(started)
        .max()
        .unwrap_or(0)
}
