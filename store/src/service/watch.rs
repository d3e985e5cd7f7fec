//! The Watch service, as in etcd's server/etcdserver/api/v3rpc/watch.go: requests go to the hub,
//! and whatever the hub delivers goes to the client, in that order.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use api::pb::etcdserverpb::watch_create_request::FilterType;
use api::pb::etcdserverpb::watch_request::RequestUnion;
use api::pb::etcdserverpb::watch_server::Watch;
use api::pb::etcdserverpb::{ResponseHeader, WatchCreateRequest, WatchRequest, WatchResponse};
use api::pb::mvccpb::{Event, KeyValue, event::EventType};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::Error;
use crate::bugs::Bug;
use crate::mvcc::{RangeOptions, Store};
use crate::watch::{Closed, Delivery, Hub, Stream, WatchSpec};

/// Progress is not reported more often.
const MIN_PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// A response may be larger than a request by this much before it is sent in fragments.
const OVERHEAD: usize = 512 << 10;
/// The id of a watch that does not exist, and of all watches of a stream.
const NO_ID: i64 = -1;

/// What watching needs from its member.
pub trait Host: Send + Sync + 'static {
    /// A header with this revision.
    fn header(&self, rev: i64) -> ResponseHeader;
    /// Whether the client that sent this metadata may read a range (conventions of [`WatchSpec`]).
    ///
    /// # Errors
    /// What etcd's `IsRangePermitted` refuses with.
    fn may_watch(
        &self,
        metadata: &MetadataMap,
        key: &[u8],
        end: &[u8],
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Whether streams are served at all.
    ///
    /// # Errors
    /// [`Error::NotSupportedForLearner`].
    fn serves_streams(&self) -> Result<(), Error>;
    /// Whether the member knows a leader.
    fn has_leader(&self) -> bool;
    /// Returns when the member had no leader for three election timeouts.
    fn leader_lost(&self) -> impl Future<Output = ()> + Send;
    /// `--max-request-bytes`.
    fn max_request_bytes(&self) -> usize;
}

/// The service.
pub struct WatchService<H> {
    hub: Arc<Hub>,
    host: Arc<H>,
}

impl<H: Host> WatchService<H> {
    /// Serves the watches of a hub.
    #[must_use]
    pub fn new(hub: Arc<Hub>, host: Arc<H>) -> Self {
        Self { hub, host }
    }
}

