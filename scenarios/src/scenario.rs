//! A scenario as read from its file: what is fixed, and what is left to the seed.

use std::ops::Range;

use crate::draw::Draw;
use crate::plan::{
    Act, Clients, DiskOp, DiskPlan, Edge, Expectation, How, Network, Place as ArmedAt, Shape,
    StepPhase, Survival, UserPlan, WatchOf, WatchStart,
};

/// A scenario: a name for a kind of run. A seed makes a [`crate::plan::Plan`] of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name, as in `gauntlet run NAME`.
    pub name: String,
    /// What it is about, in a line.
    pub title: String,
    /// The issue it cites, as an address; empty where there is none.
    pub issue: String,
    /// What it does and why, in some paragraphs.
    pub about: String,
    /// What is expected of which versions; the first row that matches a version counts.
    pub expect: Vec<Expectation>,
    /// The file, as it was named.
    pub file: String,
    /// The text of the file.
    pub text: String,
    pub(crate) cluster: ClusterSpec,
    pub(crate) auth: Option<AuthSpec>,
    pub(crate) traffic: TrafficSpec,
    pub(crate) steps: Vec<StepSpec>,
}

/// Where in the file something stands, in bytes.
pub(crate) type Place = Range<usize>;

#[derive(Clone, Debug)]
pub(crate) struct ClusterSpec {
    pub(crate) place: Place,
    pub(crate) members: Draw,
    pub(crate) tls: bool,
    pub(crate) peer_proxies: bool,
    pub(crate) client_proxies: bool,
    pub(crate) network: Network,
    pub(crate) disk: Option<DiskPlan>,
    /// Heartbeat interval and election timeout in microseconds; none draws one of the usual pairs.
    pub(crate) timing: Option<(Draw, Draw)>,
    pub(crate) snapshot_count: Draw,
    /// Each is one of some flags; the empty one stands for none.
    pub(crate) flags: Vec<Vec<String>>,
    pub(crate) env: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct AuthSpec {
    pub(crate) place: Place,
    pub(crate) users: Vec<UserPlan>,
}

#[derive(Clone, Debug)]
pub(crate) struct TrafficSpec {
    pub(crate) place: Place,
    pub(crate) profile: &'static str,
    pub(crate) time: Draw,
    pub(crate) request_timeout: Draw,
    /// Clients a member.
    pub(crate) clients: Draw,
    pub(crate) rate: Draw,
    pub(crate) preload: Draw,
    pub(crate) value_bytes: Draw,
    pub(crate) prefixes: Option<Vec<String>>,
    pub(crate) keys: Option<Draw>,
    pub(crate) lease_ttl: Option<Draw>,
    pub(crate) watch: Option<Draw>,
    pub(crate) watches_max: Option<Draw>,
    pub(crate) range_limit: Option<Draw>,
    /// Client number c of each member logs in as number c of these, round and round.
    pub(crate) users: Vec<String>,
    pub(crate) weights: Vec<(&'static str, Draw)>,
    /// None leaves it to the profile.
    pub(crate) watchers: Option<Vec<WatchersSpec>>,
}

/// Watchers that are alike.
#[derive(Clone, Debug)]
pub(crate) struct WatchersSpec {
    /// So many a member.
    pub(crate) each: Draw,
    pub(crate) lives: Draw,
    pub(crate) of: Vec<WatchOf>,
    pub(crate) starts: Vec<WatchStart>,
    pub(crate) past: Draw,
    pub(crate) future: Draw,
    pub(crate) progress: Draw,
    pub(crate) slow: Draw,
    pub(crate) pause: Draw,
}

#[derive(Clone, Debug)]
pub(crate) enum StepSpec {
    Do(Box<DoSpec>),
    Repeat { rounds: Draw, steps: Vec<StepSpec> },
}

#[derive(Clone, Debug)]
pub(crate) struct DoSpec {
    /// What errors call it: `step 3`, or `step 3.1` within a repeat.
    pub(crate) label: String,
    pub(crate) place: Place,
    pub(crate) phase: StepPhase,
    pub(crate) when: Option<WhenSpec>,
    pub(crate) after: Draw,
    pub(crate) background: bool,
    pub(crate) target: Option<TargetSpec>,
    /// The name that later steps know the target by.
    pub(crate) bind: Option<String>,
    pub(crate) action: ActionSpec,
}

/// What a step waits for.
#[derive(Clone, Debug)]
pub(crate) struct WhenSpec {
    pub(crate) event: EventSpec,
    pub(crate) within: Draw,
}

#[derive(Clone, Debug)]
pub(crate) enum EventSpec {
    Hit(String),
    Log { of: String, text: String },
    InFlight { action: String, at: String },
    Leads(String),
    Follows(String),
    Revision(Draw),
    NeedsSnapshot(String),
}

/// A fault that waits in a process.
#[derive(Clone, Debug)]
pub(crate) struct ArmSpec {
    pub(crate) fault: String,
    pub(crate) at: Option<ArmedAt>,
    pub(crate) point: Option<String>,
    pub(crate) hit: Draw,
    pub(crate) times: Draw,
    pub(crate) called_from: Option<String>,
    pub(crate) act: ActSpec,
    pub(crate) optional: bool,
}

/// What it does, with the times left to draw.
#[derive(Clone, Debug)]
pub(crate) enum ActSpec {
    Hold(Draw),
    Short { bytes: Draw, errno: String },
    Fixed(Act),
}

/// Whose links, beside those of the target.
#[derive(Clone, Debug)]
pub(crate) struct EndsSpec {
    pub(crate) to: Option<Vec<String>>,
    pub(crate) clients: Clients,
}

/// A cut. Of ways and shapes one is drawn; a shape that is none is the leader away.
#[derive(Clone, Debug)]
pub(crate) struct CutSpec {
    pub(crate) how: Vec<How>,
    pub(crate) shape: Vec<Option<Shape>>,
    pub(crate) ends: EndsSpec,
}

/// A slow link. Times are in microseconds; a bandwidth of 0 is none.
#[derive(Clone, Debug)]
pub(crate) struct SlowSpec {
    pub(crate) delay: Draw,
    pub(crate) jitter: Draw,
    pub(crate) bandwidth: Draw,
    pub(crate) ends: EndsSpec,
}

/// A fault of a disk.
#[derive(Clone, Debug)]
pub(crate) struct DiskFaultSpec {
    pub(crate) fault: String,
    pub(crate) paths: String,
    pub(crate) hit: Draw,
    pub(crate) times: Draw,
    pub(crate) kind: DiskFaultKindSpec,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum DiskFaultKindSpec {
    Eio(DiskOp),
    Enospc(Draw),
    SlowFsync(Draw),
    BitFlip(Draw),
}

/// Which end, as read.
pub(crate) const EDGES: [(&str, Edge); 2] = [("entry", Edge::Entry), ("return", Edge::Return)];

/// Target texts, of which one is drawn.
#[derive(Clone, Debug)]
pub(crate) struct TargetSpec {
    pub(crate) place: Place,
    pub(crate) choices: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum ActionSpec {
    Defragment,
    Kill,
    Terminate,
    Pause,
    Resume,
    Restart { wait_ready: bool },
    Cut(CutSpec),
    SlowLink(SlowSpec),
    DropConnections(EndsSpec),
    HealNetwork,
    MemberAdd { learner: bool },
    MemberPromote,
    MemberRemove,
    GrantPermission { user: String, prefix: String },
    RevokePermission { user: String, prefix: String },
    Puts { count: Draw, prefix: String },
    Compact { behind: Draw, physical: bool },
    WaitCaughtUp { timeout: Draw },
    Arm(ArmSpec),
    Disarm { fault: String },
    Release { fault: String },
    Snapshot,
    MoveLeader,
    AlarmRaise,
    AlarmClear,
    AuthDisable,
    AuthEnable,
    LeaseChurn { count: Draw, prefix: String },
    PowerCycle { down: Draw },
    RollingRestart,
    Swap { store: String },
    Gofail { failpoint: String, terms: String },
    PowerLoss { survival: Vec<Survival> },
    DiskFault(DiskFaultSpec),
    DiskHeal,
    Sleep,
}

/// Actions by name, and whether each has a target.
pub(crate) const ACTIONS: [(&str, bool); 36] = [
    ("defragment", true),
    ("kill", true),
    ("terminate", true),
    ("pause", true),
    ("resume", true),
    ("restart", true),
    ("cut", true),
    ("slow_link", true),
    ("drop_connections", true),
    ("heal_network", true),
    ("member_add", false),
    ("member_promote", true),
    ("member_remove", true),
    ("grant_permission", false),
    ("revoke_permission", false),
    ("puts", false),
    ("compact", false),
    ("wait_caught_up", true),
    ("arm", true),
    ("disarm", false),
    ("release", false),
    ("snapshot", true),
    ("move_leader", true),
    ("alarm_raise", true),
    ("alarm_clear", true),
    ("auth_disable", false),
    ("auth_enable", false),
    ("lease_churn", false),
    ("power_cycle", false),
    ("rolling_restart", true),
    ("swap", true),
    ("gofail", true),
    ("power_loss", true),
    ("disk_fault", true),
    ("disk_heal", true),
    ("sleep", false),
];
