//! Users, roles and permissions: etcd's rules, and the bugs.

use std::time::Duration;

use api::pb::authpb::permission::Type::{self, Read, Readwrite, Write};
use api::pb::authpb::{Permission, UserAddOptions};
use api::pb::etcdserverpb as pb;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use store::Error;
use store::auth::{AuthInfo, AuthStore, token_index};
use store::backend::{self, Backend};
use store::bugs::{Bug, Bugs};

struct Database {
    directory: tempfile::TempDir,
    backend: Backend,
}

fn database() -> Database {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory.path().join("db"));
    Database { directory, backend }
}

fn open(path: &std::path::Path) -> Backend {
    let options = backend::Options {
        batch_interval: Duration::from_secs(3600),
        batch_limit: 10_000,
        bugs: Bugs::default(),
    };
    Backend::open(path, options).unwrap()
}

impl Database {
    fn auth(&self) -> AuthStore {
        self.auth_with(Bugs::default())
    }

    fn auth_with(&self, bugs: Bugs) -> AuthStore {
        AuthStore::open(&self.backend, 4, bugs)
    }

    /// Auth is on, with root (password `r`), alice (`a`) of role `some` and bob (`b`) of none.
    fn enabled(&self, bugs: Bugs) -> AuthStore {
        let auth = self.auth_with(bugs);
        for name in ["root", "alice", "bob"] {
            self.user_add(&auth, name, &name[..1]).unwrap();
        }
        let mut batch = self.backend.batch();
        auth.role_add(&mut batch, "some").unwrap();
        auth.user_grant_role(&mut batch, "root", "root").unwrap();
        auth.user_grant_role(&mut batch, "alice", "some").unwrap();
        auth.enable(&mut batch).unwrap();
        drop(batch);
        auth
    }

    fn user_add(&self, auth: &AuthStore, name: &str, password: &str) -> Result<(), Error> {
        let request = pb::AuthUserAddRequest {
            name: name.to_owned(),
            hashed_password: auth.hash_password(password).unwrap(),
            ..Default::default()
        };
        auth.user_add(&mut self.backend.batch(), &request)
    }

    fn change_password(&self, auth: &AuthStore, name: &str, password: &str) -> Result<(), Error> {
        let request = pb::AuthUserChangePasswordRequest {
            name: name.to_owned(),
            hashed_password: auth.hash_password(password).unwrap(),
            ..Default::default()
        };
        auth.user_change_password(&mut self.backend.batch(), &request)
    }

    fn grant(&self, auth: &AuthStore, kind: Type, key: &[u8], end: &[u8]) -> Result<(), Error> {
        let permission = permission(kind, key, end);
        auth.role_grant_permission(&mut self.backend.batch(), "some", &permission)
    }

    fn revoke(&self, auth: &AuthStore, key: &[u8], end: &[u8]) -> Result<(), Error> {
        auth.role_revoke_permission(&mut self.backend.batch(), "some", key, end)
    }

    /// A member that got this database as a snapshot: the backend of `other` is replaced.
    fn send_to(&self, other: &Self) {
        let copy = other.directory.path().join("snapshot");
        self.backend.copy_to(&copy).unwrap();
        other.backend.replace(&copy).unwrap();
    }
}

fn permission(kind: Type, key: &[u8], end: &[u8]) -> Permission {
    Permission {
        perm_type: kind.into(),
        key: key.to_vec(),
        range_end: end.to_vec(),
    }
}

fn of(auth: &AuthStore, user: &str) -> AuthInfo {
    AuthInfo {
        user: user.to_owned(),
        revision: auth.revision(),
    }
}

