//! The built-in scenarios.

use std::ops::RangeInclusive;

use scenarios::plan::{Action, ExpectedVerdict, Plan, WatchStart};
use scenarios::{Overrides, Scenario, find, library, plan};

fn plans(name: &str) -> impl Iterator<Item = Plan> {
    let scenario = find(name).unwrap();
    (0..200).map(move |seed| plan(&scenario, seed, &Overrides::default()).unwrap())
}

/// Checks the names of the actions, and the wait before each in milliseconds.
#[track_caller]
fn steps(plan: &Plan, expected: &[(&str, RangeInclusive<u64>)]) {
    let names: Vec<_> = plan.steps.iter().map(|step| step.action.name()).collect();
    let wanted: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, wanted);
    for (step, (name, after_ms)) in plan.steps.iter().zip(expected) {
        let after_us = after_ms.start() * 1000..=after_ms.end() * 1000;
        assert!(
            after_us.contains(&step.after_us),
            "{name}: {} us",
            step.after_us
        );
    }
}

#[test]
fn every_plan_can_be_written_and_read() {
    for scenario in library() {
        for plan in plans(&scenario.name) {
            let text = plan.to_toml();
            assert_eq!(Plan::from_toml("plan.toml", &text).unwrap(), plan);
        }
    }
}

#[test]
fn every_scenario_is_documented_and_expects_something_of_every_version() {
    for scenario in library() {
        assert!(
            !scenario.title.is_empty() && scenario.about.len() > 200,
            "{}",
            scenario.name
        );
        assert_eq!(
            scenario.file,
            format!("scenarios/library/{}.toml", scenario.name)
        );
        for version in ["3.4.23", "3.5.0", "3.5.16", "3.6.0-rc.1", "3.6.4"] {
            let version = version.parse().unwrap();
            assert!(
                scenario.expectation(&version).is_some(),
                "{}: {version}",
                scenario.name
            );
        }
    }
}

#[test]
fn steady_has_no_faults() {
    for plan in plans("steady") {
        assert!(plan.steps.is_empty());
        assert!((2_000..=3_000).contains(&plan.traffic.time_ms));
        assert!((6..=12).contains(&plan.traffic.clients.len()));
        assert_eq!(plan.traffic.profile.name, "default");
    }
}

#[test]
fn random_kills_restarts_whom_it_killed() {
    let mut kinds = [0; 3];
    for plan in plans("random-kills") {
        let rounds = plan.steps.len() / 2;
        assert!((2..=4).contains(&rounds));
        for round in plan.steps.chunks_exact(2) {
            let (
                Action::Kill { target: killed },
                Action::Restart {
                    target,
                    wait_ready: true,
                },
            ) = (&round[0].action, &round[1].action)
            else {
                panic!("{round:?}");
            };
            assert_eq!(killed, target);
            kinds[match killed {
                scenarios::plan::Target::Member(_) => 0,
                scenarios::plan::Target::AllBut(_) => 1,
                _ => 2,
            }] += 1;
        }
        assert_eq!(plan.steps.last().unwrap().action, Action::Sleep);
    }
    assert!(
        kinds[0] > 300 && kinds[1] > 50 && kinds[2] > 50,
        "{kinds:?}"
    );
}

#[test]
fn defrag_crash_is_short_and_kills_whom_it_defragments() {
    for plan in plans("defrag-crash") {
        steps(
            &plan,
            &[
                ("defragment", 400..=900),
                ("kill", 0..=20),
                ("restart", 100..=300),
                ("defragment", 300..=600),
                ("kill", 0..=20),
                ("restart", 100..=300),
                ("sleep", 500..=700),
            ],
        );
        for (round, background) in plan.steps.chunks_exact(3).zip([true, false]) {
            assert_eq!(round[0].background, background);
            let Action::Defragment { target } = &round[0].action else {
                panic!("{round:?}");
            };
            let target = target.clone();
            assert_eq!(round[1].action, Action::Kill { target });
        }
        assert!((2_000..=2_500).contains(&plan.traffic.time_ms));
        assert!((9..=12).contains(&plan.traffic.clients.len()));
        assert_eq!(plan.cluster.snapshot_count, 100_000);
    }
}

#[test]
fn auth_member_add_gives_the_new_member_clients() {
    for plan in plans("auth-member-add") {
        steps(
            &plan,
            &[
                ("member_add", 500..=1000),
                ("wait_caught_up", 0..=0),
                ("sleep", 700..=1200),
            ],
        );
        assert!((50..=100).contains(&plan.cluster.snapshot_count));
        assert!(u64::from(plan.traffic.preload_keys) > plan.cluster.snapshot_count);
        let of = |member: &str| {
            let clients = plan
                .traffic
                .clients
                .iter()
                .filter(|client| client.member == member);
            clients
                .map(|client| client.user.clone().unwrap())
                .collect::<Vec<_>>()
        };
        for member in ["m1", "m2", "m3", "m4"] {
            assert_eq!(of(member), ["alice", "bob"]);
        }
    }
}

