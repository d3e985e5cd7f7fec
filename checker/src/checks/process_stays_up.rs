//! Process stays up: no process ends but by the plan, and none logs that it is about to.
//!
//! What is read: process events, fatal log lines, membership and phases. It holds only if the run
//! reached [`Phase::Stop`]: before that a process may still have ended unseen. A member that was
//! removed is left out from then on, for etcd ends its process itself when it learns of it. A fatal
//! line is put down to a planned end if the member was terminated (not killed: a killed process
//! logs nothing) shortly after it or before it.

use super::findings::{Findings, count, finding, ms, not_run, quote};
use super::run::{Roster, Run};
use crate::history::{LogLine, ObservationRecord, Phase, ProcessEvent, ProcessEventKind};
use crate::verdict::{CheckReport, Finding, Guarantee};

const ENGINE: &str = "process-exits 1";

/// How long before and after a planned termination a fatal line belongs to it.
const SHUTDOWN_NS: u64 = 5_000_000_000;
/// A member that learns of its removal can be gone before the harness has written the removal down.
const REMOVAL_NS: u64 = 1_000_000_000;
/// Log lines that a finding quotes.
const LINES_MAX: usize = 10;
const SIGKILL: i32 = 9;

/// Judges it.
#[must_use]
pub fn check(run: &Run<'_>) -> CheckReport {
    let run = *run;
    let roster = run.roster();
    let events: Vec<_> = run
        .observations
        .iter()
        .filter_map(|record| match record {
            ObservationRecord::Process(event) => Some(event),
            _ => None,
        })
        .collect();
    let lines: Vec<_> = run
        .observations
        .iter()
        .filter_map(|record| match record {
            ObservationRecord::FatalLog(line) => Some(line),
            _ => None,
        })
        .collect();
    let stopped = run.phase_at(Phase::Stop).is_some();
    if stopped && events.is_empty() && lines.is_empty() {
        return not_run(
            Guarantee::ProcessStaysUp,
            ENGINE,
            "no process was observed in this run",
        );
    }

    let mut findings = Findings::default();
    let mut ends = 0_u64;
    for event in events
        .iter()
        .filter(|event| event.event != ProcessEventKind::Started)
    {
        ends += 1;
        if !event.planned && !was_removed(&roster, &event.member, event.at) {
            findings.broken(ended(event, &lines));
        }
    }
    for line in &lines {
        if was_removed(&roster, &line.member, line.at) || told_with_an_end(line, &events) {
            continue;
        }
        if in_shutdown(line, &events) {
            let mut said = finding(
                format!(
                    "{} logged a fatal line while it was being terminated by the plan",
                    line.member
                ),
                vec![line.line.clone()],
            );
            said.members = vec![line.member.clone()];
            said.at = Some(line.at);
            findings.remark(said);
        } else {
            findings.broken(logged(line));
        }
    }
    if !stopped {
        findings.undecided(finding(
            "the run's records end before its members were stopped, so a process may have ended unseen",
            vec![],
        ));
    }
    let figures = vec![
        ("process_ends".to_owned(), ends),
        ("fatal_lines".to_owned(), lines.len() as u64),
    ];
    let holds = format!(
        "{} of processes, all by the plan",
        count(usize::try_from(ends).unwrap_or(usize::MAX), "end"),
    );
    findings.report(Guarantee::ProcessStaysUp, ENGINE, holds, figures)
}

fn was_removed(roster: &Roster<'_>, member: &str, at: u64) -> bool {
    roster
        .removed
        .get(member)
        .is_some_and(|removed| at + REMOVAL_NS >= *removed)
}

fn near(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= SHUTDOWN_NS
}

/// Whether the line is part of an unplanned end, which is reported with it.
fn told_with_an_end(line: &LogLine, events: &[&ProcessEvent]) -> bool {
    events.iter().any(|event| {
        event.member == line.member
            && event.event != ProcessEventKind::Started
            && !event.planned
            && near(event.at, line.at)
    })
}

/// Whether the plan was terminating the member when it logged the line.
fn in_shutdown(line: &LogLine, events: &[&ProcessEvent]) -> bool {
    events.iter().any(|event| {
        let terminated = match event.event {
            ProcessEventKind::Started => false,
            ProcessEventKind::Exited { .. } => true,
            ProcessEventKind::Signalled { signal } => signal != SIGKILL,
        };
        let restarted_between = events.iter().any(|start| {
            start.member == line.member
                && start.event == ProcessEventKind::Started
                && (line.at.min(event.at)..=line.at.max(event.at)).contains(&start.at)
        });
        event.member == line.member
            && event.planned
            && terminated
            && near(event.at, line.at)
            && !restarted_between
    })
}

fn ended(event: &ProcessEvent, lines: &[&LogLine]) -> Finding {
    let how = match event.event {
        ProcessEventKind::Started => "started".to_owned(),
        ProcessEventKind::Exited { code } => format!("exited with status {code}"),
        ProcessEventKind::Signalled { signal } => format!("was ended by signal {signal}"),
    };
    let fatal: Vec<_> = lines
        .iter()
        .filter(|line| line.member == event.member && near(line.at, event.at))
        .map(|line| line.line.as_str())
        .collect();
    let cause = fatal
        .first()
        .copied()
        .or(event.last_lines.last().map(String::as_str));
    let mut title = format!(
        "{} {how} at {}, which the plan did not cause",
        event.member,
        ms(event.at)
    );
    if let Some(cause) = cause {
        title = format!("{title}: {}", quote(cause));
    }
    let mut explanation = vec![format!(
        "Process {} of {} ended by itself: the plan neither killed nor terminated it then.",
        event.pid, event.member
    )];
    explanation.extend(
        fatal
            .iter()
            .take(LINES_MAX)
            .map(|line| format!("Fatal line: {line}")),
    );
    let skipped = event.last_lines.len().saturating_sub(LINES_MAX);
    explanation.extend(
        event
            .last_lines
            .iter()
            .skip(skipped)
            .map(|line| format!("Last lines: {line}")),
    );
    let mut broken = finding(title, explanation);
    broken.members = vec![event.member.clone()];
    broken.at = Some(event.at);
    broken
}

fn logged(line: &LogLine) -> Finding {
    let mut broken = finding(
        format!(
            "{} logged a fatal line at {}, and no end by the plan explains it: {}",
            line.member,
            ms(line.at),
            quote(&line.line)
        ),
        vec![line.line.clone()],
    );
    broken.members = vec![line.member.clone()];
    broken.at = Some(line.at);
    broken
}
