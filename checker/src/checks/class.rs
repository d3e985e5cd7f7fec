//! What an answer says about the effect of its request.

use api::errors::{ErrorClass, RequestKind, Rule, classify};

use crate::history::{ClusterRequest, ErrorOrigin, Outcome, Request};

/// What an answer says about the effect of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It was answered.
    Ok,
    /// It failed, and the error, or its never having been sent, proves that it had no effect.
    Definite,
    /// It failed, and the member claims that it had no effect.
    Refused,
    /// It may have taken effect, or may still.
    Unknown,
}

impl Class {
    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Definite => "definite",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// Classifies the outcome of a request.
#[must_use]
pub fn class_of(request: &Request, outcome: &Outcome) -> Class {
    match outcome {
        Outcome::Ok { .. } => Class::Ok,
        Outcome::Error {
            origin: ErrorOrigin::NotSent,
            ..
        } => Class::Definite,
        Outcome::Error {
            origin: ErrorOrigin::Client | ErrorOrigin::Deadline,
            ..
        } => Class::Unknown,
        Outcome::Error {
            code,
            message,
            origin: ErrorOrigin::Server,
        } => match classify(kind_of(request), *code, message).class {
            ErrorClass::Definite => Class::Definite,
            ErrorClass::Refused => Class::Refused,
            ErrorClass::Unknown => Class::Unknown,
        },
    }
}

/// The row of the error table that an outcome falls under.
pub(super) fn rule_of(request: &Request, outcome: &Outcome) -> Option<&'static Rule> {
    match outcome {
        Outcome::Error {
            code,
            message,
            origin: ErrorOrigin::Server,
        } => classify(kind_of(request), *code, message).rule,
        _ => None,
    }
}

fn kind_of(request: &Request) -> RequestKind {
    match request {
        Request::Range(_) => RequestKind::Range,
        Request::Put(_) => RequestKind::Put,
        Request::Delete(_) => RequestKind::DeleteRange,
        Request::Txn(_) => RequestKind::Txn,
        Request::Compact { .. } => RequestKind::Compact,
        Request::LeaseGrant { .. } => RequestKind::LeaseGrant,
        Request::LeaseRevoke { .. } => RequestKind::LeaseRevoke,
        Request::LeaseKeepAlive { .. } => RequestKind::LeaseKeepAlive,
        Request::LeaseTimeToLive { .. } => RequestKind::LeaseTimeToLive,
        Request::Watch(_) => RequestKind::Watch,
        Request::Authenticate { .. } => RequestKind::Authenticate,
        Request::Auth(_) => RequestKind::Auth,
        Request::Cluster(ClusterRequest::Promote { .. }) => RequestKind::MemberPromote,
        Request::Cluster(_) => RequestKind::Cluster,
        Request::Maintenance(_) => RequestKind::Maintenance,
    }
}

/// An error as sentences quote it: `"etcdserver: permission denied" (code 7)`.
pub(super) fn error_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok { .. } => "no error".to_owned(),
        Outcome::Error {
            origin: ErrorOrigin::Deadline,
            ..
        } => "no answer in time".to_owned(),
        Outcome::Error {
            origin: ErrorOrigin::NotSent,
            message,
            ..
        } => {
            format!("not sent: {message:?}")
        }
        Outcome::Error { code, message, .. } => format!("{message:?} (code {code})"),
    }
}
