//! The steps of a plan: repeats laid out, targets resolved, fields drawn.

mod network;

use std::collections::BTreeMap;

use super::Log;
use crate::check::{self, At, Flaw};
use crate::names::suggest;
use crate::plan::{
    Act, Action, Arm, DiskFault, DiskFaultKind, Event, Shape, Step, Survival, Target, When,
};
use crate::scenario::{
    ActSpec, ActionSpec, ArmSpec, DiskFaultKindSpec, DiskFaultSpec, DoSpec, EventSpec, StepSpec,
    WhenSpec,
};

pub(super) struct Steps<'s, 'd> {
    log: Log<'d>,
    members: u32,
    pub(super) added: u32,
    /// What later steps mean by a name.
    bound: BTreeMap<&'s str, Target>,
    pub(super) steps: Vec<Step>,
    pub(super) origins: Vec<&'s DoSpec>,
    pub(super) flaws: Vec<Flaw>,
}

impl<'s, 'd> Steps<'s, 'd> {
    pub(super) fn new(log: Log<'d>, members: u32) -> Self {
        Self {
            log,
            members,
            added: 0,
            bound: BTreeMap::new(),
            steps: Vec::new(),
            origins: Vec::new(),
            flaws: Vec::new(),
        }
    }

    pub(super) fn all(&mut self, specs: &'s [StepSpec]) {
        for spec in specs {
            match spec {
                StepSpec::Do(spec) => self.step(spec),
                StepSpec::Repeat { rounds, steps } => {
                    let path = format!("rounds from step {}", self.steps.len() + 1);
                    for _ in 0..self.log.count(path, rounds) {
                        self.all(steps);
                    }
                }
            }
        }
    }

    fn step(&mut self, spec: &'s DoSpec) {
        let path = |name: &str, index: usize| format!("steps.{}.{name}", index + 1);
        let index = self.steps.len();
        let after_us = self.log.count(path("after_us", index), &spec.after);
        let target = spec.target.as_ref().map(|choices| {
            let text = self.log.pick(&choices.choices);
            let before = self.log.drawn.len();
            let target = self.target(text, spec.bind.as_deref());
            if choices.choices.len() > 1 || text.ends_with("random") {
                self.log.drawn.truncate(before);
                self.log
                    .note(path("action.target", index), check::show(&target));
            }
            target
        });
        let mut target = target.unwrap_or(Target::All);
        let shape = self.shape(spec, index);
        if shape.is_none() {
            target = self.target("leader", spec.bind.as_deref());
        }
        let bound = match (&spec.action, &target) {
            (ActionSpec::MemberAdd { .. }, _) => Target::Member(self.next_member()),
            (_, Target::Leader(name) | Target::Follower(name)) => Target::Bound(name.clone()),
            (_, other) => other.clone(),
        };
        let action = self.action(spec, index, target, shape.unwrap_or_default());
        if let Some(name) = &spec.bind {
            self.bound.insert(name, bound);
        }
        let when = spec.when.as_ref().map(|when| self.when(when, index));
        self.steps.push(Step {
            phase: spec.phase,
            when,
            after_us,
            background: spec.background,
            action,
        });
        self.origins.push(spec);
    }

    fn next_member(&self) -> String {
        format!("m{}", self.members + self.added + 1)
    }

    fn target(&mut self, text: &str, bind: Option<&str>) -> Target {
        let run_time_name = |steps: &Self| {
            let number = steps.steps.len() + 1;
            match bind {
                Some(name) => format!("{name}@{number}"),
                None => format!("@{number}"),
            }
        };
        match text {
            "all" => return Target::All,
            "random" => return Target::Member(self.random()),
            "all but random" => return Target::AllBut(self.random()),
            "leader" => return Target::Leader(run_time_name(self)),
            "follower" => return Target::Follower(run_time_name(self)),
            _ => {}
        }
        let (but, name) = match text.strip_prefix("all but ") {
            Some(name) => (true, name.trim()),
            None => (false, text),
        };
        match (self.named(name), but) {
            (Some(target), false) => target,
            (Some(Target::Member(name)), true) => Target::AllBut(name),
            (Some(Target::Bound(name)), true) => Target::AllButBound(name),
            (Some(_), true) => {
                self.flaw(format!(
                    "{name:?} is not one member here, so \"all but {name}\" says nothing"
                ));
                Target::All
            }
            (None, _) => {
                let members: Vec<_> = (1..=self.members + self.added)
                    .map(|n| format!("m{n}"))
                    .collect();
                let words = ["random", "all", "leader", "follower", "all but NAME"];
                let known = words.into_iter().chain(members.iter().map(String::as_str));
                let hint = suggest(name, known.chain(self.bound.keys().copied()));
                self.flaw(format!(
                    "target {name:?} is neither a member nor bound by an earlier \"as\"{hint}"
                ));
                Target::All
            }
        }
    }

