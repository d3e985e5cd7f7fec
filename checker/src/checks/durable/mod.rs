//! Durable: every acknowledged write is there at the end, or was overwritten or deleted since.
//!
//! What is read: the whole history, every put, delete, transaction and lease call among the
//! observations, and the content of each member at the end
//! ([`Purpose::ConvergenceContent`](crate::history::Purpose::ConvergenceContent)).
//!
//! The argument uses values and real time only, no revisions, so that a store which counts wrongly
//! cannot excuse itself. What a member holds for a key must be explained by an operation that can
//! come after each acknowledged write of that key: one that was not answered before the write was
//! sent. A failed request of which it is not certain that it had no effect counts as one that can
//! come at any time. An acknowledged delete counts like a write.
//!
//! A member's content is judged only if the member must have applied every acknowledged write: it
//! stood still at the highest applied index of all, or it served a linearizable read first. A
//! missing overwrite would look like a loss, so a history that is a prefix proves nothing here.

mod events;

use std::collections::BTreeMap;

use self::events::{Events, Write};
use super::class::{Class, error_text};
use super::content::{Content, Contents, describe};
use super::findings::{Findings, and, count, finding, ms, owned, quote, verb};
use super::rounds::Quiet;
use super::run::{Op, Run, cite};
use crate::history::Bytes;
use crate::verdict::{CheckReport, Finding, Guarantee};

const ENGINE: &str = "last-writer-by-value 1";

/// Losses that a finding explains.
const SAMPLES_MAX: usize = 5;

/// Judges it.
#[must_use]
pub fn check(run: &Run<'_>) -> CheckReport {
    let run = *run;
    let mut findings = Findings::default();
    let roster = run.roster();
    let contents = Contents::of(run, &roster);
    let ops = run.operations();
    let events = Events::of(&ops);
    let acknowledged = events
        .writes
        .values()
        .flatten()
        .filter(|write| write.acknowledged)
        .count();
    let mut figures = vec![
        ("acknowledged_writes".to_owned(), acknowledged as u64),
        ("keys".to_owned(), events.writes.len() as u64),
    ];
    if !run.history_complete || !run.observations_complete && contents.is_empty() {
        findings.undecided(finding(
            "the run directory is a prefix: writes and deletes may be missing from it, and any of them could explain what the members hold",
            vec![],
        ));
        return findings.report(Guarantee::Durable, ENGINE, String::new(), figures);
    }
    if contents.is_empty() {
        findings.undecided(finding(
            "no member's content was read at the end, so nothing shows whether acknowledged writes are still there",
            contents.missing.iter().map(|(member, why)| format!("{member}: {why}.")).collect(),
        ));
        return findings.report(Guarantee::Durable, ENGINE, String::new(), figures);
    }

    let quiet = Quiet::of(run, &roster);
    let mut judged = 0_u64;
    let mut by_loss: BTreeMap<String, (Vec<&str>, Vec<Loss<'_, '_>>)> = BTreeMap::new();
    for member in roster.members() {
        match judgeable(member, &contents, &quiet) {
            Ok((content, before)) => {
                judged += 1;
                let losses = losses(content, before, &events);
                if !losses.is_empty() {
                    let same = losses.iter().map(Loss::identity).collect();
                    let group = by_loss.entry(same).or_insert((vec![], losses));
                    group.0.push(member);
                }
            }
            Err(why) => {
                let mut unread = finding(
                    format!(
                        "whether {member} still holds every acknowledged write could not be judged: {why}"
                    ),
                    vec![],
                );
                unread.members = vec![member.to_owned()];
                findings.undecided(unread);
            }
        }
    }
    for (members, losses) in by_loss.into_values() {
        for grouped in [Kind::Lost, Kind::Undeleted, Kind::FromNowhere] {
            let of_kind: Vec<_> = losses.iter().filter(|loss| loss.kind == grouped).collect();
            if !of_kind.is_empty() {
                findings.broken(report(grouped, &members, &of_kind));
            }
        }
    }
    figures.push(("members_judged".to_owned(), judged));
    let holds = format!(
        "all {} are there or were overwritten or deleted since, on {}",
        count(acknowledged, "acknowledged write"),
        count(usize::try_from(judged).unwrap_or(usize::MAX), "member"),
    );
    findings.report(Guarantee::Durable, ENGINE, holds, figures)
}

