//! The rows. Each names where etcd raises the error, at the three tags that were read.

use super::ErrorClass::{Definite, Refused};
use super::RequestKind::{
    Auth, Authenticate, Cluster, Compact, DeleteRange, LeaseGrant, LeaseKeepAlive, LeaseRevoke,
    LeaseTimeToLive, Maintenance, MemberPromote, Put, Range, Txn, Watch,
};
use super::Rule;
use super::Stage::{AtApply, BeforeProposal, Either, Read};

macro_rules! rules {
    ($($id:literal $class:ident $stage:ident [$($kind:ident)+] $code:literal $message:literal
       [$($source:literal)+] $note:literal;)+) => {
        &[$(Rule {
            id: $id,
            kinds: &[$($kind),+],
            code: $code,
            message: $message,
            class: $class,
            stage: $stage,
            sources: &[$($source),+],
            note: $note,
        }),+]
    };
}

/// Every error that says something certain about the effect of its request.
pub static RULES: &[Rule] = rules! {
    // Malformed requests: refused by the front end, before anything else is done.
    "empty-key" Definite BeforeProposal
        [Range Put DeleteRange Txn]
        3 "etcdserver: key is not provided"
        ["server/etcdserver/api/v3rpc/key.go:116,123,136,155 at v3.5.16"
         "server/etcdserver/api/v3rpc/key.go:116,123,136,155 at v3.5.1"
         "etcdserver/api/v3rpc/key.go:122,129,142,161 at v3.4.23"]
        "";
    "value-provided" Definite BeforeProposal
        [Put Txn]
        3 "etcdserver: value is provided"
        ["server/etcdserver/api/v3rpc/key.go:126 at v3.5.16"
         "server/etcdserver/api/v3rpc/key.go:126 at v3.5.1"
         "etcdserver/api/v3rpc/key.go:132 at v3.4.23"]
        "ignore_value together with a value.";
    "lease-provided" Definite BeforeProposal
        [Put Txn]
        3 "etcdserver: lease is provided"
        ["server/etcdserver/api/v3rpc/key.go:129 at v3.5.16"
         "server/etcdserver/api/v3rpc/key.go:129 at v3.5.1"
         "etcdserver/api/v3rpc/key.go:135 at v3.4.23"]
        "ignore_lease together with a lease.";
    "too-many-ops" Definite BeforeProposal
        [Txn]
        3 "etcdserver: too many operations in txn request"
        ["server/etcdserver/api/v3rpc/key.go:150 at v3.5.16"
         "server/etcdserver/api/v3rpc/key.go:150 at v3.5.1"
         "etcdserver/api/v3rpc/key.go:156 at v3.4.23"]
        "";
    "duplicate-key" Definite BeforeProposal
        [Txn]
        3 "etcdserver: duplicate key given in txn request"
        ["server/etcdserver/api/v3rpc/key.go:214 at v3.5.16"
         "server/etcdserver/api/v3rpc/key.go:214 at v3.5.1"
         "etcdserver/api/v3rpc/key.go:220 at v3.4.23"]
        "Several return points in the same function, one cited.";

    // Refused by the member before the request is handed to Raft.
    "request-too-large" Definite BeforeProposal
        [Put DeleteRange Txn Compact LeaseGrant LeaseRevoke Authenticate Auth Maintenance]
        3 "etcdserver: request is too large"
        ["server/etcdserver/v3_server.go:777 at v3.5.16"
         "server/etcdserver/v3_server.go:672 at v3.5.1"
         "etcdserver/v3_server.go:662 at v3.4.23"]
        "The gRPC receive limit, half a mebibyte higher, answers with another message, which is \
         unknown.";
    "too-many-requests" Definite BeforeProposal
        [Put DeleteRange Txn Compact LeaseGrant LeaseRevoke Authenticate Auth Maintenance]
        2 "etcdserver: too many requests"
        ["server/etcdserver/v3_server.go:752 at v3.5.16"
         "api/v3rpc/rpctypes/error.go:187 at v3.5.16"
         "server/etcdserver/v3_server.go:647 at v3.5.1"
         "api/v3rpc/rpctypes/error.go:182 at v3.5.1"
         "etcdserver/v3_server.go:640 at v3.4.23"
         "etcdserver/api/v3rpc/rpctypes/error.go:170 at v3.4.23"]
        "The declared code is ResourceExhausted, but the mapping names the client-side error \
         value, which carries no gRPC status: on the wire it is Unknown (2).";
    "proposal-dropped" Definite BeforeProposal
        [Put DeleteRange Txn Compact LeaseGrant LeaseRevoke Authenticate Auth Maintenance]
        2 "raft proposal dropped"
        ["raft/raft.go:1021,1025,1068,1383,1420,1423 at v3.5.16"
         "raft/raft.go:1021,1025,1068,1383,1420,1423 at v3.5.1"
         "raft/raft.go:1036,1040,1083,1283,1320,1323 at v3.4.23"]
        "Returned by the member's own Raft state machine before anything is appended or \
         forwarded, mostly while leadership is being moved. Configuration changes are proposed \
         without waiting for this result, so they never report it.";
    "not-capable" Definite BeforeProposal
        [Range Put DeleteRange Txn Compact LeaseGrant LeaseRevoke LeaseTimeToLive Authenticate Auth
        Cluster MemberPromote Maintenance Watch LeaseKeepAlive]
        14 "etcdserver: not capable"
        ["server/etcdserver/api/v3rpc/interceptor.go:49,215 at v3.5.16"
         "server/etcdserver/api/v3rpc/interceptor.go:49,215 at v3.5.1"
         "etcdserver/api/v3rpc/interceptor.go:48,200 at v3.4.23"]
        "Just after the start, until the cluster version is known.";
    "learner" Definite BeforeProposal
        [Range Put DeleteRange Txn Compact LeaseGrant LeaseRevoke LeaseTimeToLive Authenticate Auth
        Cluster MemberPromote Maintenance Watch LeaseKeepAlive]
        14 "etcdserver: rpc not supported for learner"
        ["server/etcdserver/api/v3rpc/interceptor.go:53,219 at v3.5.16"
         "server/etcdserver/api/v3rpc/interceptor.go:53,219 at v3.5.1"
         "etcdserver/api/v3rpc/interceptor.go:52,204 at v3.4.23"]
        "Learners serve serializable ranges and Status only; from 3.5 also Snapshot.";
    "no-leader" Definite BeforeProposal
        [Range Put DeleteRange Txn Compact LeaseGrant LeaseRevoke Authenticate Auth Cluster
        Maintenance]
        14 "etcdserver: no leader"
        ["server/etcdserver/api/v3rpc/interceptor.go:66 at v3.5.16"
         "server/etcdserver/api/v3rpc/interceptor.go:66 at v3.5.1"
         "etcdserver/api/v3rpc/interceptor.go:65 at v3.4.23"]
        "Only to requests that carry the require-leader metadata. For keep-alive, time-to-live \
         and promotion the same text also comes later, so it is unknown there.";

    // Reads.
    "range-compacted" Definite Read
        [Range]
        11 "etcdserver: mvcc: required revision has been compacted"
        ["server/mvcc/kvstore_txn.go:137 at v3.5.16"
         "server/mvcc/kvstore_txn.go:136 at v3.5.1"
         "mvcc/kvstore_txn.go:126 at v3.4.23"]
        "OutOfRange is also what a client library makes when a message exceeds its decode limit: \
         the message tells them apart.";
    "range-future-revision" Definite Read
        [Range]
        11 "etcdserver: mvcc: required revision is a future revision"
        ["server/mvcc/kvstore_txn.go:131 at v3.5.16"
         "server/mvcc/kvstore_txn.go:130 at v3.5.1"
         "mvcc/kvstore_txn.go:120 at v3.4.23"]
        "";
    "hash-compacted" Definite Read
        [Maintenance]
        11 "etcdserver: mvcc: required revision has been compacted"
        ["server/mvcc/kvstore.go:185 at v3.5.16"
         "server/mvcc/kvstore.go:178 at v3.5.1"
         "mvcc/kvstore.go:203 at v3.4.23"]
        "HashKV.";
    "hash-future-revision" Definite Read
        [Maintenance]
        11 "etcdserver: mvcc: required revision is a future revision"
        ["server/mvcc/kvstore.go:188 at v3.5.16"
         "server/mvcc/kvstore.go:181 at v3.5.1"
         "mvcc/kvstore.go:206 at v3.4.23"]
        "HashKV.";

    // Raised at apply, before the first change.
    "put-key-not-found" Definite AtApply
        [Put]
        3 "etcdserver: key not found"
        ["server/etcdserver/apply.go:285 at v3.5.16"
         "server/etcdserver/apply.go:285 at v3.5.1"
         "etcdserver/apply.go:210 at v3.4.23"]
        "ignore_value or ignore_lease on an absent key. The write transaction is open, but ends \
         without a change and without a new revision.";
    "txn-key-not-found" Definite Either
        [Txn]
        3 "etcdserver: key not found"
        ["server/etcdserver/api/v3rpc/key.go:269 at v3.5.16"
         "server/etcdserver/apply.go:1076 at v3.5.16"
         "server/etcdserver/api/v3rpc/key.go:269 at v3.5.1"
         "server/etcdserver/apply.go:1061 at v3.5.1"
         "etcdserver/api/v3rpc/key.go:275 at v3.4.23"
         "etcdserver/apply.go:946 at v3.4.23"]
        "An empty operation (before the proposal), or ignore_value or ignore_lease on an absent \
         key (at apply; members that strip ranges, #18667, still make this check).";
    "lease-not-found" Definite AtApply
        [Put Txn LeaseRevoke]
        5 "etcdserver: requested lease not found"
        ["server/etcdserver/apply.go:265,1081 at v3.5.16"
         "server/lease/lessor.go:334 at v3.5.16"
         "server/etcdserver/apply.go:265,1066 at v3.5.1"
         "server/lease/lessor.go:313 at v3.5.1"
         "etcdserver/apply.go:190,951 at v3.4.23"
         "lease/lessor.go:330 at v3.4.23"]
        "Time-to-live and keep-alive report an absent lease in the response (TTL -1 and 0), not \
         as an error.";
    "lease-exists" Definite AtApply
        [LeaseGrant]
        9 "etcdserver: lease already exists"
        ["server/lease/lessor.go:300 at v3.5.16"
         "server/lease/lessor.go:279 at v3.5.1"
         "lease/lessor.go:296 at v3.4.23"]
        "";
    "lease-ttl-too-large" Definite AtApply
        [LeaseGrant]
        11 "etcdserver: too large lease TTL"
        ["server/lease/lessor.go:289 at v3.5.16"
         "server/lease/lessor.go:263 at v3.5.1"
         "lease/lessor.go:280 at v3.4.23"]
        "";
    "compact-compacted" Definite AtApply
        [Compact]
        11 "etcdserver: mvcc: required revision has been compacted"
        ["server/mvcc/kvstore.go:211 at v3.5.16"
         "server/mvcc/kvstore.go:228 at v3.5.1"
         "mvcc/kvstore.go:253 at v3.4.23"]
        "Says too that a compaction at or above this revision was applied before.";
    "compact-future-revision" Definite AtApply
        [Compact]
        11 "etcdserver: mvcc: required revision is a future revision"
        ["server/mvcc/kvstore.go:215 at v3.5.16"
         "server/mvcc/kvstore.go:232 at v3.5.1"
         "mvcc/kvstore.go:257 at v3.4.23"]
        "";

    // #18667: only the member that waits for the result checks ranges inside a transaction; the
    // others, and that member itself when it replays its log, strip them and apply the writes.
    "txn-compacted" Refused AtApply
        [Txn]
        11 "etcdserver: mvcc: required revision has been compacted"
        ["server/etcdserver/apply.go:1099 at v3.5.16"
         "server/etcdserver/server.go:2326 at v3.5.16"
         "server/etcdserver/apply.go:1084 at v3.5.1"
         "server/etcdserver/server.go:2204 at v3.5.1"
         "etcdserver/apply.go:969 at v3.4.23"
         "etcdserver/server.go:2252 at v3.4.23"]
        "A claim only: #18667.";
    "txn-future-revision" Refused AtApply
        [Txn]
        11 "etcdserver: mvcc: required revision is a future revision"
        ["server/etcdserver/apply.go:1097 at v3.5.16"
         "server/etcdserver/server.go:2326 at v3.5.16"
         "server/etcdserver/apply.go:1082 at v3.5.1"
         "server/etcdserver/server.go:2204 at v3.5.1"
         "etcdserver/apply.go:967 at v3.4.23"
         "etcdserver/server.go:2252 at v3.4.23"]
        "A claim only: #18667.";

    // Claims of the auth layer. Writes are judged at apply, by every member from its own cache
    // (#14571, #13883); tokens and reads by the member asked.
    "invalid-auth-token" Refused BeforeProposal
        [Range Put DeleteRange Txn Compact LeaseGrant LeaseRevoke LeaseTimeToLive Auth Maintenance]
        16 "etcdserver: invalid auth token"
        ["server/etcdserver/v3_server.go:355,726,761 at v3.5.16"
         "server/auth/store.go:1184 at v3.5.16"
         "server/etcdserver/v3_server.go:621,656 at v3.5.1"
         "server/auth/store.go:1163 at v3.5.1"
         "etcdserver/v3_server.go:614,647 at v3.4.23"
         "auth/store.go:1319 at v3.4.23"]
        "";
    "cluster-invalid-auth-token" Refused BeforeProposal
        [Cluster MemberPromote]
        16 "etcdserver: invalid auth token"
        ["server/etcdserver/server.go:1635 at v3.5.16"
         "server/etcdserver/server.go:1530 at v3.5.1"
         "etcdserver/server.go:1601 at v3.4.23"]
        "";
    "login-invalid-auth-token" Refused BeforeProposal
        [Authenticate]
        16 "etcdserver: invalid auth token"
        ["etcdserver/v3_server.go:647 at v3.4.23"]
        "3.4 checks the token that a log-in happens to carry; 3.5 does not.";
    "permission-denied" Refused AtApply
        [Range Put DeleteRange Txn LeaseRevoke LeaseTimeToLive]
        7 "etcdserver: permission denied"
        ["server/auth/store.go:867,879 at v3.5.16"
         "server/etcdserver/v3_server.go:366 at v3.5.16"
         "server/auth/store.go:859,871 at v3.5.1"
         "auth/store.go:972,984 at v3.4.23"]
        "Reads and read-only transactions: before the read, by the member asked.";
    "auth-permission-denied" Refused AtApply
        [Auth]
        7 "etcdserver: permission denied"
        ["server/auth/store.go:912 at v3.5.16"
         "server/etcdserver/apply_auth.go:55 at v3.5.16"
         "server/auth/store.go:904 at v3.5.1"
         "server/etcdserver/apply_auth.go:55 at v3.5.1"
         "auth/store.go:1017 at v3.4.23"
         "etcdserver/apply_auth.go:54 at v3.4.23"]
        "";
    "cluster-permission-denied" Refused BeforeProposal
        [Cluster MemberPromote]
        7 "etcdserver: permission denied"
        ["server/auth/store.go:912 at v3.5.16"
         "server/etcdserver/server.go:1640 at v3.5.16"
         "server/auth/store.go:904 at v3.5.1"
         "server/etcdserver/server.go:1535 at v3.5.1"
         "auth/store.go:1017 at v3.4.23"
         "etcdserver/server.go:1606 at v3.4.23"]
        "";
    "user-empty" Refused AtApply
        [Range Put DeleteRange Txn LeaseRevoke LeaseTimeToLive]
        3 "etcdserver: user name is empty"
        ["server/auth/store.go:848 at v3.5.16"
         "server/etcdserver/v3_server.go:360 at v3.5.16"
         "server/auth/store.go:840 at v3.5.1"
         "auth/store.go:941 at v3.4.23"]
        "No credentials while auth is on.";
    "auth-user-empty" Refused AtApply
        [Auth]
        3 "etcdserver: user name is empty"
        ["server/auth/store.go:395,899 at v3.5.16"
         "server/auth/store.go:384,891 at v3.5.1"
         "auth/store.go:419,1004 at v3.4.23"]
        "No credentials, or a user to be added without a name.";
    "cluster-user-empty" Refused BeforeProposal
        [Cluster MemberPromote]
        3 "etcdserver: user name is empty"
        ["server/auth/store.go:899 at v3.5.16"
         "server/auth/store.go:891 at v3.5.1"
         "auth/store.go:1004 at v3.4.23"]
        "";
    "auth-old-revision" Refused AtApply
        [Range Put DeleteRange Txn LeaseRevoke LeaseTimeToLive]
        3 "etcdserver: revision of auth store is old"
        ["server/auth/store.go:857 at v3.5.16"
         "server/etcdserver/v3_server.go:455,743 at v3.5.16"
         "auth/store.go:958 at v3.4.23"
         "etcdserver/v3_server.go:631 at v3.4.23"]
        "Reads: after the read, which is thrown away.";
    "auth-old-revision-raw" Refused AtApply
        [Range Put DeleteRange Txn LeaseRevoke]
        2 "auth: revision in header is old"
        ["server/auth/store.go:849 at v3.5.1"
         "server/etcdserver/v3_server.go:638 at v3.5.1"]
        "3.5.1 has no mapping for it, so the internal text goes out as Unknown (2).";
    "auth-user-not-found" Refused AtApply
        [Auth]
        9 "etcdserver: user name not found"
        ["server/auth/store.go:451,476,519,564,601,908 at v3.5.16"
         "server/auth/store.go:439,464,506,552,589,900 at v3.5.1"
         "auth/store.go:494,540,577,631,672,1013 at v3.4.23"]
        "Either the caller's own user is gone (a claim) or the user named; they look the same.";
    "cluster-user-not-found" Refused BeforeProposal
        [Cluster MemberPromote]
        9 "etcdserver: user name not found"
        ["server/auth/store.go:908 at v3.5.16"
         "server/auth/store.go:900 at v3.5.1"
         "auth/store.go:1013 at v3.4.23"]
        "";
    "maintenance-invalid-auth-token" Refused BeforeProposal
        [Maintenance]
        2 "auth: invalid auth token"
        ["server/etcdserver/api/v3rpc/maintenance.go:270,275 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:265,270 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:268,273 at v3.4.23"]
        "Defragment, Hash, HashKV and Snapshot return the internal error unmapped.";
    "maintenance-user-empty" Refused BeforeProposal
        [Maintenance]
        2 "auth: user name is empty"
        ["server/etcdserver/api/v3rpc/maintenance.go:270,275 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:265,270 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:268,273 at v3.4.23"]
        "As above.";
    "maintenance-user-not-found" Refused BeforeProposal
        [Maintenance]
        2 "auth: user not found"
        ["server/etcdserver/api/v3rpc/maintenance.go:270,275 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:265,270 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:268,273 at v3.4.23"]
        "As above.";
    "maintenance-permission-denied" Refused BeforeProposal
        [Maintenance]
        2 "auth: permission denied"
        ["server/etcdserver/api/v3rpc/maintenance.go:270,275 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:265,270 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:268,273 at v3.4.23"]
        "As above.";

    // Log-in. What it could change is a token, and no token is given.
    "auth-failed" Definite Either
        [Authenticate]
        3 "etcdserver: authentication failed, invalid user ID or password"
        ["server/auth/store.go:302,340,355 at v3.5.16"
         "server/auth/store.go:295,333,348 at v3.5.1"
         "auth/store.go:326,368,387 at v3.4.23"]
        "";
    "auth-not-enabled" Definite Either
        [Authenticate]
        9 "etcdserver: authentication is not enabled"
        ["server/auth/store.go:293,327 at v3.5.16"
         "server/auth/store.go:286,320 at v3.5.1"
         "auth/store.go:317,355 at v3.4.23"]
        "";
    "login-no-password-user" Definite BeforeProposal
        [Authenticate]
        2 "auth: authentication failed, password was given for no password user"
        ["server/auth/store.go:344 at v3.5.16"
         "server/auth/store.go:337 at v3.5.1"
         "auth/store.go:372 at v3.4.23"]
        "Not mapped: Unknown (2).";

    // Auth changes, raised at apply before the first change.
    "root-user-missing" Definite AtApply
        [Auth]
        9 "etcdserver: root user does not exist"
        ["server/auth/store.go:241 at v3.5.16"
         "server/auth/store.go:234 at v3.5.1"
         "auth/store.go:256 at v3.4.23"]
        "";
    "root-role-missing" Definite AtApply
        [Auth]
        9 "etcdserver: root user does not have root role"
        ["server/auth/store.go:245 at v3.5.16"
         "server/auth/store.go:238 at v3.5.1"
         "auth/store.go:260 at v3.4.23"]
        "";
    "user-exists" Definite AtApply
        [Auth]
        9 "etcdserver: user name already exists"
        ["server/auth/store.go:404 at v3.5.16"
         "server/auth/store.go:393 at v3.5.1"
         "auth/store.go:448 at v3.4.23"]
        "";
    "no-password-user" Definite AtApply
        [Auth]
        2 "auth: authentication failed, password was given for no password user"
        ["server/auth/store.go:420,486 at v3.5.16"
         "server/auth/store.go:409,473 at v3.5.1"]
        "Not mapped: Unknown (2).";
    "role-exists" Definite AtApply
        [Auth]
        9 "etcdserver: role name already exists"
        ["server/auth/store.go:758 at v3.5.16"
         "server/auth/store.go:750 at v3.5.1"
         "auth/store.go:848 at v3.4.23"]
        "";
    "role-empty" Definite AtApply
        [Auth]
        3 "etcdserver: role name is empty"
        ["server/auth/store.go:749 at v3.5.16"
         "server/auth/store.go:741 at v3.5.1"
         "auth/store.go:839 at v3.4.23"]
        "";
    "role-not-found" Definite AtApply
        [Auth]
        9 "etcdserver: role name not found"
        ["server/auth/store.go:525,644,670,713,805 at v3.5.16"
         "server/auth/store.go:512,633,659,705,794 at v3.5.1"
         "auth/store.go:583,720,746,798,893 at v3.4.23"]
        "";
    "role-not-granted" Definite AtApply
        [Auth]
        9 "etcdserver: role is not granted to the user"
        ["server/auth/store.go:617 at v3.5.16"
         "server/auth/store.go:605 at v3.5.1"
         "auth/store.go:688 at v3.4.23"]
        "";
    "permission-not-given" Definite AtApply
        [Auth]
        3 "etcdserver: permission not given"
        ["server/auth/store.go:793 at v3.5.16"
         "server/auth/store.go:785 at v3.5.1"]
        "From 3.5.";
    "permission-not-granted" Definite AtApply
        [Auth]
        9 "etcdserver: permission is not granted to the role"
        ["server/auth/store.go:684 at v3.5.16"
         "server/auth/store.go:673 at v3.5.1"
         "auth/store.go:760 at v3.4.23"]
        "";
    "invalid-auth-management" Definite AtApply
        [Auth]
        3 "etcdserver: invalid auth management"
        ["server/auth/store.go:442,592,704,796 at v3.5.16"
         "server/auth/store.go:430,580,696 at v3.5.1"
         "auth/store.go:485,663,789 at v3.4.23"]
        "";

    // Membership.
    "member-bad-urls" Definite BeforeProposal
        [Cluster]
        3 "etcdserver: given member URLs are invalid"
        ["server/etcdserver/api/v3rpc/member.go:44 at v3.5.16"
         "server/etcdserver/api/v3rpc/member.go:44 at v3.5.1"
         "etcdserver/api/v3rpc/member.go:44 at v3.4.23"]
        "";
    "not-enough-started" Definite BeforeProposal
        [Cluster MemberPromote]
        2 "etcdserver: re-configuration failed due to not enough started members"
        ["server/etcdserver/server.go:1686,1815,1882 at v3.5.16"
         "server/etcdserver/server.go:1581,1710,1769 at v3.5.1"
         "etcdserver/server.go:1655,1791,1853 at v3.4.23"]
        "Declared as FailedPrecondition; Unknown (2) on the wire for the same reason as too-many- \
         requests.";
    "unhealthy-cluster" Definite BeforeProposal
        [Cluster]
        14 "etcdserver: unhealthy cluster"
        ["server/etcdserver/server.go:1696,1901 at v3.5.16"
         "server/etcdserver/server.go:1591,1788 at v3.5.1"
         "etcdserver/server.go:1669,1876 at v3.4.23"]
        "";
    "member-exists" Definite AtApply
        [Cluster]
        9 "etcdserver: member ID already exist"
        ["server/etcdserver/api/membership/cluster.go:319 at v3.5.16"
         "server/etcdserver/api/membership/cluster.go:319 at v3.5.1"
         "etcdserver/api/membership/cluster.go:307 at v3.4.23"]
        "The configuration change is turned into an empty one.";
    "peer-urls-exist" Definite AtApply
        [Cluster]
        9 "etcdserver: Peer URLs already exists"
        ["server/etcdserver/api/membership/cluster.go:330,370 at v3.5.16"
         "server/etcdserver/api/membership/cluster.go:330,370 at v3.5.1"
         "etcdserver/api/membership/cluster.go:318,362 at v3.4.23"]
        "";
    "too-many-learners" Definite AtApply
        [Cluster]
        9 "etcdserver: too many learner members in cluster"
        ["server/etcdserver/api/membership/cluster.go:342 at v3.5.16"
         "server/etcdserver/api/membership/cluster.go:342 at v3.5.1"
         "etcdserver/api/membership/cluster.go:330 at v3.4.23"]
        "";
    "member-not-found" Definite AtApply
        [Cluster]
        5 "etcdserver: member not found"
        ["server/etcdserver/api/membership/cluster.go:301,348,353 at v3.5.16"
         "server/etcdserver/api/membership/cluster.go:301,348,353 at v3.5.1"
         "etcdserver/api/membership/cluster.go:285,336,341 at v3.4.23"]
        "Not for MemberPromote: see the module documentation.";

    // Maintenance.
    "not-leader" Definite BeforeProposal
        [Maintenance]
        9 "etcdserver: not leader"
        ["server/etcdserver/api/v3rpc/maintenance.go:245 at v3.5.16"
         "server/etcdserver/api/v3rpc/maintenance.go:240 at v3.5.1"
         "etcdserver/api/v3rpc/maintenance.go:253 at v3.4.23"]
        "MoveLeader sent to another member than the leader.";
    "bad-transferee" Definite BeforeProposal
        [Maintenance]
        9 "etcdserver: bad leader transferee"
        ["server/etcdserver/server.go:1496 at v3.5.16"
         "server/etcdserver/server.go:1391 at v3.5.1"
         "etcdserver/server.go:1449 at v3.4.23"]
        "";
    "downgrade-no-cluster-version" Definite BeforeProposal
        [Maintenance]
        14 "etcdserver: cluster version not found during downgrade"
        ["server/etcdserver/v3_server.go:1036 at v3.5.16"
         "server/etcdserver/v3_server.go:931 at v3.5.1"]
        "";
    "downgrade-bad-version" Definite BeforeProposal
        [Maintenance]
        3 "etcdserver: wrong downgrade target version format"
        ["server/etcdserver/v3_server.go:1022 at v3.5.16"
         "server/etcdserver/cluster_util.go:490 at v3.5.16"
         "server/etcdserver/v3_server.go:917 at v3.5.1"
         "server/etcdserver/cluster_util.go:476 at v3.5.1"]
        "";
    "downgrade-bad-target" Definite BeforeProposal
        [Maintenance]
        3 "etcdserver: invalid downgrade target version"
        ["server/etcdserver/v3_server.go:1042 at v3.5.16"
         "server/etcdserver/v3_server.go:937 at v3.5.1"]
        "";
    "downgrade-in-progress" Definite BeforeProposal
        [Maintenance]
        9 "etcdserver: cluster has a downgrade job in progress"
        ["server/etcdserver/v3_server.go:1048 at v3.5.16"
         "server/etcdserver/v3_server.go:943 at v3.5.1"]
        "";
    "downgrade-none" Definite BeforeProposal
        [Maintenance]
        9 "etcdserver: no inflight downgrade job"
        ["server/etcdserver/v3_server.go:1086 at v3.5.16"
         "server/etcdserver/v3_server.go:981 at v3.5.1"]
        "";
};