#[tonic::async_trait]
impl<H: Host> Watch for WatchService<H> {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.host.serves_streams()?;
        let (metadata, _, requests) = request.into_parts();
        let needs_leader = metadata.get("hasleader").is_some_and(|it| it == "true");
        if needs_leader && !self.host.has_leader() {
            return Err(Error::NoLeader.into());
        }
        let (out, responses) = mpsc::channel(1);
        let (stream, deliveries) = self.hub.stream();
        let session = Session {
            hub: self.hub.clone(),
            host: self.host.clone(),
            stream: Arc::new(stream),
            out: out.clone(),
        };
        tokio::spawn(async move {
            let end = tokio::select! {
                error = session.receive(requests, &metadata) => error,
                error = session.send(deliveries) => error,
                () = session.host.leader_lost(), if needs_leader => Some(Error::NoLeader.into()),
            };
            drop(session);
            if let Some(status) = end {
                // A client that is gone needs no reason.
                let _ = out.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

/// One stream of a client.
struct Session<H> {
    hub: Arc<Hub>,
    host: Arc<H>,
    stream: Arc<Stream>,
    out: mpsc::Sender<Result<WatchResponse, Status>>,
}

/// What a client wants of a watch.
struct Wishes {
    prev_kv: bool,
    fragment: bool,
    progress_notify: bool,
    /// Nothing was sent since the last tick.
    quiet: bool,
}

impl<H: Host> Session<H> {
    /// Does what the client asks. Gives the reason when the stream has to end; not when the client
    /// has only nothing more to ask.
    async fn receive(
        &self,
        mut requests: Streaming<WatchRequest>,
        metadata: &MetadataMap,
    ) -> Option<Status> {
        loop {
            let request = match requests.message().await {
                Ok(Some(request)) => request,
                Ok(None) => std::future::pending().await,
                Err(status) if status.code() == Code::Cancelled => {
                    return Some(Error::WatchCanceled.into());
                }
                Err(status) => return Some(status),
            };
            let done = match request.request_union {
                Some(RequestUnion::CreateRequest(create)) => self.create(create, metadata).await,
                Some(RequestUnion::CancelRequest(cancel)) => {
                    self.stream.cancel(cancel.watch_id).await
                }
                Some(RequestUnion::ProgressRequest(_)) => self.progress().await,
                None => Ok(()),
            };
            if done == Err(Closed) {
                return None;
            }
        }
    }

    async fn create(
        &self,
        create: WatchCreateRequest,
        metadata: &MetadataMap,
    ) -> Result<(), Closed> {
        let filtered = |filter| create.filters().any(|it| it == filter);
        let mut spec = WatchSpec {
            start_rev: create.start_revision,
            prev_kv: create.prev_kv,
            progress_notify: create.progress_notify,
            fragment: create.fragment,
            no_put: filtered(FilterType::Noput),
            no_delete: filtered(FilterType::Nodelete),
            key: create.key,
            end: create.range_end,
        };
        if spec.key.is_empty() {
            spec.key = vec![0];
        }
        let allowed = self.host.may_watch(metadata, &spec.key, &spec.end);
        match allowed.await {
            Ok(()) => self.stream.watch(create.watch_id, spec).await,
            Err(error) => self.stream.refuse(refusal(error)).await,
        }
    }

    async fn progress(&self) -> Result<(), Closed> {
        // Planted #15220: the answer is the current revision, and goes past whatever still waits
        // to be sent. The right code lets the hub answer behind the events, once all watches of
        // the stream are synced.
        if self.hub.bugs().has(Bug::ProgressAhead) {
            let response = self.response(NO_ID, self.hub.store().rev());
            return self.out.send(Ok(response)).await.map_err(|_| Closed);
        }
        let stream = self.stream.clone();
        blocking(move || stream.progress_all()).await
    }

    /// Sends what is delivered until the client is gone.
    async fn send(&self, mut deliveries: mpsc::Receiver<Delivery>) -> Option<Status> {
        let mut watches = HashMap::new();
        let period = self.hub.progress_interval().max(MIN_PROGRESS_INTERVAL);
        // Streams that begin together shall not report together: up to a tenth more.
        let jitter = RandomState::new().hash_one(0) % 1000;
        let period = period + period.mul_f64(jitter as f64 / 10_000.0);
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let sent = tokio::select! {
                delivery = deliveries.recv() => self.pass_on(delivery?, &mut watches).await,
                _ = ticks.tick() => self.report(&mut watches).await,
                () = self.out.closed() => Err(Closed),
            };
            sent.ok()?;
        }
    }

    /// Asks for the progress of the watches that heard nothing for a tick.
    async fn report(&self, watches: &mut HashMap<i64, Wishes>) -> Result<(), Closed> {
        let wanting = watches.iter_mut().filter(|(_, it)| it.progress_notify);
        let quiet: Vec<i64> = wanting
            .filter_map(|(id, it)| std::mem::replace(&mut it.quiet, true).then_some(*id))
            .collect();
        let stream = self.stream.clone();
        blocking(move || quiet.into_iter().for_each(|id| stream.progress(id))).await
    }

    async fn pass_on(
        &self,
        delivery: Delivery,
        watches: &mut HashMap<i64, Wishes>,
    ) -> Result<(), Closed> {
        let responses = match delivery {
            Delivery::Created {
                watch_id,
                rev,
                prev_kv,
                progress_notify,
                fragment,
            } => {
                let wishes = Wishes {
                    prev_kv,
                    fragment,
                    progress_notify,
                    quiet: true,
                };
                watches.insert(watch_id, wishes);
                let mut response = self.response(watch_id, rev);
                response.created = true;
                vec![response]
            }
            Delivery::Refused { rev, reason } => {
                let mut response = self.response(NO_ID, rev);
                (response.created, response.canceled) = (true, true);
                response.cancel_reason = reason;
                vec![response]
            }
            Delivery::Canceled { watch_id, rev } => {
                watches.remove(&watch_id);
                let mut response = self.response(watch_id, rev);
                response.canceled = true;
                vec![response]
            }
            Delivery::Progress { watch_id, rev } => {
                self.prepare(self.response(watch_id, rev), None).await?
            }
            Delivery::Compacted {
                watch_id,
                compact_rev,
            } => {
                // etcd leaves the revision out here.
                let mut response = self.response(watch_id, 0);
                // As in etcd, where revision 0 was compacted a watch from before ends silently.
                response.canceled = compact_rev != 0;
                response.compact_revision = compact_rev;
                self.prepare(response, None).await?
            }
            Delivery::Events {
                watch_id,
                rev,
                events,
            } => {
                let mut response = self.response(watch_id, rev);
                response.events = events;
                let wishes = watches.get_mut(&watch_id);
                self.prepare(response, wishes).await?
            }
        };
        for response in responses {
            self.out.send(Ok(response)).await.map_err(|_| Closed)?;
        }
        Ok(())
    }

    /// Adds what a watch wants, where waiting holds nobody else.
    async fn prepare(
        &self,
        mut response: WatchResponse,
        wishes: Option<&mut Wishes>,
    ) -> Result<Vec<WatchResponse>, Closed> {
        let (prev_kv, fragment) = wishes.map_or((false, false), |wishes| {
            wishes.quiet = false;
            (wishes.prev_kv, wishes.fragment)
        });
        let (hub, max) = (self.hub.clone(), self.host.max_request_bytes() + OVERHEAD);
        blocking(move || {
            if prev_kv {
                for event in &mut response.events {
                    event.prev_kv = previous(hub.store(), event);
                }
            }
            fail::fail_point!("beforeSendWatchResponse");
            if fragment {
                fragments(response, max)
            } else {
                vec![response]
            }
        })
        .await
    }

    fn response(&self, watch_id: i64, rev: i64) -> WatchResponse {
        WatchResponse {
            header: Some(self.host.header(rev)),
            watch_id,
            ..WatchResponse::default()
        }
    }
}

/// Runs what may wait, for the store or in a failpoint, on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Closed> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(Closed),
    }
}

/// The text of a refusal: etcd sends the gRPC error as Go prints it.
fn refusal(error: Error) -> String {
    let error = match error {
        Error::InvalidAuthToken | Error::AuthOldRevision | Error::UserEmpty => error,
        _ => Error::PermissionDenied,
    };
    format!("rpc error: code = {:?} desc = {error}", error.code())
}

/// The pair that an event replaced; none when it created the key, or when that is compacted.
fn previous(store: &Store, event: &Event) -> Option<KeyValue> {
    let kv = event.kv.as_ref()?;
    if event.r#type() == EventType::Put && kv.create_revision == kv.mod_revision {
        return None;
    }
    let options = RangeOptions {
        rev: kv.mod_revision - 1,
        ..RangeOptions::default()
    };
    let before = store.range(&kv.key, &[], options);
    before.ok()?.kvs.pop()
}

/// Splits a response of `max` bytes or more between events; all parts but the last are marked.
fn fragments(mut response: WatchResponse, max: usize) -> Vec<WatchResponse> {
    if response.encoded_len() < max || response.events.len() < 2 {
        return vec![response];
    }
    let events = std::mem::take(&mut response.events);
    response.fragment = true;
    let empty = response.encoded_len();
    let (mut parts, mut part, mut size) = (Vec::new(), response.clone(), empty);
    for event in events {
        let length = event.encoded_len();
        let length = 1 + prost::length_delimiter_len(length) + length;
        if !part.events.is_empty() && size + length >= max {
            parts.push(std::mem::replace(&mut part, response.clone()));
            size = empty;
        }
        size += length;
        part.events.push(event);
    }
    part.fragment = false;
    parts.push(part);
    parts
}
