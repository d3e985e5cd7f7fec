//! Links in steps: `cut`, `slow_link`, `drop_connections`.

use super::HOUR;
use super::section::{Field, Section};
use crate::draw::{Draw, Unit};
use crate::names::suggest;
use crate::plan::{Clients, How, Network, Shape};
use crate::scenario::{CutSpec, EndsSpec, SlowSpec};

/// The widest link that is called slow, in bytes a second.
const BANDWIDTH_MAX: u64 = 10_000_000_000;

pub(super) fn network(field: Option<Field<'_>>) -> Network {
    let known = |field: Field<'_>| {
        let name = field.string()?;
        let known = Network::ALL.iter().find(|(known, _)| *known == name);
        if known.is_none() {
            let hint = suggest(&name, Network::ALL.iter().map(|(known, _)| *known));
            field.problem(format!("unknown network {name:?}{hint}"));
        }
        known.map(|(_, network)| *network)
    };
    field.and_then(known).unwrap_or_default()
}

pub(super) fn cut(section: &mut Section<'_>) -> Option<CutSpec> {
    let how = match section.take("how") {
        Some(field) => names(&field, "way to cut", &How::ALL),
        None => Some(vec![How::default()]),
    };
    let shape = match section.take("shape") {
        Some(field) => names(&field, "shape", &Shape::ALL),
        None => Some(vec![Some(Shape::default())]),
    };
    let ends = ends(section);
    Some(CutSpec {
        how: how?,
        shape: shape?,
        ends: ends?,
    })
}

/// One of these names, or an array of some to draw one of.
fn names<T: Copy>(field: &Field<'_>, kind: &str, known: &[(&str, T)]) -> Option<Vec<T>> {
    let names = field.string_choices()?;
    let found = names.iter().map(|name| {
        let found = known.iter().find(|(known, _)| known == name);
        if found.is_none() {
            let hint = suggest(name, known.iter().map(|(known, _)| *known));
            field.problem(format!("unknown {kind} {name:?}{hint}"));
        }
        found.map(|(_, value)| *value)
    });
    // All are looked at, so that all problems are reported.
    let found: Vec<_> = found.collect();
    found.into_iter().collect()
}

pub(super) fn slow_link(section: &mut Section<'_>) -> Option<SlowSpec> {
    let time = |field: Option<Field<'_>>| match field {
        Some(field) => field.draw(Unit::Time, 0, HOUR),
        None => Some(Draw::Fixed(0)),
    };
    let fields = [
        section.take("delay"),
        section.take("jitter"),
        section.take("bandwidth"),
    ];
    if fields.iter().all(Option::is_none) {
        section.problem(r#"name at least one of "delay", "jitter" and "bandwidth""#);
        return None;
    }
    let [delay, jitter, bandwidth] = fields;
    let (delay, jitter) = (time(delay), time(jitter));
    let bandwidth = match bandwidth {
        Some(field) => field.draw(Unit::Count, 1, BANDWIDTH_MAX),
        None => Some(Draw::Fixed(0)),
    };
    let ends = ends(section);
    Some(SlowSpec {
        delay: delay?,
        jitter: jitter?,
        bandwidth: bandwidth?,
        ends: ends?,
    })
}

pub(super) fn ends(section: &mut Section<'_>) -> Option<EndsSpec> {
    let to = match section.take("to") {
        Some(field) => Some(field.string_choices()?),
        None => None,
    };
    let clients = match section.take("clients") {
        Some(field) => clients(&field)?,
        None => Clients::Spared,
    };
    Some(EndsSpec { to, clients })
}

fn clients(field: &Field<'_>) -> Option<Clients> {
    if field.is_string() {
        let text = field.string()?;
        if text == "only" {
            return Some(Clients::Only);
        }
        field.problem(format!(
            "{text:?} is not understood; allowed: true, false, \"only\""
        ));
        return None;
    }
    Some(match field.boolean()? {
        true => Clients::Also,
        false => Clients::Spared,
    })
}
