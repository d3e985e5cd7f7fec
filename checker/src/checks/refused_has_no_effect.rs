//! Refused has no effect: a request that was refused leaves no trace.
//!
//! What is read: everything. A put is traced by its value. Only values that one request alone
//! carried are judged, so that whoever shows the value shows that request's effect. Deletes carry
//! nothing to trace and are only counted.
//!
//! Most refusals are the auth layer's. The other kind is a transaction that reads at a compacted or
//! future revision, which fails on the member asked only.

use std::collections::HashMap;

use super::class::{Class, error_text, rule_of};
use super::findings::{Findings, and, count, finding, ms, not_run, owned, quote};
use super::run::{Op, Run, Source, cite};
use super::values::{each_kv, each_put, each_watched, reads_in_txn, writes};
use crate::history::{Bytes, KeyValue, Record, Request};
use crate::verdict::{CheckReport, Finding, Guarantee};

const ENGINE: &str = "traced-by-value 1";

/// Members that a finding quotes.
const SHOWN_MAX: usize = 5;

/// Where a value was seen, one a member.
struct Seen<'a> {
    member: &'a str,
    source: Source,
    how: &'static str,
    at: u64,
    kv: &'a KeyValue,
}

/// A refused request, and the value by which it is traced.
struct Traced<'a> {
    op: Op<'a>,
    seen: Vec<Seen<'a>>,
}

/// Judges it.
#[must_use]
pub fn check(run: &Run<'_>) -> CheckReport {
    let run = *run;
    let ops = run.operations();
    let refused: Vec<_> = ops
        .iter()
        .filter(|op| op.class == Class::Refused && writes(op.request))
        .collect();
    if refused.is_empty() {
        return not_run(
            Guarantee::RefusedHasNoEffect,
            ENGINE,
            if run.history_complete {
                "no write was refused in this run"
            } else {
                "no write was refused in what there is of this run"
            },
        );
    }
    let mut traced = traced(&ops);
    look(run, &ops, &mut traced);

    let mut values: Vec<_> = traced.into_iter().collect();
    values.sort_by_key(|(value, traced)| (traced.op.at, traced.op.source, *value));
    let mut findings = Findings::default();
    let traceable = values.len();
    values.retain(|(_, traced)| !traced.seen.is_empty());
    for of_one in values.chunk_by(|(_, one), (_, other)| one.op.source == other.op.source) {
        if let Some((value, traced)) = of_one.first() {
            findings.broken(took_effect(value, traced, of_one.len()));
        }
    }
    let figures = vec![
        ("refused_writes".to_owned(), refused.len() as u64),
        ("traceable_values".to_owned(), traceable as u64),
    ];
    if traceable == 0 {
        findings.undecided(finding(
            format!(
                "{} {} refused, but none carried a value of its own by which an effect could be traced",
                count(refused.len(), "write"),
                if refused.len() == 1 { "was" } else { "were" },
            ),
            vec![],
        ));
    }
    let holds = format!(
        "{} refused; none of their {} was ever seen",
        count(refused.len(), "write"),
        count(traceable, "value"),
    );
    findings.report(Guarantee::RefusedHasNoEffect, ENGINE, holds, figures)
}

/// Values that one request alone carried, and that one was refused.
fn traced<'a>(ops: &[Op<'a>]) -> HashMap<&'a Bytes, Traced<'a>> {
    let mut carried: HashMap<&'a Bytes, Option<Source>> = HashMap::new();
    for op in ops {
        each_put(op.request, &mut |put| {
            let only = carried.entry(&put.value).or_insert(Some(op.source));
            if *only != Some(op.source) {
                *only = None;
            }
        });
    }
    let mut traced = HashMap::new();
    for op in ops.iter().filter(|op| op.class == Class::Refused) {
        each_put(op.request, &mut |put| {
            let alone = carried.get(&put.value) == Some(&Some(op.source));
            if alone && !put.value.is_empty() && !put.ignore_value {
                traced.insert(
                    &put.value,
                    Traced {
                        op: *op,
                        seen: vec![],
                    },
                );
            }
        });
    }
    traced
}

