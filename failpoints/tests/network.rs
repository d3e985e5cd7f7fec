//! Real members (processes that dial and echo) behind real proxies.

mod support;

use std::time::{Duration, Instant};

use failpoints::network::{Link, LinkStats, NetworkError, PeerProxies};
use support::{Cluster, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn link(from: &str, to: &str) -> Link {
    Link {
        from: Some(from.into()),
        to: Some(to.into()),
    }
}

fn stats(proxies: &PeerProxies, from: &str, to: &str) -> LinkStats {
    let all = proxies.stats();
    all.get(&link(from, to)).copied().unwrap_or_default()
}

/// Either way of learning that a connection was reset; an end (`read 0`) or an
/// echo would be wrong.
fn assert_reset(answer: &str) {
    let reset = ["error ConnectionReset", "error BrokenPipe"];
    assert!(reset.contains(&answer), "not reset, but: {answer}");
}

/// Dials and expects the reset, wherever in the handshake it shows.
async fn assert_refused(peer: &mut Peer, port: u16) {
    if peer.dial("refused", port).await == "ok" {
        assert_reset(&peer.ask("read refused").await);
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_and_count_for_who_dialled() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    let to_b = cluster.proxy_port("b");
    for (name, text) in [("a", "hello"), ("c", "good-day")] {
        let peer = cluster.peer(name);
        assert_eq!(peer.dial("x", to_b).await, "ok");
        assert_eq!(peer.echo("x", text).await, text);
    }
    let proxies = &cluster.proxies;
    for (name, bytes) in [("a", 5), ("c", 8)] {
        let there = stats(proxies, name, "b");
        assert_eq!((there.accepted, there.bytes), (1, bytes), "{name}");
        let back = stats(proxies, "b", name);
        assert_eq!((back.accepted, back.bytes), (0, bytes), "{name}");
    }
    assert!(proxies.stats().keys().all(|link| link.from.is_some()));
}

#[tokio::test]
async fn a_half_closed_connection_delivers_the_rest() {
    let mut cluster = Cluster::start(&["a", "b"]).await;
    let to_b = cluster.proxy_port("b");
    let peer = cluster.peer("a");
    peer.dial("x", to_b).await;
    // Far more than every buffer on the way.
    assert_eq!(peer.ask("drain x 50000000").await, "drained 50000000");
    assert_eq!(stats(&cluster.proxies, "b", "a").bytes, 50_000_000);
}

#[tokio::test]
async fn a_cut_member_loses_both_directions_and_nobody_else() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    let [to_a, to_b, to_c] = ["a", "b", "c"].map(|name| cluster.proxy_port(name));
    for (from, name, port) in [
        ("a", "ab", to_b),
        ("b", "ba", to_a),
        ("b", "bc", to_c),
        ("c", "cb", to_b),
        ("a", "ac", to_c),
        ("c", "ca", to_a),
    ] {
        assert_eq!(cluster.peer(from).dial(name, port).await, "ok");
        assert_eq!(cluster.peer(from).echo(name, "before").await, "before");
    }

    let started = Instant::now();
    cluster.proxies.cut("b").await.unwrap();
    for (from, name) in [("a", "ab"), ("b", "ba"), ("b", "bc"), ("c", "cb")] {
        assert_reset(&cluster.peer(from).ask(&format!("read {name}")).await);
    }
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert_eq!(stats(&cluster.proxies, "b", "a").reset, 1);
    assert_eq!(stats(&cluster.proxies, "c", "b").reset, 1);
    for (from, name) in [("a", "ac"), ("c", "ca")] {
        assert_eq!(cluster.peer(from).echo(name, "during").await, "during");
    }

    let carried = stats(&cluster.proxies, "b", "c").accepted;
    assert_refused(cluster.peer("a"), to_b).await;
    assert_refused(cluster.peer("b"), to_a).await;
    assert_refused(cluster.peer("b"), to_c).await;
    assert_eq!(stats(&cluster.proxies, "b", "c").accepted, carried);
    assert_eq!(stats(&cluster.proxies, "b", "c").refused, 1);
    let unseen = Link {
        from: None,
        to: Some("b".into()),
    };
    assert_eq!(cluster.proxies.stats()[&unseen].refused, 1);
    assert_eq!(cluster.peer("a").dial("new", to_c).await, "ok");
    assert_eq!(cluster.peer("a").echo("new", "during").await, "during");

    cluster.proxies.heal("b");
    for (from, port) in [("a", to_b), ("b", to_a), ("b", to_c), ("c", to_b)] {
        assert_eq!(cluster.peer(from).dial("healed", port).await, "ok");
        assert_eq!(cluster.peer(from).echo("healed", "after").await, "after");
    }
    assert_eq!(cluster.peer("a").echo("ac", "after").await, "after");
}

#[tokio::test]
async fn a_cut_link_loses_both_directions_of_that_link_only() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    let [to_a, to_b, to_c] = ["a", "b", "c"].map(|name| cluster.proxy_port(name));
    for (from, name, port) in [("a", "ab", to_b), ("b", "ba", to_a), ("b", "bc", to_c)] {
        cluster.peer(from).dial(name, port).await;
        assert_eq!(cluster.peer(from).echo(name, "before").await, "before");
    }
    // Named the other way round at each turn; twice, so one heal is not enough.
    cluster.proxies.cut_link("b", "a").await.unwrap();
    cluster.proxies.cut_link("a", "b").await.unwrap();
    assert_reset(&cluster.peer("a").ask("read ab").await);
    assert_reset(&cluster.peer("b").ask("read ba").await);
    assert_eq!(cluster.peer("b").echo("bc", "during").await, "during");
    cluster.proxies.heal_link("b", "a");
    assert_refused(cluster.peer("a"), to_b).await;
    assert_refused(cluster.peer("b"), to_a).await;
    assert_eq!(cluster.peer("c").dial("cb", to_b).await, "ok");
    assert_eq!(cluster.peer("c").echo("cb", "during").await, "during");
    cluster.proxies.heal_link("a", "b");
    assert_eq!(cluster.peer("a").dial("healed", to_b).await, "ok");
    assert_eq!(cluster.peer("a").echo("healed", "after").await, "after");
}

