//! What the log holds: one [`Request`] an entry, as in etcd's raft_internal.proto.

use api::pb::etcdserverpb as pb;

/// Who asks, and which waiter is to be woken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RequestHeader {
    /// Of whoever waits: unique among members and over restarts.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The user, where auth is on.
    #[prost(string, tag = "2")]
    pub user: String,
    /// The auth revision that the user was checked at.
    #[prost(uint64, tag = "3")]
    pub auth_revision: u64,
}

/// A request to be applied by every member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// Its head.
    #[prost(message, required, tag = "1")]
    pub header: RequestHeader,
    /// What to do.
    #[prost(
        oneof = "Body",
        tags = "10, 11, 12, 13, 14, 15, 16, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 40, 41"
    )]
    pub body: Option<Body>,
}

/// What to do.
#[allow(missing_docs, clippy::large_enum_variant)]
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Body {
    #[prost(message, tag = "10")]
    Put(pb::PutRequest),
    #[prost(message, tag = "11")]
    DeleteRange(pb::DeleteRangeRequest),
    #[prost(message, tag = "12")]
    Txn(pb::TxnRequest),
    #[prost(message, tag = "13")]
    Compaction(pb::CompactionRequest),
    #[prost(message, tag = "14")]
    LeaseGrant(pb::LeaseGrantRequest),
    #[prost(message, tag = "15")]
    LeaseRevoke(pb::LeaseRevokeRequest),
    #[prost(message, tag = "16")]
    Alarm(pb::AlarmRequest),
    #[prost(message, tag = "18")]
    Authenticate(Authenticate),
    #[prost(message, tag = "20")]
    AuthEnable(pb::AuthEnableRequest),
    #[prost(message, tag = "21")]
    AuthDisable(pb::AuthDisableRequest),
    #[prost(message, tag = "22")]
    UserAdd(pb::AuthUserAddRequest),
    #[prost(message, tag = "23")]
    UserGet(pb::AuthUserGetRequest),
    #[prost(message, tag = "24")]
    UserDelete(pb::AuthUserDeleteRequest),
    #[prost(message, tag = "25")]
    UserChangePassword(pb::AuthUserChangePasswordRequest),
    #[prost(message, tag = "26")]
    UserGrantRole(pb::AuthUserGrantRoleRequest),
    #[prost(message, tag = "27")]
    UserRevokeRole(pb::AuthUserRevokeRoleRequest),
    #[prost(message, tag = "28")]
    RoleAdd(pb::AuthRoleAddRequest),
    #[prost(message, tag = "29")]
    RoleDelete(pb::AuthRoleDeleteRequest),
    #[prost(message, tag = "30")]
    RoleGet(pb::AuthRoleGetRequest),
    #[prost(message, tag = "31")]
    RoleGrantPermission(pb::AuthRoleGrantPermissionRequest),
    #[prost(message, tag = "32")]
    RoleRevokePermission(pb::AuthRoleRevokePermissionRequest),
    /// Lists and status go through the log too, as in etcd.
    #[prost(message, tag = "40")]
    AuthList(AuthList),
    /// What a member says of itself once it runs.
    #[prost(message, tag = "41")]
    Publish(Publish),
}

/// The name and client URLs of a member.
#[allow(missing_docs)]
#[derive(Clone, PartialEq, prost::Message)]
pub struct Publish {
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, repeated, tag = "3")]
    pub client_urls: Vec<String>,
}

/// A log-in whose password has been checked, with the token to be made valid.
#[allow(missing_docs)]
#[derive(Clone, PartialEq, prost::Message)]
pub struct Authenticate {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub simple_token: String,
}

/// A list of users or roles, or auth's status.
#[allow(missing_docs)]
#[derive(Clone, PartialEq, prost::Message)]
pub struct AuthList {
    #[prost(enumeration = "AuthListOf", tag = "1")]
    pub of: i32,
}

/// Of what.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum AuthListOf {
    Users = 0,
    Roles = 1,
    Status = 2,
}
