//! What peers call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use protobuf::Message as _;
use raft::eraftpb;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use super::super::driver::Command;
use super::super::snapshots::Snapshots;
use super::super::wire::{Chunk, Frame, Nothing, PeerServer, PeerService, Question, Reply};
use super::super::{Answer, PeerTls};
use super::{KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, Links, WINDOW, snapshot};

/// Serves this member's peers.
#[derive(Clone)]
pub(in super::super) struct Service {
    pub(in super::super) links: Links,
    pub(in super::super) answer: Arc<dyn Answer>,
    pub(in super::super) snapshots: Snapshots,
    /// True once all is to end.
    pub(in super::super) stop: watch::Receiver<bool>,
}

/// Listens; comes back when it does, and ends when it is told to stop.
pub(in super::super) async fn listen(
    service: &Service,
    address: SocketAddr,
    tls: Option<&PeerTls>,
) -> anyhow::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut server = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT));
    if let Some(tls) = tls {
        server = server.tls_config(
            ServerTlsConfig::new()
                .identity(Identity::from_pem(&tls.cert, &tls.key))
                .client_ca_root(Certificate::from_pem(&tls.ca)),
        )?;
    }
    let mut stop = service.stop.clone();
    let ended = async move {
        // An error is that nobody can tell any more.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let service = PeerServer::new(service.clone())
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    let serving = server
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, ended);
    Ok(tokio::spawn(async move {
        if let Err(error) = serving.await {
            crate::warning!("stopped serving peer traffic", "error": error.to_string());
        }
    }))
}

/// Hands a message to raft's thread; waits for room, which is what slows a peer down.
async fn deliver(commands: &SyncSender<Command>, message: eraftpb::Message) -> Result<(), Status> {
    let mut command = Command::Message(Box::new(message));
    loop {
        match commands.try_send(command) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(back)) => command = back,
            Err(TrySendError::Disconnected(_)) => return Err(Status::unavailable("stopped")),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl Service {
    async fn receive(&self, mut frames: Streaming<Frame>) -> Result<(), Status> {
        while let Some(frame) = frames.message().await? {
            for bytes in frame.messages {
                let message = eraftpb::Message::parse_from_bytes(&bytes)
                    .map_err(|error| Status::invalid_argument(error.to_string()))?;
                deliver(&self.links.0.commands, message).await?;
            }
        }
        Ok(())
    }

    async fn stopped(&self) {
        // An error is that nobody can tell any more.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }
}

#[tonic::async_trait]
impl PeerService for Service {
    type StreamStream = ReceiverStream<Result<Nothing, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        self.links.admit(&request)?;
        let (end, answers) = mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            let failed = tokio::select! {
                received = service.receive(request.into_inner()) => received.err(),
                () = end.closed() => None,
                () = service.stopped() => None,
            };
            if let Some(status) = failed {
                // Whoever sent it may be gone.
                let _ = end.try_send(Err(status));
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<Chunk>>,
    ) -> Result<Response<Nothing>, Status> {
        let from = self.links.admit(&request)?;
        let message = tokio::select! {
            message = snapshot::receive(&self.snapshots, from, request.into_inner()) => message?,
            () = self.stopped() => return Err(Status::unavailable("stopped")),
        };
        deliver(&self.links.0.commands, message).await?;
        Ok(Response::new(Nothing {}))
    }

    async fn ask(&self, request: Request<Question>) -> Result<Response<Reply>, Status> {
        // Whoever is about to join does not know the cluster's id yet.
        if request.metadata().contains_key(super::CLUSTER_HEADER) {
            self.links.admit(&request)?;
        }
        let Question { kind, body } = request.into_inner();
        let body = self.answer.answer(kind, body).await?;
        Ok(Response::new(Reply { body }))
    }
}
