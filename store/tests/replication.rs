//! Members on loopback agree on a list.

#[path = "replication/cluster.rs"]
mod cluster;

use cluster::{Cluster, Member, agree, eventually, leader, put, send_away};
use store::Error;
use store::replication::{ConfChange, Peer};

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

/// All files below a directory.
fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.path().is_dir() {
            copy_dir(&file.path(), &to);
        } else {
            std::fs::copy(file.path(), to).unwrap();
        }
    }
}

fn named(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|i| format!("v{i}")).collect()
}

async fn put_all(member: &Member, values: &[String]) {
    let all = values
        .iter()
        .map(|v| member.node.propose(v.clone().into_bytes()));
    for put in all.collect::<Vec<_>>() {
        put.await.unwrap();
    }
    let (list, last) = (member.list.clone(), values.last().unwrap().clone());
    eventually("all applied", || list.values().contains(&last)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_disks_has_all_that_was_answered() {
    let cluster = Cluster::new(3);
    let members = cluster.start_all().await;
    let at = leader(&members).await;
    let values = named(0..200);
    put_all(&members[at], &values).await;
    // As a power cut leaves them: while all run.
    let mut copy = Cluster::new(3);
    copy.peers = cluster.peers.clone();
    for peer in &cluster.peers {
        copy_dir(&cluster.data_dir(peer.id), &copy.data_dir(peer.id));
    }
    for member in &members {
        member.node.stop().await;
    }
    let members = copy.start_all().await;
    leader(&members).await;
    agree(&members, &values).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_catches_up_by_the_log() {
    let cluster = Cluster::new(3);
    let mut members = cluster.start_all().await;
    leader(&members).await;
    send_away(&mut members).await;
    let values = named(0..50);
    put_all(&members[0], &values).await;
    members.push(cluster.start(3).await);
    agree(&members, &values).await;
    assert_eq!(members[2].list.get(|a| a.snapshots), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_far_behind_gets_the_database() {
    let mut cluster = Cluster::new(3);
    (cluster.snapshot_count, cluster.catchup_entries) = (20, 5);
    let mut members = cluster.start_all().await;
    leader(&members).await;
    send_away(&mut members).await;
    let mut values = named(0..200);
    for values in values.chunks(25) {
        put_all(&members[0], values).await;
    }
    members.push(cluster.start(3).await);
    agree(&members, &values).await;
    assert_eq!(members[2].list.get(|a| a.snapshots), 1);
    // It goes on from there, also after a restart.
    put(&members[2], "more").await;
    values.push("more".into());
    let third = members.pop().unwrap();
    third.node.stop().await;
    members.push(cluster.start(3).await);
    agree(&members, &values).await;
    let snap = cluster.data_dir(3).join("member").join("snap");
    let left = std::fs::read_dir(snap).unwrap();
    let names = left.map(|f| f.unwrap().file_name().into_string().unwrap());
    let databases: Vec<_> = names.filter(|n| !n.ends_with(".snap")).collect();
    assert!(databases.is_empty(), "{databases:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_added_promoted_and_removed() {
    let mut cluster = Cluster::new(1);
    let mut members = vec![cluster.start(1).await];
    let mut values = named(0..10);
    put_all(&members[0], &values).await;
    let joins = cluster::peer(2, true);
    cluster.peers.push(joins.clone());
    let context = b"who".to_vec();
    let add = ConfChange::Add {
        peer: joins,
        context: context.clone(),
    };
    members[0]
        .node
        .propose_conf_change(add.clone())
        .await
        .unwrap();
    let mut options = cluster.options(2);
    options.join = true;
    members.push(cluster.start_with(options).await);
    agree(&members, &values).await;
    let changes = members[1].list.get(|a| a.changes.clone());
    // The first member is a change of its own.
    assert_eq!(changes[1..], [add]);
    put(&members[1], "from a learner").await;
    values.push("from a learner".into());

    let refused = ConfChange::Remove {
        id: 2,
        context: context.clone(),
    };
    for member in &members {
        member.list.get(|a| a.refuse = true);
    }
    members[0].node.propose_conf_change(refused).await.unwrap();
    for member in &members {
        eventually("refused", || member.list.get(|a| a.changes.len()) == 3).await;
        member.list.get(|a| a.refuse = false);
    }
    put(&members[1], "still there").await;
    values.push("still there".into());

    let promote = ConfChange::Promote { id: 2, context };
    members[0].node.propose_conf_change(promote).await.unwrap();
    for member in &members {
        eventually("promoted", || member.list.get(|a| a.changes.len()) == 4).await;
    }
    assert_eq!(members[0].node.progress().await.len(), 2);
    members[0].node.transfer_leadership(2).await.unwrap();
    put(&members[0], "from the other").await;
    values.push("from the other".into());
    let remove = ConfChange::Remove {
        id: 1,
        context: Vec::new(),
    };
    members[1].node.propose_conf_change(remove).await.unwrap();
    eventually("removed", || members[0].list.get(|a| a.changes.len()) == 5).await;
    put(&members[1], "alone").await;
    assert!(!members[0].list.values().contains(&"alone".to_owned()));
    values.push("alone".into());
    agree(&members[1..], &values).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_and_reads_go_on() {
    let cluster = Cluster::new(3);
    let members = cluster.start_all().await;
    let mut values = Vec::new();
    for round in 0..6 {
        let at = leader(&members).await;
        let to = (at + 1) % 3;
        members[at]
            .node
            .transfer_leadership(to as u64 + 1)
            .await
            .unwrap();
        leader(&members).await;
        let value = format!("round {round}");
        put(&members[(to + 1) % 3], &value).await;
        values.push(value);
        for member in &members {
            match member.node.read_index().await {
                Ok(index) => {
                    member.node.wait_applied(index).await;
                    assert_eq!(member.list.values(), values);
                }
                Err(error) => assert_eq!(error, Error::LeaderChanged),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_read_or_written() {
    let mut cluster = Cluster::new(3);
    cluster.election = std::time::Duration::from_millis(200);
    cluster.heartbeat = std::time::Duration::from_millis(20);
    let mut members = cluster.start_all().await;
    let at = leader(&members).await;
    let alone = members.remove(at);
    for member in &members {
        member.node.stop().await;
    }
    drop(members);
    assert_eq!(alone.node.read_index().await, Err(Error::Timeout));
    eventually("no leader", || alone.node.status().leader == 0).await;
    assert_eq!(alone.node.propose(b"x".to_vec()).await, Err(Error::Timeout));
    assert!(alone.list.values().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_answer_questions() {
    let cluster = Cluster::new(2);
    let members = cluster.start_all().await;
    leader(&members).await;
    for id in 1..=2 {
        assert_eq!(
            members[0]
                .node
                .ask(id, "echo", b"abc".to_vec())
                .await
                .unwrap(),
            b"cba"
        );
    }
    let error = members[0]
        .node
        .ask(2, "what", Vec::new())
        .await
        .unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unimplemented);
    let url = &cluster.peers[0].urls[0];
    let answer = store::replication::ask(url, None, "echo", b"abc".to_vec()).await;
    assert_eq!(answer.unwrap(), b"cba");
    assert!(members[0].node.active_since(2).is_some());
    members[1].node.stop().await;
    eventually("silent", || members[0].node.active_since(2).is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_moves_to_another_address() {
    let mut cluster = Cluster::new(3);
    let mut members = cluster.start_all().await;
    leader(&members).await;
    put(&members[0], "before").await;
    send_away(&mut members).await;
    let moved = Peer {
        urls: cluster::peer(3, false).urls,
        ..cluster.peers[2].clone()
    };
    let update = ConfChange::Update {
        peer: moved.clone(),
        context: b"moved".to_vec(),
    };
    members[0]
        .node
        .propose_conf_change(update.clone())
        .await
        .unwrap();
    let seen = |member: &Member| member.list.get(|a| a.changes.clone());
    eventually("heard of it", || {
        members.iter().all(|m| seen(m).last() == Some(&update))
    })
    .await;
    cluster.peers[2] = moved;
    members.push(cluster.start(3).await);
    put(&members[2], "after").await;
    agree(&members, &["before".to_owned(), "after".to_owned()]).await;
}
