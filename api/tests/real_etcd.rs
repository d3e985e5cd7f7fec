//! The two tables against real members: provokes errors and looks them up, and compares revisions.
//!
//! Needs an etcd binary, so it runs only when asked to:
//! `ETCD=/path/to/etcd cargo test -p gauntlet-api --test real_etcd -- --ignored`

#[path = "real_etcd/cluster.rs"]
mod cluster;
#[path = "real_etcd/log.rs"]
mod log;
#[path = "real_etcd/revisions.rs"]
mod revisions;
#[path = "real_etcd/traffic.rs"]
mod traffic;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::errors::{ErrorClass, RequestKind, classify};
use api::pb::etcdserverpb::{self as pb, request_op};
use api::pb::{authpb, mvccpb};
use failpoints::ports::{self, PortLease};
use pb::{
    auth_client::AuthClient, cluster_client::ClusterClient, kv_client::KvClient,
    lease_client::LeaseClient, maintenance_client::MaintenanceClient,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// A request that takes longer fails the test.
const TIMEOUT: Duration = Duration::from_secs(10);

struct Member {
    child: Child,
    dir: tempfile::TempDir,
    client: String,
    peer: String,
    _ports: [PortLease; 2],
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Member {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = [(); 2].map(|()| ports::lease().unwrap());
        let [client, peer] = ports
            .each_ref()
            .map(|port| format!("http://127.0.0.1:{}", port.port()));
        let child = Self::spawn(&dir, &client, &peer);
        Self {
            child,
            dir,
            client,
            peer,
            _ports: ports,
        }
    }

    fn spawn(dir: &tempfile::TempDir, client: &str, peer: &str) -> Child {
        Command::new(std::env::var("ETCD").expect("ETCD names the binary to test against"))
            .args(["--name=m1", "--bcrypt-cost=4", "--log-level=error"])
            .arg(format!("--data-dir={}", dir.path().display()))
            .arg(format!("--listen-client-urls={client}"))
            .arg(format!("--advertise-client-urls={client}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=m1={peer}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn restart(&mut self) {
        self.kill();
        self.child = Self::spawn(&self.dir, &self.client, &self.peer);
    }

    async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.client.clone())
            .unwrap()
            .timeout(TIMEOUT);
        for _ in 0..200 {
            if let Ok(channel) = endpoint.connect().await
                && KvClient::new(channel.clone())
                    .range(range("k", 0))
                    .await
                    .is_ok()
            {
                return channel;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the member does not serve");
    }
}

fn range(key: &str, revision: i64) -> pb::RangeRequest {
    pb::RangeRequest {
        key: key.into(),
        revision,
        ..Default::default()
    }
}

fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: key.into(),
        ..Default::default()
    }
}

fn txn(ops: impl IntoIterator<Item = request_op::Request>) -> pb::TxnRequest {
    let success = ops
        .into_iter()
        .map(|op| pb::RequestOp { request: Some(op) })
        .collect();
    pb::TxnRequest {
        success,
        ..Default::default()
    }
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("token", token.parse().unwrap());
    request
}

/// The error must be the one that this row is about.
#[track_caller]
fn expect<T>(id: &str, kind: RequestKind, result: Result<Response<T>, Status>) {
    let error = result.err().unwrap_or_else(|| panic!("{id}: no error"));
    let verdict = classify(kind, error.code() as i32, error.message());
    assert_eq!(verdict.rule.map(|rule| rule.id), Some(id), "{error:?}");
    assert_ne!(verdict.class, ErrorClass::Unknown);
}

async fn revision(kv: &mut KvClient<Channel>) -> i64 {
    let answer = kv.range(range("k", 0)).await.unwrap().into_inner();
    answer.header.unwrap().revision
}

#[tokio::test]
#[ignore = "needs an etcd binary"]
async fn keys_and_leases() {
    use RequestKind as K;
    use request_op::Request::{RequestPut as P, RequestRange as R};
    let member = Member::start();
    let channel = member.connect().await;
    let mut kv = KvClient::new(channel.clone());
    let mut lease = LeaseClient::new(channel.clone());
    let mut maintenance = MaintenanceClient::new(channel);

    for _ in 0..4 {
        kv.put(put("k")).await.unwrap();
    }
    kv.compact(pb::CompactionRequest {
        revision: 4,
        physical: true,
    })
    .await
    .unwrap();
    let before = revision(&mut kv).await;
    assert_eq!(before, 5);

    expect("empty-key", K::Put, kv.put(put("")).await);
    expect("empty-key", K::Range, kv.range(range("", 0)).await);
    let ignore = pb::PutRequest {
        value: b"v".to_vec(),
        ignore_value: true,
        ..put("k")
    };
    expect("value-provided", K::Put, kv.put(ignore).await);
    let ignore = pb::PutRequest {
        lease: 1,
        ignore_lease: true,
        ..put("k")
    };
    expect("lease-provided", K::Put, kv.put(ignore).await);
    let absent = pb::PutRequest {
        ignore_value: true,
        ..put("absent")
    };
    expect("put-key-not-found", K::Put, kv.put(absent.clone()).await);
    expect("txn-key-not-found", K::Txn, kv.txn(txn([P(absent)])).await);
    let leased = pb::PutRequest {
        lease: 99,
        ..put("k")
    };
    expect("lease-not-found", K::Put, kv.put(leased.clone()).await);
    expect("lease-not-found", K::Txn, kv.txn(txn([P(leased)])).await);
    expect(
        "duplicate-key",
        K::Txn,
        kv.txn(txn([P(put("k")), P(put("k"))])).await,
    );
    let many = (0..129).map(|n| P(put(&format!("k{n}"))));
    expect("too-many-ops", K::Txn, kv.txn(txn(many)).await);
    let large = pb::PutRequest {
        value: vec![0; 1_600_000],
        ..put("k")
    };
    expect("request-too-large", K::Put, kv.put(large).await);

    expect("range-compacted", K::Range, kv.range(range("k", 2)).await);
    expect(
        "range-future-revision",
        K::Range,
        kv.range(range("k", 99)).await,
    );
    expect(
        "txn-compacted",
        K::Txn,
        kv.txn(txn([P(put("w")), R(range("k", 2))])).await,
    );
    expect(
        "txn-future-revision",
        K::Txn,
        kv.txn(txn([P(put("w")), R(range("k", 99))])).await,
    );
    let compact = |revision| pb::CompactionRequest {
        revision,
        physical: false,
    };
    expect(
        "compact-compacted",
        K::Compact,
        kv.compact(compact(4)).await,
    );
    expect(
        "compact-future-revision",
        K::Compact,
        kv.compact(compact(99)).await,
    );
    let hash = |revision| pb::HashKvRequest { revision };
    expect(
        "hash-compacted",
        K::Maintenance,
        maintenance.hash_kv(hash(2)).await,
    );
    expect(
        "hash-future-revision",
        K::Maintenance,
        maintenance.hash_kv(hash(99)).await,
    );

    let grant = |id, ttl| pb::LeaseGrantRequest { id, ttl };
    let granted = lease.lease_grant(grant(7, 60)).await.unwrap().into_inner();
    assert_eq!(granted.header.unwrap().revision, before);
    expect(
        "lease-exists",
        K::LeaseGrant,
        lease.lease_grant(grant(7, 60)).await,
    );
    expect(
        "lease-ttl-too-large",
        K::LeaseGrant,
        lease.lease_grant(grant(8, i64::MAX)).await,
    );
    let revoke = |id| pb::LeaseRevokeRequest { id };
    expect(
        "lease-not-found",
        K::LeaseRevoke,
        lease.lease_revoke(revoke(8)).await,
    );
    let ttl = lease
        .lease_time_to_live(pb::LeaseTimeToLiveRequest { id: 8, keys: true })
        .await;
    assert_eq!(ttl.unwrap().into_inner().ttl, -1);

    // None of them had an effect; a revocation with keys takes a revision.
    assert_eq!(revision(&mut kv).await, before);
    kv.put(pb::PutRequest {
        lease: 7,
        ..put("leased")
    })
    .await
    .unwrap();
    let revoked = lease.lease_revoke(revoke(7)).await.unwrap().into_inner();
    assert_eq!(revoked.header.unwrap().revision, before + 2);

    // Comparisons alone are not a write.
    let compare = pb::Compare {
        key: b"k".to_vec(),
        ..Default::default()
    };
    let compare = pb::TxnRequest {
        compare: vec![compare],
        ..Default::default()
    };
    let answer = kv.txn(compare).await.unwrap().into_inner();
    assert_eq!(answer.header.unwrap().revision, before + 2);
    let found: Vec<mvccpb::KeyValue> = kv.range(range("w", 0)).await.unwrap().into_inner().kvs;
    assert!(found.is_empty());

    expect(
        "bad-transferee",
        K::Maintenance,
        maintenance
            .move_leader(pb::MoveLeaderRequest { target_id: 1 })
            .await,
    );
}

/// Why such an error is a claim only: #18667 needs no second member.
#[tokio::test]
#[ignore = "needs an etcd binary that has #18667"]
async fn a_refused_transaction_takes_effect_at_replay() {
    use request_op::Request::{RequestPut as P, RequestRange as R};
    let mut member = Member::start();
    let mut kv = KvClient::new(member.connect().await);
    for _ in 0..4 {
        kv.put(put("k")).await.unwrap();
    }
    let compact = pb::CompactionRequest {
        revision: 3,
        physical: true,
    };
    kv.compact(compact).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;

    let refused = kv.txn(txn([P(put("w")), R(range("k", 2))])).await;
    expect("txn-compacted", RequestKind::Txn, refused);
    // Before the next commit to disk, so that the entry is applied once more.
    member.restart();

    let mut kv = KvClient::new(member.connect().await);
    let found = kv.range(range("w", 0)).await.unwrap().into_inner();
    assert_eq!((found.count, found.header.unwrap().revision), (1, 6));
}

#[tokio::test]
#[ignore = "needs an etcd binary"]
async fn auth() {
    use RequestKind as K;
    let member = Member::start();
    let channel = member.connect().await;
    let mut kv = KvClient::new(channel.clone());
    let mut auth = AuthClient::new(channel.clone());
    let mut cluster = ClusterClient::new(channel.clone());
    let mut lease = LeaseClient::new(channel.clone());
    let mut maintenance = MaintenanceClient::new(channel);

    let login = |name: &str, password: &str| pb::AuthenticateRequest {
        name: name.into(),
        password: password.into(),
    };
    let user = |name: &str| pb::AuthUserAddRequest {
        name: name.into(),
        password: "p".into(),
        ..Default::default()
    };
    let role = |name: &str| pb::AuthRoleAddRequest { name: name.into() };
    let grant = |user: &str, role: &str| pb::AuthUserGrantRoleRequest {
        user: user.into(),
        role: role.into(),
    };
    let allow = |name: &str, key: &str| pb::AuthRoleGrantPermissionRequest {
        name: name.into(),
        perm: Some(authpb::Permission {
            perm_type: 2,
            key: key.into(),
            range_end: vec![],
        }),
    };

    expect(
        "auth-not-enabled",
        K::Authenticate,
        auth.authenticate(login("a", "p")).await,
    );
    let enable = pb::AuthEnableRequest {};
    expect("root-user-missing", K::Auth, auth.auth_enable(enable).await);
    auth.user_add(user("root")).await.unwrap();
    expect("root-role-missing", K::Auth, auth.auth_enable(enable).await);
    auth.role_add(role("root")).await.unwrap();
    auth.user_grant_role(grant("root", "root")).await.unwrap();
    auth.user_add(user("a")).await.unwrap();
    auth.role_add(role("r")).await.unwrap();
    auth.user_grant_role(grant("a", "r")).await.unwrap();
    auth.role_grant_permission(allow("r", "mine"))
        .await
        .unwrap();

    expect("user-exists", K::Auth, auth.user_add(user("a")).await);
    expect("auth-user-empty", K::Auth, auth.user_add(user("")).await);
    expect("role-exists", K::Auth, auth.role_add(role("r")).await);
    expect("role-empty", K::Auth, auth.role_add(role("")).await);
    expect(
        "role-not-found",
        K::Auth,
        auth.user_grant_role(grant("a", "none")).await,
    );
    expect(
        "auth-user-not-found",
        K::Auth,
        auth.user_grant_role(grant("none", "r")).await,
    );
    let revoke = pb::AuthUserRevokeRoleRequest {
        name: "a".into(),
        role: "root".into(),
    };
    expect(
        "role-not-granted",
        K::Auth,
        auth.user_revoke_role(revoke).await,
    );
    let revoke = pb::AuthRoleRevokePermissionRequest {
        role: "r".into(),
        key: b"none".to_vec(),
        range_end: vec![],
    };
    expect(
        "permission-not-granted",
        K::Auth,
        auth.role_revoke_permission(revoke).await,
    );

    auth.auth_enable(enable).await.unwrap();
    expect(
        "auth-failed",
        K::Authenticate,
        auth.authenticate(login("a", "wrong")).await,
    );
    let a = auth
        .authenticate(login("a", "p"))
        .await
        .unwrap()
        .into_inner()
        .token;
    let root = auth
        .authenticate(login("root", "p"))
        .await
        .unwrap()
        .into_inner()
        .token;

    kv.put(with(&a, put("mine"))).await.unwrap();
    expect(
        "permission-denied",
        K::Put,
        kv.put(with(&a, put("other"))).await,
    );
    expect(
        "permission-denied",
        K::Range,
        kv.range(with(&a, range("other", 0))).await,
    );
    expect("user-empty", K::Put, kv.put(put("mine")).await);
    expect("user-empty", K::Range, kv.range(range("mine", 0)).await);
    expect(
        "invalid-auth-token",
        K::Put,
        kv.put(with("x.1", put("mine"))).await,
    );
    expect(
        "invalid-auth-token",
        K::Range,
        kv.range(with("x.1", range("mine", 0))).await,
    );
    expect(
        "auth-permission-denied",
        K::Auth,
        auth.user_add(with(&a, user("b"))).await,
    );
    expect("auth-user-empty", K::Auth, auth.user_add(user("b")).await);
    let delete = pb::AuthRoleDeleteRequest {
        role: "root".into(),
    };
    expect(
        "invalid-auth-management",
        K::Auth,
        auth.role_delete(with(&root, delete)).await,
    );

    let hash = pb::HashKvRequest::default();
    let denied = maintenance.hash_kv(with(&a, hash)).await;
    expect("maintenance-permission-denied", K::Maintenance, denied);
    expect(
        "maintenance-user-empty",
        K::Maintenance,
        maintenance.hash_kv(hash).await,
    );
    let denied = maintenance.hash_kv(with("x.1", hash)).await;
    expect("maintenance-invalid-auth-token", K::Maintenance, denied);

    let add = pb::MemberAddRequest {
        peer_urls: vec!["http://127.0.0.1:1".into()],
        ..<_>::default()
    };
    expect(
        "cluster-user-empty",
        K::Cluster,
        cluster.member_add(add.clone()).await,
    );
    let denied = cluster.member_add(with(&a, add.clone())).await;
    expect("cluster-permission-denied", K::Cluster, denied);
    let denied = cluster.member_add(with("x.1", add)).await;
    expect("cluster-invalid-auth-token", K::Cluster, denied);

    // 3.4 checks the token that comes with a log-in, 3.5 does not.
    let version = maintenance
        .status(pb::StatusRequest {})
        .await
        .unwrap()
        .into_inner()
        .version;
    let stale = auth.authenticate(with("x.1", login("a", "p"))).await;
    if version.starts_with("3.4.") {
        expect("login-invalid-auth-token", K::Authenticate, stale);
    } else {
        stale.unwrap();
    }

    // What auth does not guard: a lease, a compaction, without any credentials.
    lease
        .lease_grant(pb::LeaseGrantRequest { id: 7, ttl: 60 })
        .await
        .unwrap();
    kv.compact(pb::CompactionRequest {
        revision: 1,
        physical: false,
    })
    .await
    .unwrap();
}

#[tokio::test]
#[ignore = "needs an etcd binary"]
async fn membership() {
    use RequestKind as K;
    let member = Member::start();
    let channel = member.connect().await;
    let mut kv = KvClient::new(channel.clone());
    let mut cluster = ClusterClient::new(channel);
    let own = cluster
        .member_list(pb::MemberListRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        own.header.unwrap().revision,
        0,
        "the header has no revision"
    );
    let own = own.members[0].clone();

    let add = |url: &str, is_learner| pb::MemberAddRequest {
        peer_urls: vec![url.into()],
        is_learner,
    };
    expect(
        "member-bad-urls",
        K::Cluster,
        cluster.member_add(add("nonsense", true)).await,
    );
    // A change that follows too closely on another, even on one that was refused at apply, is
    // dropped by Raft and never answered.
    let settle = || tokio::time::sleep(Duration::from_millis(500));
    let again = cluster.member_add(add(&own.peer_urls[0], true)).await;
    expect("peer-urls-exist", K::Cluster, again);
    settle().await;
    let unknown = cluster
        .member_remove(pb::MemberRemoveRequest { id: 12 })
        .await;
    expect("member-not-found", K::Cluster, unknown);
    settle().await;

    let learner = cluster
        .member_add(add("http://127.0.0.1:1", true))
        .await
        .unwrap();
    assert!(learner.into_inner().member.unwrap().is_learner);
    settle().await;
    let second = cluster.member_add(add("http://127.0.0.1:2", true)).await;
    expect("too-many-learners", K::Cluster, second);
    settle().await;
    kv.put(put("k")).await.unwrap();

    let itself = cluster
        .member_remove(pb::MemberRemoveRequest { id: own.id })
        .await;
    expect("not-enough-started", K::Cluster, itself);
}
