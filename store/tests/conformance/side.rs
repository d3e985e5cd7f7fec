//! One of the two members, and what a sequence has open on it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use api::pb::etcdserverpb::{self as pb, lease_client::LeaseClient};
use prost_reflect::DynamicMessage;
use sha2::{Digest, Sha256};
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::member::{Member, Program};
use crate::step::Step;
use crate::translate::View;
use crate::watches::WatchStream;
use crate::wire;

/// A change of members right after another is dropped by Raft, and never answered.
const AFTER_MEMBERSHIP: Duration = Duration::from_millis(300);
/// Until a second has this long to go a member may be added: ids hash its number.
const LATE_IN_SECOND: Duration = Duration::from_millis(800);
/// Hashes taken while a compaction is unfinished count what it has yet to remove.
const AFTER_COMPACTION: Duration = Duration::from_millis(40);
const EXPIRY: Duration = Duration::from_secs(20);

pub(crate) struct Side {
    pub(crate) member: Member,
    pub(crate) view: View,
    pub(crate) streams: BTreeMap<usize, WatchStream>,
    tokens: HashMap<String, String>,
    compacted: bool,
}

/// An error as a line: code and message.
pub(crate) fn error(status: &Status) -> String {
    format!("error {:?}: {:?}", status.code(), status.message())
}

async fn early_in_second() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let into = Duration::from_nanos(now.unwrap_or_default().subsec_nanos().into());
    if into > LATE_IN_SECOND {
        sleep(Duration::from_secs(1) - into).await;
    }
}

impl Side {
    pub(crate) async fn start(program: &Program) -> Self {
        let member = Member::start(program).await;
        let view = View {
            base: 0,
            prefix: Vec::new(),
            own: member.id,
            peer_url: member.peer_url.clone(),
            client_url: member.client_url.clone(),
            added: Vec::new(),
            generated: Vec::new(),
        };
        Self {
            member,
            view,
            streams: BTreeMap::new(),
            tokens: HashMap::new(),
            compacted: false,
        }
    }

    /// Forgets the last sequence.
    pub(crate) async fn begin(&mut self, prefix: &str) {
        self.streams.clear();
        self.tokens.clear();
        self.compacted = false;
        self.view.added.clear();
        self.view.generated.clear();
        self.view.prefix = prefix.into();
        self.view.base = self.revision().await;
    }

    /// Asks, outside any sequence; the names of a sequence mean nothing here.
    pub(crate) async fn ask<A: prost::Message + Default>(
        &self,
        method: &str,
        request: &impl prost::Message,
        token: Option<&str>,
    ) -> Result<A, Status> {
        let request = wire::dynamic(wire::method(method).input(), request);
        let answer = wire::call(&self.member.channel, method, &request, token).await?;
        Ok(wire::typed(&answer))
    }

    async fn revision(&self) -> i64 {
        let read = pb::RangeRequest {
            key: b"k".to_vec(),
            ..pb::RangeRequest::default()
        };
        let answer: Result<pb::RangeResponse, _> = self.ask("KV/Range", &read, None).await;
        answer.map_or(-1, |answer| {
            answer.header.map_or(0, |header| header.revision)
        })
    }

    fn token(&self, user: Option<&str>) -> Option<String> {
        let user = user?;
        Some(
            self.tokens
                .get(user)
                .cloned()
                .unwrap_or_else(|| "x.1".into()),
        )
    }

    /// Writes a key that only those who compare know of; its revision, or 0 where it is refused.
    pub(crate) async fn sentinel(&self) -> i64 {
        let put = pb::PutRequest {
            key: [&self.view.prefix, b"~sentinel".as_slice()].concat(),
            ..pb::PutRequest::default()
        };
        let token = self.tokens.get("root").map(String::as_str);
        let answer: Result<pb::PutResponse, _> = self.ask("KV/Put", &put, token).await;
        answer.map_or(0, |answer| {
            answer.header.map_or(0, |header| header.revision)
        })
    }

