//! What members do to each other when links fail, strangers come or a bug is on; and how fast they are.

#[path = "replication/cluster.rs"]
mod cluster;

use cluster::{Cluster, Member, agree, eventually, leader, put};
use store::bugs::{Bug, Bugs};
use store::replication::{ConfChange, PeerTls};

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

/// A certificate authority and a certificate for 127.0.0.1 by it.
fn certificates() -> PeerTls {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap();
    PeerTls {
        cert: cert.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
        ca: ca_cert.pem().into_bytes(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_talk_over_tls_and_not_without() {
    let mut cluster = Cluster::new(3);
    let listens: Vec<_> = cluster.peers.iter().map(cluster::address).collect();
    for peer in &mut cluster.peers {
        peer.urls = vec![peer.urls[0].replace("http:", "https:")];
    }
    let (tls, others) = (certificates(), certificates());
    let mut members = Vec::new();
    for (at, listen) in listens.iter().enumerate() {
        let mut options = cluster.options(at as u64 + 1);
        options.listen = vec![*listen];
        // The third is of another authority.
        options.tls = Some(if at < 2 { tls.clone() } else { others.clone() });
        members.push(cluster.start_with(options).await);
    }
    leader(&members[..2]).await;
    put(&members[0], "secret").await;
    agree(&members[..2], &["secret".to_owned()]).await;
    assert_eq!(members[2].node.status().leader, 0);
    assert!(members[2].list.values().is_empty());
    let url = &cluster.peers[0].urls[0];
    let answer = store::replication::ask(url, Some(&tls), "echo", b"ab".to_vec()).await;
    assert_eq!(answer.unwrap(), b"ba");
    assert!(
        store::replication::ask(url, Some(&others), "echo", Vec::new())
            .await
            .is_err()
    );
}

/// `cargo test --release -p gauntlet-store --test replication_faults -- --ignored --nocapture measured`
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
