//! The steps of a plan: repeats laid out, targets resolved, fields drawn.

use std::collections::BTreeMap;

use super::Log;
use crate::check::{self, At, Flaw};
use crate::names::suggest;
use crate::plan::{Action, Step, Target};
use crate::scenario::{ActionSpec, DoSpec, StepSpec};

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
        let target = target.unwrap_or(Target::All);
        let bound = match (&spec.action, &target) {
            (ActionSpec::MemberAdd { .. }, _) => Target::Member(self.next_member()),
            (_, Target::Leader(name) | Target::Follower(name)) => Target::Bound(name.clone()),
            (_, other) => other.clone(),
        };
        let action = self.action(spec, index, target);
        if let Some(name) = &spec.bind {
            self.bound.insert(name, bound);
        }
        self.steps.push(Step {
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

    fn action(&mut self, spec: &DoSpec, index: usize, target: Target) -> Action {
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
            ActionSpec::Cut => Action::Cut { target },
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
            ActionSpec::Sleep => Action::Sleep,
        }
    }
}
