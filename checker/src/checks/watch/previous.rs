//! An event and the one before it of its key: as the store says it was, and as the watch has it.

use super::alone::Delivered;
use super::broken::{Breach, Property, content, event_words};
use super::stream::Watch;
use super::truth::{AtOdds, Fact, Teller, Truth};
use crate::checks::findings::{ms, quote};
use crate::history::{Event, EventKind};

impl<'a> Delivered<'a> {
    /// Judges the key-value before an event, of a watch that asked for it.
    pub(super) fn previous(
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
        let breach = |title| Breach::of_event(Property::PrevKv, at, event, title);
        let makes = event.kind == EventKind::Put && kv.version == 1;
        let Some(before) = &event.prev_kv else {
            let known = event.kind == EventKind::Delete || kv.version > 1;
            if known && !foreign_compactions && truth.compacted_before(at) < revision {
                self.breaches.add(
                    breach(format!("got {words} without the key-value before it"))
                        .because(format!(
                            "No compaction at {revision} or above was asked for before {}, so it was still there.",
                            ms(at)
                        )),
                );
            }
            return;
        };
        let shown = format!(
            "{} put at {} (version {}, made at {})",
            quote(&before.value.to_string()),
            before.mod_revision,
            before.version,
            before.create_revision
        );
        let wrong = |why: String| {
            breach(format!("got {words} with the wrong key-value before it"))
                .because(format!("Before it, it says, was {shown}."))
                .because(why)
        };
        if makes {
            return self.breaches.add(wrong(
                "The event made the key, so there was none.".to_owned(),
            ));
        }
        let version_fits = kv.version == 0
            || before.version == 0
            || before.version + 1 == kv.version
                && (before.create_revision == 0 || before.create_revision == kv.create_revision);
        if before.key != kv.key
            || before.mod_revision >= revision
            || event.kind == EventKind::Put && !version_fits
        {
            return self
                .breaches
                .add(wrong("The two do not follow each other.".to_owned()));
        }
        if let Some((other, fact)) = truth.between(&kv.key, before.mod_revision, revision) {
            let broken = wrong(format!(
                "By {} the key changed at revision {other}, in between.",
                fact.teller.words()
            ))
            .cites(fact.teller.source());
            return self.breaches.add(broken);
        }
        let teller = Teller::Watch(watch.id, watch.member);
        let told = truth.tell(before.mod_revision, &kv.key, Fact::shown(before, teller));
        let broken = match told {
            None => return,
            Some(AtOdds::Writer(op)) => wrong(format!(
                "Revision {} was made by the {} through {}, which left the key alone.",
                before.mod_revision,
                op.name(),
                op.member
            ))
            .cites(op.source),
            Some(AtOdds::Fact(_, fact)) => wrong(format!(
                "By {} revision {} is {}.",
                fact.teller.words(),
                before.mod_revision,
                content(&fact)
            ))
            .cites(fact.teller.source()),
        };
        self.breaches.add(broken);
    }
}

/// Why two events of a key cannot follow each other on a watch. A put's version counts the puts
/// since its create revision.
pub(super) fn follows(
    before: &Event,
    event: &Event,
    watch: &Watch<'_>,
) -> Option<(Property, String)> {
    let (old, new) = (&before.kv, &event.kv);
    if new.mod_revision <= old.mod_revision {
        return None; // Ordered and unique say so.
    }
    let missing = |what: String| Some((Property::Reliable, what));
    match (before.kind, event.kind) {
        (EventKind::Delete, EventKind::Delete) if !watch.request.filter_put => {
            missing("Between two deletes of a key there is a put.".to_owned())
        }
        (_, EventKind::Delete) => None,
        _ if new.version == 0 || new.create_revision == 0 => None,
        _ if before.kind == EventKind::Put && old.version == 0 => None,
        (EventKind::Put, EventKind::Put) if new.create_revision == old.create_revision => {
            match new.version - old.version {
                1 => None,
                step if step > 1 => missing(format!(
                    "{} puts of the key are missing between them.",
                    step - 1
                )),
                _ => Some((
                    Property::IsCreate,
                    "Versions of a key grow with each put until it is deleted.".to_owned(),
                )),
            }
        }
        _ if new.create_revision <= old.mod_revision => Some((
            Property::IsCreate,
            "The create revision of the second belongs to neither.".to_owned(),
        )),
        _ if new.version > 1 => missing(format!(
            "The put that made the key at revision {} is missing between them.",
            new.create_revision
        )),
        (EventKind::Put, EventKind::Put) if !watch.request.filter_delete => {
            missing("The second made the key anew, so a delete is missing between them.".to_owned())
        }
        _ => None,
    }
}
