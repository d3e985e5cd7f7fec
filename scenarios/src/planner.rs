//! Scenario and seed to plan.

mod steps;
mod watchers;

use crate::Overrides;
use crate::check::{self, At, Flaw};
use crate::draw::Draw;
use crate::error::Error;
use crate::overrides;
use crate::plan::{
    AuthPlan, ClientPlan, ClusterPlan, PLAN_MAJOR, PLAN_MINOR, Plan, Profile, SEED_SCHEME,
    StorePin, TrafficPlan,
};
use crate::profile;
use crate::scenario::{DoSpec, Place, Scenario};
use crate::stream::Stream;
use steps::Steps;

/// Heartbeat interval and election timeout in milliseconds, for scenarios that state none.
const TIMINGS: [(u64, u64); 3] = [(100, 1000), (50, 500), (30, 300)];

/// Draws the plan of a scenario: the same seed and overrides give the same plan, byte for byte.
///
/// # Errors
///
/// [`Error::Set`] where an override does not fit, [`Error::Plan`] where the plan cannot be run with
/// the overrides (a scenario alone was checked when it was read).
pub fn plan(scenario: &Scenario, seed: u64, overrides: &Overrides) -> Result<Plan, Error> {
    if let Some(members) = overrides.members {
        check::members(members)
            .map_err(|message| Error::Plan(vec![format!("--members: {message}")]))?;
    }
    let draft = draft(scenario, seed, overrides);
    if !draft.flaws.is_empty() {
        return Err(check::refuse(&draft.plan, &draft.flaws));
    }
    let plan = overrides::apply(draft.plan, overrides)?;
    plan.check()?;
    Ok(plan)
}

/// A plan not yet checked, and what could not be drawn.
pub(crate) struct Draft<'s> {
    pub(crate) plan: Plan,
    pub(crate) flaws: Vec<Flaw>,
    /// The step of the file that each step of the plan comes from.
    origins: Vec<&'s DoSpec>,
}

impl Draft<'_> {
    /// Everything wrong with the plan, at its place in the scenario's file.
    pub(crate) fn flaws_in_file(&self, scenario: &Scenario) -> Vec<(Place, String)> {
        let flaws = match self.flaws.is_empty() {
            true => check::flaws(&self.plan),
            false => self.flaws.clone(),
        };
        let placed = flaws.into_iter().map(|flaw| {
            let (place, label) = match flaw.at {
                At::Cluster => (scenario.cluster.place.clone(), "cluster"),
                At::Traffic => (scenario.traffic.place.clone(), "traffic"),
                At::Auth => match &scenario.auth {
                    Some(auth) => (auth.place.clone(), "auth"),
                    None => (0..0, "auth"),
                },
                At::Expect(_) => (0..0, "expect"),
                At::Step(index) => {
                    let origin = self.origins[index];
                    (origin.place.clone(), origin.label.as_str())
                }
                At::Target(index) => {
                    let origin = self.origins[index];
                    let place = origin.target.as_ref().map_or(&origin.place, |t| &t.place);
                    (place.clone(), origin.label.as_str())
                }
            };
            (place, format!("{label}: {}", flaw.message))
        });
        placed.collect()
    }
}

pub(crate) fn draft<'s>(scenario: &'s Scenario, seed: u64, overrides: &Overrides) -> Draft<'s> {
    let mut drawn = Vec::new();
    let cluster = cluster(
        scenario,
        overrides,
        &mut Log::new(seed, "cluster", &mut drawn),
    );
    let log = Log::new(seed, "steps", &mut drawn);
    let mut steps = Steps::new(log, cluster.members);
    steps.all(&scenario.steps);
    let Steps {
        added,
        steps,
        origins,
        flaws,
        ..
    } = steps;
    let members = cluster.members + added;
    let log = &mut Log::new(seed, "traffic", &mut drawn);
    let mut traffic = traffic(scenario, seed, members, overrides, log);
    let log = &mut Log::new(seed, "watchers", &mut drawn);
    let clients = traffic.clients.len() as u32;
    traffic.watchers = watchers::watchers(&scenario.traffic, seed, members, clients, log);
    let plan = Plan {
        major: PLAN_MAJOR,
        minor: PLAN_MINOR,
        build: concat!("gauntlet ", env!("CARGO_PKG_VERSION")).into(),
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        issue: scenario.issue.clone(),
        seed: seed.to_string(),
        seed_scheme: SEED_SCHEME.into(),
        store: StorePin::default(),
        drawn,
        cluster,
        auth: scenario.auth.as_ref().map(|auth| AuthPlan {
            users: auth.users.clone(),
        }),
        traffic,
        planted: None,
        swaps: Vec::new(),
        steps,
        expect: scenario.expect.clone(),
    };
    Draft {
        plan,
        flaws,
        origins,
    }
}

/// Draws from one stream, and notes down what was not fixed.
struct Log<'d> {
    stream: Stream,
    drawn: &'d mut Vec<(String, String)>,
}

impl<'d> Log<'d> {
    fn new(seed: u64, stream: &str, drawn: &'d mut Vec<(String, String)>) -> Self {
        Self {
            stream: Stream::new(seed, stream),
            drawn,
        }
    }

