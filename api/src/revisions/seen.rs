//! What the revisions of answers were seen to be.

use super::ResponseKind;

/// How the revisions of one kind of answer lay to what is known from elsewhere, on one release.
///
/// Three members; six clients that put all the time; three that grant and revoke 700 leases each
/// with 0, 1 or 2 keys (through another member), compact, change users and roles and ask
/// questions; auth switched on and off three times (`api/tests/real_etcd/revisions.rs`, which
/// `.ci/run` repeats on each release). Requests that go through the raft log are compared with the
/// revision at their place in it, read from a member's write-ahead log afterwards, their own change
/// included; the others with the greatest revision acknowledged to anyone before they were sent,
/// and with the greatest that can have been made by the time they were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The kind of answer.
    pub kind: ResponseKind,
    /// What was particular about these; may be empty.
    pub what: &'static str,
    /// etcd's release.
    pub release: &'static str,
    /// How many answers were compared.
    pub answers: u32,
    /// Answers with a revision below the place; of those not in the log, below what was acknowledged
    /// before: the member was behind.
    pub below: u32,
    /// Answers with a revision above the place; of those not in the log, above all there can have
    /// been.
    pub above: u32,
}

macro_rules! seen {
    ($($release:literal { $($kind:ident $what:literal $answers:literal $below:literal $above:literal;)+ })+) => {
        &[$($(Seen {
            kind: ResponseKind::$kind,
            what: $what,
            release: $release,
            answers: $answers,
            below: $below,
            above: $above,
        }),+),+]
    };
}

/// What was seen on 2026-11-22: kind, what was particular, answers, below, above.
pub static SEEN: &[Seen] = seen! {
    "3.4.23" {
        RangeLinearizable "" 525 0 0;
        RangeSerializable "" 525 42 0;
        Put "" 28_873 0 0;
        Compact "" 125 0 84;
        Compact "physical" 132 0 105;
        LeaseGrant "" 2_100 0 0;
        LeaseRevoke "0 keys" 702 0 0;
        LeaseRevoke "1 key" 699 0 0;
        LeaseRevoke "2 keys" 699 0 0;
        LeaseKeepAlive "" 525 12 0;
        LeaseTimeToLive "" 525 36 0;
        LeaseLeases "" 525 57 0;
        Authenticate "" 300 0 0;
        AuthChange "" 1_572 0 0;
        AuthRead "" 522 0 0;
        Status "" 525 66 0;
        HashKv "" 525 64 0;
    }
    "3.5.1" {
        RangeLinearizable "" 525 0 0;
        RangeSerializable "" 525 22 0;
        Put "" 28_778 0 0;
        Compact "" 128 0 86;
        Compact "physical" 130 0 96;
        LeaseGrant "" 2_100 0 0;
        LeaseRevoke "0 keys" 702 0 0;
        LeaseRevoke "1 key" 699 0 0;
        LeaseRevoke "2 keys" 699 0 0;
        LeaseKeepAlive "" 525 15 0;
        LeaseTimeToLive "" 525 30 0;
        LeaseLeases "" 525 47 0;
        Authenticate "" 300 0 0;
        AuthChange "" 1_572 0 0;
        AuthRead "" 522 0 0;
        AuthStatus "" 100 0 0;
        Alarm "" 100 0 53;
        Status "" 525 41 0;
        HashKv "" 525 51 0;
    }
    "3.5.16" {
        RangeLinearizable "" 525 0 0;
        RangeSerializable "" 525 26 0;
        Put "" 29_898 0 0;
        Compact "" 124 0 81;
        Compact "physical" 131 0 109;
        LeaseGrant "" 2_100 0 0;
        LeaseRevoke "0 keys" 702 0 0;
        LeaseRevoke "1 key" 699 0 0;
        LeaseRevoke "2 keys" 699 0 0;
        LeaseKeepAlive "" 525 13 0;
        LeaseTimeToLive "" 525 32 0;
        LeaseLeases "" 525 46 0;
        Authenticate "" 300 0 0;
        AuthChange "" 1_572 0 0;
        AuthRead "" 522 0 0;
        AuthStatus "" 100 0 0;
        Alarm "" 100 0 59;
        Status "" 525 46 0;
        HashKv "" 525 51 0;
    }
};
