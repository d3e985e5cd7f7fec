//! A replicated log by TiKV's `raft` crate: kept on disk with checksums, sent to peers, handed to a
//! [`Machine`] entry by entry once it is committed.
//!
//! One thread runs raft and writes the log (`driver`), one applies (`apply`); peers are talked to
//! from the tokio runtime (`transport`). The parts of etcd that behave so: server/etcdserver/raft.go,
//! server/storage/wal, api/rafthttp.

mod apply;
mod driver;
mod lines;
mod memory;
mod node;
mod planted;
mod reads;
mod snapshots;
mod start;
mod transport;
mod wal;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::sync::watch;

use crate::bugs::Bugs;
pub use node::Node;
pub use transport::ask;

/// A member as its peers reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Peer {
    pub id: u64,
    pub urls: Vec<String>,
    pub learner: bool,
}

/// Certificates between peers, PEM.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PeerTls {
    pub cert: Vec<u8>,
    pub key: Vec<u8>,
    pub ca: Vec<u8>,
}

/// How a member takes part.
#[derive(Clone, Debug)]
pub struct Options {
    /// This member.
    pub id: u64,
    /// Messages of another cluster are refused.
    pub cluster_id: u64,
    /// `member/wal` and `member/snap` are made below it.
    pub data_dir: PathBuf,
    /// All members that are known at the start, this one included. For a new cluster they are the
    /// first configuration; a member that joins has none of its own and hears it from the leader.
    pub peers: Vec<Peer>,
    /// `--initial-cluster-state=existing`.
    pub join: bool,
    /// Where peers are listened to: host and port of `--listen-peer-urls`.
    pub listen: Vec<std::net::SocketAddr>,
    /// Certificates, where the URLs are https.
    pub tls: Option<PeerTls>,
    /// `--heartbeat-interval`.
    pub heartbeat: Duration,
    /// `--election-timeout`.
    pub election: Duration,
    /// `--snapshot-count`: applied entries between two raft snapshots.
    pub snapshot_count: u64,
    /// `--experimental-snapshot-catchup-entries`: entries kept for followers behind a snapshot.
    pub catchup_entries: u64,
    /// `--pre-vote`.
    pub pre_vote: bool,
    /// Which bugs are on.
    pub bugs: Bugs,
}

/// A change of the configuration, as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ConfChange {
    Add { peer: Peer, context: Vec<u8> },
    Promote { id: u64, context: Vec<u8> },
    Remove { id: u64, context: Vec<u8> },
    Update { peer: Peer, context: Vec<u8> },
}

/// What the log has agreed on, in order.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Committed {
    /// An entry; empty data for a leader's first.
    Entry {
        index: u64,
        term: u64,
        data: Vec<u8>,
    },
    /// A change of the configuration. The machine says whether it is valid.
    ConfChange {
        index: u64,
        term: u64,
        change: ConfChange,
    },
    /// Everything up to `index`, as a database file that a peer sent, to be taken over.
    Snapshot { index: u64, term: u64, db: PathBuf },
}

/// What applying came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is done.
    Done,
    /// A change of the configuration that is refused: the configuration stays.
    Refused,
}

/// Who applies the log, on a thread of its own.
pub trait Machine: Send + 'static {
    /// The entry up to which everything is in the machine's own database, at the start.
    fn consistent_index(&self) -> u64;
    /// Applies what is next. Entries up to the consistent index come again after a restart: the
    /// machine ignores their effect, but sees changes of the configuration and wakes nobody.
    fn apply(&mut self, committed: Committed) -> Applied;
    /// A raft snapshot is about to be taken at the last applied index: makes it durable.
    fn commit(&mut self);
    /// Copies the database, as of the last applied index, to a file for a peer that is behind.
    ///
    /// # Errors
    /// When it cannot be written.
    fn copy_to(&mut self, path: &Path) -> std::io::Result<()>;
}

/// Who answers requests of peers that are not raft's: a joining member's question for the member
/// list, a lease renewal for the leader, and the like.
pub trait Answer: Send + Sync + 'static {
    /// Answers.
    fn answer(
        &self,
        kind: String,
        body: Vec<u8>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<u8>, tonic::Status>> + Send + '_>>;
}

/// What raft says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Status {
    pub leader: u64,
    pub term: u64,
    /// The last index of the log that is known to be committed.
    pub committed: u64,
    /// The last index that the machine has applied.
    pub applied: u64,
}

/// What a member found on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Identity {
    pub id: u64,
    pub cluster_id: u64,
}

/// Who this member is, if it has run before: the first record of its log.
///
/// # Errors
/// When there is a log that cannot be read.
pub fn identity(data_dir: &Path) -> anyhow::Result<Option<Identity>> {
    Ok(wal::read(&wal_dir(data_dir))?.map(|found| found.identity))
}

fn wal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("member").join("wal")
}

/// What the threads and the node share.
struct Shared {
    status: watch::Sender<Status>,
    /// Bytes that are committed and wait to be applied.
    backlog: AtomicU64,
    /// Both threads end.
    stop: AtomicBool,
}
