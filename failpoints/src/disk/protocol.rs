//! What harness and disk server say to each other: one JSON document a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Options;
use super::rule::{Rule, RuleId};
use super::survival::Survival;

/// The zeroth argument that makes a process a disk server.
pub(super) const MARK: &str = "__disk";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) disk: String,
    pub(super) act: Act,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Act {
    Mount {
        backing: PathBuf,
        at: PathBuf,
        options: Options,
    },
    Unmount,
    Arm(Rule),
    Clear(RuleId),
    Hits(RuleId),
    Freeze,
    Thaw,
    PowerLoss(Survival),
    Unsynced,
    Heal,
    SyncAll,
    Stats,
}

/// The answer to an order; the first comes unasked, once the server is ready.
pub(super) type Answer = Result<Value, String>;
