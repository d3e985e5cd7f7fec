//! Partitions of a real cluster.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use failpoints::fault::{Injected, inject};
use failpoints::network::{CLIENTS, DropConnections, Effect, Link, Loss, OnLinks, Slow, shapes};
use tokio::task::JoinSet;

use super::members::{Cluster, NAMES, Peers};

const HELD: Effect = Effect::Blackhole(Loss::Held);

async fn arm(cluster: &Cluster, effect: Effect, links: BTreeSet<Link>) -> Injected {
    let fault = OnLinks::new(cluster.proxies.clone(), effect, links);
    inject(Box::new(fault)).await.unwrap()
}

fn others(at: usize) -> Vec<&'static str> {
    let others = (0..3).filter(|other| *other != at);
    others.map(|other| NAMES[other]).collect()
}

/// Whether a put through this member stays without an answer for a while.
async fn fails(cluster: &Cluster, at: usize) -> bool {
    let answered = tokio::time::timeout(Duration::from_millis(700), cluster.put(at)).await;
    !answered.unwrap_or(false)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an etcd binary: ETCD=/path/to/etcd"]
async fn a_leader_that_nobody_hears_is_replaced_also_under_tls() {
    let cluster = Cluster::start(Peers::Proxied).await;
    for loss in [Loss::Held, Loss::Lost] {
        let old = cluster.wait_leader(0, |_| true).await;
        let (follower, names) = ((old + 1) % 3, others(old));
        let mute = shapes::one_way(&[NAMES[old]], &names);
        let armed = arm(&cluster, Effect::Blackhole(loss), mute.clone()).await;
        let stats = cluster.proxies.stats();
        cluster.wait_leader(follower, |leader| leader != old).await;
        cluster.wait_put(follower).await;
        let now = cluster.proxies.stats();
        for link in &mute {
            assert_eq!(now[link].bytes, stats[link].bytes, "{link} leaks");
        }
        // It hears of the new term, by streams that are open.
        let new = cluster.wait_leader(old, |leader| leader != old).await;
        let back = Link::new(NAMES[new], NAMES[old]);
        let heard = cluster.proxies.stats()[&back].bytes;
        assert!(heard > stats[&back].bytes, "{back} is silent");
        armed.heal().await.unwrap();
        cluster.converge().await;
    }
    assert!(
        cluster
            .proxies
            .stats()
            .keys()
            .all(|link| link.from.is_some())
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an etcd binary: ETCD=/path/to/etcd"]
async fn shapes_and_kinds_come_and_go_and_members_converge() {
    let cluster = Cluster::start(Peers::Proxied).await;
    let slow = Effect::Slow(Slow {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(20),
        seed: 1,
        bytes_per_second: Some(200_000),
    });
    for effect in [HELD, Effect::Blackhole(Loss::Lost), Effect::Reset] {
        let leader = cluster.wait_leader(0, |_| true).await;
        let (one, other) = ((leader + 1) % 3, (leader + 2) % 3);
        let away = arm(&cluster, effect, shapes::isolate(&NAMES, NAMES[leader])).await;
        let narrow = arm(&cluster, slow, shapes::between(&NAMES, &NAMES)).await;
        cluster.wait_leader(one, |now| now != leader).await;
        cluster.wait_put(other).await;
        assert!(fails(&cluster, leader).await, "a put without a quorum");
        away.heal().await.unwrap();
        cluster.converge().await;
        narrow.heal().await.unwrap();

        let bridge = shapes::bridge(&NAMES, NAMES[one]);
        let bridge = arm(&cluster, effect, bridge).await;
        cluster.wait_put(one).await;
        bridge.heal().await.unwrap();
        let ring = arm(&cluster, effect, shapes::ring(&NAMES)).await;
        ring.heal().await.unwrap();
        let all = shapes::between(&NAMES, &NAMES);
        let drop = DropConnections::new(cluster.proxies.clone(), all);
        inject(Box::new(drop)).await.unwrap().heal().await.unwrap();
        cluster.converge().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an etcd binary: ETCD=/path/to/etcd"]
async fn an_answer_that_is_held_from_clients_is_to_a_write_that_took_effect() {
    let cluster = Cluster::start(Peers::ProxiedClients).await;
    let links = shapes::one_way(&["m1"], &[CLIENTS]);
    let armed = arm(&cluster, HELD, links).await;
    assert!(fails(&cluster, 0).await, "an answer passed");
    assert!(cluster.put(1).await);
    armed.heal().await.unwrap();
    cluster.converge().await;
    let held = cluster.proxies.stats()[&Link::new("m1", CLIENTS)];
    assert!(held.held > 0 && held.bytes > 0, "{held:?}");
}

/// Puts a second of closed-loop writers.
async fn throughput(peers: Peers, time: Duration) -> f64 {
    let cluster = std::sync::Arc::new(Cluster::start(peers).await);
    let started = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..12 {
        let cluster = cluster.clone();
        writers.spawn(async move {
            let mut session = cluster.dial(writer % 3).await.unwrap();
            let mut puts = 0_u32;
            while started.elapsed() < time {
                assert!(session.put().await);
                puts += 1;
            }
            puts
        });
    }
    let puts: u32 = writers.join_all().await.iter().sum();
    f64::from(puts) / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an etcd binary: ETCD=/path/to/etcd"]
async fn throughput_through_the_proxies() {
    let time = std::env::var("SECONDS_A_ROUND").map_or(1.5, |text| text.parse().unwrap());
    let time = Duration::from_secs_f64(time);
    // What else runs meets one or the other: the best of three pairs counts. On an idle machine a
    // release build has 0.94.
    let mut best = 0.0_f64;
    for _ in 0..3 {
        let direct = throughput(Peers::Direct, time).await;
        let proxied = throughput(Peers::ProxiedClients, time).await;
        let ratio = proxied / direct;
        println!("puts/s: direct {direct:.0}, proxied {proxied:.0}, ratio {ratio:.3}");
        best = best.max(ratio);
    }
    assert!(best > 0.5, "the proxies halve the throughput: {best}");
}
