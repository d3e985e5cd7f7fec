//! How an operation ended, in the four ways that a reader must tell apart.

use checker::checks::{Class, class_of};
use checker::history::{Outcome, Request};

/// How an operation ended: the checker's classes, with no answer at all among the unknown.
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
        match outcome.map(|outcome| class_of(request, outcome)) {
            Some(Class::Ok) => Self::Ok,
            Some(Class::Definite) => Self::Definite,
            Some(Class::Refused) => Self::Refused,
            Some(Class::Unknown) | None => Self::Unknown,
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

#[cfg(test)]
mod tests {
    use checker::history::{ErrorOrigin, PutRequest};

    use super::*;

    #[test]
    fn doubt_stays_doubt() {
        let put = |code, message: &str, origin| {
            let request = Request::Put(PutRequest::default());
            Ended::of(
                &request,
                Some(&Outcome::Error {
                    code,
                    message: message.into(),
                    origin,
                }),
            )
        };
        assert_eq!(
            Ended::of(&Request::Put(PutRequest::default()), None),
            Ended::Unknown
        );
        let late = "etcdserver: request timed out";
        assert_eq!(put(14, late, ErrorOrigin::Server), Ended::Unknown);
        let denied = "etcdserver: permission denied";
        assert_eq!(put(7, denied, ErrorOrigin::Server), Ended::Refused);
        assert_eq!(put(7, denied, ErrorOrigin::Client), Ended::Unknown);
        assert_eq!(
            put(14, "connection refused", ErrorOrigin::NotSent),
            Ended::Definite
        );
    }
}
