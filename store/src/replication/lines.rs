//! Raft's own log lines, written as this store's.

use slog::{Drain, Level, Logger, OwnedKVList, Record, o};

/// A logger for raft of a member.
pub(super) fn logger(id: u64) -> Logger {
    Logger::root(Lines { id }, o!())
}

struct Lines {
    id: u64,
}

impl Drain for Lines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), slog::Never> {
        let line = format!("{:x} {}", self.id, record.msg());
        match record.level() {
            Level::Trace | Level::Debug => {}
            Level::Info => crate::info!(&line),
            _ => crate::warning!(&line),
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        level.is_at_least(Level::Info)
    }
}
