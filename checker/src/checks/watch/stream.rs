//! The watches of a run, each with its messages in order.

use std::collections::HashMap;

use crate::checks::run::Run;
use crate::history::{Bytes, Record, Request, Response, WatchDelivery, WatchRequest};

/// One watch.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    /// The operation's number.
    pub(super) id: u64,
    pub(super) client: u32,
    pub(super) member: &'a str,
    pub(super) request: &'a WatchRequest,
    pub(super) messages: Vec<&'a WatchDelivery>,
    /// How many messages the client counted, where the watch ended in order.
    pub(super) counted: Option<u64>,
}

impl Watch<'_> {
    /// All of them, in the order of the history.
    pub(super) fn all<'a>(run: &Run<'a>) -> Vec<Watch<'a>> {
        let mut watches: Vec<Watch<'a>> = Vec::new();
        let mut place = HashMap::new();
        for record in run.history {
            match record {
                Record::Invoke(invoke) => {
                    if let Request::Watch(request) = &invoke.request {
                        place.insert(invoke.id, watches.len());
                        watches.push(Watch {
                            id: invoke.id,
                            client: invoke.client,
                            member: &invoke.member,
                            request,
                            messages: Vec::new(),
                            counted: None,
                        });
                    }
                }
                Record::Watch(delivery) => {
                    if let Some(watch) = place.get(&delivery.id).map(|at: &usize| &mut watches[*at])
                    {
                        watch.messages.push(delivery);
                    }
                }
                Record::Return(end) => {
                    if let (Some(at), Some(Response::WatchEnd { messages })) =
                        (place.get(&end.id), end.outcome.response())
                    {
                        watches[*at].counted = Some(*messages);
                    }
                }
                Record::Header(_) | Record::Footer(_) => {}
            }
        }
        watches
    }

    /// The first revision it must deliver, where that is known: the one asked for, or the one after
    /// the store's when it was created (`WatchCreateRequest.start_revision` in etcd's `rpc.proto`).
    pub(super) fn from(&self) -> Option<i64> {
        if self.request.start_revision > 0 {
            return Some(self.request.start_revision);
        }
        let created = self.messages.iter().find(|m| m.response.created)?;
        Some(created.response.header.revision + 1)
    }

    /// How sentences call it.
    pub(super) fn name(&self) -> String {
        let on = match self.member {
            "" => String::new(),
            member => format!(" on {member}"),
        };
        format!(
            "c{}'s watch of {}{on} (operation {})",
            self.client,
            self.range(),
            self.id
        )
    }

    fn range(&self) -> String {
        let WatchRequest { key, range_end, .. } = self.request;
        if range_end.is_empty() {
            key.to_string()
        } else if key.as_slice() == [0] && range_end.as_slice() == [0] {
            "all keys".to_owned()
        } else if key.prefix_end() == *range_end {
            format!("{key}*")
        } else if *range_end == Bytes(vec![0]) {
            format!("keys from {key}")
        } else {
            format!("[{key}, {range_end})")
        }
    }
}
