//! Who leads, and what hangs on it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Server;
use crate::Error;

/// What this member knows of elections.
#[derive(Debug)]
pub(crate) struct Leadership {
    /// The last term of which an entry is applied.
    applied_term: watch::Sender<u64>,
    lost: watch::Sender<bool>,
    elected: Mutex<Option<Instant>>,
}

impl Leadership {
    pub(crate) fn new() -> Self {
        Self {
            applied_term: watch::Sender::new(0),
            lost: watch::Sender::new(false),
            elected: Mutex::new(None),
        }
    }

    /// An entry of this term has been applied here.
    pub(crate) fn applied(&self, term: u64) {
        self.applied_term.send_if_modified(|last| {
            let newer = term > *last;
            *last = term.max(*last);
            newer
        });
    }

    /// When this member was last elected.
    pub(crate) fn elected(&self) -> Option<Instant> {
        *self.elected.lock().expect("nobody panics while holding it")
    }

    pub(crate) async fn lost(&self) {
        let mut lost = self.lost.subscribe();
        // The sender lives as long as the server.
        let _ = lost.wait_for(|lost| *lost).await;
    }
}

/// Misses of a leader in a row, each an election timeout, until streams are cancelled
/// (api/v3rpc/interceptor.go).
const MOST_MISSES: u32 = 3;

impl Server {
    /// Follows elections, and tells the lessor whose clock decides. A new leader's
    /// lessor waits until everything of earlier terms is applied.
    pub(super) async fn follow_leader(&self) {
        let mut changes = self.node().changes();
        let mut applied = self.leadership.applied_term.subscribe();
        let mut last = (0, 0);
        let mut promoted = None;
        loop {
            let status = *changes.borrow_and_update();
            let leads = status.leader == self.id;
            if (status.leader, status.term) != last {
                last = (status.leader, status.term);
                if leads {
                    *self
                        .leadership
                        .elected
                        .lock()
                        .expect("nobody panics while holding it") = Some(Instant::now());
                }
            }
            let applied_term = *applied.borrow_and_update();
            if !leads && promoted.take().is_some() {
                self.lessor.demote();
            } else if leads && applied_term >= status.term && promoted != Some(status.term) {
                self.lessor.promote(self.config.election_timeout());
                promoted = Some(status.term);
            }
            tokio::select! {
                Ok(()) = changes.changed() => {}
                Ok(()) = applied.changed() => {}
                else => return,
            }
        }
    }

    /// Notices when there has been no leader for long.
    pub(super) async fn miss_leader(&self) {
        let mut misses = 0;
        loop {
            tokio::time::sleep(self.config.election_timeout()).await;
            misses = if self.status().leader == 0 {
                misses + 1
            } else {
                0
            };
            let lost = misses >= MOST_MISSES;
            self.leadership
                .lost
                .send_if_modified(|was| std::mem::replace(was, lost) != lost);
        }
    }

    /// Waits for a leader.
    pub(super) async fn wait_leader(&self, until: tokio::time::Instant) -> Result<u64, Error> {
        let mut changes = self.node().changes();
        let leader = changes.wait_for(|status| status.leader != 0);
        match tokio::time::timeout_at(until, leader).await {
            Ok(Ok(status)) => Ok(status.leader),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(Error::NoLeader),
        }
    }

    /// Whether a peer has been heard of since `since` at the latest, without a break.
    pub(super) fn connected(&self, id: u64, since: Instant) -> bool {
        id == self.id
            || self
                .node()
                .active_since(id)
                .is_some_and(|active| active <= since)
    }

    /// The voter that has been connected longest, to hand leadership to.
    pub(super) fn longest_connected(&self) -> Option<u64> {
        let voters = self.members.voters();
        let others = voters.iter().filter(|member| member.id != self.id);
        let active =
            others.filter_map(|member| Some((self.node().active_since(member.id)?, member.id)));
        active.min().map(|(_, id)| id)
    }

    /// Hands leadership to another member.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::BadLeaderTransferee`],
    /// [`Error::TimeoutLeaderTransfer`].
    pub async fn move_leader(&self, to: u64) -> Result<(), Error> {
        if !self.leads() {
            return Err(Error::NotLeader);
        }
        if !self.members.voters().iter().any(|member| member.id == to) {
            return Err(Error::BadLeaderTransferee);
        }
        crate::info!("leadership transfer starting",
            "local-member-id": format!("{:x}", self.id),
            "transferee-member-id": format!("{to:x}"));
        match self.node().transfer_leadership(to).await {
            Err(Error::Timeout) => return Err(Error::TimeoutLeaderTransfer),
            result => result?,
        }
        crate::info!("leadership transfer finished",
            "local-member-id": format!("{:x}", self.id),
            "new-leader-member-id": format!("{to:x}"));
        Ok(())
    }
}

/// A short pause between two tries.
pub(super) const RETRY: Duration = Duration::from_millis(50);
