//! The Auth service (api/v3rpc/auth.go and what is about auth in v3_server.go). Everything goes
//! through the log, reads too, and who may ask is found when it is applied.

use std::sync::Arc;

use api::pb::etcdserverpb as pb;
use tonic::{Request, Response, Status};

use super::admit;
use crate::request::{AuthList, AuthListOf, Authenticate, Body};
use crate::server::{Caller, Reply, Server};

/// The service.
pub struct AuthService(Arc<Server>);

impl AuthService {
    /// Serves a member's users and roles.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self(server)
    }

    async fn pass<Q, A: TryFrom<Reply>>(
        &self,
        request: Request<Q>,
        body: impl FnOnce(Q) -> Body,
    ) -> Result<Response<A>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let body = body(request.into_inner());
        Ok(Response::new(self.0.request(&caller, body).await?))
    }

    /// Hashes a password, so that every member stores the same hash and no log has the password.
    async fn hash(&self, password: &mut String) -> Result<String, Status> {
        let password = std::mem::take(password);
        let auth = Arc::clone(self.0.auth());
        let hashed = tokio::task::spawn_blocking(move || auth.hash_password(&password)).await;
        match hashed {
            Ok(hashed) => hashed.map_err(Status::unknown),
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }

    /// Gives the auth revision that the password was checked at.
    async fn check_password(&self, request: &pb::AuthenticateRequest) -> Result<u64, Status> {
        let auth = Arc::clone(self.0.auth());
        let pb::AuthenticateRequest { name, password } = request.clone();
        let checked =
            tokio::task::spawn_blocking(move || auth.check_password(&name, &password)).await;
        match checked {
            Ok(checked) => Ok(checked?),
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }
}

fn list(of: AuthListOf) -> Body {
    Body::AuthList(AuthList { of: of.into() })
}

#[tonic::async_trait]
impl pb::auth_server::Auth for AuthService {
    async fn auth_enable(
        &self,
        request: Request<pb::AuthEnableRequest>,
    ) -> Result<Response<pb::AuthEnableResponse>, Status> {
        self.pass(request, Body::AuthEnable).await
    }

    async fn auth_disable(
        &self,
        request: Request<pb::AuthDisableRequest>,
    ) -> Result<Response<pb::AuthDisableResponse>, Status> {
        self.pass(request, Body::AuthDisable).await
    }

    async fn auth_status(
        &self,
        request: Request<pb::AuthStatusRequest>,
    ) -> Result<Response<pb::AuthStatusResponse>, Status> {
        self.pass(request, |_| list(AuthListOf::Status)).await
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        admit(&self.0, &request, false)?;
        let log_in = request.into_inner();
        self.0.barrier().await?;
        loop {
            let checked_at = self.check_password(&log_in).await?;
            let body = Body::Authenticate(Authenticate {
                name: log_in.name.clone(),
                simple_token: self.0.auth().new_token(),
            });
            let response = self.0.request(&Caller::default(), body).await?;
            if checked_at == self.0.auth().revision() {
                return Ok(Response::new(response));
            }
            crate::info!("revision when password checked became stale; retrying");
        }
    }

    async fn user_add(
        &self,
        mut request: Request<pb::AuthUserAddRequest>,
    ) -> Result<Response<pb::AuthUserAddResponse>, Status> {
        admit(&self.0, &request, false)?;
        let user = request.get_mut();
        if !user.options.is_some_and(|options| options.no_password) {
            user.hashed_password = self.hash(&mut user.password).await?;
        }
        self.pass(request, Body::UserAdd).await
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<Response<pb::AuthUserGetResponse>, Status> {
        self.pass(request, Body::UserGet).await
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<Response<pb::AuthUserListResponse>, Status> {
        self.pass(request, |_| list(AuthListOf::Users)).await
    }

    async fn user_delete(
        &self,
        request: Request<pb::AuthUserDeleteRequest>,
    ) -> Result<Response<pb::AuthUserDeleteResponse>, Status> {
        self.pass(request, Body::UserDelete).await
    }

    async fn user_change_password(
        &self,
        mut request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Result<Response<pb::AuthUserChangePasswordResponse>, Status> {
        admit(&self.0, &request, false)?;
        let user = request.get_mut();
        if !user.password.is_empty() {
            user.hashed_password = self.hash(&mut user.password).await?;
        }
        self.pass(request, Body::UserChangePassword).await
    }

    async fn user_grant_role(
        &self,
        request: Request<pb::AuthUserGrantRoleRequest>,
    ) -> Result<Response<pb::AuthUserGrantRoleResponse>, Status> {
        self.pass(request, Body::UserGrantRole).await
    }

    async fn user_revoke_role(
        &self,
        request: Request<pb::AuthUserRevokeRoleRequest>,
    ) -> Result<Response<pb::AuthUserRevokeRoleResponse>, Status> {
        self.pass(request, Body::UserRevokeRole).await
    }

    async fn role_add(
        &self,
        request: Request<pb::AuthRoleAddRequest>,
    ) -> Result<Response<pb::AuthRoleAddResponse>, Status> {
        self.pass(request, Body::RoleAdd).await
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<Response<pb::AuthRoleGetResponse>, Status> {
        self.pass(request, Body::RoleGet).await
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<Response<pb::AuthRoleListResponse>, Status> {
        self.pass(request, |_| list(AuthListOf::Roles)).await
    }

    async fn role_delete(
        &self,
        request: Request<pb::AuthRoleDeleteRequest>,
    ) -> Result<Response<pb::AuthRoleDeleteResponse>, Status> {
        self.pass(request, Body::RoleDelete).await
    }

    async fn role_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Result<Response<pb::AuthRoleGrantPermissionResponse>, Status> {
        self.pass(request, Body::RoleGrantPermission).await
    }

    async fn role_revoke_permission(
        &self,
        request: Request<pb::AuthRoleRevokePermissionRequest>,
    ) -> Result<Response<pb::AuthRoleRevokePermissionResponse>, Status> {
        self.pass(request, Body::RoleRevokePermission).await
    }
}
