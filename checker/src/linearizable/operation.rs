//! Operations: what was asked and heard, from both streams, each with its place in time.

use hashbrown::HashMap;

use api::errors::{is_compacted, is_future_revision};

use super::returns::Returns;
use crate::checks::{Class, class_of};
use crate::history::{
    Asked, ErrorOrigin, Event, ObservationRecord, Outcome as Heard, PutRequest, RangeRequest,
    RangeResponse, Record, Request, Response, TxnOp, TxnOpResponse, TxnRequest, TxnResponse,
};
use crate::model::is_serializable;

/// Which record an operation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationId {
    /// Invocation of this number in `history.jsonl`.
    History(u64),
    /// Request of this number in `observations.jsonl`.
    Observation(u64),
}

/// The time of what never returned.
pub(super) const NEVER: u64 = u64::MAX;

/// One request with what is known of its effect.
#[derive(Clone, Debug)]
pub(super) struct Operation<'a> {
    pub id: OperationId,
    /// None for the harness itself.
    pub client: Option<u32>,
    pub member: &'a str,
    /// Nanoseconds since the run's start.
    pub call: u64,
    /// Likewise; [`NEVER`] where the effect may still come.
    pub ret: u64,
    pub request: &'a Request,
    pub seen: Seen<'a>,
    pub role: Role,
}

/// What came back, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seen<'a> {
    Answer(&'a Response),
    /// An error that proves, or claims, that there was no effect.
    NoEffect {
        /// The claim is that of the auth layer or another that not all members vouch for.
        refused: bool,
        why: NoEffect,
    },
    Unknown,
}

/// What an error tells about the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEffect {
    Compacted,
    FutureRevision,
    Other,
}

/// The part an operation plays in the order of revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Changed the store and made this revision.
    Write(i64),
    /// Saw this revision and changed no key.
    Read(i64),
    /// A revocation that was acknowledged at this revision: made it if keys were attached.
    Revoke(i64),
    /// Answered from the member's own state at this revision.
    LocalRead(i64),
    /// A compaction, acknowledged by a member that stood at this revision.
    Compaction(i64),
    /// An error that says that this revision was compacted (`Compact`: already, for itself).
    SawCompacted(i64),
    /// An error that says that this revision did not exist yet.
    SawFuture(i64),
    /// A renewal of a lease that was acknowledged.
    Renewal(i64),
    /// May have taken effect at any time since its call, once, or never.
    Maybe,
    /// May have compacted at any time since its call, or never.
    MaybeCompaction(i64),
    /// Says nothing.
    Nothing,
}

/// Everything read from the two streams.
pub(super) struct Operations<'a> {
    pub all: Vec<Operation<'a>>,
    /// Watch events by revision: hints only.
    pub events: HashMap<i64, Vec<&'a Event>>,
    /// A record that is none of etcd's making, in words: the history cannot be judged.
    pub malformed: Option<String>,
}

impl<'a> Operations<'a> {
    pub(super) fn read(history: &'a [Record], observations: &'a [ObservationRecord]) -> Self {
        let mut this = Self {
            all: Vec::new(),
            events: HashMap::new(),
            malformed: None,
        };
        let mut returns = Returns::of(history);
        if let Some(id) = returns.twice {
            this.malformed = Some(format!("operation {id} returns twice"));
        }
        for record in history {
            if let Record::Watch(delivery) = record {
                for event in &delivery.response.events {
                    this.events
                        .entry(event.kv.mod_revision)
                        .or_default()
                        .push(event);
                }
            }
        }
        this.all.reserve(history.len() / 2);
        for record in history {
            let Record::Invoke(invoke) = record else {
                continue;
            };
            if !is_modelled(&invoke.request) {
                continue;
            }
            let (ret, heard) = match returns.take(invoke.id) {
                Some(r) => (r.at, Some(&r.outcome)),
                None => (NEVER, None),
            };
            let id = OperationId::History(invoke.id);
            let times = (invoke.at, ret);
            this.push(
                id,
                Some(invoke.client),
                &invoke.member,
                times,
                &invoke.request,
                heard,
            );
        }
        for record in observations {
            let ObservationRecord::Asked(asked) = record else {
                continue;
            };
            if is_modelled(&asked.request) && !is_local(&asked.request) {
                let Asked {
                    id,
                    at,
                    until,
                    member,
                    request,
                    outcome,
                    ..
                } = asked;
                let id = OperationId::Observation(*id);
                this.push(id, None, member, (*at, *until), request, Some(outcome));
            }
        }
        this
    }

    fn push(
        &mut self,
        id: OperationId,
        client: Option<u32>,
        member: &'a str,
        (call, ret): (u64, u64),
        request: &'a Request,
        heard: Option<&'a Heard>,
    ) {
        let seen = heard.map_or(Seen::Unknown, |heard| interpret(request, heard));
        let role = match role(request, seen) {
            Ok(role) => role,
            Err(why) => {
                self.malformed
                    .get_or_insert(format!("the answer to {id:?} {why}"));
                Role::Nothing
            }
        };
        if ret < call {
            self.malformed
                .get_or_insert(format!("{id:?} returned before it was invoked"));
        }
        let ret = if matches!(role, Role::Maybe | Role::MaybeCompaction(_)) {
            NEVER
        } else {
            ret
        };
        self.all.push(Operation {
            id,
            client,
            member,
            call,
            ret,
            request,
            seen,
            role,
        });
    }
}

