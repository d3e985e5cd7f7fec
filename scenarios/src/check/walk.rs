//! The steps in order, and what state each may find the members in.

mod links;

use std::collections::BTreeSet;

use super::{At, show, unknown_user};
use crate::names::suggest;
use crate::plan::{Act, Action, DiskFaultKind, Event, Plan, Step, StepPhase, Target};

const INITIAL: [&str; 5] = ["m1", "m2", "m3", "m4", "m5"];

/// Every member that is there at some time.
pub(super) fn all_members(plan: &Plan) -> BTreeSet<&str> {
    let added = plan.steps.iter().filter_map(|step| match &step.action {
        Action::MemberAdd { name, .. } => Some(name.as_str()),
        _ => None,
    });
    initial(plan).chain(added).collect()
}

fn initial(plan: &Plan) -> impl Iterator<Item = &str> {
    INITIAL.into_iter().take(plan.cluster.members as usize)
}

/// Reports every step that cannot do what it says.
pub(super) fn steps(plan: &Plan, flaw: &mut impl FnMut(At, String)) {
    let auth = plan.auth.iter().flat_map(|auth| &auth.users);
    let mut walk = Walk {
        plan,
        present: initial(plan).collect(),
        learners: BTreeSet::new(),
        found: BTreeSet::new(),
        granted: auth
            .flat_map(|user| {
                user.prefixes
                    .iter()
                    .map(|prefix| (user.name.as_str(), prefix.as_str()))
            })
            .collect(),
        stopped: Faults::default(),
        paused: Faults::default(),
        cut: Faults::default(),
        armed: BTreeSet::new(),
        disk_faults: BTreeSet::new(),
        in_flight: BTreeSet::new(),
        traffic: false,
    };
    for (index, step) in plan.steps.iter().enumerate() {
        let at = match step.action.target() {
            Some(_) => At::Target(index),
            None => At::Step(index),
        };
        if let Err(message) = walk.before(step) {
            flaw(At::Step(index), message);
        }
        if let Err(message) = walk.step(&step.action) {
            flaw(at, message);
        }
        if step.background {
            walk.in_flight.insert(step.action.name());
        }
    }
}

/// What may have been meant by a name that no earlier step gave.
fn earlier(name: &str, known: &BTreeSet<&str>) -> String {
    match known.is_empty() {
        true => "; allowed: none so far".into(),
        false => suggest(name, known.iter().copied()),
    }
}

struct Walk<'p> {
    plan: &'p Plan,
    present: BTreeSet<&'p str>,
    learners: BTreeSet<&'p str>,
    /// Names under which a leader or follower has been found by then.
    found: BTreeSet<&'p str>,
    /// Users and prefixes.
    granted: BTreeSet<(&'p str, &'p str)>,
    stopped: Faults<'p>,
    paused: Faults<'p>,
    cut: Faults<'p>,
    /// Faults that have been armed by then.
    armed: BTreeSet<&'p str>,
    /// Those of disks.
    disk_faults: BTreeSet<&'p str>,
    /// Actions that have been begun in the background by then.
    in_flight: BTreeSet<&'static str>,
    /// A step of the traffic phase has come.
    traffic: bool,
}

impl<'p> Walk<'p> {
    /// What a step waits for, and the phase it is in.
    fn before(&mut self, step: &'p Step) -> Result<(), String> {
        if self.traffic && step.phase == StepPhase::Setup {
            return Err("a step of the set-up comes after one of the traffic".into());
        }
        self.traffic |= step.phase == StepPhase::Traffic;
        let Some(when) = &step.when else {
            return Ok(());
        };
        match &when.event {
            Event::Hit { fault } if self.disk_faults.contains(fault.as_str()) => Ok(()),
            Event::Hit { fault } => self.is_armed(fault),
            Event::InFlight { action, target } => {
                self.reach(target)?;
                if self.in_flight.contains(action.as_str()) {
                    return Ok(());
                }
                let hint = earlier(action, &self.in_flight);
                Err(format!(
                    "no earlier step does {action:?} in the background{hint}"
                ))
            }
            Event::Log { target, .. }
            | Event::Leads { target }
            | Event::Follows { target }
            | Event::NeedsSnapshot { target } => self.reach(target).map(drop),
            Event::Revision { .. } => Ok(()),
        }
    }

