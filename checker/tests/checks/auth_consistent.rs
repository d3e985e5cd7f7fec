use checker::history::{Phase, Purpose};
use checker::verdict::Guarantee::{AuthConsistent, Live, RefusedHasNoEffect};
use checker::verdict::Verdict::{Holds, Inconclusive, NotRun, Violated};

use crate::sim::{ALL, BAD_TOKEN, DENIED, End, Sim, get, put, status};
use crate::{expect, says};

const BAD_PASSWORD: (i32, &str) = (
    3,
    "etcdserver: authentication failed, invalid user ID or password",
);

#[test]
fn equal_answers_hold() {
    let mut sim = Sim::new();
    sim.liveness();
    sim.probe_auth();
    sim.judge_state();
    let report = expect(&sim.records(), AuthConsistent, Holds);
    assert!(report.findings.is_empty());
}

#[test]
fn a_member_that_takes_no_token_is_named() {
    let mut sim = Sim::new();
    sim.liveness();
    for member in ALL {
        sim.log_in(member, End::Ok);
        let sick = *member == "m3";
        sim.allowed(member, if sick { End::Error(BAD_TOKEN) } else { End::Ok });
        sim.denied(member, End::Error(if sick { BAD_TOKEN } else { DENIED }));
    }
    sim.judge_state();
    let report = expect(&sim.records(), AuthConsistent, Violated);
    says(
        &report,
        &[
            "m3 refuses what m1 and m2 accept",
            "invalid auth token",
            "code 16",
        ],
    );
    assert_eq!(report.findings[0].members, ["m3"]);
    assert_eq!(
        report.findings.len(),
        2,
        "the forbidden request shows it as well: {report:#?}"
    );
}

#[test]
fn permissions_and_passwords_must_agree() {
    let mut sim = Sim::new();
    sim.liveness();
    for member in ALL {
        let sick = *member == "m2";
        sim.log_in(
            member,
            if sick {
                End::Error(BAD_PASSWORD)
            } else {
                End::Ok
            },
        );
        sim.allowed(member, if sick { End::Error(DENIED) } else { End::Ok });
        sim.denied(member, if sick { End::Ok } else { End::Error(DENIED) });
    }
    sim.judge_state();
    let report = expect(&sim.records(), AuthConsistent, Violated);
    let titles: Vec<_> = report.findings.iter().map(|f| f.title.as_str()).collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert!(
        titles.iter().any(|t| t.contains("log-in of alice")),
        "{titles:?}"
    );
    assert!(
        titles
            .iter()
            .any(|t| t.contains("permitted put of a/probe")),
        "{titles:?}"
    );
    assert!(
        titles
            .iter()
            .any(|t| t.contains("m2 allows what m1 and m3 refuse")),
        "{titles:?}"
    );
}

#[test]
fn the_last_conclusive_answer_counts() {
    let mut sim = Sim::new();
    sim.liveness();
    sim.allowed("m1", End::Error(BAD_TOKEN));
    sim.probe_auth();
    sim.allowed("m2", End::Timeout);
    sim.judge_state();
    expect(&sim.records(), AuthConsistent, Holds);
}

#[test]
fn what_all_members_refuse_is_no_disagreement() {
    let mut sim = Sim::new();
    sim.liveness();
    for member in ALL {
        sim.log_in(member, End::Ok);
        sim.allowed(member, End::Error(DENIED));
    }
    sim.judge_state();
    says(
        &expect(&sim.records(), AuthConsistent, Inconclusive),
        &["any voter", "permission denied"],
    );
}

#[test]
fn a_voter_that_was_not_asked_or_did_not_answer_is_inconclusive() {
    let mut sim = Sim::new();
    sim.liveness();
    sim.log_in("m1", End::Ok);
    sim.log_in("m2", End::Timeout);
    sim.judge_state();
    let report = expect(&sim.records(), AuthConsistent, Inconclusive);
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.title.contains("not asked of m3")),
        "{report:#?}"
    );
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.title.contains("from m2 in 1 try")),
        "{report:#?}"
    );
}

