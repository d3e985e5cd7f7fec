//! One watch: a stream of its own, recorded message by message with arrival times.

use std::time::Duration;

use api::pb::etcdserverpb as pb;
use checker::history::{ErrorOrigin, Outcome, Request, Response, WatchRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use crate::recorder::{Recorder, RecorderGone};
use crate::rpc::{Session, watch_create, watch_response};

/// Opens the watch, records what arrives until `time` is over, the store ends it, or traffic ends.
/// Half-way it asks for progress where the request wants progress at all.
pub(super) async fn watch(
    (recorder, shared): (Recorder, Shared),
    client: u32,
    member: &str,
    user: Option<&str>,
    session: Session,
    request: WatchRequest,
    time: Duration,
) -> Result<(), RecorderGone> {
    let (messages, outgoing) = mpsc::channel(2);
    let create = watch_create(&request);
    let wants_progress = request.progress_notify;
    let id = recorder
        .invoke(client, member, user, Request::Watch(request))
        .await?;
    if messages.send(create).await.is_err() {
        return Ok(());
    }
    let mut stub = session.watch_client();
    let deadline = tokio::time::Instant::now() + time;
    let half = tokio::time::Instant::now() + time / 2;
    let mut received = 0;
    let mut asked = !wants_progress;

    let opened = tokio::select! {
        opened = stub.watch(session.with_token(ReceiverStream::new(outgoing))) => opened,
        () = tokio::time::sleep_until(deadline) => Err(tonic::Status::deadline_exceeded("gauntlet: the watch did not open")),
    };
    let outcome = match opened {
        Err(status) => crate::rpc::error_outcome(&status),
        Ok(stream) => {
            let mut stream = stream.into_inner();
            loop {
                tokio::select! {
                    biased;
                    message = stream.message() => match message {
                        Ok(Some(message)) => {
                            received += 1;
                            let canceled = message.canceled;
                            recorder.delivered(id, watch_response(message)).await?;
                            if canceled {
                                break ended(received);
                            }
                        }
                        Ok(None) => break ended(received),
                        Err(status) => break crate::rpc::error_outcome(&status),
                    },
                    () = tokio::time::sleep_until(half), if !asked => {
                        asked = true;
                        let progress = pb::WatchRequest {
                            request_union: Some(pb::watch_request::RequestUnion::ProgressRequest(
                                pb::WatchProgressRequest {},
                            )),
                        };
                        if messages.try_send(progress).is_err() {
                            break Outcome::Error {
                                code: tonic::Code::Unavailable as i32,
                                message: "gauntlet: the watch stream takes no more requests".into(),
                                origin: ErrorOrigin::Client,
                            };
                        }
                    }
                    () = tokio::time::sleep_until(deadline) => break ended(received),
                    () = shared.wait_stopped() => break ended(received),
                }
            }
        }
    };
    shared.counters.count(outcome.response().is_some());
    recorder.returned(id, outcome).await
}

fn ended(messages: u64) -> Outcome {
    Outcome::Ok {
        response: Response::WatchEnd { messages },
    }
}