    fn named(&self, name: &str) -> Option<Target> {
        let member = || {
            let number: u32 = name.strip_prefix('m')?.parse().ok()?;
            let known = (1..=self.members + self.added).contains(&number);
            (known && name == format!("m{number}")).then(|| Target::Member(name.into()))
        };
        self.bound.get(name).cloned().or_else(member)
    }

    fn random(&mut self) -> String {
        format!(
            "m{}",
            self.log.stream.between(1, u64::from(self.members.max(1)))
        )
    }

    fn flaw(&mut self, message: String) {
        self.flaws.push(Flaw {
            at: At::Target(self.steps.len()),
            message,
        });
    }

    fn action(&mut self, spec: &DoSpec, index: usize, target: Target, shape: Shape) -> Action {
        let path = |name: &str| format!("steps.{}.action.{name}", index + 1);
        match &spec.action {
            ActionSpec::Defragment => Action::Defragment { target },
            ActionSpec::Kill => Action::Kill { target },
            ActionSpec::Terminate => Action::Terminate { target },
            ActionSpec::Pause => Action::Pause { target },
            ActionSpec::Resume => Action::Resume { target },
            ActionSpec::Restart { wait_ready } => Action::Restart {
                target,
                wait_ready: *wait_ready,
            },
            ActionSpec::Cut(cut) => self.cut(cut, shape, index, target),
            ActionSpec::SlowLink(slow) => self.slow_link(slow, index, target),
            ActionSpec::DropConnections(ends) => Action::DropConnections {
                target,
                to: self.to(ends, index),
                clients: ends.clients,
            },
            ActionSpec::HealNetwork => Action::HealNetwork { target },
            ActionSpec::MemberAdd { learner } => {
                let name = self.next_member();
                self.added += 1;
                Action::MemberAdd {
                    name,
                    learner: *learner,
                }
            }
            ActionSpec::MemberPromote => Action::MemberPromote { target },
            ActionSpec::MemberRemove => Action::MemberRemove { target },
            ActionSpec::GrantPermission { user, prefix } => Action::GrantPermission {
                user: user.clone(),
                prefix: prefix.clone(),
            },
            ActionSpec::RevokePermission { user, prefix } => Action::RevokePermission {
                user: user.clone(),
                prefix: prefix.clone(),
            },
            ActionSpec::Puts { count, prefix } => Action::Puts {
                count: self.log.count(path("count"), count) as u32,
                prefix: prefix.clone(),
            },
            ActionSpec::Compact { behind, physical } => Action::Compact {
                behind: self.log.count(path("behind"), behind) as i64,
                physical: *physical,
            },
            ActionSpec::WaitCaughtUp { timeout } => Action::WaitCaughtUp {
                target,
                timeout_ms: self.log.millis(path("timeout_ms"), timeout),
            },
            ActionSpec::Arm(arm) => Action::Arm(self.arm(arm, index, target)),
            ActionSpec::Disarm { fault } => Action::Disarm {
                fault: fault.clone(),
            },
            ActionSpec::Release { fault } => Action::Release {
                fault: fault.clone(),
            },
            ActionSpec::Snapshot => Action::Snapshot { target },
            ActionSpec::MoveLeader => Action::MoveLeader { target },
            ActionSpec::AlarmRaise => Action::AlarmRaise { target },
            ActionSpec::AlarmClear => Action::AlarmClear { target },
            ActionSpec::AuthDisable => Action::AuthDisable,
            ActionSpec::AuthEnable => Action::AuthEnable,
            ActionSpec::LeaseChurn { count, prefix } => Action::LeaseChurn {
                count: self.log.count(path("count"), count) as u32,
                prefix: prefix.clone(),
            },
            ActionSpec::PowerCycle { down } => Action::PowerCycle {
                down_ms: self.log.millis(path("down_ms"), down),
            },
            ActionSpec::RollingRestart => Action::RollingRestart { target },
            ActionSpec::Swap { store } => Action::Swap {
                target,
                store: store.clone(),
            },
            ActionSpec::Gofail { failpoint, terms } => Action::Gofail {
                target,
                failpoint: failpoint.clone(),
                terms: terms.clone(),
            },
            ActionSpec::PowerLoss { survival } => {
                let choice = *self.log.pick(survival);
                if survival.len() > 1 {
                    self.log.note(path("survival"), choice.name());
                }
                Action::PowerLoss {
                    target,
                    survival: choice,
                    seed: match choice {
                        Survival::SyncedOnly => "0".into(),
                        _ => self.log.stream.bits().to_string(),
                    },
                }
            }
            ActionSpec::DiskFault(fault) => {
                Action::DiskFault(self.disk_fault(fault, index, target))
            }
            ActionSpec::DiskHeal => Action::DiskHeal { target },
            ActionSpec::Sleep => Action::Sleep,
        }
    }

