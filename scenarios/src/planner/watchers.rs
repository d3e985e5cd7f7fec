//! Watchers: so many a member, each with draws of its own.

use super::Log;
use crate::draw::Draw;
use crate::plan::{WatchOf, WatchStart, WatcherPlan};
use crate::scenario::{TrafficSpec, WatchersSpec};
use crate::stream::Stream;

const MS: u64 = 1_000;

/// The plan of a scenario's watchers. They are numbered after the clients.
pub(super) fn watchers(
    spec: &TrafficSpec,
    seed: u64,
    members: u32,
    clients: u32,
    log: &mut Log<'_>,
) -> Vec<WatcherPlan> {
    let groups = match (&spec.watchers, spec.profile) {
        (Some(groups), _) => groups.clone(),
        (None, "watches") => usual_groups(),
        (None, _) => Vec::new(),
    };
    let mut plans = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let each = log.count(format!("traffic.watchers.{}", number + 1), &group.each);
        for member in 1..=members {
            for _ in 0..each {
                let id = clients + plans.len() as u32 + 1;
                let seed = Stream::new(seed, &format!("watcher/{id}")).bits();
                let mut millis = |draw: &Draw| draw.draw(&mut log.stream) / MS;
                let slow_ms = millis(&group.slow);
                plans.push(WatcherPlan {
                    id,
                    member: format!("m{member}"),
                    seed: seed.to_string(),
                    lives_ms: millis(&group.lives),
                    of: group.of.clone(),
                    starts: group.starts.clone(),
                    progress_ms: millis(&group.progress),
                    slow_ms,
                    pause_ms: if slow_ms > 0 { millis(&group.pause) } else { 0 },
                    past: group.past.draw(&mut log.stream) as u32,
                    future: group.future.draw(&mut log.stream) as u32,
                });
            }
        }
    }
    plans
}

/// The watchers of the profile `watches`: of everything at any start, some that ask for progress
/// often, one that lives as long as traffic, and one that is slow to read.
fn usual_groups() -> Vec<WatchersSpec> {
    let any = WatchersSpec {
        each: Draw::Fixed(2),
        lives: Draw::Range(200 * MS, 800 * MS),
        of: WatchOf::NAMED.map(|(_, of)| of).to_vec(),
        starts: WatchStart::NAMED.map(|(_, start)| start).to_vec(),
        past: Draw::Fixed(100),
        future: Draw::Fixed(50),
        progress: Draw::Range(20 * MS, 500 * MS),
        slow: Draw::Fixed(0),
        pause: Draw::Fixed(0),
    };
    let whole = WatchersSpec {
        each: Draw::Fixed(1),
        lives: Draw::Fixed(0),
        starts: vec![WatchStart::Past, WatchStart::Now],
        ..any.clone()
    };
    let slow = WatchersSpec {
        each: Draw::Fixed(1),
        lives: Draw::Range(1_000 * MS, 2_000 * MS),
        of: vec![WatchOf::Prefix, WatchOf::All],
        slow: Draw::Range(500 * MS, 1_500 * MS),
        pause: Draw::Range(50 * MS, 300 * MS),
        ..any.clone()
    };
    vec![any, whole, slow]
}
