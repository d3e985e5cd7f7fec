//! Live: after healing, every voter serves again and every member catches up.
//!
//! What is read: [`Purpose::LivenessWrite`] and [`Purpose::LivenessRead`] of each voter and
//! [`Purpose::LivenessCatchUp`] of each member, within [`LIMIT_NS`] of the begin of
//! [`Phase::Liveness`].
//!
//! A member that answers with a refusal of the auth layer serves: it is alive and decides. Whether
//! it decides rightly is [`AuthConsistent`](Guarantee::AuthConsistent)'s to say, which reads the
//! same answers. Catching up is shown by Status, or by an answered write, linearizable read or
//! log-in, which a member can only give once it has applied its log up to there.

use super::class::{Class, class_of, error_text};
use super::findings::{Findings, and, count, finding, ms};
use super::rounds::{CatchUp, catch_up};
use super::run::Run;
use crate::history::{Asked, Phase, Purpose, Request};
use crate::verdict::{CheckReport, Guarantee};

const ENGINE: &str = "serves-within-30s 1";

/// How long a cluster has to serve again after healing.
pub const LIMIT_NS: u64 = 30_000_000_000;
/// Trying that ended this little before the limit counts as trying until the limit: the next try
/// would have ended after it.
const SLACK_NS: u64 = 2_000_000_000;

/// Judges it.
#[must_use]
pub fn check(run: &Run<'_>) -> CheckReport {
    let run = *run;
    let mut findings = Findings::default();
    let roster = run.roster();
    let Some(began) = run.phase_at(Phase::Liveness) else {
        findings.undecided(finding(
            "the run ended before liveness was judged: its faults were never all healed, or nobody asked after that",
            vec![],
        ));
        return findings.report(Guarantee::Live, ENGINE, String::new(), vec![]);
    };
    if roster.voters.is_empty() {
        findings.undecided(finding(
            "no voter is known, so none could be asked to serve",
            vec![],
        ));
    }
    let deadline = began.saturating_add(LIMIT_NS);
    let mut slowest = 0;
    for voter in &roster.voters {
        for (purpose, what) in [
            (Purpose::LivenessWrite, "write"),
            (Purpose::LivenessRead, "linearizable read"),
        ] {
            let asks: Vec<_> = run
                .asked_for(purpose)
                .filter(|asked| asked.member == *voter && !is_serializable(asked))
                .collect();
            if let Some(served) = serves(run, voter, what, began, deadline, &asks, &mut findings) {
                slowest = slowest.max(served.saturating_sub(began));
            }
        }
    }
    for member in roster.members() {
        catches_up(run, member, began, deadline, &mut findings);
    }
    let figures = vec![
        ("voters".to_owned(), roster.voters.len() as u64),
        ("members".to_owned(), roster.members().len() as u64),
        ("slowest_ms".to_owned(), slowest / 1_000_000),
    ];
    let holds = format!(
        "{} served again and every member caught up; the slowest took {}",
        and(&Vec::from_iter(&roster.voters)),
        ms(slowest),
    );
    findings.report(Guarantee::Live, ENGINE, holds, figures)
}

fn is_serializable(asked: &Asked) -> bool {
    matches!(&asked.request, Request::Range(range) if range.serializable)
}

