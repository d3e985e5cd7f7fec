//! The link to one peer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use protobuf::Message as _;
use raft::eraftpb;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::super::driver::{Command, MESSAGE_BYTES};
use super::super::wire::Frame;
use super::{BACK_OFF, Links, Peer, client, dial};

/// Messages that wait to be sent, as etcd's stream has (streamBufSize, api/rafthttp/peer.go).
const QUEUE: usize = 4096;

/// One peer. Dropping it closes the link.
pub(super) struct Link {
    urls: Vec<String>,
    queue: mpsc::Sender<eraftpb::Message>,
    open: Arc<Mutex<Option<Open>>>,
    task: JoinHandle<()>,
}

struct Open {
    since: Instant,
    channel: Channel,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    pub(super) fn new(links: &Links, peer: Peer) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let open = Arc::new(Mutex::new(None));
        let dialler = Dialler {
            id: peer.id,
            urls: peer.urls.clone(),
            // The links own this one, and not the other way round.
            links: Arc::downgrade(&links.0),
            open: open.clone(),
        };
        Self {
            urls: peer.urls,
            queue,
            open,
            task: links.0.runtime.spawn(dialler.run(messages)),
        }
    }

    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    pub(super) fn send(&self, message: eraftpb::Message) -> bool {
        self.active_since().is_some() && self.queue.try_send(message).is_ok()
    }

    pub(super) fn active_since(&self) -> Option<Instant> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.since)
    }

    pub(super) fn channel(&self) -> Option<Channel> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.channel.clone())
    }
}

struct Dialler {
    id: u64,
    urls: Vec<String>,
    links: std::sync::Weak<super::Inner>,
    open: Arc<Mutex<Option<Open>>>,
}

impl Dialler {
    async fn run(self, mut messages: mpsc::Receiver<eraftpb::Message>) {
        let mut told = false;
        for at in 0.. {
            let Some(links) = self.links.upgrade().map(Links) else {
                return;
            };
            let Some(url) = self.urls.get(at % self.urls.len().max(1)) else {
                return;
            };
            let id = format!("{:x}", self.id);
            match self.stream(&links, url, &mut messages).await {
                Err(error) if !told => {
                    crate::warning!("prober detected unhealthy status", "remote-peer-id": id, "error": error);
                    told = true;
                }
                Err(_) => {}
                Ok(error) => {
                    crate::warning!("lost TCP streaming connection with remote peer",
                        "remote-peer-id": id, "error": error);
                    told = false;
                    // Raft hears of it by silence if there is no room.
                    let _ = links.0.commands.try_send(Command::Unreachable(self.id));
                }
            }
            drop(links);
            // What waited is of another time.
            while messages.try_recv().is_ok() {}
            tokio::time::sleep(BACK_OFF).await;
        }
    }

    /// Sends until the stream breaks; an error if it was never open.
    async fn stream(
        &self,
        links: &Links,
        url: &str,
        messages: &mut mpsc::Receiver<eraftpb::Message>,
    ) -> Result<String, String> {
        let channel = dial(url, links.0.tls.as_ref())
            .await
            .map_err(|error| format!("{error:?}"))?;
        let (frames, outgoing) = mpsc::channel(16);
        let request = links.request(ReceiverStream::new(outgoing));
        let mut client = client(channel.clone());
        let answer = tokio::time::timeout(super::DIAL_TIMEOUT, client.stream(request))
            .await
            .map_err(|_| "no answer".to_owned())?;
        let mut answers = answer.map_err(|status| status.to_string())?.into_inner();
        let since = Instant::now();
        self.set(Some(Open { since, channel }));
        crate::info!("established TCP streaming connection with remote peer",
            "remote-peer-id": format!("{:x}", self.id));
        // If there is no room raft has other things to do than an early election.
        let _ = links.0.commands.try_send(Command::Connected);
        let pump = async {
            while let Some(message) = messages.recv().await {
                let frame = gather(message, messages);
                if frames.send(frame).await.is_err() {
                    break;
                }
            }
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = answers.message() => ended,
            never = pump => never,
        };
        self.set(None);
        Ok(ended.map_or_else(|status| status.to_string(), |_| "closed".to_owned()))
    }

    fn set(&self, open: Option<Open>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }
}

/// What waits, as one frame of a bounded size.
fn gather(first: eraftpb::Message, messages: &mut mpsc::Receiver<eraftpb::Message>) -> Frame {
    let (mut next, mut bytes) = (Some(first), 0);
    let mut frame = Frame::default();
    while let Some(message) = next {
        let encoded = message
            .write_to_bytes()
            .expect("a message in memory can be encoded");
        bytes += encoded.len() as u64;
        frame.messages.push(encoded);
        next = (bytes < MESSAGE_BYTES)
            .then(|| messages.try_recv().ok())
            .flatten();
    }
    frame
}
