//! `[[traffic.watchers]]`.

use super::section::{Field, Section};
use super::{HOUR, MS};
use crate::draw::{Draw, Unit};
use crate::names::suggest;
use crate::plan::{WatchOf, WatchStart};
use crate::scenario::WatchersSpec;

/// Watchers a member, at most.
const EACH_MAX: u64 = 64;

pub(super) fn watchers(field: &Field<'_>) -> Vec<WatchersSpec> {
    let elements = field.elements("an array of tables, [[traffic.watchers]]");
    let numbered = elements.iter().zip(1..);
    let groups = numbered.map(|(element, number): (_, usize)| {
        let mut section = element.section();
        section.label = format!("watchers {number}");
        group(section)
    });
    groups.collect()
}

fn group(mut section: Section<'_>) -> WatchersSpec {
    let draw = |field: Option<Field<'_>>, unit, low, high, default| {
        field
            .and_then(|field| field.draw(unit, low, high))
            .unwrap_or(default)
    };
    let spec = WatchersSpec {
        each: draw(
            section.take("each"),
            Unit::Count,
            0,
            EACH_MAX,
            Draw::Fixed(1),
        ),
        lives: draw(section.take("lives"), Unit::Time, 0, HOUR, Draw::Fixed(0)),
        of: one_of(section.take("of"), WatchOf::NAMED),
        starts: one_of(section.take("start"), WatchStart::NAMED),
        past: draw(
            section.take("past"),
            Unit::Count,
            1,
            1_000_000,
            Draw::Fixed(100),
        ),
        future: draw(
            section.take("future"),
            Unit::Count,
            1,
            1_000_000,
            Draw::Fixed(50),
        ),
        progress: draw(
            section.take("progress"),
            Unit::Time,
            MS,
            HOUR,
            Draw::Fixed(0),
        ),
        slow: draw(section.take("slow"), Unit::Time, MS, HOUR, Draw::Fixed(0)),
        pause: draw(
            section.take("pause"),
            Unit::Time,
            MS,
            HOUR,
            Draw::Range(100 * MS, 300 * MS),
        ),
    };
    section.finish();
    spec
}

/// Some of the names, of which one is drawn for each watch; all of them where none is given.
fn one_of<T: Copy, const N: usize>(
    field: Option<Field<'_>>,
    named: [(&'static str, T); N],
) -> Vec<T> {
    let Some(field) = field else {
        return named.map(|(_, value)| value).to_vec();
    };
    let names = field.string_choices().unwrap_or_default();
    let found = names.iter().filter_map(|name| {
        let found = named.iter().find(|(known, _)| known == name);
        if found.is_none() {
            let known = named.map(|(name, _)| name);
            field.problem(format!("unknown {name:?}{}", suggest(name, known)));
        }
        found.map(|(_, value)| *value)
    });
    found.collect()
}
