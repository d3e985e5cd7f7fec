//! Bugs planted in the server: each shows with its flag, and not without.
#![allow(clippy::unwrap_used)]

mod member_support;

use std::time::Duration;

use api::pb::etcdserverpb as pb;
use api::pb::etcdserverpb::request_op::Request as Op;
use member_support::Cluster;

/// Puts while an earlier put's pair is pending, and kills the member between the second put's index
/// and its data. Gives what is there after a restart.
async fn killed_between_index_and_data(flags: &[&str]) -> Vec<String> {
    let mut cluster = Cluster::start(1, flags).await;
    cluster.put(0, "a", "first").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.members[0].failpoint("applyBeforeData", "sleep(2000)");
    let put = |key: &str| pb::PutRequest {
        key: key.into(),
        value: key.into(),
        ..Default::default()
    };
    let (mut kv, mut other) = (cluster.members[0].kv(), cluster.members[0].kv());
    let (one, two) = (put("b"), put("c"));
    let second = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        other.put(two).await
    });
    kv.put(one).await.unwrap();
    // The first's pair is committed, by the timer, while the second waits.
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.kill(0);
    second.await.unwrap().unwrap_err();
    cluster.restart(0).await;
    cluster.get(0, "").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_13766_loses_an_entry_in_a_crash() {
    assert_eq!(
        killed_between_index_and_data(&[]).await,
        ["first", "b", "c"]
    );
    let planted = killed_between_index_and_data(&["--bug=13766"]).await;
    assert_eq!(planted, ["first", "b"]);
}

/// Asks one of three for a put together with a read that is compacted. Gives whether they agree.
async fn put_and_compacted_read(flags: &[&str]) -> bool {
    let cluster = Cluster::start(3, flags).await;
    for value in ["1", "2", "3"] {
        cluster.put(0, "a", value).await.unwrap();
    }
    let compaction = pb::CompactionRequest {
        revision: 4,
        physical: true,
    };
    cluster.members[0].kv().compact(compaction).await.unwrap();
    let op = |request| pb::RequestOp {
        request: Some(request),
    };
    let txn = pb::TxnRequest {
        success: vec![
            op(Op::RequestPut(pb::PutRequest {
                key: b"b".to_vec(),
                ..Default::default()
            })),
            op(Op::RequestRange(pb::RangeRequest {
                key: b"a".to_vec(),
                revision: 2,
                ..Default::default()
            })),
        ],
        ..Default::default()
    };
    let error = cluster.members[0].kv().txn(txn).await.unwrap_err();
    assert_eq!(
        error.message(),
        "etcdserver: mvcc: required revision has been compacted"
    );
    cluster.agree(&[0, 1, 2]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_18667_makes_members_differ() {
    assert!(put_and_compacted_read(&[]).await);
    assert!(!put_and_compacted_read(&["--bug=18667"]).await);
}

/// Two puts at once, the first applied while the second is on its way. Gives what the second says
/// was there before it.
async fn previous_of_the_second(flags: &[&str]) -> Vec<u8> {
    let cluster = Cluster::start(1, flags).await;
    cluster.put(0, "a", "0").await.unwrap();
    cluster.members[0].failpoint("applyBeforeData", "sleep(1500)");
    let put = |value: &str| pb::PutRequest {
        key: b"a".to_vec(),
        value: value.into(),
        prev_kv: true,
        ..Default::default()
    };
    let (mut kv, mut other) = (cluster.members[0].kv(), cluster.members[0].kv());
    let (_, second) = tokio::join!(kv.put(put("1")), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.put(put("2")).await
    });
    second.unwrap().into_inner().prev_kv.unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_prev_kv_is_that_of_the_proposal() {
    assert_eq!(previous_of_the_second(&[]).await, b"1");
    assert_eq!(previous_of_the_second(&["--bug=prev-kv"]).await, b"0");
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_bugs_are_announced() {
    let cluster = Cluster::start(1, &["--bug=14685", "--bug", "prev-kv"]).await;
    assert_eq!(
        cluster.status(0).await.errors,
        [
            "planted bug #14685: a defragmentation commits without the consistent index",
            "planted bug #prev-kv: a put answers with the previous value as it was when the put was proposed",
        ]
    );
    assert!(cluster.log(0).contains("\"msg\":\"embedded store\""));
    assert!(
        Cluster::start(1, &[])
            .await
            .status(0)
            .await
            .errors
            .is_empty()
    );
}
