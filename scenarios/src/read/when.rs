//! `when`: what a step waits for.

use super::section::{Field, Section};
use super::{HOUR, MS, SECOND};
use crate::draw::{Draw, Unit};
use crate::scenario::{EventSpec, WhenSpec};

/// `when = { hit = "held put", within = "10 s" }`: one event, and how long to wait for it.
pub(super) fn when(mut section: Section<'_>) -> Option<WhenSpec> {
    let within = section.take("within");
    let string = |field: Option<Field<'_>>| field?.string();
    let mut found = Vec::new();
    if let Some(fault) = string(section.take("hit")) {
        found.push(EventSpec::Hit(fault));
    }
    let (text, of) = (string(section.take("log")), string(section.take("of")));
    match (text, of) {
        (Some(text), Some(of)) => found.push(EventSpec::Log { of, text }),
        (None, None) => {}
        _ => section.problem(r#""log" and "of" go together: a text, and in whose log"#),
    }
    let (action, at) = (
        string(section.take("in_flight")),
        string(section.take("at")),
    );
    match (action, at) {
        (Some(action), Some(at)) => found.push(EventSpec::InFlight { action, at }),
        (None, None) => {}
        _ => section.problem(r#""in_flight" and "at" go together: an action, and at whom"#),
    }
    if let Some(who) = string(section.take("leads")) {
        found.push(EventSpec::Leads(who));
    }
    if let Some(who) = string(section.take("follows")) {
        found.push(EventSpec::Follows(who));
    }
    if let Some(revision) = section.take("revision") {
        let revision = revision.draw(Unit::Count, 1, 1_000_000_000);
        found.extend(revision.map(EventSpec::Revision));
    }
    if let Some(who) = string(section.take("needs_snapshot")) {
        found.push(EventSpec::NeedsSnapshot(who));
    }
    let within = match within {
        Some(within) => within.draw(Unit::Time, MS, HOUR),
        None => Some(Draw::Fixed(10 * SECOND)),
    };
    if found.len() != 1 {
        section.problem(
            "name one event; allowed: hit, log with of, in_flight with at, leads, follows, \
             revision, needs_snapshot",
        );
        return None;
    }
    section.finish();
    Some(WhenSpec {
        event: found.pop()?,
        within: within?,
    })
}
