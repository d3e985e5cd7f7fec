//! Members in network namespaces. Needs root and ip(8): without root it says
//! so and does nothing, as root it has to work.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use failpoints::fault::inject;
use failpoints::netns::{DropPackets, Home, Namespaces, NetnsError, probe};
use failpoints::network::{Link, shapes};
use failpoints::ports::{PortLease, lease};
use failpoints::process::{Process, SpawnSpec, Spawner};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");
const PATIENCE: Duration = Duration::from_secs(30);

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: network namespaces need root");
    }
    root
}

struct Member {
    process: Process,
    home: Home,
    control: BufReader<TcpStream>,
    listen: PortLease,
    _orders: PortLease,
}

impl Member {
    async fn start(namespaces: &Namespaces, spawner: &Spawner, name: &str, dir: &TempDir) -> Self {
        let [listen, orders] = [(); 2].map(|()| lease().unwrap());
        let home = namespaces.add(name, &[orders.port()]).await.unwrap();
        let mut spec = SpawnSpec::new(SUBJECT, SUBJECT, dir.path().join(name));
        let args = [
            "member".into(),
            listen.port().to_string(),
            orders.port().to_string(),
            home.address.to_string(),
        ];
        spec.args = args.map(Into::into).into();
        spec.namespaces = vec![home.namespace.clone()];
        let process = spawner.spawn(spec).await.unwrap();
        let control = timeout(PATIENCE, async {
            loop {
                // The helper accepts before the member listens.
                let stream = TcpStream::connect(("127.0.0.1", orders.port())).await;
                let mut control = BufReader::new(stream.unwrap());
                let mut answer = String::new();
                let asked = control.get_mut().write_all(b"heard\n").await;
                if asked.is_ok() && control.read_line(&mut answer).await.is_ok_and(|n| n > 0) {
                    break control;
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        Self {
            process,
            home,
            control: control.await.unwrap(),
            listen,
            _orders: orders,
        }
    }

    async fn ask(&mut self, order: &str) -> String {
        let line = format!("{order}\n");
        self.control
            .get_mut()
            .write_all(line.as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        let heard = timeout(PATIENCE, self.control.read_line(&mut answer)).await;
        heard.expect("an answer").unwrap();
        answer.trim_end().into()
    }

    fn at(&self) -> String {
        format!("{}:{}", self.home.address, self.listen.port())
    }

    async fn wait_heard(&mut self, bytes: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask("heard").await != bytes {
            assert!(Instant::now() < deadline, "not {bytes} bytes in time");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn packets_are_lost_one_way_until_as_many_heals_and_nothing_is_left() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let spawner = Spawner::new().unwrap();
    let namespaces = Arc::new(Namespaces::start(Path::new(SUBJECT)).unwrap());
    let mut a = Member::start(&namespaces, &spawner, "a", &dir).await;
    let mut b = Member::start(&namespaces, &spawner, "b", &dir).await;
    assert_ne!(a.home.address, b.home.address);
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    for member in [&a, &b] {
        let theirs = format!("/proc/{}/ns/net", member.process.pid());
        assert_ne!(std::fs::read_link(theirs).unwrap(), own);
    }
    let to_b = format!("dial_at ab {}", b.at());
    let to_a = format!("dial_at ba {}", a.at());
    assert_eq!(a.ask(&to_b).await, "ok");
    assert_eq!(a.ask("echo ab hello").await, "hello");
    assert_eq!(b.ask(&to_a).await, "ok");
    assert_eq!(b.ask("echo ba hello").await, "hello");

    let links = shapes::one_way(&["a"], &["b"]);
    let drop = || Box::new(DropPackets::new(namespaces.clone(), links.clone()));
    let first = inject(drop()).await.unwrap();
    let second = inject(drop()).await.unwrap();
    assert_eq!(a.ask("send ab ping").await, "ok");
    assert_eq!(b.ask("send ba pong").await, "ok");
    // b→a is open, whoever dialled.
    a.wait_heard("9").await;
    assert_eq!(b.ask("tell news").await, "ok");
    assert_eq!(a.ask("wait ab 5000").await, "news");
    assert_eq!(b.ask("wait ba 300").await, "silence");
    assert_eq!(b.ask("heard").await, "5");
    first.heal().await.unwrap();
    // Still cut: not even a handshake.
    assert_eq!(a.ask(&to_b.replace("ab", "new")).await, "error TimedOut");
    assert_eq!(b.ask("heard").await, "5");
    second.heal().await.unwrap();
    // TCP delivers what was lost.
    b.wait_heard("9").await;
    assert_eq!(a.ask("wait ab 5000").await, "ping");
    assert_eq!(b.ask("wait ba 5000").await, "pong");

    let unknown = namespaces.cut(&shapes::one_way(&["a"], &["b", "x"])).await;
    assert!(matches!(unknown, Err(NetnsError::Refused(why)) if why.contains('x')));
    assert_eq!(a.ask("echo ab whole").await, "whole", "half a cut is left");
    let helper = a.home.namespace.clone();
    assert!(helper.exists());
    std::mem::drop(namespaces);
    assert!(!helper.exists(), "the helper is still there");
}

#[test]
fn the_helper_ends_with_whoever_started_it() {
    let mut helper = Command::new(SUBJECT)
        .arg("__netns")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = helper.stdin.take().unwrap();
    pipe.write_all(b"nonsense\n").unwrap();
    let mut answer = String::new();
    let mut said = std::io::BufReader::new(helper.stdout.take().unwrap());
    said.read_line(&mut answer).unwrap();
    assert!(answer.contains("not understood"), "{answer}");
    drop(pipe);
    assert!(helper.wait().unwrap().success());
}

#[tokio::test]
async fn many_cuts_come_and_go_under_traffic() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let spawner = Spawner::new().unwrap();
    let namespaces = Arc::new(Namespaces::start(Path::new(SUBJECT)).unwrap());
    let mut a = Member::start(&namespaces, &spawner, "a", &dir).await;
    let b = Member::start(&namespaces, &spawner, "b", &dir).await;
    assert_eq!(a.ask(&format!("dial_at ab {}", b.at())).await, "ok");
    for round in 0..50 {
        let links = match round % 3 {
            0 => shapes::one_way(&["a"], &["b"]),
            1 => shapes::one_way(&["b"], &["a"]),
            _ => shapes::between(&["a"], &["b"]),
        };
        assert_eq!(a.ask("send ab x").await, "ok");
        namespaces.cut(&links).await.unwrap();
        namespaces
            .cut(&BTreeSet::from([Link::new("b", "a")]))
            .await
            .unwrap();
        namespaces.heal_all().await.unwrap();
        assert_eq!(a.ask("wait ab 5000").await, "x", "round {round}");
    }
}

#[test]
fn the_probe_says_what_is_off() {
    let probed = probe(Path::new(SUBJECT));
    if is_root() {
        assert_eq!(probed, Ok(()));
        let nobody = probe(Path::new("/nonexistent")).unwrap_err();
        assert!(nobody.contains("/nonexistent"), "{nobody}");
    } else {
        assert_eq!(probed.unwrap_err(), "network namespaces need root");
    }
}
