//! Scenario files: TOML text to [`Scenario`], with every problem at its line and column.
//!
//! Read by hand rather than through serde: so that all problems of a file are reported at once,
//! each with the nearest names, and so that values that may be drawn stay one type.

mod armed;
mod disk;
mod network;
mod section;
mod steps;
mod watchers;
mod when;

use std::cell::RefCell;

use semver::VersionReq;
use toml::de::DeTable;

use crate::Overrides;
use crate::draw::{Draw, Unit};
use crate::error::{Error, Problem};
use crate::names::suggest;
use crate::plan::{Expectation, ExpectedVerdict, UserPlan, Weights};
use crate::planner;
use crate::profile::PROFILES;
use crate::scenario::{AuthSpec, ClusterSpec, Scenario, TrafficSpec};
use section::{Field, Section, Source};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
/// The longest time any field may state.
const HOUR: u64 = 3_600 * SECOND;

/// Seeds of the plans that a file is checked with: enough that any choice among a few is met.
const CHECKED_SEEDS: u64 = 64;

impl Scenario {
    /// Reads the text of a scenario file; `file` is what errors call it.
    ///
    /// Besides its syntax, the plans of some seeds are checked, so that what only some draws would
    /// show (a restart of a member that was never stopped) is found here.
    ///
    /// # Errors
    ///
    /// Every problem found, with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let refuse = |mut problems: Vec<Problem>| {
            problems.sort();
            problems.dedup();
            Error::File {
                file: file.into(),
                problems,
            }
        };
        let root =
            DeTable::parse(text).map_err(|error| refuse(vec![Problem::from_toml(text, &error)]))?;
        let problems = RefCell::default();
        let source = Source { text, problems };
        let root = Section::new(&source, "", root.span(), Some(root.get_ref()));
        let scenario = scenario(file, text, root);
        if source.problems.borrow().is_empty() {
            let flawed = (0..CHECKED_SEEDS).find_map(|seed| {
                let draft = planner::draft(&scenario, seed, &Overrides::default());
                let flaws = draft.flaws_in_file(&scenario);
                (!flaws.is_empty()).then_some(flaws)
            });
            for (place, message) in flawed.into_iter().flatten() {
                source.problem(place, message);
            }
        }
        match source.problems.take() {
            problems if problems.is_empty() => Ok(scenario),
            problems => Err(refuse(problems)),
        }
    }
}

fn scenario(file: &str, text: &str, mut root: Section<'_>) -> Scenario {
    let line = |field: Option<Field<'_>>| field.and_then(|f| f.string()).unwrap_or_default();
    let scenario = Scenario {
        name: line(root.require("name")),
        title: line(root.require("title")),
        issue: line(root.take("issue")),
        about: line(root.take("about")),
        file: file.into(),
        text: text.into(),
        cluster: cluster(root.section("cluster")),
        auth: root.take("auth").map(|field| auth(field.section())),
        traffic: traffic(root.section("traffic")),
        steps: root
            .take("step")
            .map(|field| steps::steps(&field))
            .unwrap_or_default(),
        expect: root
            .take("expect")
            .map(|field| expectations(&field))
            .unwrap_or_default(),
    };
    root.finish();
    scenario
}

