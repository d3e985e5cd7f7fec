//! Members on loopback agree on a list.

#[path = "replication/cluster.rs"]
mod cluster;

use cluster::{Cluster, Member, agree, eventually, leader, put};
use store::Error;
use store::bugs::{Bug, Bugs};
use store::replication::ConfChange;

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
    let away = members.pop().unwrap();
    away.node.stop().await;
    let values = named(0..50);
    eventually("a leader among two", || {
        members[0].node.status().leader != 0
    })
    .await;
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
    let away = members.pop().unwrap();
    away.node.stop().await;
    drop(away);
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
    assert_eq!(members[1].list.get(|a| a.changes.clone()), [add]);
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
        eventually("refused", || member.list.get(|a| a.changes.len()) == 2).await;
        member.list.get(|a| a.refuse = false);
    }
    put(&members[1], "still there").await;
    values.push("still there".into());

    let promote = ConfChange::Promote { id: 2, context };
    members[0].node.propose_conf_change(promote).await.unwrap();
    for member in &members {
        eventually("promoted", || member.list.get(|a| a.changes.len()) == 3).await;
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
    eventually("removed", || members[0].list.get(|a| a.changes.len()) == 4).await;
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
async fn strangers_and_garbage_are_refused() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let cluster = Cluster::new(1);
    let member = cluster.start(1).await;
    let address = cluster::address(&cluster.peers[0]);
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxx",
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), read).await;
    }
    // A member of another cluster that believes this one is its peer.
    let mut other = Cluster::new(2);
    other.peers[0] = cluster.peers[0].clone();
    let mut options = other.options(2);
    options.cluster_id = 78;
    let stranger = other.start_with(options).await;
    tokio::time::sleep(cluster.election * 2).await;
    assert_eq!(stranger.node.status().leader, 0);
    assert_eq!(stranger.node.active_since(1), None);
    put(&member, "fine").await;
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

/// `cargo test --release -p gauntlet-store --test replication -- --ignored --nocapture measured`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measured() {
    let cluster = Cluster::new(3);
    let members = cluster.start_all().await;
    let at = leader(&members).await;
    for clients in [1, 64, 256] {
        let begin = std::time::Instant::now();
        let mut tasks = Vec::new();
        let each = if clients == 1 { 500 } else { 100 };
        for client in 0..clients {
            let (node, list) = (members[at].node.clone(), members[at].list.clone());
            tasks.push(tokio::spawn(async move {
                for i in 0..each {
                    let value = format!("{clients}-{client}-{i}-{}", "x".repeat(200));
                    let applied = list.wait(value.clone());
                    node.propose(value.into_bytes()).await.unwrap();
                    applied.await.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let took = begin.elapsed();
        let puts = clients * each;
        println!(
            "{clients} clients: {puts} puts in {took:?}, {:.0}/s",
            puts as f64 / took.as_secs_f64()
        );
        let begin = std::time::Instant::now();
        for _ in 0..100 {
            members[at].node.read_index().await.unwrap();
        }
        println!("a read index: {:?}", begin.elapsed() / 100);
    }
    let mut file = std::fs::File::create(cluster.dir.path().join("sync")).unwrap();
    let begin = std::time::Instant::now();
    for _ in 0..200 {
        std::io::Write::write_all(&mut file, &[1; 300]).unwrap();
        file.sync_data().unwrap();
    }
    println!("an fdatasync: {:?}", begin.elapsed() / 200);
}

/// A leader whose fellow voters have just gone, with a learner that is still there.
async fn deserted(bugs: Bugs) -> (Cluster, Member, Member) {
    let mut cluster = Cluster::new(3);
    cluster.bugs = bugs;
    let mut members = cluster.start_all().await;
    let at = leader(&members).await;
    let learner = cluster::peer(4, true);
    cluster.peers.push(learner.clone());
    let add = ConfChange::Add {
        peer: learner,
        context: Vec::new(),
    };
    members[at].node.propose_conf_change(add).await.unwrap();
    let mut options = cluster.options(4);
    options.join = true;
    let learner = cluster.start_with(options).await;
    put(&members[at], "before").await;
    let list = learner.list.clone();
    eventually("the learner is there", || list.values() == ["before"]).await;
    let alone = members.remove(at);
    let stops = members.iter().map(|member| member.node.stop());
    for stop in stops {
        stop.await;
    }
    (cluster, alone, learner)
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_learner_votes_commits_what_no_other_voter_has() {
    for (bugs, commits) in [
        (Bugs::default(), false),
        (Bugs::default().with(Bug::LearnerVotes), true),
    ] {
        let (_cluster, alone, _learner) = deserted(bugs).await;
        alone.node.propose(b"after".to_vec()).await.unwrap();
        let applied = alone.list.wait("after".into());
        let applied = tokio::time::timeout(std::time::Duration::from_secs(1), applied).await;
        let there = alone.list.values().contains(&"after".to_owned());
        assert_eq!(applied.is_ok_and(|a| a.is_ok()) || there, commits);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_deposed_read_asks_nobody() {
    for (bugs, reads) in [
        (Bugs::default(), false),
        (Bugs::default().with(Bug::DeposedRead), true),
    ] {
        let (_cluster, alone, _learner) = deserted(bugs).await;
        let read = alone.node.read_index();
        let read = tokio::time::timeout(std::time::Duration::from_secs(1), read).await;
        assert_eq!(read.is_ok_and(|read| read.is_ok()), reads);
    }
}

/// Lets bytes through to a member, unless it is mute.
async fn proxy(to: std::net::SocketAddr, mute: tokio::sync::watch::Receiver<bool>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = tokio::net::TcpStream::connect(to).await else {
                continue;
            };
            let (client, server) = (client.into_split(), server.into_split());
            for (mut from, mut to) in [(client.0, server.1), (server.0, client.1)] {
                let mut mute = mute.clone();
                tokio::spawn(async move {
                    let mut bytes = vec![0; 64 * 1024];
                    while let Ok(length @ 1..) = from.read(&mut bytes).await {
                        mute.wait_for(|mute| !mute).await.unwrap();
                        if to.write_all(&bytes[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_mute_works_again_within_a_second() {
    let mut cluster = Cluster::new(3);
    let listens: Vec<_> = cluster.peers.iter().map(cluster::address).collect();
    let mutes: Vec<_> = (0..3)
        .map(|_| tokio::sync::watch::Sender::new(false))
        .collect();
    for (at, peer) in cluster.peers.iter_mut().enumerate() {
        peer.urls = vec![proxy(listens[at], mutes[at].subscribe()).await];
    }
    let mut members = Vec::new();
    for (at, listen) in listens.iter().enumerate() {
        let mut options = cluster.options(at as u64 + 1);
        options.listen = vec![*listen];
        members.push(cluster.start_with(options).await);
    }
    let at = leader(&members).await;
    let cut = (at + 1) % 3;
    let mut values = Vec::new();
    for seconds in [1, 3] {
        mutes[cut].send_replace(true);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let value = format!("after {seconds} s");
        put(&members[at], &value).await;
        values.push(value);
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
        assert_ne!(members[cut].list.values(), values);
        mutes[cut].send_replace(false);
        let healed = std::time::Instant::now();
        agree(&members, &values).await;
        let took = healed.elapsed();
        println!("works again after {took:?}");
        assert!(took < std::time::Duration::from_millis(2000), "{took:?}");
    }
}
