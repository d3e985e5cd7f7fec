//! Members on loopback agree on a list.

#[path = "replication/cluster.rs"]
mod cluster;

use cluster::{Cluster, agree, leader, put};

#[tokio::test(flavor = "multi_thread")]
async fn three_members_agree() {
    let cluster = Cluster::new(3);
    let begin = std::time::Instant::now();
    let members = cluster.start_all().await;
    leader(&members).await;
    eprintln!("first leader after {:?}", begin.elapsed());
    let mut values = Vec::new();
    for i in 0..30 {
        let value = format!("v{i}");
        put(&members[i % 3], &value).await;
        values.push(value);
        let member = &members[(i + 1) % 3];
        let index = member.node.read_index().await.unwrap();
        member.node.wait_applied(index).await;
        assert_eq!(member.list.values(), values);
    }
    agree(&members, &values).await;
    for member in &members {
        member.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_member_leads_at_once_and_keeps_what_it_answered() {
    let cluster = Cluster::new(1);
    let begin = std::time::Instant::now();
    let member = cluster.start(1).await;
    leader(std::slice::from_ref(&member)).await;
    assert!(begin.elapsed() < cluster.election, "{:?}", begin.elapsed());
    put(&member, "a").await;
    // Dropped, not stopped.
    drop(member);
    tokio::time::sleep(cluster.heartbeat * 3).await;
    let member = cluster.start(1).await;
    put(&member, "b").await;
    assert_eq!(member.list.values(), ["a", "b"]);
}
