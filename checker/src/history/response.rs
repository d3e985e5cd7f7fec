//! Responses as recorded, field for field.

use serde::{Deserialize, Serialize};

use super::Bytes;
use super::bytes::id_string;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn zero() -> i64 {
    0
}

/// The header of every response. What its revision means depends on the request: see
/// `api::revisions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHeader {
    /// The cluster.
    #[serde(with = "id_string")]
    pub cluster_id: u64,
    /// The member that answered.
    #[serde(with = "id_string")]
    pub member_id: u64,
    /// The store's revision.
    pub revision: i64,
    /// The Raft term.
    #[serde(with = "id_string")]
    pub raft_term: u64,
}

/// A key with its value and bookkeeping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// Revision of the put that made the key.
    pub create_revision: i64,
    /// Revision of the last put.
    pub mod_revision: i64,
    /// Puts since the key was made, that one included.
    pub version: i64,
    /// The value.
    pub value: Bytes,
    /// The lease it is attached to; 0 means none.
    #[serde(
        default = "zero",
        skip_serializing_if = "is_default",
        with = "id_string"
    )]
    pub lease: i64,
}

/// A response of the v3 API. `op` in the JSON names the kind, as in the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Response {
    /// To a range.
    Range(RangeResponse),
    /// To a put.
    Put(PutResponse),
    /// To a delete.
    Delete(DeleteResponse),
    /// To a transaction.
    Txn(TxnResponse),
    /// To a compaction.
    Compact {
        /// Header.
        header: ResponseHeader,
    },
    /// To a lease grant.
    LeaseGrant {
        /// Header.
        header: ResponseHeader,
        /// The lease.
        #[serde(with = "id_string")]
        id: i64,
        /// Time to live granted, in seconds.
        ttl: i64,
    },
    /// To a lease revocation.
    LeaseRevoke {
        /// Header.
        header: ResponseHeader,
    },
    /// To a keep-alive.
    LeaseKeepAlive {
        /// Header.
        header: ResponseHeader,
        /// The lease.
        #[serde(with = "id_string")]
        id: i64,
        /// Time to live from now, in seconds; 0 means that the lease is gone.
        ttl: i64,
    },
    /// To a time-to-live request.
    LeaseTimeToLive {
        /// Header.
        header: ResponseHeader,
        /// The lease.
        #[serde(with = "id_string")]
        id: i64,
        /// Time left, in seconds; -1 means that the lease is gone.
        ttl: i64,
        /// Time to live granted, in seconds.
        granted_ttl: i64,
        /// Keys attached.
        keys: Vec<Bytes>,
    },
    /// A watch ended: closed by the client, or canceled by the store (then the last watch record
    /// says why).
    WatchEnd {
        /// Messages received.
        messages: u64,
    },
    /// To a log-in. The token is replaced by its number in the run.
    Authenticate {
        /// Header.
        header: ResponseHeader,
        /// Which token of the run this is.
        token: u64,
    },
    /// To an auth change.
    Auth {
        /// Header.
        header: ResponseHeader,
    },
    /// To a membership call.
    Cluster {
        /// Header.
        header: ResponseHeader,
        /// Members after the call.
        members: Vec<Member>,
    },
    /// To Status.
    Status(StatusResponse),
    /// To HashKV.
    HashKv(HashKvResponse),
    /// To Defragment.
    Defragment {
        /// Header.
        header: ResponseHeader,
    },
    /// To MoveLeader.
    MoveLeader {
        /// Header.
        header: ResponseHeader,
    },
    /// To an alarm list.
    Alarms {
        /// Header.
        header: ResponseHeader,
        /// Alarms raised, as `member id: kind`.
        alarms: Vec<String>,
    },
    /// To Snapshot.
    Snapshot {
        /// Header of the stream's first message.
        header: ResponseHeader,
        /// Bytes of the snapshot, its checksum included.
        bytes: u64,
    },
}

