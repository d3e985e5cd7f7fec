//! Calls as bytes: method and message types are looked up in the descriptors, so that one piece of
//! code sends, prints and compares all of them and no field can be forgotten.

use std::sync::LazyLock;
use std::time::Duration;

use prost::bytes::{Buf, BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming, client::Grpc};

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(api::pb::DESCRIPTORS).unwrap());

/// `name` is like `KV/Put`.
pub(crate) fn method(name: &str) -> MethodDescriptor {
    let (service, method) = name.split_once('/').unwrap();
    let service = POOL
        .get_service_by_name(&format!("etcdserverpb.{service}"))
        .unwrap_or_else(|| panic!("no service for {name}"));
    let found = service.methods().find(|known| known.name() == method);
    found.unwrap_or_else(|| panic!("no method {name}"))
}

/// `name` is a full one, like `mvccpb.Event`.
pub(crate) fn message(name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(name).unwrap()
}

/// A generated message as one that can be walked.
pub(crate) fn dynamic(
    descriptor: MessageDescriptor,
    message: &impl prost::Message,
) -> DynamicMessage {
    DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap()
}

/// A generated message from one that was walked.
pub(crate) fn typed<M: prost::Message + Default>(message: &DynamicMessage) -> M {
    M::decode(prost::Message::encode_to_vec(message).as_slice()).unwrap()
}

#[derive(Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}

async fn client(channel: &Channel) -> Result<Grpc<Channel>, Status> {
    let mut client = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    client
        .ready()
        .await
        .map_err(|error| Status::unknown(format!("client: {error}")))?;
    Ok(client)
}

fn path(name: &str) -> PathAndQuery {
    format!("/etcdserverpb.{name}").parse().unwrap()
}

/// A request that carries a token.
pub(crate) fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let token = MetadataValue::try_from(token).unwrap();
        request.metadata_mut().insert("token", token);
    }
    request
}

fn late() -> Status {
    Status::deadline_exceeded(format!("client: no answer in {PATIENCE:?}"))
}

/// One request, one answer.
pub(crate) async fn call(
    channel: &Channel,
    name: &str,
    message: &DynamicMessage,
    token: Option<&str>,
) -> Result<DynamicMessage, Status> {
    let body = prost::Message::encode_to_vec(message);
    let ask = async {
        let mut client = client(channel).await?;
        client
            .unary(with_token(body, token), path(name), Bytes)
            .await
    };
    let answer = tokio::time::timeout(PATIENCE, ask)
        .await
        .map_err(|_| late())??;
    DynamicMessage::decode(method(name).output(), answer.get_ref().as_slice())
        .map_err(|error| Status::internal(format!("client: {error}")))
}

/// One request, and a stream of answers read to its end.
pub(crate) async fn collect(
    channel: &Channel,
    name: &str,
    message: &DynamicMessage,
    token: Option<&str>,
) -> Result<Vec<DynamicMessage>, Status> {
    let body = prost::Message::encode_to_vec(message);
    let ask = async {
        let mut client = client(channel).await?;
        let answer = client
            .server_streaming(with_token(body, token), path(name), Bytes)
            .await?;
        let mut stream: Streaming<Vec<u8>> = answer.into_inner();
        let mut all = Vec::new();
        while let Some(item) = stream.message().await? {
            let item = DynamicMessage::decode(method(name).output(), item.as_slice())
                .map_err(|error| Status::internal(format!("client: {error}")))?;
            all.push(item);
        }
        Ok(all)
    };
    tokio::time::timeout(PATIENCE, ask)
        .await
        .map_err(|_| late())?
}
