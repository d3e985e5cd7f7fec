//! Watch: what watches deliver is what was written, whole, in order and once.
//!
//! The promises are those of etcd's documentation (`learning/api_guarantees`, "Watch APIs") and of
//! its robustness test (`tests/robustness/validate/watch.go`), under their names: filtered, ordered,
//! unique, atomic, bookmarkable, resumable, reliable, prev-kv, is-create.
//!
//! What is read: every watch of the history with its messages, and, for what happened at each
//! revision, every acknowledged write, every key-value that an answer shows, and the events of the
//! other watches. A write of unknown result counts once something shows it. So nothing is guessed:
//! an event is missing only if a request, an answer or another watch shows that it happened, and
//! the watch has gone past it. What a watch has not come to yet is not missing.
//!
//! Revisions that two acknowledged writes both claim are left out: who is right there is for the
//! linearizability check to say.
//!
//! Time and memory grow with messages, events and answers; each is looked at once, and what is
//! known of a watch's keys once more for each watch.

mod alone;
mod broken;
mod previous;
mod stream;
mod truth;

use self::alone::Delivered;
use self::broken::{Breach, Property, content};
use self::stream::Watch;
use self::truth::Truth;
use super::findings::{Findings, count, finding, ms, not_run};
use super::run::Run;
use crate::history::EventKind;
use crate::verdict::{CheckReport, Guarantee};

/// How the verdict is reached, as in reports.
pub const ENGINE: &str = "events-by-revision 1";

/// Judges it.
#[must_use]
pub fn check(run: &Run<'_>) -> CheckReport {
    let watches = Watch::all(run);
    if watches.is_empty() {
        return not_run(
            Guarantee::Watch,
            ENGINE,
            "no client watched anything in this run",
        );
    }
    let mut truth = Truth::of(&run.operations());
    let delivered: Vec<_> = watches
        .iter()
        .map(|watch| Delivered::of(watch, &mut truth, run.foreign_compactions))
        .collect();
    let events: usize = delivered.iter().map(|watch| watch.events.len()).sum();
    let bookmarks: u64 = delivered.iter().map(|watch| watch.bookmarks).sum();
    if events == 0 && bookmarks == 0 {
        let why = "no watch of this run delivered an event or told of progress";
        return not_run(Guarantee::Watch, ENGINE, why);
    }
    let mut findings = Findings::default();
    let mut lost = Vec::new();
    for (watch, mut delivered) in watches.iter().zip(delivered) {
        if watch
            .counted
            .is_some_and(|n| n != watch.messages.len() as u64)
        {
            lost.push(watch.name());
        }
        missing(watch, &mut delivered, &truth);
        for found in delivered.breaches.findings(watch) {
            findings.broken(found);
        }
    }
    if let Some(first) = lost.first() {
        findings.undecided(finding(
            format!(
                "messages of {} are missing from the history, first of {first}",
                count(lost.len(), "watch stream")
            ),
            vec!["The client counted more or fewer than were recorded.".to_owned()],
        ));
    }
    if let (Some(first), Some(last)) = (truth.disputed.first(), truth.disputed.last()) {
        let mut torn = finding(
            format!(
                "what watches show of {} was not judged: answers contradict each other about it",
                count(truth.disputed.len(), "revision")
            ),
            vec![format!("They are between {first} and {last}.")],
        );
        torn.revisions = vec![*first, *last];
        findings.undecided(torn);
    }
    let holds = format!(
        "{} of {} came in order, whole and once, with none missing; {} of progress kept",
        count(events, "event"),
        count(watches.len(), "watch stream"),
        count(usize::try_from(bookmarks).unwrap_or(usize::MAX), "message"),
    );
    let figures = vec![
        ("watches".to_owned(), watches.len() as u64),
        ("events".to_owned(), events as u64),
        ("progress".to_owned(), bookmarks),
        (
            "acknowledged_revisions".to_owned(),
            truth.acknowledged() as u64,
        ),
    ];
    findings.report(Guarantee::Watch, ENGINE, holds, figures)
}

/// Finds what a watch has gone past without delivering it.
fn missing<'a>(watch: &Watch<'a>, delivered: &mut Delivered<'a>, truth: &Truth<'a>) {
    let request = watch.request;
    let Some(low) = watch
        .from()
        .or(delivered.first.map(|(revision, _)| revision))
    else {
        return;
    };
    let last_event = delivered.highest.map_or(0, |(revision, _)| revision);
    let Some(high) = delivered
        .highest
        .max(delivered.progress)
        .map(|(high, _)| high)
    else {
        return;
    };
    for (revision, key, fact) in truth.within(&request.key, &request.range_end, (low, high)) {
        let wanted = match fact.kind {
            EventKind::Put => !request.filter_put,
            EventKind::Delete => !request.filter_delete,
        };
        if !wanted || delivered.events.contains(&(revision, key)) {
            continue;
        }
        let first = delivered.first.map_or(i64::MAX, |(revision, _)| revision);
        let (property, past, at) = if revision > last_event {
            let (progress, at) = delivered.progress.unwrap_or_default();
            let past = format!("was told of progress to revision {progress}");
            (Property::Bookmarkable, past, at)
        } else {
            let (_, at) = delivered.highest.unwrap_or_default();
            let past = format!("went on to revision {last_event}");
            match request.start_revision > 0 && revision < first {
                true => (
                    Property::Resumable,
                    format!("from revision {low} on {past}"),
                    at,
                ),
                false => (Property::Reliable, past, at),
            }
        };
        let kind = match fact.kind {
            EventKind::Put => "put",
            EventKind::Delete => "delete",
        };
        delivered.breaches.add(
            Breach::new(
                property,
                at,
                format!("{past} without the {kind} of {key} at revision {revision}"),
            )
            .because(format!(
                "By {} revision {revision} is {} of {key}.",
                fact.teller.words(),
                content(fact)
            ))
            .because(format!(
                "The watch asks for it, and was past it at {}.",
                ms(at)
            ))
            .cites(fact.teller.source())
            .at_revisions(&[revision, high])
            .of_key(key),
        );
    }
}