#[test]
fn auth_is_switched_on_only_with_a_root_of_role_root() {
    let database = database();
    let auth = database.auth();
    let enable = || auth.enable(&mut database.backend.batch());
    assert_eq!(enable(), Err(Error::RootUserNotExist));
    database.user_add(&auth, "root", "r").unwrap();
    assert_eq!(enable(), Err(Error::RootRoleNotExist));
    assert_eq!(auth.check_password("root", "r"), Err(Error::AuthNotEnabled));
    // No role of that name is needed.
    let grant = |user, role| auth.user_grant_role(&mut database.backend.batch(), user, role);
    assert_eq!(grant("root", "root"), Ok(()));
    assert_eq!(grant("root", "other"), Err(Error::RoleNotFound));
    assert_eq!(grant("other", "root"), Err(Error::UserNotFound));
    assert!(!auth.is_enabled());
    assert_eq!(enable(), Ok(()));
    assert_eq!(enable(), Ok(()), "again is no error");
    assert!(auth.is_enabled());
    assert!(auth.has_role("root", "root") && !auth.has_role("other", "root"));
}

#[test]
fn root_cannot_be_taken_apart_while_auth_is_on() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    let batch = || database.backend.batch();
    let refused = Err(Error::InvalidAuthManagement);
    assert_eq!(auth.user_delete(&mut batch(), "root"), refused);
    assert_eq!(auth.role_delete(&mut batch(), "root"), refused);
    assert_eq!(auth.user_revoke_role(&mut batch(), "root", "root"), refused);
    auth.disable(&mut batch());
    assert_eq!(
        auth.role_delete(&mut batch(), "root"),
        Err(Error::RoleNotFound)
    );
    assert_eq!(auth.user_revoke_role(&mut batch(), "root", "root"), Ok(()));
    assert_eq!(auth.user_delete(&mut batch(), "root"), Ok(()));
    assert_eq!(auth.user("root"), Err(Error::UserNotFound));
}

#[test]
fn changes_that_cannot_be_made_are_refused_with_etcds_errors() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    let batch = || database.backend.batch();
    assert_eq!(database.user_add(&auth, "", "p"), Err(Error::UserEmpty));
    let twice = database.user_add(&auth, "bob", "p");
    assert_eq!(twice, Err(Error::UserAlreadyExist));
    let nobody = database.change_password(&auth, "nobody", "p");
    assert_eq!(nobody, Err(Error::UserNotFound));
    assert_eq!(
        auth.user_delete(&mut batch(), "nobody"),
        Err(Error::UserNotFound)
    );
    assert_eq!(
        auth.user_revoke_role(&mut batch(), "bob", "some"),
        Err(Error::RoleNotGranted)
    );
    assert_eq!(auth.role_add(&mut batch(), ""), Err(Error::RoleEmpty));
    assert_eq!(
        auth.role_add(&mut batch(), "some"),
        Err(Error::RoleAlreadyExist)
    );
    assert_eq!(
        auth.role_delete(&mut batch(), "none"),
        Err(Error::RoleNotFound)
    );
    assert_eq!(
        database.revoke(&auth, b"a", b""),
        Err(Error::PermissionNotGranted)
    );
    for (key, end) in [(&b""[..], &b"z"[..]), (b"b", b"b"), (b"b", b"a")] {
        let refused = database.grant(&auth, Read, key, end);
        assert_eq!(refused, Err(Error::InvalidAuthManagement));
    }
    let missing = auth.role_grant_permission(&mut batch(), "none", &permission(Read, b"a", b""));
    assert_eq!(missing, Err(Error::RoleNotFound));
    assert_eq!(auth.role("none"), Err(Error::RoleNotFound));
}

#[test]
fn the_auth_revision_counts_changes_and_is_saved_with_them() {
    let database = database();
    let auth = database.auth();
    let mut last = auth.revision();
    assert_eq!(last, 1);
    let mut rise = |what: &str, by| {
        let now = auth.revision();
        assert_eq!(now, last + by, "{what}");
        assert_eq!(database.auth().revision(), now, "{what}, after a restart");
        last = now;
    };
    let batch = || database.backend.batch();
    database.user_add(&auth, "root", "r").unwrap();
    rise("user add", 1);
    auth.user_grant_role(&mut batch(), "root", "root").unwrap();
    rise("role granted", 1);
    auth.user_grant_role(&mut batch(), "root", "root").unwrap();
    rise("role granted again", 0);
    auth.role_add(&mut batch(), "some").unwrap();
    rise("role add", 1);
    for _ in 0..2 {
        database.grant(&auth, Read, b"a", b"").unwrap();
        rise("permission granted, or granted again", 1);
    }
    auth.enable(&mut batch()).unwrap();
    rise("enable", 0);
    database.user_add(&auth, "root", "r").unwrap_err();
    rise("refused", 0);
    auth.assign_token("root", "t", 1).unwrap();
    rise("log-in", 0);
    database.change_password(&auth, "root", "x").unwrap();
    rise("password", 1);
    database.revoke(&auth, b"a", b"").unwrap();
    rise("permission revoked", 1);
    auth.role_delete(&mut batch(), "some").unwrap();
    rise("role deleted", 1);
    auth.disable(&mut batch());
    rise("disable", 1);
    auth.disable(&mut batch());
    rise("disable again", 0);
    auth.user_delete(&mut batch(), "root").unwrap();
    rise("user deleted", 1);
}

