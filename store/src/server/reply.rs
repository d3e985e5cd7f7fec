//! What applying a request came to, as whoever waits gets it.

use api::pb::etcdserverpb as pb;

use crate::Error;

macro_rules! replies {
    ($($variant:ident $message:ident;)+) => {
        /// An answer to a request that went through the log.
        #[allow(missing_docs, clippy::large_enum_variant)]
        #[derive(Clone, Debug)]
        pub enum Reply {
            $($variant(pb::$message)),+,
            /// To a member's word of itself.
            Published,
        }

        impl Reply {
            /// Its header, if it can have one.
            pub(crate) fn header_mut(&mut self) -> Option<&mut Option<pb::ResponseHeader>> {
                match self {
                    $(Self::$variant(message) => Some(&mut message.header)),+,
                    Self::Published => None,
                }
            }
        }

        $(
            impl From<pb::$message> for Reply {
                fn from(message: pb::$message) -> Self {
                    Self::$variant(message)
                }
            }

            impl TryFrom<Reply> for pb::$message {
                type Error = WrongReply;

                fn try_from(reply: Reply) -> Result<Self, WrongReply> {
                    match reply {
                        Reply::$variant(message) => Ok(message),
                        _ => Err(WrongReply),
                    }
                }
            }
        )+
    };
}

/// A request was answered by the answer to another kind of request: a defect of ours.
#[derive(Clone, Copy, Debug)]
pub struct WrongReply;

/// What a waiter gets.
pub(crate) type Outcome = Result<Reply, Error>;

impl TryFrom<Reply> for () {
    type Error = WrongReply;

    fn try_from(reply: Reply) -> Result<Self, WrongReply> {
        match reply {
            Reply::Published => Ok(()),
            _ => Err(WrongReply),
        }
    }
}

replies! {
    Put PutResponse;
    DeleteRange DeleteRangeResponse;
    Txn TxnResponse;
    Compaction CompactionResponse;
    LeaseGrant LeaseGrantResponse;
    LeaseRevoke LeaseRevokeResponse;
    Alarm AlarmResponse;
    Authenticate AuthenticateResponse;
    AuthEnable AuthEnableResponse;
    AuthDisable AuthDisableResponse;
    AuthStatus AuthStatusResponse;
    UserAdd AuthUserAddResponse;
    UserGet AuthUserGetResponse;
    UserList AuthUserListResponse;
    UserDelete AuthUserDeleteResponse;
    UserChangePassword AuthUserChangePasswordResponse;
    UserGrantRole AuthUserGrantRoleResponse;
    UserRevokeRole AuthUserRevokeRoleResponse;
    RoleAdd AuthRoleAddResponse;
    RoleGet AuthRoleGetResponse;
    RoleList AuthRoleListResponse;
    RoleDelete AuthRoleDeleteResponse;
    RoleGrantPermission AuthRoleGrantPermissionResponse;
    RoleRevokePermission AuthRoleRevokePermissionResponse;
}