/// A member's content, if it must hold every write that was acknowledged before a time, and that
/// time.
fn judgeable<'c, 'a>(
    member: &str,
    contents: &'c Contents<'a>,
    quiet: &Quiet<'_>,
) -> Result<(&'c Content<'a>, u64), String> {
    let own = contents.serializable.get(member);
    let quorum = contents.linearizable.get(member);
    match (own, quorum) {
        (Some(own), Some(quorum)) if quorum.asked.until <= own.asked.at => {
            Ok((own, quorum.asked.at))
        }
        (Some(own), _) if quiet.is_newest(member) => Ok((own, quiet.began.min(own.asked.at))),
        (_, Some(quorum)) => Ok((quorum, quorum.asked.at)),
        (Some(_), None) => Err(
            "it was read from its own state alone, and was not seen to have applied as much as the others".to_owned(),
        ),
        (None, None) => Err(contents
            .missing
            .get(member)
            .cloned()
            .unwrap_or_else(|| "its content was not read".to_owned())),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lost,
    Undeleted,
    FromNowhere,
}

/// One key for which a member's content cannot be explained.
struct Loss<'c, 'a> {
    kind: Kind,
    key: &'a Bytes,
    content: &'c Content<'a>,
    /// The last of the writes that are gone.
    write: Option<&'c Write<'a>>,
    /// The delete that was undone.
    removal: Option<&'c events::Removal<'a>>,
    /// The latest time at which what is there can have been written.
    stale_since: Option<u64>,
    /// A request that carried what is there, though without effect.
    carrier: Option<&'c Op<'a>>,
    /// Acknowledged writes of the key that are gone.
    writes: usize,
}

impl<'c, 'a> Loss<'c, 'a> {
    fn new(kind: Kind, key: &'a Bytes, content: &'c Content<'a>) -> Self {
        Self {
            kind,
            key,
            content,
            write: None,
            removal: None,
            stale_since: None,
            carrier: None,
            writes: 0,
        }
    }

    /// What two members must have in common to be told of together.
    fn identity(&self) -> String {
        let held = self.content.keys.get(self.key).map(|kv| &kv.value);
        format!("{:?} {:?} {:?} {};", self.kind, self.key, held, self.writes)
    }
}

fn losses<'c, 'a>(
    content: &'c Content<'a>,
    before: u64,
    events: &'c Events<'a>,
) -> Vec<Loss<'c, 'a>> {
    let mut losses = Vec::new();
    for (&key, writes) in events.writes.iter().filter(|(key, _)| content.covers(key)) {
        let loss = |kind| Loss::new(kind, key, content);
        let acknowledged = || {
            writes.iter().filter(|write| {
                write.acknowledged && write.value.is_some() && write.latest <= before
            })
        };
        let Some(kv) = content.keys.get(key) else {
            let removable = events.latest_removal(key, content.asked.until);
            let gone: Vec<_> = acknowledged()
                .filter(|write| !removable.explains(write))
                .collect();
            if let Some(last) = gone.iter().max_by_key(|write| write.op.at) {
                let writes = gone.len();
                losses.push(Loss {
                    write: Some(*last),
                    writes,
                    ..loss(Kind::Lost)
                });
            }
            continue;
        };
        let Some(latest) = events.latest_write(key, &kv.value) else {
            let carrier = events.carrier(key, &kv.value);
            losses.push(Loss {
                carrier,
                ..loss(Kind::FromNowhere)
            });
            continue;
        };
        let gone: Vec<_> = acknowledged()
            .filter(|write| write.op.at > latest)
            .collect();
        if let Some(last) = gone.iter().max_by_key(|write| write.op.at) {
            let (write, stale_since) = (Some(*last), Some(latest));
            losses.push(Loss {
                write,
                stale_since,
                writes: gone.len(),
                ..loss(Kind::Lost)
            });
            continue;
        }
        let undone = events.removals(key).filter(|removal| {
            removal.acknowledged && removal.latest <= before && removal.op.at > latest
        });
        if let Some(last) = undone.max_by_key(|removal| removal.op.at) {
            let (removal, stale_since) = (Some(last), Some(latest));
            losses.push(Loss {
                removal,
                stale_since,
                ..loss(Kind::Undeleted)
            });
        }
    }
    for (&key, kv) in content
        .keys
        .iter()
        .filter(|(key, _)| !events.writes.contains_key(**key))
    {
        let carrier = events.carrier(key, &kv.value);
        losses.push(Loss {
            carrier,
            ..Loss::new(Kind::FromNowhere, key, content)
        });
    }
    losses
}

fn report(kind: Kind, members: &[&str], losses: &[&Loss<'_, '_>]) -> Finding {
    let names = and(members);
    let first = losses.first();
    let key = first.map_or_else(String::new, |loss| loss.key.to_string());
    let title = match kind {
        Kind::Lost => {
            let writes: usize = losses.iter().map(|loss| loss.writes).sum();
            format!(
                "{} of {} {} gone on {names}, first on {key}: what is there now is older, and nothing removed them",
                count(writes, "acknowledged write"),
                count(losses.len(), "key"),
                verb(writes, "is", "are"),
            )
        }
        Kind::Undeleted => format!(
            "{} {} back on {names}, first {key}, after an acknowledged delete and with no write since",
            count(losses.len(), "deleted key"),
            verb(losses.len(), "is", "are"),
        ),
        Kind::FromNowhere => format!(
            "{} on {names} {} a value that no request can have written, first {key}",
            count(losses.len(), "key"),
            verb(losses.len(), "has", "have"),
        ),
    };
    let mut found = finding(title, vec![]);
    for loss in losses.iter().take(SAMPLES_MAX) {
        found.explanation.push(explain(loss));
        found.keys.push(loss.key.to_string());
        let op = loss
            .write
            .map(|w| w.op)
            .or(loss.removal.map(|r| r.op))
            .or(loss.carrier.copied());
        if let Some(op) = op {
            cite(&mut found, op.source);
        }
        found
            .revisions
            .extend(loss.content.keys.get(loss.key).map(|kv| kv.mod_revision));
        let id = loss.content.asked.id;
        if !found.observations.contains(&id) {
            found.observations.push(id);
        }
    }
    if losses.len() > SAMPLES_MAX {
        found.explanation.push(format!(
            "{} more keys likewise.",
            losses.len() - SAMPLES_MAX
        ));
    }
    found.explanation.push(match kind {
        Kind::Lost | Kind::Undeleted => "An answered request took effect before its answer, and one that was sent later takes effect later: so the older state cannot be the last.".to_owned(),
        Kind::FromNowhere => "Every request of clients and harness is recorded before it is sent; failed ones count as possible writers unless the failure proves that they had no effect.".to_owned(),
    });
    found.members = owned(members);
    found.at = first.map(|loss| loss.content.asked.until);
    found
}

fn explain(loss: &Loss<'_, '_>) -> String {
    let read = format!(
        "{} read at {} holds {}",
        loss.content.member,
        ms(loss.content.asked.at),
        describe(loss.content.keys.get(loss.key).copied()),
    );
    let since = loss.stale_since.map_or_else(String::new, |latest| {
        format!(", whose last put was answered at {}", ms(latest))
    });
    if let Some(write) = loss.write {
        let value = write
            .value
            .map_or_else(String::new, |value| quote(&value.to_string()));
        let excuse = if loss.stale_since.is_some() {
            since
        } else {
            ", and no delete or lease end can have come after".to_owned()
        };
        return format!(
            "{}: {} through {} put {value}, sent at {}, acknowledged at {}; {read}{excuse}.",
            loss.key,
            write.op.name(),
            write.op.member,
            ms(write.op.at),
            ms(write.latest),
        );
    }
    if let Some(removal) = loss.removal {
        return format!(
            "{}: {} through {} was sent at {} and acknowledged at {}; {read}{since}.",
            loss.key,
            removal.op.name(),
            removal.op.member,
            ms(removal.op.at),
            ms(removal.latest),
        );
    }
    let origin = loss.carrier.map_or_else(
        || "which is in no request of this key".to_owned(),
        |op| {
            let why = match op.outcome {
                Some(outcome) if op.class == Class::Definite => {
                    format!("failed with {}", error_text(outcome))
                }
                _ => "was answered as having taken its other branch".to_owned(),
            };
            format!(
                "which {} through {} carried, and that {why}",
                op.name(),
                op.member
            )
        },
    );
    format!("{}: {read}, {origin}.", loss.key)
}
