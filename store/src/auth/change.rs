//! Changes to users, roles and permissions, each in the transaction of the entry that asks for it.

use api::pb::authpb::{Permission, Role, User, UserAddOptions};
use api::pb::etcdserverpb as pb;
use prost::Message as _;

use super::{AuthStore, ENABLED_KEY, ROOT, State, has_role, password, permissions};
use crate::Error;
use crate::backend::{Batch, Bucket};

impl State {
    fn put_user(&mut self, batch: &mut Batch<'_>, name: &str, user: User) {
        batch.put(Bucket::AuthUsers, name.as_bytes(), &user.encode_to_vec());
        self.users.insert(name.to_owned(), user);
    }

    fn put_role(&mut self, batch: &mut Batch<'_>, name: &str, role: Role) {
        batch.put(Bucket::AuthRoles, name.as_bytes(), &role.encode_to_vec());
        self.roles.insert(name.to_owned(), role);
    }

    fn user(&self, name: &str) -> Result<User, Error> {
        self.users.get(name).cloned().ok_or(Error::UserNotFound)
    }

    fn role(&self, name: &str) -> Result<Role, Error> {
        self.roles.get(name).cloned().ok_or(Error::RoleNotFound)
    }
}

impl AuthStore {
    /// Bumps the auth revision, and works permissions out anew.
    fn changed(&self, state: &mut State, batch: &mut Batch<'_>) {
        state.bump(batch, self.bugs);
        state.grant_all();
    }

    /// Switches auth on. The auth revision stays.
    ///
    /// # Errors
    /// [`Error::RootUserNotExist`], [`Error::RootRoleNotExist`].
    pub fn enable(&self, batch: &mut Batch<'_>) -> Result<(), Error> {
        let mut state = self.write();
        if state.enabled {
            return Ok(());
        }
        let root = state.users.get(ROOT).ok_or(Error::RootUserNotExist)?;
        if !has_role(root, ROOT) {
            return Err(Error::RootRoleNotExist);
        }
        batch.put(Bucket::Auth, ENABLED_KEY, &[1]);
        state.enabled = true;
        state.grant_all();
        self.tokens().enable();
        crate::info!("enabled authentication");
        Ok(())
    }

    /// Switches auth off; all tokens are void.
    pub fn disable(&self, batch: &mut Batch<'_>) {
        let mut state = self.write();
        if !state.enabled {
            return;
        }
        batch.put(Bucket::Auth, ENABLED_KEY, &[0]);
        state.bump(batch, self.bugs);
        state.enabled = false;
        self.tokens().disable();
        crate::info!("disabled authentication");
    }

    /// Adds a user with the hash in `hashed_password`; `password` is not looked at.
    ///
    /// # Errors
    /// [`Error::UserEmpty`], [`Error::UserAlreadyExist`]; [`Error::NoPasswordUser`] when the hash
    /// is no base64.
    pub fn user_add(&self, batch: &mut Batch<'_>, r: &pb::AuthUserAddRequest) -> Result<(), Error> {
        if r.name.is_empty() {
            return Err(Error::UserEmpty);
        }
        let mut state = self.write();
        if state.users.contains_key(&r.name) {
            return Err(Error::UserAlreadyExist);
        }
        let options = r.options.unwrap_or(UserAddOptions { no_password: false });
        let password = if options.no_password {
            Vec::new()
        } else {
            password::decode(&r.hashed_password).ok_or(Error::NoPasswordUser)?
        };
        let user = User {
            name: r.name.clone().into_bytes(),
            password,
            roles: Vec::new(),
            options: Some(options),
        };
        state.put_user(batch, &r.name, user);
        self.changed(&mut state, batch);
        Ok(())
    }

    /// Deletes a user; its tokens are void.
    ///
    /// # Errors
    /// [`Error::InvalidAuthManagement`] for root while auth is on, [`Error::UserNotFound`].
    pub fn user_delete(&self, batch: &mut Batch<'_>, name: &str) -> Result<(), Error> {
        let mut state = self.write();
        if state.enabled && name == ROOT {
            return Err(Error::InvalidAuthManagement);
        }
        state.users.remove(name).ok_or(Error::UserNotFound)?;
        batch.delete(Bucket::AuthUsers, name.as_bytes());
        self.changed(&mut state, batch);
        self.tokens().invalidate(name);
        Ok(())
    }

    /// Gives a user the hash in `hashed_password`; its tokens are void.
    ///
    /// # Errors
    /// [`Error::UserNotFound`]; [`Error::NoPasswordUser`] when the hash is no base64.
    pub fn user_change_password(
        &self,
        batch: &mut Batch<'_>,
        r: &pb::AuthUserChangePasswordRequest,
    ) -> Result<(), Error> {
        let mut state = self.write();
        let mut user = state.user(&r.name)?;
        user.password = if password::has_none(&user) {
            Vec::new()
        } else {
            password::decode(&r.hashed_password).ok_or(Error::NoPasswordUser)?
        };
        state.put_user(batch, &r.name, user);
        self.changed(&mut state, batch);
        self.tokens().invalidate(&r.name);
        Ok(())
    }

