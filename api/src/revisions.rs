//! What the revision in a response header means.
//!
//! Every header carries a `revision`, but only some of them place the request in the order of all
//! writes. A checker that orders requests by the others is wrong on a correct etcd. The table was
//! read in etcd's source at v3.5.16, v3.5.1 and v3.4.23.
//!
//! ```
//! use api::revisions::{meaning, Meaning, ResponseKind};
//!
//! assert_eq!(meaning(ResponseKind::Put).meaning, Meaning::Exact);
//! assert_eq!(meaning(ResponseKind::Compact).meaning, Meaning::LowerBound);
//! assert_eq!(meaning(ResponseKind::range(true)).meaning, Meaning::MemberLocal);
//! ```
//!
//! # As bounds
//!
//! Say *place* for the last write at or before the request in the order of all writes. An answer's
//! revision R then gives:
//!
//! | meaning | place ≤ R | R ≤ place | the store had reached R when the answer came |
//! |---|---|---|---|
//! | exact | yes | yes | yes |
//! | lower bound (compactions, alarms, downgrades) | yes | no | yes |
//! | member-local | no | no, but for [`LeaseKeepAlive`](ResponseKind::LeaseKeepAlive) | yes |
//!
//! [`ResponseKind::place_at_most`] and [`ResponseKind::place_at_least`] say the same. [`SEEN`] has
//! what real members answered under concurrent writes, compared with their raft logs.
//!
//! Only `revision` is exact where the table says so: `raft_term` is filled in just before the
//! answer is sent, and is the member's term at that moment.

mod seen;

use std::fmt;

pub use seen::{SEEN, Seen};

/// What a header's revision says about the place of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meaning {
    /// Order key: the request saw or made exactly this revision, and nothing later. It comes
    /// after the write of this revision (or is that write) and before the next one. Requests that
    /// take no revision of their own can share one: then it orders them against writes, not among
    /// themselves.
    Exact,
    /// The revision of the answering member at some moment after the request took effect: the
    /// store had reached at least this revision by the time of the answer, and the request stands
    /// at or before it. Orders nothing by itself.
    LowerBound,
    /// What the answering member had applied at some moment while it handled the request. Says
    /// nothing about other members.
    MemberLocal,
    /// There is no revision.
    None,
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::LowerBound => "lower bound",
            Self::MemberLocal => "member-local",
            Self::None => "none",
        })
    }
}

/// A kind of response, as far as its revision differs by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResponseKind {
    /// To a range that is not serializable.
    RangeLinearizable,
    /// To a serializable range.
    RangeSerializable,
    /// To a put.
    Put,
    /// To a delete.
    DeleteRange,
    /// To a transaction with a put, a delete, an empty operation or a nested transaction in
    /// either branch.
    TxnWrite,
    /// To a transaction of ranges only, one of them not serializable.
    TxnReadLinearizable,
    /// To a transaction without any operation but serializable ranges, or without operations.
    TxnReadSerializable,
    /// To a compaction.
    Compact,
    /// To the grant of a lease.
    LeaseGrant,
    /// To the revocation of a lease.
    LeaseRevoke,
    /// To a keep-alive.
    LeaseKeepAlive,
    /// To a question for the time to live of a lease.
    LeaseTimeToLive,
    /// To a question for all leases.
    LeaseLeases,
    /// On a watch: it is made.
    WatchCreated,
    /// On a watch: it is cancelled as asked.
    WatchCanceled,
    /// On a watch: events.
    WatchEvents,
    /// On a watch: progress, by timer or on request.
    WatchProgress,
    /// To a log-in.
    Authenticate,
    /// To a change of auth: on, off, users, roles, permissions.
    AuthChange,
    /// To a get or list of users or roles.
    AuthRead,
    /// To a question for the state of auth.
    AuthStatus,
    /// To a change or list of members.
    Cluster,
    /// To a change or list of alarms.
    Alarm,
    /// To a question for the state of the member.
    Status,
    /// To a hash of the whole database file.
    Hash,
    /// To a hash of the keys up to a revision.
    HashKv,
    /// To a defragmentation.
    Defragment,
    /// A piece of a snapshot.
    Snapshot,
    /// To a transfer of leadership.
    MoveLeader,
    /// To a step of a downgrade.
    Downgrade,
}

