//! The steps of a sequence.

use std::fmt;

use prost_reflect::DynamicMessage;

use crate::{translate, wire};

/// One step; every step has an outcome that is compared.
#[derive(Clone, PartialEq)]
pub(crate) enum Step {
    /// One request, one answer.
    Call {
        /// Like `KV/Put`.
        method: &'static str,
        request: DynamicMessage,
        user: Option<String>,
    },
    /// One keep-alive on a stream of its own.
    KeepAlive { id: i64, user: Option<String> },
    /// A request on one of the sequence's watch streams; the user is that of its first.
    Watch {
        stream: usize,
        request: DynamicMessage,
        user: Option<String>,
    },
    /// Waits until a new write was passed by every stream, then compares all their events.
    Settle,
    /// Waits until a lease is gone.
    AwaitExpiry { id: i64 },
    /// A whole snapshot.
    Snapshot { user: Option<String> },
}

impl Step {
    /// A call without a user.
    pub(crate) fn call(method: &'static str, request: &impl prost::Message) -> Self {
        Self::Call {
            method,
            request: wire::dynamic(wire::method(method).input(), request),
            user: None,
        }
    }

    /// The same step, done by a user: with the token of its last log-in.
    pub(crate) fn by(mut self, name: Option<&str>) -> Self {
        match &mut self {
            Self::Call { user, .. }
            | Self::KeepAlive { user, .. }
            | Self::Watch { user, .. }
            | Self::Snapshot { user } => *user = name.map(String::from),
            Self::Settle | Self::AwaitExpiry { .. } => {}
        }
        self
    }

    /// What is counted and what a failure is called by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Call { method, .. } => method,
            Self::KeepAlive { .. } => "Lease/LeaseKeepAlive",
            Self::Watch { .. } => "Watch/Watch",
            Self::Settle => "watched events",
            Self::AwaitExpiry { .. } => "expiry",
            Self::Snapshot { .. } => "Maintenance/Snapshot",
        }
    }

    /// The request, if there is one that can be simplified.
    pub(crate) fn request_mut(&mut self) -> Option<&mut DynamicMessage> {
        match self {
            Self::Call { request, .. } | Self::Watch { request, .. } => Some(request),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let user = match self {
            Self::Call { request, user, .. } => {
                write!(f, " {{{}}}", translate::show(request))?;
                user
            }
            Self::Watch {
                stream,
                request,
                user,
            } => {
                write!(f, " on stream {stream} {{{}}}", translate::show(request))?;
                user
            }
            Self::KeepAlive { id, user } => {
                write!(f, " {{id: {id}}}")?;
                user
            }
            Self::AwaitExpiry { id } => return write!(f, " of lease {id}"),
            Self::Snapshot { user } => user,
            Self::Settle => &None,
        };
        match user {
            Some(user) => write!(f, " by {user}"),
            None => Ok(()),
        }
    }
}
