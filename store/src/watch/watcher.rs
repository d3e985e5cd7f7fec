//! One watch: what it is for, and how far it got.

use api::pb::mvccpb::Event;
use api::pb::mvccpb::event::EventType;
use tokio::sync::mpsc;

use super::{Delivery, WatchSpec};
use crate::mvcc::Keys;

/// Where a watch is kept.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// It was offered all that the group was told of.
    Synced,
    /// History has to be read for it.
    Unsynced,
    /// Its stream had no room for this.
    Victim(Delivery),
    /// It was cancelled because it fell behind a compaction.
    Compacted,
}

/// A watch of a stream.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) id: i64,
    pub(super) start_rev: i64,
    /// The first revision that it has not been offered; kept exact while it is not synced.
    pub(super) min_rev: i64,
    pub(super) place: Place,
    key: Vec<u8>,
    end: Vec<u8>,
    no_put: bool,
    no_delete: bool,
    to: mpsc::Sender<Delivery>,
}

impl Watcher {
    pub(super) fn new(id: i64, spec: &WatchSpec, min_rev: i64, to: mpsc::Sender<Delivery>) -> Self {
        Self {
            id,
            start_rev: spec.start_rev,
            min_rev,
            place: Place::Unsynced,
            key: spec.key.clone(),
            end: spec.end.clone(),
            no_put: spec.no_put,
            no_delete: spec.no_delete,
            to,
        }
    }

    /// Those of these events that it is for and has not been offered.
    pub(super) fn pick(&self, events: &[Event]) -> Vec<Event> {
        let wanted = |event: &&Event| {
            let kept = match event.r#type() {
                EventType::Put => !self.no_put,
                EventType::Delete => !self.no_delete,
            };
            let kv = event.kv.as_ref();
            kept && kv.is_some_and(|kv| kv.mod_revision >= self.min_rev && self.covers(&kv.key))
        };
        events.iter().filter(wanted).cloned().collect()
    }

    fn covers(&self, key: &[u8]) -> bool {
        let keys = Keys {
            key: &self.key,
            end: &self.end,
        };
        keys.contains(key)
    }

    /// Offers it a delivery; gives it back when the stream is full. Whether anybody still receives
    /// is not asked: a stream whose receiver is gone is about to be dropped.
    pub(super) fn send(&self, delivery: Delivery) -> Result<(), Delivery> {
        match self.to.try_send(delivery) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(delivery)) => Err(delivery),
        }
    }

    /// Offers it events, if there are any; they stay with it when the stream is full. Whether it
    /// became a victim.
    pub(super) fn offer(&mut self, rev: i64, events: Vec<Event>) -> bool {
        if events.is_empty() {
            return false;
        }
        let watch_id = self.id;
        let delivery = Delivery::Events {
            watch_id,
            rev,
            events,
        };
        match self.send(delivery) {
            Ok(()) => false,
            Err(delivery) => {
                self.place = Place::Victim(delivery);
                true
            }
        }
    }

    /// Puts it where it belongs when the group has been told of revisions up to `told`.
    pub(super) fn settle(&mut self, told: i64) {
        self.place = if self.min_rev > told {
            Place::Synced
        } else {
            Place::Unsynced
        };
    }
}
