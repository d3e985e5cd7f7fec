//! What every operation passes: open, or held while the power is going.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
struct Inner {
    frozen: bool,
    inside: u64,
    losses: u64,
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// The power went before the operation took effect.
#[derive(Debug)]
pub(super) struct PowerWent;

/// An operation under way.
#[derive(Debug)]
pub(super) struct Pass<'a>(&'a Gate);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.lock().inside -= 1;
        self.0.changed.notify_all();
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        let woken = self.changed.wait(inner);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of power losses so far: an operation that begins now.
    pub(super) fn now(&self) -> u64 {
        self.lock().losses
    }

    /// Waits while frozen; refuses what began before a power loss.
    pub(super) fn enter(&self, began: u64) -> Result<Pass<'_>, PowerWent> {
        let mut inner = self.lock();
        while inner.frozen && inner.losses == began {
            inner = self.wait(inner);
        }
        if inner.losses != began {
            return Err(PowerWent);
        }
        inner.inside += 1;
        Ok(Pass(self))
    }

    /// From the return on no operation takes effect, until [`thaw`](Self::thaw)
    /// or [`lost`](Self::lost).
    pub(super) fn freeze(&self) {
        let mut inner = self.lock();
        inner.frozen = true;
        self.changed.notify_all();
        while inner.inside > 0 {
            inner = self.wait(inner);
        }
    }

    /// What was held takes effect.
    pub(super) fn thaw(&self) {
        self.lock().frozen = false;
        self.changed.notify_all();
    }

    /// What was held is refused.
    pub(super) fn lost(&self) {
        let mut inner = self.lock();
        inner.frozen = false;
        inner.losses += 1;
        drop(inner);
        self.changed.notify_all();
    }

    /// Wakes delays, to look at their condition again.
    pub(super) fn wake(&self) {
        let _inner = self.lock();
        self.changed.notify_all();
    }

    /// Waits until then; or until frozen, or until `cut_short` is true after a
    /// [`wake`](Self::wake).
    pub(super) fn delay(&self, until: Instant, cut_short: impl Fn() -> bool) {
        let mut inner = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || inner.frozen || cut_short() {
                return;
            }
            let woken = self.changed.wait_timeout(inner, left);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
