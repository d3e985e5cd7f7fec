//! One member: a process on loopback with its data in a directory of its own.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::pb::etcdserverpb::{MemberListRequest, RangeRequest};
use api::pb::etcdserverpb::{cluster_client::ClusterClient, kv_client::KvClient};
use failpoints::ports::{self, PortLease};
use tonic::transport::{Channel, Endpoint};

/// Lines of a log that are shown, from a panic on or else its last.
const TAIL: usize = 12;

/// The program to start, with the arguments that come before etcd's flags.
#[derive(Clone, Debug)]
pub(crate) struct Program(Vec<String>);

impl Program {
    /// `ETCD` names it.
    pub(crate) fn reference() -> Self {
        Self(vec![
            std::env::var("ETCD").expect("ETCD names the etcd to compare with"),
        ])
    }

    /// `CONFORMANCE_SUBJECT` is a command line; else it is the store as this crate builds it.
    pub(crate) fn subject() -> Self {
        Self(match std::env::var("CONFORMANCE_SUBJECT") {
            Ok(line) => line.split_whitespace().map(String::from).collect(),
            Err(_) => vec![env!("CARGO_BIN_EXE_store-member").into()],
        })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]);
        command
    }
}

/// A member that runs; it is killed when dropped.
pub(crate) struct Member {
    child: Child,
    dir: tempfile::TempDir,
    _ports: [PortLease; 2],
    pub(crate) client_url: String,
    pub(crate) peer_url: String,
    pub(crate) id: u64,
    pub(crate) channel: Channel,
}

impl Member {
    /// Starts one, and waits until it answers.
    ///
    /// # Panics
    /// If it does not within 20 s.
    pub(crate) async fn start(program: &Program) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = [(); 2].map(|()| ports::lease().unwrap());
        let [client_url, peer_url] = ports
            .each_ref()
            .map(|port| format!("http://127.0.0.1:{}", port.port()));
        let log = File::create(dir.path().join("log")).unwrap();
        let mut child = program
            .command()
            .args(["--name=m1", "--bcrypt-cost=4", "--log-level=info"])
            .arg(format!("--data-dir={}", dir.path().join("data").display()))
            .arg(format!("--listen-client-urls={client_url}"))
            .arg(format!("--advertise-client-urls={client_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=m1={peer_url}"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?}: {error}"));

        let endpoint = Endpoint::from_shared(client_url.clone()).unwrap();
        for _ in 0..800 {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{program:?} ended ({status}):\n{}", tail(&dir));
            }
            if let Some((id, channel)) = serves(&endpoint).await {
                return Self {
                    child,
                    dir,
                    _ports: ports,
                    client_url,
                    peer_url,
                    id,
                    channel,
                };
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("{program:?} does not serve:\n{}", tail(&dir));
    }

    /// The end of its log, if it is no longer running.
    pub(crate) fn death(&mut self) -> Option<String> {
        let status = self.child.try_wait().unwrap()?;
        Some(format!("{status}\n{}", tail(&self.dir)))
    }
}

/// The member's id, if it answers a linearizable read.
async fn serves(endpoint: &Endpoint) -> Option<(u64, Channel)> {
    let ask = async {
        let channel = endpoint.connect().await.ok()?;
        let read = RangeRequest {
            key: b"k".to_vec(),
            ..RangeRequest::default()
        };
        KvClient::new(channel.clone()).range(read).await.ok()?;
        let list = ClusterClient::new(channel.clone())
            .member_list(MemberListRequest::default())
            .await
            .ok()?;
        Some((list.into_inner().header?.member_id, channel))
    };
    tokio::time::timeout(Duration::from_secs(2), ask)
        .await
        .ok()?
}

fn tail(dir: &tempfile::TempDir) -> String {
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let panic = lines.iter().position(|line| line.contains("panic"));
    let from = panic.unwrap_or(lines.len().saturating_sub(TAIL));
    let shown = lines.iter().skip(from).take(TAIL);
    shown.map(|line| format!("     | {line}\n")).collect()
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
