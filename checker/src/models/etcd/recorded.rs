//! Recorded requests as operations.

use std::collections::HashMap;

use api::errors::{is_compacted, is_future_revision};

use super::EtcdOp;
use crate::checks::{Class, class_of};
use crate::generic::Operation;
use crate::history::{ErrorOrigin, Outcome, Record, Request, Response};
use crate::model::{Refusal, is_serializable};

const NANOS: u64 = 1_000_000_000;

/// A recorded history as the generic engine takes it.
#[derive(Clone, Debug, Default)]
pub struct EtcdHistory<'a> {
    /// The operations, by call within each kind.
    pub operations: Vec<Operation<EtcdOp<'a>>>,
    /// The invocation that each comes from; for an expiry, the lease's grant.
    pub ids: Vec<u64>,
}

impl<'a> EtcdHistory<'a> {
    fn push(&mut self, id: u64, op: EtcdOp<'a>, call: u64, ret: Option<u64>) {
        self.ids.push(id);
        self.operations.push(Operation { op, call, ret });
    }
}

/// The operations of a recorded history, or of a prefix of one, on the key-value and lease API.
///
/// Errors that are definite and say nothing of the store's revisions are left out, and so are
/// renewals: an expiry may come once the time has passed that was granted first.
#[must_use]
pub fn etcd_history(records: &[Record]) -> EtcdHistory<'_> {
    let mut returns: HashMap<u64, (u64, &Outcome)> = HashMap::new();
    for record in records {
        if let Record::Return(end) = record {
            returns.insert(end.id, (end.at, &end.outcome));
        }
    }
    let mut history = EtcdHistory::default();
    for record in records {
        let Record::Invoke(invoke) = record else {
            continue;
        };
        let (id, call, request) = (invoke.id, invoke.at, &invoke.request);
        if !is_modelled(request) {
            continue;
        }
        let (ret, heard) = match returns.get(&id) {
            Some((at, outcome)) => (Some(*at), Some(*outcome)),
            None => (None, None),
        };
        let response = heard.and_then(Outcome::response);
        if let Some(response) = response {
            history.push(id, EtcdOp::answered(request, response), call, ret);
            if let Response::Compact { header } = response {
                history.push(id, EtcdOp::reached(header.revision), call, ret);
            }
        } else {
            match refusal(request, heard) {
                Heard::Unknown => history.push(id, EtcdOp::unknown(request), call, None),
                Heard::Refusal(refusal) => {
                    history.push(id, EtcdOp::refused(request, refusal), call, ret);
                }
                Heard::Nothing => continue,
            }
        }
        if let Request::LeaseGrant { id: asked, ttl } = request {
            let (lease, ttl) = match response {
                Some(Response::LeaseGrant {
                    id, ttl: granted, ..
                }) => (*id, *granted),
                _ => (*asked, *ttl),
            };
            if lease == 0 {
                continue;
            }
            let lives = u64::try_from(ttl).unwrap_or(0).saturating_mul(NANOS);
            let op = EtcdOp::expiry(lease);
            history.push(id, op, call.saturating_add(lives), None);
        }
    }
    history
}

enum Heard {
    Unknown,
    Refusal(Refusal),
    Nothing,
}

fn refusal(request: &Request, heard: Option<&Outcome>) -> Heard {
    let Some(outcome) = heard else {
        return Heard::Unknown;
    };
    let (code, message) = match (outcome, class_of(request, outcome)) {
        (_, Class::Unknown) => return Heard::Unknown,
        (
            Outcome::Error {
                code,
                message,
                origin: ErrorOrigin::Server,
            },
            _,
        ) => (*code, message),
        _ => return Heard::Nothing,
    };
    let speaks_of_revisions = match request {
        Request::Range(_) | Request::Compact { .. } => true,
        Request::Txn(txn) => !is_serializable(txn),
        _ => false,
    };
    let is_local = matches!(request, Request::Range(range) if range.serializable);
    if is_compacted(code, message) && speaks_of_revisions {
        Heard::Refusal(Refusal::Compacted)
    } else if is_future_revision(code, message) && speaks_of_revisions && !is_local {
        Heard::Refusal(Refusal::FutureRevision)
    } else {
        Heard::Nothing
    }
}

fn is_modelled(request: &Request) -> bool {
    matches!(
        request,
        Request::Range(_)
            | Request::Put(_)
            | Request::Delete(_)
            | Request::Txn(_)
            | Request::Compact { .. }
            | Request::LeaseGrant { .. }
            | Request::LeaseRevoke { .. }
    )
}
