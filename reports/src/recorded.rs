//! The three streams, read once into what every part of the report asks of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use checker::history::{
    Asked, FaultRecord, LogLine, MemberInfo, ObservationRecord, Phase, ProcessEvent,
    ProcessEventKind, Record,
};

use crate::Run;
use crate::faults::FaultSpan;
use crate::ops::Ops;

/// What the streams hold.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) run: Run<'a>,
    pub(crate) ops: Ops<'a>,
    pub(crate) faults: Vec<FaultSpan<'a>>,
    pub(crate) asked: Vec<&'a Asked>,
    asked_by_id: HashMap<u64, &'a Asked>,
    pub(crate) phases: Vec<(u64, Phase)>,
    pub(crate) processes: Vec<&'a ProcessEvent>,
    /// The newest word on each member.
    pub(crate) known: BTreeMap<&'a str, &'a MemberInfo>,
    pub(crate) fatal: Vec<&'a LogLine>,
    pub(crate) notes: Vec<(u64, &'a str)>,
    /// Names of all members that the run ever had.
    pub(crate) members: Vec<&'a str>,
    /// The last moment that any record names.
    pub(crate) end: u64,
    pub(crate) started_unix_ns: Option<u64>,
}

impl<'a> Recorded<'a> {
    pub(crate) fn new(run: &Run<'a>) -> Self {
        let mut recorded = Self {
            run: *run,
            ops: Ops::new(run.history),
            faults: Vec::new(),
            asked: Vec::new(),
            asked_by_id: HashMap::new(),
            phases: Vec::new(),
            processes: Vec::new(),
            known: BTreeMap::new(),
            fatal: Vec::new(),
            notes: Vec::new(),
            members: Vec::new(),
            end: 0,
            started_unix_ns: run.started_unix_ns,
        };
        recorded.read_observations();
        recorded.end = recorded.last_moment();
        let heal = recorded
            .phases
            .iter()
            .find(|(_, phase)| *phase == Phase::Heal);
        let healed = heal.map_or(recorded.end, |(at, _)| *at);
        recorded.faults = crate::faults::spans(run.faults, healed);
        recorded.members = recorded.member_names();
        recorded.started_unix_ns = recorded.started_unix_ns.or_else(|| header_clock(run));
        recorded
    }

    fn read_observations(&mut self) {
        for record in self.run.observations {
            match record {
                ObservationRecord::Asked(asked) => {
                    self.asked_by_id.insert(asked.id, asked);
                    self.asked.push(asked);
                }
                ObservationRecord::Phase { at, phase } => self.phases.push((*at, *phase)),
                ObservationRecord::Process(event) => self.processes.push(event),
                ObservationRecord::Membership { members, .. } => {
                    self.known
                        .extend(members.iter().map(|info| (info.name.as_str(), info)));
                }
                ObservationRecord::FatalLog(line) => self.fatal.push(line),
                ObservationRecord::Note { at, text } => self.notes.push((*at, text)),
                ObservationRecord::Header(_) | ObservationRecord::Footer(_) => {}
            }
        }
    }

    fn last_moment(&self) -> u64 {
        let ops = self.ops.list.iter().map(|op| {
            let messages = op
                .messages
                .iter()
                .map(|message| message.at)
                .max()
                .unwrap_or(0);
            op.end.unwrap_or(op.invoke.at).max(messages)
        });
        let faults = self.run.faults.iter().filter_map(|record| match record {
            FaultRecord::Fault { at, .. } => Some(*at),
            _ => None,
        });
        let asked = self.asked.iter().map(|asked| asked.until);
        let phases = self.phases.iter().map(|(at, _)| *at);
        let processes = self.processes.iter().map(|event| event.at);
        ops.chain(faults)
            .chain(asked)
            .chain(phases)
            .chain(processes)
            .max()
            .unwrap_or(0)
            .max(1)
    }

    fn member_names(&self) -> Vec<&'a str> {
        let clients = self
            .run
            .plan
            .traffic
            .clients
            .iter()
            .map(|client| client.member.as_str());
        let processes = self.processes.iter().map(|event| event.member.as_str());
        let names: BTreeSet<&str> = self
            .ops
            .list
            .iter()
            .map(|op| op.invoke.member.as_str())
            .chain(clients)
            .chain(processes)
            .chain(self.known.keys().copied())
            .chain(self.asked.iter().map(|asked| asked.member.as_str()))
            .filter(|name| !name.is_empty())
            .collect();
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_by_key(|name| (name.len(), *name));
        names
    }

    pub(crate) fn observation(&self, id: u64) -> Option<&'a Asked> {
        self.asked_by_id.get(&id).copied()
    }

    /// Ends of processes that the plan did not cause.
    pub(crate) fn unplanned_ends(&self) -> impl Iterator<Item = &'a ProcessEvent> {
        self.processes
            .iter()
            .copied()
            .filter(|event| !event.planned && event.event != ProcessEventKind::Started)
    }
}

fn header_clock(run: &Run<'_>) -> Option<u64> {
    let history = run.history.iter().find_map(|record| match record {
        Record::Header(header) => Some(header.clock),
        _ => None,
    });
    let faults = run.faults.iter().find_map(|record| match record {
        FaultRecord::Header(header) => Some(header.clock),
        _ => None,
    });
    let clock = history.or(faults)?;
    (clock.wall_unix_ns > 0).then(|| clock.wall_unix_ns.saturating_sub(clock.at))
}
