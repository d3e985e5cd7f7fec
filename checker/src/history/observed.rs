//! Faults and observations: what the harness did and saw, on the clients' clock.

use serde::{Deserialize, Serialize};

use super::bytes::id_string;
use super::{Footer, Header, Outcome, Request};

/// One line of `faults.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FaultRecord {
    /// First line.
    Header(Header),
    /// A step of the plan changed its state.
    Fault {
        /// Index of the step in the plan.
        step: usize,
        /// When.
        at: u64,
        /// The action, for example `kill`.
        action: String,
        /// The members it hit.
        targets: Vec<String>,
        /// What happened to the step.
        phase: FaultPhase,
        /// For example the drawn time, the pid, the error.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// Last line.
    Footer(Footer),
}

/// What happened to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPhase {
    /// It began to act.
    Begin,
    /// It is over: the fault is healed, or the call has returned.
    End,
    /// It was not done, and `detail` says why.
    Skipped,
    /// It was tried and failed, and `detail` says how.
    Failed,
}

/// One line of `observations.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "short-lived, written at once")]
pub enum ObservationRecord {
    /// First line.
    Header(Header),
    /// A request of the harness's own, and its answer.
    Asked(Asked),
    /// A phase of the run began.
    Phase {
        /// When.
        at: u64,
        /// Which.
        phase: Phase,
    },
    /// A member's process started or ended.
    Process(ProcessEvent),
    /// Who is in the cluster, as the harness keeps it.
    Membership {
        /// When.
        at: u64,
        /// The members.
        members: Vec<MemberInfo>,
    },
    /// A line in a member's log that says fatal or panic.
    FatalLog(LogLine),
    /// Something the harness has to say, for example why a judgement could not be made.
    Note {
        /// When.
        at: u64,
        /// What.
        text: String,
    },
    /// Last line.
    Footer(Footer),
}

/// A request of the harness's own. It is not traffic, but the store cannot know that: a put here
/// takes a revision like any other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Number among the observations.
    pub id: u64,
    /// When it was sent.
    pub at: u64,
    /// When it was answered, or given up.
    pub until: u64,
    /// What for.
    pub purpose: Purpose,
    /// Round among those of the same purpose, from 0: of retried log-ins, or of status sweeps.
    #[serde(default)]
    pub round: u32,
    /// The member asked.
    pub member: String,
    /// The user whose token went with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The request.
    pub request: Request,
    /// What it came to.
    pub outcome: Outcome,
}

/// What an observation is for: this, not the request, decides which check reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Setting the cluster up: first keys, users, roles, permissions.
    Setup,
    /// Waiting for a member to be ready.
    Ready,
    /// Finding the leader, or following indexes, during the run.
    Watchdog,
    /// Asked by a step of the plan (defragment, membership, auth changes, bursts of puts).
    Nemesis,
    /// Liveness: a write through one voter after healing.
    LivenessWrite,
    /// Liveness: a linearizable read through one voter after healing.
    LivenessRead,
    /// Liveness: has every member caught up?
    LivenessCatchUp,
    /// Auth: a fresh log-in through one voter; must succeed.
    AuthLogin,
    /// Auth: a request that the user's permissions allow; must succeed on each voter.
    AuthAllowed,
    /// Auth: a request that they do not allow; must be refused by each voter.
    AuthDenied,
    /// Ending the run: leases revoked, auth switched off, the last put.
    WindDown,
    /// Convergence: Status rounds; the last two rounds must be equal.
    ConvergenceStatus,
    /// Convergence: HashKV at the one revision.
    ConvergenceHash,
    /// Convergence and durability: the whole key space, serializably, from each member.
    ConvergenceContent,
}

/// Phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Members start, keys and users are made.
    Setup,
    /// Clients run, the nemesis acts.
    Traffic,
    /// Every fault is undone, every member is up.
    Heal,
    /// Liveness is judged.
    Liveness,
    /// Auth, convergence and durability are judged.
    Final,
    /// Members are stopped.
    Stop,
}

/// A process started or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessEvent {
    /// When.
    pub at: u64,
    /// The member.
    pub member: String,
    /// Its process id.
    pub pid: u32,
    /// What happened.
    pub event: ProcessEventKind,
    /// Whether the plan, or the harness's end of the run, caused it.
    pub planned: bool,
    /// The last lines of its log, for an end that was not planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// Started, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProcessEventKind {
    /// Started.
    Started,
    /// Ended by itself, with this status.
    Exited {
        /// The exit status.
        code: i32,
    },
    /// Ended by this signal.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
}

/// A member as the harness knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Its name.
    pub name: String,
    /// Its id.
    #[serde(with = "id_string")]
    pub id: u64,
    /// Whether it is a learner: it does not vote, refuses HashKV and log-in, and is exempt from
    /// what these would show.
    pub learner: bool,
    /// The store's version.
    pub version: String,
}

/// A line of a member's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When the harness read it.
    pub at: u64,
    /// The member.
    pub member: String,
    /// The line.
    pub line: String,
}
