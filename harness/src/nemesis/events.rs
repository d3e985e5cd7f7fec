//! What steps wait for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{anyhow, bail};
use checker::history::{Purpose, StatusResponse};
use scenarios::plan::{Event, Target, When};

use super::Nemesis;
use crate::cluster::LogTail;

/// Pause between two looks at what costs nothing to look at.
const LOOK: Duration = Duration::from_millis(1);

/// Pause between two questions to a member.
const ASK: Duration = Duration::from_millis(10);

/// Actions under way, each with the member it is at.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<BTreeSet<(&'static str, String)>>>);

/// An action under way, until it is dropped.
pub(super) struct Mark {
    set: InFlight,
    what: (&'static str, String),
}

impl InFlight {
    pub(super) fn mark(&self, action: &'static str, member: &str) -> Mark {
        let what = (action, member.to_owned());
        self.lock().insert(what.clone());
        Mark {
            set: self.clone(),
            what,
        }
    }

    fn has(&self, action: &str, member: &str) -> bool {
        self.lock()
            .iter()
            .any(|(what, whom)| *what == action && whom == member)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(&'static str, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.set.lock().remove(&self.what);
    }
}

impl Nemesis {
    /// Waits for an event.
    ///
    /// # Errors
    /// When it does not come in time, or cannot be looked for.
    pub(super) async fn wait(&self, when: &When) -> anyhow::Result<()> {
        let limit = Duration::from_millis(when.within_ms);
        match tokio::time::timeout(limit, self.happens(&when.event)).await {
            Ok(happened) => happened,
            Err(_) => bail!(
                "what the step waits for did not come within {} ms: {}",
                when.within_ms,
                words(&when.event)
            ),
        }
    }

    async fn happens(&self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Hit { fault } if self.has_disk_fault(fault).await => {
                self.wait_disk_hit(fault).await
            }
            Event::Hit { fault } => self.wait_hit(fault).await,
            Event::Log { target, text } => {
                let member = self.one(target).await?;
                let mut tail = self.admin.cluster().log_tail(&member).await?;
                until(LOOK, async || tail.finds(text)).await
            }
            Event::InFlight { action, target } => {
                let member = self.one(target).await?;
                until(LOOK, async || Ok(self.in_flight.has(action, &member))).await
            }
            Event::Leads { target } => self.until_leader(target, |own, led| led == own).await,
            Event::Follows { target } => self.until_leader(target, |own, led| led != own).await,
            Event::Revision { at_least } => {
                until(ASK, async || {
                    for member in self.admin.cluster().serving().await {
                        let status = self.status_of(&member).await?;
                        if status.is_some_and(|status| status.header.revision >= *at_least) {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                })
                .await
            }
            Event::NeedsSnapshot { target } => {
                let member = self.one(target).await?;
                let mut tails: Option<(String, LogTail)> = None;
                let mut first_index = 0;
                until(ASK, async || {
                    let leader = self.admin.leader(super::STEP_LIMIT).await?;
                    if tails.as_ref().is_none_or(|(name, _)| *name != leader) {
                        let tail = self.admin.cluster().log_tail(&leader).await?;
                        (tails, first_index) = (Some((leader, tail)), 0);
                    }
                    let (_, tail) = tails.as_mut().ok_or_else(|| anyhow!("no log"))?;
                    tail.each_line(|line| {
                        first_index = first_index.max(first_index_in(line).unwrap_or(0));
                    })?;
                    let status = self.status_of(&member).await?;
                    Ok(status.is_some_and(|status| status.raft_index + 1 < first_index))
                })
                .await
            }
        }
    }

    /// Until a member states a leader that is so to its own id; 0 stands for none, or unknown yet.
    async fn until_leader(
        &self,
        target: &Target,
        so: impl Fn(u64, u64) -> bool,
    ) -> anyhow::Result<()> {
        let member = self.one(target).await?;
        until(ASK, async || {
            let own = self.admin.cluster().id(&member).await;
            let status = self.status_of(&member).await?;
            Ok(status.is_some_and(|status| status.leader != 0 && so(own, status.leader)))
        })
        .await
    }

    async fn status_of(&self, member: &str) -> anyhow::Result<Option<StatusResponse>> {
        self.admin.status(Purpose::Watchdog, 0, member).await
    }
}

async fn until(
    pause: Duration,
    mut so: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    while !so().await? {
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// The first index that a leader's log in memory has left, if this line of its log says so: after
/// a snapshot etcd compacts the log (`"compacted Raft logs"`, `compact-index`), and at a start the
/// log begins after the last snapshot (raft's `newRaft … applied: N`). Sources: etcd
/// server/etcdserver/server.go `snapshot`, raft/raft.go `newRaft`.
fn first_index_in(line: &str) -> Option<u64> {
    let number = |after: &str| {
        let (_, rest) = line.split_once(after)?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse::<u64>().ok()
    };
    if line.contains("ompacted Raft logs") || line.contains("ompacted raft log") {
        return number(r#""compact-index":"#).or_else(|| number("raft log at "));
    }
    if line.contains("newRaft ") {
        return number("applied: ").map(|applied| applied + 1);
    }
    None
}

fn words(event: &Event) -> String {
    match event {
        Event::Hit { fault } => format!("a hit of {fault:?}"),
        Event::Log { text, .. } => format!("{text:?} in the member's log"),
        Event::InFlight { action, .. } => format!("a {action} in flight"),
        Event::Leads { .. } => "the member leads".into(),
        Event::Follows { .. } => "the member follows".into(),
        Event::Revision { at_least } => format!("revision {at_least}"),
        Event::NeedsSnapshot { .. } => "the member needs a snapshot".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_index_is_read_from_what_leaders_log() {
        let compacted = r#"{"level":"info","msg":"compacted Raft logs","compact-index":5012}"#;
        assert_eq!(first_index_in(compacted), Some(5012));
        let started = "raft2026/11/22 INFO: newRaft 8e9e [peers: [], term: 2, commit: 157, \
                       applied: 140, lastindex: 157, lastterm: 2]";
        assert_eq!(first_index_in(started), Some(141));
        assert_eq!(first_index_in("compaction done"), None);
    }

    #[test]
    fn a_mark_lasts_until_it_is_dropped() {
        let set = InFlight::default();
        let mark = set.mark("defragment", "m1");
        assert!(set.has("defragment", "m1") && !set.has("defragment", "m2"));
        drop(mark);
        assert!(!set.has("defragment", "m1"));
    }
}
