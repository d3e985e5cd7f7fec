//! A cluster of subject processes behind proxies.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use failpoints::network::PeerProxies;
use failpoints::ports::{PortLease, lease};
use failpoints::process::{Process, SpawnSpec, Spawner};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");
const PATIENCE: Duration = Duration::from_secs(20);

/// One member: its process and the line to it.
pub(crate) struct Peer {
    process: Option<Process>,
    control: Option<BufReader<TcpStream>>,
    proxy: PortLease,
    listen: PortLease,
    orders: PortLease,
}

impl Peer {
    async fn start(&mut self, spawner: &Spawner, log: PathBuf) {
        let mut spec = SpawnSpec::new(SUBJECT, SUBJECT, log);
        let (listen, orders) = (self.listen.port(), self.orders.port());
        spec.args = vec![
            "member".into(),
            listen.to_string().into(),
            orders.to_string().into(),
        ];
        self.process = Some(spawner.spawn(spec).await.unwrap());
        let control = timeout(PATIENCE, async {
            loop {
                match TcpStream::connect(("127.0.0.1", orders)).await {
                    Ok(stream) => break stream,
                    Err(_) => sleep(Duration::from_millis(2)).await,
                }
            }
        });
        self.control = Some(BufReader::new(control.await.unwrap()));
    }

    pub(crate) async fn say(&mut self, order: &str) {
        let control = self.control.as_mut().unwrap().get_mut();
        let line = format!("{order}\n");
        control.write_all(line.as_bytes()).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> String {
        let mut answer = String::new();
        let control = self.control.as_mut().unwrap();
        let heard = timeout(PATIENCE, control.read_line(&mut answer)).await;
        heard.expect("an answer").unwrap();
        answer.trim_end().into()
    }

    pub(crate) async fn ask(&mut self, order: &str) -> String {
        self.say(order).await;
        self.hear().await
    }

    pub(crate) async fn dial(&mut self, name: &str, port: u16) -> String {
        self.ask(&format!("dial {name} {port}")).await
    }

    pub(crate) async fn echo(&mut self, name: &str, text: &str) -> String {
        self.ask(&format!("echo {name} {text}")).await
    }
}

/// Members and their proxies.
pub(crate) struct Cluster {
    pub(crate) proxies: Arc<PeerProxies>,
    peers: HashMap<String, Peer>,
    spawner: Spawner,
    dir: TempDir,
}

impl Cluster {
    pub(crate) async fn start(names: &[&str]) -> Self {
        let mut cluster = Self {
            proxies: PeerProxies::new().into(),
            peers: HashMap::new(),
            spawner: Spawner::new().unwrap(),
            dir: tempfile::tempdir().unwrap(),
        };
        for name in names {
            cluster.add(name).await;
        }
        cluster
    }

    pub(crate) async fn add(&mut self, name: &str) {
        let [proxy, listen, orders] = [(); 3].map(|()| lease().unwrap());
        let proxies = &self.proxies;
        let (from, to) = (proxy.port(), listen.port());
        proxies.add(name, from, to).await.unwrap();
        let peer = Peer {
            process: None,
            control: None,
            proxy,
            listen,
            orders,
        };
        self.peers.insert(name.into(), peer);
        self.restart_unregistered(name).await;
        self.register(name);
    }

    pub(crate) async fn kill(&mut self, name: &str) {
        let peer = self.peer(name);
        peer.control = None;
        peer.process = None;
    }

    pub(crate) async fn restart_unregistered(&mut self, name: &str) {
        self.kill(name).await;
        let log = self.dir.path().join(name);
        let peer = self.peers.get_mut(name).unwrap();
        peer.start(&self.spawner, log).await;
    }

    pub(crate) fn register(&self, name: &str) {
        let pid = self.peers[name].process.as_ref().unwrap().pid();
        self.proxies.register(name, pid).unwrap();
    }

    pub(crate) fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.get_mut(name).unwrap()
    }

    /// Puts a proxy for clients in front of a member; gives its port.
    #[allow(dead_code)]
    pub(crate) async fn serve_clients(&mut self, name: &str) -> PortLease {
        let lease = lease().unwrap();
        let target = self.peers[name].listen.port();
        let adding = self.proxies.add_clients(name, lease.port(), target);
        adding.await.unwrap();
        lease
    }

    pub(crate) fn proxy_port(&self, name: &str) -> u16 {
        self.peers[name].proxy.port()
    }
}
