//! Runs made up in code: a small store is simulated, so that answers fit each other except where
//! the bug says otherwise. Deterministic, so that snapshots stay.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test and the example uses a part"
)]

mod end;
mod judged;
mod planned;
mod store;

use checker::history::{
    ClockPair, ErrorOrigin, FaultPhase, FaultRecord, Invoke, MemberInfo, ObservationRecord,
    Outcome, Phase, ProcessEvent, ProcessEventKind, PutRequest, RangeRequest, Record, Request,
    Return,
};
use checker::verdict::Judgement;
use reports::{Run, StreamState};
use scenarios::plan::Plan;

use store::{Dice, Store};

pub const MS: u64 = 1_000_000;
pub const TRAFFIC: u64 = 900 * MS;
pub const DEFRAG: u64 = 5_200 * MS;
pub const KILL: u64 = 5_262 * MS;
pub const BACK: u64 = 6_410 * MS;
const HEAL: u64 = 9_000 * MS;
/// Revisions that m2 is ahead after its restart.
const AHEAD: i64 = 3;

/// Everything a [`Run`] borrows.
pub struct Made {
    pub plan: Plan,
    pub history: Vec<Record>,
    pub faults: Vec<FaultRecord>,
    pub observations: Vec<ObservationRecord>,
    pub judgement: Judgement,
    pub dir: String,
    pub streams: Vec<StreamState>,
}

impl Made {
    pub fn run(&self) -> Run<'_> {
        Run {
            streams: &self.streams,
            started_unix_ns: Some(1_795_342_272_000_000_000),
            ..Run::new(
                &self.plan,
                &self.history,
                &self.faults,
                &self.observations,
                &self.judgement,
                &self.dir,
            )
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub clients: u32,
    /// Mean pause of a client between two requests.
    pub pause: u64,
    pub broken: bool,
    /// The recording ends here.
    pub cut: Option<u64>,
    pub padding: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            clients: 9,
            pause: 34 * MS,
            broken: true,
            cut: None,
            padding: 0,
        }
    }
}

/// A defragmentation killed half-way on 3.5.1: m2 comes back three revisions ahead.
pub fn defrag_crash() -> Made {
    make(Shape::default())
}

/// The same on a version that is mended.
pub fn holds() -> Made {
    make(Shape {
        broken: false,
        clients: 12,
        ..Shape::default()
    })
}

/// The harness was killed while m2 was away.
pub fn partial() -> Made {
    make(Shape {
        broken: false,
        cut: Some(5_700 * MS),
        ..Shape::default()
    })
}

pub fn make(shape: Shape) -> Made {
    let history = traffic(shape);
    let mut observations = end::observations(shape, &history);
    let mut faults = faults();
    let mut history = history;
    if let Some(cut) = shape.cut {
        history.retain(|record| time(record) <= cut);
        faults.retain(|record| !matches!(record, FaultRecord::Fault { at, .. } if *at > cut));
        observations.retain(|record| observed(record) <= cut);
    }
    let plan = planned::plan(shape);
    let judgement = judged::judgement(shape, &history, &observations);
    let streams = streams(shape, &history, &faults, &observations);
    let dir = "runs/defrag-crash/20261122T101112.345Z-4711-20817".into();
    Made {
        plan,
        history,
        faults,
        observations,
        judgement,
        dir,
        streams,
    }
}

fn time(record: &Record) -> u64 {
    match record {
        Record::Invoke(invoke) => invoke.at,
        Record::Return(returned) => returned.at,
        Record::Watch(delivery) => delivery.at,
        Record::Header(_) | Record::Footer(_) => 0,
    }
}

fn observed(record: &ObservationRecord) -> u64 {
    match record {
        ObservationRecord::Asked(asked) => asked.until,
        ObservationRecord::Process(event) => event.at,
        ObservationRecord::Phase { at, .. }
        | ObservationRecord::Membership { at, .. }
        | ObservationRecord::Note { at, .. } => *at,
        _ => 0,
    }
}