    /// Gives a user a role. One that it has already changes nothing, the auth revision included.
    ///
    /// # Errors
    /// [`Error::UserNotFound`]; [`Error::RoleNotFound`], but not for root.
    pub fn user_grant_role(
        &self,
        batch: &mut Batch<'_>,
        user: &str,
        role: &str,
    ) -> Result<(), Error> {
        let mut state = self.write();
        let mut changed = state.user(user)?;
        if role != ROOT {
            state.role(role)?;
        }
        if has_role(&changed, role) {
            return Ok(());
        }
        changed.roles.push(role.to_owned());
        changed.roles.sort();
        state.put_user(batch, user, changed);
        self.changed(&mut state, batch);
        Ok(())
    }

    /// Takes a role from a user.
    ///
    /// # Errors
    /// [`Error::InvalidAuthManagement`] for root's own while auth is on, [`Error::UserNotFound`],
    /// [`Error::RoleNotGranted`].
    pub fn user_revoke_role(
        &self,
        batch: &mut Batch<'_>,
        user: &str,
        role: &str,
    ) -> Result<(), Error> {
        let mut state = self.write();
        if state.enabled && user == ROOT && role == ROOT {
            return Err(Error::InvalidAuthManagement);
        }
        let mut changed = state.user(user)?;
        if !has_role(&changed, role) {
            return Err(Error::RoleNotGranted);
        }
        changed.roles.retain(|one| one != role);
        state.put_user(batch, user, changed);
        self.changed(&mut state, batch);
        Ok(())
    }

    /// Adds a role without permissions.
    ///
    /// # Errors
    /// [`Error::RoleEmpty`], [`Error::RoleAlreadyExist`].
    pub fn role_add(&self, batch: &mut Batch<'_>, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::RoleEmpty);
        }
        let mut state = self.write();
        if state.roles.contains_key(name) {
            return Err(Error::RoleAlreadyExist);
        }
        let role = Role {
            name: name.as_bytes().to_vec(),
            key_permission: Vec::new(),
        };
        state.put_role(batch, name, role);
        state.bump(batch, self.bugs);
        Ok(())
    }

    /// Deletes a role, and takes it from all users.
    ///
    /// # Errors
    /// [`Error::InvalidAuthManagement`] for root while auth is on, [`Error::RoleNotFound`].
    pub fn role_delete(&self, batch: &mut Batch<'_>, name: &str) -> Result<(), Error> {
        let mut state = self.write();
        if state.enabled && name == ROOT {
            return Err(Error::InvalidAuthManagement);
        }
        state.roles.remove(name).ok_or(Error::RoleNotFound)?;
        batch.delete(Bucket::AuthRoles, name.as_bytes());
        let had: Vec<_> = state
            .users
            .iter()
            .filter(|(_, user)| has_role(user, name))
            .map(|(user, had)| (user.clone(), had.clone()))
            .collect();
        for (user, mut changed) in had {
            changed.roles.retain(|one| one != name);
            state.put_user(batch, &user, changed);
        }
        self.changed(&mut state, batch);
        Ok(())
    }

    /// Gives a role a permission, or another kind of one that it has.
    ///
    /// # Errors
    /// [`Error::InvalidAuthManagement`] for a range that is none, [`Error::RoleNotFound`].
    pub fn role_grant_permission(
        &self,
        batch: &mut Batch<'_>,
        role: &str,
        permission: &Permission,
    ) -> Result<(), Error> {
        if !permissions::valid(&permission.key, &permission.range_end) {
            return Err(Error::InvalidAuthManagement);
        }
        let mut state = self.write();
        let mut changed = state.role(role)?;
        let all = &mut changed.key_permission;
        // As etcd has it: of several permissions with the same first key, only the first is
        // compared.
        let at = all.partition_point(|one| one.key < permission.key);
        match all.get_mut(at) {
            Some(one) if one.key == permission.key && one.range_end == permission.range_end => {
                one.perm_type = permission.perm_type;
            }
            _ => {
                all.push(permission.clone());
                all.sort_by(|a, b| a.key.cmp(&b.key));
            }
        }
        state.put_role(batch, role, changed);
        self.changed(&mut state, batch);
        Ok(())
    }

    /// Takes a permission from a role, by its exact range.
    ///
    /// # Errors
    /// [`Error::RoleNotFound`], [`Error::PermissionNotGranted`].
    pub fn role_revoke_permission(
        &self,
        batch: &mut Batch<'_>,
        role: &str,
        key: &[u8],
        end: &[u8],
    ) -> Result<(), Error> {
        let mut state = self.write();
        let mut changed = state.role(role)?;
        let all = &mut changed.key_permission;
        let had = all.len();
        all.retain(|one| one.key != key || one.range_end != end);
        if all.len() == had {
            return Err(Error::PermissionNotGranted);
        }
        state.put_role(batch, role, changed);
        self.changed(&mut state, batch);
        Ok(())
    }
}
