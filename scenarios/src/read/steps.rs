//! `[[step]]` and `[[step.steps]]`.

use super::section::{Field, Section};
use super::{HOUR, MS, SECOND, armed, disk, network};
use crate::draw::{Draw, Unit};
use crate::names::{is_member_name, suggest};
use crate::plan::StepPhase;
use crate::scenario::{ACTIONS, ActionSpec, DoSpec, StepSpec, TargetSpec};

/// Words that targets are made of, and that no step may bind.
const RESERVED: [&str; 5] = ["random", "all", "leader", "follower", "but"];

pub(super) fn steps(field: &Field<'_>) -> Vec<StepSpec> {
    numbered(field, "step ")
}

fn numbered(field: &Field<'_>, prefix: &str) -> Vec<StepSpec> {
    let elements = field.elements("an array of tables, [[step]]");
    let numbered = elements.iter().zip(1..);
    let steps = numbered.filter_map(|(element, number): (_, usize)| {
        let mut section = element.section();
        section.label = format!("{prefix}{number}");
        step(section)
    });
    steps.collect()
}

fn step(mut section: Section<'_>) -> Option<StepSpec> {
    if let Some(rounds) = section.take("repeat") {
        let prefix = format!("{}.", section.label);
        let steps = section
            .require("steps")
            .map(|field| numbered(&field, &prefix));
        let rounds = rounds.draw(Unit::Count, 0, 1_000);
        section.finish();
        return Some(StepSpec::Repeat {
            rounds: rounds?,
            steps: steps?,
        });
    }
    let field = section.require("do")?;
    let name = field.string()?;
    let Some((name, has_target)) = ACTIONS.into_iter().find(|(action, _)| *action == name) else {
        let hint = suggest(&name, ACTIONS.map(|(action, _)| action));
        section.source.problem(
            field.place(),
            format!("{}: unknown action {name:?}{hint}", section.label),
        );
        return None;
    };
    let after = section.take("after");
    let background = section.take("background").and_then(|f| f.boolean());
    let mut spec = DoSpec {
        label: section.label.clone(),
        place: field.place(),
        phase: section
            .take("phase")
            .and_then(|field| phase(&field))
            .unwrap_or_default(),
        when: section
            .take("when")
            .and_then(|field| super::when::when(field.section())),
        after: Draw::Fixed(0),
        background: background.unwrap_or(false),
        target: None,
        bind: None,
        action: ActionSpec::Sleep,
    };
    match after {
        Some(after) => spec.after = after.draw(Unit::Time, 0, HOUR).unwrap_or(Draw::Fixed(0)),
        None if name == "sleep" => {
            section.problem(r#"field "after" is missing: how long to sleep"#)
        }
        None => {}
    }
    if has_target {
        spec.target = section.require("target").and_then(|field| {
            let choices = field.string_choices()?;
            Some(TargetSpec {
                place: field.place(),
                choices,
            })
        });
    }
    if has_target || name == "member_add" {
        spec.bind = section.take("as").and_then(|field| binding(&field));
    }
    let action = action(name, &mut section);
    section.finish();
    spec.action = action?;
    (spec.target.is_some() == has_target).then(|| StepSpec::Do(Box::new(spec)))
}

fn action(name: &str, section: &mut Section<'_>) -> Option<ActionSpec> {
    let boolean = |field: Option<Field<'_>>, default| match field {
        Some(field) => field.boolean().unwrap_or(default),
        None => default,
    };
    let string = |field: Option<Field<'_>>| field?.string();
    Some(match name {
        "defragment" => ActionSpec::Defragment,
        "kill" => ActionSpec::Kill,
        "terminate" => ActionSpec::Terminate,
        "pause" => ActionSpec::Pause,
        "resume" => ActionSpec::Resume,
        "restart" => ActionSpec::Restart {
            wait_ready: boolean(section.take("wait_ready"), true),
        },
        "cut" => ActionSpec::Cut(network::cut(section)?),
        "slow_link" => ActionSpec::SlowLink(network::slow_link(section)?),
        "drop_connections" => ActionSpec::DropConnections(network::ends(section)?),
        "heal_network" => ActionSpec::HealNetwork,
        "member_add" => ActionSpec::MemberAdd {
            learner: boolean(section.take("learner"), false),
        },
        "member_promote" => ActionSpec::MemberPromote,
        "member_remove" => ActionSpec::MemberRemove,
        "grant_permission" | "revoke_permission" => {
            let user = string(section.require("user"));
            let prefix = string(section.require("prefix"));
            let (user, prefix) = (user?, prefix?);
            match name {
                "grant_permission" => ActionSpec::GrantPermission { user, prefix },
                _ => ActionSpec::RevokePermission { user, prefix },
            }
        }
        "puts" => {
            let count = section.require("count");
            let prefix = string(section.require("prefix"));
            ActionSpec::Puts {
                count: count?.draw(Unit::Count, 1, 1_000_000)?,
                prefix: prefix?,
            }
        }
        "compact" => {
            let behind = section.take("behind");
            let physical = boolean(section.take("physical"), false);
            let behind = match behind {
                Some(behind) => behind.draw(Unit::Count, 0, 1_000_000)?,
                None => Draw::Fixed(0),
            };
            ActionSpec::Compact { behind, physical }
        }
        "wait_caught_up" => ActionSpec::WaitCaughtUp {
            timeout: match section.take("timeout") {
                Some(timeout) => timeout.draw(Unit::Time, MS, HOUR)?,
                None => Draw::Fixed(10 * SECOND),
            },
        },
        "arm" => ActionSpec::Arm(armed::arm(section)?),
        "disarm" | "release" => {
            let fault = string(section.require("fault"))?;
            match name {
                "disarm" => ActionSpec::Disarm { fault },
                _ => ActionSpec::Release { fault },
            }
        }
        "snapshot" => ActionSpec::Snapshot,
        "move_leader" => ActionSpec::MoveLeader,
        "alarm_raise" => ActionSpec::AlarmRaise,
        "alarm_clear" => ActionSpec::AlarmClear,
        "auth_disable" => ActionSpec::AuthDisable,
        "auth_enable" => ActionSpec::AuthEnable,
        "lease_churn" => {
            let count = section.require("count");
            let prefix = string(section.require("prefix"));
            ActionSpec::LeaseChurn {
                count: count?.draw(Unit::Count, 1, 10_000)?,
                prefix: prefix?,
            }
        }
        "power_cycle" => ActionSpec::PowerCycle {
            down: match section.take("down") {
                Some(down) => down.draw(Unit::Time, 0, HOUR)?,
                None => Draw::Fixed(100 * MS),
            },
        },
        "rolling_restart" => ActionSpec::RollingRestart,
        "swap" => ActionSpec::Swap {
            store: string(section.require("store"))?,
        },
        "gofail" => {
            let failpoint = string(section.require("failpoint"));
            let terms = string(section.require("terms"));
            ActionSpec::Gofail {
                failpoint: failpoint?,
                terms: terms?,
            }
        }
        "power_loss" => ActionSpec::PowerLoss {
            survival: disk::survivals(section.take("survival"))?,
        },
        "disk_fault" => ActionSpec::DiskFault(disk::fault(section)?),
        "disk_heal" => ActionSpec::DiskHeal,
        _ => ActionSpec::Sleep,
    })
}

fn phase(field: &Field<'_>) -> Option<StepPhase> {
    match field.string()?.as_str() {
        "setup" => Some(StepPhase::Setup),
        "traffic" => Some(StepPhase::Traffic),
        other => {
            let hint = suggest(other, ["setup", "traffic"]);
            field.problem(format!("unknown phase {other:?}{hint}"));
            None
        }
    }
}

fn binding(field: &Field<'_>) -> Option<String> {
    let name = field.string()?;
    let word = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if name.is_empty() || !word || is_member_name(&name) || RESERVED.contains(&name.as_str()) {
        field.problem(format!(
            "{name:?} cannot be bound; allowed: letters, digits, '_' and '-', but no member's name \
             and none of {}",
            RESERVED.join(", ")
        ));
        return None;
    }
    Some(name)
}
