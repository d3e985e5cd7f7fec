//! One watch: a stream of its own, recorded message by message with arrival times.

use std::time::Duration;

use api::pb::etcdserverpb as pb;
use checker::history::{ErrorOrigin, Outcome, Request, Response, WatchRequest};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use crate::recorder::{Recorder, RecorderGone};
use crate::rpc::{Session, watch_create, watch_response};

/// Requests that may wait for the stream to take them: the first, and some for progress.
const OUTGOING_MAX: usize = 4;

/// Who watches, through which session.
pub(super) struct Who<'a> {
    pub(super) client: u32,
    pub(super) member: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) session: Session,
}

/// How a watch is read.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// How long it lives; none means until traffic ends.
    pub(super) lives: Option<Duration>,
    /// How often it asks for progress.
    pub(super) progress: Option<Duration>,
    /// How long it is read slowly from its start on, and the time between two messages meanwhile.
    pub(super) slow: Option<(Duration, Duration)>,
}

/// Opens the watch, records what arrives until its life is over, the store ends it, or traffic ends.
/// While it is slow, nothing is taken off the stream between two messages: HTTP/2 holds the store
/// back.
pub(super) async fn watch(
    (recorder, shared): (Recorder, Shared),
    who: Who<'_>,
    request: WatchRequest,
    manner: Manner,
) -> Result<Outcome, RecorderGone> {
    let (messages, outgoing) = mpsc::channel(OUTGOING_MAX);
    let create = watch_create(&request);
    let id = recorder
        .invoke(who.client, who.member, who.user, Request::Watch(request))
        .await?;
    let session = who.session;
    let mut stub = session.watch_client();
    let began = Instant::now();
    let over = async {
        match manner.lives {
            Some(lives) => tokio::time::sleep_until(began + lives).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let slow_until = manner.slow.map(|(slow, _)| began + slow);
    let mut asks = manner.progress.map(|every| {
        let mut asks = tokio::time::interval_at(began + every, every);
        asks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        asks
    });
    let mut read_from = began;
    let mut received = 0;

    let opened = match messages.send(create).await {
        Err(_) => Err(tonic::Status::internal("gauntlet: the watch has no stream")),
        Ok(()) => tokio::select! {
            opened = stub.watch(session.with_token(ReceiverStream::new(outgoing))) => opened,
            () = &mut over => Err(tonic::Status::deadline_exceeded("gauntlet: the watch did not open")),
            () = shared.wait_stopped() => Err(tonic::Status::deadline_exceeded("gauntlet: the watch did not open")),
        },
    };
    let outcome = match opened {
        Err(status) => crate::rpc::error_outcome(&status),
        Ok(stream) => {
            let mut stream = stream.into_inner();
            loop {
                let readable = Instant::now() >= read_from;
                tokio::select! {
                    biased;
                    message = stream.message(), if readable => match message {
                        Ok(Some(message)) => {
                            received += 1;
                            shared.seen.saw(message.header.as_ref().map_or(0, |h| h.revision));
                            shared.seen.compacted(message.compact_revision);
                            let canceled = message.canceled;
                            recorder.delivered(id, watch_response(message)).await?;
                            if canceled {
                                break ended(received);
                            }
                            if let Some((_, pause)) = manner.slow
                                && slow_until.is_some_and(|until| Instant::now() < until)
                            {
                                read_from = Instant::now() + pause;
                            }
                        }
                        Ok(None) => break ended(received),
                        Err(status) => break crate::rpc::error_outcome(&status),
                    },
                    () = tokio::time::sleep_until(read_from), if !readable => {}
                    () = next(&mut asks) => {
                        let progress = pb::WatchRequest {
                            request_union: Some(pb::watch_request::RequestUnion::ProgressRequest(
                                pb::WatchProgressRequest {},
                            )),
                        };
                        // A stream that is held back takes it later, or never.
                        if let Err(TrySendError::Closed(_)) = messages.try_send(progress) {
                            break Outcome::Error {
                                code: tonic::Code::Unavailable as i32,
                                message: "gauntlet: the watch stream takes no more requests".into(),
                                origin: ErrorOrigin::Client,
                            };
                        }
                    }
                    () = &mut over => break ended(received),
                    () = shared.wait_stopped() => break ended(received),
                }
            }
        }
    };
    shared.counters.count(outcome.response().is_some());
    recorder.returned(id, outcome.clone()).await?;
    Ok(outcome)
}

/// The next time to ask for progress, if ever.
async fn next(asks: &mut Option<tokio::time::Interval>) {
    match asks {
        Some(asks) => drop(asks.tick().await),
        None => std::future::pending().await,
    }
}

fn ended(messages: u64) -> Outcome {
    Outcome::Ok {
        response: Response::WatchEnd { messages },
    }
}