impl Response {
    /// The header, where the kind has one.
    #[must_use]
    pub fn header(&self) -> Option<&ResponseHeader> {
        match self {
            Self::Range(r) => Some(&r.header),
            Self::Put(r) => Some(&r.header),
            Self::Delete(r) => Some(&r.header),
            Self::Txn(r) => Some(&r.header),
            Self::Status(r) => Some(&r.header),
            Self::HashKv(r) => Some(&r.header),
            Self::Compact { header }
            | Self::LeaseGrant { header, .. }
            | Self::LeaseRevoke { header }
            | Self::LeaseKeepAlive { header, .. }
            | Self::LeaseTimeToLive { header, .. }
            | Self::Authenticate { header, .. }
            | Self::Auth { header }
            | Self::Cluster { header, .. }
            | Self::Defragment { header }
            | Self::MoveLeader { header }
            | Self::Alarms { header, .. }
            | Self::Snapshot { header, .. } => Some(header),
            Self::WatchEnd { .. } => None,
        }
    }
}

/// To a range.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RangeResponse {
    /// Header; in a transaction's branch it is empty.
    #[serde(default)]
    pub header: ResponseHeader,
    /// The key-values.
    pub kvs: Vec<KeyValue>,
    /// There are more than the limit let through.
    #[serde(default, skip_serializing_if = "is_default")]
    pub more: bool,
    /// Keys in the range, whatever the limit.
    pub count: i64,
}

/// To a put.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PutResponse {
    /// Header.
    #[serde(default)]
    pub header: ResponseHeader,
    /// The key-value before, where asked for and there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_kv: Option<KeyValue>,
}

/// To a delete.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeleteResponse {
    /// Header.
    #[serde(default)]
    pub header: ResponseHeader,
    /// How many keys were deleted.
    pub deleted: i64,
    /// What they were, where asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prev_kvs: Vec<KeyValue>,
}

/// To a transaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TxnResponse {
    /// Header.
    #[serde(default)]
    pub header: ResponseHeader,
    /// Whether the guards held.
    pub succeeded: bool,
    /// An answer for each operation of the branch taken.
    pub responses: Vec<TxnOpResponse>,
}

/// One answer of a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum TxnOpResponse {
    /// To a range.
    Range(RangeResponse),
    /// To a put.
    Put(PutResponse),
    /// To a delete.
    Delete(DeleteResponse),
    /// To a nested transaction.
    Txn(TxnResponse),
}

/// A watch message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchResponse {
    /// Header.
    #[serde(default)]
    pub header: ResponseHeader,
    /// The watcher was created.
    #[serde(default, skip_serializing_if = "is_default")]
    pub created: bool,
    /// The watcher was canceled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub canceled: bool,
    /// Canceled because revisions below this one are gone; 0 otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compact_revision: i64,
    /// Why it was canceled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cancel_reason: String,
    /// The rest of these revisions' events follows in the next message.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fragment: bool,
    /// The events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

/// Put or delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A put.
    Put,
    /// A delete, an expiry among them.
    Delete,
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Put or delete.
    pub kind: EventKind,
    /// The key-value; for a delete only key and mod revision are set.
    pub kv: KeyValue,
    /// The key-value before, where asked for and still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_kv: Option<KeyValue>,
}

/// To Status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusResponse {
    /// Header: this member's own revision.
    #[serde(default)]
    pub header: ResponseHeader,
    /// The store's version.
    pub version: String,
    /// Backend file size in bytes.
    pub db_size: i64,
    /// The leader; 0 means none.
    #[serde(with = "id_string")]
    pub leader: u64,
    /// Committed index.
    #[serde(with = "id_string")]
    pub raft_index: u64,
    /// Applied index.
    #[serde(with = "id_string")]
    pub raft_applied_index: u64,
    /// Errors the member reports of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Whether it is a learner.
    #[serde(default, skip_serializing_if = "is_default")]
    pub learner: bool,
}

/// To HashKV.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HashKvResponse {
    /// Header: this member's own revision.
    #[serde(default)]
    pub header: ResponseHeader,
    /// The hash.
    pub hash: u32,
    /// The member's compacted revision.
    pub compact_revision: i64,
    /// The revision hashed, where the store says it; 0 where it does not (before 3.5.10).
    #[serde(default, skip_serializing_if = "is_default")]
    pub hash_revision: i64,
}

/// A member as the cluster lists it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The member.
    #[serde(with = "id_string")]
    pub id: u64,
    /// Its name; empty until it has started.
    pub name: String,
    /// Its peer addresses.
    pub peer_urls: Vec<String>,
    /// Whether it is a learner.
    #[serde(default, skip_serializing_if = "is_default")]
    pub learner: bool,
}
