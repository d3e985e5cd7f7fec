//! Auth is consistent: credentials and permissions that are valid on one member are valid on all.
//!
//! What is read: the probes asked after healing of each voter, namely
//! [`Purpose::AuthLogin`] (must succeed), [`Purpose::AuthAllowed`] (must succeed) and
//! [`Purpose::AuthDenied`] (must be refused for want of permission); and liveness requests that the
//! auth layer refused. Learners refuse log-ins rightly and are left out.
//!
//! Probes are compared between voters when they agree in purpose, user, kind of request and key
//! range; values may differ. Of each voter the last conclusive answer counts: a success, or a
//! refusal by the auth layer. Anything else (no answer, no leader) is none.
//!
//! - Some voters answer as they must and others do not: violated, and those others are named,
//!   provided that they had caught up; a voter that lags may lack the permission's entry.
//! - All voters answer alike but not as expected: inconclusive. Members agree, so this promise is
//!   not broken, but either the set-up is wrong or something is broken everywhere.

mod probe;

use std::collections::BTreeMap;

use self::probe::{Answer, Kind, Probe, last_answers};
use super::class::{Class, class_of, error_text};
use super::findings::{Findings, and, count, finding, ms, not_run, owned, verb};
use super::rounds::{CatchUp, catch_up, last_start};
use super::run::{Roster, Run};
use crate::history::{Asked, Phase, Purpose, Request};
use crate::verdict::{CheckReport, Finding, Guarantee};

const ENGINE: &str = "auth-probes 1";

/// Judges it.
#[must_use]
pub fn check(run: &Run<'_>) -> CheckReport {
    let run = *run;
    let roster = run.roster();
    let probes = last_answers(run, &roster);
    let mut findings = Findings::default();
    for (probe, answers) in &probes {
        judge(run, &roster, probe, answers, &mut findings);
    }
    let refused = refused_liveness(run, &roster, &mut findings);
    if probes.is_empty() && refused == 0 {
        if !run.auth_was_on() {
            return not_run(
                Guarantee::AuthConsistent,
                ENGINE,
                "auth was off in this run: nobody logged in",
            );
        }
        findings.undecided(finding(
            "auth was on, but the run ended before any voter was probed with log-ins and requests",
            vec![],
        ));
    }
    let asked: usize = probes.values().map(BTreeMap::len).sum();
    let figures = vec![
        ("probes".to_owned(), probes.len() as u64),
        ("answers".to_owned(), asked as u64),
        ("voters".to_owned(), roster.voters.len() as u64),
    ];
    let holds = format!(
        "{} asked of {}: every voter gave the same, expected answer",
        count(probes.len(), "probe"),
        and(&Vec::from_iter(&roster.voters)),
    );
    findings.report(Guarantee::AuthConsistent, ENGINE, holds, figures)
}

fn judge(
    run: Run<'_>,
    roster: &Roster<'_>,
    probe: &Probe<'_>,
    answers: &BTreeMap<&str, Answer<'_>>,
    findings: &mut Findings,
) {
    let unasked: Vec<_> = roster
        .voters
        .iter()
        .copied()
        .filter(|voter| !answers.contains_key(voter))
        .collect();
    if !unasked.is_empty() {
        findings.undecided(about(
            finding(
                format!("{probe} was not asked of {}", and(&unasked)),
                vec![],
            ),
            &unasked,
        ));
    }
    for (voter, answer) in answers
        .iter()
        .filter(|(_, answer)| answer.conclusive.is_none())
    {
        let mut undecided = about(
            finding(
                format!(
                    "{probe} got no conclusive answer from {voter} in {}: the last was {}",
                    count(answer.tries, "try").replace("trys", "tries"),
                    error_text(&answer.last.outcome),
                ),
                vec![],
            ),
            &[*voter],
        );
        undecided.observations = vec![answer.last.id];
        findings.undecided(undecided);
    }
    let conclusive = || {
        answers
            .iter()
            .filter_map(|(m, answer)| Some((*m, answer.conclusive?)))
    };
    let (right, wrong): (Vec<_>, Vec<_>) =
        conclusive().partition(|(_, asked)| probe.is_expected(asked));
    match (right.as_slice(), wrong.as_slice()) {
        (_, []) => {}
        ([], wrong) => findings.undecided(all_wrong(probe, wrong)),
        (right, wrong) => {
            for (member, asked) in wrong {
                disagreement(run, probe, member, asked, right, findings);
            }
        }
    }
}

