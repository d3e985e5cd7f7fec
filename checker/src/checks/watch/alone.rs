//! What one watch shows by itself, and held against what is known of each revision.

use std::collections::{HashMap, HashSet};

use super::broken::{Breach, Breaches, Property, content, event_words};
use super::previous::follows;
use super::stream::Watch;
use super::truth::{AtOdds, Difference, Fact, Teller, Truth};
use crate::checks::content::in_range;
use crate::checks::findings::ms;
use crate::history::{Bytes, Event, EventKind, WatchDelivery, WatchResponse};

/// What a watch has delivered so far.
#[derive(Default)]
pub(super) struct Delivered<'a> {
    pub(super) breaches: Breaches,
    /// Every event, by revision and key.
    pub(super) events: HashSet<(i64, &'a Bytes)>,
    /// Revision and time of the first event.
    pub(super) first: Option<(i64, u64)>,
    /// Revision and time of the event with the highest revision.
    pub(super) highest: Option<(i64, u64)>,
    /// The highest revision that progress was told of, and when.
    pub(super) progress: Option<(i64, u64)>,
    /// How many messages told of progress.
    pub(super) bookmarks: u64,
    /// The revision that the last message ended with, unless it announced that more follows.
    ended_with: Option<(i64, u64)>,
    last_of: HashMap<&'a Bytes, &'a Event>,
}

impl<'a> Delivered<'a> {
    /// Reads a watch's messages in order, and adds what they say to the truth.
    pub(super) fn of(watch: &Watch<'a>, truth: &mut Truth<'a>, foreign_compactions: bool) -> Self {
        let mut delivered = Self::default();
        let from = watch.from();
        for message in &watch.messages {
            let response = &message.response;
            if response.canceled {
                delivered.canceled(message, from, truth, foreign_compactions);
            } else if !response.created && response.events.is_empty() {
                delivered.bookmark(message);
            }
            delivered.whole(response, message.at);
            for event in &response.events {
                delivered.event(watch, from, event, message.at);
                delivered.told(watch, event, message.at, truth, foreign_compactions);
            }
        }
        delivered
    }

    fn bookmark(&mut self, message: &WatchDelivery) {
        let revision = message.response.header.revision;
        self.bookmarks += 1;
        if let Some((highest, at)) = self.highest.filter(|(highest, _)| *highest > revision) {
            self.breaches.add(
                Breach::new(
                    Property::Bookmarkable,
                    message.at,
                    format!(
                        "got progress to revision {revision} after an event of revision {highest}"
                    ),
                )
                .because(format!(
                    "The event came at {}, the progress at {}.",
                    ms(at),
                    ms(message.at)
                ))
                .at_revisions(&[highest, revision]),
            );
        }
        match self.progress {
            Some((before, at)) if before > revision => self.breaches.add(
                Breach::new(
                    Property::Bookmarkable,
                    message.at,
                    format!(
                        "got progress to revision {revision} after progress to revision {before}"
                    ),
                )
                .because(format!("They came at {} and {}.", ms(at), ms(message.at)))
                .at_revisions(&[before, revision]),
            ),
            Some((before, _)) if before == revision => {}
            _ => self.progress = Some((revision, message.at)),
        }
    }

    /// A cancel for compaction needs a compaction above what the watch still had to deliver.
    fn canceled(
        &mut self,
        message: &WatchDelivery,
        from: Option<i64>,
        truth: &Truth<'a>,
        foreign_compactions: bool,
    ) {
        let compacted = message.response.compact_revision;
        if compacted <= 0 || foreign_compactions {
            return;
        }
        let after_events = self.highest.map_or(0, |(revision, _)| revision + 1);
        let next = from.unwrap_or(0).max(after_events);
        let asked = truth
            .compaction_at(compacted)
            .filter(|op| op.at <= message.at);
        let breach = Breach::new(
            Property::Resumable,
            message.at,
            format!("was cancelled as compacted at {compacted} when revision {next} was its next"),
        )
        .at_revisions(&[compacted, next]);
        match asked {
            None => self.breaches.add(breach.because(format!(
                "Nobody had asked for a compaction at revision {compacted} by {}.",
                ms(message.at)
            ))),
            Some(op) if next > 0 && compacted <= next => self.breaches.add(
                breach
                    .because(format!(
                        "The {} at {} keeps revision {compacted} and all after it.",
                        op.name(),
                        ms(op.at)
                    ))
                    .cites(op.source),
            ),
            Some(_) => {}
        }
    }

    /// Whether a revision is split between this message and the one before.
    fn whole(&mut self, response: &WatchResponse, at: u64) {
        let (Some(first), Some(last)) = (response.events.first(), response.events.last()) else {
            return;
        };
        let first = first.kv.mod_revision;
        if let Some((_, before)) = self.ended_with.filter(|(revision, _)| *revision == first) {
            self.breaches.add(
                Breach::new(
                    Property::Atomic,
                    at,
                    format!("got events of revision {first} in two messages"),
                )
                .because(format!("They came at {} and {}.", ms(before), ms(at)))
                .at_revisions(&[first]),
            );
        }
        self.ended_with = (!response.fragment).then_some((last.kv.mod_revision, at));
        let highest = response
            .events
            .iter()
            .map(|event| event.kv.mod_revision)
            .max();
        let header = response.header.revision;
        if let Some(highest) = highest.filter(|highest| *highest > header) {
            self.breaches.add(
                Breach::new(
                    Property::Bookmarkable,
                    at,
                    format!(
                        "got an event of revision {highest} in a message whose header says {header}"
                    ),
                )
                .because("The header states the store's revision when the message was made.")
                .at_revisions(&[highest, header]),
            );
        }
    }

