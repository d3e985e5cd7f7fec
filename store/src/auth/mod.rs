//! Users, roles, permissions and simple tokens, as in etcd's server/auth.
//!
//! STUB: signatures to build on.

use api::pb::authpb::{Permission, Role, User};
use api::pb::etcdserverpb as pb;

use crate::Error;
use crate::backend::{Backend, Batch};
use crate::bugs::Bugs;

/// Who asks, and what auth revision that was known at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AuthInfo {
    pub user: String,
    pub revision: u64,
}

/// Users, roles and permissions. Changes come from the log, so that every member makes the same.
pub struct AuthStore;

#[allow(missing_docs, unused_variables, clippy::missing_errors_doc)]
impl AuthStore {
    #[must_use]
    pub fn open(backend: &Backend, bcrypt_cost: u32, bugs: Bugs) -> Self {
        todo!()
    }
    /// Reads everything anew from a replaced backend.
    pub fn restore(&self, backend: &Backend) {
        todo!()
    }
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        todo!()
    }
    #[must_use]
    pub fn revision(&self) -> u64 {
        todo!()
    }

    // Applied changes. Each bumps the auth revision as etcd's does.
    pub fn enable(&self, batch: &mut Batch<'_>) -> Result<(), Error> {
        todo!()
    }
    pub fn disable(&self, batch: &mut Batch<'_>) {
        todo!()
    }
    pub fn user_add(&self, batch: &mut Batch<'_>, r: &pb::AuthUserAddRequest) -> Result<(), Error> {
        todo!()
    }
    pub fn user_delete(&self, batch: &mut Batch<'_>, name: &str) -> Result<(), Error> {
        todo!()
    }
    pub fn user_change_password(
        &self,
        batch: &mut Batch<'_>,
        r: &pb::AuthUserChangePasswordRequest,
    ) -> Result<(), Error> {
        todo!()
    }
    pub fn user_grant_role(
        &self,
        batch: &mut Batch<'_>,
        user: &str,
        role: &str,
    ) -> Result<(), Error> {
        todo!()
    }
    pub fn user_revoke_role(
        &self,
        batch: &mut Batch<'_>,
        user: &str,
        role: &str,
    ) -> Result<(), Error> {
        todo!()
    }
    pub fn role_add(&self, batch: &mut Batch<'_>, name: &str) -> Result<(), Error> {
        todo!()
    }
    pub fn role_delete(&self, batch: &mut Batch<'_>, name: &str) -> Result<(), Error> {
        todo!()
    }
    pub fn role_grant_permission(
        &self,
        batch: &mut Batch<'_>,
        role: &str,
        permission: &Permission,
    ) -> Result<(), Error> {
        todo!()
    }
    pub fn role_revoke_permission(
        &self,
        batch: &mut Batch<'_>,
        role: &str,
        key: &[u8],
        end: &[u8],
    ) -> Result<(), Error> {
        todo!()
    }

    // Reads.
    pub fn user(&self, name: &str) -> Result<User, Error> {
        todo!()
    }
    pub fn role(&self, name: &str) -> Result<Role, Error> {
        todo!()
    }
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        todo!()
    }
    #[must_use]
    pub fn roles(&self) -> Vec<String> {
        todo!()
    }

    // Log-in: the password is checked where the client is, a token assigned at apply on every
    // member (so that it is valid everywhere).
    /// Gives the auth revision that the password was checked at.
    pub fn check_password(&self, name: &str, password: &str) -> Result<u64, Error> {
        todo!()
    }
    /// A random simple token, not yet valid.
    #[must_use]
    pub fn new_token(&self) -> String {
        todo!()
    }
    /// Makes `<token>.<index>` valid for this user, and gives it.
    pub fn assign_token(&self, name: &str, token: &str, index: u64) -> Result<String, Error> {
        todo!()
    }
    /// Who a token is of; it lives on by being used.
    #[must_use]
    pub fn info_of(&self, token: &str) -> Option<AuthInfo> {
        todo!()
    }

    // Permissions. All allow everything while auth is off.
    pub fn may_put(&self, who: &AuthInfo, key: &[u8]) -> Result<(), Error> {
        todo!()
    }
    pub fn may_range(&self, who: &AuthInfo, key: &[u8], end: &[u8]) -> Result<(), Error> {
        todo!()
    }
    pub fn may_delete(&self, who: &AuthInfo, key: &[u8], end: &[u8]) -> Result<(), Error> {
        todo!()
    }
    pub fn is_admin(&self, who: &AuthInfo) -> Result<(), Error> {
        todo!()
    }
    pub fn has_role(&self, user: &str, role: &str) -> bool {
        todo!()
    }
}