pub(super) fn is_modelled(request: &Request) -> bool {
    matches!(
        request,
        Request::Range(_)
            | Request::Put(_)
            | Request::Delete(_)
            | Request::Txn(_)
            | Request::Compact { .. }
            | Request::LeaseGrant { .. }
            | Request::LeaseRevoke { .. }
            | Request::LeaseKeepAlive { .. }
    )
}

/// Whether the request is answered from the member's own state.
pub(super) fn is_local(request: &Request) -> bool {
    match request {
        Request::Range(range) => range.serializable,
        Request::Txn(txn) => is_serializable(txn),
        _ => false,
    }
}

pub(super) fn interpret<'a>(request: &Request, heard: &'a Heard) -> Seen<'a> {
    let (code, message, origin) = match heard {
        Heard::Ok { response } => return Seen::Answer(response),
        Heard::Error {
            code,
            message,
            origin,
        } => (*code, message, *origin),
    };
    let why = if origin != ErrorOrigin::Server {
        NoEffect::Other
    } else if is_compacted(code, message) {
        NoEffect::Compacted
    } else if is_future_revision(code, message) {
        NoEffect::FutureRevision
    } else {
        NoEffect::Other
    };
    match class_of(request, heard) {
        Class::Definite => Seen::NoEffect {
            refused: false,
            why,
        },
        Class::Refused => Seen::NoEffect { refused: true, why },
        Class::Ok | Class::Unknown => Seen::Unknown,
    }
}

pub(super) fn role(request: &Request, seen: Seen<'_>) -> Result<Role, &'static str> {
    const OTHER_KIND: &str = "is one to another kind of request";
    let response = match seen {
        Seen::Answer(response) => response,
        Seen::NoEffect { why, .. } => return Ok(role_of_error(request, why)),
        Seen::Unknown => return Ok(role_of_unknown(request)),
    };
    let revision = response.header().map_or(0, |header| header.revision);
    if revision < 1 && !matches!(request, Request::LeaseKeepAlive { .. }) {
        return Err("has a revision below 1");
    }
    Ok(match (request, response) {
        (Request::Range(range), Response::Range(_)) if range.serializable => {
            Role::LocalRead(revision)
        }
        (Request::Range(_), Response::Range(_)) => Role::Read(revision),
        (Request::Put(_), Response::Put(_)) => Role::Write(revision),
        (Request::Delete(_), Response::Delete(delete)) if delete.deleted > 0 => {
            Role::Write(revision)
        }
        (Request::Delete(_), Response::Delete(_)) => Role::Read(revision),
        (Request::Txn(txn), Response::Txn(answer)) => {
            if !same_shape(txn, answer) {
                return Err(OTHER_KIND);
            }
            match (took_effect(answer), is_serializable(txn)) {
                (true, _) => Role::Write(revision),
                (false, true) => Role::LocalRead(revision),
                (false, false) => Role::Read(revision),
            }
        }
        (Request::Compact { .. }, Response::Compact { .. }) => Role::Compaction(revision),
        (Request::LeaseGrant { .. }, Response::LeaseGrant { .. }) => Role::Read(revision),
        (Request::LeaseRevoke { .. }, Response::LeaseRevoke { .. }) => Role::Revoke(revision),
        (Request::LeaseKeepAlive { id }, Response::LeaseKeepAlive { ttl, .. }) => {
            if *ttl > 0 {
                Role::Renewal(*id)
            } else {
                Role::Nothing
            }
        }
        _ => return Err(OTHER_KIND),
    })
}

fn role_of_error(request: &Request, why: NoEffect) -> Role {
    let (lowest, highest) = pinned_bounds(request);
    match (why, request) {
        (NoEffect::Compacted, Request::Compact { revision, .. }) => Role::SawCompacted(*revision),
        (NoEffect::Compacted, _) => lowest.map_or(Role::Nothing, |p| Role::SawCompacted(p + 1)),
        (NoEffect::FutureRevision, _) if is_local(request) => Role::Nothing,
        (NoEffect::FutureRevision, Request::Compact { revision, .. }) => Role::SawFuture(*revision),
        (NoEffect::FutureRevision, _) => highest.map_or(Role::Nothing, Role::SawFuture),
        (NoEffect::Other, _) => Role::Nothing,
    }
}

fn role_of_unknown(request: &Request) -> Role {
    match request {
        Request::Put(_) | Request::Delete(_) | Request::LeaseRevoke { .. } => Role::Maybe,
        // Without its id nobody can have used the lease.
        Request::LeaseGrant { id, .. } if *id != 0 => Role::Maybe,
        Request::Txn(txn) if has_writes(txn) => Role::Maybe,
        Request::Compact { revision, .. } => Role::MaybeCompaction(*revision),
        _ => Role::Nothing,
    }
}

/// Revisions that the ranges of a request are pinned to: the lowest and the highest.
fn pinned_bounds(request: &Request) -> (Option<i64>, Option<i64>) {
    let mut pins = Vec::new();
    match request {
        Request::Range(range) => pins.push(range.revision),
        Request::Txn(txn) => each_op(txn, &mut |op| {
            if let TxnOp::Range(range) = op {
                pins.push(range.revision);
            }
        }),
        _ => {}
    }
    pins.retain(|pin| *pin > 0);
    (pins.iter().min().copied(), pins.iter().max().copied())
}

/// Calls for each operation of both branches, nested ones included.
pub(super) fn each_op<'a>(txn: &'a TxnRequest, f: &mut impl FnMut(&'a TxnOp)) {
    for op in txn.success.iter().chain(&txn.failure) {
        f(op);
        if let TxnOp::Txn(inner) = op {
            each_op(inner, f);
        }
    }
}

fn has_writes(txn: &TxnRequest) -> bool {
    let mut found = false;
    each_op(txn, &mut |op| {
        found |= matches!(op, TxnOp::Put(_) | TxnOp::Delete(_))
    });
    found
}

/// Calls for each operation of the branch taken, with its answer, nested ones included.
pub(super) fn each_answered<'a>(
    txn: &'a TxnRequest,
    answer: &'a TxnResponse,
    f: &mut impl FnMut(&'a TxnOp, &'a TxnOpResponse),
) {
    let branch = if answer.succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    for (op, response) in branch.iter().zip(&answer.responses) {
        f(op, response);
        if let (TxnOp::Txn(inner), TxnOpResponse::Txn(answer)) = (op, response) {
            each_answered(inner, answer, f);
        }
    }
}

