//! What the command line changes in a plan.

use toml::Value;

use crate::check;
use crate::error::Error;
use crate::names::suggest;
use crate::plan::Plan;

/// Changes to a scenario's plan. Draws stay what they are without the change: the same seed with
/// another `time_ms` gives the same faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--time`: traffic time, in milliseconds.
    pub time_ms: Option<u64>,
    /// `--members`.
    pub members: Option<u32>,
    /// `--etcd-arg`: further flags of every member.
    pub etcd_args: Vec<String>,
    /// `--tls`.
    pub tls: Option<bool>,
    /// `--set path=value`: anything in the plan, by its path in `plan.toml`.
    ///
    /// Elements of arrays count from 1 (`steps.2.after_us`), `*` means every one
    /// (`traffic.clients.*.rate`). A value is read as what stands there now: text needs no quotes,
    /// anything else is TOML.
    pub set: Vec<(String, String)>,
}

/// Paths that say what the plan is, rather than what it does.
const FIXED: [&str; 10] = [
    "major",
    "minor",
    "build",
    "scenario",
    "title",
    "seed",
    "seed_scheme",
    "store",
    "drawn",
    "issue",
];

pub(crate) fn apply(mut plan: Plan, overrides: &Overrides) -> Result<Plan, Error> {
    let mut given = Vec::new();
    given.extend(
        overrides
            .time_ms
            .map(|ms| ("traffic.time_ms".to_string(), ms.to_string())),
    );
    given.extend(
        overrides
            .members
            .map(|n| ("cluster.members".to_string(), n.to_string())),
    );
    if let Some(tls) = overrides.tls {
        plan.cluster.tls = tls;
        given.push(("cluster.tls".into(), tls.to_string()));
    }
    for flag in &overrides.etcd_args {
        check::flag(flag).map_err(|message| Error::Plan(vec![format!("--etcd-arg: {message}")]))?;
        plan.cluster.flags.push(flag.clone());
        given.push(("cluster.flags".into(), flag.clone()));
    }
    for (path, text) in &overrides.set {
        plan = set(&plan, path, text).map_err(|message| Error::Set {
            path: path.clone(),
            value: text.clone(),
            message,
        })?;
        given.push((path.clone(), text.clone()));
    }
    for (path, value) in given {
        plan.drawn
            .retain(|(drawn, _)| *drawn != path || path == "cluster.flags");
        plan.drawn.push((path, format!("{value} (given)")));
    }
    Ok(plan)
}

fn set(plan: &Plan, path: &str, text: &str) -> Result<Plan, String> {
    let parts: Vec<_> = path.split('.').collect();
    if FIXED.contains(&parts[0]) {
        return Err(format!(
            "{:?} says what the plan is and cannot be set",
            parts[0]
        ));
    }
    let mut root = Value::try_from(plan).map_err(|error| error.to_string())?;
    put(&mut root, &parts, text, "")?;
    root.try_into()
        .map_err(|error: toml::de::Error| error.message().trim().to_string())
}

/// Fields that a plan leaves out where they are empty.
const OPTIONAL: [&str; 1] = ["user"];

fn put(value: &mut Value, parts: &[&str], text: &str, before: &str) -> Result<(), String> {
    let Some((part, rest)) = parts.split_first() else {
        *value = read(value, text)?;
        return Ok(());
    };
    let here = if before.is_empty() {
        part.to_string()
    } else {
        format!("{before}.{part}")
    };
    match value {
        Value::Table(table) => match table.get_mut(*part) {
            Some(value) => put(value, rest, text, &here),
            None if rest.is_empty() && OPTIONAL.contains(part) => {
                table.insert(part.to_string(), read(&Value::String(String::new()), text)?);
                Ok(())
            }
            None => {
                let keys = table.keys().map(String::as_str);
                let hint = suggest(
                    part,
                    keys.filter(|key| !before.is_empty() || !FIXED.contains(key)),
                );
                Err(format!("unknown field {part:?}{hint}"))
            }
        },
        Value::Array(array) if *part == "*" => array
            .iter_mut()
            .try_for_each(|element| put(element, rest, text, &here)),
        Value::Array(array) => {
            let length = array.len();
            let index = part.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            match index.and_then(|index| array.get_mut(index)) {
                Some(element) => put(element, rest, text, &here),
                None => Err(format!(
                    "{part:?} is not in {before}; allowed: 1 to {length}, or *"
                )),
            }
        }
        _ => Err(format!(
            "{before} is a plain value and has no field {part:?}"
        )),
    }
}

/// Reads the text as a value of the same type as the one there.
fn read(old: &Value, text: &str) -> Result<Value, String> {
    if old.is_str() {
        return Ok(Value::String(text.into()));
    }
    let wrong = || {
        format!(
            "this must be of type {}, as it is now: {old}",
            old.type_str()
        )
    };
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}")).ok();
    let new = parsed
        .and_then(|mut table| table.remove("value"))
        .ok_or_else(wrong)?;
    match new.same_type(old) {
        true => Ok(new),
        false => Err(wrong()),
    }
}
