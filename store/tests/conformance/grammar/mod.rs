//! From a seed to a sequence.

mod auth;
mod cluster;
mod dice;
mod kv;
mod lease;
mod watch;

use api::pb::etcdserverpb as pb;
use prost_reflect::ReflectMessage;

use crate::step::Step;
use crate::wire;
use dice::Dice;

/// What a sequence is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Keys,
    Leases,
    Watches,
    Auth,
    Maintenance,
    Members,
    Expiry,
}

pub(crate) struct Sequence {
    pub(crate) seed: u64,
    pub(crate) theme: Theme,
    pub(crate) steps: Vec<Step>,
}

impl Sequence {
    /// 8 to 40 requests.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let theme = dice.weighted(&[
            (440, Theme::Keys),
            (150, Theme::Leases),
            (130, Theme::Watches),
            (180, Theme::Auth),
            (80, Theme::Maintenance),
            (16, Theme::Members),
            (4, Theme::Expiry),
        ]);
        let length = usize::try_from(dice.between(8, 40)).unwrap_or(8);
        let mut steps = Vec::new();
        match theme {
            Theme::Auth if !dice.one_in(8) => steps.extend(auth::set_up(&mut dice)),
            Theme::Expiry => steps.extend(lease::expiry(&mut dice)),
            _ => {}
        }
        if theme != Theme::Expiry && dice.one_in(2) {
            steps.extend(lease::set_up());
        }
        while steps.len() < length {
            let dice = &mut dice;
            match theme {
                Theme::Keys | Theme::Expiry => steps.push(kv::step(dice)),
                Theme::Leases if dice.one_in(2) => steps.push(lease::step(dice)),
                Theme::Leases => steps.push(kv::step(dice)),
                Theme::Watches => steps.extend(watch::steps(dice)),
                Theme::Auth => steps.push(auth::step(dice)),
                Theme::Maintenance if dice.one_in(3) => steps.push(cluster::step(dice)),
                Theme::Maintenance => steps.push(kv::step(dice)),
                Theme::Members => steps.push(cluster::member_step(dice)),
            }
        }
        calm_alarms(theme, &mut steps);
        if watched(&steps) {
            steps = settled_before_compactions(steps);
            steps.push(Step::Settle);
        } else {
            steps.retain(|step| *step != Step::Settle);
        }
        Self { seed, theme, steps }
    }
}

fn watched(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Watch { .. }))
}

/// While an alarm is raised, and until it is started again, etcd checks no permissions when it
/// applies; and of two kinds of alarms it heeds the last.
fn calm_alarms(theme: Theme, steps: &mut Vec<Step>) {
    let mut kind = 0;
    for step in steps
        .iter_mut()
        .filter(|step| step.name() == "Maintenance/Alarm")
    {
        let Some(request) = step.request_mut() else {
            continue;
        };
        let mut alarm: pb::AlarmRequest = wire::typed(request);
        if alarm.alarm != 0 {
            kind = if kind == 0 { alarm.alarm } else { kind };
            alarm.alarm = kind;
        }
        *request = wire::dynamic(request.descriptor(), &alarm);
    }
    if theme == Theme::Auth {
        steps.retain(|step| step.name() != "Maintenance/Alarm");
    }
}

/// What a watch that is behind delivers of a past that is compacted meanwhile is a matter of time.
fn settled_before_compactions(steps: Vec<Step>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for step in steps {
        if step.name() == "KV/Compact" && watched(&out) {
            out.push(Step::Settle);
        }
        out.push(step);
    }
    out
}

#[test]
fn a_seed_is_a_sequence() {
    let lines = |seed| {
        let sequence = Sequence::draw(seed);
        sequence
            .steps
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    for seed in 0..200 {
        assert_eq!(lines(seed), lines(seed));
        assert!((8..=90).contains(&lines(seed).len()), "seed {seed}");
    }
    assert_ne!(lines(1), lines(2));
}
