//! Faults of ordered links, armed and measured.

#![allow(dead_code)]

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use failpoints::fault::{Injected, inject};
use failpoints::network::{Effect, Link, LinkStats, Loss, OnLinks, shapes};
use tokio::time::{sleep, timeout};

use crate::support::Cluster;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing was said for this long, in milliseconds: silence.
pub(crate) const SILENCE: &str = "150";

pub(crate) fn one_way(from: &str, to: &str) -> BTreeSet<Link> {
    shapes::one_way(&[from], &[to])
}

pub(crate) fn stats(cluster: &Cluster, from: &str, to: &str) -> LinkStats {
    let all = cluster.proxies.stats();
    all.get(&Link::new(from, to)).copied().unwrap_or_default()
}

pub(crate) async fn arm(cluster: &Cluster, effect: Effect, links: BTreeSet<Link>) -> Injected {
    let fault = OnLinks::new(cluster.proxies.clone(), effect, links);
    inject(Box::new(fault)).await.unwrap()
}

pub(crate) const HELD: Effect = Effect::Blackhole(Loss::Held);
pub(crate) const LOST: Effect = Effect::Blackhole(Loss::Lost);

/// Waits for a condition that is bound to come.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect(what);
}

pub(crate) async fn wait_heard(cluster: &mut Cluster, name: &str, bytes: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let heard = cluster.peer(name).ask("heard").await;
        if heard == bytes.to_string() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{name} heard {heard}, not {bytes}"
        );
        sleep(Duration::from_millis(2)).await;
    }
}

/// a–b with a connection dialled from each side.
pub(crate) async fn pair() -> Cluster {
    let mut cluster = Cluster::start(&["a", "b"]).await;
    let [to_a, to_b] = ["a", "b"].map(|name| cluster.proxy_port(name));
    for (from, name, port) in [("a", "ab", to_b), ("b", "ba", to_a)] {
        assert_eq!(cluster.peer(from).dial(name, port).await, "ok");
        assert_eq!(cluster.peer(from).echo(name, "12345").await, "12345");
    }
    cluster
}
