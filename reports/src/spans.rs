//! What each member's process was doing, and who led.

use std::collections::HashMap;

use checker::history::{Phase, ProcessEventKind, Response};

use crate::faults::FaultState;
use crate::recorded::Recorded;

/// A stretch of a member's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberSpan {
    /// Index among [`Recorded::members`].
    pub(crate) member: usize,
    pub(crate) state: MemberState,
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    Up,
    Down,
    Paused,
    Leads,
}

impl MemberState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Paused => "paused",
            Self::Leads => "leads",
        }
    }
}

pub(crate) fn member_spans(recorded: &Recorded<'_>) -> Vec<MemberSpan> {
    let mut spans = Vec::new();
    for (member, name) in recorded.members.iter().enumerate() {
        process_spans(recorded, member, name, &mut spans);
    }
    for fault in &recorded.faults {
        if fault.action != "pause" || !matches!(fault.state, FaultState::Done | FaultState::Open) {
            continue;
        }
        for target in fault.targets {
            if let Some(member) = recorded.members.iter().position(|name| name == target) {
                let (from, until) = (fault.from, fault.until);
                let detail = "stopped by SIGSTOP".into();
                let state = MemberState::Paused;
                spans.push(MemberSpan {
                    member,
                    state,
                    from,
                    until,
                    detail,
                });
            }
        }
    }
    spans.extend(leaders(recorded));
    spans
}

fn process_spans(recorded: &Recorded<'_>, member: usize, name: &str, into: &mut Vec<MemberSpan>) {
    let mut open: Option<MemberSpan> = None;
    for event in recorded
        .processes
        .iter()
        .filter(|event| event.member == name)
    {
        if let Some(mut span) = open.take() {
            span.until = event.at;
            into.push(span);
        }
        let by_whom = if event.planned {
            "by the plan"
        } else {
            "not by the plan"
        };
        let (state, detail) = match event.event {
            ProcessEventKind::Started => (MemberState::Up, format!("pid {}", event.pid)),
            ProcessEventKind::Exited { code } => (
                MemberState::Down,
                format!("exited with status {code}, {by_whom}"),
            ),
            ProcessEventKind::Signalled { signal } => (
                MemberState::Down,
                format!("ended by signal {signal}, {by_whom}"),
            ),
        };
        open = Some(MemberSpan {
            member,
            state,
            from: event.at,
            until: recorded.end,
            detail,
        });
    }
    into.extend(open);
}

/// Who led when, as far as answers to Status tell: from the first answer that names a leader to the
/// first that names another.
fn leaders(recorded: &Recorded<'_>) -> Vec<MemberSpan> {
    let ids: HashMap<u64, usize> = recorded
        .members
        .iter()
        .enumerate()
        .filter_map(|(index, name)| Some((recorded.known.get(name)?.id, index)))
        .collect();
    let mut seen: Vec<(u64, u64, u64)> = recorded
        .asked
        .iter()
        .filter_map(|asked| match asked.outcome.response()? {
            Response::Status(status) => Some((asked.until, status.header.raft_term, status.leader)),
            _ => None,
        })
        .collect();
    seen.sort_unstable();
    let stop = recorded
        .phases
        .iter()
        .find(|(_, phase)| *phase == Phase::Stop);
    let end = stop.map_or(recorded.end, |(at, _)| *at);
    let mut spans: Vec<MemberSpan> = Vec::new();
    let mut newest_term = 0;
    for (at, term, leader) in seen {
        let Some(&member) = ids.get(&leader) else {
            continue;
        };
        if term < newest_term || spans.last().is_some_and(|span| span.member == member) {
            continue;
        }
        newest_term = term;
        if let Some(last) = spans.last_mut() {
            last.until = at;
        }
        let detail = format!("leader of term {term}, as Status tells");
        spans.push(MemberSpan {
            member,
            state: MemberState::Leads,
            from: at,
            until: end,
            detail,
        });
    }
    spans
}
