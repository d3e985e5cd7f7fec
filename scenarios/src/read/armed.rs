//! `do = "arm"`: a fault that waits in a process.

use super::section::{Field, Section};
use super::{HOUR, MS};
use crate::draw::{Draw, Unit};
use crate::names::suggest;
use crate::plan::{Act, Edge, Place, Returns};
use crate::scenario::{ActSpec, ArmSpec, EDGES};

const ACTS: [&str; 6] = ["kill", "hold", "skip", "report", "fail", "short"];

pub(super) fn arm(section: &mut Section<'_>) -> Option<ArmSpec> {
    let fault = section.require("fault").and_then(|field| field.string());
    let place = place(section);
    let count = |field: Option<Field<'_>>, low, default| match field {
        Some(field) => field.draw(Unit::Count, low, 1_000_000),
        None => Some(Draw::Fixed(default)),
    };
    let hit = count(section.take("hit"), 1, 1);
    let times = section.take("times");
    let called_from = section.take("called_from").and_then(|f| f.string());
    let optional = section.take("optional").and_then(|f| f.boolean());
    let act = act(section);
    let everywhere = matches!(act, Some(ActSpec::Fixed(Act::Skip { .. } | Act::Report)));
    // What is skipped or counted is so every time, the rest happens once.
    let times = count(times, 0, u64::from(!everywhere));
    let (at, point) = place?;
    if called_from.is_some() && !matches!(at, Some(Place::Symbol { .. })) {
        section.problem("\"called_from\" goes with \"symbol\"");
    }
    let stops = matches!(
        act,
        None | Some(ActSpec::Hold(_) | ActSpec::Fixed(Act::Kill | Act::Report))
    );
    if at.is_none() && !stops {
        section.problem("a \"point\" alone can kill, hold and report");
    }
    Some(ArmSpec {
        fault: fault?,
        at,
        point,
        hit: hit?,
        times: times?,
        called_from,
        act: act?,
        optional: optional.unwrap_or(false),
    })
}

/// A place in any binary, and the failpoint that is there in some.
fn place(section: &mut Section<'_>) -> Option<(Option<Place>, Option<String>)> {
    let symbol = section.take("symbol");
    let call = section.take("call");
    let path = section.take("path").and_then(|field| field.string());
    let point = section.take("point").map(|field| point(&field));
    let edge = section.take("edge");
    let has_edge = edge.is_some();
    let edge = edge.map_or(Some(Edge::Entry), |field| {
        let name = field.string()?;
        let known = EDGES.into_iter().find(|(edge, _)| *edge == name);
        if known.is_none() {
            let hint = suggest(&name, EDGES.map(|(edge, _)| edge));
            field.problem(format!("unknown edge {name:?}{hint}"));
        }
        known.map(|(_, edge)| edge)
    });
    let point = match point {
        Some(point) => Some(point?),
        None => None,
    };
    let at = match (symbol, call) {
        (Some(symbol), None) => {
            if path.is_some() {
                section.problem("\"path\" goes with \"call\"");
            }
            Some(Place::Symbol {
                symbol: alternatives(&symbol)?,
                edge: edge?,
            })
        }
        (None, Some(call)) => Some(Place::Syscall {
            call: alternatives(&call)?,
            path,
            edge: edge?,
        }),
        (None, None) if point.is_some() => {
            for (given, field) in [(path.is_some(), "path"), (has_edge, "edge")] {
                if given {
                    section.problem(format!("a \"point\" alone has no {field:?}"));
                }
            }
            None
        }
        _ => {
            section.problem(
                "name where: either \"symbol\", a function, or \"call\", a system call; and \"point\", \
                 a failpoint, where there is one",
            );
            return None;
        }
    };
    Some((at, point))
}

/// The name of a failpoint.
fn point(field: &Field<'_>) -> Option<String> {
    let name = field.string()?;
    if EDGES.iter().any(|(edge, _)| *edge == name) {
        field.problem(format!(
            "\"point\" is the name of a failpoint: the end of a function is \"edge\" = {name:?}"
        ));
        return None;
    }
    if name.is_empty() {
        field.problem("the name is empty");
        return None;
    }
    Some(name)
}

/// A string, or some of them: not to draw one, but because names differ.
fn alternatives(field: &Field<'_>) -> Option<Vec<String>> {
    let names = field.string_choices()?;
    if names.iter().any(|name| name.trim().is_empty()) {
        field.problem("a name is empty");
        return None;
    }
    Some(names)
}

fn act(section: &mut Section<'_>) -> Option<ActSpec> {
    let field = section.require("act");
    let hold = section.take("for");
    let returns = section.take("returns");
    let errno = section.take("errno");
    let bytes = section.take("bytes");
    let field = field?;
    let name = field.string()?;
    let (uses_for, uses_returns, uses_errno, uses_bytes) = match name.as_str() {
        "hold" => (true, false, false, false),
        "skip" => (false, true, false, false),
        "fail" => (false, false, true, false),
        "short" => (false, false, true, true),
        _ => (false, false, false, false),
    };
    for (given, used, field) in [
        (hold.is_some(), uses_for, "for"),
        (returns.is_some(), uses_returns, "returns"),
        (errno.is_some(), uses_errno, "errno"),
        (bytes.is_some(), uses_bytes, "bytes"),
    ] {
        if given && !used {
            section.problem(format!("act {name:?} takes no {field:?}"));
        }
    }
    let errno = match errno {
        Some(field) => field.string(),
        None => Some("EIO".to_owned()),
    };
    Some(match name.as_str() {
        "kill" => ActSpec::Fixed(Act::Kill),
        "report" => ActSpec::Fixed(Act::Report),
        "hold" => ActSpec::Hold(match hold {
            Some(hold) => hold.draw(Unit::Time, MS, HOUR)?,
            None => {
                section.problem("field \"for\" is missing: how long to hold at most");
                return None;
            }
        }),
        "skip" => {
            let Some(returns) = returns else {
                section.problem(
                    "field \"returns\" is missing: the binary does not say whether the function \
                     has results; allowed: nothing, zero, one",
                );
                return None;
            };
            ActSpec::Fixed(Act::Skip {
                returns: returned(&returns)?,
            })
        }
        "fail" => ActSpec::Fixed(Act::Fail { errno: errno? }),
        "short" => ActSpec::Short {
            bytes: bytes?.draw(Unit::Count, 0, 1 << 30)?,
            errno: errno?,
        },
        other => {
            field.problem(format!("unknown act {other:?}{}", suggest(other, ACTS)));
            return None;
        }
    })
}

fn returned(field: &Field<'_>) -> Option<Returns> {
    match field.string()?.as_str() {
        "nothing" => Some(Returns::Nothing),
        "zero" => Some(Returns::Zero),
        "one" => Some(Returns::One),
        other => {
            let hint = suggest(other, ["nothing", "zero", "one"]);
            field.problem(format!("unknown result {other:?}{hint}"));
            None
        }
    }
}
