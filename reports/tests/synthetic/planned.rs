//! The plan of the made-up runs.

use scenarios::plan::{
    Action, ClientPlan, ClusterPlan, Expectation, ExpectedVerdict, PLAN_MAJOR, PLAN_MINOR, Plan,
    Profile, SEED_SCHEME, Step, StepPhase, StorePin, Target, TrafficPlan,
};

use super::{Shape, member_of};

pub fn plan(shape: Shape) -> Plan {
    let version = if shape.broken { "3.5.1" } else { "3.5.16" };
    let m2 = || Target::Member("m2".into());
    let step = |after_ms: u64, background, action| Step {
        phase: StepPhase::Traffic,
        when: None,
        after_us: after_ms * 1_000,
        background,
        action,
    };
    let drawn = [
        ("target", "m2"),
        ("kill after", "62 ms into the defragmentation"),
        ("down for", "850 ms"),
        ("paused for", "420 ms"),
        ("preload", "48 MiB in 12 000 keys"),
    ];
    let client = |id| ClientPlan {
        id,
        member: member_of(id),
        seed: (u64::from(id) * 7_919).to_string(),
        user: None,
        rate: 0,
    };
    Plan {
        major: PLAN_MAJOR,
        minor: PLAN_MINOR,
        build: "gauntlet 0.1.0".into(),
        scenario: "defrag-crash".into(),
        title: "a member killed while it defragments comes back with entries applied twice".into(),
        issue: "https://github.com/etcd-io/etcd/issues/14685".into(),
        seed: "4711".into(),
        seed_scheme: SEED_SCHEME.into(),
        store: StorePin {
            spec: format!("etcd:{version}"),
            version: version.into(),
            sha256: "5a3c1f0e9b7d4c62a8e0f1d2c3b4a5968778695a4b3c2d1e0f9e8d7c6b5a4938".into(),
            ..StorePin::default()
        },
        drawn: drawn
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        cluster: ClusterPlan {
            members: 3,
            tls: false,
            peer_proxies: false,
            client_proxies: false,
            network: scenarios::plan::Network::Proxies,
            disk: None,
            heartbeat_ms: 100,
            election_ms: 1_000,
            snapshot_count: 100_000,
            flags: vec!["--max-wals=0".into(), "--max-snapshots=0".into()],
            env: Vec::new(),
        },
        auth: None,
        planted: None,
        swaps: Vec::new(),
        traffic: TrafficPlan {
            watchers: Vec::new(),
            time_ms: 8_000,
            request_timeout_ms: 2_000,
            preload_keys: 12_000,
            value_bytes: u32::try_from(shape.padding).unwrap(),
            profile: Profile::default(),
            clients: (1..=shape.clients).map(client).collect(),
        },
        steps: vec![
            step(4_300, true, Action::Defragment { target: m2() }),
            step(62, false, Action::Kill { target: m2() }),
            step(
                850,
                false,
                Action::Restart {
                    target: m2(),
                    wait_ready: true,
                },
            ),
            step(1_190, false, Action::Pause { target: m2() }),
            step(420, false, Action::Resume { target: m2() }),
        ],
        expect: vec![
            Expectation {
                versions: ">=3.5.0, <3.5.6".into(),
                bug: vec![],
                verdict: ExpectedVerdict::Violated,
                guarantees: vec!["linearizable".into(), "converges".into()],
                because:
                    "the consistent index is not saved before a defragmentation commits (#14685)"
                        .into(),
            },
            Expectation {
                versions: "*".into(),
                bug: vec![],
                verdict: ExpectedVerdict::Holds,
                guarantees: vec![],
                because: String::new(),
            },
        ],
    }
}
