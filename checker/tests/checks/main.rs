//! The checks on runs built in code, sound ones and broken ones.

mod auth_consistent;
mod converges;
mod durable;
mod judge;
mod live;
mod load;
mod process_stays_up;
mod refused_has_no_effect;
mod sim;
mod watch;

use checker::checks::{self, Run};
use checker::judge::RunRecords;
use checker::verdict::{CheckReport, Guarantee, Verdict};

/// What one check says of a run.
fn report(records: &RunRecords, guarantee: Guarantee) -> CheckReport {
    let run = Run {
        history: &records.history,
        faults: &records.faults,
        observations: &records.observations,
        history_complete: records.complete.history,
        observations_complete: records.complete.observations,
        foreign_compactions: false,
        no_hashes: false,
    };
    checks::all(&run)
        .into_iter()
        .find(|check| check.guarantee == guarantee)
        .unwrap()
}

/// Asserts a verdict, showing the report where it differs, and that the first finding stands alone.
#[track_caller]
fn expect(records: &RunRecords, guarantee: Guarantee, verdict: Verdict) -> CheckReport {
    let report = report(records, guarantee);
    assert_eq!(report.verdict, verdict, "{report:#?}");
    if verdict != Verdict::Holds {
        let first = report
            .findings
            .first()
            .expect("a verdict but holding has a finding");
        assert!(first.title.len() > 20, "{first:?}");
    }
    report
}

/// Asserts that the first finding's title has all of these in it.
#[track_caller]
fn says(report: &CheckReport, words: &[&str]) {
    let title = &report.findings[0].title;
    for word in words {
        assert!(
            title.contains(word),
            "no {word:?} in {title:?}\n{report:#?}"
        );
    }
}

#[test]
fn a_sound_run_holds_in_every_check_that_applies() {
    let mut sim = sim::Sim::new();
    for round in 0..5 {
        for member in sim::ALL {
            sim.put(
                member,
                &format!("k/{round}"),
                &format!("v-{member}-{round}"),
            );
        }
    }
    sim.client("m2", None, sim::delete("k/3"), sim::ALL, sim::End::Ok);
    let records = sim.finish();
    for guarantee in [
        Guarantee::Converges,
        Guarantee::Durable,
        Guarantee::ProcessStaysUp,
        Guarantee::Live,
    ] {
        let report = expect(&records, guarantee, Verdict::Holds);
        assert!(report.findings.is_empty(), "{report:#?}");
    }
    expect(&records, Guarantee::AuthConsistent, Verdict::NotRun);
    expect(&records, Guarantee::RefusedHasNoEffect, Verdict::NotRun);
    expect(&records, Guarantee::Watch, Verdict::NotRun);
}
