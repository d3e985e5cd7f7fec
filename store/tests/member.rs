//! Members as processes: what clients see of a cluster, over crashes and full disks too.
#![allow(clippy::unwrap_used)]

mod member_support;

use std::time::{Duration, Instant};

use api::pb::etcdserverpb as pb;
use api::pb::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use api::pb::etcdserverpb::request_op::Request as Op;
use api::pb::etcdserverpb::response_op::Response as Answer;
use member_support::{Cluster, with_token};
use sha2::{Digest as _, Sha256};
use tokio_stream::StreamExt as _;
use tonic::Code;

fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp {
        request: Some(request),
    }
}

fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

fn range(key: &str, revision: i64) -> pb::RangeRequest {
    pb::RangeRequest {
        key: key.into(),
        revision,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_outlives_crashes() {
    let mut cluster = Cluster::start(3, &[]).await;
    for round in 0..3 {
        for at in 0..3 {
            let value = format!("{round}");
            cluster.keep_putting(at, &format!("k{at}"), &value).await;
            assert_eq!(
                cluster.get((at + 1) % 3, &format!("k{at}")).await.unwrap(),
                [value]
            );
        }
        cluster.kill(round);
        let other = (round + 1) % 3;
        cluster
            .keep_putting(other, "down", &round.to_string())
            .await;
        cluster.restart(round).await;
        assert_eq!(
            cluster.get(round, "down").await.unwrap(),
            [round.to_string()]
        );
    }
    assert!(cluster.agree(&[0, 1, 2]).await);
    for at in 0..3 {
        cluster.kill(at);
    }
    for at in 0..3 {
        cluster.run(at, "new", &[]);
    }
    for at in 0..3 {
        cluster.ready(at).await;
        assert_eq!(cluster.get(at, "").await.unwrap(), ["2", "2", "2", "2"]);
    }
    assert!(cluster.agree(&[0, 1, 2]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_as_by_etcd() {
    let cluster = Cluster::start(1, &[]).await;
    let mut kv = cluster.members[0].kv();
    assert_eq!(cluster.put(0, "a", "1").await.unwrap(), 2);
    let previous = kv
        .put(pb::PutRequest {
            prev_kv: true,
            ..put("a", "2")
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(previous.prev_kv.unwrap().value, b"1");

    // Compared before, done after; the read sees what the put before it wrote.
    let txn = pb::TxnRequest {
        compare: vec![pb::Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Version.into(),
            key: b"a".to_vec(),
            target_union: Some(TargetUnion::Version(2)),
            ..Default::default()
        }],
        success: vec![
            op(Op::RequestPut(put("a", "3"))),
            op(Op::RequestRange(range("a", 0))),
            op(Op::RequestTxn(pb::TxnRequest {
                success: vec![op(Op::RequestDeleteRange(pb::DeleteRangeRequest {
                    key: b"b".to_vec(),
                    ..Default::default()
                }))],
                ..Default::default()
            })),
        ],
        failure: Vec::new(),
    };
    let answer = kv.txn(txn.clone()).await.unwrap().into_inner();
    assert!(answer.succeeded);
    assert_eq!(answer.header.unwrap().revision, 4);
    let Some(Answer::ResponseRange(read)) = &answer.responses[1].response else {
        panic!("{answer:?}");
    };
    assert_eq!(read.kvs[0].value, b"3");
    assert_eq!(read.header.unwrap().revision, 4);
    let again = kv.txn(txn).await.unwrap().into_inner();
    assert!(!again.succeeded && again.responses.is_empty());
    assert_eq!(again.header.unwrap().revision, 4, "nothing was changed");

    // Nothing of a transaction is done that is refused.
    let refused = pb::TxnRequest {
        success: vec![
            op(Op::RequestPut(put("x", "1"))),
            op(Op::RequestPut(pb::PutRequest {
                lease: 77,
                ..put("y", "1")
            })),
        ],
        ..Default::default()
    };
    let error = kv.txn(refused).await.unwrap_err();
    assert_eq!(error.message(), "etcdserver: requested lease not found");
    assert!(cluster.get(0, "x").await.unwrap().is_empty());
    let keeping = |key| pb::PutRequest {
        ignore_value: true,
        ..put(key, "")
    };
    // Where etcd panics.
    let refused = pb::TxnRequest {
        success: vec![
            op(Op::RequestDeleteRange(pb::DeleteRangeRequest {
                key: b"a".to_vec(),
                range_end: vec![0],
                ..Default::default()
            })),
            op(Op::RequestPut(keeping("a"))),
        ],
        ..Default::default()
    };
    let error = kv.txn(refused).await.unwrap_err();
    assert_eq!(error.message(), "etcdserver: key not found");
    assert!(!cluster.get(0, "a").await.unwrap().is_empty());

    let error = kv.put(keeping("none")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::InvalidArgument, "etcdserver: key not found")
    );
    let large = put("large", &"v".repeat(1600 << 10));
    let error = kv.put(large).await.unwrap_err();
    assert_eq!(error.message(), "etcdserver: request is too large");
    let error = kv.range(range("a", 100)).await.unwrap_err();
    assert_eq!(
        error.message(),
        "etcdserver: mvcc: required revision is a future revision"
    );

    let compaction = pb::CompactionRequest {
        revision: 4,
        physical: true,
    };
    kv.compact(compaction).await.unwrap();
    let error = kv.range(range("a", 3)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted"
        )
    );
    assert_eq!(
        kv.compact(compaction).await.unwrap_err().code(),
        Code::OutOfRange
    );
    assert_eq!(
        kv.range(range("a", 4)).await.unwrap().into_inner().kvs[0].value,
        b"3"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_take_their_keys_along() {
    let cluster = Cluster::start(3, &[]).await;
    let follower = (cluster.leader().await + 1) % 3;
    let mut lease = cluster.members[follower].lease();
    let grant = |ttl, id| pb::LeaseGrantRequest { ttl, id };
    let short = lease.lease_grant(grant(1, 0)).await.unwrap().into_inner();
    let long = lease.lease_grant(grant(600, 5)).await.unwrap().into_inner();
    assert_eq!((long.id, long.ttl), (5, 600));
    for id in [short.id, long.id] {
        let put = pb::PutRequest {
            lease: id,
            ..put(&format!("leased-{id}"), "")
        };
        cluster.members[follower].kv().put(put).await.unwrap();
    }
    let standing = lease.lease_time_to_live(pb::LeaseTimeToLiveRequest { id: 5, keys: true });
    let standing = standing.await.unwrap().into_inner();
    assert_eq!(standing.keys, [b"leased-5".to_vec()]);
    let start = Instant::now();
    while !cluster
        .get(0, &format!("leased-{}", short.id))
        .await
        .unwrap()
        .is_empty()
    {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it never expires"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        start.elapsed() > Duration::from_millis(500),
        "it expires too early"
    );
    assert_eq!(cluster.get(0, "leased-5").await.unwrap().len(), 1);
    lease
        .lease_revoke(pb::LeaseRevokeRequest { id: 5 })
        .await
        .unwrap();
    assert!(cluster.get(0, "leased-5").await.unwrap().is_empty());
    assert!(cluster.agree(&[0, 1, 2]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_far_behind_gets_a_snapshot() {
    let flags = [
        "--snapshot-count=10",
        "--experimental-snapshot-catchup-entries=5",
    ];
    let mut cluster = Cluster::start(3, &flags).await;
    cluster.put(0, "before", "1").await.unwrap();
    cluster.kill(2);
    for round in 0..100 {
        cluster
            .keep_putting(0, &format!("k{}", round % 7), &round.to_string())
            .await;
    }
    cluster.restart(2).await;
    assert!(
        cluster.log(2).contains("\"applied snapshot\""),
        "{}",
        cluster.log(2)
    );
    assert!(cluster.agree(&[0, 1, 2]).await);
    // It can go on from there, by itself too.
    cluster.kill(2);
    cluster.restart(2).await;
    cluster.keep_putting(2, "after", "1").await;
    assert!(cluster.agree(&[0, 1, 2]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_takes_no_more_until_it_is_told_to() {
    let cluster = Cluster::start(3, &["--quota-backend-bytes=2097152"]).await;
    let value = "v".repeat(100 << 10);
    let mut refused = None;
    for round in 0..40 {
        if let Err(error) = cluster.put(round % 3, "k", &value).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("it is full");
    assert_eq!(
        refused.message(),
        "etcdserver: mvcc: database space exceeded"
    );
    let error = cluster.put(0, "small", "").await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    cluster.get(1, "k").await.unwrap();
    let errors = cluster.status(1).await.errors;
    assert!(
        errors.iter().any(|error| error.ends_with("alarm:NOSPACE ")),
        "{errors:?}"
    );
    assert_eq!(
        cluster.get(0, "k").await.unwrap().len(),
        1,
        "reading goes on"
    );

    let revision = cluster.status(0).await.header.unwrap().revision;
    let compaction = pb::CompactionRequest {
        revision,
        physical: true,
    };
    cluster.members[0].kv().compact(compaction).await.unwrap();
    for member in &cluster.members {
        member
            .maintenance()
            .defragment(pb::DefragmentRequest {})
            .await
            .unwrap();
    }
    for alarm in cluster.members[0]
        .maintenance()
        .alarm(pb::AlarmRequest::default())
        .await
        .unwrap()
        .into_inner()
        .alarms
    {
        let disarm = pb::AlarmRequest {
            action: pb::alarm_request::AlarmAction::Deactivate.into(),
            member_id: alarm.member_id,
            alarm: alarm.alarm,
        };
        cluster.members[0]
            .maintenance()
            .alarm(disarm)
            .await
            .unwrap();
    }
    cluster.put(0, "small", "").await.unwrap();
    assert!(cluster.agree(&[0, 1, 2]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_sent_with_its_hash() {
    let cluster = Cluster::start(1, &[]).await;
    cluster.put(0, "a", &"v".repeat(100 << 10)).await.unwrap();
    let mut client = cluster.members[0].maintenance();
    let mut pieces = client
        .snapshot(pb::SnapshotRequest {})
        .await
        .unwrap()
        .into_inner();
    let mut all = Vec::new();
    let mut remaining = None;
    while let Some(piece) = pieces.next().await {
        let piece = piece.unwrap();
        assert!(piece.blob.len() <= 32 << 10);
        all.extend(piece.blob);
        remaining = Some(piece.remaining_bytes);
    }
    assert_eq!(remaining, Some(0));
    assert_eq!(all.len() % 512, 32);
    let (database, hash) = all.split_at(all.len() - 32);
    assert_eq!(Sha256::digest(database).as_slice(), hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_do_what_they_may() {
    let mut cluster = Cluster::start(3, &[]).await;
    cluster.add_users(&["root", "alice"]).await;
    let mut auth = cluster.members[0].auth();
    let permission = pb::AuthRoleGrantPermissionRequest {
        name: "alice".into(),
        perm: Some(api::pb::authpb::Permission {
            perm_type: api::pb::authpb::permission::Type::Readwrite.into(),
            key: b"a/".to_vec(),
            range_end: b"a0".to_vec(),
        }),
    };
    auth.role_grant_permission(permission).await.unwrap();
    auth.auth_enable(pb::AuthEnableRequest {}).await.unwrap();

    let error = cluster.put(1, "a/1", "").await.unwrap_err();
    assert_eq!(error.message(), "etcdserver: user name is empty");
    let log_in = |name: &str| pb::AuthenticateRequest {
        name: name.into(),
        password: "secret".into(),
    };
    let alice = auth
        .authenticate(log_in("alice"))
        .await
        .unwrap()
        .into_inner()
        .token;
    for at in 0..3 {
        let mut kv = cluster.members[at].kv();
        let own = with_token(&alice, put("a/1", "x"));
        kv.put(own).await.unwrap();
        let error = kv
            .put(with_token(&alice, put("b/1", "x")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
        let error = kv
            .range(with_token(&alice, range("b/1", 0)))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
        let error = kv
            .put(with_token("wrong.1", put("a/1", "x")))
            .await
            .unwrap_err();
        assert_eq!(error.message(), "etcdserver: invalid auth token");
        let admin = with_token(&alice, pb::DefragmentRequest {});
        let refused = cluster.members[at].maintenance().defragment(admin).await;
        let refused = refused.unwrap_err();
        assert!(refused.message().contains("permission denied"), "{refused}");
    }
    let follower = 1 + usize::from(cluster.leader().await == 1);
    cluster.kill(follower);
    cluster.run(follower, "new", &[]);
    let root = auth
        .authenticate(log_in("root"))
        .await
        .unwrap()
        .into_inner()
        .token;
    auth.auth_disable(with_token(&root, pb::AuthDisableRequest {}))
        .await
        .unwrap();
    cluster.ready(follower).await;
    assert!(cluster.agree(&[0, 1, 2]).await);
}

#[test]
fn wrong_flags_are_told_and_so_is_the_version() {
    let run = |args: &[&str]| {
        let binary = env!("CARGO_BIN_EXE_store-member");
        std::process::Command::new(binary)
            .args(args)
            .output()
            .unwrap()
    };
    let version = run(&["--version"]);
    assert!(version.status.success());
    let text = String::from_utf8(version.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("etcd Version: 3.5.16"));
    assert!(lines.next().unwrap().contains("gauntlet's embedded store"));
    for (args, said) in [
        (["--no-such-flag"], "--no-such-flag"),
        (["--bug=1"], "no such bug"),
        (["--election-timeout=200"], "at least as 5 times"),
    ] {
        let refused = run(&args);
        assert_eq!(refused.status.code(), Some(64), "{args:?}");
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains(said), "{told}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let refused = run(&[
        &format!("--data-dir={}", dir.path().display()),
        &format!(
            "--listen-client-urls=http://{}",
            taken.local_addr().unwrap()
        ),
    ]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("\"level\":\"fatal\""), "{told}");
}