    fn count(&mut self, path: impl Into<String>, draw: &Draw) -> u64 {
        self.scaled(path, draw, 1)
    }

    fn millis(&mut self, path: impl Into<String>, draw: &Draw) -> u64 {
        self.scaled(path, draw, 1_000)
    }

    fn scaled(&mut self, path: impl Into<String>, draw: &Draw, divisor: u64) -> u64 {
        let value = draw.draw(&mut self.stream) / divisor;
        if !draw.is_fixed() {
            self.note(path, value.to_string());
        }
        value
    }

    fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        match choices {
            [only] => only,
            _ => &choices[self.stream.below(choices.len() as u64) as usize],
        }
    }

    fn note(&mut self, path: impl Into<String>, value: impl Into<String>) {
        self.drawn.push((path.into(), value.into()));
    }
}

fn cluster(scenario: &Scenario, overrides: &Overrides, log: &mut Log<'_>) -> ClusterPlan {
    let spec = &scenario.cluster;
    let members = log.count("cluster.members", &spec.members) as u32;
    let snapshot_count = log.count("cluster.snapshot_count", &spec.snapshot_count);
    let (heartbeat_ms, election_ms) = match &spec.timing {
        Some((heartbeat, election)) => (
            log.millis("cluster.heartbeat_ms", heartbeat),
            log.millis("cluster.election_ms", election),
        ),
        None => {
            let (heartbeat, election) = *log.pick(&TIMINGS);
            log.note("cluster.heartbeat_ms", heartbeat.to_string());
            log.note("cluster.election_ms", election.to_string());
            (heartbeat, election)
        }
    };
    let mut flags = Vec::new();
    for choices in &spec.flags {
        let flag = log.pick(choices).clone();
        if choices.len() > 1 {
            log.note(
                "cluster.flags",
                if flag.is_empty() { "none" } else { &flag },
            );
        }
        flags.extend((!flag.is_empty()).then_some(flag));
    }
    ClusterPlan {
        members: overrides.members.unwrap_or(members),
        tls: spec.tls,
        peer_proxies: spec.peer_proxies,
        client_proxies: spec.client_proxies,
        network: spec.network,
        disk: spec.disk,
        heartbeat_ms,
        election_ms,
        snapshot_count,
        flags,
        env: spec.env.clone(),
    }
}

fn traffic(
    scenario: &Scenario,
    seed: u64,
    members: u32,
    overrides: &Overrides,
    log: &mut Log<'_>,
) -> TrafficPlan {
    let spec = &scenario.traffic;
    let time_ms = log.millis("traffic.time_ms", &spec.time);
    let request_timeout_ms = log.millis("traffic.request_timeout_ms", &spec.request_timeout);
    let clients_a_member = log.count("traffic.clients_a_member", &spec.clients);
    let rate = log.count("traffic.clients.*.rate", &spec.rate) as u32;
    let preload_keys = log.count("traffic.preload_keys", &spec.preload) as u32;
    let value_bytes = log.count("traffic.value_bytes", &spec.value_bytes) as u32;
    let profile = profile_of(scenario, log);

    let mut users: Vec<&str> = spec.users.iter().map(String::as_str).collect();
    if let (Some(auth), true) = (&scenario.auth, users.is_empty()) {
        users = auth.users.iter().map(|user| user.name.as_str()).collect();
    }
    let mut clients = Vec::new();
    for member in 1..=members {
        for c in 0..clients_a_member as usize {
            let id = clients.len() as u32 + 1;
            let seed = Stream::new(seed, &format!("client/{id}")).bits();
            clients.push(ClientPlan {
                id,
                member: format!("m{member}"),
                seed: seed.to_string(),
                user: users.get(c % users.len().max(1)).map(ToString::to_string),
                rate,
            });
        }
    }
    TrafficPlan {
        time_ms: overrides.time_ms.unwrap_or(time_ms),
        request_timeout_ms,
        preload_keys,
        value_bytes,
        profile,
        clients,
        watchers: Vec::new(),
    }
}

fn profile_of(scenario: &Scenario, log: &mut Log<'_>) -> Profile {
    let spec = &scenario.traffic;
    let mut profile = profile::profile(spec.profile).unwrap_or_default();
    if let Some(prefixes) = &spec.prefixes {
        profile.prefixes.clone_from(prefixes);
    }
    let path = |name: &str| format!("traffic.profile.{name}");
    if let Some(keys) = &spec.keys {
        profile.keys = log.count(path("keys"), keys) as u32;
    }
    if let Some(ttl) = &spec.lease_ttl {
        profile.lease_ttl_s = log.scaled(path("lease_ttl_s"), ttl, 1_000_000) as i64;
    }
    if let Some(watch) = &spec.watch {
        profile.watch_ms = log.millis(path("watch_ms"), watch);
    }
    if let Some(watches) = &spec.watches_max {
        profile.watches_max = log.count(path("watches_max"), watches) as u32;
    }
    if let Some(limit) = &spec.range_limit {
        profile.range_limit = log.count(path("range_limit"), limit) as i64;
    }
    for (name, weight) in &spec.weights {
        let weight = log.count(path(&format!("weights.{name}")), weight) as u32;
        profile.weights.set(name, weight);
    }
    profile
}
