//! Users, roles and their permissions, as the log changes and lists them
//! (server/etcdserver/apply.go).

use api::pb::etcdserverpb as pb;

use super::Server;
use super::apply::At;
use super::reply::Outcome;
use crate::Error;
use crate::request::{AuthListOf, Body};

impl Server {
    pub(super) fn read_auth(&self, body: &Body) -> Outcome {
        let auth = &*self.auth;
        let header = self.revision_header();
        Ok(match body {
            Body::UserGet(user) => pb::AuthUserGetResponse {
                header,
                roles: auth.user(&user.name)?.roles,
            }
            .into(),
            Body::RoleGet(role) => pb::AuthRoleGetResponse {
                header,
                perm: auth.role(&role.role)?.key_permission,
            }
            .into(),
            Body::AuthList(list) => match list.of() {
                AuthListOf::Users => pb::AuthUserListResponse {
                    header,
                    users: auth.users(),
                }
                .into(),
                AuthListOf::Roles => pb::AuthRoleListResponse {
                    header,
                    roles: auth.roles(),
                }
                .into(),
                AuthListOf::Status => pb::AuthStatusResponse {
                    header,
                    enabled: auth.is_enabled(),
                    auth_revision: auth.revision(),
                }
                .into(),
            },
            _ => unreachable!("a request that changes something"),
        })
    }

    pub(super) fn change_auth(&self, at: At, body: &Body) -> Outcome {
        let auth = &*self.auth;
        let header = self.revision_header();
        let mut batch = self.batch(at);
        let batch = &mut batch;
        Ok(match body {
            Body::AuthEnable(_) => {
                auth.enable(batch)?;
                pb::AuthEnableResponse { header }.into()
            }
            Body::AuthDisable(_) => {
                auth.disable(batch);
                pb::AuthDisableResponse { header }.into()
            }
            Body::UserAdd(user) => {
                auth.user_add(batch, user)?;
                pb::AuthUserAddResponse { header }.into()
            }
            Body::UserDelete(user) => {
                auth.user_delete(batch, &user.name)?;
                pb::AuthUserDeleteResponse { header }.into()
            }
            Body::UserChangePassword(user) => {
                auth.user_change_password(batch, user)?;
                pb::AuthUserChangePasswordResponse { header }.into()
            }
            Body::UserGrantRole(grant) => {
                auth.user_grant_role(batch, &grant.user, &grant.role)?;
                pb::AuthUserGrantRoleResponse { header }.into()
            }
            Body::UserRevokeRole(revoke) => {
                auth.user_revoke_role(batch, &revoke.name, &revoke.role)?;
                pb::AuthUserRevokeRoleResponse { header }.into()
            }
            Body::RoleAdd(role) => {
                auth.role_add(batch, &role.name)?;
                pb::AuthRoleAddResponse { header }.into()
            }
            Body::RoleDelete(role) => {
                auth.role_delete(batch, &role.role)?;
                pb::AuthRoleDeleteResponse { header }.into()
            }
            Body::RoleGrantPermission(grant) => {
                let permission = grant.perm.as_ref().ok_or(Error::PermissionNotGiven)?;
                auth.role_grant_permission(batch, &grant.name, permission)?;
                pb::AuthRoleGrantPermissionResponse { header }.into()
            }
            Body::RoleRevokePermission(revoke) => {
                auth.role_revoke_permission(batch, &revoke.role, &revoke.key, &revoke.range_end)?;
                pb::AuthRoleRevokePermissionResponse { header }.into()
            }
            _ => unreachable!("a request that is not auth's"),
        })
    }
}
