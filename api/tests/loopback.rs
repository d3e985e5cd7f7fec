//! Generated client and generated server talk to each other over a loopback socket: unary calls,
//! a stream in both directions, and an error with its code and message.

use std::sync::{Arc, Mutex};

use api::errors::{ErrorClass, RequestKind, classify};
use api::pb::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
    WatchCreateRequest, WatchRequest, WatchResponse,
    kv_client::KvClient,
    kv_server::{Kv, KvServer},
    watch_client::WatchClient,
    watch_request::RequestUnion,
    watch_server::{Watch, WatchServer},
};
use api::pb::health::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};
use api::pb::mvccpb::{Event, KeyValue, event::EventType};
use tonic::codegen::{BoxStream, tokio_stream};
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

/// A list of puts; the revision is its length plus one.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Vec<KeyValue>>>);

impl Store {
    fn header(&self) -> Option<ResponseHeader> {
        let revision = self.0.lock().unwrap().len() as i64 + 1;
        Some(ResponseHeader {
            cluster_id: 1,
            member_id: u64::MAX,
            revision,
            raft_term: 2,
        })
    }
}

#[tonic::async_trait]
impl Kv for Store {
    async fn range(&self, r: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let key = r.into_inner().key;
        let found = self
            .0
            .lock()
            .unwrap()
            .iter()
            .rev()
            .find(|kv| kv.key == key)
            .cloned();
        let count = i64::from(found.is_some());
        let kvs = found.into_iter().collect();
        Ok(Response::new(RangeResponse {
            header: self.header(),
            kvs,
            more: false,
            count,
        }))
    }

    async fn put(&self, r: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let put = r.into_inner();
        if put.key.is_empty() {
            return Err(Status::invalid_argument("etcdserver: key is not provided"));
        }
        let mut kvs = self.0.lock().unwrap();
        let mod_revision = kvs.len() as i64 + 2;
        let kv = KeyValue {
            key: put.key,
            value: put.value,
            mod_revision,
            ..Default::default()
        };
        kvs.push(kv);
        drop(kvs);
        Ok(Response::new(PutResponse {
            header: self.header(),
            prev_kv: None,
        }))
    }

    async fn delete_range(
        &self,
        _: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn compact(
        &self,
        _: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl Watch for Store {
    type WatchStream = BoxStream<WatchResponse>;

    async fn watch(
        &self,
        r: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let first = r
            .into_inner()
            .message()
            .await?
            .and_then(|request| request.request_union);
        let Some(RequestUnion::CreateRequest(create)) = first else {
            return Err(Status::invalid_argument("no create request"));
        };
        let kvs = self.0.lock().unwrap().clone();
        let events = kvs
            .into_iter()
            .filter(|kv| kv.key == create.key)
            .map(|kv| Event {
                r#type: EventType::Put as i32,
                kv: Some(kv),
                prev_kv: None,
            });
        let answers = [
            WatchResponse {
                header: self.header(),
                created: true,
                ..Default::default()
            },
            WatchResponse {
                header: self.header(),
                events: events.collect(),
                ..Default::default()
            },
        ];
        Ok(Response::new(Box::pin(tokio_stream::iter(answers.map(Ok)))))
    }
}

#[tonic::async_trait]
impl Health for Store {
    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = ServingStatus::Serving as i32;
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn serve() -> Channel {
    let store = Store::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = Server::builder()
        .add_service(KvServer::new(store.clone()))
        .add_service(WatchServer::new(store.clone()))
        .add_service(HealthServer::new(store))
        .serve_with_incoming(incoming);
    tokio::spawn(server);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

#[tokio::test]
async fn unary_calls_carry_bytes_and_errors() {
    let channel = serve().await;
    let mut kv = KvClient::new(channel.clone());
    let key = vec![0, 0xff, b'k'];
    let value = vec![0x80; 70_000];

    let put = PutRequest {
        key: key.clone(),
        value: value.clone(),
        ..Default::default()
    };
    let put = kv.put(put).await.unwrap().into_inner();
    assert_eq!(put.header.unwrap().revision, 2);

    let range = RangeRequest {
        key: key.clone(),
        ..Default::default()
    };
    let range = kv.range(range).await.unwrap().into_inner();
    assert_eq!(range.header.unwrap().member_id, u64::MAX);
    assert_eq!(
        (range.kvs[0].key.as_slice(), &range.kvs[0].value),
        (key.as_slice(), &value)
    );

    let error = kv.put(PutRequest::default()).await.unwrap_err();
    let verdict = classify(RequestKind::Put, error.code() as i32, error.message());
    assert_eq!(verdict.class, ErrorClass::Definite);

    let health = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn a_watch_streams_both_ways() {
    let channel = serve().await;
    let mut kv = KvClient::new(channel.clone());
    for value in ["a", "b"] {
        let put = PutRequest {
            key: b"k".to_vec(),
            value: value.into(),
            ..Default::default()
        };
        kv.put(put).await.unwrap();
    }

    let create = WatchCreateRequest {
        key: b"k".to_vec(),
        ..Default::default()
    };
    let create = WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(create)),
    };
    let watch = WatchClient::new(channel)
        .watch(tokio_stream::iter([create]))
        .await;
    let mut watch = watch.unwrap().into_inner();

    assert!(watch.message().await.unwrap().unwrap().created);
    let events = watch.message().await.unwrap().unwrap().events;
    let revisions: Vec<_> = events
        .iter()
        .map(|e| e.kv.as_ref().unwrap().mod_revision)
        .collect();
    assert_eq!(revisions, [2, 3]);
    assert_eq!(events[0].r#type(), EventType::Put);
    assert!(watch.message().await.unwrap().is_none());
}