/// Looks for the values in everything that members showed.
fn look<'a>(run: Run<'a>, ops: &[Op<'a>], traced: &mut HashMap<&'a Bytes, Traced<'a>>) {
    let mut see = |seen: Seen<'a>| {
        if let Some(traced) = traced.get_mut(&seen.kv.value)
            && !traced
                .seen
                .iter()
                .any(|earlier| earlier.member == seen.member)
        {
            traced.seen.push(seen);
        }
    };
    let mut watchers: HashMap<u64, &'a str> = HashMap::new();
    for record in run.history {
        match record {
            Record::Invoke(invoke) if matches!(invoke.request, Request::Watch(_)) => {
                watchers.insert(invoke.id, &invoke.member);
            }
            Record::Watch(delivery) => {
                let member = watchers.get(&delivery.id).copied().unwrap_or("a member");
                let (source, at) = (Source::History(delivery.id), delivery.at);
                each_watched(&delivery.response, &mut |kv| {
                    see(Seen {
                        member,
                        source,
                        how: "an event of watch",
                        at,
                        kv,
                    });
                });
            }
            _ => {}
        }
    }
    for op in ops {
        // Without the whole history another request may have carried the value, unrecorded.
        if matches!(op.source, Source::Observation(_)) && !run.history_complete {
            continue;
        }
        let Some(response) = op.outcome.and_then(|outcome| outcome.response()) else {
            continue;
        };
        let at = op.until.unwrap_or(op.at);
        each_kv(response, &mut |kv| {
            see(Seen {
                member: op.member,
                source: op.source,
                how: "the answer to",
                at,
                kv,
            });
        });
    }
}

fn took_effect(value: &Bytes, traced: &Traced<'_>, values: usize) -> Finding {
    let Traced { op, seen } = traced;
    let error = op.outcome.map_or_else(String::new, error_text);
    let members: Vec<_> = seen.iter().map(|seen| seen.member).collect();
    let as_user = op
        .user
        .map_or_else(String::new, |user| format!(" as {user}"));
    let mut keys = Vec::new();
    each_put(op.request, &mut |put| {
        if put.value == *value {
            keys.push(put.key.to_string());
        }
    });
    let mut explanation = vec![format!(
        "The {}{as_user} was sent to {} at {} and refused at {} with {error}.",
        op.name(),
        op.member,
        ms(op.at),
        ms(op.until.unwrap_or(op.at)),
    )];
    for seen in seen.iter().take(SHOWN_MAX) {
        let (kind, id) = match seen.source {
            Source::History(id) => ("operation", id),
            Source::Observation(id) => ("observation", id),
        };
        explanation.push(format!(
            "At {} {} showed the value on {} with mod revision {}, in {} {kind} {id}.",
            ms(seen.at),
            seen.member,
            seen.kv.key,
            seen.kv.mod_revision,
            seen.how,
        ));
    }
    explanation.push(format!(
        "No other request carried {}, so that is this request's effect.",
        quote(&value.to_string())
    ));
    if values > 1 {
        explanation.push(format!("{values} values of this request were seen."));
    }
    if let Some(rule) = op.outcome.and_then(|outcome| rule_of(op.request, outcome)) {
        explanation.push(format!(
            "The refusal is row {} of the error table.",
            rule.id
        ));
        if rule.id.starts_with("txn-") {
            explanation.push("A transaction that fails so on one member while others apply its writes is etcd issue #18667.".to_owned());
        } else if reads_in_txn(op.request) {
            explanation.push("The request is a transaction with reads. Members other than the one that answers drop the reads before they judge and apply it, so that they may allow what the one that answers refuses for a read.".to_owned());
        }
    }
    let revision = seen.first().map_or(0, |seen| seen.kv.mod_revision);
    let mut broken = finding(
        format!(
            "a refused write took effect: {} answered {error} to the {} on {}, and {} showed its value at revision {revision}",
            op.member,
            op.name(),
            and(&keys),
            and(&members),
        ),
        explanation,
    );
    cite(&mut broken, op.source);
    for seen in seen.iter().take(SHOWN_MAX) {
        cite(&mut broken, seen.source);
    }
    broken.members = owned(&[op.member]);
    broken.members.extend(
        members
            .iter()
            .filter(|m| **m != op.member)
            .map(|m| (*m).to_owned()),
    );
    broken.revisions = vec![revision];
    broken.keys = keys;
    broken.at = seen.iter().map(|seen| seen.at).min();
    broken
}