    fn is_armed(&self, fault: &str) -> Result<(), String> {
        if self.armed.contains(fault) {
            return Ok(());
        }
        let hint = earlier(fault, &self.armed);
        Err(format!("no earlier step arms {fault:?}{hint}"))
    }

    fn needs_disk(&self) -> Result<(), String> {
        match self.plan.cluster.disk {
            Some(_) => Ok(()),
            None => Err("this needs disk = true in [cluster]".into()),
        }
    }

    fn needs_auth(&self) -> Result<(), String> {
        match self.plan.auth {
            Some(_) => Ok(()),
            None => Err("this needs auth; add [auth] with users".into()),
        }
    }

    fn step(&mut self, action: &'p Action) -> Result<(), String> {
        let reach = match action.target() {
            Some(target) => self.reach(target)?,
            None => Reach::default(),
        };
        let never = |done: &str| format!("no earlier step {done} {}", reach.words);
        match action {
            Action::Kill { .. } | Action::Terminate { .. } => self.stopped.cause(reach),
            Action::Restart { .. } => {
                let error = never("kills or terminates");
                self.stopped.undo(&reach).then_some(()).ok_or(error)?;
            }
            Action::Pause { .. } => self.paused.cause(reach),
            Action::Resume { .. } => {
                let error = never("pauses");
                self.paused.undo(&reach).then_some(()).ok_or(error)?;
            }
            Action::Cut { .. } | Action::SlowLink { .. } | Action::DropConnections { .. } => {
                self.links(action, &reach)?;
                if !matches!(action, Action::DropConnections { .. }) {
                    self.cut.cause(reach);
                }
            }
            Action::HealNetwork { .. } => {
                let error = never("cuts or slows");
                let any = self.cut.undo(&reach);
                // All at once is how a scenario makes sure.
                let sure = action.target() == Some(&Target::All);
                (any || sure).then_some(()).ok_or(error)?;
            }
            Action::MemberAdd { name, learner } => {
                if !self.present.insert(name) {
                    return Err(format!("{name} is there already"));
                }
                self.learners.extend(learner.then_some(name.as_str()));
            }
            Action::MemberPromote { .. } => {
                if self.learners.is_disjoint(&reach.members) {
                    return Err(format!("no earlier step adds {} as a learner", reach.words));
                }
            }
            Action::MemberRemove { .. } if reach.exact => {
                self.present
                    .retain(|member| !reach.members.contains(member));
            }
            Action::GrantPermission { user, prefix } => {
                self.permission(user, prefix)?;
                self.granted.insert((user, prefix));
            }
            Action::RevokePermission { user, prefix } => {
                self.permission(user, prefix)?;
                if !self.granted.remove(&(user.as_str(), prefix.as_str())) {
                    return Err(format!(
                        "user {user:?} has no permission on {prefix:?} by then"
                    ));
                }
            }
            Action::Arm(arm) => {
                if arm.fault.is_empty() {
                    return Err("the fault has no name".into());
                }
                if arm.at.is_none() && arm.point.is_none() {
                    return Err(format!("{:?} is at no place and no point", arm.fault));
                }
                self.armed.insert(&arm.fault);
                if arm.act == Act::Kill {
                    self.stopped.cause(reach);
                }
            }
            Action::PowerLoss { .. } => {
                self.needs_disk()?;
                self.stopped.cause(reach);
            }
            Action::DiskFault(fault) => {
                self.needs_disk()?;
                if fault.fault.is_empty() {
                    return Err("the fault has no name".into());
                }
                self.disk_faults.insert(&fault.fault);
                if !matches!(fault.kind, DiskFaultKind::SlowFsync { .. }) {
                    // A store that meets it may stop, and rightly so.
                    self.stopped.cause(reach);
                }
            }
            Action::DiskHeal { .. } => self.needs_disk()?,
            Action::Disarm { fault } if self.disk_faults.contains(fault.as_str()) => {}
            Action::Disarm { fault } | Action::Release { fault } => self.is_armed(fault)?,
            Action::MoveLeader { target }
            | Action::AlarmRaise { target }
            | Action::AlarmClear { target } => {
                if matches!(
                    target,
                    Target::All | Target::AllBut(_) | Target::AllButBound(_)
                ) {
                    return Err(format!("one member is meant, not {}", reach.words));
                }
            }
            Action::AuthDisable | Action::AuthEnable => self.needs_auth()?,
            Action::Swap { store, .. } if store.trim().is_empty() => {
                return Err("the store has no name; allowed: for example \"etcd@3.5.16\"".into());
            }
            Action::Gofail { failpoint, .. } if failpoint.is_empty() => {
                return Err("the failpoint has no name".into());
            }
            Action::Snapshot { .. }
            | Action::LeaseChurn { .. }
            | Action::PowerCycle { .. }
            | Action::RollingRestart { .. }
            | Action::Swap { .. }
            | Action::Gofail { .. }
            | Action::MemberRemove { .. }
            | Action::Defragment { .. }
            | Action::Puts { .. }
            | Action::Compact { .. }
            | Action::WaitCaughtUp { .. }
            | Action::Sleep => {}
        }
        Ok(())
    }

