//! All watchers, by stream and id, and what is done to them under one lock. The store is never
//! asked anything under it: a writer that holds the store's locks waits for this one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Condvar, Mutex, MutexGuard};

use api::pb::mvccpb::Event;
use tokio::sync::mpsc;

use super::watcher::{Place, Watcher};
use super::{Delivery, WatchSpec};
use crate::bugs::{Bug, Bugs};
use crate::mvcc::Observer;

/// Why a watch is not created (server/mvcc/watcher.go).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    EmptyRange,
    DuplicateId,
}

impl Refusal {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::EmptyRange => "mvcc: watcher range is empty",
            Self::DuplicateId => "mvcc: duplicate watch ID provided on the WatchStream",
        }
    }
}

/// A stretch of history: every change with `from <= revision < end`.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) end: i64,
    /// The store's revision when it was read; `end` is at most one more.
    pub(super) rev: i64,
    /// What was compacted when it had been read: changes below may be missing from it.
    pub(super) compact_rev: i64,
    pub(super) events: Vec<Event>,
}

/// The watchers, and the bell that the threads wait for.
pub(super) struct Group {
    state: Mutex<State>,
    pub(super) bell: Condvar,
}

pub(super) struct State {
    /// The revision that the group was told of last.
    told: i64,
    watchers: BTreeMap<(u64, i64), Watcher>,
    /// The id that each stream tries first for its next watch.
    next_ids: BTreeMap<u64, i64>,
    pub(super) stopped: bool,
    bugs: Bugs,
}

impl Group {
    pub(super) fn new(rev: i64, bugs: Bugs) -> Self {
        let state = State {
            told: rev,
            watchers: BTreeMap::new(),
            next_ids: BTreeMap::new(),
            stopped: false,
            bugs,
        };
        Self {
            state: Mutex::new(state),
            bell: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with watchers")
    }

    pub(super) fn wake(&self) {
        self.bell.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.wake();
    }
}

impl Observer for Group {
    fn changed(&self, rev: i64, events: &[Event]) {
        let mut state = self.lock();
        state.told = rev;
        let mut victims = false;
        for watcher in state.watchers.values_mut() {
            if watcher.place == Place::Synced {
                let picked = watcher.pick(events);
                if watcher.offer(rev, picked) {
                    watcher.min_rev = rev + 1;
                    victims = true;
                }
            }
        }
        if victims {
            self.wake();
        }
    }

    fn restored(&self, rev: i64) {
        let mut state = self.lock();
        let State { told, bugs, .. } = *state;
        for watcher in state.watchers.values_mut() {
            if watcher.place == Place::Synced {
                // Planted #15271: whoever was synced begins where it once became so. The right
                // code goes on after what the watcher was told.
                if !bugs.has(Bug::WatchRepeats) {
                    watcher.min_rev = watcher.min_rev.max(told + 1);
                }
                watcher.place = Place::Unsynced;
            }
        }
        state.told = rev;
        self.wake();
    }
}

impl State {
    /// Adds a watch; `rev` is the store's current revision. Gives its id.
    pub(super) fn add(
        &mut self,
        stream: u64,
        id: i64,
        spec: &WatchSpec,
        rev: i64,
        to: &mpsc::Sender<Delivery>,
    ) -> Result<i64, Refusal> {
        if !spec.end.is_empty() && spec.end != [0] && spec.key >= spec.end {
            return Err(Refusal::EmptyRange);
        }
        let id = if id == 0 {
            let next = self.next_ids.entry(stream).or_default();
            while self.watchers.contains_key(&(stream, *next)) {
                *next += 1;
            }
            *next += 1;
            *next - 1
        } else if self.watchers.contains_key(&(stream, id)) {
            return Err(Refusal::DuplicateId);
        } else {
            id
        };
        let min_rev = match spec.start_rev {
            0 => rev + 1,
            start => start,
        };
        let mut watcher = Watcher::new(id, spec, min_rev, to.clone());
        watcher.settle(self.told);
        self.watchers.insert((stream, id), watcher);
        Ok(id)
    }

    /// Whether there was such a watch.
    pub(super) fn remove(&mut self, stream: u64, id: i64) -> bool {
        self.watchers.remove(&(stream, id)).is_some()
    }