#[tokio::test]
async fn a_cut_stops_a_stream_that_is_being_sent() {
    let mut cluster = Cluster::start(&["a", "b"]).await;
    let to_b = cluster.proxy_port("b");
    cluster.peer("a").dial("x", to_b).await;
    cluster.peer("a").say("drain x 4000000000").await;
    while stats(&cluster.proxies, "a", "b").bytes < 1_000_000 {
        sleep(Duration::from_millis(1)).await;
    }
    cluster.proxies.cut("a").await.unwrap();
    let at_cut = cluster.proxies.stats();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(
        cluster.proxies.stats(),
        at_cut,
        "bytes passed after the cut"
    );
    assert_reset(&cluster.peer("a").hear().await);
}

#[tokio::test]
async fn an_unknown_dialler_passes_unless_a_cut_could_be_meant_for_it() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    let to_c = cluster.proxy_port("c");
    // Ourselves: no member.
    let mut ours = TcpStream::connect(("127.0.0.1", to_c)).await.unwrap();
    ours.write_all(b"hello").await.unwrap();
    ours.read_exact(&mut [0; 5]).await.unwrap();
    let unknown = Link {
        from: None,
        to: Some("c".into()),
    };
    assert_eq!(cluster.proxies.stats()[&unknown].bytes, 5);

    cluster.proxies.cut_link("a", "b").await.unwrap();
    ours.write_all(b"still").await.unwrap();
    ours.read_exact(&mut [0; 5]).await.unwrap();

    cluster.proxies.cut("a").await.unwrap();
    let read = timeout(SECOND, ours.read(&mut [0; 5])).await.unwrap();
    assert_eq!(
        read.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    cluster.proxies.heal_all();

    // A member that is registered a moment after it dialled is known.
    cluster.restart_unregistered("b").await;
    cluster.proxies.cut("a").await.unwrap();
    assert_eq!(cluster.peer("b").dial("late", to_c).await, "ok");
    sleep(Duration::from_millis(50)).await;
    cluster.register("b");
    assert_eq!(cluster.peer("b").echo("late", "known").await, "known");
    assert_eq!(stats(&cluster.proxies, "b", "c").accepted, 1);
}

#[tokio::test]
async fn members_come_and_go_and_names_are_checked() {
    let mut cluster = Cluster::start(&["a", "b"]).await;
    let to_b = cluster.proxy_port("b");
    let proxies = &cluster.proxies;
    let unknown = proxies.cut("nobody").await.unwrap_err();
    assert!(matches!(unknown, NetworkError::UnknownMember(_)));
    assert!(proxies.cut_link("a", "nobody").await.is_err());
    assert!(proxies.register("nobody", 1).is_err());
    let taken = proxies.add("d", to_b, 1).await.unwrap_err();
    assert!(matches!(taken, NetworkError::Listen { .. }), "{taken}");
    // Nothing was cut by halves.
    assert_eq!(cluster.peer("a").dial("x", to_b).await, "ok");
    assert_eq!(cluster.peer("a").echo("x", "fine").await, "fine");

    // A member that is not there looks refused, and counts.
    cluster.kill("b").await;
    assert_refused(cluster.peer("a"), to_b).await;
    assert_eq!(stats(&cluster.proxies, "a", "b").unreachable, 1);
    cluster.restart_unregistered("b").await;
    cluster.register("b");
    assert_eq!(cluster.peer("a").dial("y", to_b).await, "ok");
    assert_eq!(cluster.peer("a").echo("y", "back").await, "back");

    cluster.add("c").await;
    let to_c = cluster.proxy_port("c");
    assert_eq!(cluster.peer("a").dial("z", to_c).await, "ok");
    assert_eq!(cluster.peer("a").echo("z", "new").await, "new");
    cluster.proxies.remove("c");
    assert!(
        cluster
            .peer("a")
            .echo("z", "gone")
            .await
            .starts_with("error")
    );
    assert_eq!(
        cluster.peer("a").dial("z", to_c).await,
        "error ConnectionRefused"
    );
}

#[tokio::test]
async fn dropping_the_proxies_leaves_no_task_and_no_port() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let mut cluster = Cluster::start(&["a", "b"]).await;
    let to_b = cluster.proxy_port("b");
    for round in 0..20 {
        let name = format!("x{round}");
        assert_eq!(cluster.peer("a").dial(&name, to_b).await, "ok");
        assert_eq!(cluster.peer("a").echo(&name, "hello").await, "hello");
    }
    assert_eq!(
        tasks() - before,
        2 + 20,
        "two listeners, twenty connections"
    );
    cluster.proxies.cut("a").await.unwrap();
    timeout(SECOND, async {
        while tasks() - before > 2 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("cut connections leave no task");
    cluster.proxies.heal("a");
    assert_eq!(cluster.peer("a").dial("y", to_b).await, "ok");
    assert_eq!(cluster.peer("a").echo("y", "hello").await, "hello");
    cluster.proxies = PeerProxies::new().into();
    timeout(SECOND, async {
        while tasks() > before {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("dropped proxies leave no task");
    assert_eq!(cluster.peer("a").ask("read y").await, "read 0");
    std::net::TcpListener::bind(("127.0.0.1", to_b)).unwrap();
}
