//! Operations on the store, with what was heard of them.

use std::hash::{Hash, Hasher};

use crate::history::{
    Bytes, KeyValue, Request, Response, TxnOp, TxnOpResponse, TxnRequest, TxnResponse,
};
use crate::model::{Refusal, is_serializable};

/// A request to etcd with what was heard of it, or something that happens without a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EtcdOp<'a> {
    pub(super) what: What<'a>,
    /// Revisions at which the store can be just before, the lowest and the highest.
    pub(super) turn: (i64, i64),
    pub(super) is_read_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What<'a> {
    Answered {
        request: &'a Request,
        response: &'a Response,
        /// After it, where that is known.
        revision: Option<i64>,
    },
    /// Answered from a member's own state at this revision.
    Local {
        request: &'a Request,
        response: &'a Response,
        revision: i64,
    },
    Refused {
        request: &'a Request,
        refusal: Refusal,
    },
    Unknown {
        request: &'a Request,
        /// For a grant.
        lease: i64,
    },
    Expiry {
        lease: i64,
    },
    Reached,
}

impl<'a> EtcdOp<'a> {
    /// A request that was answered.
    #[must_use]
    pub fn answered(request: &'a Request, response: &'a Response) -> Self {
        let revision = response.header().map_or(0, |header| header.revision);
        let is_local = match request {
            Request::Range(range) => range.serializable,
            Request::Txn(txn) => is_serializable(txn),
            _ => false,
        };
        if is_local {
            return Self {
                what: What::Local {
                    request,
                    response,
                    revision,
                },
                turn: (revision, i64::MAX),
                is_read_only: true,
            };
        }
        let changes_keys = changes_keys(response);
        let (after, turn) = match request {
            // Its header is the answering member's revision, which may be later.
            Request::Compact { .. } => (None, (i64::MIN, revision)),
            Request::LeaseRevoke { .. } => (Some(revision), (revision - 1, revision)),
            _ => {
                let before = revision - i64::from(changes_keys);
                (Some(revision), (before, before))
            }
        };
        let is_read_only = !changes_keys
            && matches!(
                request,
                Request::Range(_) | Request::Delete(_) | Request::Txn(_)
            );
        Self {
            what: What::Answered {
                request,
                response,
                revision: after,
            },
            turn,
            is_read_only,
        }
    }

    /// A request that was refused, and so had no effect.
    #[must_use]
    pub fn refused(request: &'a Request, refusal: Refusal) -> Self {
        let pin = match request {
            Request::Compact { revision, .. } => Some(*revision),
            Request::Range(range) => Some(range.revision),
            _ => None,
        };
        let turn = match (refusal, pin) {
            (Refusal::FutureRevision, Some(pin)) => (i64::MIN, pin - 1),
            _ => (i64::MIN, i64::MAX),
        };
        Self {
            what: What::Refused { request, refusal },
            turn,
            is_read_only: true,
        }
    }

    /// A request that may have been applied, answered or refused: of unknown result.
    #[must_use]
    pub fn unknown(request: &'a Request) -> Self {
        let lease = match request {
            Request::LeaseGrant { id, .. } => *id,
            _ => 0,
        };
        Self::unknown_grant(request, lease)
    }

    fn unknown_grant(request: &'a Request, lease: i64) -> Self {
        let is_read_only = match request {
            Request::Put(_)
            | Request::Delete(_)
            | Request::Compact { .. }
            | Request::LeaseGrant { .. }
            | Request::LeaseRevoke { .. } => false,
            Request::Txn(txn) => !writes(txn),
            _ => true,
        };
        Self {
            what: What::Unknown { request, lease },
            turn: (i64::MIN, i64::MAX),
            is_read_only,
        }
    }

    /// The end of a lease's time: the lease and its keys go. It belongs into a history as an
    /// operation without return that is called when the time can have passed.
    #[must_use]
    pub fn expiry(lease: i64) -> Self {
        Self {
            what: What::Expiry { lease },
            turn: (i64::MIN, i64::MAX),
            is_read_only: false,
        }
    }

    /// The knowledge that the store had come to a revision, as a compaction's header gives it.
    #[must_use]
    pub fn reached(revision: i64) -> Self {
        Self {
            what: What::Reached,
            turn: (revision, i64::MAX),
            is_read_only: true,
        }
    }

    /// The lease that expires, if this is an expiry.
    pub(crate) fn expires(&self) -> Option<i64> {
        match self.what {
            What::Expiry { lease } => Some(lease),
            _ => None,
        }
    }

