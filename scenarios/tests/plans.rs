//! Seeds to plans, and plans to text and back.

use scenarios::plan::{Action, Clients, How, Plan, SEED_SCHEME, Shape};
use scenarios::{Overrides, Scenario, find, plan};

fn everything() -> Scenario {
    let text = include_str!("seeds/everything.toml");
    Scenario::parse("everything.toml", text).unwrap()
}

fn drawn(scenario: &Scenario, seed: u64) -> Plan {
    plan(scenario, seed, &Overrides::default()).unwrap()
}

/// Guards the meaning of seeds. If this fails and neither the scenario beside the expected plan nor
/// the format of plans was changed on purpose, a draw has changed: every seed now means another
/// plan, so give `SEED_SCHEME` a new name and only then take the new text over.
#[test]
fn the_plan_of_seed_42_is_what_it_always_was() {
    let mut plan = drawn(&everything(), 42);
    plan.build = "any".into();
    let text = plan.to_toml();
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/everything-42.plan.toml");
    std::fs::write(path, &text).unwrap();
    let expected = include_str!("seeds/everything-42.plan.toml");
    assert!(text == expected, "the plan differs; it is now in {path}");
    assert_eq!(SEED_SCHEME, "chacha20-named-streams-1");
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
    let scenario = everything();
    for seed in [0, 1, 42, u64::MAX] {
        let text = drawn(&scenario, seed).to_toml();
        assert_eq!(text, drawn(&scenario, seed).to_toml());
        assert_ne!(text, drawn(&scenario, seed.wrapping_add(1)).to_toml());
    }
}

#[test]
fn plans_survive_being_written_and_read() {
    let scenario = everything();
    for seed in 0..100 {
        let plan = drawn(&scenario, seed);
        let text = plan.to_toml();
        let read = Plan::from_toml("plan.toml", &text).unwrap();
        assert_eq!(read, plan);
        assert_eq!(read.to_toml(), text);
    }
}

#[test]
fn one_component_does_not_move_another() {
    let text = include_str!("seeds/everything.toml");
    let fewer = text.replace("value_bytes = \"0..100\"\n", "value_bytes = 7\n");
    let (before, after) = (everything(), Scenario::parse("fewer.toml", &fewer).unwrap());
    for seed in 0..20 {
        let (before, after) = (drawn(&before, seed), drawn(&after, seed));
        assert_eq!(before.cluster, after.cluster);
        assert_eq!(before.steps, after.steps);
        let first = |plan: &Plan| plan.traffic.clients[0].seed.clone();
        assert_eq!(first(&before), first(&after));
    }
}

#[test]
fn overrides_leave_the_other_draws_alone() {
    let scenario = find("defrag-crash").unwrap();
    let overrides = Overrides {
        time_ms: Some(9_000),
        tls: Some(true),
        etcd_args: vec!["--pre-vote=false".into()],
        set: vec![
            ("cluster.snapshot_count".into(), "50".into()),
            ("traffic.clients.*.rate".into(), "20".into()),
            ("traffic.profile.weights.put".into(), "99".into()),
            ("steps.2.after_us".into(), "1234".into()),
        ],
        ..Overrides::default()
    };
    let before = drawn(&scenario, 7);
    let after = plan(&scenario, 7, &overrides).unwrap();
    assert_eq!(after.traffic.time_ms, 9_000);
    assert!(after.cluster.tls);
    assert_eq!(after.cluster.flags.last().unwrap(), "--pre-vote=false");
    assert_eq!(after.cluster.flags.len(), before.cluster.flags.len() + 1);
    assert_eq!(after.cluster.snapshot_count, 50);
    assert!(after.traffic.clients.iter().all(|client| client.rate == 20));
    assert_eq!(after.traffic.profile.weights.put, 99);
    assert_eq!(after.steps[1].after_us, 1234);
    assert_eq!(after.steps[0], before.steps[0]);
    assert_eq!(after.traffic.value_bytes, before.traffic.value_bytes);
    let time: Vec<_> = after
        .drawn
        .iter()
        .filter(|(name, _)| name == "traffic.time_ms")
        .collect();
    assert_eq!(
        time,
        [&("traffic.time_ms".to_string(), "9000 (given)".to_string())]
    );
}