    fn permission(&self, user: &str, prefix: &str) -> Result<(), String> {
        match unknown_user(self.plan, user, false) {
            Some(message) => Err(message),
            None if prefix.is_empty() => {
                Err("the prefix is empty; name at least one character".into())
            }
            None => Ok(()),
        }
    }

    /// Whom a target may mean.
    fn reach(&mut self, target: &'p Target) -> Result<Reach<'p>, String> {
        let known = |name: &'p str| match self.present.contains(name) {
            true => Ok(name),
            false => Err(format!("{name} is not a member by then")),
        };
        let (members, exact, name) = match target {
            Target::Member(member) => (BTreeSet::from([known(member)?]), true, None),
            Target::AllBut(member) => {
                let mut others = self.present.clone();
                others.remove(known(member)?);
                (others, true, None)
            }
            Target::All => (self.present.clone(), true, None),
            Target::Leader(name) | Target::Follower(name) => {
                self.found.insert(name);
                (self.present.clone(), false, Some((name.as_str(), false)))
            }
            Target::Bound(name) | Target::AllButBound(name) => {
                if !self.found.contains(name.as_str()) {
                    return Err(format!(
                        "no earlier step finds a leader or follower named {name:?}"
                    ));
                }
                let all_but = matches!(target, Target::AllButBound(_));
                (self.present.clone(), false, Some((name.as_str(), all_but)))
            }
        };
        if members.is_empty() || (matches!(target, Target::AllButBound(_)) && members.len() == 1) {
            return Err(format!("{} is nobody in a cluster of one", show(target)));
        }
        Ok(Reach {
            members,
            exact,
            name,
            words: show(target),
        })
    }
}

/// Whom a target may mean.
#[derive(Default)]
struct Reach<'p> {
    members: BTreeSet<&'p str>,
    /// All of `members` are meant, rather than some that only the run will tell.
    exact: bool,
    /// The name bound at run time, and whether all others are meant.
    name: Option<(&'p str, bool)>,
    words: String,
}

/// Faults of one kind that are in effect.
#[derive(Default)]
struct Faults<'p>(Vec<Reach<'p>>);

impl<'p> Faults<'p> {
    fn cause(&mut self, reach: Reach<'p>) {
        self.0.push(reach);
    }

    /// Takes back what `reach` covers; false where it certainly covers nothing.
    fn undo(&mut self, reach: &Reach<'p>) -> bool {
        let any = self
            .0
            .iter()
            .any(|fault| !fault.members.is_disjoint(&reach.members));
        self.0.retain_mut(|fault| {
            if fault.exact && reach.exact {
                fault
                    .members
                    .retain(|member| !reach.members.contains(member));
                return !fault.members.is_empty();
            }
            let same = fault.name.is_some() && fault.name == reach.name;
            let everyone = reach.exact && fault.members.is_subset(&reach.members);
            !same && !everyone
        });
        any
    }
}
