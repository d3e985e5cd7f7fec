//! What the nemesis does: steps, what they wait for, and whom they are aimed at.

use serde::{Deserialize, Serialize};

use super::armed::Arm;
use super::disk::{DiskFault, Survival};
use super::network::{Clients, How, Shape, is_default};

/// One step of the nemesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Part of the run that the step belongs to.
    #[serde(default, skip_serializing_if = "StepPhase::is_traffic")]
    pub phase: StepPhase,
    /// Wait for this first. Where it does not come in time the step is not done, and recorded as
    /// failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Wait this long after the step before has been started (or, unless that is in the
    /// background, has ended), and after `when`, in microseconds.
    pub after_us: u64,
    /// The action is not waited for: the next step's wait begins at once.
    #[serde(default)]
    pub background: bool,
    /// What is done.
    pub action: Action,
}

/// Part of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepPhase {
    /// While members are waited for, keys preloaded and users made.
    Setup,
    /// While clients run.
    #[default]
    Traffic,
}

impl StepPhase {
    fn is_traffic(&self) -> bool {
        *self == Self::Traffic
    }
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct When {
    /// What has to happen, or be so.
    pub event: Event,
    /// Give up after this long, in milliseconds.
    pub within_ms: u64,
}

/// Something that happens in a run. Those about a target are asked of its first member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Event {
    /// An armed fault was hit and acted, since it was armed.
    Hit {
        /// The fault.
        fault: String,
    },
    /// A line of a member's log contains this text, since its process started.
    Log {
        /// Whose.
        target: Target,
        /// The text.
        text: String,
    },
    /// A request that an earlier step in the background sent is in flight.
    InFlight {
        /// The step's action, for example `defragment`.
        action: String,
        /// At whom.
        target: Target,
    },
    /// A member leads.
    Leads {
        /// Who.
        target: Target,
    },
    /// A member knows a leader that is not itself.
    Follows {
        /// Who.
        target: Target,
    },
    /// Some member states this revision or a higher one.
    Revision {
        /// The revision.
        at_least: i64,
    },
    /// The leader's log in memory begins after what a member has, so that the member can only be
    /// brought up to date by a snapshot.
    NeedsSnapshot {
        /// Who.
        target: Target,
    },
}

/// Members an action is aimed at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This member, drawn from the seed.
    Member(String),
    /// Every member but this one.
    AllBut(String),
    /// Every member.
    All,
    /// Whoever leads at that moment; the name binds it for later steps as `Bound`.
    Leader(String),
    /// A voter that does not lead at that moment: the first after the leader in name order.
    Follower(String),
    /// Whom an earlier `Leader` or `Follower` of this name found.
    Bound(String),
    /// Every member but whom an earlier `Leader` or `Follower` of this name found.
    AllButBound(String),
}

