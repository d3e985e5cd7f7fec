//! What is broken: etcd's names for the promises of a watch, and findings.

use std::collections::BTreeMap;

use super::stream::Watch;
use super::truth::Fact;
use crate::checks::findings::{finding, quote};
use crate::checks::run::{Source, cite};
use crate::history::{Event, EventKind};
use crate::verdict::Finding;

/// A promise of a watch, by the name that etcd's documentation or robustness test gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Property {
    Filtered,
    Ordered,
    Unique,
    Atomic,
    Bookmarkable,
    Resumable,
    Reliable,
    PrevKv,
    IsCreate,
}

impl Property {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::Ordered => "ordered",
            Self::Unique => "unique",
            Self::Atomic => "atomic",
            Self::Bookmarkable => "bookmarkable",
            Self::Resumable => "resumable",
            Self::Reliable => "reliable",
            Self::PrevKv => "prev-kv",
            Self::IsCreate => "is-create",
        }
    }

    fn promise(self) -> &'static str {
        match self {
            Self::Filtered => {
                "A watch delivers only events of the keys, kinds and revisions that were asked for."
            }
            Self::Ordered => "Events of a watch are ordered by revision.",
            Self::Unique => "No event appears twice on a watch.",
            Self::Atomic => "The events of one revision come in one message.",
            Self::Bookmarkable => {
                "Progress at a revision says that every event up to it was delivered."
            }
            Self::Resumable => {
                "A watch that starts in the past delivers every event from its start revision on, \
                 unless that is compacted."
            }
            Self::Reliable => {
                "What a watch delivers is what was written; between its first and its last event \
                 none is missing."
            }
            Self::PrevKv => {
                "The previous key-value is the one just before the event; it is left out only where \
                 it is compacted."
            }
            Self::IsCreate => {
                "An event's version is 1 if and only if it made the key, and then its create \
                 revision is its own."
            }
        }
    }
}

/// One breach.
pub(super) struct Breach {
    pub(super) property: Property,
    /// What was delivered, after the watch's name.
    pub(super) title: String,
    pub(super) explanation: Vec<String>,
    pub(super) sources: Vec<Source>,
    pub(super) revisions: Vec<i64>,
    pub(super) key: Option<String>,
    pub(super) at: u64,
}

impl Breach {
    pub(super) fn new(property: Property, at: u64, title: String) -> Self {
        Self {
            property,
            title,
            explanation: Vec::new(),
            sources: Vec::new(),
            revisions: Vec::new(),
            key: None,
            at,
        }
    }

    /// Of one event.
    pub(super) fn of_event(property: Property, at: u64, event: &Event, title: String) -> Self {
        Self::new(property, at, title)
            .at_revisions(&[event.kv.mod_revision])
            .of_key(&event.kv.key)
    }

    pub(super) fn because(mut self, line: impl Into<String>) -> Self {
        self.explanation.push(line.into());
        self
    }

    pub(super) fn cites(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    pub(super) fn at_revisions(mut self, revisions: &[i64]) -> Self {
        self.revisions = revisions.to_vec();
        self
    }

    pub(super) fn of_key(mut self, key: impl ToString) -> Self {
        self.key = Some(key.to_string());
        self
    }
}

/// The breaches of one watch: of each property the first is told, or the first that cites another
/// operation, and the others are counted.
#[derive(Default)]
pub(super) struct Breaches {
    by_property: BTreeMap<Property, (Breach, usize)>,
}

impl Breaches {
    pub(super) fn add(&mut self, breach: Breach) {
        match self.by_property.get_mut(&breach.property) {
            None => {
                self.by_property.insert(breach.property, (breach, 0));
            }
            Some((told, more)) => {
                *more += 1;
                if told.sources.is_empty() && !breach.sources.is_empty() {
                    *told = breach;
                }
            }
        }
    }

    pub(super) fn findings(self, watch: &Watch<'_>) -> impl Iterator<Item = Finding> {
        let name = watch.name();
        let member = (!watch.member.is_empty()).then(|| watch.member.to_owned());
        let id = watch.id;
        self.by_property.into_values().map(move |(breach, more)| {
            let property = breach.property;
            let mut found = finding(
                format!("{}: {name} {}", property.name(), breach.title),
                breach.explanation,
            );
            found.explanation.push(property.promise().to_owned());
            if more > 0 {
                found
                    .explanation
                    .push(format!("{more} more of this kind on this watch."));
            }
            cite(&mut found, Source::History(id));
            for source in breach.sources {
                cite(&mut found, source);
            }
            found.members = member.clone().into_iter().collect();
            found.revisions = breach.revisions;
            found.keys = breach.key.into_iter().collect();
            found.at = Some(breach.at);
            found
        })
    }
}

/// An event in a sentence: `a put of k/1 at revision 7 (version 2, made at 5)`.
pub(super) fn event_words(event: &Event) -> String {
    let kv = &event.kv;
    match event.kind {
        EventKind::Put if kv.version > 0 => format!(
            "a put of {} at revision {} (version {}, made at {})",
            kv.key, kv.mod_revision, kv.version, kv.create_revision
        ),
        EventKind::Put => format!("a put of {} at revision {}", kv.key, kv.mod_revision),
        EventKind::Delete => format!("a delete of {} at revision {}", kv.key, kv.mod_revision),
    }
}

/// A fact in a sentence: `a put of "v" (version 2, made at 5, lease 7)`.
pub(super) fn content(fact: &Fact<'_>) -> String {
    if fact.kind == EventKind::Delete {
        return "a delete".to_owned();
    }
    let value = fact.value.map_or_else(String::new, |value| {
        format!(" of {}", quote(&value.to_string()))
    });
    let fields = [
        ("version", fact.version),
        ("made at", fact.create),
        ("lease", fact.lease.filter(|lease| *lease != 0)),
    ];
    let known: Vec<_> = fields
        .into_iter()
        .filter_map(|(name, field)| Some(format!("{name} {}", field?)))
        .collect();
    match known.is_empty() {
        true => format!("a put{value}"),
        false => format!("a put{value} ({})", known.join(", ")),
    }
}
