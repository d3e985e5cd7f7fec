//! Users, roles, permissions and simple tokens, as in etcd's server/auth.
//!
//! What passes between server and this module, as etcd has it:
//!
//! * A password is hashed where the request is proposed ([`AuthStore::hash_password`]), so that every
//!   member stores the same hash.
//! * A log-in is checked where the client is ([`AuthStore::check_password`]); its token becomes valid
//!   at apply, on every member. If the auth revision has moved meanwhile, the log-in starts anew.
//! * A token carries the index of the entry that made it valid ([`token_index`]): whoever shows it to
//!   a member that is behind has to wait until that entry is applied there.

mod change;
mod password;
mod permissions;
mod token;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use api::pb::authpb::{Role, User};
use prost::Message;

use crate::Error;
use crate::backend::{Backend, Batch, Bucket};
use crate::bugs::{Bug, Bugs};
use permissions::{Access, Granted};
use token::Tokens;

pub use token::token_index;

/// The user who may do everything once it has the role of the same name.
const ROOT: &str = "root";

const ENABLED_KEY: &[u8] = b"authEnabled";
const REVISION_KEY: &[u8] = b"authRevision";

/// Who asks, and what auth revision that was known at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AuthInfo {
    pub user: String,
    pub revision: u64,
}

/// What the database says.
#[derive(Default)]
struct State {
    enabled: bool,
    revision: u64,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, Role>,
    /// What each user may touch, worked out from roles at every change.
    granted: HashMap<String, Granted>,
}

/// Users, roles and permissions. Changes come from the log, so that every member makes the same.
pub struct AuthStore {
    state: RwLock<State>,
    tokens: Mutex<Tokens>,
    bcrypt_cost: u32,
    bugs: Bugs,
}

impl State {
    fn read(backend: &Backend) -> Self {
        let get = |key| backend.get(Bucket::Auth, key);
        Self {
            enabled: get(ENABLED_KEY).is_some_and(|value| value == [1]),
            revision: get(REVISION_KEY).map_or(0, |value| {
                u64::from_be_bytes(value.try_into().expect("an auth revision of 8 bytes"))
            }),
            users: read_all(backend, Bucket::AuthUsers),
            roles: read_all(backend, Bucket::AuthRoles),
            granted: HashMap::new(),
        }
    }

    fn grant_all(&mut self) {
        let grant = |(name, user): (&String, &User)| (name.clone(), Granted::of(user, &self.roles));
        self.granted = self.users.iter().map(grant).collect();
    }

    fn bump(&mut self, batch: &mut Batch<'_>, bugs: Bugs) {
        self.revision += 1;
        // Planted #11651: the right code saves the revision in the same transaction as the change.
        if !bugs.has(Bug::AuthRevisionLost) {
            batch.put(Bucket::Auth, REVISION_KEY, &self.revision.to_be_bytes());
        }
    }
}

fn read_all<M: Message + Default>(backend: &Backend, bucket: Bucket) -> BTreeMap<String, M> {
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let name = String::from_utf8(key).expect("a name in the database");
        let value = M::decode(&value[..]).expect("a user or role in the database");
        (name, value)
    };
    let all = backend.range(bucket, &[], None, 0);
    all.into_iter().map(read).collect()
}

fn has_role(user: &User, role: &str) -> bool {
    user.roles.iter().any(|one| one == role)
}

impl AuthStore {
    /// Reads the backend; an empty one gets the first auth revision. A `bcrypt_cost` outside of
    /// 4..=31 becomes 10.
    ///
    /// # Panics
    /// When the database holds what is no user, role or revision.
    #[must_use]
    pub fn open(backend: &Backend, bcrypt_cost: u32, bugs: Bugs) -> Self {
        let mut state = State::read(backend);
        if state.revision == 0 {
            state.revision = 1;
            let first = state.revision.to_be_bytes();
            backend.batch().put(Bucket::Auth, REVISION_KEY, &first);
        }
        state.grant_all();
        let mut tokens = Tokens::default();
        if state.enabled {
            tokens.enable();
        }
        Self {
            state: RwLock::new(state),
            tokens: Mutex::new(tokens),
            bcrypt_cost: password::cost(bcrypt_cost),
            bugs,
        }
    }

    /// Tokens that are not used live so long (`--auth-token-ttl`); 5 minutes if this is not called.
    pub fn set_token_ttl(&self, ttl: Duration) {
        self.tokens().ttl = ttl;
    }

    /// Reads everything anew from a replaced backend.
    ///
    /// # Panics
    /// As [`AuthStore::open`].
    pub fn restore(&self, backend: &Backend) {
        let mut fresh = State::read(backend);
        fresh.grant_all();
        let mut state = self.write();
        // Planted #14571: the right code works out everyone's permissions anew.
        if self.bugs.has(Bug::EmptyPermissions) {
            fresh.granted = std::mem::take(&mut state.granted);
        }
        // Planted #13883: who was known keeps what he had; the right code forgets that.
        if self.bugs.has(Bug::StalePermissions) {
            fresh.granted.extend(std::mem::take(&mut state.granted));
        }
        *state = fresh;
        if state.enabled {
            self.tokens().enable();
        }
    }

