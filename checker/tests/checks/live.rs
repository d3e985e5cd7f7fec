use checker::history::{Phase, Purpose};
use checker::judge::RunRecords;
use checker::verdict::Guarantee::Live;
use checker::verdict::Verdict::{Holds, Inconclusive, Violated};

use crate::sim::{ALL, End, Sim, get, put, status};
use crate::{expect, says};

/// A liveness phase in which a member answers only after a time, tried each second.
fn slow(member: &str, purpose: Purpose, after_s: u64, give_up_s: u64) -> RunRecords {
    let mut sim = Sim::new();
    sim.phase(Phase::Liveness);
    let began = sim.now;
    for healthy in ALL {
        if *healthy != member || purpose != Purpose::LivenessWrite {
            sim.ask(
                Purpose::LivenessWrite,
                0,
                healthy,
                None,
                put("l", healthy),
                End::Ok,
            );
        }
        if *healthy != member || purpose != Purpose::LivenessRead {
            sim.ask(Purpose::LivenessRead, 0, healthy, None, get("l"), End::Ok);
        }
        sim.ask(
            Purpose::LivenessCatchUp,
            0,
            healthy,
            None,
            status(),
            End::Ok,
        );
    }
    for second in 1..=give_up_s {
        sim.now = began + second * 1_000_000_000;
        let done = second >= after_s;
        let end = if done { End::Ok } else { End::Timeout };
        let request = if purpose == Purpose::LivenessWrite {
            put("l", "again")
        } else {
            get("l")
        };
        sim.ask(purpose, second as u32, member, None, request, end);
        if done {
            break;
        }
    }
    sim.phase(Phase::Final);
    sim.judge_state();
    sim.records()
}

#[test]
fn serving_within_the_limit_holds_and_later_does_not() {
    for purpose in [Purpose::LivenessWrite, Purpose::LivenessRead] {
        let report = expect(&slow("m2", purpose, 20, 40), Live, Holds);
        let slowest = report
            .figures
            .iter()
            .find(|(name, _)| name == "slowest_ms")
            .unwrap()
            .1;
        assert!((20_000..20_200).contains(&slowest), "{slowest}");
        says(
            &expect(&slow("m2", purpose, 33, 40), Live, Violated),
            &["m2", "first came after 33"],
        );
        let never = expect(&slow("m2", purpose, 99, 31), Live, Violated);
        says(
            &never,
            &["m2 served no", "within 30 s", "no answer in time"],
        );
    }
}

#[test]
fn giving_up_early_decides_nothing() {
    says(
        &expect(
            &slow("m2", Purpose::LivenessRead, 99, 9),
            Live,
            Inconclusive,
        ),
        &["trying ended"],
    );
}

#[test]
fn a_run_cut_before_or_within_liveness_is_undecided() {
    expect(&Sim::new().records(), Live, Inconclusive);
    let mut sim = Sim::new();
    sim.phase(Phase::Liveness);
    sim.ask(
        Purpose::LivenessWrite,
        0,
        "m1",
        None,
        put("l", "1"),
        End::Ok,
    );
    expect(&sim.records(), Live, Inconclusive);
}

#[test]
fn a_member_that_does_not_catch_up_is_named() {
    let lag = |seconds: u64| {
        let mut sim = Sim::new();
        sim.learners.insert("m3");
        sim.membership();
        sim.phase(Phase::Liveness);
        let began = sim.now;
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
        sim.applied.insert("m3", 3);
        for second in 1..=seconds {
            sim.now = began + second * 1_000_000_000;
            for member in ALL {
                sim.ask(
                    Purpose::LivenessCatchUp,
                    second as u32,
                    member,
                    None,
                    status(),
                    End::Ok,
                );
            }
        }
        sim.phase(Phase::Final);
        sim.stop();
        sim.records()
    };
    says(
        &expect(&lag(30), Live, Violated),
        &["m3 had not caught up", "up to 3", "the leader up to 12"],
    );
    expect(&lag(5), Live, Inconclusive);
}