    fn event(&mut self, watch: &Watch<'a>, from: Option<i64>, event: &'a Event, at: u64) {
        let revision = event.kv.mod_revision;
        let key = &event.kv.key;
        let breach = |property, title| Breach::of_event(property, at, event, title);
        let request = watch.request;
        let words = event_words(event);
        let unwanted = match event.kind {
            EventKind::Put => request.filter_put,
            EventKind::Delete => request.filter_delete,
        };
        if unwanted || !in_range(key, &request.key, &request.range_end) {
            self.breaches.add(
                breach(
                    Property::Filtered,
                    format!("got {words}, which it had not asked for"),
                )
                .because(format!("It arrived at {}.", ms(at))),
            );
        }
        if let Some(from) = from.filter(|from| revision < *from) {
            let start = match request.start_revision {
                0 => format!(
                    "It was created when the store was at revision {}, and starts after it.",
                    from - 1
                ),
                start => format!("Revision {start} is the first that it asked for."),
            };
            self.breaches.add(
                breach(
                    Property::Filtered,
                    format!("got {words}, before its start revision {from}"),
                )
                .because(start)
                .because(format!("It arrived at {}.", ms(at))),
            );
        }
        if let Some((highest, before)) = self.highest.filter(|(highest, _)| revision < *highest) {
            self.breaches.add(
                breach(
                    Property::Ordered,
                    format!("got {words} after an event of revision {highest}"),
                )
                .because(format!("They arrived at {} and {}.", ms(at), ms(before)))
                .at_revisions(&[highest, revision]),
            );
        }
        if !self.events.insert((revision, key)) {
            self.breaches.add(
                breach(Property::Unique, format!("got {words} twice"))
                    .because(format!("The second arrived at {}.", ms(at))),
            );
        }
        if let Some((progress, told)) = self.progress.filter(|(progress, _)| revision <= *progress)
        {
            self.breaches.add(
                breach(
                    Property::Bookmarkable,
                    format!("was told of progress to revision {progress}, then got {words}"),
                )
                .because(format!(
                    "The progress arrived at {}, the event at {}.",
                    ms(told),
                    ms(at)
                ))
                .at_revisions(&[progress, revision]),
            );
        }
        self.first.get_or_insert((revision, at));
        if self.highest.is_none_or(|(highest, _)| revision > highest) {
            self.highest = Some((revision, at));
        }
    }

    /// Holds an event against the one before of its key and against what else is known.
    fn told(
        &mut self,
        watch: &Watch<'a>,
        event: &'a Event,
        at: u64,
        truth: &mut Truth<'a>,
        foreign_compactions: bool,
    ) {
        let kv = &event.kv;
        let revision = kv.mod_revision;
        let words = event_words(event);
        let breach = |property, title| Breach::of_event(property, at, event, title);
        if event.kind == EventKind::Put && kv.version > 0 && kv.create_revision > 0 {
            let made = kv.create_revision == revision;
            if (kv.version == 1) != made || kv.create_revision > revision {
                self.breaches
                    .add(breach(Property::IsCreate, format!("got {words}")));
            }
        }
        if let Some(before) = self.last_of.insert(&kv.key, event)
            && let Some(broken) = follows(before, event, watch)
        {
            self.breaches.add(
                breach(
                    broken.0,
                    format!("got {} and next {words}", event_words(before)),
                )
                .because(broken.1)
                .at_revisions(&[before.kv.mod_revision, revision]),
            );
        }
        let teller = Teller::Watch(watch.id, watch.member);
        match truth.tell(revision, &kv.key, Fact::of_event(event, teller)) {
            None => {}
            Some(AtOdds::Writer(op)) => self.breaches.add(
                breach(
                    Property::Reliable,
                    format!("got {words}, which nobody wrote"),
                )
                .because(format!(
                    "Revision {revision} was made by the {} through {}, which left {} alone.",
                    op.name(),
                    op.member,
                    kv.key
                ))
                .cites(op.source),
            ),
            Some(AtOdds::Fact(difference, fact)) => {
                let property = match difference {
                    Difference::Content => Property::Reliable,
                    Difference::Creation => Property::IsCreate,
                };
                self.breaches.add(
                    breach(
                        property,
                        format!("got {words}, which is not what happened there"),
                    )
                    .because(format!(
                        "It delivered {}.",
                        content(&Fact::of_event(event, teller))
                    ))
                    .because(format!(
                        "By {} that revision is {} of {}.",
                        fact.teller.words(),
                        content(&fact),
                        kv.key
                    ))
                    .cites(fact.teller.source()),
                );
            }
        }
        if watch.request.prev_kv {
            self.previous(watch, event, at, truth, foreign_compactions);
        }
    }
}