fn cluster(mut section: Section<'_>) -> ClusterSpec {
    let draw = |field: Option<Field<'_>>, unit, low, high| field?.draw(unit, low, high);
    let boolean = |field: Option<Field<'_>>| field.and_then(|f| f.boolean()).unwrap_or(false);
    let heartbeat = draw(section.take("heartbeat"), Unit::Time, 5 * MS, 10 * SECOND);
    let election = draw(section.take("election"), Unit::Time, 50 * MS, 50 * SECOND);
    let timing = match (heartbeat, election) {
        (Some(heartbeat), Some(election)) => Some((heartbeat, election)),
        (None, None) => None,
        _ => {
            section.problem(r#""heartbeat" and "election" go together: give both or neither"#);
            None
        }
    };
    let members = section.take("members").map(|field| members(&field));
    let spec = ClusterSpec {
        place: section.place.clone(),
        members: members.unwrap_or(Draw::Fixed(3)),
        tls: boolean(section.take("tls")),
        peer_proxies: boolean(section.take("peer_proxies")),
        client_proxies: boolean(section.take("client_proxies")),
        network: network::network(section.take("network")),
        disk: section.take("disk").and_then(|field| disk::plan(&field)),
        timing,
        snapshot_count: draw(section.take("snapshot_count"), Unit::Count, 1, 1_000_000)
            .unwrap_or_else(|| Draw::AnyOf([100, 1_000, 10_000, 100_000].map(Draw::Fixed).into())),
        flags: section
            .take("flags")
            .map(|field| flags(&field))
            .unwrap_or_default(),
        env: section
            .take("env")
            .map(|field| environment(&field))
            .unwrap_or_default(),
    };
    section.finish();
    spec
}

/// Each `NAME=value`. A member is configured by its flags alone.
fn environment(field: &Field<'_>) -> Vec<String> {
    let variables = field.strings();
    for variable in &variables {
        if let Err(message) = crate::check::variable(variable) {
            field.problem(message);
        }
    }
    variables
}

fn members(field: &Field<'_>) -> Draw {
    const ALLOWED: &str = "1, 3, 5, or an array of these to draw one of";
    let allowed = |draw: &Draw| matches!(draw, Draw::Fixed(1 | 3 | 5));
    match field.numbers(ALLOWED) {
        Some(choices) if choices.iter().all(allowed) => Draw::any_of(choices),
        Some(_) => {
            field.problem(format!("allowed: {ALLOWED}"));
            Draw::Fixed(3)
        }
        None => Draw::Fixed(3),
    }
}

fn flags(field: &Field<'_>) -> Vec<Vec<String>> {
    let elements = field.elements("an array of flags; an array within it draws one of some flags");
    let mut flags = Vec::new();
    for element in elements {
        let choices = element.string_choices().unwrap_or_default();
        for message in choices
            .iter()
            .filter(|f| !f.is_empty())
            .filter_map(|f| crate::check::flag(f).err())
        {
            element.problem(message);
        }
        flags.push(choices);
    }
    flags
}

fn auth(mut section: Section<'_>) -> AuthSpec {
    let users = section.section("users");
    let spec = AuthSpec {
        place: section.place.clone(),
        users: users
            .entries()
            .into_iter()
            .map(|(name, field)| UserPlan {
                name: name.into_inner(),
                prefixes: field.strings(),
            })
            .collect(),
    };
    section.finish();
    spec
}

fn traffic(mut section: Section<'_>) -> TrafficSpec {
    let draw = |field: Option<Field<'_>>, unit, low, high| field?.draw(unit, low, high);
    let profile = section.take("profile").map(|field| profile_name(&field));
    let spec = TrafficSpec {
        place: section.place.clone(),
        profile: profile.unwrap_or(PROFILES[0]),
        time: draw(section.take("time"), Unit::Time, 0, HOUR)
            .unwrap_or(Draw::Range(2 * SECOND, 3 * SECOND)),
        request_timeout: draw(section.take("request_timeout"), Unit::Time, 10 * MS, HOUR)
            .unwrap_or(Draw::Fixed(SECOND)),
        clients: draw(section.take("clients"), Unit::Count, 1, 64).unwrap_or(Draw::Range(2, 4)),
        rate: draw(section.take("rate"), Unit::Count, 0, 100_000).unwrap_or(Draw::Fixed(0)),
        preload: draw(section.take("preload"), Unit::Count, 0, 1_000_000).unwrap_or(Draw::Fixed(0)),
        value_bytes: draw(section.take("value_bytes"), Unit::Count, 0, 1 << 20)
            .unwrap_or_else(|| Draw::AnyOf([0, 64, 512].map(Draw::Fixed).into())),
        prefixes: section.take("prefixes").map(|field| field.strings()),
        keys: draw(section.take("keys"), Unit::Count, 1, 1_000_000),
        lease_ttl: draw(section.take("lease_ttl"), Unit::Time, SECOND, 24 * HOUR),
        watch: draw(section.take("watch"), Unit::Time, MS, HOUR),
        watches_max: draw(section.take("watches_max"), Unit::Count, 0, 1_000),
        range_limit: draw(section.take("range_limit"), Unit::Count, 1, 1_000_000),
        users: section
            .take("users")
            .map(|field| field.strings())
            .unwrap_or_default(),
        weights: weights(section.section("weights")),
        watchers: section
            .take("watchers")
            .map(|field| watchers::watchers(&field)),
    };
    section.finish();
    spec
}

fn profile_name(field: &Field<'_>) -> &'static str {
    let Some(name) = field.string() else {
        return PROFILES[0];
    };
    let known = PROFILES.into_iter().find(|p| *p == name);
    known.unwrap_or_else(|| {
        field.problem(format!(
            "unknown profile {name:?}{}",
            suggest(&name, PROFILES)
        ));
        PROFILES[0]
    })
}

fn weights(mut section: Section<'_>) -> Vec<(&'static str, Draw)> {
    let mut weights = Vec::new();
    for (name, _) in Weights::none().entries() {
        let weight = section
            .take(name)
            .and_then(|field| field.draw(Unit::Count, 0, 1_000_000));
        weights.extend(weight.map(|weight| (name, weight)));
    }
    section.finish();
    weights
}

fn expectations(field: &Field<'_>) -> Vec<Expectation> {
    let elements = field.elements("an array of tables, [[expect]]");
    let rows = elements.iter().enumerate();
    rows.map(|(i, row)| expectation(row.section(), i + 1))
        .collect()
}

fn expectation(mut section: Section<'_>, number: usize) -> Expectation {
    section.label = format!("expect {number}");
    let bug = section.take("bug").map(|field| bugs(&field));
    let versions = match (section.take("versions"), &bug) {
        (Some(field), None) => versions(&field),
        (None, Some(_)) => String::new(),
        _ => {
            section.problem(
                "either \"versions\", of etcd, or \"bug\", of the embedded store, says whom it is of",
            );
            String::new()
        }
    };
    let row = Expectation {
        versions,
        bug: bug.unwrap_or_default(),
        verdict: section
            .require("verdict")
            .and_then(|field| verdict(&field))
            .unwrap_or(ExpectedVerdict::Holds),
        guarantees: section
            .take("guarantees")
            .map(|field| guarantees(&field))
            .unwrap_or_default(),
        because: section
            .take("because")
            .and_then(|field| field.string())
            .unwrap_or_default(),
    };
    if let Some(message) = crate::check::verdict_and_guarantees(&row) {
        section.problem(message);
    }
    section.finish();
    row
}

/// An id, or some of them.
fn bugs(field: &Field<'_>) -> Vec<String> {
    let mut bugs = field.string_choices().unwrap_or_default();
    for bug in &mut bugs {
        *bug = bug.trim_start_matches('#').to_owned();
    }
    if bugs.is_empty() || bugs.iter().any(String::is_empty) {
        field.problem("a bug has an id, for example \"14685\": see `gauntlet list --bugs`");
    }
    bugs
}

fn versions(field: &Field<'_>) -> String {
    let text = field.string().unwrap_or_default();
    if let Err(error) = VersionReq::parse(&text) {
        field.problem(format!(
            "{text:?} is no version requirement ({error}); allowed: for example \">=3.5.0, <3.5.6\", \"=3.5.5\" or \"*\""
        ));
    }
    text
}

fn verdict(field: &Field<'_>) -> Option<ExpectedVerdict> {
    match field.string()?.as_str() {
        "holds" => Some(ExpectedVerdict::Holds),
        "violated" => Some(ExpectedVerdict::Violated),
        other => {
            let hint = suggest(other, ["holds", "violated"]);
            field.problem(format!("unknown verdict {other:?}{hint}"));
            None
        }
    }
}

fn guarantees(field: &Field<'_>) -> Vec<String> {
    let elements = field.elements("an array of names of guarantees");
    let names = elements
        .iter()
        .filter_map(|element| Some((element, element.string()?)));
    names
        .map(|(element, name)| {
            if let Some(message) = crate::check::guarantee(&name) {
                element.problem(message);
            }
            name
        })
        .collect()
}
