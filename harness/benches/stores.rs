//! Clusters of three real processes on loopback, the embedded store beside etcd 3.5.16 on the same
//! disk in the same run: puts a second, and the time from start to the first write. And the disk's
//! own bound: one write and fdatasync after the other.
//!
//! `cargo bench -p gauntlet --bench stores`; etcd is installed on first use. The data directory is
//! below `CARGO_TARGET_TMPDIR`, on the disk of the target directory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api::pb::etcdserverpb::PutRequest;
use api::pb::etcdserverpb::kv_client::KvClient;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use failpoints::ports::PortLease;
use tonic::transport::Channel;

/// Clients at the same time, spread over the members.
const CLIENTS: usize = 96;
const VALUE_BYTES: usize = 64;

/// Three members, killed when dropped.
struct Cluster {
    members: Vec<Child>,
    clients: Vec<PortLease>,
    _peers: Vec<PortLease>,
    _dir: tempfile::TempDir,
}

impl Cluster {
    fn start(command: &[String]) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let leases = || (0..3).map(|_| failpoints::ports::lease().expect("a port"));
        let (clients, peers): (Vec<_>, Vec<_>) = (leases().collect(), leases().collect());
        let url = |port: &PortLease| format!("http://127.0.0.1:{}", port.port());
        let all: Vec<_> = (1..)
            .zip(&peers)
            .map(|(number, peer)| format!("m{number}={}", url(peer)))
            .collect();
        let start = |number: usize| {
            let name = format!("m{}", number + 1);
            Command::new(&command[0])
                .args(&command[1..])
                .arg(format!("--name={name}"))
                .arg(format!("--data-dir={}", dir.path().join(&name).display()))
                .arg(format!("--listen-client-urls={}", url(&clients[number])))
                .arg(format!("--advertise-client-urls={}", url(&clients[number])))
                .arg(format!("--listen-peer-urls={}", url(&peers[number])))
                .arg(format!(
                    "--initial-advertise-peer-urls={}",
                    url(&peers[number])
                ))
                .arg(format!("--initial-cluster={}", all.join(",")))
                .arg("--initial-cluster-state=new")
                .arg("--heartbeat-interval=50")
                .arg("--election-timeout=500")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("a member starts")
        };
        let members = (0..3).map(start).collect();
        Self {
            members,
            clients,
            _peers: peers,
            _dir: dir,
        }
    }

    /// A client of each member, as soon as each has acknowledged a write.
    async fn ready(&self) -> Vec<KvClient<Channel>> {
        let mut clients = Vec::new();
        for port in &self.clients {
            let url = format!("http://127.0.0.1:{}", port.port());
            let end = Instant::now() + Duration::from_secs(30);
            let client = loop {
                assert!(Instant::now() < end, "{url} serves no write");
                if let Ok(mut client) = KvClient::connect(url.clone()).await
                    && client.put(put(0)).await.is_ok()
                {
                    break client;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            clients.push(client);
        }
        clients
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

fn put(number: u64) -> PutRequest {
    PutRequest {
        key: format!("k/{:04}", number % 1000).into_bytes(),
        value: vec![b'v'; VALUE_BYTES],
        ..Default::default()
    }
}

/// So many acknowledged puts by all clients together.
async fn puts(clients: &[KvClient<Channel>], total: u64) -> Duration {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = clients[number % clients.len()].clone();
            let next = next.clone();
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return;
                    }
                    client.put(put(number)).await.expect("an acknowledged put");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a client ends");
    }
    start.elapsed()
}

fn stores() -> Vec<(&'static str, Vec<String>)> {
    let gauntlet = env!("CARGO_BIN_EXE_gauntlet");
    let path = Command::new(gauntlet)
        .args(["etcd", "install", "3.5.16"])
        .stdout(Stdio::null())
        .status()
        .and_then(|_| {
            Command::new(gauntlet)
                .args(["etcd", "path", "3.5.16"])
                .output()
        })
        .expect("etcd 3.5.16 is installed");
    let etcd = String::from_utf8(path.stdout).expect("a path");
    let etcd = PathBuf::from(etcd.trim());
    assert!(Path::new(&etcd).is_file(), "etcd 3.5.16 could not be had");
    vec![
        ("embedded", vec![gauntlet.to_owned(), "store".to_owned()]),
        ("etcd-3.5.16", vec![etcd.display().to_string()]),
    ]
}

fn clusters(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("puts of 64 bytes, 96 clients, 3 members");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(1));
    for (name, command) in stores() {
        let cluster = Cluster::start(&command);
        let clients = runtime.block_on(cluster.ready());
        group.bench_function(name, |b| {
            b.iter_custom(|total| runtime.block_on(puts(&clients, total)));
        });
    }
    group.bench_function("write and fdatasync of 256 bytes", |b| {
        let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
        b.iter(|| {
            file.write_all(&[7; 256]).expect("a write");
            file.sync_data().expect("a sync");
        });
    });
    group.finish();

    let mut group = c.benchmark_group("start of 3 members to a write through each");
    group.sample_size(10);
    for (name, command) in stores() {
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let mut total = Duration::ZERO;
                for _ in 0..times {
                    let start = Instant::now();
                    let cluster = Cluster::start(&command);
                    runtime.block_on(cluster.ready());
                    total += start.elapsed();
                }
                total
            });
        });
    }
    group.finish();
}

criterion_group!(benches, clusters);
criterion_main!(benches);
