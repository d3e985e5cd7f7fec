//! Blackholes, drops and clients' links, on real members.

#[path = "support/links.rs"]
mod links;
mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use failpoints::fault::inject;
use failpoints::network::{CLIENTS, DropConnections, Effect, NetworkError, Slow, shapes};
use links::{HELD, LOST, PATIENCE, SILENCE, arm, one_way, pair, stats, until, wait_heard};
use support::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn a_blackhole_is_silent_one_way_whoever_dialled_and_flows_on_when_healed() {
    let mut cluster = pair().await;
    let before = stats(&cluster, "a", "b");
    let armed = arm(&cluster, HELD, one_way("a", "b")).await;

    // Dialled by the sender: what a sends stays away, what b sends arrives.
    assert_eq!(cluster.peer("a").ask("send ab ping").await, "ok");
    // Dialled by the receiver.
    assert_eq!(cluster.peer("b").ask("send ba pong").await, "ok");
    wait_heard(&mut cluster, "a", 5 + 4).await;
    let silent = format!("wait ba {SILENCE}");
    assert_eq!(cluster.peer("b").ask(&silent).await, "silence");
    assert_eq!(cluster.peer("b").ask("heard").await, "5");
    assert_eq!(cluster.peer("b").ask("tell news").await, "ok");
    assert_eq!(cluster.peer("a").ask("wait ab 5000").await, "news");
    let during = stats(&cluster, "a", "b");
    assert_eq!(during.bytes, before.bytes, "bytes passed a blackhole");
    // `ping`, and the echo of `pong`.
    assert_eq!((during.held, during.lost, during.reset), (8, 0, 0));

    // New dials: from a nothing arrives, from b only what b says.
    let [to_a, to_b] = ["a", "b"].map(|name| cluster.proxy_port(name));
    assert_eq!(cluster.peer("a").dial("new", to_b).await, "ok");
    assert_eq!(cluster.peer("a").ask("send new hello").await, "ok");
    assert_eq!(cluster.peer("b").dial("new", to_a).await, "ok");
    assert_eq!(cluster.peer("b").ask("send new hello").await, "ok");
    wait_heard(&mut cluster, "a", 5 + 4 + 5).await;
    let silent = format!("wait new {SILENCE}");
    assert_eq!(cluster.peer("a").ask(&silent).await, "silence");
    assert_eq!(cluster.peer("b").ask(&silent).await, "silence");
    assert_eq!(cluster.peer("b").ask("heard").await, "5");

    armed.heal().await.unwrap();
    assert_eq!(cluster.peer("b").ask("wait ba 5000").await, "pong");
    assert_eq!(cluster.peer("a").ask("wait ab 5000").await, "ping");
    for name in ["a", "b"] {
        assert_eq!(cluster.peer(name).ask("wait new 5000").await, "hello");
        assert_eq!(cluster.peer(name).echo("new", "after").await, "after");
    }
    assert_eq!(stats(&cluster, "a", "b").reset, 0);
    assert_eq!(stats(&cluster, "b", "a").reset, 0);
}

#[tokio::test]
async fn a_lossy_blackhole_never_stalls_the_sender_and_resets_what_it_tore() {
    let mut cluster = pair().await;
    let to_b = cluster.proxy_port("b");
    cluster.peer("a").dial("untouched", to_b).await;
    let echoed = cluster.peer("a").echo("untouched", "x").await;
    assert_eq!(echoed, "x");
    let before = stats(&cluster, "a", "b");
    let armed = arm(&cluster, LOST, one_way("a", "b")).await;
    // More than every buffer on the way.
    cluster.peer("a").say("drain ab 50000000").await;
    until("all is swallowed", async || {
        stats(&cluster, "a", "b").lost >= 50_000_000
    })
    .await;
    // A dial in the blackhole is swallowed too.
    let during = stats(&cluster, "a", "b");
    assert_eq!((during.bytes, during.lost), (before.bytes, 50_000_000));
    assert_eq!(cluster.peer("b").ask("heard").await, "6");
    assert_eq!(cluster.peer("b").ask("send ba pong").await, "ok");
    let silent = format!("wait ba {SILENCE}");
    assert_eq!(cluster.peer("b").ask(&silent).await, "silence");

    armed.heal().await.unwrap();
    let torn = cluster.peer("a").hear().await;
    assert_eq!(torn, "error ConnectionReset");
    // Its echo was lost on the way back to b.
    assert_eq!(
        cluster.peer("b").ask("read ba").await,
        "error ConnectionReset"
    );
    assert_eq!(stats(&cluster, "a", "b").reset, 1);
    assert_eq!(stats(&cluster, "b", "a").reset, 1);
    assert_eq!(cluster.peer("a").echo("untouched", "y").await, "y");
    assert_eq!(stats(&cluster, "a", "b").bytes, before.bytes + 1);
}

