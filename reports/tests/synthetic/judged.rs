//! What a checker would say of the made-up runs.

use std::collections::HashMap;

use checker::history::{Invoke, ObservationRecord, Outcome, Purpose, Record, Request, Response};
use checker::verdict::{CheckReport, Finding, Guarantee, Judgement, Verdict};

use super::{BACK, Shape};

pub fn judgement(
    shape: Shape,
    history: &[Record],
    observations: &[ObservationRecord],
) -> Judgement {
    let (verdict, exit, guarantee) = match (shape.broken, shape.cut) {
        (true, _) => (Verdict::Violated, 1, Some(Guarantee::Linearizable)),
        (_, Some(_)) => (Verdict::Inconclusive, 2, Some(Guarantee::Durable)),
        _ => (Verdict::Holds, 0, None),
    };
    Judgement {
        major: 1,
        minor: 0,
        build: "gauntlet 0.1.0".into(),
        options: vec![
            ("configurations at most".into(), "4000000".into()),
            ("memory at most".into(), "1 GiB".into()),
        ],
        planted: Vec::new(),
        complete: shape.cut.is_none(),
        verdict,
        exit,
        guarantee,
        checks: Guarantee::ALL
            .map(|guarantee| check(guarantee, shape, history, observations))
            .to_vec(),
        operations: vec![],
    }
}

fn check(
    guarantee: Guarantee,
    shape: Shape,
    history: &[Record],
    observations: &[ObservationRecord],
) -> CheckReport {
    let ended = shape.cut.is_none();
    let report = |verdict, engine: &str, summary: &str, findings: Vec<Finding>| CheckReport {
        guarantee,
        verdict,
        engine: engine.into(),
        summary: summary.into(),
        findings,
        findings_omitted: 0,
        figures: vec![("operations".into(), history.len() as u64 / 2)],
    };
    let open = |why: &str| {
        report(
            Verdict::Inconclusive,
            "none",
            why,
            vec![words("The run ended before this could be asked", &[why])],
        )
    };
    match guarantee {
        Guarantee::Linearizable if shape.broken => {
            let findings = inversions(history);
            let mut report = report(
                Verdict::Violated,
                "revision-order 1",
                "revisions run backwards in real time 47 times, first after m2 came back",
                findings,
            );
            report.findings_omitted = 41;
            report.figures.push(("exact revisions".into(), 1_402));
            report
        }
        Guarantee::Linearizable => report(
            Verdict::Holds,
            "revision-order 1",
            "every answer fits the order of revisions",
            vec![],
        ),
        Guarantee::Durable if shape.broken => report(
            Verdict::Holds,
            "replay 1",
            "all 812 acknowledged writes are accounted for",
            vec![],
        ),
        Guarantee::Converges if shape.broken => report(
            Verdict::Violated,
            "final-state 1",
            "m2 stands alone in revision, hash and content",
            vec![diverged(observations)],
        ),
        Guarantee::AuthConsistent | Guarantee::RefusedHasNoEffect => report(
            Verdict::NotRun,
            "none",
            "auth is off in this plan",
            vec![words(
                "Auth was never switched on",
                &["Without users there is nothing to compare and nothing that auth could refuse."],
            )],
        ),
        Guarantee::Durable | Guarantee::Converges | Guarantee::Live if !ended => {
            open("the final state was never read: observations.jsonl ends at 5.7 s")
        }
        Guarantee::Durable => report(
            Verdict::Holds,
            "replay 1",
            "all 1 034 acknowledged writes are accounted for",
            vec![],
        ),
        Guarantee::Converges => report(
            Verdict::Holds,
            "final-state 1",
            "3 members agree at one revision",
            vec![],
        ),
        Guarantee::Watch => report(
            Verdict::NotRun,
            "none",
            "nobody watched",
            vec![words(
                "No client watched anything",
                &["There is nothing to judge."],
            )],
        ),
        Guarantee::ProcessStaysUp => {
            report(Verdict::Holds, "process 1", "1 end, by the plan", vec![])
        }
        Guarantee::Live => report(
            Verdict::Holds,
            "liveness 1",
            "3 voters serve within 0.4 s",
            vec![],
        ),
    }
}

