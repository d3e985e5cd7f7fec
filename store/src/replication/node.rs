//! What the server holds in its hand.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use raft::eraftpb::Entry;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::driver::{Command, Proposal};
use super::transport::Links;
use super::wire::Change;
use super::{Answer, ConfChange, Machine, Options, Peer, Shared, Status, start};
use crate::Error;

/// Entries that may be committed and not applied, as in etcd (maxGapBetweenApplyAndCommitIndex,
/// server/etcdserver/v3_server.go).
const MAX_GAP: u64 = 5000;
/// How long what serves peers may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// A request: 5 s and two elections, as in etcd (ReqTimeout, server/config/config.go).
    pub(super) request: Duration,
    transfer: Duration,
}

impl Limits {
    pub(super) fn new(heartbeat: Duration, election: Duration) -> Self {
        Self {
            request: Duration::from_secs(5) + 2 * election,
            transfer: election + heartbeat,
        }
    }
}

/// What a node is made of.
pub(super) struct Parts {
    pub(super) id: u64,
    pub(super) limits: Limits,
    pub(super) commands: SyncSender<Command>,
    pub(super) shared: Arc<Shared>,
    pub(super) links: Links,
    pub(super) answer: Arc<dyn Answer>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) threads: Vec<thread::JoinHandle<()>>,
    pub(super) serving: Vec<JoinHandle<()>>,
}

/// A member's part in the log. Clones share it; when the last one is dropped it ends by itself, and
/// [`Node::stop`] waits for that.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    id: u64,
    limits: Limits,
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
    links: Links,
    answer: Arc<dyn Answer>,
    stop: watch::Sender<bool>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    threads: Vec<thread::JoinHandle<()>>,
    serving: Vec<JoinHandle<()>>,
}

impl Inner {
    fn end(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Where there is no room the thread is awake anyway.
        let _ = self.commands.try_send(Command::Stop);
        self.stop.send_replace(true);
        self.links.close();
    }

    fn command(&self, command: Command) -> Result<(), Error> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                TrySendError::Full(_) => Error::TooManyRequests,
                TrySendError::Disconnected(_) => Error::Stopped,
            })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Node {
    pub(super) fn new(parts: Parts) -> Self {
        let running = Running {
            threads: parts.threads,
            serving: parts.serving,
        };
        Self(Arc::new(Inner {
            id: parts.id,
            limits: parts.limits,
            commands: parts.commands,
            shared: parts.shared,
            links: parts.links,
            answer: parts.answer,
            stop: parts.stop,
            running: Mutex::new(running),
        }))
    }

    /// Reads the log, starts listening, ticking and applying.
    ///
    /// # Errors
    /// When the log is damaged or of another member, or an address is taken.
    pub async fn start(
        options: Options,
        machine: Box<dyn Machine>,
        answer: Arc<dyn Answer>,
    ) -> anyhow::Result<Self> {
        start::start(options, machine, answer).await
    }

    /// Hands data to raft. That it is accepted here says nothing: it counts once it is applied.
    /// Waits while there is no leader; a future that is dropped meanwhile takes the data back.
    ///
    /// # Errors
    /// `TooManyRequests` where too much waits, `Timeout` without a leader, `NoLeader` where raft
    /// dropped it, `Stopped`.
    pub async fn propose(&self, data: Vec<u8>) -> Result<(), Error> {
        let entry = Entry {
            data: data.into(),
            ..Entry::default()
        };
        self.hand_in(entry).await
    }

    /// Hands a change of the configuration to raft. One that comes while another is not applied yet
    /// is dropped without a word, as in etcd.
    ///
    /// # Errors
    /// As [`Node::propose`].
    pub async fn propose_conf_change(&self, change: ConfChange) -> Result<(), Error> {
        self.hand_in(Change::new(change).entry()).await
    }

    async fn hand_in(&self, entry: Entry) -> Result<(), Error> {
        let status = self.status();
        if status.committed > status.applied + MAX_GAP {
            return Err(Error::TooManyRequests);
        }
        let (reply, taken) = oneshot::channel();
        let until = Instant::now() + self.0.limits.request;
        self.0.command(Command::Propose(Proposal {
            entry,
            until,
            reply,
        }))?;
        match tokio::time::timeout_at(until.into(), taken).await {
            Ok(Ok(taken)) => taken,
            Ok(Err(_)) if self.0.shared.stop.load(Ordering::Relaxed) => Err(Error::Stopped),
            Ok(Err(_)) | Err(_) => Err(Error::Timeout),
        }
    }

    /// An index such that a read after it has been applied here is linearizable: confirmed with a
    /// quorum by the leader after this call began.
    ///
    /// # Errors
    /// `LeaderChanged`, `Timeout`, `TooManyRequests`, `Stopped`.
    pub async fn read_index(&self) -> Result<u64, Error> {
        let (reply, index) = oneshot::channel();
        self.0.command(Command::ReadIndex(reply))?;
        index.await.unwrap_or(Err(Error::Stopped))
    }

    /// What raft says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        *self.0.shared.status.borrow()
    }

    /// Follows [`Status`]; `leader` and `term` change at once.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Status> {
        self.0.shared.status.subscribe()
    }

    /// Waits until `index` is applied here.
    pub async fn wait_applied(&self, index: u64) {
        let mut changes = self.changes();
        // The sender lives as long as the node.
        let _ = changes.wait_for(|status| status.applied >= index).await;
    }

    /// On the leader: how far each member's log is known to match; empty elsewhere.
    pub async fn progress(&self) -> BTreeMap<u64, u64> {
        let (reply, progress) = oneshot::channel();
        if self.0.command(Command::Progress(reply)).is_err() {
            return BTreeMap::new();
        }
        progress.await.unwrap_or_default()
    }

    /// Since when the stream to a peer has been open without a break; none while it is not.
    #[must_use]
    pub fn active_since(&self, id: u64) -> Option<Instant> {
        self.0.links.active_since(id)
    }

    /// The members as the machine knows them after a snapshot: peers that are not among them are
    /// let go.
    pub fn update_peers(&self, peers: Vec<Peer>) {
        self.0.links.replace(peers);
    }

    /// Asks the leader to hand over to this member; comes back when it has.
    ///
    /// # Errors
    /// `Timeout` after an election timeout: raft gives up then.
    pub async fn transfer_leadership(&self, to: u64) -> Result<(), Error> {
        let mut changes = self.changes();
        if self.status().leader == to {
            return Ok(());
        }
        self.0.command(Command::Transfer(to))?;
        let done = changes.wait_for(|status| status.leader == to);
        match tokio::time::timeout(self.0.limits.transfer, done).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// Asks a member, by its URLs.
    ///
    /// # Errors
    /// What the member answered, or that it did not in time.
    pub async fn ask(&self, id: u64, kind: &str, body: Vec<u8>) -> Result<Vec<u8>, tonic::Status> {
        if id == self.0.id {
            return self.0.answer.answer(kind.to_owned(), body).await;
        }
        self.0.links.ask(id, kind, body).await
    }

    /// Stops everything in order; nothing is pending after that.
    pub async fn stop(&self) {
        self.0.end();
        let running = {
            let mut running = self
                .0
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *running)
        };
        let joined = tokio::task::spawn_blocking(move || {
            for thread in running.threads {
                // A thread that fails ends the process.
                let _ = thread.join();
            }
        });
        // As above.
        let _ = joined.await;
        for mut serving in running.serving {
            if tokio::time::timeout(STOP_TIMEOUT, &mut serving)
                .await
                .is_err()
            {
                serving.abort();
            }
        }
    }
}
