//! Watchers: beside the clients, each watches one thing after the other on a channel of its own.

use serde::{Deserialize, Serialize};

/// A watcher, pinned to a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatcherPlan {
    /// Its number as a client; those of the clients come before.
    pub id: u32,
    /// The member, for example `m1`.
    pub member: String,
    /// Sub-seed of its choices, as a decimal string.
    pub seed: String,
    /// How long each watch lives, in milliseconds; 0 means until traffic ends.
    pub lives_ms: u64,
    /// What a watch is of; one of these is drawn for each.
    pub of: Vec<WatchOf>,
    /// Where a watch starts; one of these is drawn for each.
    pub starts: Vec<WatchStart>,
    /// How many revisions back a start in the past is, at most.
    pub past: u32,
    /// How many revisions ahead a start in the future is, at most.
    pub future: u32,
    /// Time between requests for progress, in milliseconds; 0 means none.
    #[serde(default)]
    pub progress_ms: u64,
    /// How long a watch is read slowly from its start on, in milliseconds; 0 means never.
    #[serde(default)]
    pub slow_ms: u64,
    /// Time between two messages that are read meanwhile, in milliseconds. What is not read fills the
    /// stream's window of HTTP/2 and then the store's own buffers.
    #[serde(default)]
    pub pause_ms: u64,
}

/// What a watch is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchOf {
    /// One key of the traffic's.
    Key,
    /// All keys of a prefix.
    Prefix,
    /// Every key there is.
    All,
}

impl WatchOf {
    /// All of them by name.
    pub const NAMED: [(&str, Self); 3] = [
        ("key", Self::Key),
        ("prefix", Self::Prefix),
        ("all", Self::All),
    ];
}

/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchStart {
    /// At a revision some way back, each as likely.
    Past,
    /// Where the store is.
    Now,
    /// At a revision some way ahead.
    Future,
    /// At the revision that was last compacted; in the past where none was.
    Compacted,
}

impl WatchStart {
    /// All of them by name.
    pub const NAMED: [(&str, Self); 4] = [
        ("past", Self::Past),
        ("now", Self::Now),
        ("future", Self::Future),
        ("compacted", Self::Compacted),
    ];
}
