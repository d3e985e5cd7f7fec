//! Bugs that can be switched on. Each is a few lines beside the right code, found by
//! `bugs.has(Bug::…)`, off by default.

use std::fmt;
use std::str::FromStr;

macro_rules! bugs {
    ($($variant:ident $id:literal $title:literal;)+) => {
        /// A bug that can be switched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Bug { $(#[doc = $title] $variant),+ }

        impl Bug {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its number among etcd's issues, or the name of one of ours.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// What breaks, in a line.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

bugs! {
    DefragIndex "14685" "a defragmentation commits without the consistent index";
    EmptyPermissions "14571" "the permission cache is not rebuilt from a snapshot, and whoever is missing from it is refused";
    StalePermissions "13883" "permissions cached before a snapshot outlive it";
    IndexBeforeData "13766" "the consistent index is set, and may be committed, before the entry's data";
    ReplyBeforeLog "14370" "a lone member applies and answers before the entry is in its log";
    ProgressAhead "15220" "a requested progress notification overtakes events that are still to be sent";
    WatchRepeats "15271" "after a snapshot, watchers get events again that they had";
    WatchSkips "17529" "a slow watcher that falls behind a compaction skips events instead of being cancelled";
    RevisionFalls "17780" "a crash in the middle of a compaction lets the revision fall";
    TombstoneCompacted "18089" "a compaction drops the tombstone at its own revision";
    TombstoneRestored "19179" "a restart forgets a tombstone whose key's creation was compacted, so that the next compaction drops it";
    TxnReadsStripped "18667" "members that nobody waits at strip reads from a transaction before it is checked";
    WatchEarly "20221" "after a snapshot, a watcher of future revisions gets earlier ones";
    DefragSnapshot "20271" "a defragmentation renames its copy over the database that a snapshot has just brought";
    StaleReadIndex "20418" "a retried read index takes the answer to an earlier one";
    AuthRevisionLost "11651" "the auth revision is not saved, and is lost in a crash";
    EarlyExpiry "early-expiry" "a lease that was renewed expires by its first deadline";
    PrevKv "prev-kv" "a put answers with the previous value as it was when the put was proposed";
    DeposedRead "deposed-read" "a leader serves linearizable reads without asking a quorum whether it still leads";
    HashSkips "hash-skips" "HashKV skips the oldest revision of a member that was restarted";
    LearnerVotes "learner-votes" "a learner's acknowledgement counts as a voter's";
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.trim_start_matches('#');
        Self::ALL
            .iter()
            .copied()
            .find(|bug| bug.id() == id)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|bug| bug.id()).collect();
                format!("no such bug; allowed: {}", known.join(", "))
            })
    }
}

/// The bugs of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs(u32);

impl Bugs {
    /// With this one, too.
    #[must_use]
    pub fn with(self, bug: Bug) -> Self {
        Self(self.0 | 1 << bug as u32)
    }

    /// Whether it is switched on.
    #[must_use]
    pub fn has(self, bug: Bug) -> bool {
        self.0 & 1 << bug as u32 != 0
    }

    /// Those that are switched on.
    pub fn iter(self) -> impl Iterator<Item = Bug> {
        Bug::ALL.iter().copied().filter(move |bug| self.has(*bug))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_found_by_its_id() {
        for bug in Bug::ALL {
            assert_eq!(bug.id().parse(), Ok(*bug));
            let bugs = Bugs::default().with(*bug);
            assert_eq!(bugs.iter().collect::<Vec<_>>(), [*bug]);
        }
        assert_eq!("#14685".parse(), Ok(Bug::DefragIndex));
        assert!("1".parse::<Bug>().unwrap_err().contains("14685, 14571"));
    }
}
