use checker::history::{Phase, ProcessEventKind, Purpose};
use checker::judge::{Complete, Options, RunRecords, combine, judge};
use checker::stats;
use checker::verdict::{CheckReport, Exit, Guarantee, Verdict};

use crate::report;
use crate::sim::{ALL, BAD_TOKEN, DENIED, End, Sim, delete, get, put};

fn check(guarantee: Guarantee, verdict: Verdict) -> CheckReport {
    CheckReport {
        guarantee,
        verdict,
        engine: "test".into(),
        summary: String::new(),
        findings: vec![],
        findings_omitted: 0,
        figures: vec![],
    }
}

#[test]
fn the_strongest_verdict_wins() {
    use Guarantee::{Converges, Durable, Live};
    use Verdict::{Holds, Inconclusive, NotRun, Violated};
    let cases = [
        (
            vec![(Durable, Holds), (Live, Holds)],
            false,
            Holds,
            None,
            Exit::Holds,
        ),
        (
            vec![(Durable, NotRun)],
            false,
            NotRun,
            None,
            Exit::NothingRan,
        ),
        (
            vec![(Durable, NotRun), (Live, Holds)],
            false,
            Holds,
            None,
            Exit::Holds,
        ),
        (
            vec![(Durable, Inconclusive)],
            false,
            Inconclusive,
            Some(Durable),
            Exit::Inconclusive,
        ),
        (
            vec![(Live, Violated), (Durable, Inconclusive)],
            false,
            Inconclusive,
            Some(Live),
            Exit::Liveness,
        ),
        (
            vec![(Live, Violated), (Converges, Violated)],
            false,
            Violated,
            Some(Converges),
            Exit::Violated,
        ),
        (
            vec![(Converges, Violated), (Durable, Violated)],
            true,
            Violated,
            Some(Durable),
            Exit::Violated,
        ),
        (
            vec![(Live, Violated)],
            true,
            Inconclusive,
            Some(Live),
            Exit::HarnessFault,
        ),
        (
            vec![(Durable, Holds)],
            true,
            Inconclusive,
            None,
            Exit::HarnessFault,
        ),
    ];
    for (checks, fault, verdict, guarantee, exit) in cases {
        let checks: Vec<_> = checks.into_iter().map(|(g, v)| check(g, v)).collect();
        assert_eq!(
            combine(&checks, true, fault),
            (verdict, guarantee, exit),
            "{checks:?}"
        );
    }
    let held = [check(Durable, Holds)];
    assert_eq!(
        combine(&held, false, false),
        (Inconclusive, None, Exit::Inconclusive)
    );
    let broken = [check(Durable, Violated)];
    assert_eq!(
        combine(&broken, false, false),
        (Violated, Some(Durable), Exit::Violated)
    );
}

/// A run in which every check finds something of its own.
pub(crate) fn everything_broken() -> RunRecords {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.client(
        "m2",
        Some("alice"),
        put("b1", "w"),
        &["m1", "m3"],
        End::Error(DENIED),
    );
    sim.client("m1", None, put("k", "lost"), &["m1", "m3"], End::Ok);
    sim.watch_that_goes_back("m3");
    sim.process("m3", ProcessEventKind::Exited { code: 2 }, false);
    sim.phase(Phase::Liveness);
    for voter in ["m1", "m2"] {
        sim.ask(
            Purpose::LivenessWrite,
            0,
            voter,
            None,
            put("l", voter),
            End::Ok,
        );
        sim.ask(Purpose::LivenessRead, 0, voter, None, get("l"), End::Ok);
    }
    sim.now += 31_000_000_000;
    sim.ask(
        Purpose::LivenessWrite,
        9,
        "m3",
        None,
        put("l", "m3"),
        End::Timeout,
    );
    sim.ask(Purpose::LivenessRead, 9, "m3", None, get("l"), End::Timeout);
    sim.phase(Phase::Final);
    for member in ALL {
        sim.log_in(member, End::Ok);
        let end = if *member == "m2" {
            End::Error(BAD_TOKEN)
        } else {
            End::Ok
        };
        sim.allowed(member, end);
    }
    sim.judge_state();
    sim.records()
}

#[test]
fn no_check_hides_another() {
    let records = everything_broken();
    for guarantee in Guarantee::ALL
        .into_iter()
        .filter(|g| *g != Guarantee::Linearizable)
    {
        assert_eq!(
            report(&records, guarantee).verdict,
            Verdict::Violated,
            "{guarantee}"
        );
    }
    let judgement = judge(&records, &Options::default());
    assert_eq!(judgement.checks.len(), Guarantee::ALL.len());
    for (check, guarantee) in judgement.checks.iter().zip(Guarantee::ALL) {
        assert_eq!(check.guarantee, guarantee, "in the order of reports");
    }
    assert_eq!((judgement.verdict, judgement.exit), (Verdict::Violated, 1));
}

