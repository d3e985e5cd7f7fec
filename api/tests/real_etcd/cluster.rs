//! A cluster of three members of the release under test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::pb::etcdserverpb::kv_client::KvClient;
use failpoints::ports::{self, PortLease};
use tonic::transport::{Channel, Endpoint};

use super::{TIMEOUT, range};

/// Three members.
pub(super) struct Cluster {
    children: Vec<Child>,
    clients: Vec<String>,
    dir: tempfile::TempDir,
    _ports: [PortLease; 6],
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Cluster {
    pub(super) fn start() -> Self {
        let binary = std::env::var("ETCD").expect("ETCD names the binary to test against");
        let dir = tempfile::tempdir().unwrap();
        let ports = [(); 6].map(|()| ports::lease().unwrap());
        let urls = ports
            .each_ref()
            .map(|port| format!("http://127.0.0.1:{}", port.port()));
        let (clients, peers) = urls.split_at(3);
        let everyone: Vec<_> = peers
            .iter()
            .enumerate()
            .map(|(m, peer)| format!("m{m}={peer}"))
            .collect();
        let children = clients
            .iter()
            .zip(peers)
            .enumerate()
            .map(|(m, (client, peer))| {
                Command::new(&binary)
                    .args(["--bcrypt-cost=4", "--log-level=error"])
                    .arg(format!("--name=m{m}"))
                    .arg(format!(
                        "--data-dir={}",
                        dir.path().join(format!("m{m}")).display()
                    ))
                    .arg(format!("--listen-client-urls={client}"))
                    .arg(format!("--advertise-client-urls={client}"))
                    .arg(format!("--listen-peer-urls={peer}"))
                    .arg(format!("--initial-advertise-peer-urls={peer}"))
                    .arg(format!("--initial-cluster={}", everyone.join(",")))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap()
            });
        Self {
            children: children.collect(),
            clients: clients.to_vec(),
            dir,
            _ports: ports,
        }
    }

    pub(super) async fn connect(&self) -> Vec<Channel> {
        let mut channels = Vec::new();
        for client in &self.clients {
            let endpoint = Endpoint::from_shared(client.clone())
                .unwrap()
                .timeout(TIMEOUT);
            let mut ready = None;
            for _ in 0..400 {
                if let Ok(channel) = endpoint.connect().await
                    && KvClient::new(channel.clone())
                        .range(range("k", 0))
                        .await
                        .is_ok()
                {
                    ready = Some(channel);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            channels.push(ready.expect("the member does not serve"));
        }
        channels
    }

    /// The data directory of the first member.
    pub(super) fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("m0")
    }
}
