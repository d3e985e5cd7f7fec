//! Members of a test: a machine that keeps a list, in memory and in a file.

#![allow(dead_code)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use store::bugs::Bugs;
use store::replication::{
    Answer, Applied, Committed, ConfChange, Machine, Node, Options, Peer, Status,
};

/// What the machine of a member has applied. Its file has what it had at the last commit.
#[derive(Clone, Default)]
pub(crate) struct List {
    shared: Arc<Mutex<Applieds>>,
    waiting: Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>,
    file: PathBuf,
}

#[derive(Clone, Default)]
pub(crate) struct Applieds {
    pub(crate) index: u64,
    pub(crate) values: Vec<String>,
    pub(crate) changes: Vec<ConfChange>,
    pub(crate) snapshots: u64,
    pub(crate) refuse: bool,
}

impl List {
    pub(crate) fn open(file: PathBuf) -> Self {
        let list = Self {
            file: file.clone(),
            ..Self::default()
        };
        if file.exists() {
            list.load(&file);
        }
        list
    }

    fn load(&self, file: &Path) {
        let text = std::fs::read_to_string(file).unwrap();
        let mut lines = text.lines();
        let mut shared = self.shared.lock().unwrap();
        shared.index = lines.next().unwrap().parse().unwrap();
        shared.values = lines.map(str::to_owned).collect();
    }

    fn write(&self, file: &Path) -> std::io::Result<()> {
        let shared = self.shared.lock().unwrap();
        let text = format!("{}\n{}", shared.index, shared.values.join("\n"));
        std::fs::write(file, text)
    }

    pub(crate) fn values(&self) -> Vec<String> {
        self.shared.lock().unwrap().values.clone()
    }

    /// Ends when a value that is proposed after this call is applied.
    pub(crate) fn wait(&self, value: String) -> oneshot::Receiver<()> {
        let (waiter, waiting) = oneshot::channel();
        self.waiting.lock().unwrap().insert(value, waiter);
        waiting
    }

    pub(crate) fn get<T>(&self, f: impl FnOnce(&mut Applieds) -> T) -> T {
        f(&mut self.shared.lock().unwrap())
    }
}

impl Machine for List {
    fn consistent_index(&self) -> u64 {
        self.shared.lock().unwrap().index
    }

    fn apply(&mut self, committed: Committed) -> Applied {
        if let Committed::Snapshot { db, .. } = &committed {
            self.load(db);
            std::fs::copy(db, &self.file).unwrap();
            self.shared.lock().unwrap().snapshots += 1;
            return Applied::Done;
        }
        let mut shared = self.shared.lock().unwrap();
        match committed {
            Committed::Entry { index, data, .. } => {
                if index > shared.index {
                    shared.index = index;
                    if !data.is_empty() {
                        let value = String::from_utf8(data).unwrap();
                        if let Some(waiter) = self.waiting.lock().unwrap().remove(&value) {
                            let _ = waiter.send(());
                        }
                        shared.values.push(value);
                    }
                }
            }
            Committed::ConfChange { index, change, .. } => {
                shared.index = shared.index.max(index);
                shared.changes.push(change);
                if shared.refuse {
                    return Applied::Refused;
                }
            }
            Committed::Snapshot { .. } => {}
        }
        Applied::Done
    }

    fn commit(&mut self) {
        self.write(&self.file).unwrap();
    }

    fn copy_to(&mut self, path: &Path) -> std::io::Result<()> {
        self.write(path)
    }
}

struct Echo;

impl Answer for Echo {
    fn answer(
        &self,
        kind: String,
        mut body: Vec<u8>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<u8>, tonic::Status>> + Send + '_>> {
        Box::pin(async move {
            if kind != "echo" {
                return Err(tonic::Status::unimplemented(kind));
            }
            body.reverse();
            Ok(body)
        })
    }
}

/// A member that runs.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) list: List,
}

/// Members on loopback; ids from 1.
pub(crate) struct Cluster {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) peers: Vec<Peer>,
    pub(crate) bugs: Bugs,
    pub(crate) snapshot_count: u64,
    pub(crate) catchup_entries: u64,
    pub(crate) heartbeat: Duration,
    pub(crate) election: Duration,
}

impl Cluster {
    pub(crate) fn new(members: u64) -> Self {
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            peers: Vec::new(),
            bugs: Bugs::default(),
            snapshot_count: 100_000,
            catchup_entries: 5000,
            heartbeat: Duration::from_millis(50),
            election: Duration::from_millis(500),
        };
        for id in 1..=members {
            cluster.peers.push(peer(id, false));
        }
        cluster
    }

    pub(crate) fn data_dir(&self, id: u64) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    pub(crate) fn options(&self, id: u64) -> Options {
        let own = self.peers.iter().find(|peer| peer.id == id).unwrap();
        Options {
            id,
            cluster_id: 77,
            data_dir: self.data_dir(id),
            peers: self.peers.clone(),
            join: false,
            listen: vec![address(own)],
            tls: None,
            heartbeat: self.heartbeat,
            election: self.election,
            snapshot_count: self.snapshot_count,
            catchup_entries: self.catchup_entries,
            pre_vote: true,
            bugs: self.bugs,
        }
    }

    pub(crate) async fn start(&self, id: u64) -> Member {
        self.start_with(self.options(id)).await
    }

    pub(crate) async fn start_with(&self, options: Options) -> Member {
        std::fs::create_dir_all(&options.data_dir).unwrap();
        let list = List::open(options.data_dir.join("list"));
        let node = Node::start(options, Box::new(list.clone()), Arc::new(Echo))
            .await
            .unwrap();
        Member { node, list }
    }

    pub(crate) async fn start_all(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for peer in &self.peers {
            members.push(self.start(peer.id).await);
        }
        members
    }
}

/// A peer with a port that nobody else takes while this process runs.
pub(crate) fn peer(id: u64, learner: bool) -> Peer {
    let port = failpoints::ports::lease().unwrap();
    let url = format!("http://127.0.0.1:{}", port.port());
    std::mem::forget(port);
    Peer {
        id,
        urls: vec![url],
        learner,
    }
}

pub(crate) fn address(peer: &Peer) -> SocketAddr {
    let (_, address) = peer.urls[0].split_once("://").unwrap();
    address.parse().unwrap()
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !so() {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The place of the leader, once all agree.
pub(crate) async fn leader(members: &[Member]) -> usize {
    let mut at = 0;
    eventually("a leader", || {
        let status: Vec<Status> = members.iter().map(|m| m.node.status()).collect();
        let leader = status[0].leader;
        at = leader.saturating_sub(1) as usize;
        leader != 0
            && status
                .iter()
                .all(|s| s.leader == leader && s.term == status[0].term)
    })
    .await;
    at
}

/// Ends the last member; the others have a leader among them when it comes back.
pub(crate) async fn send_away(members: &mut Vec<Member>) {
    let away = members.pop().unwrap();
    away.node.stop().await;
    let gone = members.len() as u64 + 1;
    eventually("a leader among the others", || {
        let mut leaders = members.iter().map(|m| m.node.status().leader);
        leaders.all(|leader| leader != 0 && leader != gone)
    })
    .await;
}

/// Proposes and waits until the same member has applied it.
pub(crate) async fn put(member: &Member, value: &str) {
    member
        .node
        .propose(value.as_bytes().to_vec())
        .await
        .unwrap();
    let list = member.list.clone();
    eventually(value, || list.values().iter().rev().any(|v| v == value)).await;
}

pub(crate) async fn agree(members: &[Member], values: &[String]) {
    for member in members {
        let list = member.list.clone();
        eventually("the same list", || list.values() == values).await;
    }
}