impl ResponseKind {
    /// The kind for a range.
    #[must_use]
    pub const fn range(serializable: bool) -> Self {
        if serializable {
            Self::RangeSerializable
        } else {
            Self::RangeLinearizable
        }
    }

    /// The kind for a transaction, by the operations directly in both of its branches together:
    /// whether any is other than a range, and whether any is a range that is not serializable.
    #[must_use]
    pub const fn txn(any_other_than_range: bool, any_linearizable_range: bool) -> Self {
        if any_other_than_range {
            Self::TxnWrite
        } else if any_linearizable_range {
            Self::TxnReadLinearizable
        } else {
            Self::TxnReadSerializable
        }
    }

    /// Whether the revision of such a response orders the request: its meaning is exact.
    #[must_use]
    pub fn orders(self) -> bool {
        meaning(self).meaning == Meaning::Exact
    }

    /// Whether the request stands at or before the revision of its answer: nothing that the
    /// request saw or did came after the write of that revision.
    #[must_use]
    pub fn place_at_most(self) -> bool {
        matches!(meaning(self).meaning, Meaning::Exact | Meaning::LowerBound)
    }

    /// Whether the request stands at or after the revision of its answer: the write of that
    /// revision had been applied before the request took effect.
    #[must_use]
    pub fn place_at_least(self) -> bool {
        self.orders() || self == Self::LeaseKeepAlive
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The response.
    pub kind: ResponseKind,
    /// What its revision means.
    pub meaning: Meaning,
    /// Where in etcd's source it is set, as `file:line at tag`.
    pub sources: &'static [&'static str],
    /// What else there is to know; may be empty.
    pub note: &'static str,
}

/// The row of a kind of response.
#[must_use]
pub fn meaning(kind: ResponseKind) -> &'static Row {
    // The rows stand in the order of the kinds; a test holds that.
    &ROWS[kind as usize]
}

macro_rules! rows {
    ($($kind:ident $meaning:ident [$($source:literal)+] $note:literal;)+) => {
        &[$(Row {
            kind: ResponseKind::$kind,
            meaning: Meaning::$meaning,
            sources: &[$($source),+],
            note: $note,
        }),+]
    };
}

