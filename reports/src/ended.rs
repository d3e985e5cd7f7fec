//! How an operation ended, in the four ways that a reader must tell apart.

use api::errors::{ErrorClass, RequestKind, classify};
use checker::history::{ClusterRequest, ErrorOrigin, Outcome, Request};

/// How an operation ended. The same table of errors decides as in the checker, so that a bar is
/// coloured as it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    /// Answered.
    Ok,
    /// An error that says the request had no effect.
    Definite,
    /// An error whose member claims that the request had no effect.
    Refused,
    /// No answer, or an error after which the request may have had its effect.
    Unknown,
}

impl Ended {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Definite, Self::Refused, Self::Unknown];

    pub(crate) fn of(request: &Request, outcome: Option<&Outcome>) -> Self {
        match outcome {
            None => Self::Unknown,
            Some(Outcome::Ok { .. }) => Self::Ok,
            Some(Outcome::Error {
                origin: ErrorOrigin::NotSent,
                ..
            }) => Self::Definite,
            Some(outcome) => match looked_up(request, outcome) {
                Some(ErrorClass::Definite) => Self::Definite,
                Some(ErrorClass::Refused) => Self::Refused,
                Some(ErrorClass::Unknown) | None => Self::Unknown,
            },
        }
    }

    /// The name used in classes, tables and the legend.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Definite => "definite",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "answered",
            Self::Definite => "an error that rules out any effect",
            Self::Refused => "refused: the member claims that it had no effect",
            Self::Unknown => "no answer, or an error that leaves the effect open",
        }
    }
}

fn looked_up(request: &Request, outcome: &Outcome) -> Option<ErrorClass> {
    match outcome {
        Outcome::Error {
            code,
            message,
            origin: ErrorOrigin::Server,
        } => Some(classify(kind(request), *code, message).class),
        _ => None,
    }
}

fn kind(request: &Request) -> RequestKind {
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

#[cfg(test)]
mod tests {
    use api::errors::{RULES, code};
    use checker::history::PutRequest;

    use super::*;

    fn put(code: i32, message: &str, origin: ErrorOrigin) -> Ended {
        let request = Request::Put(PutRequest::default());
        Ended::of(
            &request,
            Some(&Outcome::Error {
                code,
                message: message.into(),
                origin,
            }),
        )
    }

    #[test]
    fn doubt_stays_doubt() {
        assert_eq!(
            Ended::of(&Request::Put(PutRequest::default()), None),
            Ended::Unknown
        );
        let late = "etcdserver: request timed out";
        assert_eq!(
            put(code::UNAVAILABLE, late, ErrorOrigin::Server),
            Ended::Unknown
        );
        assert_eq!(
            put(code::DEADLINE_EXCEEDED, "late", ErrorOrigin::Deadline),
            Ended::Unknown
        );
    }

    #[test]
    fn a_row_of_the_table_counts_only_over_the_wire() {
        for (class, ended) in [
            (ErrorClass::Definite, Ended::Definite),
            (ErrorClass::Refused, Ended::Refused),
        ] {
            let row = RULES
                .iter()
                .find(|row| row.class == class && row.kinds.contains(&RequestKind::Put))
                .unwrap();
            assert_eq!(put(row.code, row.message, ErrorOrigin::Server), ended);
            assert_eq!(
                put(row.code, row.message, ErrorOrigin::Client),
                Ended::Unknown
            );
        }
        assert_eq!(
            put(code::UNAVAILABLE, "refused", ErrorOrigin::NotSent),
            Ended::Definite
        );
    }
}
