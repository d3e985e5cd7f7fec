use checker::history::{
    Bytes, ErrorOrigin, HashKvResponse, ObservationRecord, Outcome, Purpose, Response,
};
use checker::judge::RunRecords;
use checker::verdict::Guarantee::Converges;
use checker::verdict::Verdict::{Holds, Inconclusive, NotRun, Violated};

use crate::sim::{ALL, DENIED, End, Sim, everything, put, status};
use crate::{expect, says};

fn drop_asked(records: &mut RunRecords, purpose: Purpose, member: &str) {
    records.observations.retain(|record| match record {
        ObservationRecord::Asked(asked) => asked.purpose != purpose || asked.member != member,
        _ => true,
    });
}

fn each_answer(
    records: &mut RunRecords,
    purpose: Purpose,
    member: &str,
    edit: impl Fn(&mut Outcome),
) {
    for record in &mut records.observations {
        if let ObservationRecord::Asked(asked) = record
            && asked.purpose == purpose
            && asked.member == member
        {
            edit(&mut asked.outcome);
        }
    }
}

/// Issue #13883: a follower refuses writes that the others apply.
fn stale_permissions() -> Sim {
    let mut sim = Sim::new();
    while sim.stores["m1"].revision < 120 {
        let value = format!("v{}", sim.now);
        sim.put("m1", "a/1", &value);
    }
    for index in 0..5 {
        sim.client(
            "m1",
            Some("alice"),
            put("b1", &format!("b-{index}")),
            &["m1", "m3"],
            End::Ok,
        );
    }
    while sim.stores["m1"].revision < 126 {
        sim.put("m1", "a/2", "last");
    }
    sim
}

#[test]
fn a_member_that_left_out_writes_is_named_with_its_distance() {
    let records = stale_permissions().finish();
    let report = expect(&records, Converges, Violated);
    says(
        &report,
        &[
            "m2 is at revision 124",
            "m1 and m3 at 129",
            "5 revisions behind",
        ],
    );
    assert_eq!(report.findings[0].members, ["m2"]);
    let all: Vec<_> = report.findings.iter().map(|f| f.title.as_str()).collect();
    assert!(
        all.iter().any(|t| t.contains("hash")),
        "the hash is reported as well: {all:?}"
    );
    assert!(
        all.iter().any(|t| t.contains("other content")),
        "and the content: {all:?}"
    );
    let content = report
        .findings
        .iter()
        .find(|f| f.title.contains("other content"))
        .unwrap();
    assert_eq!(content.keys.first().map(String::as_str), Some("a/2"));
    assert!(
        content
            .explanation
            .iter()
            .any(|l| l.starts_with("b1: m2 has nothing")),
        "{content:?}"
    );
}

#[test]
fn a_member_that_repeated_writes_is_ahead() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.stores.get_mut("m3").unwrap().put("k", "v", 0);
    let report = expect(&sim.finish(), Converges, Violated);
    says(&report, &["m3", "1 revision ahead", "m1 and m2"]);
}

#[test]
fn two_members_cannot_outvote_each_other() {
    let mut sim = Sim::new();
    sim.stores.remove("m3");
    sim.membership();
    sim.client("m1", None, put("k", "v"), &["m1"], End::Ok);
    let report = expect(&sim.finish(), Converges, Violated);
    assert!(
        report.findings[0]
            .explanation
            .iter()
            .any(|line| line.contains("cannot be told"))
    );
}

#[test]
fn equal_revisions_do_not_hide_other_content() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.stores
        .get_mut("m2")
        .unwrap()
        .keys
        .get_mut(&Bytes::from("k"))
        .unwrap()
        .version = 9;
    let mut records = sim.finish();
    for member in ALL {
        drop_asked(&mut records, Purpose::ConvergenceHash, member);
    }
    let report = expect(&records, Converges, Violated);
    says(
        &report,
        &["m2", "other content", "1 key differs", "first k"],
    );
    assert_eq!(
        report.findings.len(),
        4,
        "the missing hashes are told as well: {report:#?}"
    );
}

#[test]
fn a_hash_alone_can_differ() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    let mut records = sim.finish();
    each_answer(&mut records, Purpose::ConvergenceHash, "m3", |outcome| {
        if let Outcome::Ok {
            response: Response::HashKv(HashKvResponse { hash, .. }),
        } = outcome
        {
            *hash ^= 1;
        }
    });
    says(
        &expect(&records, Converges, Violated),
        &["m3", "hash", "m1 and m2"],
    );
}