    pub(super) fn remove_stream(&mut self, stream: u64) {
        self.next_ids.remove(&stream);
        self.watchers.retain(|(of, _), _| *of != stream);
    }

    /// Delivers the revision if all these watches of a stream have been offered everything up to it.
    pub(super) fn progress_if_synced(&self, stream: u64, ids: RangeInclusive<i64>, answer_as: i64) {
        let told = self.told;
        let keys = (stream, *ids.start())..=(stream, *ids.end());
        let mut watchers = self.watchers.range(keys).map(|(_, watcher)| watcher);
        let synced =
            |watcher: &Watcher| watcher.place == Place::Synced && watcher.start_rev <= told;
        let Some(first) = watchers.next() else { return };
        if synced(first) && watchers.all(synced) {
            let progress = Delivery::Progress {
                watch_id: answer_as,
                rev: told,
            };
            // In a full stream there are events, which say as much: as in etcd, it is left out.
            let _ = first.send(progress);
        }
    }

    pub(super) fn has_unsynced(&self) -> bool {
        self.any(|place| *place == Place::Unsynced)
    }

    pub(super) fn has_victims(&self) -> bool {
        self.any(|place| matches!(place, Place::Victim(_)))
    }

    fn any(&self, is: impl Fn(&Place) -> bool) -> bool {
        self.watchers.values().any(|watcher| is(&watcher.place))
    }

    fn unsynced(&mut self) -> impl Iterator<Item = &mut Watcher> {
        self.watchers
            .values_mut()
            .filter(|watcher| watcher.place == Place::Unsynced)
    }

    /// Cancels watchers that need what is compacted.
    pub(super) fn cancel_compacted(&mut self, compact_rev: i64) {
        let State { told, bugs, .. } = *self;
        for watcher in self.unsynced() {
            if watcher.min_rev >= compact_rev {
                continue;
            }
            let canceled = Delivery::Compacted {
                watch_id: watcher.id,
                compact_rev,
            };
            match watcher.send(canceled) {
                Ok(()) => watcher.place = Place::Compacted,
                // Planted #17529: the watcher goes on from now, as if it had missed nothing. The
                // right code leaves it as it is, and cancels it when the stream has room.
                Err(_) if bugs.has(Bug::WatchSkips) => {
                    watcher.min_rev = told + 1;
                    watcher.place = Place::Synced;
                }
                Err(_) => {}
            }
        }
    }

    /// The first revision that history has to be read from, for watchers that are not compacted.
    pub(super) fn read_from(&mut self, compact_rev: i64) -> Option<i64> {
        self.unsynced()
            .map(|watcher| watcher.min_rev)
            .filter(|rev| *rev >= compact_rev)
            .min()
    }

    /// Offers a stretch of history to those that need it. Whether anybody got further.
    pub(super) fn offer_window(&mut self, window: &Window) -> bool {
        let State { told, bugs, .. } = *self;
        let mut further = false;
        for watcher in self.unsynced() {
            if watcher.min_rev > window.rev {
                // Planted #20221: it starts now, whatever it asked for. The right code keeps a
                // start that is still to come.
                if bugs.has(Bug::WatchEarly) {
                    watcher.min_rev = window.rev + 1;
                }
                watcher.settle(told);
                further = true;
            } else if watcher.min_rev >= window.from.max(window.compact_rev)
                && watcher.min_rev < window.end
            {
                let picked = watcher.pick(&window.events);
                watcher.min_rev = window.end;
                if !watcher.offer(window.rev, picked) {
                    watcher.settle(told);
                }
                further = true;
            }
        }
        further
    }

    /// Offers victims again what they have not got. Whether anybody took it.
    pub(super) fn offer_again(&mut self) -> bool {
        let told = self.told;
        let mut further = false;
        for watcher in self.watchers.values_mut() {
            match std::mem::replace(&mut watcher.place, Place::Unsynced) {
                Place::Victim(delivery) => match watcher.send(delivery) {
                    Ok(()) => {
                        watcher.settle(told);
                        further = true;
                    }
                    Err(delivery) => watcher.place = Place::Victim(delivery),
                },
                place => watcher.place = place,
            }
        }
        further
    }
}
