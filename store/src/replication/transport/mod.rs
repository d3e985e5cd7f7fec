//! Members talking to each other: gRPC, with TLS where the URLs are https.
//!
//! Each member keeps one stream open to each other one, dialled by its URLs in turn. A stream that
//! breaks, or falls silent, is dialled again; what cannot be sent now is dropped, as raft allows.

mod link;
mod serve;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raft::eraftpb;
use tokio::runtime::Handle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::driver::Command;
use super::wire::{CLUSTER_HEADER, FROM_HEADER, PeerClient, Question};
use super::{Peer, PeerTls};
use link::Link;
pub(super) use serve::{Service, listen};

const DIAL_TIMEOUT: Duration = Duration::from_millis(500);
/// A link that was mute works again soon after it heals: the dead connection is noticed in the sum of
/// the two.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
const BACK_OFF: Duration = Duration::from_millis(100);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Links are closed some time after a member was removed: it may not have heard of it yet.
const REMOVED_AFTER: Duration = Duration::from_secs(1);
const WINDOW: u32 = 4 * 1024 * 1024;

/// The links to all peers. Clones share them.
#[derive(Clone)]
pub(super) struct Links(Arc<Inner>);

struct Inner {
    own: u64,
    cluster_id: u64,
    tls: Option<PeerTls>,
    commands: SyncSender<Command>,
    runtime: Handle,
    peers: Mutex<Peers>,
}

#[derive(Default)]
struct Peers {
    links: BTreeMap<u64, Link>,
    removed: BTreeSet<u64>,
    closed: bool,
}

impl Links {
    /// To be called inside a tokio runtime.
    pub(super) fn new(
        own: u64,
        cluster_id: u64,
        tls: Option<PeerTls>,
        commands: SyncSender<Command>,
    ) -> Self {
        Self(Arc::new(Inner {
            own,
            cluster_id,
            tls,
            commands,
            runtime: Handle::current(),
            peers: Mutex::default(),
        }))
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Links to a peer; one that is known keeps its URLs unless they are to be `replaced`.
    pub(super) fn add(&self, peer: Peer, replace: bool) {
        let mut peers = self.peers();
        if peer.id == self.0.own || peers.closed {
            return;
        }
        let known = peers
            .links
            .get(&peer.id)
            .map(|link| link.urls() == peer.urls);
        if known == Some(true) || known == Some(false) && !replace {
            return;
        }
        peers.removed.remove(&peer.id);
        let id = peer.id;
        crate::info!("added remote peer", "remote-peer-id": format!("{id:x}"), "remote-peer-urls": peer.urls);
        let link = Link::new(self, peer);
        peers.links.insert(id, link);
    }

    /// These and no others.
    pub(super) fn replace(&self, all: Vec<Peer>) {
        let gone: Vec<_> = {
            let peers = self.peers();
            let ids = peers.links.keys().copied();
            ids.filter(|id| all.iter().all(|peer| peer.id != *id))
                .collect()
        };
        for id in gone {
            self.remove(id);
        }
        for peer in all {
            self.add(peer, true);
        }
    }

    /// A member that is no longer one is not heard or sent to, after a while.
    pub(super) fn remove(&self, id: u64) {
        let mut peers = self.peers();
        peers.removed.insert(id);
        if !peers.links.contains_key(&id) {
            return;
        }
        crate::info!("stopping remote peer", "remote-peer-id": format!("{id:x}"));
        let links = Arc::downgrade(&self.0);
        self.0.runtime.spawn(async move {
            tokio::time::sleep(REMOVED_AFTER).await;
            if let Some(inner) = links.upgrade() {
                let links = Self(inner);
                let mut peers = links.peers();
                if peers.removed.contains(&id) {
                    peers.links.remove(&id);
                }
            }
        });
    }

    /// Closes all of them.
    pub(super) fn close(&self) {
        let mut peers = self.peers();
        peers.closed = true;
        peers.links.clear();
    }

    /// Queues a message; false if it was dropped.
    pub(super) fn send(&self, message: eraftpb::Message) -> bool {
        let to = message.to;
        self.peers()
            .links
            .get(&to)
            .is_some_and(|link| link.send(message))
    }

    pub(super) fn active_since(&self, id: u64) -> Option<Instant> {
        self.peers().links.get(&id).and_then(Link::active_since)
    }

    fn urls(&self, id: u64) -> Vec<String> {
        self.peers()
            .links
            .get(&id)
            .map(|link| link.urls().to_vec())
            .unwrap_or_default()
    }

    /// Sends the database at `path` with its message; the file is removed.
    pub(super) fn send_snapshot(&self, message: eraftpb::Message, path: PathBuf) {
        snapshot::send(self, message, path);
    }

    /// Asks a peer.
    pub(super) async fn ask(&self, id: u64, kind: &str, body: Vec<u8>) -> Result<Vec<u8>, Status> {
        let open = self.peers().links.get(&id).and_then(Link::channel);
        let question = |body| {
            let kind = kind.to_owned();
            self.request(Question { kind, body })
        };
        if let Some(channel) = open {
            return ask_over(channel, question(body)).await;
        }
        let mut failed = Status::unavailable(format!("member {id:x} is not reachable"));
        for url in self.urls(id) {
            match dial(&url, self.0.tls.as_ref()).await {
                Ok(channel) => return ask_over(channel, question(body)).await,
                Err(error) => failed = Status::unavailable(error.to_string()),
            }
        }
        Err(failed)
    }

    /// A request that names the cluster and the sender.
    fn request<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        let metadata = request.metadata_mut();
        for (name, id) in [
            (CLUSTER_HEADER, self.0.cluster_id),
            (FROM_HEADER, self.0.own),
        ] {
            metadata.insert(
                name,
                format!("{id:x}")
                    .parse()
                    .expect("hexadecimal digits are ASCII"),
            );
        }
        request
    }