#[tokio::test]
async fn news_of_an_end_waits_in_a_blackhole_and_dials_that_gave_up_are_forgotten() {
    let mut cluster = pair().await;
    let to_b = cluster.proxy_port("b");
    let armed = arm(&cluster, HELD, one_way("a", "b")).await;
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    assert_eq!(cluster.peer("a").dial("late", to_b).await, "ok");
    assert_eq!(cluster.peer("a").ask("send late stale").await, "ok");
    until("it is accepted", async || {
        stats(&cluster, "a", "b").accepted == 2
    })
    .await;
    assert!(tasks.num_alive_tasks() > before);
    assert_eq!(cluster.peer("a").ask("hang_up late").await, "ok");
    until("the dial is forgotten", async || {
        tasks.num_alive_tasks() == before
    })
    .await;
    // a dies: b is not told.
    cluster.kill("a").await;
    let silent = format!("wait ba {SILENCE}");
    assert_eq!(cluster.peer("b").ask(&silent).await, "silence");
    armed.heal().await.unwrap();
    let told = cluster.peer("b").ask("wait ba 5000").await;
    assert!(told.is_empty() || told == "error ConnectionReset", "{told}");
    assert_eq!(
        cluster.peer("b").ask("heard").await,
        "5",
        "a stale dial arrived"
    );
}

#[tokio::test]
async fn faults_of_one_link_need_as_many_heals() {
    let mut cluster = pair().await;
    let both_ways = shapes::between(&["a"], &["b"]);
    let slow = Effect::Slow(Slow {
        delay: Duration::from_millis(30),
        ..Slow::default()
    });
    let third = arm(&cluster, slow, both_ways.clone()).await;
    let first = arm(&cluster, HELD, one_way("a", "b")).await;
    let second = arm(&cluster, HELD, both_ways.clone()).await;
    assert_eq!(cluster.peer("a").ask("send ab ping").await, "ok");
    let silent = format!("wait ab {SILENCE}");
    first.heal().await.unwrap();
    assert_eq!(cluster.peer("a").ask(&silent).await, "silence");
    assert_eq!(cluster.peer("b").ask("heard").await, "5");
    second.heal().await.unwrap();
    assert_eq!(cluster.peer("a").ask("wait ab 5000").await, "ping");
    let started = Instant::now();
    assert_eq!(cluster.peer("a").echo("ab", "slow").await, "slow");
    assert!(started.elapsed() >= Duration::from_millis(60));
    third.heal().await.unwrap();

    // A reset among them, and everything taken back at once.
    let reset = arm(&cluster, Effect::Reset, one_way("b", "a")).await;
    let again = arm(&cluster, Effect::Reset, one_way("a", "b")).await;
    for (name, connection) in [("a", "ab"), ("b", "ba")] {
        let read = cluster.peer(name).ask(&format!("read {connection}")).await;
        assert_eq!(read, "error ConnectionReset");
    }
    reset.heal().await.unwrap();
    let to_b = cluster.proxy_port("b");
    let refused = stats(&cluster, "a", "b").refused;
    cluster.peer("a").dial("still", to_b).await;
    until("it is refused", async || {
        stats(&cluster, "a", "b").refused == refused + 1
    })
    .await;
    cluster.proxies.heal_all();
    assert_eq!(cluster.peer("a").dial("new", to_b).await, "ok");
    assert_eq!(cluster.peer("a").echo("new", "fine").await, "fine");
    // Healing what is healed changes nothing.
    again.heal().await.unwrap();
    assert_eq!(cluster.peer("a").echo("new", "fine").await, "fine");
}