#[test]
fn auth_stale_permissions_follows_the_recipe() {
    for plan in plans("auth-stale-permissions") {
        steps(
            &plan,
            &[
                ("cut", 500..=800),
                ("grant_permission", 100..=200),
                ("puts", 0..=0),
                ("kill", 0..=50),
                ("restart", 50..=150),
                ("puts", 0..=0),
                ("heal_network", 0..=50),
                ("wait_caught_up", 0..=0),
                ("sleep", 700..=1000),
            ],
        );
        assert!(plan.cluster.peer_proxies);
        assert!((18..=24).contains(&plan.cluster.snapshot_count));
    }
}

#[test]
fn expectations_follow_the_changelogs() {
    let violated = |scenario: &Scenario, version: &str| {
        let row = scenario.expectation(&version.parse().unwrap()).unwrap();
        row.verdict == ExpectedVerdict::Violated
    };
    let broken = |name: &str, versions: &[&str], fine: &[&str]| {
        let scenario = find(name).unwrap();
        for version in versions {
            assert!(violated(&scenario, version), "{name} on {version}");
        }
        for version in fine {
            assert!(!violated(&scenario, version), "{name} on {version}");
        }
    };
    broken("steady", &[], &["3.4.23", "3.5.0", "3.5.1", "3.5.16"]);
    broken("random-kills", &[], &["3.4.23", "3.5.0", "3.5.1", "3.5.16"]);
    broken("partitions", &[], &["3.4.23", "3.5.0", "3.5.1", "3.5.16"]);
    broken("endurance", &[], &["3.4.23", "3.5.0", "3.5.1", "3.5.16"]);
    broken("list-append", &[], &["3.4.23", "3.5.0", "3.5.1", "3.5.16"]);
    broken(
        "defrag-crash",
        &["3.5.0", "3.5.1", "3.5.5"],
        &["3.4.23", "3.5.6", "3.5.16"],
    );
    broken(
        "auth-member-add",
        &[
            "3.4.18", "3.4.20", "3.4.21", "3.5.0", "3.5.1", "3.5.4", "3.5.5",
        ],
        &["3.4.19", "3.4.22", "3.4.23", "3.5.6", "3.5.16"],
    );
    broken(
        "auth-stale-permissions",
        &["3.4.21", "3.5.0", "3.5.1", "3.5.4", "3.5.5"],
        &["3.4.22", "3.4.23", "3.5.6", "3.5.16"],
    );
    broken(
        "auth-txn-read",
        &["3.4.23", "3.5.1", "3.5.16", "3.6.0"],
        &["3.7.0"],
    );
    broken(
        "watch-progress",
        &["3.4.23", "3.4.24", "3.5.0", "3.5.1", "3.5.7"],
        &["3.4.25", "3.5.8", "3.5.16"],
    );
    broken(
        "watch-snapshot",
        &["3.4.23", "3.4.37", "3.5.0", "3.5.1", "3.5.16", "3.5.21"],
        &["3.4.38", "3.5.22", "3.6.2"],
    );
    broken(
        "watch-slow",
        &["3.4.23", "3.4.30", "3.5.0", "3.5.1", "3.5.12"],
        &["3.4.31", "3.5.13", "3.5.16"],
    );
    broken(
        "watch-tombstone",
        &["3.4.23", "3.4.33", "3.5.0", "3.5.1", "3.5.15"],
        &["3.4.34", "3.5.16"],
    );
}

#[test]
fn every_member_has_the_watchers_of_the_file_or_else_of_the_profile() {
    for plan in plans("watch-snapshot") {
        for member in ["m1", "m2", "m3"] {
            let of = |start| {
                let own = plan.traffic.watchers.iter().filter(|w| w.member == member);
                own.filter(|watcher| watcher.starts.contains(&start))
                    .count()
            };
            assert_eq!((of(WatchStart::Past), of(WatchStart::Future)), (3, 6));
        }
        let clients = plan.traffic.clients.iter().map(|client| client.id);
        let mut ids: Vec<_> = clients.collect();
        ids.extend(plan.traffic.watchers.iter().map(|watcher| watcher.id));
        assert_eq!(ids, (1..=ids.len() as u32).collect::<Vec<_>>());
    }
    for plan in plans("watch-slow") {
        for watcher in &plan.traffic.watchers {
            assert!((5_000..=6_000).contains(&watcher.slow_ms));
            assert!((200..=600).contains(&watcher.pause_ms));
        }
    }
    assert!(plans("watch-tombstone").all(|plan| plan.traffic.watchers.is_empty()));
    let text = "name = \"w\"\ntitle = \"W\"\n[traffic]\nprofile = \"watches\"\n";
    let scenario = Scenario::parse("w.toml", text).unwrap();
    let plan = plan(&scenario, 1, &Overrides::default()).unwrap();
    assert_eq!(plan.traffic.watchers.len(), 12);
    assert_eq!(Plan::from_toml("plan.toml", &plan.to_toml()).unwrap(), plan);
}

#[test]
fn a_file_is_found_by_its_path() {
    let scenario = find(concat!(env!("CARGO_MANIFEST_DIR"), "/library/steady.toml")).unwrap();
    assert_eq!(scenario.name, "steady");
}
