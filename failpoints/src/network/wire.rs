//! One ordered link as its connections see it: what holds on it now, and what
//! was counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::LinkStats;
use super::effect::{Effect, Loss, Slow};

/// What all effects on one ordered link come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    held: bool,
    lost: bool,
    pub(super) slow: Slow,
}

impl Rules {
    /// With one effect more. Resets have no rule: they end connections.
    pub(super) fn and(mut self, effect: Effect) -> Self {
        match effect {
            Effect::Blackhole(Loss::Held) => self.held = true,
            Effect::Blackhole(Loss::Lost) => self.lost = true,
            Effect::Slow(slow) => self.slow = self.slow.and(slow),
            Effect::Reset => {}
        }
        self
    }

    /// Whether bytes pass, however slowly.
    pub(super) fn passes(&self) -> bool {
        !self.held && !self.lost
    }

    /// Whether bytes are thrown away.
    pub(super) fn loses(&self) -> bool {
        self.lost
    }
}

/// An ordered link, shared by all its connections.
///
/// A sender delivers while it borrows the rules, and changing them waits for
/// borrowers. So once a change is made, no byte passes by the old rules.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) rules: watch::Sender<Rules>,
    /// When the last byte that was let in will have left, under a bandwidth.
    busy_until: Mutex<Option<Instant>>,
    pub(super) accepted: Counter,
    pub(super) reset: Counter,
    pub(super) refused: Counter,
    pub(super) unreachable: Counter,
    pub(super) bytes: Counter,
    pub(super) held: Counter,
    pub(super) lost: Counter,
    pub(super) slowed: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn one(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wire {
    /// Waits until the link lets bytes through.
    pub(super) async fn passing(&self) {
        // The sender is ours, so the wait cannot fail.
        let _ = self.rules.subscribe().wait_for(Rules::passes).await;
    }

    /// Takes this many bytes' time on the link, after all that was let in
    /// before, and says how long from now until they have left.
    pub(super) fn reserve(&self, bytes: usize, bytes_per_second: u64) -> Duration {
        let now = Instant::now();
        let mut busy = self
            .busy_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let taken = Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
        let until = busy.map_or(now, |until| until.max(now)) + taken;
        *busy = Some(until);
        until - now
    }

    pub(super) fn set(&self, rules: Rules) {
        self.rules.send_if_modified(|now| {
            let changed = *now != rules;
            *now = rules;
            changed
        });
        if rules.slow.bytes_per_second.is_none() {
            *self
                .busy_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    pub(super) fn read(&self) -> LinkStats {
        LinkStats {
            accepted: self.accepted.read(),
            reset: self.reset.read(),
            refused: self.refused.read(),
            unreachable: self.unreachable.read(),
            bytes: self.bytes.read(),
            held: self.held.read(),
            lost: self.lost.read(),
            slowed: self.slowed.read(),
        }
    }
}
