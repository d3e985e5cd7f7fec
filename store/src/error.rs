//! What a request can be refused for, with etcd's codes and texts
//! (api/v3rpc/rpctypes/error.go at v3.5.16).

use tonic::{Code, Status};

macro_rules! errors {
    ($($variant:ident $code:ident $message:literal;)+) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Error { $(#[doc = $message] $variant),+ }

        impl Error {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The gRPC code.
            #[must_use]
            pub fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code),+ }
            }

            /// The text.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),+ }
            }
        }
    };
}

errors! {
    EmptyKey InvalidArgument "etcdserver: key is not provided";
    KeyNotFound InvalidArgument "etcdserver: key not found";
    ValueProvided InvalidArgument "etcdserver: value is provided";
    LeaseProvided InvalidArgument "etcdserver: lease is provided";
    TooManyOps InvalidArgument "etcdserver: too many operations in txn request";
    DuplicateKey InvalidArgument "etcdserver: duplicate key given in txn request";
    InvalidSortOption InvalidArgument "etcdserver: invalid sort option";
    Compacted OutOfRange "etcdserver: mvcc: required revision has been compacted";
    FutureRev OutOfRange "etcdserver: mvcc: required revision is a future revision";
    NoSpace ResourceExhausted "etcdserver: mvcc: database space exceeded";
    LeaseNotFound NotFound "etcdserver: requested lease not found";
    LeaseExist FailedPrecondition "etcdserver: lease already exists";
    LeaseTtlTooLarge OutOfRange "etcdserver: too large lease TTL";
    WatchCanceled Cancelled "etcdserver: watch canceled";
    MemberExist FailedPrecondition "etcdserver: member ID already exist";
    PeerUrlExist FailedPrecondition "etcdserver: Peer URLs already exists";
    MemberNotEnoughStarted Unknown "etcdserver: re-configuration failed due to not enough started members";
    MemberBadUrls InvalidArgument "etcdserver: given member URLs are invalid";
    MemberNotFound NotFound "etcdserver: member not found";
    MemberNotLearner FailedPrecondition "etcdserver: can only promote a learner member";
    LearnerNotReady FailedPrecondition "etcdserver: can only promote a learner member which is in sync with leader";
    TooManyLearners FailedPrecondition "etcdserver: too many learner members in cluster";
    RequestTooLarge InvalidArgument "etcdserver: request is too large";
    TooManyRequests Unknown "etcdserver: too many requests";
    RootUserNotExist FailedPrecondition "etcdserver: root user does not exist";
    RootRoleNotExist FailedPrecondition "etcdserver: root user does not have root role";
    UserAlreadyExist FailedPrecondition "etcdserver: user name already exists";
    UserEmpty InvalidArgument "etcdserver: user name is empty";
    UserNotFound FailedPrecondition "etcdserver: user name not found";
    RoleAlreadyExist FailedPrecondition "etcdserver: role name already exists";
    RoleNotFound FailedPrecondition "etcdserver: role name not found";
    RoleEmpty InvalidArgument "etcdserver: role name is empty";
    NoPasswordUser Unknown "auth: authentication failed, password was given for no password user";
    AuthFailed InvalidArgument "etcdserver: authentication failed, invalid user ID or password";
    PermissionNotGiven InvalidArgument "etcdserver: permission not given";
    PermissionDenied PermissionDenied "etcdserver: permission denied";
    RoleNotGranted FailedPrecondition "etcdserver: role is not granted to the user";
    PermissionNotGranted FailedPrecondition "etcdserver: permission is not granted to the role";
    AuthNotEnabled FailedPrecondition "etcdserver: authentication is not enabled";
    InvalidAuthToken Unauthenticated "etcdserver: invalid auth token";
    InvalidAuthManagement InvalidArgument "etcdserver: invalid auth management";
    AuthOldRevision InvalidArgument "etcdserver: revision of auth store is old";
    NoLeader Unavailable "etcdserver: no leader";
    NotLeader FailedPrecondition "etcdserver: not leader";
    LeaderChanged Unavailable "etcdserver: leader changed";
    NotCapable FailedPrecondition "etcdserver: not capable";
    Stopped Unavailable "etcdserver: server stopped";
    Timeout Unavailable "etcdserver: request timed out";
    TimeoutLeaderFail Unavailable "etcdserver: request timed out, possibly due to previous leader failure";
    TimeoutConnectionLost Unavailable "etcdserver: request timed out, possibly due to connection lost";
    TimeoutWaitAppliedIndex Unavailable "etcdserver: request timed out, waiting for the applied index took too long";
    Unhealthy Unavailable "etcdserver: unhealthy cluster";
    Corrupt DataLoss "etcdserver: corrupt cluster";
    NotSupportedForLearner FailedPrecondition "etcdserver: rpc not supported for learner";
    TimeoutLeaderTransfer Unknown "etcdserver: request timed out, leader transfer took too long";
    BadLeaderTransferee FailedPrecondition "etcdserver: bad leader transferee";
    ClusterVersionUnavailable FailedPrecondition "etcdserver: cluster version not found during downgrade";
}

impl Error {
    /// Which one a peer answered with, if it is one of ours.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|error| error.code() == status.code() && error.message() == status.message())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

impl Error {
    /// The status of what checks who asks without translating errors: maintenance
    /// (`AuthInfoFromCtx` and `IsAdminPermitted` in server/etcdserver/api/v3rpc/maintenance.go).
    #[must_use]
    pub fn untranslated(self) -> Status {
        let text = match self {
            Self::InvalidAuthToken => "auth: invalid auth token",
            Self::UserEmpty => "auth: user name is empty",
            Self::UserNotFound => "auth: user not found",
            Self::PermissionDenied => "auth: permission denied",
            Self::AuthOldRevision => "auth: revision in header is old",
            _ => return self.into(),
        };
        Status::unknown(text)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.message())
    }
}