#[track_caller]
fn set_refused(path: &str, value: &str, expected: &str) {
    let scenario = find("defrag-crash").unwrap();
    let set = vec![(path.into(), value.into())];
    let overrides = Overrides {
        set,
        ..Overrides::default()
    };
    let error = plan(&scenario, 7, &overrides).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn overrides_that_do_not_fit_are_refused() {
    set_refused(
        "cluster.snapshot_cout",
        "50",
        "--set cluster.snapshot_cout=50: unknown field \"snapshot_cout\"; did you mean \
         \"snapshot_count\"? Allowed: client_proxies, election_ms, env, flags, heartbeat_ms, \
         members, network, peer_proxies, snapshot_count, tls",
    );
    set_refused(
        "cluster.snapshot_count",
        "many",
        "--set cluster.snapshot_count=many: this must be of type integer, as it is now: 100000",
    );
    set_refused(
        "steps.8.after_us",
        "1",
        "--set steps.8.after_us=1: \"8\" is not in steps; allowed: 1 to 7, or *",
    );
    set_refused(
        "seed",
        "3",
        "--set seed=3: \"seed\" says what the plan is and cannot be set",
    );
    set_refused(
        "steps.1.action.target",
        "{ member = \"m9\" }",
        "plan: step 1 (defragment): m9 is not a member by then",
    );
    set_refused(
        "traffic.clients.1.user",
        "bob",
        "plan: traffic: user \"bob\" needs auth; add [auth] with users",
    );
}

#[test]
fn members_can_be_overridden_where_the_scenario_allows() {
    let members = |name, members| {
        let overrides = Overrides {
            members: Some(members),
            ..Overrides::default()
        };
        plan(&find(name).unwrap(), 7, &overrides)
    };
    let five = members("steady", 5).unwrap();
    assert_eq!(five.cluster.members, 5);
    assert!(
        five.traffic
            .clients
            .iter()
            .any(|client| client.member == "m5")
    );
    assert_eq!(
        members("steady", 2).unwrap_err().to_string(),
        "--members: 2 members; allowed: 1, 3, 5"
    );
    assert_eq!(
        members("auth-stale-permissions", 1)
            .unwrap_err()
            .to_string(),
        "plan: step 4 (kill): all but stale@1 is nobody in a cluster of one\n\
         plan: step 5 (restart): all but stale@1 is nobody in a cluster of one"
    );
}

#[test]
fn a_plan_of_a_newer_major_version_is_refused() {
    let text = drawn(&everything(), 1)
        .to_toml()
        .replace("\nmajor = 1\n", "\nmajor = 2\n");
    assert_eq!(
        Plan::from_toml("plan.toml", &text).unwrap_err().to_string(),
        "plan.toml:2:9: this plan has format version 2.4; this build reads versions up to 1.x"
    );
}

#[test]
fn fields_of_a_newer_minor_version_are_ignored() {
    let plan = drawn(&everything(), 1);
    let text = plan
        .to_toml()
        .replace("\n[store]\n", "\n[store]\nnew = 1\n");
    assert_eq!(Plan::from_toml("plan.toml", &text).unwrap(), plan);
}

#[test]
fn errors_in_plans_have_a_line() {
    let text = drawn(&everything(), 42).to_toml();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        Plan::from_toml("plan.toml", &text.replace(from, to))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("preload_keys = 20", "preload_keys = \"many\""),
        "plan.toml:147:16: invalid type: string \"many\", expected u32"
    );
    assert_eq!(
        refused("\n[store]\n", "\n[store\n"),
        "plan.toml:121:7: unclosed table, expected `]`"
    );
    let unknown = refused("do = \"defragment\"", "do = \"defrag\"");
    assert!(
        unknown.starts_with("plan.toml:63:58: unknown variant `defrag`, expected"),
        "{unknown}"
    );
    assert_eq!(
        refused("do = \"pause\"", "do = \"cut\""),
        "plan: step 7 (resume): no earlier step pauses all but m2\n\
         plan: step 9 (resume): no earlier step pauses all but m2\n\
         plan: step 13 (resume): no earlier step pauses m2\n\
         plan: step 15 (resume): no earlier step pauses m2"
    );
}

#[test]
fn a_cut_that_says_no_more_is_what_it_always_was() {
    let old = include_str!("seeds/format-1.2.plan.toml");
    let plan = Plan::from_toml("plan.toml", old).unwrap();
    assert!(!plan.cluster.client_proxies);
    let cuts = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Cut {
            how,
            shape,
            to,
            clients,
            ..
        } => Some((*how, *shape, to.is_none(), *clients)),
        _ => None,
    });
    let plain = (How::Reset, Shape::Isolate, true, Clients::Spared);
    assert_eq!(cuts.collect::<Vec<_>>(), [plain]);
    let cut = old.lines().find(|line| line.contains("do = \"cut\""));
    assert!(plan.to_toml().contains(cut.unwrap()));
}
