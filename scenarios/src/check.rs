//! Whether a plan can be run at all: the rules that its types do not state.

mod walk;

use std::collections::BTreeSet;

use semver::VersionReq;

use crate::error::Error;
use crate::names::{GUARANTEES, suggest};
use crate::plan::{Expectation, ExpectedVerdict, Network, Plan, Target};

/// Something wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) at: At,
    pub(crate) message: String,
}

/// Where in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Cluster,
    Auth,
    Traffic,
    /// A step, counted from 0.
    Step(usize),
    /// The target of a step.
    Target(usize),
    /// A row, counted from 0.
    Expect(usize),
}

impl Plan {
    /// Checks that the plan can be run: that targets exist, that a restart follows a kill, that a
    /// cut has a proxy, and so on. [`crate::plan()`] and [`Plan::from_toml`] have done so.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] with everything that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let flaws = flaws(self);
        match flaws.is_empty() {
            true => Ok(()),
            false => Err(refuse(self, &flaws)),
        }
    }
}

pub(crate) fn refuse(plan: &Plan, flaws: &[Flaw]) -> Error {
    let lines = flaws.iter().map(|flaw| {
        let at = match flaw.at {
            At::Cluster => "cluster".into(),
            At::Auth => "auth".into(),
            At::Traffic => "traffic".into(),
            At::Expect(index) => format!("expect {}", index + 1),
            At::Step(index) | At::Target(index) => match plan.steps.get(index) {
                Some(step) => format!("step {} ({})", index + 1, step.action.name()),
                None => format!("step {}", index + 1),
            },
        };
        format!("plan: {at}: {}", flaw.message)
    });
    Error::Plan(lines.collect())
}

pub(crate) fn flaws(plan: &Plan) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut flaw = |at, message: String| flaws.push(Flaw { at, message });
    cluster(plan, &mut |message| flaw(At::Cluster, message));
    auth(plan, &mut |message| flaw(At::Auth, message));
    traffic(plan, &mut |message| flaw(At::Traffic, message));
    for (index, row) in plan.expect.iter().enumerate() {
        for message in expectation(row) {
            flaw(At::Expect(index), message);
        }
    }
    walk::steps(plan, &mut flaw);
    flaws
}

fn cluster(plan: &Plan, flaw: &mut impl FnMut(String)) {
    let cluster = &plan.cluster;
    members(cluster.members).unwrap_or_else(&mut *flaw);
    if cluster.election_ms < 5 * cluster.heartbeat_ms || cluster.election_ms > 50_000 {
        flaw(format!(
            "the election timeout is {} ms at a heartbeat of {} ms; allowed: 5 heartbeats to 50 s",
            cluster.election_ms, cluster.heartbeat_ms
        ));
    }
    if cluster.network == Network::Namespaces && cluster.peer_proxies {
        flaw("peers in namespaces have no proxies; leave out peer_proxies".into());
    }
    if cluster.snapshot_count == 0 {
        flaw("snapshot_count is 0; allowed: 1 or more".into());
    }
    cluster
        .flags
        .iter()
        .filter_map(|f| flag(f).err())
        .for_each(&mut *flaw);
    cluster
        .env
        .iter()
        .filter_map(|v| variable(v).err())
        .for_each(flaw);
}

/// Whether a cluster may start with this many members.
pub(crate) fn members(members: u32) -> Result<(), String> {
    match members {
        1 | 3 | 5 => Ok(()),
        _ => Err(format!("{members} members; allowed: 1, 3, 5")),
    }
}

/// Flags that the harness or a field of the plan sets.
const OWNED_FLAGS: [(&str, &str); 18] = [
    ("--name", "the harness sets it"),
    ("--data-dir", "the harness sets it"),
    ("--wal-dir", "the harness sets it"),
    ("--listen-client-urls", "the harness sets it"),
    ("--listen-peer-urls", "the harness sets it"),
    ("--advertise-client-urls", "the harness sets it"),
    ("--initial-advertise-peer-urls", "the harness sets it"),
    ("--initial-cluster", "the harness sets it"),
    ("--initial-cluster-state", "the harness sets it"),
    ("--initial-cluster-token", "the harness sets it"),
    ("--logger", "the harness sets it"),
    ("--log-outputs", "the harness sets it"),
    ("--config-file", "it would override every other flag"),
    ("--max-wals", "ground truth would be purged"),
    ("--max-snapshots", "ground truth would be purged"),
    ("--heartbeat-interval", "use cluster.heartbeat"),
    ("--election-timeout", "use cluster.election"),
    ("--snapshot-count", "use cluster.snapshot_count"),
];

/// Whether this may be passed to every member.
pub(crate) fn flag(flag: &str) -> Result<(), String> {
    let name = flag.split('=').next().unwrap_or(flag);
    if !name.starts_with("--") || name.len() < 3 {
        return Err(format!(
            "{flag:?} is no flag; allowed: for example \"--auto-compaction-retention=1\""
        ));
    }
    match OWNED_FLAGS.iter().find(|(owned, _)| *owned == name) {
        Some((_, why)) => Err(format!("flag {name:?} cannot be given here: {why}")),
        None => Ok(()),
    }
}

/// Whether this may stand in every member's environment.
pub(crate) fn variable(variable: &str) -> Result<(), String> {
    match variable.split_once('=') {
        None | Some(("", _)) => Err(format!(
            "{variable:?} is no variable; allowed: for example \"GOGC=off\""
        )),
        Some((name, _)) if name.starts_with("ETCD_") => {
            Err(format!("{name:?} configures the member; use cluster.flags"))
        }
        Some(_) => Ok(()),
    }
}

