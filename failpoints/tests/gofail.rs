//! Points of a process that serves them as gofail does: what they do, and
//! that they heal.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use failpoints::fault::inject;
use failpoints::gofail::{self, Gofail, GofailError, Point, Terms};
use failpoints::ports::{self, PortLease};
use failpoints::process::{ExitStatus, Process, SpawnSpec, Spawner};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-gofail-subject");
const LIMIT: Duration = Duration::from_secs(30);
const SAVE: &str = "raftBeforeSave";

struct Subject {
    dir: tempfile::TempDir,
    http: PortLease,
    work: PortLease,
    process: Option<Process>,
}

impl Subject {
    async fn start(points: &[(&str, &Terms)]) -> Self {
        let mut subject = Self {
            dir: tempfile::tempdir().unwrap(),
            http: ports::lease().unwrap(),
            work: ports::lease().unwrap(),
            process: None,
        };
        subject.restart(points).await;
        subject
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http.port()).into()
    }

    fn gofail(&self) -> Gofail {
        Gofail::new(self.address())
    }

    async fn restart(&mut self, points: &[(&str, &Terms)]) {
        let log: &Path = self.dir.path();
        let mut spec = SpawnSpec::new(SUBJECT, SUBJECT, log.join("log"));
        spec.args = vec![self.work.port().to_string().into()];
        spec.envs = vec![gofail::endpoint(self.address())];
        let set = gofail::environment(points.iter().copied()).unwrap();
        spec.envs.push(set);
        self.process = None;
        self.process = Some(Spawner::new().unwrap().spawn(spec).await.unwrap());
        let ready = async {
            while self.gofail().list().await.is_err() || self.reach("none").await.is_none() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LIMIT, ready).await.expect("it serves");
    }

    /// Makes the process reach a point: what it returned there, after how long;
    /// none if the process died of it.
    async fn reach(&self, point: &str) -> Option<(String, Duration)> {
        let start = Instant::now();
        let exchange = async {
            let work = (Ipv4Addr::LOCALHOST, self.work.port());
            let mut stream = TcpStream::connect(work).await.ok()?;
            stream
                .write_all(format!("{point}\n").as_bytes())
                .await
                .ok()?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await.ok()?;
            line.strip_suffix('\n').map(str::to_owned)
        };
        let said = timeout(LIMIT, exchange)
            .await
            .expect("an answer or an end")?;
        Some((said, start.elapsed()))
    }

    async fn returned(&self, point: &str) -> String {
        self.reach(point).await.expect("it lives").0
    }
}

fn terms(text: &str) -> Terms {
    text.parse().unwrap()
}

fn point(subject: &Subject, name: &str, text: &str) -> Box<Point> {
    Box::new(Point::new("m1", subject.gofail(), name, terms(text)).unwrap())
}

#[tokio::test]
async fn points_are_listed_set_counted_and_cleared() {
    let subject = Subject::start(&[]).await;
    let gofail = subject.gofail();
    let listed = gofail.list().await.unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|one| one.terms.is_none()));
    for name in listed.iter().map(|one| one.name.as_str()) {
        assert_eq!(gofail.get(name).await.unwrap(), None);
        assert_eq!(gofail.count(name).await.unwrap(), None);
        gofail.set(name, &terms("2*return(7)")).await.unwrap();
        assert_eq!(
            gofail.get(name).await.unwrap().as_deref(),
            Some("2*return(7)")
        );
        assert_eq!(subject.returned(name).await, "7");
        assert_eq!(gofail.count(name).await.unwrap(), Some(1));
        assert_eq!(subject.returned(name).await, "7");
        assert_eq!(subject.returned(name).await, "-", "twice only");
        let listed = gofail.list().await.unwrap();
        let one = listed.iter().find(|one| one.name == name).unwrap();
        assert_eq!(one.terms.as_deref(), Some("2*return(7)"));
        assert!(gofail.clear(name).await.unwrap());
        assert!(!gofail.clear(name).await.unwrap(), "it was off already");
    }
}

