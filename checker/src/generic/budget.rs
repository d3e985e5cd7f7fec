//! What a search may spend.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Options;

/// Why a search ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    Configurations,
    Bytes,
    Stopped,
    /// Another part is violated: nobody needs this one's answer.
    Moot,
}

impl Exhausted {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Configurations => "the budget of configurations ran out",
            Self::Bytes => "the budget of bytes ran out",
            Self::Stopped => "the check was stopped",
            Self::Moot => "another part is violated",
        }
    }
}

/// Insertions between two looks at the budget, at most.
const SOON: usize = 4;

/// Bytes that a vector holds, and will hold soon.
pub(super) fn vec_bytes<T>(vec: &Vec<T>) -> usize {
    let held = vec.capacity() * size_of::<T>();
    let grows = vec.capacity() - vec.len() < SOON;
    held + if grows {
        held.max(SOON * size_of::<T>())
    } else {
        0
    }
}

/// Bytes that a hash table of so many entries and this capacity holds, and will hold soon. While
/// it grows, there are two.
pub(super) fn table_bytes<Entry>(len: usize, capacity: usize) -> usize {
    // One byte beside each entry, and one in eight places free (`hashbrown`).
    let held = capacity * 8 / 7 * (size_of::<Entry>() + 1);
    let grows = capacity - len < SOON;
    held + if grows {
        2 * held.max(SOON * size_of::<Entry>())
    } else {
        0
    }
}

/// Shared by the parts of one check.
pub(super) struct Budget<'a> {
    configurations: AtomicU64,
    pub(super) bytes_each: usize,
    pub(super) frontier_max: usize,
    pub(super) moot: AtomicBool,
    stop: Option<&'a AtomicBool>,
}

/// Configurations drawn from the shared budget at a time.
const DRAW: u64 = 256;

impl<'a> Budget<'a> {
    pub(super) fn new(options: &Options<'a>, configurations: u64, parts_at_a_time: usize) -> Self {
        Self {
            configurations: AtomicU64::new(configurations),
            bytes_each: options.bytes_max / parts_at_a_time.max(1),
            frontier_max: options.frontier_max,
            moot: AtomicBool::new(false),
            stop: options.stop,
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.configurations.load(Ordering::Relaxed)
    }

    fn draw(&self) -> Result<u64, Exhausted> {
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Exhausted::Stopped);
        }
        if self.moot.load(Ordering::Relaxed) {
            return Err(Exhausted::Moot);
        }
        let take = |left: u64| Some(left.saturating_sub(DRAW));
        let before = self
            .configurations
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .unwrap_or(0);
        match before.min(DRAW) {
            0 => Err(Exhausted::Configurations),
            drawn => Ok(drawn),
        }
    }
}

/// One search's purse.
pub(super) struct Purse<'a, 'b> {
    pub(super) budget: &'a Budget<'b>,
    drawn: u64,
}

impl<'a, 'b> Purse<'a, 'b> {
    pub(super) fn new(budget: &'a Budget<'b>) -> Self {
        Self { budget, drawn: 0 }
    }

    /// Pays for one configuration; `bytes` is what the search holds, and what it will next.
    pub(super) fn pay(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.budget.bytes_each {
            return Err(Exhausted::Bytes);
        }
        if self.drawn == 0 {
            self.drawn = self.budget.draw()?;
        }
        self.drawn -= 1;
        Ok(())
    }
}

impl Drop for Purse<'_, '_> {
    fn drop(&mut self) {
        self.budget
            .configurations
            .fetch_add(self.drawn, Ordering::Relaxed);
    }
}