    /// Whether it is no request but what an answer tells of revisions.
    pub(crate) fn is_knowledge(&self) -> bool {
        self.what == What::Reached
    }

    pub(super) fn forget(&self) -> Self {
        match self.what {
            What::Answered {
                request, response, ..
            } => match response {
                Response::LeaseGrant { id, .. } => Self::unknown_grant(request, *id),
                _ => Self::unknown(request),
            },
            _ => *self,
        }
    }

    pub(super) fn request(&self) -> Option<&'a Request> {
        match self.what {
            What::Answered { request, .. }
            | What::Local { request, .. }
            | What::Refused { request, .. }
            | What::Unknown { request, .. } => Some(request),
            What::Expiry { .. } | What::Reached => None,
        }
    }

    /// The revision that it made, if it is known to have made one.
    pub(super) fn made(&self) -> Option<i64> {
        match self.what {
            What::Answered {
                response, revision, ..
            } if changes_keys(response) => revision,
            _ => None,
        }
    }

    /// Every key-value in the answer, with its value unless that is empty: it may have been left
    /// out then.
    pub(super) fn each_shown(&self, f: &mut impl FnMut(&'a KeyValue)) {
        if let What::Answered { response, .. } | What::Local { response, .. } = self.what {
            match response {
                Response::Range(range) => range.kvs.iter().for_each(f),
                Response::Txn(txn) => each_shown(txn, f),
                _ => {}
            }
        }
    }
}

/// No floats are in it.
impl Eq for EtcdOp<'_> {}

impl Hash for EtcdOp<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.turn.hash(hasher);
        match (self.request(), self.what) {
            (Some(Request::Put(put)), _) => (1, &put.key, &put.value).hash(hasher),
            (Some(Request::Delete(delete)), _) => (2, &delete.key).hash(hasher),
            (Some(Request::Range(range)), _) => (3, &range.key).hash(hasher),
            (Some(Request::LeaseRevoke { id } | Request::LeaseGrant { id, .. }), _) => {
                (4, id).hash(hasher);
            }
            (Some(Request::Txn(txn)), _) => {
                5.hash(hasher);
                each_put(txn, &mut |key, value| (key, value).hash(hasher));
            }
            (None, What::Expiry { lease }) => (6, lease).hash(hasher),
            _ => 7.hash(hasher),
        }
    }
}

fn each_shown<'a>(txn: &'a TxnResponse, f: &mut impl FnMut(&'a KeyValue)) {
    for response in &txn.responses {
        match response {
            TxnOpResponse::Range(range) => range.kvs.iter().for_each(&mut *f),
            TxnOpResponse::Txn(inner) => each_shown(inner, f),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) => {}
        }
    }
}

/// Key and value of every put of both branches.
pub(super) fn each_put<'a>(txn: &'a TxnRequest, f: &mut impl FnMut(&'a Bytes, &'a Bytes)) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            TxnOp::Put(put) => f(&put.key, &put.value),
            TxnOp::Txn(inner) => each_put(inner, f),
            TxnOp::Range(_) | TxnOp::Delete(_) => {}
        }
    }
}

/// The revisions that ranges of both branches are pinned to.
pub(super) fn each_pin(txn: &TxnRequest, f: &mut impl FnMut(i64)) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            TxnOp::Range(range) if range.revision > 0 => f(range.revision),
            TxnOp::Txn(inner) => each_pin(inner, f),
            _ => {}
        }
    }
}

fn writes(txn: &TxnRequest) -> bool {
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.any(|op| match op {
        TxnOp::Put(_) | TxnOp::Delete(_) => true,
        TxnOp::Range(_) => false,
        TxnOp::Txn(inner) => writes(inner),
    })
}

fn changes_keys(response: &Response) -> bool {
    match response {
        Response::Put(_) => true,
        Response::Delete(delete) => delete.deleted > 0,
        Response::Txn(txn) => txn_changes_keys(txn),
        _ => false,
    }
}

fn txn_changes_keys(txn: &TxnResponse) -> bool {
    txn.responses.iter().any(|response| match response {
        TxnOpResponse::Range(_) => false,
        TxnOpResponse::Put(_) => true,
        TxnOpResponse::Delete(delete) => delete.deleted > 0,
        TxnOpResponse::Txn(inner) => txn_changes_keys(inner),
    })
}
