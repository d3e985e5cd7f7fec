//! Slow links on real members, and many rounds of every effect.

#[path = "support/links.rs"]
mod links;
mod support;

use std::time::{Duration, Instant};

use failpoints::network::{Effect, Link, Slow, shapes};
use links::{HELD, LOST, arm, one_way, pair, stats, until};
use support::Cluster;
use tokio::time::sleep;

#[tokio::test]
async fn delay_shows_in_round_trips_within_its_bounds_and_keeps_the_order() {
    let mut cluster = pair().await;
    let slow = Slow {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(15),
        seed: 7,
        bytes_per_second: None,
    };
    let link = Link::new("a", "b");
    let armed = arm(&cluster, Effect::Slow(slow), one_way("a", "b")).await;
    let mut nearest = Duration::MAX;
    for number in 0..20 {
        let started = Instant::now();
        assert_eq!(cluster.peer("a").echo("ab", "x").await, "x");
        let expected = slow.wait(&link, number);
        let took = started.elapsed();
        assert!(took >= expected, "{number}: {took:?} before {expected:?}");
        nearest = nearest.min(took - expected);
    }
    assert!(
        nearest < Duration::from_millis(10),
        "always {nearest:?} late"
    );
    assert_eq!(stats(&cluster, "a", "b").slowed, 20);
    assert_eq!(stats(&cluster, "b", "a").slowed, 0);

    // Chunks that draw shorter waits do not overtake.
    let mut text = String::new();
    for number in 0..40 {
        text.push_str(&format!("{number}."));
        let order = format!("send ab {number}.");
        assert_eq!(cluster.peer("a").ask(&order).await, "ok");
    }
    let mut back = String::new();
    while back.len() < text.len() {
        back.push_str(&cluster.peer("a").ask("wait ab 5000").await);
    }
    assert_eq!(back, text);

    let other_way = Instant::now();
    armed.heal().await.unwrap();
    for _ in 0..20 {
        assert_eq!(cluster.peer("a").echo("ab", "y").await, "y");
    }
    let took = other_way.elapsed();
    assert!(took < 20 * slow.delay, "still slow: {took:?}");
}

#[tokio::test]
async fn a_narrow_link_carries_its_bandwidth_for_all_its_connections() {
    const RATE: u64 = 2_000_000;
    const EACH: u64 = 1_000_000;
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    let to_b = cluster.proxy_port("b");
    let to_a = cluster.proxy_port("a");
    cluster.peer("a").dial("ab", to_b).await;
    cluster.peer("b").dial("ba", to_a).await;
    cluster.peer("c").dial("cb", to_b).await;
    let slow = Effect::Slow(Slow {
        bytes_per_second: Some(RATE),
        ..Slow::default()
    });
    let armed = arm(&cluster, slow, one_way("a", "b")).await;
    let expected = Duration::from_secs_f64((2 * EACH) as f64 / RATE as f64);
    let mut nearest = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        // On ba it is the echo that goes from a to b.
        cluster.peer("a").say(&format!("flood ab {EACH}")).await;
        cluster.peer("b").say(&format!("flood ba {EACH}")).await;
        assert_eq!(cluster.peer("a").hear().await, "flooded");
        assert_eq!(cluster.peer("b").hear().await, "flooded");
        let took = started.elapsed();
        assert!(took >= expected.mul_f64(0.8), "too fast: {took:?}");
        nearest = nearest.min(took);
    }
    assert!(nearest <= expected.mul_f64(1.2), "too slow: {nearest:?}");
    let started = Instant::now();
    cluster.peer("c").ask(&format!("flood cb {EACH}")).await;
    assert!(started.elapsed() < expected / 2, "another link is slow too");
    armed.heal().await.unwrap();
    let started = Instant::now();
    cluster.peer("a").ask(&format!("flood ab {EACH}")).await;
    assert!(started.elapsed() < expected / 2, "not healed");
}

#[tokio::test]
async fn two_hundred_rounds_under_traffic_leave_nothing_behind() {
    let mut cluster = pair().await;
    let to_b = cluster.proxy_port("b");
    let effects = [
        HELD,
        LOST,
        Effect::Reset,
        Effect::Slow(Slow {
            jitter: Duration::from_millis(2),
            bytes_per_second: Some(10_000_000),
            ..Slow::default()
        }),
    ];
    for round in 0..200_usize {
        let name = format!("r{round}");
        assert_eq!(cluster.peer("a").dial(&name, to_b).await, "ok");
        assert_eq!(cluster.peer("a").echo(&name, "x").await, "x");
        let flood = format!("flood {name} 1000000");
        cluster.peer("a").say(&flood).await;
        let links = match round % 3 {
            0 => one_way("a", "b"),
            1 => one_way("b", "a"),
            _ => shapes::between(&["a"], &["b"]),
        };
        let armed = arm(&cluster, effects[round % 4], links.clone()).await;
        let other = arm(&cluster, effects[round / 4 % 4], links).await;
        sleep(Duration::from_millis(1 + round as u64 % 3)).await;
        armed.heal().await.unwrap();
        other.heal().await.unwrap();
        // Healed: it ends, well or by a reset, and soon.
        let ended = cluster.peer("a").hear().await;
        assert!(ended == "flooded" || ended.starts_with("error"), "{ended}");
        cluster.peer("a").ask(&format!("hang_up {name}")).await;
    }
    assert_eq!(cluster.peer("a").dial("last", to_b).await, "ok");
    assert_eq!(cluster.peer("a").ask("flood last 5000000").await, "flooded");
    assert_eq!(cluster.peer("a").ask("hang_up last").await, "ok");
    let all = stats(&cluster, "a", "b");
    assert_eq!(all.accepted, 1 + 200 + 1);
    assert!(all.held > 0 && all.lost > 0, "{all:?}");
    assert!(all.reset > 0 && all.slowed > 0, "{all:?}");
    let tasks = tokio::runtime::Handle::current().metrics();
    until("only listeners and ab, ba are left", async || {
        tasks.num_alive_tasks() <= 4
    })
    .await;
}
