//! Three members behind proxies, spoken to through etcd's JSON gateway.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use failpoints::network::PeerProxies;
use failpoints::ports::{PortLease, lease};
use failpoints::process::{Process, SpawnSpec, Spawner};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");
/// How long what must come may take, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const REQUEST: Duration = Duration::from_secs(2);

pub(crate) const NAMES: [&str; 3] = ["m1", "m2", "m3"];

#[derive(Clone, Copy)]
pub(crate) enum Peers {
    Direct,
    /// Behind proxies, under TLS.
    Proxied,
    /// The same in the clear, with proxies before clients too.
    ProxiedClients,
}

struct Member {
    _process: Process,
    /// Where clients dial.
    client: u16,
    _ports: Vec<PortLease>,
}

pub(crate) struct Cluster {
    pub(crate) proxies: Arc<PeerProxies>,
    members: Vec<Member>,
    _dir: TempDir,
}

impl Cluster {
    pub(crate) async fn start(peers: Peers) -> Self {
        let binary = PathBuf::from(std::env::var_os("ETCD").expect("ETCD names an etcd binary"));
        let dir = tempfile::tempdir().unwrap();
        let proxies = Arc::new(PeerProxies::new());
        let spawner = Spawner::new().unwrap();
        let leases: Vec<Vec<_>> = NAMES
            .iter()
            .map(|_| (0..4).map(|_| lease().unwrap()).collect())
            .collect();
        let advertised = |at: usize| match peers {
            Peers::Direct => leases[at][0].port(),
            _ => leases[at][1].port(),
        };
        let scheme = match peers {
            Peers::Proxied => "https",
            _ => "http",
        };
        let initial: Vec<_> = (0..3)
            .map(|at| format!("{}={scheme}://127.0.0.1:{}", NAMES[at], advertised(at)))
            .collect();
        let mut started = Vec::new();
        for (at, name) in NAMES.iter().enumerate() {
            let [peer, proxy, client, door] = [0, 1, 2, 3].map(|port| leases[at][port].port());
            if !matches!(peers, Peers::Direct) {
                proxies.add(name, proxy, peer).await.unwrap();
            }
            let own = dir.path().join(name);
            let mut spec = SpawnSpec::new(SUBJECT, &binary, dir.path().join(format!("{name}.log")));
            spec.args = [
                format!("--name={name}"),
                format!("--data-dir={}", own.display()),
                format!("--listen-client-urls=http://127.0.0.1:{client}"),
                format!("--advertise-client-urls=http://127.0.0.1:{client}"),
                format!("--listen-peer-urls={scheme}://127.0.0.1:{peer}"),
                format!(
                    "--initial-advertise-peer-urls={scheme}://127.0.0.1:{}",
                    advertised(at)
                ),
                format!("--initial-cluster={}", initial.join(",")),
                "--heartbeat-interval=50".into(),
                "--election-timeout=500".into(),
                "--logger=zap".into(),
            ]
            .map(Into::into)
            .into();
            if matches!(peers, Peers::Proxied) {
                spec.args.push("--peer-auto-tls".into());
            }
            let process = spawner.spawn(spec).await.unwrap();
            let mut dialled = client;
            if !matches!(peers, Peers::Direct) {
                proxies.register(name, process.pid()).unwrap();
            }
            if matches!(peers, Peers::ProxiedClients) {
                proxies.add_clients(name, door, client).await.unwrap();
                dialled = door;
            }
            started.push((process, dialled));
        }
        let members = started
            .into_iter()
            .zip(leases)
            .map(|((process, client), ports)| Member {
                _process: process,
                client,
                _ports: ports,
            });
        let cluster = Self {
            proxies,
            members: members.collect(),
            _dir: dir,
        };
        for at in 0..3 {
            cluster.wait_put(at).await;
        }
        cluster
    }

    pub(crate) async fn dial(&self, at: usize) -> Option<Session> {
        let stream = TcpStream::connect(("127.0.0.1", self.members[at].client)).await;
        let stream = stream.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Session(BufReader::new(stream)))
    }

    /// Whether a put through this member was answered.
    pub(crate) async fn put(&self, at: usize) -> bool {
        match self.dial(at).await {
            Some(mut session) => session.put().await,
            None => false,
        }
    }

    pub(crate) async fn wait_put(&self, at: usize) {
        let deadline = Instant::now() + PATIENCE;
        while !self.put(at).await {
            assert!(Instant::now() < deadline, "{} does not serve", NAMES[at]);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whom a member takes for the leader, by index.
    pub(crate) async fn leader_of(&self, at: usize) -> Option<usize> {
        let leader = self.status(at).await?["leader"].as_str()?.to_owned();
        for other in 0..3 {
            let status = self.status(other).await;
            if status.is_some_and(|s| s["header"]["member_id"].as_str() == Some(&leader)) {
                return Some(other);
            }
        }
        None
    }

    pub(crate) async fn wait_leader(&self, at: usize, wanted: impl Fn(usize) -> bool) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(leader) = self.leader_of(at).await.filter(|leader| wanted(*leader)) {
                return leader;
            }
            assert!(
                Instant::now() < deadline,
                "{} sees no such leader",
                NAMES[at]
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn status(&self, at: usize) -> Option<Value> {
        let mut session = self.dial(at).await?;
        session.ask("/v3/maintenance/status", &json!({})).await
    }

    /// Puts through every member, and waits until all have the same revision.
    pub(crate) async fn converge(&self) {
        for at in 0..3 {
            self.wait_put(at).await;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut revisions = Vec::new();
            for at in 0..3 {
                let status = self.status(at).await.unwrap_or_default();
                revisions.push(status["header"]["revision"].clone());
            }
            if revisions
                .iter()
                .all(|one| one.is_string() && *one == revisions[0])
            {
                return;
            }
            assert!(Instant::now() < deadline, "not converged: {revisions:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One connection to a member, kept alive.
pub(crate) struct Session(BufReader<TcpStream>);

impl Session {
    pub(crate) async fn put(&mut self) -> bool {
        // `k` and `v`.
        let body = json!({"key": "aw==", "value": "dg=="});
        let answer = self.ask("/v3/kv/put", &body).await;
        answer.is_some_and(|answer| answer.get("header").is_some())
    }

    async fn ask(&mut self, path: &str, body: &Value) -> Option<Value> {
        timeout(REQUEST, self.exchange(path, body)).await.ok()?
    }

    async fn exchange(&mut self, path: &str, body: &Value) -> Option<Value> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).await.ok()?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).await.ok()?;
        serde_json::from_slice(&answer).ok()
    }
}
