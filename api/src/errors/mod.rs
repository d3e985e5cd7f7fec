//! Which errors of etcd say for certain that the request had no effect.
//!
//! A checker may drop a failed write only when the failure is *definite*. Here that is a table,
//! [`RULES`]: request kind, gRPC code, exact message, and the lines in etcd's source that raise
//! it, read at v3.5.16, v3.5.1 and v3.4.23. Whatever is not in the table is
//! [`ErrorClass::Unknown`]: the request may or may not have taken effect.
//!
//! ```
//! use api::errors::{classify, code, ErrorClass, RequestKind};
//!
//! let gone = "etcdserver: requested lease not found";
//! let verdict = classify(RequestKind::Put, code::NOT_FOUND, gone);
//! assert_eq!(verdict.class, ErrorClass::Definite);
//! assert_eq!(verdict.rule.unwrap().id, "lease-not-found");
//!
//! let late = "etcdserver: request timed out";
//! assert_eq!(classify(RequestKind::Put, code::UNAVAILABLE, late).class, ErrorClass::Unknown);
//! ```
//!
//! # Where an error is raised
//!
//! An error raised before the proposal is definite by itself: nothing left the member. One raised
//! at apply is definite because every member applies the same entry to the same state and stops
//! at the same check, before its first change. Members that have diverged may decide differently;
//! the effect then shows up where none was possible, which is a violation, as it should be.
//!
//! # Refused: a claim, not a fact
//!
//! Two families of errors claim no effect without all members vouching for it:
//!
//! - The auth layer judges writes at apply, each member from its own cache (#14571, #13883).
//! - A transaction that reads at a compacted or future revision (#18667) fails only on the member
//!   that waits for its result. The others drop the reads from the entry before applying it, and
//!   apply its writes; so does that member itself if it replays its log after a crash.
//!
//! These are [`ErrorClass::Refused`]: recorded as claims. An effect that is seen after all is a
//! violation of its own, with a rule to name. Classing #18667 as unknown would let a checker
//! explain the write away as a lucky one.
//!
//! That no claim is made proves nothing about permissions: at all three tags the operations of a
//! nested transaction are not checked at all (server/etcdserver/apply_auth.go:110-151 at
//! v3.5.16), and granting a lease or compacting needs no user.
//!
//! # Left out on purpose
//!
//! - `etcdserver: mvcc: database space exceeded`: the quota check at apply runs the request first
//!   and adds the error afterwards (server/etcdserver/apply.go:974-999 at v3.5.16), so a put, a
//!   transaction or a lease may have taken effect.
//! - `request timed out` in all its forms, `leader changed`, `server stopped`, `request
//!   cancelled`: the proposal may be on its way.
//! - `etcdserver: corrupt cluster`: no effect on the member that says so, but a member with that
//!   alarm is not believed.
//! - Promotion of a learner through a follower: the follower retries, and a second try can answer
//!   `can only promote a learner member` because the first one worked
//!   (server/etcdserver/server.go:1737-1752 at v3.5.16). The same goes for `member not found` and
//!   `in sync with leader`. Promotion therefore has a kind of its own.
//! - A membership change that follows too closely on another: Raft replaces it by an empty entry
//!   (raft/raft.go:1045-1060 at v3.5.16), and the member never answers, for it waits without a
//!   limit of its own (server/etcdserver/server.go:2012-2032). Give such requests a time limit.
//! - Errors of keep-alive: a renewal counts only once it is acknowledged.
//! - Watch requests are refused inside a response (`canceled`, `cancel_reason`), not by a status.
//! - Everything that the client library makes itself, whatever its code.
//!
//! A read has no effect, whatever comes back. Rows for reads say that the answer is final.

mod recognise;
mod table;

pub use recognise::*;
pub use table::RULES;

use std::fmt;