/// What the nemesis can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Maintenance.Defragment.
    Defragment {
        /// Where.
        target: Target,
    },
    /// SIGKILL.
    Kill {
        /// Whom.
        target: Target,
    },
    /// SIGTERM; waits for the exit.
    Terminate {
        /// Whom.
        target: Target,
    },
    /// SIGSTOP.
    Pause {
        /// Whom.
        target: Target,
    },
    /// SIGCONT.
    Resume {
        /// Whom.
        target: Target,
    },
    /// Start again after a kill or a termination, with the same data; waits until ready, at most
    /// this long.
    Restart {
        /// Whom.
        target: Target,
        /// Wait until a linearizable read through it succeeds.
        wait_ready: bool,
    },
    /// Cut links, by their proxies: by default every peer connection from and to the members.
    Cut {
        /// Whom; what that means is up to the shape.
        target: Target,
        /// How links break.
        #[serde(default, skip_serializing_if = "is_default")]
        how: How,
        /// Which links.
        #[serde(default, skip_serializing_if = "is_default")]
        shape: Shape,
        /// Instead of all others: with `Isolate` and `OneWay`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Target>,
        /// Clients' links.
        #[serde(default, skip_serializing_if = "is_default")]
        clients: Clients,
    },
    /// Make links slow: both ways between the members and all others, or one way to `to`.
    SlowLink {
        /// Whose.
        target: Target,
        /// Only to these, and one way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Target>,
        /// Clients' links.
        #[serde(default, skip_serializing_if = "is_default")]
        clients: Clients,
        /// How long each chunk of bytes waits at least, in microseconds.
        delay_us: u64,
        /// How much longer at most, drawn anew for each chunk, in microseconds.
        jitter_us: u64,
        /// How fast bytes leave, for each link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes_per_second: Option<u64>,
        /// What the jitter is drawn from, as a decimal string.
        seed: String,
    },
    /// Reset the connections that links have now, once.
    DropConnections {
        /// Whose.
        target: Target,
        /// Only those with these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Target>,
        /// Clients' links.
        #[serde(default, skip_serializing_if = "is_default")]
        clients: Clients,
    },
    /// Undo every `cut` and `slow_link` that had one of these as a target.
    HealNetwork {
        /// Whom.
        target: Target,
    },
    /// Add a new member, start it, give it clients.
    MemberAdd {
        /// Its name.
        name: String,
        /// As a learner.
        learner: bool,
    },
    /// Promote a learner.
    MemberPromote {
        /// Whom.
        target: Target,
    },
    /// Remove a member and stop its process.
    MemberRemove {
        /// Whom.
        target: Target,
    },
    /// Let a user's role read and write another prefix.
    GrantPermission {
        /// The user (its role has the same name).
        user: String,
        /// The prefix.
        prefix: String,
    },
    /// Take that away again.
    RevokePermission {
        /// The user.
        user: String,
        /// The prefix.
        prefix: String,
    },
    /// Puts by the harness itself (as root where auth is on), through the first member that
    /// serves.
    Puts {
        /// How many.
        count: u32,
        /// Key prefix.
        prefix: String,
    },
    /// Compact at the newest revision less `behind`.
    Compact {
        /// How far behind.
        behind: i64,
        /// Wait for the disk.
        physical: bool,
    },
    /// Wait until the members' applied index has reached what the leader's was.
    WaitCaughtUp {
        /// Whom.
        target: Target,
        /// Give up after this long, in milliseconds; the step then fails, and the run goes on.
        timeout_ms: u64,
    },
    /// Arm a fault at a function or system call of the member's process.
    Arm(Arm),
    /// Disarm a fault that an earlier step armed, on every member; what it holds goes on.
    Disarm {
        /// The fault.
        fault: String,
    },
    /// Let the threads go on that an armed fault holds. It stays armed.
    Release {
        /// The fault.
        fault: String,
    },
    /// Maintenance.Snapshot, read to its end.
    Snapshot {
        /// Where.
        target: Target,
    },
    /// Maintenance.MoveLeader: the target becomes the leader.
    MoveLeader {
        /// To whom.
        target: Target,
    },
    /// Maintenance.Alarm: raises NOSPACE for the member, so that the cluster refuses writes.
    AlarmRaise {
        /// For whom.
        target: Target,
    },
    /// Maintenance.Alarm: takes every alarm of the member back.
    AlarmClear {
        /// For whom.
        target: Target,
    },
    /// Auth off, as root.
    AuthDisable,
    /// Auth on again.
    AuthEnable,
    /// Leases granted by the harness, each with one key, and then revoked, one after the other.
    LeaseChurn {
        /// How many.
        count: u32,
        /// Prefix of their keys.
        prefix: String,
    },
    /// SIGKILL of every member at the same time, then a restart of all on their data.
    PowerCycle {
        /// How long all are down, in milliseconds.
        down_ms: u64,
    },
    /// SIGTERM and restart of one member after the other, each only when the one before serves.
    RollingRestart {
        /// Of whom.
        target: Target,
    },
    /// The members' next start uses this binary: an upgrade or a downgrade.
    Swap {
        /// Whose.
        target: Target,
        /// As for `--store`; its pin is among the plan's `swaps`.
        store: String,
    },
    /// Set a failpoint of a binary that was built with gofail.
    Gofail {
        /// On whom.
        target: Target,
        /// The failpoint's name.
        failpoint: String,
        /// gofail's terms, for example `1*sleep(100)`; empty clears it.
        terms: String,
    },
    /// Power off: SIGKILL of the members at the same time, and their disks lose what was not
    /// synced. They stay down until a `restart`.
    PowerLoss {
        /// Whose.
        target: Target,
        /// Which un-synced writes survive.
        survival: Survival,
        /// Where the draws of what survives come from, as a decimal string.
        seed: String,
    },
    /// Make members' disks fail in some operations.
    DiskFault(DiskFault),
    /// Take every disk fault back.
    DiskHeal {
        /// On whose disk.
        target: Target,
    },
    /// Nothing, for `after_us`.
    Sleep,
}

