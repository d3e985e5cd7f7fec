//! Requests as recorded: etcd's v3 requests, every field that can change an answer.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Bytes;
use super::bytes::id_string;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A request of the v3 API. `op` in the JSON names the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// KV.Range.
    Range(RangeRequest),
    /// KV.Put.
    Put(PutRequest),
    /// KV.DeleteRange.
    Delete(DeleteRequest),
    /// KV.Txn.
    Txn(TxnRequest),
    /// KV.Compact.
    Compact {
        /// Revisions below this one may be discarded.
        revision: i64,
        /// Wait until the discarding is done on disk.
        #[serde(default, skip_serializing_if = "is_default")]
        physical: bool,
    },
    /// Lease.LeaseGrant.
    LeaseGrant {
        /// The id asked for; 0 lets the store choose.
        #[serde(with = "id_string")]
        id: i64,
        /// Time to live asked for, in seconds.
        ttl: i64,
    },
    /// Lease.LeaseRevoke.
    LeaseRevoke {
        /// The lease.
        #[serde(with = "id_string")]
        id: i64,
    },
    /// Lease.LeaseKeepAlive: one request and its one answer.
    LeaseKeepAlive {
        /// The lease.
        #[serde(with = "id_string")]
        id: i64,
    },
    /// Lease.LeaseTimeToLive, with keys.
    LeaseTimeToLive {
        /// The lease.
        #[serde(with = "id_string")]
        id: i64,
    },
    /// Watch.Watch: the creation of one watcher. Its messages are watch records; the return of
    /// this invocation is the end of the watch.
    Watch(WatchRequest),
    /// Auth.Authenticate: a log-in. The password is replaced by the user's name.
    Authenticate {
        /// Who.
        user: String,
        /// Name of the password used, never the password.
        password: String,
    },
    /// An auth change.
    Auth(AuthRequest),
    /// A membership call.
    Cluster(ClusterRequest),
    /// A maintenance call.
    Maintenance(MaintenanceRequest),
}

impl Request {
    /// The kind as it is called in tables and reports, for example `put`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Range(_) => "range",
            Self::Put(_) => "put",
            Self::Delete(_) => "delete",
            Self::Txn(_) => "txn",
            Self::Compact { .. } => "compact",
            Self::LeaseGrant { .. } => "lease_grant",
            Self::LeaseRevoke { .. } => "lease_revoke",
            Self::LeaseKeepAlive { .. } => "lease_keep_alive",
            Self::LeaseTimeToLive { .. } => "lease_time_to_live",
            Self::Watch(_) => "watch",
            Self::Authenticate { .. } => "authenticate",
            Self::Auth(_) => "auth",
            Self::Cluster(_) => "cluster",
            Self::Maintenance(_) => "maintenance",
        }
    }
}

/// Order of a range's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    /// As stored.
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// What a range's answer is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortTarget {
    /// The key.
    #[default]
    Key,
    /// The version.
    Version,
    /// The create revision.
    Create,
    /// The mod revision.
    Mod,
    /// The value.
    Value,
}

/// KV.Range.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RangeRequest {
    /// First key.
    pub key: Bytes,
    /// Exclusive end; empty means the one key, `\0` means no end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub range_end: Bytes,
    /// At most this many key-values; 0 means all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limit: i64,
    /// The revision to read at; 0 or less means the newest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revision: i64,
    /// Sort order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sort_order: SortOrder,
    /// Sort target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sort_target: SortTarget,
    /// Answered from the member's own state, possibly stale.
    #[serde(default, skip_serializing_if = "is_default")]
    pub serializable: bool,
    /// Leave values out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keys_only: bool,
    /// Answer the count alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub count_only: bool,
    /// Leave out lower mod revisions; 0 means no bound. Likewise the next three.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_mod_revision: i64,
    /// Leave out higher mod revisions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_mod_revision: i64,
    /// Leave out lower create revisions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_create_revision: i64,
    /// Leave out higher create revisions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_create_revision: i64,
}

/// KV.Put.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PutRequest {
    /// The key.
    pub key: Bytes,
    /// The value, unique in the run where the harness drew it.
    pub value: Bytes,
    /// Lease to attach; 0 means none.
    #[serde(
        default = "zero",
        skip_serializing_if = "is_default",
        with = "id_string"
    )]
    pub lease: i64,
    /// Answer with the previous key-value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
    /// Keep the value that is there; an error where there is no key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_value: bool,
    /// Keep the lease that is there; an error where there is no key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_lease: bool,
}

fn zero() -> i64 {
    0
}

/// KV.DeleteRange.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeleteRequest {
    /// First key.
    pub key: Bytes,
    /// Exclusive end, as in [`RangeRequest::range_end`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub range_end: Bytes,
    /// Answer with the deleted key-values.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
}

/// KV.Txn: all compares hold → `success`, else `failure`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TxnRequest {
    /// The guards.
    pub compare: Vec<Compare>,
    /// Branch when all guards hold.
    pub success: Vec<TxnOp>,
    /// Branch otherwise.
    pub failure: Vec<TxnOp>,
}