pub fn member_of(client: u32) -> String {
    format!("m{}", (client - 1) % 3 + 1)
}

fn traffic(shape: Shape) -> Vec<Record> {
    let mut dice = Dice(4_711);
    let mut store = Store::new(shape.padding);
    let mut next: Vec<u64> = (0..shape.clients)
        .map(|client| TRAFFIC + u64::from(client) * 3 * MS)
        .collect();
    let mut timed: Vec<(u64, Record)> = Vec::new();
    let mut id = 0;
    loop {
        let (slot, &at) = next.iter().enumerate().min_by_key(|(_, at)| **at).unwrap();
        if at > HEAL {
            break;
        }
        let client = u32::try_from(slot).unwrap() + 1;
        let member = member_of(client);
        let request = store.draw(&mut dice, id);
        let (until, outcome) = answer(shape, &mut store, &mut dice, at, &member, &request);
        let user = None;
        timed.push((
            at,
            Record::Invoke(Invoke {
                id,
                at,
                client,
                member,
                user,
                request,
            }),
        ));
        let messages = store.messages(&timed.last().unwrap().1, until);
        timed.extend(
            messages
                .into_iter()
                .map(|message| (time(&message), message)),
        );
        if let Some(outcome) = outcome {
            timed.push((
                until,
                Record::Return(Return {
                    id,
                    at: until,
                    outcome,
                }),
            ));
        }
        next[slot] = until + dice.below(2 * shape.pause) + MS / 4;
        id += 1;
    }
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, record)| record).collect()
}

fn answer(
    shape: Shape,
    store: &mut Store,
    dice: &mut Dice,
    at: u64,
    member: &str,
    request: &Request,
) -> (u64, Option<Outcome>) {
    let error = |code, message: &str, origin| {
        Some(Outcome::Error {
            code,
            message: message.into(),
            origin,
        })
    };
    let took = 600_000 + dice.below(5 * MS);
    if member == "m2" && at < KILL && at + took > KILL {
        let broken = "transport error: connection reset by peer";
        return (KILL + MS, error(14, broken, ErrorOrigin::Client));
    }
    if member == "m2" && (KILL..BACK).contains(&at) {
        let refused = "tcp connect error: Connection refused";
        return (
            at + 40 * MS + dice.below(30 * MS),
            error(14, refused, ErrorOrigin::NotSent),
        );
    }
    if member == "m2" && (DEFRAG..KILL).contains(&at) {
        return (
            KILL + MS,
            error(14, "transport error: broken pipe", ErrorOrigin::Client),
        );
    }
    if dice.below(170) == 0 {
        let late = "no answer within 2000 ms";
        return (at + 900 * MS, error(4, late, ErrorOrigin::Deadline));
    }
    let ahead = if shape.broken && member == "m2" && at >= BACK {
        AHEAD
    } else {
        0
    };
    if matches!(request, Request::Watch(_)) {
        return (at + 500 * MS, Some(store.watch_end()));
    }
    if matches!(request, Request::Put(PutRequest { lease, .. }) if *lease != 0) {
        let gone = "etcdserver: requested lease not found";
        return (at + took, error(5, gone, ErrorOrigin::Server));
    }
    (at + took, Some(store.apply(request, member, ahead)))
}

