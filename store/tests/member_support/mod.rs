//! Clusters of real processes on loopback, for tests.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use api::pb::etcdserverpb as pb;
use api::pb::etcdserverpb::auth_client::AuthClient;
use api::pb::etcdserverpb::cluster_client::ClusterClient;
use api::pb::etcdserverpb::kv_client::KvClient;
use api::pb::etcdserverpb::lease_client::LeaseClient;
use api::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use failpoints::ports::{self, PortLease};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    pub(crate) members: Vec<Member>,
    flags: Vec<String>,
}

pub(crate) struct Member {
    name: String,
    client: PortLease,
    peer: PortLease,
    gofail: PortLease,
    child: Option<Child>,
}

impl Cluster {
    /// Starts `size` members and waits until each serves.
    pub(crate) async fn start(size: usize, flags: &[&str]) -> Self {
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            members: Vec::new(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        };
        for _ in 0..size {
            cluster.enlist();
        }
        for at in 0..size {
            cluster.run(at, "new", &[]);
        }
        for at in 0..size {
            cluster.ready(at).await;
        }
        cluster
    }

    /// A further member that does not run yet.
    pub(crate) fn enlist(&mut self) -> usize {
        self.members.push(Member {
            name: format!("m{}", self.members.len() + 1),
            client: ports::lease().unwrap(),
            peer: ports::lease().unwrap(),
            gofail: ports::lease().unwrap(),
            child: None,
        });
        self.members.len() - 1
    }

    pub(crate) fn run(&mut self, at: usize, state: &str, more: &[&str]) {
        let peers = self.members.iter();
        let initial: Vec<_> = peers
            .map(|m| format!("{}={}", m.name, m.peer_url()))
            .collect();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path(at))
            .unwrap();
        let member = &self.members[at];
        let child = Command::new(env!("CARGO_BIN_EXE_store-member"))
            .arg(format!("--name={}", member.name))
            .arg(format!(
                "--data-dir={}",
                self.dir.path().join(&member.name).display()
            ))
            .arg(format!("--listen-client-urls={}", member.client_url()))
            .arg(format!("--advertise-client-urls={}", member.client_url()))
            .arg(format!("--listen-peer-urls={}", member.peer_url()))
            .arg(format!(
                "--initial-advertise-peer-urls={}",
                member.peer_url()
            ))
            .arg(format!("--initial-cluster={}", initial.join(",")))
            .arg(format!("--initial-cluster-state={state}"))
            .args([
                "--heartbeat-interval=100",
                "--election-timeout=1000",
                "--bcrypt-cost=4",
            ])
            .args(&self.flags)
            .args(more)
            .env("GOFAIL_HTTP", format!("127.0.0.1:{}", member.gofail.port()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.members[at].child = Some(child);
    }

    pub(crate) async fn restart(&mut self, at: usize) {
        self.run(at, "new", &[]);
        self.ready(at).await;
    }

    /// Waits until a member answers a linearizable read.
    pub(crate) async fn ready(&mut self, at: usize) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.members[at].exited() {
                panic!("m{} ended with {status}: {}", at + 1, self.log(at));
            }
            if self.get(at, "").await.is_ok() {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{}",
                self.log(at)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log_path(&self, at: usize) -> PathBuf {
        self.dir
            .path()
            .join(format!("{}.log", self.members[at].name))
    }

    pub(crate) fn log(&self, at: usize) -> String {
        std::fs::read_to_string(self.log_path(at)).unwrap()
    }

    pub(crate) fn kill(&mut self, at: usize) {
        let child = self.members[at].child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.members[at].child = None;
    }

    pub(crate) async fn put(&self, at: usize, key: &str, value: &str) -> Result<i64, Status> {
        let put = pb::PutRequest {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        };
        let answer = self.members[at].kv().put(put).await?.into_inner();
        Ok(answer.header.unwrap().revision)
    }

    /// Puts until it is acknowledged: an election may be under way.
    pub(crate) async fn keep_putting(&self, at: usize, key: &str, value: &str) {
        let start = Instant::now();
        while let Err(status) = self.put(at, key, value).await {
            assert!(start.elapsed() < Duration::from_secs(30), "{status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The values of a key, or of everything for an empty one.
    pub(crate) async fn get(&self, at: usize, key: &str) -> Result<Vec<String>, Status> {
        let mut range = pb::RangeRequest {
            key: key.into(),
            ..Default::default()
        };
        if key.is_empty() {
            (range.key, range.range_end) = (vec![0], vec![0]);
        }
        let answer = self.members[at].kv().range(range).await?.into_inner();
        let values = answer
            .kvs
            .into_iter()
            .map(|kv| String::from_utf8(kv.value).unwrap());
        Ok(values.collect())
    }

    pub(crate) async fn status(&self, at: usize) -> pb::StatusResponse {
        let mut client = self.members[at].maintenance();
        client
            .status(pb::StatusRequest {})
            .await
            .unwrap()
            .into_inner()
    }

    /// The member that leads.
    pub(crate) async fn leader(&self) -> usize {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            for at in 0..self.members.len() {
                if self.members[at].child.is_none() {
                    continue;
                }
                let status = self.status(at).await;
                if status.leader != 0 && status.leader == status.header.unwrap().member_id {
                    return at;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody leads");
    }

    /// Waits until these members have the same revision, and gives whether their hashes agree.
    pub(crate) async fn agree(&self, members: &[usize]) -> bool {
        let start = Instant::now();
        loop {
            let mut seen = Vec::new();
            for &at in members {
                let status = self.status(at).await;
                let mut client = self.members[at].maintenance();
                let hash = client.hash_kv(pb::HashKvRequest::default()).await;
                let hash = hash.unwrap().into_inner();
                seen.push((
                    status.raft_applied_index,
                    hash.header.unwrap().revision,
                    hash.hash,
                ));
            }
            let applied = seen.windows(2).all(|two| two[0].0 == two[1].0);
            let agreed = seen.windows(2).all(|two| two[0] == two[1]);
            if agreed || (applied && start.elapsed() > Duration::from_secs(2)) {
                return agreed;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Adds users, each with the password "secret" and a role of its name.
    pub(crate) async fn add_users(&self, names: &[&str]) {
        let mut auth = self.members[0].auth();
        for &name in names {
            let user = pb::AuthUserAddRequest {
                name: name.into(),
                password: "secret".into(),
                ..Default::default()
            };
            auth.user_add(user).await.unwrap();
            let role = pb::AuthRoleAddRequest { name: name.into() };
            auth.role_add(role).await.unwrap();
            let grant = pb::AuthUserGrantRoleRequest {
                user: name.into(),
                role: name.into(),
            };
            auth.user_grant_role(grant).await.unwrap();
        }
    }
}

impl Member {
    pub(crate) fn client_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client.port())
    }

    pub(crate) fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer.port())
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(self.client_url())
            .unwrap()
            .connect_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(10))
            .connect_lazy()
    }

    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel())
    }

    pub(crate) fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel())
    }

    pub(crate) fn auth(&self) -> AuthClient<Channel> {
        AuthClient::new(self.channel())
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel())
    }

    pub(crate) fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel())
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.exited() {
                self.child = None;
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(15), "still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sets a failpoint, as gofail's endpoint does.
    pub(crate) fn failpoint(&self, name: &str, terms: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.gofail.port())).unwrap();
        let length = terms.len();
        write!(
            stream,
            "PUT /{name} HTTP/1.1\r\nHost: gofail\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{terms}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.contains(" 204 ") || answer.contains(" 200 "),
            "{answer}"
        );
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A request with a token.
pub(crate) fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("token", token.parse().unwrap());
    request
}