    /// Whether a caller may talk to this member: of the same cluster, and not removed from it.
    fn admit<T>(&self, request: &Request<T>) -> Result<u64, Status> {
        let id = |name| {
            let text = request.metadata().get(name)?.to_str().ok()?;
            u64::from_str_radix(text, 16).ok()
        };
        if id(CLUSTER_HEADER) != Some(self.0.cluster_id) {
            crate::warning!("request cluster ID mismatch",
                "local-member-cluster-id": format!("{:x}", self.0.cluster_id));
            return Err(Status::failed_precondition("cluster ID mismatch"));
        }
        let from = id(FROM_HEADER).unwrap_or_default();
        if self.peers().removed.contains(&from) && !self.peers().links.contains_key(&from) {
            return Err(Status::failed_precondition(
                "the member has been permanently removed from the cluster",
            ));
        }
        Ok(from)
    }
}

/// Connects to a URL of a peer.
async fn dial(url: &str, tls: Option<&PeerTls>) -> Result<Channel, tonic::transport::Error> {
    let mut endpoint = Endpoint::from_shared(url.to_owned())?
        .connect_timeout(DIAL_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if let Some(tls) = tls.filter(|_| url.starts_with("https:")) {
        endpoint = endpoint.tls_config(
            ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&tls.ca))
                .identity(Identity::from_pem(&tls.cert, &tls.key)),
        )?;
    }
    endpoint.connect().await
}

fn client(channel: Channel) -> PeerClient<Channel> {
    PeerClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

async fn ask_over(channel: Channel, request: Request<Question>) -> Result<Vec<u8>, Status> {
    let mut client = client(channel);
    let answer = tokio::time::timeout(ASK_TIMEOUT, client.ask(request));
    match answer.await {
        Ok(answer) => Ok(answer?.into_inner().body),
        Err(_) => Err(Status::deadline_exceeded("the peer did not answer in time")),
    }
}

/// Asks a peer by its URL, before this member has a node.
///
/// # Errors
/// When it does not answer in time.
pub async fn ask(
    url: &str,
    tls: Option<&PeerTls>,
    kind: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let channel = tokio::time::timeout(ASK_TIMEOUT, dial(url, tls)).await;
    let channel = channel
        .map_err(|_| Status::deadline_exceeded("the peer did not answer in time"))?
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let kind = kind.to_owned();
    ask_over(channel, Request::new(Question { kind, body })).await
}