fn disagreement(
    run: Run<'_>,
    probe: &Probe<'_>,
    member: &str,
    asked: &Asked,
    right: &[(&str, &Asked)],
    findings: &mut Findings,
) {
    let others: Vec<_> = right.iter().map(|(other, _)| *other).collect();
    let mut explanation = vec![
        format!(
            "{member} was asked at {} and answered {}.",
            ms(asked.at),
            answer_text(asked)
        ),
        format!(
            "{} {} {} what was expected: {}.",
            and(&others),
            verb(others.len(), "was", "were"),
            "asked the same and answered",
            probe.expectation(),
        ),
    ];
    let mut found = finding(
        match probe.kind {
            Kind::Login | Kind::Allowed => format!(
                "{member} refuses what {} {}: {probe} was answered {}",
                and(&others),
                verb(others.len(), "accepts", "accept"),
                error_text(&asked.outcome),
            ),
            Kind::Denied if asked.outcome.response().is_some() => format!(
                "{member} allows what {} {}: {probe} was answered with data",
                and(&others),
                verb(others.len(), "refuses", "refuse"),
            ),
            Kind::Denied => format!(
                "{member} refuses {probe} for another reason than {}: {}",
                and(&others),
                error_text(&asked.outcome),
            ),
        },
        vec![],
    );
    match catch_up(run, member) {
        CatchUp::Reached { .. } => {
            explanation.push(format!(
                "{member} had caught up after healing, so it knew the same users, roles and permissions."
            ));
            found.explanation = explanation;
            findings.broken(cited(found, member, asked, right));
        }
        seen => {
            explanation.push(match seen {
                CatchUp::Behind { applied, target, .. } => format!(
                    "{member} was last seen at applied index {applied} of {target}: it may rightly not know of the permission yet."
                ),
                _ => format!("Nothing shows that {member} had caught up: it may rightly not know of the permission yet."),
            });
            found.title = format!("{} (but it was not seen to have caught up)", found.title);
            found.explanation = explanation;
            findings.undecided(cited(found, member, asked, right));
        }
    }
}

fn all_wrong(probe: &Probe<'_>, wrong: &[(&str, &Asked)]) -> Finding {
    let names: Vec<_> = wrong.iter().map(|(member, _)| *member).collect();
    let mut undecided = about(
        finding(
            format!(
                "{probe} was not answered as expected by any voter that answered ({}): {}",
                and(&names),
                wrong.first().map_or_else(String::new, |(_, asked)| answer_text(asked)),
            ),
            vec![
                format!("Expected was: {}.", probe.expectation()),
                "All voters agree, so no member contradicts another; either users and permissions were not set up as the plan says, or the store is wrong everywhere.".to_owned(),
            ],
        ),
        &names,
    );
    undecided.observations = wrong.iter().map(|(_, asked)| asked.id).collect();
    undecided
}

fn cited(mut found: Finding, member: &str, asked: &Asked, right: &[(&str, &Asked)]) -> Finding {
    found.members = vec![member.to_owned()];
    found.observations = vec![asked.id];
    found
        .observations
        .extend(right.iter().map(|(_, other)| other.id));
    found.at = Some(asked.until);
    found
}

fn about(mut found: Finding, members: &[&str]) -> Finding {
    found.members = owned(members);
    found
}

fn answer_text(asked: &Asked) -> String {
    if asked.outcome.response().is_some() {
        "with success".to_owned()
    } else {
        error_text(&asked.outcome)
    }
}

/// Liveness requests whose last answer was a refusal by the auth layer, though the same user was
/// served by another voter and had logged in since the refusing member started and healing ended.
/// Returns how many voters refused, whether or not that proves anything.
fn refused_liveness(run: Run<'_>, roster: &Roster<'_>, findings: &mut Findings) -> usize {
    let healed = run.phase_at(Phase::Liveness).unwrap_or(0);
    let mut refusals = 0;
    for purpose in [Purpose::LivenessWrite, Purpose::LivenessRead] {
        for voter in &roster.voters {
            let own = || {
                run.asked_for(purpose)
                    .filter(|asked| asked.member == *voter)
            };
            let Some(last) = own().last() else { continue };
            let served = own().any(|asked| asked.outcome.response().is_some());
            if served || class_of(&last.request, &last.outcome) != Class::Refused {
                continue;
            }
            refusals += 1;
            let since = healed.max(last_start(run, voter));
            let login = run.asked().find(|asked| {
                matches!(&asked.request, Request::Authenticate { user, .. } if last.user.as_deref() == Some(user))
                    && asked.outcome.response().is_some()
                    && asked.at >= since
                    && asked.until <= last.at
            });
            let accepted: Vec<_> = run
                .asked_for(purpose)
                .filter(|asked| {
                    asked.user == last.user
                        && asked.outcome.response().is_some()
                        && roster.voters.contains(asked.member.as_str())
                })
                .map(|asked| (asked.member.as_str(), asked))
                .collect();
            let caught_up = matches!(catch_up(run, voter), CatchUp::Reached { .. });
            let user = last.user.as_deref().unwrap_or("nobody");
            let title = format!(
                "{voter} refuses {user}'s {} after healing: {}",
                last.request.kind(),
                error_text(&last.outcome)
            );
            if let (Some(login), [(other, _), ..], true) = (login, accepted.as_slice(), caught_up) {
                let explanation = vec![
                    format!(
                        "{user} logged in at {}, after {voter} had started and the faults had been healed.",
                        ms(login.until)
                    ),
                    format!(
                        "{other} served {user}; {voter}, which had caught up, refused until {}.",
                        ms(last.until)
                    ),
                ];
                let first = accepted.get(..1).unwrap_or_default();
                let mut broken = cited(finding(title, explanation), voter, last, first);
                broken.observations.push(login.id);
                findings.broken(broken);
            } else {
                let mut said = cited(
                    finding(title, vec![
                        "This alone proves nothing: it takes a log-in after healing, another voter that serves the same user, and that the member had caught up.".to_owned(),
                    ]),
                    voter,
                    last,
                    &[],
                );
                said.observations = vec![last.id];
                findings.remark(said);
            }
        }
    }
    refusals
}
