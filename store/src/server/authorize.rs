//! Who may have what applied (server/etcdserver/apply_auth.go).

use api::pb::etcdserverpb::request_op::Request;
use api::pb::etcdserverpb::{self as pb};

use super::Server;
use crate::Error;
use crate::auth::{AuthInfo, AuthStore};
use crate::request::Body;

impl Server {
    /// Refuses what this user may not do. The same on every member: it depends on the log alone.
    pub(super) fn authorize(&self, who: &AuthInfo, body: &Body) -> Result<(), Error> {
        let auth = &*self.auth;
        match body {
            Body::Put(put) => {
                auth.may_put(who, &put.key)?;
                self.may_write_lease(who, put.lease)?;
                if put.prev_kv {
                    auth.may_range(who, &put.key, &[])?;
                }
                Ok(())
            }
            Body::DeleteRange(delete) => {
                auth.may_delete(who, &delete.key, &delete.range_end)?;
                if delete.prev_kv {
                    auth.may_range(who, &delete.key, &delete.range_end)?;
                }
                Ok(())
            }
            Body::Txn(txn) => may_txn(auth, who, txn),
            Body::LeaseRevoke(revoke) => self.may_write_lease(who, revoke.id),
            Body::UserGet(get) if get.name == who.user => Ok(()),
            Body::RoleGet(get) if auth.has_role(&who.user, &get.role) => Ok(()),
            Body::AuthEnable(_)
            | Body::AuthDisable(_)
            | Body::AuthList(_)
            | Body::UserAdd(_)
            | Body::UserGet(_)
            | Body::UserDelete(_)
            | Body::UserChangePassword(_)
            | Body::UserGrantRole(_)
            | Body::UserRevokeRole(_)
            | Body::RoleAdd(_)
            | Body::RoleGet(_)
            | Body::RoleDelete(_)
            | Body::RoleGrantPermission(_)
            | Body::RoleRevokePermission(_) => auth.is_admin(who),
            Body::Compaction(_)
            | Body::LeaseGrant(_)
            | Body::Alarm(_)
            | Body::Authenticate(_)
            | Body::Publish(_) => Ok(()),
        }
    }

    /// A lease with keys that a user may not write is not the user's to revoke, nor to put more
    /// keys on.
    fn may_write_lease(&self, who: &AuthInfo, lease: i64) -> Result<(), Error> {
        if lease == 0 || self.auth.is_admin(who).is_ok() {
            return Ok(());
        }
        match self.lessor.keys(lease) {
            Ok(keys) => keys.iter().try_for_each(|key| self.auth.may_put(who, key)),
            // There is no such lease: found when it is to be used.
            Err(_) => Ok(()),
        }
    }
}

/// Both branches are checked, whichever is taken; nested transactions are not, as in etcd.
pub(super) fn may_txn(auth: &AuthStore, who: &AuthInfo, txn: &pb::TxnRequest) -> Result<(), Error> {
    for compare in &txn.compare {
        auth.may_range(who, &compare.key, &compare.range_end)?;
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) => {
                auth.may_range(who, &range.key, &range.range_end)?;
            }
            Some(Request::RequestPut(put)) => auth.may_put(who, &put.key)?,
            Some(Request::RequestDeleteRange(delete)) => {
                if delete.prev_kv {
                    auth.may_range(who, &delete.key, &delete.range_end)?;
                }
                auth.may_delete(who, &delete.key, &delete.range_end)?;
            }
            Some(Request::RequestTxn(_)) | None => {}
        }
    }
    Ok(())
}
