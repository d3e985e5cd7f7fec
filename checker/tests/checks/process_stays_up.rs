use checker::history::{LogLine, ObservationRecord, Phase, ProcessEventKind};
use checker::verdict::Guarantee::ProcessStaysUp;
use checker::verdict::Verdict::{Holds, Inconclusive, NotRun, Violated};

use crate::sim::{Sim, put};
use crate::{expect, says};

const SIGKILL: ProcessEventKind = ProcessEventKind::Signalled { signal: 9 };

fn fatal(sim: &mut Sim, member: &str) {
    let at = sim.tick();
    let line = r#"{"level":"panic","msg":"tocommit(9) is out of range"}"#.to_owned();
    sim.observations.push(ObservationRecord::FatalLog(LogLine {
        at,
        member: member.to_owned(),
        line,
    }));
}

#[test]
fn planned_ends_hold_and_others_do_not() {
    let mut sim = Sim::new();
    sim.process("m2", SIGKILL, true);
    sim.process("m2", ProcessEventKind::Started, true);
    expect(&sim.finish(), ProcessStaysUp, Holds);

    let mut sim = Sim::new();
    sim.process("m2", SIGKILL, true);
    sim.process("m2", ProcessEventKind::Started, true);
    sim.process("m2", ProcessEventKind::Exited { code: 2 }, false);
    says(
        &expect(&sim.finish(), ProcessStaysUp, Violated),
        &["m2 exited with status 2"],
    );
}

#[test]
fn an_unplanned_end_is_told_with_its_fatal_line_once() {
    let mut sim = Sim::new();
    fatal(&mut sim, "m3");
    sim.process("m3", ProcessEventKind::Exited { code: 2 }, false);
    let report = expect(&sim.finish(), ProcessStaysUp, Violated);
    says(&report, &["m3 exited", "tocommit"]);
    assert_eq!(report.findings.len(), 1, "{report:#?}");
}

#[test]
fn a_fatal_line_alone_is_a_violation_unless_the_plan_was_terminating_the_member() {
    let mut sim = Sim::new();
    fatal(&mut sim, "m3");
    says(
        &expect(&sim.finish_later(), ProcessStaysUp, Violated),
        &["m3 logged a fatal line"],
    );

    let mut sim = Sim::new();
    fatal(&mut sim, "m3");
    sim.process("m3", ProcessEventKind::Exited { code: 0 }, true);
    expect(&sim.finish_later(), ProcessStaysUp, Holds);

    let mut sim = Sim::new();
    fatal(&mut sim, "m3");
    sim.process("m3", SIGKILL, true);
    expect(&sim.finish_later(), ProcessStaysUp, Violated);

    let mut sim = Sim::new();
    sim.process("m3", ProcessEventKind::Exited { code: 0 }, true);
    sim.process("m3", ProcessEventKind::Started, true);
    fatal(&mut sim, "m3");
    expect(&sim.finish_later(), ProcessStaysUp, Violated);
}

#[test]
fn a_removed_member_may_end_by_itself() {
    let mut sim = Sim::new();
    sim.stores.remove("m3");
    sim.membership();
    sim.process("m3", ProcessEventKind::Exited { code: 0 }, false);
    expect(&sim.finish(), ProcessStaysUp, Holds);

    let mut sim = Sim::new();
    sim.process("m3", ProcessEventKind::Exited { code: 0 }, false);
    sim.now += 2_000_000_000;
    sim.stores.remove("m3");
    sim.membership();
    expect(&sim.finish(), ProcessStaysUp, Violated);
}

#[test]
fn until_the_members_were_stopped_it_is_undecided_but_can_be_violated() {
    let mut sim = Sim::new();
    sim.client("m1", None, put("k", "v"), &[], crate::sim::End::Ok);
    expect(&sim.records(), ProcessStaysUp, Inconclusive);
    let mut sim = Sim::new();
    sim.process("m1", ProcessEventKind::Signalled { signal: 6 }, false);
    says(
        &expect(&sim.records(), ProcessStaysUp, Violated),
        &["signal 6"],
    );
}

#[test]
fn without_processes_it_does_not_apply() {
    let mut sim = Sim::new();
    sim.observations
        .retain(|record| !matches!(record, ObservationRecord::Process(_)));
    sim.phase(Phase::Stop);
    expect(&sim.records(), ProcessStaysUp, NotRun);
}

impl Sim {
    /// Ends the run long after what came before.
    fn finish_later(mut self) -> checker::judge::RunRecords {
        self.now += 60_000_000_000;
        self.finish()
    }
}