impl Action {
    /// The name used in scenario files, `faults.jsonl` and reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Defragment { .. } => "defragment",
            Self::Kill { .. } => "kill",
            Self::Terminate { .. } => "terminate",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Restart { .. } => "restart",
            Self::Cut { .. } => "cut",
            Self::SlowLink { .. } => "slow_link",
            Self::DropConnections { .. } => "drop_connections",
            Self::HealNetwork { .. } => "heal_network",
            Self::MemberAdd { .. } => "member_add",
            Self::MemberPromote { .. } => "member_promote",
            Self::MemberRemove { .. } => "member_remove",
            Self::GrantPermission { .. } => "grant_permission",
            Self::RevokePermission { .. } => "revoke_permission",
            Self::Puts { .. } => "puts",
            Self::Compact { .. } => "compact",
            Self::WaitCaughtUp { .. } => "wait_caught_up",
            Self::Arm(_) => "arm",
            Self::Disarm { .. } => "disarm",
            Self::Release { .. } => "release",
            Self::Snapshot { .. } => "snapshot",
            Self::MoveLeader { .. } => "move_leader",
            Self::AlarmRaise { .. } => "alarm_raise",
            Self::AlarmClear { .. } => "alarm_clear",
            Self::AuthDisable => "auth_disable",
            Self::AuthEnable => "auth_enable",
            Self::LeaseChurn { .. } => "lease_churn",
            Self::PowerCycle { .. } => "power_cycle",
            Self::RollingRestart { .. } => "rolling_restart",
            Self::Swap { .. } => "swap",
            Self::Gofail { .. } => "gofail",
            Self::PowerLoss { .. } => "power_loss",
            Self::DiskFault(_) => "disk_fault",
            Self::DiskHeal { .. } => "disk_heal",
            Self::Sleep => "sleep",
        }
    }

    /// Whom it acts on, if that is up to the step.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Defragment { target }
            | Self::Kill { target }
            | Self::Terminate { target }
            | Self::Pause { target }
            | Self::Resume { target }
            | Self::Restart { target, .. }
            | Self::Cut { target, .. }
            | Self::SlowLink { target, .. }
            | Self::DropConnections { target, .. }
            | Self::HealNetwork { target }
            | Self::MemberPromote { target }
            | Self::MemberRemove { target }
            | Self::WaitCaughtUp { target, .. }
            | Self::Arm(Arm { target, .. })
            | Self::Snapshot { target }
            | Self::MoveLeader { target }
            | Self::AlarmRaise { target }
            | Self::AlarmClear { target }
            | Self::RollingRestart { target }
            | Self::Swap { target, .. }
            | Self::Gofail { target, .. }
            | Self::PowerLoss { target, .. }
            | Self::DiskFault(DiskFault { target, .. })
            | Self::DiskHeal { target } => Some(target),
            Self::MemberAdd { .. }
            | Self::GrantPermission { .. }
            | Self::RevokePermission { .. }
            | Self::Puts { .. }
            | Self::Compact { .. }
            | Self::Disarm { .. }
            | Self::Release { .. }
            | Self::AuthDisable
            | Self::AuthEnable
            | Self::LeaseChurn { .. }
            | Self::PowerCycle { .. }
            | Self::Sleep => None,
        }
    }
}