    /// Does a step that needs no other side.
    pub(crate) async fn run(&mut self, step: &Step) -> Vec<String> {
        match step {
            Step::Call {
                method,
                request,
                user,
            } => self.call(method, request, user.as_deref()).await,
            Step::KeepAlive { id, user } => {
                let token = self.token(user.as_deref());
                let answer = timeout(wire::PATIENCE, self.keep_alive(*id, token.as_deref())).await;
                match answer {
                    Ok(Ok(Some(answer))) => {
                        let name = "etcdserverpb.LeaseKeepAliveResponse";
                        self.view
                            .lines(&wire::dynamic(wire::message(name), &answer))
                    }
                    Ok(Ok(None)) => vec!["the stream has ended".into()],
                    Ok(Err(status)) => vec![error(&status)],
                    Err(_) => vec!["no answer".into()],
                }
            }
            Step::Watch {
                stream,
                request,
                user,
            } => {
                let token = self.token(user.as_deref());
                let channel = &self.member.channel;
                let stream = self
                    .streams
                    .entry(*stream)
                    .or_insert_with(|| WatchStream::open(channel, token.as_deref()));
                stream.request(request, &mut self.view).await
            }
            Step::AwaitExpiry { id } => {
                let gone = timeout(EXPIRY, self.expired(*id)).await.is_ok();
                vec![format!("gone = {gone}")]
            }
            Step::Snapshot { user } => self.snapshot(user.as_deref()).await,
            Step::Settle => unreachable!("needs both sides"),
        }
    }

    async fn call(
        &mut self,
        method: &str,
        request: &DynamicMessage,
        user: Option<&str>,
    ) -> Vec<String> {
        if method == "Maintenance/HashKV" && self.compacted {
            sleep(AFTER_COMPACTION).await;
        }
        if method == "Cluster/MemberAdd" {
            early_in_second().await;
        }
        let token = self.token(user);
        let sent = self.view.request(request);
        let answer = wire::call(&self.member.channel, method, &sent, token.as_deref()).await;
        let changes_members = method.starts_with("Cluster/") && method != "Cluster/MemberList";
        if changes_members {
            sleep(AFTER_MEMBERSHIP).await;
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => return vec![self.view.text(&error(&status))],
        };
        match method {
            "KV/Compact" => self.compacted = true,
            "Auth/Authenticate" => {
                let request: pb::AuthenticateRequest = wire::typed(&sent);
                let answer: pb::AuthenticateResponse = wire::typed(&answer);
                self.tokens.insert(request.name, answer.token);
            }
            "Lease/LeaseGrant" => {
                let request: pb::LeaseGrantRequest = wire::typed(&sent);
                let answer: pb::LeaseGrantResponse = wire::typed(&answer);
                if request.id == 0 {
                    self.view.generated.push(answer.id);
                }
            }
            _ => {}
        }
        self.view.lines(&answer)
    }

    async fn keep_alive(
        &self,
        id: i64,
        token: Option<&str>,
    ) -> Result<Option<pb::LeaseKeepAliveResponse>, Status> {
        let requests = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
        let mut client = LeaseClient::new(self.member.channel.clone());
        let answer = client
            .lease_keep_alive(wire::with_token(requests, token))
            .await?;
        answer.into_inner().message().await
    }

    async fn expired(&self, id: i64) {
        let ask = pb::LeaseTimeToLiveRequest { id, keys: false };
        loop {
            let answer: Result<pb::LeaseTimeToLiveResponse, _> =
                self.ask("Lease/LeaseTimeToLive", &ask, None).await;
            if answer.is_ok_and(|answer| answer.ttl < 0) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn snapshot(&mut self, user: Option<&str>) -> Vec<String> {
        let method = "Maintenance/Snapshot";
        let request = wire::dynamic(wire::method(method).input(), &pb::SnapshotRequest {});
        let token = self.token(user);
        let chunks =
            match wire::collect(&self.member.channel, method, &request, token.as_deref()).await {
                Ok(chunks) => chunks,
                Err(status) => return vec![error(&status)],
            };
        let chunks: Vec<pb::SnapshotResponse> = chunks.iter().map(wire::typed).collect();
        let whole: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.blob.clone()).collect();
        let digest = whole
            .split_last_chunk::<32>()
            .is_some_and(|(content, digest)| Sha256::digest(content)[..] == *digest);
        let remaining = chunks.last().map(|chunk| chunk.remaining_bytes);
        vec![
            format!("digest fits = {digest}"),
            format!("remaining at the end = {remaining:?}"),
        ]
    }
}