#[test]
fn a_prefix_never_holds_and_stays_violated() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    let mut records = sim.finish();
    records.complete.faults = false;
    let judgement = judge(&records, &Options::default());
    assert_eq!(
        (judgement.verdict, judgement.exit, judgement.complete),
        (Verdict::Inconclusive, 2, false)
    );
    assert!(
        judgement
            .checks
            .iter()
            .all(|check| check.verdict != Verdict::Holds)
    );
    let durable = judgement
        .checks
        .iter()
        .find(|c| c.guarantee == Guarantee::Durable)
        .unwrap();
    assert!(
        durable.findings[0].title.contains("faults.jsonl"),
        "{durable:?}"
    );

    let mut records = everything_broken();
    records.complete = Complete::default();
    assert_eq!(judge(&records, &Options::default()).exit, 1);
}

#[test]
fn every_prefix_of_a_sound_run_is_sound_and_never_holds() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.client("m2", Some("alice"), put("z", "w"), &[], End::Error(DENIED));
    sim.client("m1", None, delete("k"), ALL, End::Ok);
    sim.liveness();
    sim.probe_auth();
    sim.judge_state();
    let whole = sim.records();
    for history in 0..=whole.history.len() {
        for observations in 0..=whole.observations.len() {
            let records = RunRecords {
                history: whole.history[..history].to_vec(),
                faults: vec![],
                observations: whole.observations[..observations].to_vec(),
                complete: Complete {
                    history: history == whole.history.len(),
                    faults: true,
                    observations: false,
                },
            };
            let judgement = judge(&records, &Options::default());
            assert_eq!(
                judgement.exit, 2,
                "{history} {observations}: {judgement:#?}"
            );
        }
    }
}

#[test]
fn a_whole_sound_run_holds_with_exit_0() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    let judgement = judge(&sim.finish(), &Options::default());
    assert_eq!(
        (judgement.verdict, judgement.exit, judgement.guarantee),
        (Verdict::Holds, 0, None),
        "{judgement:#?}"
    );
}

#[test]
fn a_history_cut_short_is_judged_up_to_where_it_ends() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    let lost = put("k", "lost");
    sim.client("m1", None, lost, &[], End::Ok);
    for round in 0..3 {
        sim.put("m2", "k", &format!("later-{round}"));
    }
    let whole = sim.finish();
    let cut = |keep: usize| {
        let mut records = whole.clone();
        records.history.truncate(keep);
        records.complete.history = false;
        let checks = judge(&records, &Options::default()).checks;
        checks
            .into_iter()
            .find(|check| check.guarantee == Guarantee::Linearizable)
            .unwrap()
    };
    let early = cut(3);
    assert_eq!(
        early.verdict,
        Verdict::Inconclusive,
        "the harness wrote after its end: {early:#?}"
    );
    let late = cut(8);
    assert_eq!(
        late.verdict,
        Verdict::Violated,
        "two writes were answered with one revision: {late:#?}"
    );
}

#[test]
fn observations_cut_short_accuse_nobody_of_what_the_harness_did() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    let before = sim.observations.len();
    sim.ask(
        Purpose::Nemesis,
        0,
        "m1",
        None,
        put("k", "nemesis"),
        End::Ok,
    );
    sim.put("m1", "k", "later");
    sim.client("m2", None, get("k"), &[], End::Ok);
    let mut records = sim.finish();
    assert_eq!(judge(&records, &Options::default()).verdict, Verdict::Holds);
    let mut in_flight = records.clone();
    in_flight.observations.truncate(before + 2);
    in_flight.observations.remove(before);
    records.observations.truncate(before);
    for mut cut in [records, in_flight] {
        cut.complete.observations = false;
        assert_eq!(
            judge(&cut, &Options::default()).verdict,
            Verdict::Inconclusive
        );
    }
}

#[test]
fn operations_are_counted_by_kind_and_result() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "1");
    sim.put("m1", "k", "2");
    sim.client("m1", None, put("k", "3"), ALL, End::Timeout);
    sim.client("m1", None, put("k", "4"), &[], End::Error(DENIED));
    sim.invoke("m1", None, get("k"));
    let counts = stats::operations(&sim.history);
    let expected = [
        ("put ok", 2),
        ("put refused", 1),
        ("put unknown", 1),
        ("range unknown", 1),
    ];
    assert_eq!(
        counts,
        expected.map(|(name, count)| (name.to_owned(), count))
    );
}