/// The meaning of every kind of response, in the order of [`ResponseKind`].
pub static ROWS: &[Row] = rows! {
    RangeLinearizable Exact
        ["server/etcdserver/v3_server.go:121 at v3.5.16"
         "server/etcdserver/apply.go:417 at v3.5.16"
         "server/etcdserver/v3_server.go:117 at v3.5.1"
         "server/etcdserver/apply.go:417 at v3.5.1"
         "etcdserver/v3_server.go:117 at v3.4.23"
         "etcdserver/apply.go:342 at v3.4.23"]
        "The revision of the state that was read, taken after the read index was confirmed; for a \
         range at an old revision too, whose content is that of the revision asked for.";
    RangeSerializable MemberLocal
        ["server/etcdserver/v3_server.go:120 at v3.5.16"
         "server/etcdserver/apply.go:417 at v3.5.16"
         "server/etcdserver/v3_server.go:116 at v3.5.1"
         "server/etcdserver/apply.go:417 at v3.5.1"
         "etcdserver/v3_server.go:116 at v3.4.23"
         "etcdserver/apply.go:342 at v3.4.23"]
        "The revision that this member had applied. The content is this member's state at exactly \
         that revision.";
    Put Exact
        ["server/etcdserver/apply.go:300 at v3.5.16"
         "server/etcdserver/apply.go:300 at v3.5.1"
         "etcdserver/apply.go:225 at v3.4.23"]
        "The put's own revision.";
    DeleteRange Exact
        ["server/etcdserver/apply.go:328 at v3.5.16"
         "server/mvcc/kvstore_txn.go:106 at v3.5.16"
         "server/etcdserver/apply.go:328 at v3.5.1"
         "server/mvcc/kvstore_txn.go:105 at v3.5.1"
         "etcdserver/apply.go:253 at v3.4.23"
         "mvcc/kvstore_txn.go:94 at v3.4.23"]
        "Its own revision if it deleted a key, else the revision of the state that it saw.";
    TxnWrite Exact
        ["server/etcdserver/apply.go:496 at v3.5.16"
         "server/etcdserver/apply.go:484 at v3.5.1"
         "etcdserver/apply.go:388 at v3.4.23"]
        "Its own revision if it changed a key, else the revision of the state that it saw. It \
         goes through the log even when the branch taken only reads.";
    TxnReadLinearizable Exact
        ["server/etcdserver/v3_server.go:164 at v3.5.16"
         "server/etcdserver/apply.go:496 at v3.5.16"
         "server/etcdserver/v3_server.go:160 at v3.5.1"
         "server/etcdserver/apply.go:484 at v3.5.1"
         "etcdserver/v3_server.go:155 at v3.4.23"
         "etcdserver/apply.go:388 at v3.4.23"]
        "Both branches hold ranges only, and at least one of them is not serializable.";
    TxnReadSerializable MemberLocal
        ["server/etcdserver/v3_server.go:163,196 at v3.5.16"
         "server/etcdserver/apply.go:496 at v3.5.16"
         "server/etcdserver/v3_server.go:159,192 at v3.5.1"
         "server/etcdserver/apply.go:484 at v3.5.1"
         "etcdserver/v3_server.go:154,184 at v3.4.23"
         "etcdserver/apply.go:388 at v3.4.23"]
        "No range in either branch asks for linearizability. That is so of two empty branches, \
         too: a transaction of comparisons alone is answered from local state.";
    Compact LowerBound
        ["server/etcdserver/v3_server.go:260 at v3.5.16"
         "server/etcdserver/v3_server.go:256 at v3.5.1"
         "etcdserver/v3_server.go:248 at v3.4.23"]
        "Overwritten with the member's current revision after the apply.";
    LeaseGrant Exact
        ["server/etcdserver/apply.go:710,1163 at v3.5.16"
         "server/etcdserver/apply.go:695,1148 at v3.5.1"
         "etcdserver/apply.go:596,1033 at v3.4.23"]
        "The revision at its place in the log; it takes none itself.";
    LeaseRevoke Exact
        ["server/etcdserver/apply.go:717,1163 at v3.5.16"
         "server/etcdserver/apply.go:702,1148 at v3.5.1"
         "etcdserver/apply.go:603,1033 at v3.4.23"]
        "The revision of its deletions if the lease had keys, else the revision at its place in \
         the log.";
    LeaseKeepAlive MemberLocal
        ["server/etcdserver/api/v3rpc/lease.go:133 at v3.5.16"
         "server/etcdserver/api/v3rpc/lease.go:133 at v3.5.1"
         "etcdserver/api/v3rpc/lease.go:137 at v3.4.23"]
        "Filled by the member asked before the renewal, which happens on the leader: the renewal \
         comes after the write of this revision, and perhaps of many more. It is not in the log.";
    LeaseTimeToLive MemberLocal
        ["server/etcdserver/api/v3rpc/lease.go:74 at v3.5.16"
         "server/etcdserver/api/v3rpc/lease.go:74 at v3.5.1"
         "etcdserver/api/v3rpc/lease.go:70 at v3.4.23"]
        "Filled by the member asked after the answer, which is the leader's.";
    LeaseLeases MemberLocal
        ["server/etcdserver/v3_server.go:468 at v3.5.16"
         "server/etcdserver/v3_server.go:370 at v3.5.1"
         "etcdserver/v3_server.go:381 at v3.4.23"]
        "";
    WatchCreated MemberLocal
        ["server/etcdserver/api/v3rpc/watch.go:306,329 at v3.5.16"
         "server/etcdserver/api/v3rpc/watch.go:288,308 at v3.5.1"
         "etcdserver/api/v3rpc/watch.go:315,338 at v3.4.23"]
        "The revision of the member when the watch was made. A watch without a start revision \
         begins right after it.";
    WatchCanceled MemberLocal
        ["server/etcdserver/api/v3rpc/watch.go:349 at v3.5.16"
         "server/etcdserver/api/v3rpc/watch.go:328 at v3.5.1"
         "etcdserver/api/v3rpc/watch.go:358 at v3.4.23"]
        "The answer to a cancel request. A cancellation by compaction comes the way of events.";
    WatchEvents MemberLocal
        ["server/etcdserver/api/v3rpc/watch.go:425 at v3.5.16"
         "server/etcdserver/api/v3rpc/watch.go:405 at v3.5.1"
         "etcdserver/api/v3rpc/watch.go:435 at v3.4.23"]
        "The revision of the store when the batch was made: at least that of every event in it, \
         often more. Order events by their own mod_revision.";
    WatchProgress MemberLocal
        ["server/mvcc/watchable_store.go:511 at v3.5.16"
         "server/etcdserver/api/v3rpc/watch.go:363 at v3.5.16"
         "server/mvcc/watchable_store.go:478 at v3.5.1"
         "server/etcdserver/api/v3rpc/watch.go:342 at v3.5.1"
         "mvcc/watchable_store.go:493 at v3.4.23"
         "etcdserver/api/v3rpc/watch.go:372 at v3.4.23"]
        "Promises that every event up to it was delivered. Answers to a progress request break \
         that promise at 3.4.23 and 3.5.1 (#15220), where they are sent past the queue of events.";
    Authenticate Exact
        ["server/etcdserver/apply.go:833,1163 at v3.5.16"
         "server/etcdserver/apply.go:818,1148 at v3.5.1"
         "etcdserver/apply.go:726,1033 at v3.4.23"]
        "The revision at its place in the log.";
    AuthChange Exact
        ["server/etcdserver/apply.go:815,820,841,865,889,897,1163 at v3.5.16"
         "server/etcdserver/apply.go:800,805,826,850,874,882,1148 at v3.5.1"
         "etcdserver/apply.go:714,719,734,758,782,790,1033 at v3.4.23"]
        "The revision at its place in the log; it takes none itself. The revision of the auth \
         store is another counter, seen in AuthStatus.";
    AuthRead Exact
        ["server/etcdserver/apply.go:873,905,929,937,1163 at v3.5.16"
         "server/etcdserver/apply.go:858,890,914,922,1148 at v3.5.1"
         "etcdserver/apply.go:766,798,822,830,1033 at v3.4.23"]
        "Goes through the log: the get and list requests for users and roles.";
    AuthStatus Exact
        ["server/etcdserver/apply.go:826,1163 at v3.5.16"
         "server/etcdserver/apply.go:811,1148 at v3.5.1"
         "etcdserver/apply.go:1033 at v3.4.23"]
        "Goes through the log; from 3.5.";
    Cluster None
        ["server/etcdserver/api/v3rpc/member.go:108 at v3.5.16"
         "server/etcdserver/api/v3rpc/member.go:108 at v3.5.1"
         "etcdserver/api/v3rpc/member.go:103 at v3.4.23"]
        "The header has no revision (0).";
    Alarm LowerBound
        ["server/etcdserver/api/v3rpc/maintenance.go:216 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:211 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:225 at v3.4.23"]
        "Filled after the apply, from 3.5. 3.4 sends no header.";
    Status MemberLocal
        ["server/etcdserver/api/v3rpc/maintenance.go:222 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:217 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:230 at v3.4.23"]
        "Read at another moment than raft_applied_index in the same answer.";
    Hash MemberLocal
        ["server/etcdserver/api/v3rpc/maintenance.go:192 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:187 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:208 at v3.4.23"]
        "Read at another moment than the hash in the same answer.";
    HashKv MemberLocal
        ["server/etcdserver/api/v3rpc/maintenance.go:203 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:198 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:219 at v3.4.23"]
        "The revision of the member, not the revision hashed: that is the one asked for, or this \
         one if none was.";
    Defragment None
        ["server/etcdserver/api/v3rpc/maintenance.go:101 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:96 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:100 at v3.4.23"]
        "No header.";
    Snapshot None
        ["server/etcdserver/api/v3rpc/maintenance.go:156 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:151 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:162 at v3.4.23"]
        "No header.";
    MoveLeader None
        ["server/etcdserver/api/v3rpc/maintenance.go:251 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:246 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:259 at v3.4.23"]
        "No header.";
    Downgrade LowerBound
        ["server/etcdserver/api/v3rpc/maintenance.go:260 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:255 at v3.5.1"]
        "Filled after the apply; from 3.5.";
};