    fn disk_fault(&mut self, spec: &DiskFaultSpec, index: usize, target: Target) -> DiskFault {
        let path = |name: &str| format!("steps.{}.action.{name}", index + 1);
        DiskFault {
            fault: spec.fault.clone(),
            target,
            paths: spec.paths.clone(),
            hit: self.log.count(path("hit"), &spec.hit),
            times: self.log.count(path("times"), &spec.times),
            kind: match &spec.kind {
                DiskFaultKindSpec::Eio(op) => DiskFaultKind::Eio { op: *op },
                DiskFaultKindSpec::Enospc(bytes) => DiskFaultKind::Enospc {
                    bytes: self.log.count(path("kind.bytes"), bytes),
                },
                DiskFaultKindSpec::SlowFsync(time) => DiskFaultKind::SlowFsync {
                    for_ms: self.log.millis(path("kind.for_ms"), time),
                },
                DiskFaultKindSpec::BitFlip(every) => DiskFaultKind::BitFlip {
                    every: self.log.count(path("kind.every"), every),
                    seed: self.log.stream.bits().to_string(),
                },
            },
            optional: spec.optional,
        }
    }

    fn arm(&mut self, spec: &ArmSpec, index: usize, target: Target) -> Arm {
        let path = |name: &str| format!("steps.{}.action.{name}", index + 1);
        Arm {
            fault: spec.fault.clone(),
            target,
            at: spec.at.clone(),
            point: spec.point.clone(),
            hit: self.log.count(path("hit"), &spec.hit),
            times: self.log.count(path("times"), &spec.times),
            called_from: spec.called_from.clone(),
            act: match &spec.act {
                ActSpec::Hold(time) => Act::Hold {
                    for_ms: self.log.millis(path("act.for_ms"), time),
                },
                ActSpec::Short { bytes, errno } => Act::Short {
                    bytes: self.log.count(path("act.bytes"), bytes),
                    errno: errno.clone(),
                },
                ActSpec::Fixed(act) => act.clone(),
            },
            optional: spec.optional,
        }
    }

    fn when(&mut self, spec: &WhenSpec, index: usize) -> When {
        let path = |name: &str| format!("steps.{}.when.{name}", index + 1);
        let event = match &spec.event {
            EventSpec::Hit(fault) => Event::Hit {
                fault: fault.clone(),
            },
            EventSpec::Log { of, text } => Event::Log {
                target: self.target(of, None),
                text: text.clone(),
            },
            EventSpec::InFlight { action, at } => Event::InFlight {
                action: action.clone(),
                target: self.target(at, None),
            },
            EventSpec::Leads(who) => Event::Leads {
                target: self.target(who, None),
            },
            EventSpec::Follows(who) => Event::Follows {
                target: self.target(who, None),
            },
            EventSpec::Revision(revision) => Event::Revision {
                at_least: self.log.count(path("event.at_least"), revision) as i64,
            },
            EventSpec::NeedsSnapshot(who) => Event::NeedsSnapshot {
                target: self.target(who, None),
            },
        };
        When {
            event,
            within_ms: self.log.millis(path("within_ms"), &spec.within),
        }
    }
}
