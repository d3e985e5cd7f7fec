//! Tests for single errors, whatever the request was.

use super::code;

macro_rules! recognisers {
    ($($(#[$doc:meta])* $name:ident: $($code:ident $message:literal),+;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(code: i32, message: &str) -> bool {
            $((code == code::$code && message == $message))||+
        }
    )+};
}

recognisers! {
    /// The revision asked for is compacted away.
    is_compacted: OUT_OF_RANGE "etcdserver: mvcc: required revision has been compacted";
    /// The revision asked for does not exist yet.
    is_future_revision: OUT_OF_RANGE "etcdserver: mvcc: required revision is a future revision";
    /// The user lacks a permission. Maintenance requests answer with the internal text.
    is_permission_denied:
        PERMISSION_DENIED "etcdserver: permission denied",
        UNKNOWN "auth: permission denied";
    /// The token is unknown to this member: log in anew. Maintenance requests answer with the
    /// internal text.
    is_invalid_auth_token:
        UNAUTHENTICATED "etcdserver: invalid auth token",
        UNKNOWN "auth: invalid auth token";
    /// The token was issued before the last change of users, roles or permissions: log in anew.
    /// 3.5.1 answers with the internal text.
    is_auth_old_revision:
        INVALID_ARGUMENT "etcdserver: revision of auth store is old",
        UNKNOWN "auth: revision in header is old";
    /// No credentials while auth is on, or a user to be added without a name.
    is_user_empty:
        INVALID_ARGUMENT "etcdserver: user name is empty",
        UNKNOWN "auth: user name is empty";
    /// Wrong user or password at log-in.
    is_auth_failed:
        INVALID_ARGUMENT "etcdserver: authentication failed, invalid user ID or password";
    /// Log-in while auth is off.
    is_auth_not_enabled: FAILED_PRECONDITION "etcdserver: authentication is not enabled";
    /// The lease is not there. Keep-alive and time-to-live say so in the response instead, with a
    /// TTL of 0 and -1.
    is_lease_not_found: NOT_FOUND "etcdserver: requested lease not found";
    /// A lease of that id is there already.
    is_lease_exists: FAILED_PRECONDITION "etcdserver: lease already exists";
    /// The quota is used up. Says nothing about the effect of the request.
    is_no_space: RESOURCE_EXHAUSTED "etcdserver: mvcc: database space exceeded";
    /// The member is a learner and does not serve this request.
    is_learner: UNAVAILABLE "etcdserver: rpc not supported for learner";
    /// No leader is known.
    is_no_leader: UNAVAILABLE "etcdserver: no leader";
    /// The leader changed while the request waited.
    is_leader_changed: UNAVAILABLE "etcdserver: leader changed";
    /// The member asked is not the leader.
    is_not_leader: FAILED_PRECONDITION "etcdserver: not leader";
    /// Too many committed entries wait to be applied.
    is_too_many_requests:
        UNKNOWN "etcdserver: too many requests",
        RESOURCE_EXHAUSTED "etcdserver: too many requests";
    /// Too few members have started for a change of membership.
    is_not_enough_started:
        UNKNOWN "etcdserver: re-configuration failed due to not enough started members",
        FAILED_PRECONDITION
            "etcdserver: re-configuration failed due to not enough started members";
    /// The member has not been connected to its peers for long enough for a change of membership.
    is_unhealthy_cluster: UNAVAILABLE "etcdserver: unhealthy cluster";
    /// No such member.
    is_member_not_found: NOT_FOUND "etcdserver: member not found";
    /// The learner to be promoted is too far behind the leader.
    is_learner_not_ready: FAILED_PRECONDITION
        "etcdserver: can only promote a learner member which is in sync with leader";
    /// The member to be promoted is no learner, which is also what a retried promotion says after
    /// its first try worked.
    is_member_not_learner: FAILED_PRECONDITION "etcdserver: can only promote a learner member";
    /// The member has raised the corruption alarm.
    is_corrupt: DATA_LOSS "etcdserver: corrupt cluster";
}