#[test]
fn everything_is_there_after_a_restart() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    database.grant(&auth, Readwrite, b"a", b"c").unwrap();
    let again = database.auth();
    assert!(again.is_enabled());
    assert_eq!(again.users(), ["alice", "bob", "root"]);
    assert_eq!(again.roles(), ["some"]);
    assert_eq!(again.user("alice"), auth.user("alice"));
    assert_eq!(again.role("some"), auth.role("some"));
    assert_eq!(again.may_put(&of(&again, "alice"), b"b"), Ok(()));
    assert!(again.check_password("alice", "a").is_ok());
    // Auth that is on has tokens at once.
    assert!(again.assign_token("alice", "t", 7).is_ok());
}

#[test]
fn a_deleted_role_is_taken_from_its_users() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    database.grant(&auth, Write, b"a", b"").unwrap();
    assert_eq!(auth.may_put(&of(&auth, "alice"), b"a"), Ok(()));
    auth.role_delete(&mut database.backend.batch(), "some")
        .unwrap();
    assert!(auth.user("alice").unwrap().roles.is_empty());
    assert!(database.auth().user("alice").unwrap().roles.is_empty());
    auth.role_add(&mut database.backend.batch(), "some")
        .unwrap();
    let denied = auth.may_put(&of(&auth, "alice"), b"a");
    assert_eq!(denied, Err(Error::PermissionDenied));
}

#[test]
fn passwords_are_hashed_once_and_checked() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    assert_eq!(auth.check_password("alice", "a"), Ok(auth.revision()));
    for (user, password) in [("alice", "b"), ("alice", ""), ("nobody", "a")] {
        let failed = auth.check_password(user, password);
        assert_eq!(failed, Err(Error::AuthFailed), "{user} {password}");
    }
    let stored = auth.user("alice").unwrap().password;
    assert!(stored.starts_with(b"$2"), "bcrypt's text is stored");
    database.change_password(&auth, "alice", "new").unwrap();
    assert_eq!(auth.check_password("alice", "a"), Err(Error::AuthFailed));
    assert!(auth.check_password("alice", "new").is_ok());
    let longest = "x".repeat(72);
    database.change_password(&auth, "alice", &longest).unwrap();
    assert!(auth.check_password("alice", &longest).is_ok());
    assert!(auth.hash_password(&"x".repeat(73)).is_err());
    // A request whose password nobody hashed makes a user who cannot log in.
    let plain = pb::AuthUserAddRequest {
        name: "plain".to_owned(),
        password: "p".to_owned(),
        ..Default::default()
    };
    auth.user_add(&mut database.backend.batch(), &plain)
        .unwrap();
    for password in ["p", ""] {
        let failed = auth.check_password("plain", password);
        assert_eq!(failed, Err(Error::AuthFailed));
    }
}

#[test]
fn users_without_a_password_cannot_log_in() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    let request = pb::AuthUserAddRequest {
        name: "cn".to_owned(),
        options: Some(UserAddOptions { no_password: true }),
        ..Default::default()
    };
    auth.user_add(&mut database.backend.batch(), &request)
        .unwrap();
    let refused = auth.check_password("cn", "");
    assert_eq!(refused, Err(Error::NoPasswordUser));
    assert_eq!(auth.assign_token("cn", "t", 1), Err(Error::AuthFailed));
    database.change_password(&auth, "cn", "p").unwrap();
    assert!(auth.user("cn").unwrap().password.is_empty());
}