fn auth(plan: &Plan, flaw: &mut impl FnMut(String)) {
    let Some(auth) = &plan.auth else { return };
    let mut seen = BTreeSet::new();
    for user in &auth.users {
        if user.name.is_empty() || user.name == "root" {
            flaw(format!(
                "user {:?} cannot be defined; root always exists",
                user.name
            ));
        }
        if !seen.insert(&user.name) {
            flaw(format!("user {:?} is there twice", user.name));
        }
        if user.prefixes.iter().any(String::is_empty) {
            flaw(format!(
                "user {:?} has an empty prefix; name at least one character",
                user.name
            ));
        }
    }
}

fn traffic(plan: &Plan, flaw: &mut impl FnMut(String)) {
    let traffic = &plan.traffic;
    let profile = &traffic.profile;
    if profile
        .weights
        .entries()
        .iter()
        .all(|(_, weight)| *weight == 0)
    {
        flaw("all weights are zero, so there is nothing to do".into());
    }
    if profile.prefixes.is_empty() || profile.keys == 0 {
        flaw("there are no keys; name at least one prefix and one key".into());
    }
    if traffic.clients.is_empty() {
        flaw("there are no clients".into());
    }
    if traffic.request_timeout_ms == 0 {
        flaw("the request timeout is 0".into());
    }
    let known = walk::all_members(plan);
    let mut ids = BTreeSet::new();
    let mut messages = BTreeSet::new();
    for watcher in &traffic.watchers {
        if !ids.insert(watcher.id) {
            messages.insert(format!("client {} is there twice", watcher.id));
        }
        if watcher.seed.parse::<u64>().is_err() {
            let (id, seed) = (watcher.id, &watcher.seed);
            messages.insert(format!("watcher {id}: seed {seed:?} is no number"));
        }
        if !known.contains(watcher.member.as_str()) {
            let member = &watcher.member;
            messages.insert(format!("watchers are pinned to unknown member {member:?}"));
        }
        if watcher.of.is_empty() || watcher.starts.is_empty() {
            messages.insert("a watcher has nothing to watch, or nowhere to start".into());
        }
        if plan.auth.is_some() {
            messages.insert("watchers log in as nobody, so they go without [auth]".into());
        }
    }
    for client in &traffic.clients {
        if !ids.insert(client.id) {
            messages.insert(format!("client {} is there twice", client.id));
        }
        if client.seed.parse::<u64>().is_err() {
            messages.insert(format!(
                "client {}: seed {:?} is no number",
                client.id, client.seed
            ));
        }
        if !known.contains(client.member.as_str()) {
            let hint = suggest(&client.member, known.iter().copied());
            messages.insert(format!(
                "clients are pinned to unknown member {:?}{hint}",
                client.member
            ));
        }
        if let Some(user) = &client.user {
            messages.extend(unknown_user(plan, user, true));
        }
    }
    messages.into_iter().for_each(flaw);
}

/// Why this user cannot be used, if it cannot.
fn unknown_user(plan: &Plan, user: &str, root: bool) -> Option<String> {
    let Some(auth) = &plan.auth else {
        return Some(format!("user {user:?} needs auth; add [auth] with users"));
    };
    let root = root.then_some("root");
    let users: Vec<_> = root
        .into_iter()
        .chain(auth.users.iter().map(|u| u.name.as_str()))
        .collect();
    (!users.contains(&user)).then(|| format!("unknown user {user:?}{}", suggest(user, users)))
}

fn expectation(row: &Expectation) -> Vec<String> {
    let versions = match row.bug.is_empty() {
        true => VersionReq::parse(&row.versions)
            .err()
            .map(|error| format!("versions {:?}: {error}", row.versions)),
        false if row.versions.is_empty() => None,
        false => Some("a row is of \"versions\" or of a \"bug\", not both".into()),
    };
    let names = row.guarantees.iter().filter_map(|name| guarantee(name));
    versions
        .into_iter()
        .chain(names)
        .chain(verdict_and_guarantees(row))
        .collect()
}

/// Why this is no guarantee, if it is none.
pub(crate) fn guarantee(name: &str) -> Option<String> {
    let unknown = !GUARANTEES.contains(&name);
    unknown.then(|| format!("unknown guarantee {name:?}{}", suggest(name, GUARANTEES)))
}

/// Why verdict and guarantees do not go together, if they do not.
pub(crate) fn verdict_and_guarantees(row: &Expectation) -> Option<String> {
    match (row.verdict, row.guarantees.is_empty()) {
        (ExpectedVerdict::Violated, true) => {
            Some("\"violated\" needs \"guarantees\": at least one of them is then broken".into())
        }
        (ExpectedVerdict::Holds, false) => Some("\"holds\" goes without \"guarantees\"".into()),
        _ => None,
    }
}

/// A target, in words.
pub(crate) fn show(target: &Target) -> String {
    match target {
        Target::Member(name) => name.clone(),
        Target::AllBut(name) => format!("all but {name}"),
        Target::All => "all".into(),
        Target::Leader(_) => "leader".into(),
        Target::Follower(_) => "follower".into(),
        Target::Bound(name) => name.clone(),
        Target::AllButBound(name) => format!("all but {name}"),
    }
}
