//! The run's one clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use checker::history::ClockPair;

/// Monotonic nanoseconds since the run's start, with the wall time of that start.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    start: Instant,
    wall_unix_ns: u64,
}

impl RunClock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            start: Instant::now(),
            wall_unix_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wall time of the start, nanoseconds since the Unix epoch.
    #[must_use]
    pub fn wall_start(&self) -> u64 {
        self.wall_unix_ns
    }

    /// Both clocks, now.
    #[must_use]
    pub fn pair(&self) -> ClockPair {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        ClockPair {
            at: self.now(),
            wall_unix_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}