#[test]
fn a_token_is_valid_until_its_user_changes() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    let random = auth.new_token();
    assert!(random.len() == 16 && random.chars().all(|one| one.is_ascii_alphabetic()));
    assert_ne!(random, auth.new_token());
    assert_eq!(auth.info_of(&format!("{random}.12")), None);
    let assign = |user, index| auth.assign_token(user, &random, index).unwrap();
    let (alice, bob, root) = (assign("alice", 12), assign("bob", 13), assign("root", 14));
    assert_eq!(alice, format!("{random}.12"));
    assert_eq!(token_index(&alice), Some(12));
    assert_eq!(token_index("none"), None);
    assert_eq!(token_index("a.b.7"), None);
    assert_eq!(auth.info_of(&alice), Some(of(&auth, "alice")));

    database.change_password(&auth, "alice", "a").unwrap();
    assert_eq!(auth.info_of(&alice), None);
    // A token outlives other changes, at the newer revision.
    assert_eq!(auth.info_of(&bob), Some(of(&auth, "bob")));
    auth.user_delete(&mut database.backend.batch(), "bob")
        .unwrap();
    assert_eq!(auth.info_of(&bob), None);
    assert_eq!(auth.assign_token("bob", "t", 1), Err(Error::AuthFailed));
    auth.disable(&mut database.backend.batch());
    assert_eq!(auth.info_of(&root), None);
    assert_eq!(
        auth.assign_token("root", "t", 1),
        Err(Error::AuthNotEnabled)
    );
    auth.enable(&mut database.backend.batch()).unwrap();
    assert_eq!(auth.info_of(&root), None);
}

#[test]
fn a_token_lives_by_being_used() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    auth.set_token_ttl(Duration::from_millis(400));
    let used = auth.assign_token("alice", "used", 1).unwrap();
    let idle = auth.assign_token("alice", "idle", 2).unwrap();
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(100));
        assert!(auth.info_of(&used).is_some());
    }
    assert_eq!(auth.info_of(&idle), None);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(auth.info_of(&used), None);
}

#[test]
fn a_permission_covers_its_range_and_kind() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    database.grant(&auth, Write, b"a", b"c").unwrap();
    database.grant(&auth, Read, b"c", b"").unwrap();
    let alice = of(&auth, "alice");
    let denied = Err(Error::PermissionDenied);
    assert_eq!(auth.may_put(&alice, b"b"), Ok(()));
    assert_eq!(auth.may_put(&alice, b"c"), denied);
    assert_eq!(auth.may_range(&alice, b"b", b""), denied);
    assert_eq!(auth.may_range(&alice, b"c", b""), Ok(()));
    assert_eq!(auth.may_range(&alice, b"c", b"c\0"), Ok(()));
    assert_eq!(auth.may_range(&alice, b"c", b"d"), denied);
    assert_eq!(auth.may_delete(&alice, b"a", b"c"), Ok(()));
    assert_eq!(auth.may_delete(&alice, b"a", b"c\0"), denied);
    assert_eq!(auth.may_delete(&alice, b"a", b"\0"), denied);
    // Ranges of several permissions add up, the one key that touches them too.
    database.grant(&auth, Readwrite, b"c", b"\0").unwrap();
    let alice = of(&auth, "alice");
    assert_eq!(auth.may_delete(&alice, b"a", b"\0"), Ok(()));
    assert_eq!(auth.may_range(&alice, b"c", b"\0"), Ok(()));
    assert_eq!(auth.may_put(&of(&auth, "bob"), b"b"), denied);
    assert_eq!(auth.may_put(&of(&auth, "nobody"), b"b"), denied);
    assert_eq!(auth.may_put(&of(&auth, "root"), b"b"), Ok(()));
    auth.disable(&mut database.backend.batch());
    assert_eq!(auth.may_put(&AuthInfo::default(), b"b"), Ok(()));
}

