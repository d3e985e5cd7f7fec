//! One etcd member with its data directory on a disk of ours.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use failpoints::disk::{Disk, DiskServer, Options, PowerCut, Survival, Tear};
use failpoints::ports::{PortLease, lease};
use failpoints::process::{Process, SpawnSpec, Spawner};
use tempfile::TempDir;

const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");

/// How long etcd may take to serve again.
const PATIENCE: Duration = Duration::from_secs(60);

fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| -> String {
        let mut bytes = [0; 3];
        bytes[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        let digit = |at: u32| DIGITS[(bits >> (18 - 6 * at) & 63) as usize] as char;
        (0..4)
            .map(|at| {
                if at as usize <= chunk.len() {
                    digit(at)
                } else {
                    '='
                }
            })
            .collect()
    };
    text.as_bytes().chunks(3).map(digits).collect()
}

/// One request through etcd's JSON gateway.
fn post(port: u16, path: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(answer),
        false => Err(io::Error::other(answer)),
    }
}

fn put(port: u16, key: &str, value: &str) -> io::Result<()> {
    let (key, value) = (base64(key), base64(value));
    let body = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
    post(port, "/v3/kv/put", &body).map(|_| ())
}

fn holds(port: u16, key: &str, value: &str) -> io::Result<bool> {
    let body = format!(r#"{{"key":"{}"}}"#, base64(key));
    let answer = post(port, "/v3/kv/range", &body)?;
    Ok(answer.contains(&format!(r#""value":"{}""#, base64(value))))
}

struct Bench {
    dir: TempDir,
    server: DiskServer,
    disk: Disk,
    spawner: Spawner,
    client: PortLease,
    peer: PortLease,
}

impl Bench {
    async fn start(options: Options) -> Self {
        assert_eq!(fs::metadata("/proc/self").unwrap().uid(), 0, "needs root");
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let server = DiskServer::start(Path::new(SUBJECT)).await.unwrap();
        let disk = server.mount("m1", &data, &data, options).await.unwrap();
        Self {
            dir,
            server,
            disk,
            spawner: Spawner::new().unwrap(),
            client: lease().unwrap(),
            peer: lease().unwrap(),
        }
    }

    /// Starts etcd, on the disk or on the plain directory, until it serves.
    async fn etcd(&self, data: &Path, on_disk: bool) -> Process {
        let etcd = std::env::var("ETCD").expect("ETCD names the binary to test against");
        let log = self.dir.path().join("log");
        let mut spec = SpawnSpec::new(SUBJECT, etcd, &log);
        let [client, peer] =
            [&self.client, &self.peer].map(|lease| format!("http://127.0.0.1:{}", lease.port()));
        spec.args = [
            "--name=m1".into(),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=m1={peer}"),
            "--heartbeat-interval=20".into(),
            "--election-timeout=200".into(),
        ]
        .into_iter()
        .map(Into::into)
        .collect();
        if on_disk {
            spec.namespaces = vec![self.server.namespace()];
        }
        let process = self.spawner.spawn(spec).await.unwrap();
        let start = Instant::now();
        while put(self.client.port(), "ready", "yes").is_err() {
            let log = || fs::read_to_string(&log).unwrap();
            assert!(process.is_running(), "etcd ended: {}", log());
            assert!(start.elapsed() < PATIENCE, "etcd does not serve: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }
}

/// Puts, in a loop of each writer's own, until told to stop or refused; how
/// many were acknowledged to each.
fn write(port: u16, round: usize, stop: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<usize>> {
    (0..4)
        .map(|writer| {
            let stop = Arc::clone(stop);
            thread::spawn(move || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let value = format!("value {round} {writer} {count}");
                    if put(port, &format!("{round}/{writer}/{count}"), &value).is_err() {
                        break;
                    }
                    count += 1;
                }
                count
            })
        })
        .collect()
}

/// Whether this etcd answers a lone member's write before it is in its log, so that the last write of
/// each writer may be lost: before 3.4.21, and 3.5.0 to 3.5.4
/// (<https://github.com/etcd-io/etcd/issues/14370>).
fn answers_too_early() -> bool {
    let etcd = std::env::var("ETCD").expect("ETCD names the binary to test against");
    let said = std::process::Command::new(etcd).arg("--version").output();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    let version = said.split_whitespace().nth(2).expect("etcd Version: 3.5.1");
    let numbers: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    match numbers[..] {
        [3, 4, patch] => patch < 21,
        [3, 5, patch] => patch < 5,
        _ => false,
    }
}

async fn lose_five_times(options: Options, survival: impl Fn(u64) -> Survival) {
    let bench = Bench::start(options).await;
    let data = bench.disk.backing().to_owned();
    let port = bench.client.port();
    let mut acknowledged: Vec<Vec<usize>> = Vec::new();
    let at_risk = usize::from(answers_too_early());
    for round in 0..5 {
        let process = bench.etcd(&data, true).await;
        for (round, writers) in acknowledged.iter().enumerate() {
            for (writer, &count) in writers.iter().enumerate() {
                // The last ones are those at risk.
                for index in count.saturating_sub(20)..count.saturating_sub(at_risk) {
                    let (key, value) = (
                        format!("{round}/{writer}/{index}"),
                        format!("value {round} {writer} {index}"),
                    );
                    assert!(holds(port, &key, &value).unwrap(), "{key} is lost");
                }
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let writers = write(port, round, &stop);
        tokio::time::sleep(Duration::from_millis(400)).await;
        let handle = Some(process.handle());
        let lost = PowerCut::cut(&bench.disk, handle, survival(round as u64))
            .await
            .unwrap();
        stop.store(true, Ordering::Relaxed);
        let counts: Vec<usize> = writers.into_iter().map(|it| it.join().unwrap()).collect();
        assert!(counts.iter().sum::<usize>() > 20, "{counts:?}");
        println!(
            "round {round}: {counts:?} acknowledged; writes: {} lost, {} torn, {} kept",
            lost.writes_lost, lost.writes_torn, lost.writes_kept
        );
        acknowledged.push(counts);
    }
    bench.etcd(&data, true).await;
    bench.disk.heal().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real etcd"]
async fn acknowledged_writes_survive_power_losses() {
    lose_five_times(Options::default(), |_| Survival::SyncedOnly).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real etcd"]
async fn acknowledged_writes_survive_torn_and_reordered_writes() {
    lose_five_times(Options::default(), |seed| match seed % 2 {
        0 => Survival::Torn {
            seed,
            unit: Tear::Sector,
        },
        _ => Survival::Subset {
            seed,
            tear: Some(Tear::Sector),
        },
    })
    .await;
}

/// What the mount costs, printed: the same writers on it and beside it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real etcd"]
async fn throughput_on_the_mount() {
    let bench = Bench::start(Options::default()).await;
    let plain = bench.dir.path().join("plain");
    let mut rates = Vec::new();
    for (data, on_disk) in [
        (plain.as_path(), false),
        (bench.disk.backing(), true),
        (plain.as_path(), false),
        (bench.disk.backing(), true),
    ] {
        let process = bench.etcd(data, on_disk).await;
        let stop = Arc::new(AtomicBool::new(false));
        let start = Instant::now();
        let writers = write(bench.client.port(), rates.len(), &stop);
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.store(true, Ordering::Relaxed);
        let count: usize = writers.into_iter().map(|it| it.join().unwrap()).sum();
        rates.push(count as f64 / start.elapsed().as_secs_f64());
        drop(process);
    }
    let ratio = (rates[1] + rates[3]) / (rates[0] + rates[2]);
    println!("writes/s, plain and on the mount, twice: {rates:.0?}; ratio {ratio:.2}");
    assert!(ratio > 0.05, "{rates:?}");
}