/// One operation of a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum TxnOp {
    /// A range.
    Range(RangeRequest),
    /// A put.
    Put(PutRequest),
    /// A delete.
    Delete(DeleteRequest),
    /// A nested transaction.
    Txn(TxnRequest),
}

/// One guard. A range guard (`range_end` set) must hold for every key in the range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// The key.
    pub key: Bytes,
    /// Exclusive end, as in [`RangeRequest::range_end`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub range_end: Bytes,
    /// How the stored side (left) is compared to `target` (right).
    pub result: CompareResult,
    /// What is compared, with what.
    pub target: CompareTarget,
}

/// How a guard compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareResult {
    /// Stored = given.
    Equal,
    /// Stored > given.
    Greater,
    /// Stored < given.
    Less,
    /// Stored ≠ given.
    NotEqual,
}

impl CompareResult {
    /// Whether a guard holds where the stored side compares so to the given one.
    #[must_use]
    pub fn admits(self, stored: Ordering) -> bool {
        match self {
            Self::Equal => stored.is_eq(),
            Self::Greater => stored.is_gt(),
            Self::Less => stored.is_lt(),
            Self::NotEqual => stored.is_ne(),
        }
    }
}

/// What a guard compares with. A missing key has version, create and mod revision and lease 0; a
/// value guard on a missing key is false.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareTarget {
    /// The key's version.
    Version(i64),
    /// The key's create revision.
    Create(i64),
    /// The key's mod revision.
    Mod(i64),
    /// The key's value.
    Value(Bytes),
    /// The key's lease, as a decimal string.
    Lease(#[serde(with = "id_string")] i64),
}

/// Watch.Watch: creation of one watcher.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchRequest {
    /// First key.
    pub key: Bytes,
    /// Exclusive end, as in [`RangeRequest::range_end`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub range_end: Bytes,
    /// First revision wanted; 0 means from now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_revision: i64,
    /// Ask for the key-value before each event.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
    /// Ask for progress notifications.
    #[serde(default, skip_serializing_if = "is_default")]
    pub progress_notify: bool,
    /// Leave puts out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter_put: bool,
    /// Leave deletes out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter_delete: bool,
}

/// An auth change. Passwords are recorded by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum AuthRequest {
    /// AuthEnable.
    Enable,
    /// AuthDisable.
    Disable,
    /// UserAdd.
    UserAdd {
        /// The user.
        user: String,
        /// Name of the password, never the password.
        password: String,
    },
    /// UserDelete.
    UserDelete {
        /// The user.
        user: String,
    },
    /// UserChangePassword.
    UserChangePassword {
        /// The user.
        user: String,
        /// Name of the password, never the password.
        password: String,
    },
    /// UserGrantRole.
    UserGrantRole {
        /// The user.
        user: String,
        /// The role.
        role: String,
    },
    /// UserRevokeRole.
    UserRevokeRole {
        /// The user.
        user: String,
        /// The role.
        role: String,
    },
    /// RoleAdd.
    RoleAdd {
        /// The role.
        role: String,
    },
    /// RoleDelete.
    RoleDelete {
        /// The role.
        role: String,
    },
    /// RoleGrantPermission, read and write.
    RoleGrantPermission {
        /// The role.
        role: String,
        /// First key.
        key: Bytes,
        /// Exclusive end, as in [`RangeRequest::range_end`].
        range_end: Bytes,
    },
    /// RoleRevokePermission.
    RoleRevokePermission {
        /// The role.
        role: String,
        /// First key.
        key: Bytes,
        /// Exclusive end.
        range_end: Bytes,
    },
}

/// A membership call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum ClusterRequest {
    /// MemberList.
    List {
        /// Through a quorum.
        linearizable: bool,
    },
    /// MemberAdd.
    Add {
        /// Peer addresses.
        peer_urls: Vec<String>,
        /// As a learner.
        learner: bool,
    },
    /// MemberRemove.
    Remove {
        /// The member.
        #[serde(with = "id_string")]
        id: u64,
    },
    /// MemberPromote.
    Promote {
        /// The learner.
        #[serde(with = "id_string")]
        id: u64,
    },
}

/// A maintenance call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum MaintenanceRequest {
    /// Status.
    Status,
    /// HashKV at a revision; 0 means the newest.
    HashKv {
        /// The revision.
        revision: i64,
    },
    /// Defragment.
    Defragment,
    /// MoveLeader.
    MoveLeader {
        /// The new leader.
        #[serde(with = "id_string")]
        target: u64,
    },
    /// Alarm: list.
    AlarmList,
    /// Alarm: raise NOSPACE for a member.
    AlarmRaise {
        /// The member.
        #[serde(with = "id_string")]
        member: u64,
    },
    /// Alarm: take a member's NOSPACE back.
    AlarmClear {
        /// The member.
        #[serde(with = "id_string")]
        member: u64,
    },
    /// Snapshot, read to its end.
    Snapshot,
}
