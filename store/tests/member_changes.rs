//! Members that come, are promoted and go; leadership that moves.
#![allow(clippy::unwrap_used)]

mod member_support;

use std::time::{Duration, Instant};

use api::pb::etcdserverpb as pb;
use member_support::Cluster;
use tonic::Code;

async fn add(cluster: &Cluster, new: usize, learner: bool) -> Result<u64, tonic::Status> {
    let request = pb::MemberAddRequest {
        peer_urls: vec![cluster.members[new].peer_url()],
        is_learner: learner,
    };
    let mut client = cluster.members[0].cluster();
    let added = client.member_add(request).await?.into_inner();
    Ok(added.member.unwrap().id)
}

/// A member that has not been connected for five seconds is not healthy enough for a change.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(5500)).await;
}

async fn promote(cluster: &Cluster, at: usize, id: u64) -> tonic::Status {
    let start = Instant::now();
    loop {
        let mut client = cluster.members[at].cluster();
        match client.member_promote(pb::MemberPromoteRequest { id }).await {
            Ok(_) => return tonic::Status::ok(""),
            Err(status) if !status.message().contains("in sync with leader") => return status,
            Err(status) => assert!(start.elapsed() < Duration::from_secs(10), "{status}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Adds a learner, promotes it and removes it again, with the leader asked and not.
async fn come_and_go(flags: &[&str], writes: usize) {
    let mut cluster = Cluster::start(3, flags).await;
    settle().await;
    for write in 0..writes {
        cluster
            .put(0, &format!("k{}", write % 5), "v")
            .await
            .unwrap();
    }
    let new = cluster.enlist();
    let id = add(&cluster, new, true).await.unwrap();
    let error = add(&cluster, new, true).await.unwrap_err();
    // In the second of the first one, the new id is the same, too.
    let refusals = [
        "etcdserver: Peer URLs already exists",
        "etcdserver: member ID already exist",
    ];
    assert!(refusals.contains(&error.message()), "{error}");
    let early = cluster.members[0].cluster();
    let early = early
        .clone()
        .member_promote(pb::MemberPromoteRequest { id })
        .await;
    assert_eq!(
        early.unwrap_err().message(),
        "etcdserver: can only promote a learner member which is in sync with leader"
    );
    cluster.run(new, "existing", &[]);
    let start = Instant::now();
    loop {
        let mut client = cluster.members[new].maintenance();
        let mut any = cluster.members[0].maintenance();
        let there = any.status(pb::StatusRequest {}).await.unwrap().into_inner();
        if let Ok(status) = client.status(pb::StatusRequest {}).await {
            let status = status.into_inner();
            if status.raft_applied_index >= there.raft_applied_index {
                assert!(status.is_learner);
                break;
            }
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{}",
            cluster.log(new)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = cluster.put(new, "a", "").await.unwrap_err();
    assert_eq!(error.message(), "etcdserver: rpc not supported for learner");
    let serializable = pb::RangeRequest {
        key: b"k1".to_vec(),
        serializable: true,
        ..Default::default()
    };
    let mut kv = cluster.members[new].kv();
    let read = kv.range(serializable).await.unwrap().into_inner();
    assert_eq!(read.kvs.len(), usize::from(writes > 1));

    // Whoever is asked asks the leader.
    let follower = (cluster.leader().await + 1) % 3;
    let status = promote(&cluster, follower, id).await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    cluster.put(new, "by the new one", "1").await.unwrap();
    let mut client = cluster.members[new].cluster();
    let list = client.member_list(pb::MemberListRequest { linearizable: true });
    let list = list.await.unwrap().into_inner().members;
    assert_eq!(list.len(), 4, "{list:?}");
    assert!(
        list.iter()
            .all(|member| !member.is_learner && !member.name.is_empty())
    );
    assert!(cluster.agree(&[0, 1, 2, new]).await);

    // It is a member after a restart as well, and none once it is removed.
    cluster.kill(new);
    cluster.run(new, "existing", &[]);
    cluster.ready(new).await;
    settle().await;
    let mut client = cluster.members[0].cluster();
    client
        .member_remove(pb::MemberRemoveRequest { id })
        .await
        .unwrap();
    let again = client.member_remove(pb::MemberRemoveRequest { id }).await;
    assert_eq!(again.unwrap_err().message(), "etcdserver: member not found");
    let ended = cluster.members[new].end().await;
    assert_eq!(ended.code(), Some(0));
    assert!(
        cluster
            .log(new)
            .contains("the member has been permanently removed from the cluster")
    );
    cluster.run(new, "existing", &[]);
    assert_eq!(
        cluster.members[new].end().await.code(),
        Some(0),
        "it does not come back"
    );
    cluster.put(0, "after", "1").await.unwrap();
    assert!(cluster.agree(&[0, 1, 2]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_reads_the_log_comes_and_goes() {
    come_and_go(&[], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_gets_a_snapshot_comes_and_goes() {
    let flags = [
        "--snapshot-count=10",
        "--experimental-snapshot-catchup-entries=5",
    ];
    come_and_go(&flags, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_is_protected() {
    let mut cluster = Cluster::start(3, &[]).await;
    settle().await;
    cluster.kill(2);
    let new = cluster.enlist();
    let error = add(&cluster, new, false).await.unwrap_err();
    assert_eq!(error.message(), "etcdserver: unhealthy cluster");
    let mut client = cluster.members[0].cluster();
    let me = cluster.status(1).await.header.unwrap().member_id;
    let error = client
        .member_remove(pb::MemberRemoveRequest { id: me })
        .await
        .unwrap_err();
    assert_eq!(error.message(), "etcdserver: unhealthy cluster");
    // One that is down may go, once the others have a leader.
    cluster.leader().await;
    let list = client.member_list(pb::MemberListRequest { linearizable: true });
    let list = list.await.unwrap().into_inner().members;
    let down = list.iter().find(|member| member.name == "m3").unwrap().id;
    client
        .member_remove(pb::MemberRemoveRequest { id: down })
        .await
        .unwrap();
    cluster.put(0, "a", "1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_when_asked_and_when_the_leader_is_told_to_end() {
    let mut cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    let to = (leader + 1) % 3;
    let target_id = cluster.status(to).await.header.unwrap().member_id;
    let request = pb::MoveLeaderRequest { target_id };
    let refused = cluster.members[to].maintenance().move_leader(request).await;
    assert_eq!(refused.unwrap_err().message(), "etcdserver: not leader");
    let nobody = pb::MoveLeaderRequest { target_id: 1 };
    let refused = cluster.members[leader]
        .maintenance()
        .move_leader(nobody)
        .await;
    assert_eq!(
        refused.unwrap_err().message(),
        "etcdserver: bad leader transferee"
    );
    cluster.members[leader]
        .maintenance()
        .move_leader(request)
        .await
        .unwrap();
    assert_eq!(cluster.leader().await, to);

    cluster.put(to, "a", "1").await.unwrap();
    let kill = std::process::Command::new("kill")
        .arg(cluster.members[to].pid().to_string())
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(cluster.members[to].end().await.code(), Some(0));
    cluster.put(leader, "b", "1").await.unwrap();
    cluster.restart(to).await;
    assert!(cluster.agree(&[0, 1, 2]).await);
}