fn same_shape(txn: &TxnRequest, answer: &TxnResponse) -> bool {
    let branch = if answer.succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    branch.len() == answer.responses.len()
        && branch.iter().zip(&answer.responses).all(|pair| match pair {
            (TxnOp::Range(_), TxnOpResponse::Range(_))
            | (TxnOp::Put(_), TxnOpResponse::Put(_))
            | (TxnOp::Delete(_), TxnOpResponse::Delete(_)) => true,
            (TxnOp::Txn(inner), TxnOpResponse::Txn(answer)) => same_shape(inner, answer),
            _ => false,
        })
}

fn took_effect(answer: &TxnResponse) -> bool {
    answer.responses.iter().any(|response| match response {
        TxnOpResponse::Range(_) => false,
        TxnOpResponse::Put(_) => true,
        TxnOpResponse::Delete(delete) => delete.deleted > 0,
        TxnOpResponse::Txn(inner) => took_effect(inner),
    })
}

impl<'a> Operation<'a> {
    pub(super) fn response(&self) -> Option<&'a Response> {
        match self.seen {
            Seen::Answer(response) => Some(response),
            _ => None,
        }
    }

    /// The revision that places the operation exactly in the order of writes, if it has one.
    pub(super) fn order_revision(&self) -> Option<i64> {
        match self.role {
            Role::Write(r) | Role::Read(r) | Role::Revoke(r) => Some(r),
            _ => None,
        }
    }

    /// The highest revision that the answer proves to have existed when it came. A revision that
    /// has been compacted had existed.
    pub(super) fn proves_revision(&self) -> Option<i64> {
        match self.role {
            Role::Write(r)
            | Role::Read(r)
            | Role::Revoke(r)
            | Role::LocalRead(r)
            | Role::Compaction(r)
            | Role::SawCompacted(r) => Some(r),
            _ => None,
        }
    }

    /// Puts that the operation made, or (where its result is unknown) would make in some branch.
    pub(super) fn each_put(&self, mut f: impl FnMut(&'a PutRequest)) {
        match (self.request, self.response()) {
            (Request::Put(put), _) => f(put),
            (Request::Txn(txn), Some(Response::Txn(answer))) => {
                each_answered(txn, answer, &mut |op, _| {
                    if let TxnOp::Put(put) = op {
                        f(put);
                    }
                });
            }
            (Request::Txn(txn), _) => each_op(txn, &mut |op| {
                if let TxnOp::Put(put) = op {
                    f(put);
                }
            }),
            _ => {}
        }
    }

    /// Ranges inside the branch taken that are pinned to a revision, with their answers.
    pub(super) fn each_pinned(&self, mut f: impl FnMut(&'a RangeRequest, &'a RangeResponse)) {
        match (self.request, self.response()) {
            (Request::Range(range), Some(Response::Range(answer))) if range.revision > 0 => {
                f(range, answer);
            }
            (Request::Txn(txn), Some(Response::Txn(answer))) => {
                each_answered(txn, answer, &mut |op, response| {
                    if let (TxnOp::Range(range), TxnOpResponse::Range(answer)) = (op, response)
                        && range.revision > 0
                    {
                        f(range, answer);
                    }
                });
            }
            _ => {}
        }
    }
}