#[tokio::test]
async fn a_sleep_holds_who_reaches_it_until_it_heals() {
    let subject = Subject::start(&[]).await;
    let fault = inject(point(&subject, SAVE, "sleep(300)")).await.unwrap();
    assert_eq!(fault.name(), "gofail m1 raftBeforeSave=sleep(300)");
    let (_, held) = subject.reach(SAVE).await.unwrap();
    assert!(held >= Duration::from_millis(300), "{held:?}");
    // Another point is not held, nor this one once it has healed.
    let other = inject(point(&subject, "walBeforeSync", "return(1)"))
        .await
        .unwrap();
    assert_eq!(subject.returned("walBeforeSync").await, "1");
    fault.heal().await.unwrap();
    assert_eq!(subject.gofail().get(SAVE).await.unwrap(), None);
    assert_eq!(subject.returned("walBeforeSync").await, "1", "it composes");
    drop(other);
    let healed = async {
        while subject.returned("walBeforeSync").await != "-" {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, healed).await.expect("dropping it heals");
}

#[tokio::test]
async fn a_panic_ends_the_process_and_heals_before_and_after_its_return() {
    let mut subject = Subject::start(&[]).await;
    for back in [false, true] {
        let fault = inject(point(&subject, SAVE, "1*off->panic")).await.unwrap();
        assert_eq!(
            subject.returned(SAVE).await,
            "-",
            "the first time it is off"
        );
        assert_eq!(subject.reach(SAVE).await, None);
        let process = subject.process.take().unwrap();
        let status = timeout(LIMIT, process.exit()).await.unwrap();
        assert_eq!(status, ExitStatus::Code(2), "as Go ends");
        if back {
            // Back, and set again from its environment.
            subject.restart(&[(SAVE, &Terms::panic())]).await;
            assert!(subject.gofail().get(SAVE).await.unwrap().is_some());
        }
        timeout(LIMIT, fault.heal()).await.unwrap().unwrap();
        if !back {
            subject.restart(&[]).await;
        }
        assert_eq!(subject.returned(SAVE).await, "-");
    }
}

#[tokio::test]
async fn healing_waits_for_a_paused_process() {
    let subject = Subject::start(&[]).await;
    let fault = inject(point(&subject, SAVE, "return(1)")).await.unwrap();
    let process = subject.process.as_ref().unwrap().handle();
    process.pause().unwrap();
    let healing = tokio::spawn(fault.heal());
    sleep(Duration::from_millis(200)).await;
    assert!(!healing.is_finished());
    process.resume().unwrap();
    timeout(LIMIT, healing).await.unwrap().unwrap().unwrap();
    assert_eq!(subject.returned(SAVE).await, "-");
}

#[tokio::test]
async fn points_are_set_from_the_environment() {
    let (one, two) = (terms("return(1)"), terms("50%off->return(\"b\")"));
    let subject = Subject::start(&[(SAVE, &one), ("walBeforeSync", &two)]).await;
    assert_eq!(subject.returned(SAVE).await, "1");
    let set = subject.gofail().get("walBeforeSync").await.unwrap();
    assert_eq!(set.as_deref(), Some("50.0%off->return(\"b\")"));

    let (name, value) = gofail::environment([(SAVE, &one), ("b", &two)]).unwrap();
    assert_eq!(name, "GOFAIL_FAILPOINTS");
    assert_eq!(value, "raftBeforeSave=return(1);b=50.0%off->return(\"b\")");
    let error = gofail::environment([(SAVE, &terms("return(\"a=b\")"))]).unwrap_err();
    assert!(error.to_string().contains("over HTTP"), "{error}");
    for name in ["", "a b", "a=b", "failpoints", "a/count", "a\r\nb", "µ"] {
        let error = gofail::environment([(name, &one)]).unwrap_err();
        assert!(matches!(error, GofailError::BadName { .. }), "{error}");
        assert!(Point::new("m1", subject.gofail(), name, one.clone()).is_err());
    }
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let mut subject = Subject::start(&[]).await;
    let gofail = subject.gofail();
    let error = gofail
        .set("raftBeforeSafe", &Terms::panic())
        .await
        .unwrap_err();
    let GofailError::NoSuchPoint { nearest, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(nearest[0], SAVE);
    for error in [
        gofail.get("nix").await.unwrap_err(),
        gofail.clear("nix").await.unwrap_err(),
        gofail.count("nix").await.unwrap_err(),
    ] {
        assert!(matches!(error, GofailError::NoSuchPoint { .. }), "{error}");
    }
    let error = inject(point(&subject, "nix", "panic")).await.unwrap_err();
    assert!(
        error.to_string().contains("no gofail point `nix`"),
        "{error}"
    );

    subject.process = None;
    let error = gofail.list().await.unwrap_err().to_string();
    assert!(
        error.contains("GOFAIL_HTTP=") && error.contains("built with gofail"),
        "{error}"
    );
    let error = inject(point(&subject, SAVE, "panic")).await.unwrap_err();
    assert_eq!(error.step, "inject");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gofail = Gofail::new(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = 0_u64;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {
            sent += 4096;
        }
        sent
    });
    let error = gofail.list().await.unwrap_err();
    assert!(error.to_string().contains("no whole HTTP"), "{error}");
    let sent = timeout(LIMIT, server).await.unwrap().unwrap();
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn loopback_is_all_it_takes() {
    timeout(LIMIT, gofail::probe()).await.unwrap().unwrap();
}
