//! Watches of members as processes, in a cluster.
#![allow(clippy::unwrap_used)]

mod member_support;
#[allow(dead_code)]
#[path = "watch/serving.rs"]
mod serving;
#[allow(dead_code)]
#[path = "watch/support.rs"]
mod support;

use std::process::Command;
use std::time::Duration;

use api::pb::authpb::{Permission, permission::Type};
use api::pb::etcdserverpb as pb;
use member_support::Cluster;
use serving::{Client, create, create_all, revision};
use support::revisions_of;
use tonic::Code;

async fn watch(
    cluster: &Cluster,
    at: usize,
    create: pb::WatchCreateRequest,
    metadata: &[(&'static str, &str)],
) -> (Client, pb::WatchResponse) {
    let url = cluster.members[at].client_url();
    let mut client = Client::open(url, metadata).await.unwrap();
    let answer = client.create(create).await;
    (client, answer)
}

/// Revisions of events, up to this one.
async fn hear(client: &mut Client, last: i64) -> Vec<i64> {
    let mut heard = Vec::new();
    while heard.last() < Some(&last) {
        heard.extend(revisions_of(&client.next().await.events));
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_tell_the_same_history_over_a_change_of_leader() {
    let mut cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    let mut watches = Vec::new();
    for at in followers {
        watches.push(watch(&cluster, at, create_all(2), &[]).await.0);
    }
    for number in 0..50 {
        let at = followers[number % 2];
        put(&cluster, at).await;
    }
    cluster.kill(leader);
    let last = put(&cluster, followers[0]).await;
    for client in &mut watches {
        let mut heard = hear(client, last).await;
        client.progress().await;
        let progress = loop {
            let response = client.next().await;
            if response.watch_id == -1 {
                break revision(&response);
            }
            heard.extend(revisions_of(&response.events));
        };
        assert_eq!(heard, (2..=progress).collect::<Vec<_>>());
    }
}

/// Puts until it succeeds: a busy machine may change leaders. Gives the revision.
async fn put(cluster: &Cluster, at: usize) -> i64 {
    loop {
        match cluster.put(at, "a", "x").await {
            Ok(rev) => return rev,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What two watches of a follower hear that stands still until only a snapshot can bring it up: one
/// of all revisions, and one that starts later than the snapshot. Gives both, and the first and the
/// last revision that each should hear.
async fn over_a_snapshot(flags: &[&str]) -> [(Vec<i64>, i64, i64); 2] {
    let base = [
        "--snapshot-count=10",
        "--experimental-snapshot-catchup-entries=1",
    ];
    let cluster = Cluster::start(3, &[&base[..], flags].concat()).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    put(&cluster, leader).await;
    let (mut now, _) = watch(&cluster, follower, create_all(0), &[]).await;
    let before = put(&cluster, leader).await;
    assert_eq!(hear(&mut now, before).await.last(), Some(&before));
    const MANY: i64 = 700;
    let start = before + MANY + 30;
    let (mut later, _) = watch(&cluster, follower, create_all(start), &[]).await;

    let signal = |name: &str| {
        let pid = cluster.members[follower].pid().to_string();
        let done = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(done.success());
    };
    signal("-STOP");
    let value = "v".repeat(16 << 10);
    let kv = cluster.members[leader].kv();
    let writers = (0..10).map(|writer| {
        let (mut kv, value) = (kv.clone(), value.clone());
        tokio::spawn(async move {
            for _ in 0..MANY / 10 {
                let put = pb::PutRequest {
                    key: format!("k{writer}").into(),
                    value: value.clone().into(),
                    ..Default::default()
                };
                while kv.put(put.clone()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    // Until its peers take the connection for dead, and what is in flight with it.
    tokio::time::sleep(Duration::from_secs(4)).await;
    signal("-CONT");
    let mut heard = vec![before];
    heard.extend(hear(&mut now, before + MANY).await);
    assert!(cluster.log(follower).contains("\"applied snapshot\""));
    let mut last = 0;
    while last <= start {
        last = put(&cluster, leader).await;
    }
    while heard.last() < Some(&last) {
        heard.extend(revisions_of(&now.next().await.events));
    }
    let late = hear(&mut later, last).await;
    [(heard, before, last), (late, start, last)]
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_outlive_a_snapshot() {
    for (heard, first, last) in over_a_snapshot(&[]).await {
        assert_eq!(heard, (first..=last).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_15271_and_20221_show_over_a_snapshot() {
    let [(heard, first, _), _] = over_a_snapshot(&["--bug=15271"]).await;
    assert_eq!(heard.iter().filter(|rev| **rev == first).count(), 2);
    let [_, (late, start, _)] = over_a_snapshot(&["--bug=20221"]).await;
    assert!(late[0] < start, "{late:?} from {start}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_requires_a_leader_ends_without_quorum() {
    let mut cluster = Cluster::start(3, &[]).await;
    let (mut plain, _) = watch(&cluster, 0, create_all(0), &[]).await;
    let (mut strict, _) = watch(&cluster, 0, create_all(0), &[("hasleader", "true")]).await;
    cluster.kill(1);
    cluster.kill(2);
    let end = strict.end().await;
    assert_eq!(
        (end.code(), end.message()),
        (Code::Unavailable, "etcdserver: no leader")
    );
    plain.nothing().await;
    cluster.run(1, "new", &[]);
    cluster.ready(1).await;
    let last = put(&cluster, 0).await;
    assert_eq!(hear(&mut plain, last).await, (2..=last).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_watches_what_he_may_read() {
    let cluster = Cluster::start(1, &[]).await;
    cluster.add_users(&["root", "alice"]).await;
    let mut auth = cluster.members[0].auth();
    let permission = pb::AuthRoleGrantPermissionRequest {
        name: "alice".into(),
        perm: Some(Permission {
            perm_type: Type::Read.into(),
            key: b"a".to_vec(),
            range_end: b"b".to_vec(),
        }),
    };
    auth.role_grant_permission(permission).await.unwrap();
    auth.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    let alice = pb::AuthenticateRequest {
        name: "alice".into(),
        password: "secret".into(),
    };
    let token = auth.authenticate(alice).await.unwrap().into_inner().token;

    let refusals = [
        (
            vec![("token", token.as_str())],
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
        ),
        (
            vec![("token", "nonsense.1")],
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
        ),
        (
            vec![],
            "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
        ),
    ];
    for (metadata, reason) in refusals {
        let (_, refused) = watch(&cluster, 0, create_all(0), &metadata).await;
        assert!(refused.created && refused.canceled);
        assert_eq!(
            (refused.watch_id, refused.cancel_reason.as_str()),
            (-1, reason)
        );
    }
    let mut own = create("a");
    own.range_end = b"b".to_vec();
    let (_, allowed) = watch(&cluster, 0, own, &[("token", &token)]).await;
    assert!(allowed.created && !allowed.canceled, "{allowed:?}");
}