#[tokio::test]
async fn dropped_connections_are_reset_once_and_new_ones_are_carried() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    let [to_a, to_b] = ["a", "b"].map(|name| cluster.proxy_port(name));
    for (from, name, port) in [("a", "ab", to_b), ("b", "ba", to_a), ("c", "cb", to_b)] {
        cluster.peer(from).dial(name, port).await;
        assert_eq!(cluster.peer(from).echo(name, "before").await, "before");
    }
    let drop = DropConnections::new(cluster.proxies.clone(), one_way("a", "b"));
    let armed = inject(Box::new(drop)).await.unwrap();
    assert_eq!(
        cluster.peer("a").ask("read ab").await,
        "error ConnectionReset"
    );
    assert_eq!(
        cluster.peer("b").ask("read ba").await,
        "error ConnectionReset"
    );
    assert_eq!(cluster.peer("c").echo("cb", "during").await, "during");
    assert_eq!(cluster.peer("a").dial("ab", to_b).await, "ok");
    assert_eq!(cluster.peer("a").echo("ab", "during").await, "during");
    armed.heal().await.unwrap();
    assert_eq!(stats(&cluster, "a", "b").reset, 1);
    assert_eq!(stats(&cluster, "b", "a").reset, 1);
}

#[tokio::test]
async fn clients_are_one_end_of_links_of_their_own() {
    let mut cluster = Cluster::start(&["a", "b"]).await;
    let doors = [
        cluster.serve_clients("a").await,
        cluster.serve_clients("b").await,
    ];
    let dial = async |at: usize| TcpStream::connect(("127.0.0.1", doors[at].port())).await;
    let mut to_a = dial(0).await.unwrap();
    let mut to_b = dial(1).await.unwrap();
    let echo = async |stream: &mut TcpStream| {
        stream.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        timeout(Duration::from_millis(300), stream.read_exact(&mut back)).await
    };
    for stream in [&mut to_a, &mut to_b] {
        echo(stream).await.unwrap().unwrap();
    }
    assert_eq!(stats(&cluster, CLIENTS, "a").bytes, 5);

    // A member that is cut off from its peers still serves its clients.
    cluster.proxies.cut("a").await.unwrap();
    echo(&mut to_a).await.unwrap().unwrap();
    cluster.proxies.heal("a");

    let answers = arm(&cluster, HELD, one_way("a", CLIENTS)).await;
    assert!(echo(&mut to_a).await.is_err(), "an answer passed");
    wait_heard(&mut cluster, "a", 15).await;
    echo(&mut to_b).await.unwrap().unwrap();
    answers.heal().await.unwrap();
    let mut back = [0; 5];
    let read = timeout(PATIENCE, to_a.read_exact(&mut back)).await;
    read.unwrap().unwrap();

    let cut = arm(&cluster, Effect::Reset, one_way(CLIENTS, "a")).await;
    let read = timeout(PATIENCE, to_a.read(&mut back)).await.unwrap();
    assert_eq!(
        read.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    echo(&mut to_b).await.unwrap().unwrap();
    cut.heal().await.unwrap();
    echo(&mut dial(0).await.unwrap()).await.unwrap().unwrap();

    let nobody = cluster.proxies.impose(HELD, one_way("x", "a")).await;
    assert!(matches!(nobody, Err(NetworkError::UnknownMember(name)) if name == "x"));
    let nothing = cluster.proxies.impose(HELD, BTreeSet::new()).await;
    assert!(matches!(nothing, Err(NetworkError::NoLink(_))));
}
