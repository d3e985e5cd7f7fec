//! A member whose Watch service is served, and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;

use api::pb::etcdserverpb::watch_client::WatchClient;
use api::pb::etcdserverpb::watch_request::RequestUnion;
use api::pb::etcdserverpb::watch_server::WatchServer;
use api::pb::etcdserverpb::{
    ResponseHeader, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use store::Error;
use store::service::watch::{Host, WatchService};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status, Streaming};

use crate::support::{Member, PATIENCE, QUIET};

pub(crate) struct TestHost {
    pub(crate) leader: watch::Sender<bool>,
}

impl Host for TestHost {
    fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: 7,
            member_id: 8,
            revision,
            raft_term: 9,
        }
    }

    async fn may_watch(&self, metadata: &MetadataMap, key: &[u8], _: &[u8]) -> Result<(), Error> {
        match metadata.get("token") {
            Some(token) if token == "bad" => Err(Error::InvalidAuthToken),
            _ if key == b"secret" => Err(Error::PermissionDenied),
            _ => Ok(()),
        }
    }

    fn serves_streams(&self) -> Result<(), Error> {
        Ok(())
    }

    fn has_leader(&self) -> bool {
        *self.leader.borrow()
    }

    async fn leader_lost(&self) {
        let mut leader = self.leader.subscribe();
        leader.wait_for(|it| !it).await.expect("a sender");
    }

    fn max_request_bytes(&self) -> usize {
        1536 << 10
    }
}

pub(crate) struct Serving {
    pub(crate) member: Member,
    pub(crate) host: Arc<TestHost>,
    address: SocketAddr,
}

impl Serving {
    pub(crate) async fn new(member: Member) -> Self {
        let host = Arc::new(TestHost {
            leader: watch::Sender::new(true),
        });
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address"));
        let incoming = incoming.expect("a port");
        let address = incoming.local_addr().expect("an address");
        let service = WatchServer::new(WatchService::new(member.hub.clone(), host.clone()));
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        Self {
            member,
            host,
            address,
        }
    }

    pub(crate) async fn open(&self) -> Client {
        self.open_with(&[]).await.expect("a stream")
    }

    pub(crate) async fn open_with(
        &self,
        metadata: &[(&'static str, &str)],
    ) -> Result<Client, Status> {
        Client::open(format!("http://{}", self.address), metadata).await
    }
}

pub(crate) struct Client {
    pub(crate) to: mpsc::Sender<WatchRequest>,
    pub(crate) from: Streaming<WatchResponse>,
}

impl Client {
    /// A stream of the member at `url`.
    pub(crate) async fn open(
        url: String,
        metadata: &[(&'static str, &str)],
    ) -> Result<Self, Status> {
        let client = WatchClient::connect(url).await.expect("a connection");
        let (to, requests) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(requests));
        for (name, value) in metadata {
            let value = value.parse().expect("ascii");
            request.metadata_mut().insert(*name, value);
        }
        let mut client = client.max_decoding_message_size(64 << 20);
        let from = client.watch(request).await?.into_inner();
        Ok(Self { to, from })
    }

    pub(crate) async fn ask(&self, request: RequestUnion) {
        let request_union = Some(request);
        self.to
            .send(WatchRequest { request_union })
            .await
            .expect("an open stream");
    }

    pub(crate) async fn create(&mut self, create: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(create)).await;
        self.next().await
    }

    pub(crate) async fn progress(&self) {
        self.ask(RequestUnion::ProgressRequest(WatchProgressRequest {}))
            .await;
    }

    pub(crate) async fn next(&mut self) -> WatchResponse {
        let next = timeout(PATIENCE, self.from.message())
            .await
            .expect("a response in time");
        next.expect("no error").expect("an open stream")
    }

    pub(crate) async fn end(&mut self) -> Status {
        let next = timeout(PATIENCE, self.from.message())
            .await
            .expect("an end in time");
        next.expect_err("an error")
    }

    pub(crate) async fn nothing(&mut self) {
        if let Ok(next) = timeout(QUIET, self.from.message()).await {
            panic!("unexpected: {next:?}");
        }
    }
}

pub(crate) fn create(key: &str) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.into(),
        ..WatchCreateRequest::default()
    }
}

/// All keys.
pub(crate) fn create_all(start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        range_end: vec![0],
        start_revision,
        ..WatchCreateRequest::default()
    }
}

pub(crate) fn revision(response: &WatchResponse) -> i64 {
    response.header.as_ref().expect("a header").revision
}