#[test]
fn after_a_compaction_a_hash_alone_must_differ_for_a_second() {
    let differ = |apart: u64| {
        let mut sim = Sim::new();
        sim.compacted = 2;
        sim.put("m1", "k", "v");
        sim.liveness();
        sim.statuses();
        sim.hashes(0);
        sim.now += apart;
        sim.hashes(1);
        sim.contents();
        sim.stop();
        let mut records = sim.records();
        each_answer(&mut records, Purpose::ConvergenceHash, "m3", |outcome| {
            if let Outcome::Ok {
                response: Response::HashKv(answer),
            } = outcome
            {
                answer.hash ^= 1;
            }
        });
        records
    };
    says(
        &expect(&differ(0), Converges, Inconclusive),
        &["unfinished compaction"],
    );
    expect(&differ(2_000_000_000), Converges, Violated);
}

#[test]
fn compacted_revisions_must_agree() {
    let mut records = Sim::new().finish();
    each_answer(&mut records, Purpose::ConvergenceHash, "m1", |outcome| {
        if let Outcome::Ok {
            response: Response::HashKv(answer),
        } = outcome
        {
            answer.compact_revision = 1;
        }
    });
    says(
        &expect(&records, Converges, Violated),
        &["m1 is compacted up to revision 1"],
    );
}

#[test]
fn what_is_missing_is_inconclusive_and_says_why() {
    for purpose in [
        Purpose::ConvergenceStatus,
        Purpose::ConvergenceHash,
        Purpose::ConvergenceContent,
    ] {
        let mut records = Sim::new().finish();
        each_answer(&mut records, purpose, "m2", |outcome| {
            *outcome = End::Error(DENIED).outcome(|| unreachable!());
        });
        says(
            &expect(&records, Converges, Inconclusive),
            &["m2", "permission denied"],
        );
        let mut records = Sim::new().finish();
        drop_asked(&mut records, purpose, "m2");
        expect(&records, Converges, Inconclusive);
    }
    let mut records = Sim::new().finish();
    records.observations.truncate(8);
    expect(&records, Converges, Inconclusive);
}

#[test]
fn members_at_different_applied_indexes_are_not_compared() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.liveness();
    sim.client("m1", None, put("k2", "v"), &["m1", "m2"], End::Ok);
    *sim.applied.get_mut("m3").unwrap() -= 1;
    sim.judge_state();
    let report = expect(&sim.records(), Converges, Inconclusive);
    says(&report, &["m3 at", "m1 and m2 at"]);
}

#[test]
fn a_pair_that_stands_equal_is_compared_though_a_third_lags() {
    let mut sim = Sim::new();
    sim.client("m1", None, put("k", "v"), &["m1"], End::Ok);
    *sim.applied.get_mut("m3").unwrap() -= 1;
    let report = expect(&sim.finish(), Converges, Violated);
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.title.contains("never became equal"))
    );
}

#[test]
fn a_member_still_moving_is_not_judged() {
    let mut sim = Sim::new();
    sim.liveness();
    for round in 0..2 {
        for member in ALL {
            sim.ask(
                Purpose::ConvergenceStatus,
                round,
                member,
                None,
                status(),
                End::Ok,
            );
        }
        sim.put("m1", "k", "v");
    }
    sim.hashes(0);
    sim.contents();
    sim.stop();
    says(
        &expect(&sim.records(), Converges, Inconclusive),
        &["still moving"],
    );
}

#[test]
fn learners_refuse_hashes_rightly_and_removed_members_do_not_count() {
    let mut sim = Sim::new();
    sim.learners.insert("m3");
    sim.membership();
    expect(&sim.finish(), Converges, Holds);

    let mut sim = Sim::new();
    sim.client("m1", None, put("k", "v"), &["m1", "m2"], End::Ok);
    let stale = sim.stores.remove("m3").unwrap();
    sim.membership();
    sim.stores.insert("m3", stale);
    expect(&sim.finish(), Converges, Holds);
}

#[test]
fn a_future_revision_on_a_member_behind_its_equals_adds_nothing() {
    let mut records = stale_permissions().finish();
    each_answer(&mut records, Purpose::ConvergenceHash, "m2", |outcome| {
        *outcome = Outcome::Error {
            code: 11,
            message: "etcdserver: mvcc: required revision is a future revision".into(),
            origin: ErrorOrigin::Server,
        };
    });
    let report = expect(&records, Converges, Violated);
    assert!(
        report.findings.iter().all(|f| !f.title.contains("future")),
        "{report:#?}"
    );
}

#[test]
fn a_single_member_has_nothing_to_converge_with() {
    let mut sim = Sim::new();
    sim.stores.retain(|name, _| *name == "m1");
    sim.membership();
    expect(&sim.finish(), Converges, NotRun);
}

#[test]
fn a_member_must_agree_with_itself() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.liveness();
    sim.judge_state();
    sim.stores.get_mut("m2").unwrap().keys.clear();
    sim.ask(
        Purpose::ConvergenceContent,
        1,
        "m2",
        None,
        everything(false),
        End::Ok,
    );
    says(
        &expect(&sim.records(), Converges, Violated),
        &["m2 answers", "linearizable"],
    );
}
