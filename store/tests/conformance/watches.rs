//! One watch stream: what it delivered, as a list for each watch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::pb::etcdserverpb::{self as pb, watch_client::WatchClient, watch_request::RequestUnion};
use prost_reflect::DynamicMessage;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use crate::translate::View;
use crate::wire;

/// Where refused creations are listed, and where the stream's end.
const REFUSALS: i64 = i64::MIN;
const ERRORS: i64 = i64::MAX;
/// How long a creation or a cancellation may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct WatchStream {
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: mpsc::Receiver<Result<pb::WatchResponse, Status>>,
    live: BTreeSet<i64>,
    delivered: BTreeMap<i64, Vec<String>>,
    /// A watch on it starts at a revision that was still to come.
    pub(crate) early: bool,
    /// Of the last word on progress since [`WatchStream::forget_progress`].
    pub(crate) progress: Option<i64>,
}

impl WatchStream {
    /// The server sends no headers before its first answer, so opening it is not waited for.
    pub(crate) fn open(channel: &Channel, token: Option<&str>) -> Self {
        let (requests, queue) = mpsc::channel(64);
        let (forward, answers) = mpsc::channel(64);
        let mut client = WatchClient::new(channel.clone());
        let request = wire::with_token(ReceiverStream::new(queue), token);
        tokio::spawn(async move {
            let mut stream = match client.watch(request).await {
                Ok(answer) => answer.into_inner(),
                Err(error) => {
                    let _ = forward.send(Err(error)).await;
                    return;
                }
            };
            while let Some(item) = stream.message().await.transpose() {
                let last = item.is_err();
                if forward.send(item).await.is_err() || last {
                    return;
                }
            }
        });
        Self {
            requests,
            answers,
            live: BTreeSet::new(),
            delivered: BTreeMap::new(),
            early: false,
            progress: None,
        }
    }

    /// Sends a request; what answers it at once is the outcome.
    pub(crate) async fn request(
        &mut self,
        request: &DynamicMessage,
        view: &mut View,
    ) -> Vec<String> {
        let request: pb::WatchRequest = wire::typed(&view.request(request));
        let union = request.request_union.clone();
        self.send(request).await;
        let start = match &union {
            Some(RequestUnion::CreateRequest(create)) => create.start_revision,
            _ => 0,
        };
        let awaited: Box<dyn Fn(&pb::WatchResponse) -> bool + Send + Sync> = match union {
            Some(RequestUnion::CreateRequest(_)) => Box::new(|answer| answer.created),
            Some(RequestUnion::CancelRequest(cancel)) if self.live.contains(&cancel.watch_id) => {
                Box::new(move |answer| {
                    answer.canceled
                        && answer.compact_revision == 0
                        && answer.watch_id == cancel.watch_id
                })
            }
            _ => return vec!["sent".into()],
        };
        let read = async {
            loop {
                match self.answers.recv().await {
                    Some(answer) => {
                        let found = answer.as_ref().is_ok_and(&awaited);
                        let now = answer.as_ref().ok().and_then(|answer| answer.header);
                        self.early |= found && now.is_some_and(|now| start > now.revision);
                        let lines = self.note(answer, view);
                        if found {
                            return lines;
                        }
                    }
                    None => return vec!["the stream has ended".into()],
                }
            }
        };
        timeout(PATIENCE, read)
            .await
            .unwrap_or_else(|_| vec!["no answer".into()])
    }

    async fn send(&self, request: pb::WatchRequest) {
        // A stream that ended has said so in its list.
        let _ = timeout(PATIENCE, self.requests.send(request)).await;
    }

    /// Asks how far it is.
    pub(crate) async fn ask_progress(&self) {
        let union = RequestUnion::ProgressRequest(pb::WatchProgressRequest {});
        self.send(pb::WatchRequest {
            request_union: Some(union),
        })
        .await;
    }

    pub(crate) fn forget_progress(&mut self, view: &mut View) {
        self.drain(view);
        self.progress = None;
    }

    /// Takes in whatever has arrived.
    pub(crate) fn drain(&mut self, view: &mut View) {
        while let Ok(answer) = self.answers.try_recv() {
            self.note(answer, view);
        }
    }

    /// Everything but progress, as lines, the watches in order of their ids.
    pub(crate) fn delivered(&self) -> Vec<String> {
        let lines = self
            .delivered
            .iter()
            .flat_map(|(id, lines)| lines.iter().map(move |line| (*id, line)))
            .map(|(id, line)| match id {
                REFUSALS => format!("refused: {line}"),
                ERRORS => format!("ended: {line}"),
                id => format!("watch {id}: {line}"),
            });
        lines.collect()
    }

    fn note(&mut self, answer: Result<pb::WatchResponse, Status>, view: &mut View) -> Vec<String> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let line = crate::side::error(&error);
                self.delivered.entry(ERRORS).or_default().push(line.clone());
                return vec![line];
            }
        };
        if answer.watch_id == -1 && !answer.created && !answer.canceled && answer.events.is_empty()
        {
            self.progress = answer.header.map(|header| header.revision);
            return Vec::new();
        }
        if answer.created && !answer.canceled {
            self.live.insert(answer.watch_id);
        }
        // One that fell behind a compaction keeps its id until the client cancels it, too.
        if answer.canceled && answer.compact_revision == 0 {
            self.live.remove(&answer.watch_id);
        }
        // A watch may have the id that a refusal has.
        let refused = answer.created && answer.canceled;
        let id = if refused { REFUSALS } else { answer.watch_id };
        let list = self.delivered.entry(id).or_default();
        let mut control = answer.clone();
        control.fragment = false;
        control.events.clear();
        let bare = pb::WatchResponse {
            watch_id: answer.watch_id,
            header: answer.header,
            ..pb::WatchResponse::default()
        };
        let mut lines = Vec::new();
        if control != bare || answer.events.is_empty() {
            let control = wire::dynamic(wire::message("etcdserverpb.WatchResponse"), &control);
            lines = view.lines(&control);
            list.push(lines.join(", "));
        }
        for event in &answer.events {
            let event = wire::dynamic(wire::message("mvccpb.Event"), event);
            list.push(format!("event {}", view.lines(&event).join(", ")));
        }
        lines
    }
}