#[test]
fn who_asks_must_be_known_at_the_revision_of_now() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    database.grant(&auth, Readwrite, b"a", b"").unwrap();
    let before = of(&auth, "root");
    assert_eq!(
        auth.may_put(&AuthInfo::default(), b"a"),
        Err(Error::UserEmpty)
    );
    database.grant(&auth, Readwrite, b"b", b"").unwrap();
    assert_eq!(auth.may_put(&before, b"a"), Err(Error::AuthOldRevision));
    assert_eq!(auth.is_admin(&before), Ok(()), "which is not checked here");
    assert_eq!(
        auth.is_admin(&of(&auth, "bob")),
        Err(Error::PermissionDenied)
    );
    assert_eq!(
        auth.is_admin(&of(&auth, "nobody")),
        Err(Error::UserNotFound)
    );
    assert_eq!(auth.is_admin(&AuthInfo::default()), Err(Error::UserEmpty));
    let ahead = AuthInfo {
        revision: 1000,
        ..before
    };
    assert_eq!(auth.may_put(&ahead, b"a"), Ok(()));
}

#[test]
fn a_permission_that_is_granted_again_changes_its_kind() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    database.grant(&auth, Read, b"b", b"c").unwrap();
    database.grant(&auth, Read, b"a", b"c").unwrap();
    database.grant(&auth, Write, b"b", b"c").unwrap();
    let role = auth.role("some").unwrap();
    let expected = [permission(Read, b"a", b"c"), permission(Write, b"b", b"c")];
    assert_eq!(role.key_permission, expected);
    database.revoke(&auth, b"a", b"c").unwrap();
    assert_eq!(auth.role("some").unwrap().key_permission, expected[1..]);
}

/// A member's answers for alice and for carol, who came after it was cut off, once it has got the
/// others' database: alice may write `b` and `a` no more, carol may write `b`.
fn after_snapshot(bugs: Bugs) -> [Result<(), Error>; 3] {
    let (leader, follower) = (database(), database());
    let authority = leader.enabled(Bugs::default());
    leader.grant(&authority, Readwrite, b"a", b"").unwrap();
    leader.send_to(&follower);
    let auth = follower.auth_with(bugs);
    assert_eq!(auth.may_put(&of(&auth, "alice"), b"a"), Ok(()));

    leader.user_add(&authority, "carol", "c").unwrap();
    let mut batch = leader.backend.batch();
    authority
        .user_grant_role(&mut batch, "carol", "some")
        .unwrap();
    drop(batch);
    leader.revoke(&authority, b"a", b"").unwrap();
    leader.grant(&authority, Readwrite, b"b", b"").unwrap();
    leader.send_to(&follower);
    auth.restore(&follower.backend);
    assert_eq!(auth.revision(), authority.revision());
    assert_eq!(auth.may_put(&of(&auth, "root"), b"b"), Ok(()));
    let answers = [("alice", b"a"), ("alice", b"b"), ("carol", b"b")]
        .map(|(user, key)| auth.may_put(&of(&auth, user), key));

    // Any change of auth heals it.
    follower.grant(&auth, Readwrite, b"z", b"").unwrap();
    assert_eq!(auth.may_put(&of(&auth, "alice"), b"b"), Ok(()));
    answers
}

#[test]
fn a_snapshot_brings_its_permissions() {
    let denied = Err(Error::PermissionDenied);
    assert_eq!(after_snapshot(Bugs::default()), [denied, Ok(()), Ok(())]);
    // Whoever was known keeps what he had; others are looked up.
    let stale = Bugs::default().with(Bug::StalePermissions);
    assert_eq!(after_snapshot(stale), [Ok(()), denied, Ok(())]);
    // And here nobody is looked up.
    let empty = Bugs::default().with(Bug::EmptyPermissions);
    assert_eq!(after_snapshot(empty), [Ok(()), denied, denied]);
}