/// gRPC status codes, as numbers on the wire.
pub mod code {
    /// The request was cancelled.
    pub const CANCELLED: i32 = 1;
    /// No code given; etcd's unmapped errors.
    pub const UNKNOWN: i32 = 2;
    /// Malformed request.
    pub const INVALID_ARGUMENT: i32 = 3;
    /// Out of time.
    pub const DEADLINE_EXCEEDED: i32 = 4;
    /// No such thing.
    pub const NOT_FOUND: i32 = 5;
    /// Not allowed.
    pub const PERMISSION_DENIED: i32 = 7;
    /// Out of space or over a limit.
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    /// Not in this state.
    pub const FAILED_PRECONDITION: i32 = 9;
    /// Outside a range; also a client's decode limit.
    pub const OUT_OF_RANGE: i32 = 11;
    /// The member or the connection is not there.
    pub const UNAVAILABLE: i32 = 14;
    /// Data is lost or corrupt.
    pub const DATA_LOSS: i32 = 15;
    /// No valid credentials.
    pub const UNAUTHENTICATED: i32 = 16;
}

/// What was asked, as far as errors differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// KV Range.
    Range,
    /// KV Put.
    Put,
    /// KV DeleteRange.
    DeleteRange,
    /// KV Txn, read-only ones included.
    Txn,
    /// KV Compact.
    Compact,
    /// Lease LeaseGrant.
    LeaseGrant,
    /// Lease LeaseRevoke.
    LeaseRevoke,
    /// Lease LeaseKeepAlive, a stream.
    LeaseKeepAlive,
    /// Lease LeaseTimeToLive and LeaseLeases.
    LeaseTimeToLive,
    /// Watch, a stream.
    Watch,
    /// Auth Authenticate: logging in.
    Authenticate,
    /// The rest of Auth: enable, disable, status, users, roles.
    Auth,
    /// Cluster MemberAdd, MemberRemove, MemberUpdate and MemberList.
    Cluster,
    /// Cluster MemberPromote, which the member asked may retry.
    MemberPromote,
    /// Maintenance: alarms, status, defragmentation, hashes, snapshot, leader, downgrade.
    Maintenance,
}

impl RequestKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Range,
        Self::Put,
        Self::DeleteRange,
        Self::Txn,
        Self::Compact,
        Self::LeaseGrant,
        Self::LeaseRevoke,
        Self::LeaseKeepAlive,
        Self::LeaseTimeToLive,
        Self::Watch,
        Self::Authenticate,
        Self::Auth,
        Self::Cluster,
        Self::MemberPromote,
        Self::Maintenance,
    ];
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What an error says about the effect of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The request had no effect and never will.
    Definite,
    /// The member claims that the request had no effect. To be recorded as a claim: an effect
    /// that is seen after all is a violation.
    Refused,
    /// The request may have taken effect, or may still.
    Unknown,
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Definite => "definite",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        })
    }
}

/// When etcd raises an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// By the member asked, before the request enters the Raft log.
    BeforeProposal,
    /// By the member asked, in a request that never enters the log.
    Read,
    /// When the committed entry is applied, before its first change.
    AtApply,
    /// In both places.
    Either,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A short name, unique in the table, for reports.
    pub id: &'static str,
    /// The requests that it is about.
    pub kinds: &'static [RequestKind],
    /// The gRPC code on the wire, which is not always the one that etcd declares.
    pub code: i32,
    /// The whole message.
    pub message: &'static str,
    /// [`ErrorClass::Definite`] or [`ErrorClass::Refused`], never unknown.
    pub class: ErrorClass,
    /// When it is raised. For requests that also come read-only, what holds for the writes.
    pub stage: Stage,
    /// Where in etcd's source, as `file:line at tag`.
    pub sources: &'static [&'static str],
    /// What else there is to know; may be empty.
    pub note: &'static str,
}

impl Rule {
    /// Whether this row is about such a request and such an error.
    #[must_use]
    pub fn matches(&self, kind: RequestKind, code: i32, message: &str) -> bool {
        self.code == code && self.message == message && self.kinds.contains(&kind)
    }
}

/// What [`classify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The class.
    pub class: ErrorClass,
    /// The row that says so; none when unknown.
    pub rule: Option<&'static Rule>,
}

/// Looks an error up. `code` and `message` must be those that came over the wire: an error made
/// by the client library or by the harness is unknown and must not be passed here.
#[must_use]
pub fn classify(kind: RequestKind, code: i32, message: &str) -> Verdict {
    let rule = RULES.iter().find(|rule| rule.matches(kind, code, message));
    Verdict {
        class: rule.map_or(ErrorClass::Unknown, |rule| rule.class),
        rule,
    }
}

/// The row of that name.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}