fn faults() -> Vec<FaultRecord> {
    let fault = |step, at, action: &str, phase, detail: &str| FaultRecord::Fault {
        step,
        at,
        action: action.into(),
        targets: vec!["m2".into()],
        phase,
        detail: detail.into(),
    };
    vec![
        fault(0, DEFRAG, "defragment", FaultPhase::Begin, "db of 48.2 MiB"),
        fault(
            1,
            KILL,
            "kill",
            FaultPhase::Begin,
            "62 ms into the defragmentation, pid 20871",
        ),
        fault(1, KILL + 2 * MS, "kill", FaultPhase::End, ""),
        fault(
            0,
            KILL + 3 * MS,
            "defragment",
            FaultPhase::Failed,
            "Unavailable: connection reset",
        ),
        fault(
            2,
            KILL + 850 * MS,
            "restart",
            FaultPhase::Begin,
            "same data",
        ),
        fault(
            2,
            BACK,
            "restart",
            FaultPhase::End,
            "ready after 298 ms, pid 20903",
        ),
        fault(3, 7_600 * MS, "pause", FaultPhase::Begin, "drawn: 420 ms"),
        fault(3, 7_601 * MS, "pause", FaultPhase::End, ""),
        fault(4, 8_021 * MS, "resume", FaultPhase::Begin, ""),
        fault(4, 8_022 * MS, "resume", FaultPhase::End, ""),
    ]
}

pub fn start() -> Vec<ObservationRecord> {
    let process = |at, member: &str, pid, event| {
        let member = member.into();
        let (planned, last_lines) = (true, vec![]);
        ObservationRecord::Process(ProcessEvent {
            at,
            member,
            pid,
            event,
            planned,
            last_lines,
        })
    };
    let started = ProcessEventKind::Started;
    let phase = |at, phase| ObservationRecord::Phase { at, phase };
    let info = |name: &str, id| MemberInfo {
        name: name.into(),
        id,
        learner: false,
        version: "3.5.1".into(),
    };
    let members = vec![
        info("m1", 0x8211_f1d0_f64f_3269),
        info("m2", 0x91bc_3c39_8fb3_c146),
        info("m3", 0xfd42_2379_fda5_0e48),
    ];
    vec![
        phase(0, Phase::Setup),
        process(20 * MS, "m1", 20_870, started),
        process(22 * MS, "m2", 20_871, started),
        process(23 * MS, "m3", 20_872, started),
        ObservationRecord::Membership {
            at: 400 * MS,
            members,
        },
        phase(TRAFFIC, Phase::Traffic),
        process(
            KILL + MS,
            "m2",
            20_871,
            ProcessEventKind::Signalled { signal: 9 },
        ),
        process(KILL + 852 * MS, "m2", 20_903, started),
        phase(HEAL, Phase::Heal),
        phase(HEAL + 300 * MS, Phase::Liveness),
        phase(HEAL + 900 * MS, Phase::Final),
        phase(HEAL + 2_400 * MS, Phase::Stop),
        process(
            HEAL + 2_500 * MS,
            "m1",
            20_870,
            ProcessEventKind::Exited { code: 0 },
        ),
        process(
            HEAL + 2_520 * MS,
            "m2",
            20_903,
            ProcessEventKind::Exited { code: 0 },
        ),
        process(
            HEAL + 2_540 * MS,
            "m3",
            20_872,
            ProcessEventKind::Exited { code: 0 },
        ),
    ]
}

fn streams(
    shape: Shape,
    history: &[Record],
    faults: &[FaultRecord],
    observations: &[ObservationRecord],
) -> Vec<StreamState> {
    let complete = shape.cut.is_none();
    let state = |name, records: usize, trouble: &str| StreamState {
        name,
        records: records as u64,
        complete,
        trouble: if complete {
            String::new()
        } else {
            trouble.into()
        },
    };
    vec![
        state("history.jsonl", history.len(), "the last line is cut short"),
        state(
            "faults.jsonl",
            faults.len(),
            "no footer: the run did not end in order",
        ),
        state(
            "observations.jsonl",
            observations.len(),
            "no footer: the run did not end in order",
        ),
    ]
}

pub fn get(key: &str) -> Request {
    Request::Range(RangeRequest {
        key: key.into(),
        ..RangeRequest::default()
    })
}

pub fn clock() -> ClockPair {
    ClockPair {
        at: 0,
        wall_unix_ns: 1_795_342_272_000_000_000,
    }
}