    /// Whether requests need a user.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.read().enabled
    }

    /// How often users, roles or permissions have changed, from 1 on.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    /// A user.
    ///
    /// # Errors
    /// [`Error::UserNotFound`].
    pub fn user(&self, name: &str) -> Result<User, Error> {
        let state = self.read();
        state.users.get(name).cloned().ok_or(Error::UserNotFound)
    }

    /// A role.
    ///
    /// # Errors
    /// [`Error::RoleNotFound`].
    pub fn role(&self, name: &str) -> Result<Role, Error> {
        let state = self.read();
        state.roles.get(name).cloned().ok_or(Error::RoleNotFound)
    }

    /// All names, sorted.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        self.read().users.keys().cloned().collect()
    }

    /// All names, sorted.
    #[must_use]
    pub fn roles(&self) -> Vec<String> {
        self.read().roles.keys().cloned().collect()
    }

    /// The base64 of a bcrypt hash, for `hashed_password` of a request that is proposed.
    ///
    /// # Errors
    /// The text of what is wrong with the password: it is too long (72 bytes).
    pub fn hash_password(&self, password: &str) -> Result<String, String> {
        password::hash(password, self.bcrypt_cost)
    }

    /// Checks a log-in. Gives the auth revision that the password was checked at. This takes as
    /// long as bcrypt does.
    ///
    /// # Errors
    /// [`Error::AuthNotEnabled`], [`Error::AuthFailed`], [`Error::NoPasswordUser`].
    pub fn check_password(&self, name: &str, password: &str) -> Result<u64, Error> {
        let (user, revision) = {
            let state = self.read();
            if !state.enabled {
                return Err(Error::AuthNotEnabled);
            }
            let user = state.users.get(name).ok_or(Error::AuthFailed)?;
            (user.clone(), state.revision)
        };
        if password::has_none(&user) {
            return Err(Error::NoPasswordUser);
        }
        if password::matches(&user.password, password) {
            Ok(revision)
        } else {
            crate::info!("invalid password", "user-name": name);
            Err(Error::AuthFailed)
        }
    }

    /// A random simple token, not yet valid.
    #[must_use]
    pub fn new_token(&self) -> String {
        token::random()
    }

    /// Makes `<token>.<index>` valid for this user, and gives it. For every member, at apply.
    ///
    /// # Errors
    /// [`Error::AuthNotEnabled`], [`Error::AuthFailed`].
    pub fn assign_token(&self, name: &str, token: &str, index: u64) -> Result<String, Error> {
        let state = self.read();
        if !state.enabled {
            return Err(Error::AuthNotEnabled);
        }
        match state.users.get(name) {
            Some(user) if !password::has_none(user) => {
                let token = format!("{token}.{index}");
                self.tokens().assign(name, &token);
                Ok(token)
            }
            _ => Err(Error::AuthFailed),
        }
    }

    /// Who a token is of, at the auth revision of now; it lives on by being used. None: the token
    /// is not valid, or not yet; see [`token_index`].
    #[must_use]
    pub fn info_of(&self, token: &str) -> Option<AuthInfo> {
        let revision = self.revision();
        let user = self.tokens().user_of(token)?;
        Some(AuthInfo { user, revision })
    }

    /// Whether the user may write the key. As the others, it allows everything while auth is off.
    ///
    /// # Errors
    /// [`Error::UserEmpty`] without a user, [`Error::AuthOldRevision`], [`Error::PermissionDenied`].
    pub fn may_put(&self, who: &AuthInfo, key: &[u8]) -> Result<(), Error> {
        self.may(who, key, &[], Access::Write)
    }

    /// Whether the user may read the range.
    ///
    /// # Errors
    /// As [`AuthStore::may_put`].
    pub fn may_range(&self, who: &AuthInfo, key: &[u8], end: &[u8]) -> Result<(), Error> {
        self.may(who, key, end, Access::Read)
    }

    /// Whether the user may delete the range.
    ///
    /// # Errors
    /// As [`AuthStore::may_put`].
    pub fn may_delete(&self, who: &AuthInfo, key: &[u8], end: &[u8]) -> Result<(), Error> {
        self.may(who, key, end, Access::Write)
    }

    fn may(&self, who: &AuthInfo, key: &[u8], end: &[u8], access: Access) -> Result<(), Error> {
        let state = self.read();
        if !state.enabled {
            return Ok(());
        }
        if who.revision == 0 {
            return Err(Error::UserEmpty);
        }
        if who.revision < state.revision {
            crate::warning!(
                "request auth revision is less than current node auth revision",
                "current node auth revision": state.revision,
                "request auth revision": who.revision,
            );
            return Err(Error::AuthOldRevision);
        }
        let user = state.users.get(&who.user).ok_or(Error::PermissionDenied)?;
        if has_role(user, ROOT) {
            return Ok(());
        }
        let Some(granted) = state.granted.get(&who.user) else {
            crate::warning!("user doesn't exist", "user-name": who.user);
            return Err(Error::PermissionDenied);
        };
        if granted.allows(key, end, access) {
            Ok(())
        } else {
            Err(Error::PermissionDenied)
        }
    }

    /// Whether the user has role root.
    ///
    /// # Errors
    /// [`Error::UserEmpty`], [`Error::UserNotFound`], [`Error::PermissionDenied`].
    pub fn is_admin(&self, who: &AuthInfo) -> Result<(), Error> {
        let state = self.read();
        if !state.enabled {
            return Ok(());
        }
        if who.user.is_empty() {
            return Err(Error::UserEmpty);
        }
        let user = state.users.get(&who.user).ok_or(Error::UserNotFound)?;
        if has_role(user, ROOT) {
            Ok(())
        } else {
            Err(Error::PermissionDenied)
        }
    }

    /// Whether there is such a user and has the role.
    #[must_use]
    pub fn has_role(&self, user: &str, role: &str) -> bool {
        let state = self.read();
        state
            .users
            .get(user)
            .is_some_and(|user| has_role(user, role))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