fn words(title: &str, explanation: &[&str]) -> Finding {
    Finding {
        title: title.into(),
        explanation: explanation.iter().map(|line| (*line).into()).collect(),
        operations: vec![],
        observations: vec![],
        members: vec![],
        revisions: vec![],
        keys: vec![],
        at: None,
    }
}

struct Write<'a> {
    invoke: &'a Invoke,
    end: u64,
    revision: i64,
}

/// Pairs of writes of which the later has the smaller revision.
fn inversions(history: &[Record]) -> Vec<Finding> {
    let mut invokes: HashMap<u64, &Invoke> = HashMap::new();
    let mut writes = Vec::new();
    for record in history {
        match record {
            Record::Invoke(invoke) => {
                invokes.insert(invoke.id, invoke);
            }
            Record::Return(returned) => {
                let invoke = invokes[&returned.id];
                if let (
                    Request::Put(_),
                    Outcome::Ok {
                        response: Response::Put(put),
                    },
                ) = (&invoke.request, &returned.outcome)
                {
                    writes.push(Write {
                        invoke,
                        end: returned.at,
                        revision: put.header.revision,
                    });
                }
            }
            _ => {}
        }
    }
    let early = writes
        .iter()
        .filter(|write| write.invoke.member == "m2" && write.invoke.at > BACK);
    let found = early.filter_map(|early| {
        writes
            .iter()
            .filter(|late| late.invoke.at > early.end && late.revision <= early.revision)
            .min_by_key(|late| late.invoke.at)
            .map(|late| inversion(early, late))
    });
    found.take(6).collect()
}

fn inversion(early: &Write<'_>, late: &Write<'_>) -> Finding {
    let name =
        |write: &Write<'_>| format!("client {} on {}", write.invoke.client, write.invoke.member);
    let gap = (late.invoke.at - early.end) / 1_000;
    Finding {
        title: format!(
            "A put through {} was given revision {}, though an earlier put through {} already had {}",
            late.invoke.member, late.revision, early.invoke.member, early.revision
        ),
        explanation: vec![
            "The revision of a put is its place in the one order of all writes.".into(),
            format!(
                "A, the put of {}, had ended with revision {}.",
                name(early),
                early.revision
            ),
            format!(
                "B, the put of {}, began {gap} µs later, so it must come after A in every order that respects real time.",
                name(late)
            ),
            format!(
                "But B was given revision {}, which is not above {}: no such order exists.",
                late.revision, early.revision
            ),
        ],
        operations: vec![early.invoke.id, late.invoke.id],
        observations: vec![],
        members: vec![early.invoke.member.clone(), late.invoke.member.clone()],
        revisions: vec![early.revision, late.revision],
        keys: vec![],
        at: Some(late.end),
    }
}

fn diverged(observations: &[ObservationRecord]) -> Finding {
    let asked = observations.iter().filter_map(|record| match record {
        ObservationRecord::Asked(asked) => Some(asked),
        _ => None,
    });
    let last = asked.filter(|asked| {
        asked.round == 1 && asked.purpose == Purpose::ConvergenceStatus
            || asked.purpose == Purpose::ConvergenceHash
    });
    let observations = last.map(|asked| asked.id).collect();
    Finding {
        observations,
        members: vec!["m2".into()],
        ..words(
            "After healing and quiet, m2 is at another revision than m1 and m3, at the same applied index",
            &[
                "All members had applied the same entry (index 1507) when they were asked.",
                "m1 and m3 are at one revision; m2 is 3 ahead, and its hash differs.",
                "Equal logs give equal states, so m2 applied some entries twice.",
            ],
        )
    }
}
