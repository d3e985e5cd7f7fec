//! Users as clients of a cluster see them where one member is behind.
#![allow(clippy::unwrap_used)]

mod member_support;

use std::time::{Duration, Instant};

use api::pb::etcdserverpb as pb;
use member_support::{Cluster, with_token};

/// With auth on, and root's password known.
async fn cluster_with_root() -> Cluster {
    let cluster = Cluster::start(3, &[]).await;
    cluster.add_users(&["root"]).await;
    let mut auth = cluster.members[0].auth();
    auth.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    cluster
}

async fn token(cluster: &Cluster, at: usize) -> String {
    let log_in = pb::AuthenticateRequest {
        name: "root".into(),
        password: "secret".into(),
    };
    let answer = cluster.members[at].auth().authenticate(log_in).await;
    answer.unwrap().into_inner().token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_waited_for_by_a_member_that_is_behind() {
    let cluster = cluster_with_root().await;
    let leader = cluster.leader().await;
    let behind = (leader + 1) % 3;
    let first = token(&cluster, leader).await;
    let own = pb::RangeRequest {
        key: b"k".to_vec(),
        serializable: true,
        ..Default::default()
    };
    let mut kv = cluster.members[behind].kv();
    // It has applied that auth is on.
    let linearizable = pb::RangeRequest {
        serializable: false,
        ..own.clone()
    };
    kv.range(with_token(&first, linearizable)).await.unwrap();

    let held = Duration::from_secs(2);
    cluster.members[behind].failpoint("applyBeforeData", "sleep(2000)");
    let put = pb::PutRequest {
        key: b"k".to_vec(),
        value: b"v".to_vec(),
        ..Default::default()
    };
    let began = Instant::now();
    let mut elsewhere = cluster.members[leader].kv();
    elsewhere.put(with_token(&first, put)).await.unwrap();
    let second = token(&cluster, leader).await;
    let shown = began.elapsed();
    let answer = kv.range(with_token(&second, own)).await.unwrap();
    assert_eq!(answer.into_inner().kvs.len(), 1, "it was behind the put");
    // On a machine so busy that the hold was over before, nothing is shown.
    assert!(shown > held || began.elapsed() >= held, "it was not behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_no_entry_is_refused_in_the_end() {
    let cluster = cluster_with_root().await;
    let own = pb::RangeRequest {
        key: b"k".to_vec(),
        serializable: true,
        ..Default::default()
    };
    let mut kv = cluster.members[0].kv();
    for wrong in ["nonsense", "random.1", "random.999999999"] {
        let refused = kv.range(with_token(wrong, own.clone())).await.unwrap_err();
        assert_eq!(refused.message(), "etcdserver: invalid auth token");
    }
}
