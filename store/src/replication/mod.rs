//! A replicated log by TiKV's `raft` crate: kept on disk with checksums, sent to peers, handed to a
//! [`Machine`] entry by entry once it is committed.
//!
//! STUB: signatures to build on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Error;
use crate::bugs::Bugs;

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

/// A member's part in the log. Clones share it.
#[derive(Clone)]
pub struct Node;

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
pub fn identity(_data_dir: &Path) -> anyhow::Result<Option<Identity>> {
    todo!()
}

/// Asks a peer by its URL, before this member has a node.
///
/// # Errors
/// When it does not answer in time.
pub async fn ask(
    _url: &str,
    _tls: Option<&PeerTls>,
    _kind: &str,
    _body: Vec<u8>,
) -> Result<Vec<u8>, tonic::Status> {
    todo!()
}

#[allow(missing_docs, unused_variables, clippy::missing_errors_doc)]
impl Node {
    /// Reads the log, starts listening, ticking and applying.
    pub async fn start(
        options: Options,
        machine: Box<dyn Machine>,
        answer: Arc<dyn Answer>,
    ) -> anyhow::Result<Self> {
        todo!()
    }
    /// Hands data to raft. That it is accepted here says nothing: it counts once it is applied.
    pub async fn propose(&self, data: Vec<u8>) -> Result<(), Error> {
        todo!()
    }
    pub async fn propose_conf_change(&self, change: ConfChange) -> Result<(), Error> {
        todo!()
    }
    /// An index such that a read after it has been applied here is linearizable: confirmed with a
    /// quorum by the leader after this call began.
    pub async fn read_index(&self) -> Result<u64, Error> {
        todo!()
    }
    #[must_use]
    pub fn status(&self) -> Status {
        todo!()
    }
    /// Follows [`Status`]; `leader` and `term` change at once.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Status> {
        todo!()
    }
    /// Waits until `index` is applied here.
    pub async fn wait_applied(&self, index: u64) {
        todo!()
    }
    /// On the leader: how far each member's log is known to match; empty elsewhere.
    pub async fn progress(&self) -> BTreeMap<u64, u64> {
        todo!()
    }
    /// Since when a peer has been heard of without a break; none while it is silent.
    #[must_use]
    pub fn active_since(&self, id: u64) -> Option<std::time::Instant> {
        todo!()
    }
    /// Asks the leader to hand over to this member; comes back when it has, or not in time.
    pub async fn transfer_leadership(&self, to: u64) -> Result<(), Error> {
        todo!()
    }
    /// Asks a member, by its URLs.
    pub async fn ask(&self, id: u64, kind: &str, body: Vec<u8>) -> Result<Vec<u8>, tonic::Status> {
        todo!()
    }
    /// Stops everything in order; nothing is pending after that.
    pub async fn stop(&self) {
        todo!()
    }
}
