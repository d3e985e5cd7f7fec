//! `[cluster] disk`, `do = "power_loss"` and `do = "disk_fault"`.

use super::section::{Field, Section};
use super::{HOUR, MS};
use crate::draw::{Draw, Unit};
use crate::names::suggest;
use crate::plan::{DiskOp, DiskPlan, Survival};
use crate::scenario::{DiskFaultKindSpec, DiskFaultSpec};

const SURVIVALS: [Survival; 3] = [Survival::SyncedOnly, Survival::Torn, Survival::Subset];

const OPS: [(&str, DiskOp); 4] = [
    ("read", DiskOp::Read),
    ("write", DiskOp::Write),
    ("fsync", DiskOp::Fsync),
    ("name", DiskOp::Name),
];

const KINDS: [&str; 4] = ["eio", "enospc", "slow_fsync", "bit_flip"];

/// The one of these names that a field holds.
fn one_of<T: Copy, const N: usize>(
    field: &Field<'_>,
    name: &str,
    what: &str,
    known: [(&str, T); N],
) -> Option<T> {
    let found = known.into_iter().find(|(word, _)| *word == name);
    if found.is_none() {
        let hint = suggest(name, known.map(|(word, _)| word));
        field.problem(format!("unknown {what} {name:?}{hint}"));
    }
    found.map(|(_, value)| value)
}

/// `true` is the usual form; `"strict"` and `"ordered"` name one.
pub(super) fn plan(field: &Field<'_>) -> Option<DiskPlan> {
    let Some(name) = field.text() else {
        return field.boolean()?.then_some(DiskPlan::Ordered);
    };
    let known = [("ordered", DiskPlan::Ordered), ("strict", DiskPlan::Strict)];
    one_of(field, name, "form of disk", known)
}

pub(super) fn survivals(field: Option<Field<'_>>) -> Option<Vec<Survival>> {
    let Some(field) = field else {
        return Some(vec![Survival::SyncedOnly]);
    };
    let names = field.string_choices()?;
    let known = names.iter().map(|name| {
        one_of(
            &field,
            name,
            "survival",
            SURVIVALS.map(|it| (it.name(), it)),
        )
    });
    known.collect()
}

pub(super) fn fault(section: &mut Section<'_>) -> Option<DiskFaultSpec> {
    let fault = section.require("fault").and_then(|field| field.string());
    let paths = section.take("paths").map(|field| field.string());
    let count = |field: Option<Field<'_>>, low, default| match field {
        Some(field) => field.draw(Unit::Count, low, 1_000_000),
        None => Some(Draw::Fixed(default)),
    };
    let hit = count(section.take("hit"), 1, 1);
    let times = count(section.take("times"), 0, 0);
    let optional = section.take("optional").and_then(|f| f.boolean());
    let kind = kind(section);
    Some(DiskFaultSpec {
        fault: fault?,
        paths: paths.unwrap_or_else(|| Some("*".into()))?,
        hit: hit?,
        times: times?,
        kind: kind?,
        optional: optional.unwrap_or(false),
    })
}

fn kind(section: &mut Section<'_>) -> Option<DiskFaultKindSpec> {
    let field = section.require("kind");
    let mut given: Vec<(&str, Field<'_>)> = Vec::new();
    for name in ["op", "bytes", "for", "every"] {
        given.extend(section.take(name).map(|field| (name, field)));
    }
    let field = field?;
    let name = field.string()?;
    let (used, missing) = match name.as_str() {
        "eio" => ("op", None),
        "enospc" => ("bytes", Some("how much space there is")),
        "slow_fsync" => ("for", Some("how long a sync takes")),
        "bit_flip" => ("every", None),
        other => {
            field.problem(format!("unknown kind {other:?}{}", suggest(other, KINDS)));
            return None;
        }
    };
    for (other, _) in given.iter().filter(|(other, _)| *other != used) {
        section.problem(format!("kind {name:?} takes no {other:?}"));
    }
    let value = given.into_iter().find(|(name, _)| *name == used);
    let value = value.map(|(_, field)| field);
    if let (None, Some(what)) = (&value, missing) {
        section.problem(format!("field {used:?} is missing: {what}"));
        return None;
    }
    Some(match (name.as_str(), value) {
        ("eio", None) => DiskFaultKindSpec::Eio(DiskOp::Fsync),
        ("eio", Some(field)) => {
            let op = field.string()?;
            DiskFaultKindSpec::Eio(one_of(&field, &op, "operation", OPS)?)
        }
        ("enospc", Some(field)) => {
            DiskFaultKindSpec::Enospc(field.draw(Unit::Count, 0, 1 << 40)?)
        }
        ("slow_fsync", Some(field)) => {
            DiskFaultKindSpec::SlowFsync(field.draw(Unit::Time, MS, HOUR)?)
        }
        (_, Some(field)) => DiskFaultKindSpec::BitFlip(field.draw(Unit::Count, 1, 1 << 40)?),
        (_, None) => DiskFaultKindSpec::BitFlip(Draw::Fixed(4096)),
    })
}