#[test]
fn a_new_member_that_is_sent_a_snapshot_knows_its_users() {
    let fresh = |bugs| {
        let (leader, joining) = (database(), database());
        let authority = leader.enabled(Bugs::default());
        leader.grant(&authority, Readwrite, b"a", b"").unwrap();
        let auth = joining.auth_with(bugs);
        leader.send_to(&joining);
        auth.restore(&joining.backend);
        assert!(auth.assign_token("alice", "t", 1).is_ok());
        auth.may_put(&of(&auth, "alice"), b"a")
    };
    assert_eq!(fresh(Bugs::default()), Ok(()));
    let empty = Bugs::default().with(Bug::EmptyPermissions);
    assert_eq!(fresh(empty), Err(Error::PermissionDenied));
    assert_eq!(fresh(Bugs::default().with(Bug::StalePermissions)), Ok(()));
}

#[test]
fn the_auth_revision_outlives_a_crash() {
    let revisions = |bugs| {
        let database = database();
        let auth = database.enabled(bugs);
        database.backend.force_commit();
        (auth.revision(), database.auth_with(bugs).revision())
    };
    let (before, after) = revisions(Bugs::default());
    assert_eq!((before, after), (7, 7));
    let lost = revisions(Bugs::default().with(Bug::AuthRevisionLost));
    assert_eq!(lost, (7, 1), "and while it runs, it is as right as others");
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"\0abc".to_vec()), 1..3)
}

fn range() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let end = prop_oneof![Just(Vec::new()), Just(vec![0]), key()];
    (key(), end).prop_filter("a range", |(key, end)| {
        end.is_empty() || *end == [0] || key < end
    })
}

/// Whether the range has the key, by the words of the API.
fn has((start, end): &(Vec<u8>, Vec<u8>), key: &[u8]) -> bool {
    match end.as_slice() {
        [] => key == start,
        [0] => key >= start.as_slice(),
        end => start.as_slice() <= key && key < end,
    }
}

/// Keys such that two unions of the ranges above that agree on them are the same: the bounds, and
/// behind each of them the next key and one that is further on.
fn probes() -> Vec<Vec<u8>> {
    let letters = b"\0abc";
    let mut bounds: Vec<Vec<u8>> = letters.iter().map(|one| vec![*one]).collect();
    bounds.extend(letters.iter().flat_map(|a| letters.map(|b| vec![*a, b])));
    let behind = |key: &Vec<u8>| [&[][..], &[0], &[0, 0], &[0xff]].map(|tail| [key, tail].concat());
    bounds.iter().flat_map(behind).collect()
}

type Granted = Vec<((Vec<u8>, Vec<u8>), Type)>;

/// As etcd has it, a permission that is granted again is found only if no other begins with its
/// key: each range is granted once.
fn granted() -> impl Strategy<Value = Granted> {
    let kind = prop::sample::select(vec![Read, Write, Readwrite]);
    prop::collection::vec((range(), kind), 0..6).prop_map(|mut all| {
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|(a, _), (b, _)| a == b);
        all
    })
}

#[test]
fn a_request_is_allowed_if_every_key_of_it_is() {
    let database = database();
    let auth = database.enabled(Bugs::default());
    let asked = prop::collection::vec(range(), 1..20);
    let config = ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let checked = TestRunner::new(config).run(&(granted(), asked), |(granted, asked)| {
        for ((key, end), kind) in &granted {
            database.grant(&auth, *kind, key, end).unwrap();
        }
        let alice = of(&auth, "alice");
        let answers = asked.iter().map(|(key, end)| {
            let read = auth.may_range(&alice, key, end).is_ok();
            (read, auth.may_delete(&alice, key, end).is_ok())
        });
        let answers: Vec<_> = answers.collect();
        for ((key, end), _) in &granted {
            database.revoke(&auth, key, end).unwrap();
        }
        for (one, answer) in asked.iter().zip(answers) {
            let all = |kind| {
                let allowed = |key: &Vec<u8>| {
                    let mut granted = granted.iter();
                    granted.any(|(range, of)| [kind, Readwrite].contains(of) && has(range, key))
                };
                probes().iter().filter(|key| has(one, key)).all(allowed)
            };
            prop_assert_eq!(answer, (all(Read), all(Write)), "{:?}", one);
        }
        Ok(())
    });
    checked.unwrap();
}