/// Judges one kind of request on one voter; returns when it was first served.
fn serves(
    run: Run<'_>,
    voter: &str,
    what: &str,
    began: u64,
    deadline: u64,
    asks: &[&Asked],
    findings: &mut Findings,
) -> Option<u64> {
    let served = asks.iter().find(|asked| asked.outcome.response().is_some());
    if let Some(served) = served.filter(|asked| asked.until <= deadline) {
        return Some(served.until);
    }
    let refused = asks.iter().find(|asked| {
        asked.until <= deadline && class_of(&asked.request, &asked.outcome) == Class::Refused
    });
    if let Some(refused) = refused {
        let mut said = finding(
            format!(
                "{voter} answered a {what} after healing with a refusal of the auth layer, which counts as serving here: {}",
                error_text(&refused.outcome)
            ),
            vec!["Whether it refuses rightly is judged as auth-consistent.".to_owned()],
        );
        said.members = vec![voter.to_owned()];
        said.observations = vec![refused.id];
        findings.remark(said);
        return Some(refused.until);
    }
    let Some(last) = asks.last() else {
        let mut undecided = finding(
            format!("whether {voter} serves a {what} was not asked"),
            vec![],
        );
        undecided.members = vec![voter.to_owned()];
        findings.undecided(undecided);
        return None;
    };
    let tried_until = watched_until(run, last.until);
    let mut found = finding(String::new(), vec![]);
    found.members = vec![voter.to_owned()];
    found.observations = vec![last.id];
    found.at = Some(last.until);
    let tries = format!(
        "{} between {} and {}",
        times(asks.len()),
        ms(began),
        ms(last.until)
    );
    if tried_until + SLACK_NS < deadline {
        found.title = format!(
            "whether {voter} serves a {what} within {} s of healing could not be judged: trying ended after {}",
            LIMIT_NS / 1_000_000_000,
            ms(tried_until.saturating_sub(began)),
        );
        found.explanation = vec![format!(
            "It was asked {tries}; the last answer was {}.",
            error_text(&last.outcome)
        )];
        findings.undecided(found);
        return None;
    }
    found.title = format!(
        "{voter} served no {what} within {} s of healing: {}",
        LIMIT_NS / 1_000_000_000,
        served.map_or_else(
            || format!("the last answer was {}", error_text(&last.outcome)),
            |late| format!(
                "the first came after {}",
                ms(late.until.saturating_sub(began))
            ),
        ),
    );
    found.explanation = vec![
        format!("Every fault was healed by {}.", ms(began)),
        format!(
            "{voter} was asked {tries}; the last answer was {}.",
            error_text(&last.outcome)
        ),
    ];
    findings.broken(found);
    served.map(|late| late.until)
}

fn times(number: usize) -> String {
    count(number, "time")
}

/// Until when the harness kept trying: its last try, or the next phase, which begins when it gives
/// up.
fn watched_until(run: Run<'_>, last: u64) -> u64 {
    let next = run.phase_at(Phase::Final).or(run.phase_at(Phase::Stop));
    last.max(next.unwrap_or(0))
}

fn catches_up(run: Run<'_>, member: &str, began: u64, deadline: u64, findings: &mut Findings) {
    let limit = LIMIT_NS / 1_000_000_000;
    match catch_up(run, member) {
        CatchUp::Reached { at, .. } if at <= deadline => {}
        CatchUp::Reached { at, behind } => {
            let mut late = finding(
                format!(
                    "{member} caught up only {} after healing, later than {limit} s",
                    ms(at.saturating_sub(began))
                ),
                vec![],
            );
            late.members = vec![member.to_owned()];
            late.at = Some(at);
            if behind.is_some_and(|behind| behind + SLACK_NS >= deadline) {
                findings.broken(late);
            } else {
                late.title = format!(
                    "{member} was seen to have caught up only {} after healing, and not watched before",
                    ms(at.saturating_sub(began))
                );
                findings.undecided(late);
            }
        }
        CatchUp::Behind {
            applied,
            target,
            at,
            observation,
        } => {
            let mut behind = finding(
                format!(
                    "{member} had not caught up at {}: it had applied up to {applied}, the leader up to {target}",
                    ms(at)
                ),
                vec![],
            );
            behind.members = vec![member.to_owned()];
            behind.observations = vec![observation];
            behind.at = Some(at);
            if watched_until(run, at) + SLACK_NS < deadline {
                behind.title = format!("{}, and it was not watched for {limit} s", behind.title);
                findings.undecided(behind);
            } else {
                behind.title = format!("{}, {limit} s after healing", behind.title);
                findings.broken(behind);
            }
        }
        CatchUp::Unseen => {
            let mut unseen = finding(
                format!(
                    "whether {member} caught up after healing could not be judged: no Status of it was answered"
                ),
                vec![],
            );
            unseen.members = vec![member.to_owned()];
            findings.undecided(unseen);
        }
    }
}