#[test]
fn a_member_that_lags_is_not_accused() {
    let mut sim = Sim::new();
    sim.phase(Phase::Liveness);
    sim.ask(Purpose::LivenessCatchUp, 0, "m1", None, status(), End::Ok);
    sim.applied.insert("m3", 3);
    sim.ask(Purpose::LivenessCatchUp, 0, "m3", None, status(), End::Ok);
    for member in ALL {
        let sick = *member == "m3";
        sim.log_in(
            member,
            if sick {
                End::Error(BAD_PASSWORD)
            } else {
                End::Ok
            },
        );
    }
    says(
        &expect(&sim.records(), AuthConsistent, Inconclusive),
        &["not seen to have caught up"],
    );
}

#[test]
fn an_answered_write_shows_that_a_member_had_caught_up() {
    let run = |shown: bool| {
        let mut sim = Sim::new();
        sim.phase(Phase::Liveness);
        if shown {
            sim.ask(
                Purpose::LivenessWrite,
                0,
                "m3",
                None,
                put("l", "m3"),
                End::Ok,
            );
        }
        for member in ALL {
            let sick = *member == "m3";
            sim.allowed(member, if sick { End::Error(DENIED) } else { End::Ok });
        }
        sim.records()
    };
    expect(&run(true), AuthConsistent, Violated);
    expect(&run(false), AuthConsistent, Inconclusive);
}

#[test]
fn a_refusal_of_roots_liveness_requests_is_serving_but_proves_the_disagreement() {
    let run = |fresh: bool| {
        let mut sim = Sim::new();
        sim.phase(Phase::Liveness);
        for member in ALL {
            sim.ask(Purpose::LivenessCatchUp, 0, member, None, status(), End::Ok);
        }
        if fresh {
            let request = checker::history::Request::Authenticate {
                user: "root".into(),
                password: "root".into(),
            };
            sim.ask(Purpose::LivenessCatchUp, 0, "m1", None, request, End::Ok);
        }
        for member in ALL {
            let end = if *member == "m2" {
                End::Error(BAD_TOKEN)
            } else {
                End::Ok
            };
            let value = format!("live-{member}");
            sim.ask(
                Purpose::LivenessWrite,
                0,
                member,
                Some("root"),
                put("l", &value),
                end,
            );
            sim.ask(
                Purpose::LivenessRead,
                0,
                member,
                Some("root"),
                get("l"),
                end,
            );
        }
        sim.phase(Phase::Final);
        sim.judge_state();
        sim.records()
    };
    let report = expect(&run(true), AuthConsistent, Violated);
    says(
        &report,
        &["m2 refuses root's put after healing", "invalid auth token"],
    );
    let live = expect(&run(true), Live, Holds);
    assert!(live.findings[0].title.contains("counts as serving"));
    expect(&run(false), AuthConsistent, Holds);
}

#[test]
fn without_auth_it_does_not_apply_and_cut_short_it_is_undecided() {
    expect(&Sim::new().finish(), AuthConsistent, NotRun);
    let mut sim = Sim::new();
    sim.enable_auth();
    says(
        &expect(&sim.records(), AuthConsistent, Inconclusive),
        &["auth was on"],
    );
}

#[test]
fn learners_refuse_log_ins_rightly() {
    let mut sim = Sim::new();
    sim.learners.insert("m3");
    sim.membership();
    sim.liveness();
    sim.probe_auth();
    sim.log_in(
        "m3",
        End::Error((14, "etcdserver: rpc not supported for learner")),
    );
    sim.judge_state();
    expect(&sim.records(), AuthConsistent, Holds);
}

#[test]
fn a_probe_that_was_refused_and_took_effect_is_seen_in_the_contents() {
    let mut sim = Sim::new();
    sim.liveness();
    sim.probe_auth();
    sim.allowed("m2", End::Error(DENIED));
    for member in ["m1", "m3"] {
        sim.stores
            .get_mut(member)
            .unwrap()
            .put("a/probe", "probe-m2-again", 0);
    }
    sim.ask(
        Purpose::AuthAllowed,
        1,
        "m2",
        Some("alice"),
        put("a/probe", "probe-m2-again"),
        End::Error(DENIED),
    );
    sim.judge_state();
    let records = sim.records();
    expect(&records, AuthConsistent, Violated);
    says(
        &expect(&records, RefusedHasNoEffect, Violated),
        &["m2 answered", "m1 and m3 showed"],
    );
}
