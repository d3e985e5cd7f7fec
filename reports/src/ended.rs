//! How an operation ended, in the four ways that a reader must tell apart.

use checker::history::{ErrorOrigin, Outcome};

/// How an operation ended.
///
/// This colours bars and fills tables; no verdict hangs on it. Where it and the checker could
/// differ it says [`Ended::Unknown`], which claims nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    /// Answered.
    Ok,
    /// An error that says the request had no effect.
    Definite,
    /// Refused by the auth layer: the store claims that it had no effect.
    Refused,
    /// No answer, or an error after which the request may have had its effect.
    Unknown,
}

const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;
/// InvalidArgument, NotFound and FailedPrecondition: raised while a request is looked at.
const LOOKED_AT: [i32; 3] = [3, 5, 9];

impl Ended {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Definite, Self::Refused, Self::Unknown];

    pub(crate) fn of(outcome: Option<&Outcome>) -> Self {
        match outcome {
            None => Self::Unknown,
            Some(Outcome::Ok { .. }) => Self::Ok,
            Some(Outcome::Error {
                origin: ErrorOrigin::NotSent,
                ..
            }) => Self::Definite,
            Some(Outcome::Error {
                origin: ErrorOrigin::Server,
                code,
                message,
            }) => match *code {
                PERMISSION_DENIED | UNAUTHENTICATED => Self::Refused,
                code if LOOKED_AT.contains(&code) && message.starts_with("etcdserver: ") => {
                    Self::Definite
                }
                _ => Self::Unknown,
            },
            Some(Outcome::Error { .. }) => Self::Unknown,
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
            Self::Refused => "refused by auth, so it must have no effect",
            Self::Unknown => "no answer, or an error that leaves the effect open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32, message: &str, origin: ErrorOrigin) -> Ended {
        Ended::of(Some(&Outcome::Error {
            code,
            message: message.into(),
            origin,
        }))
    }

    #[test]
    fn doubt_stays_doubt() {
        assert_eq!(Ended::of(None), Ended::Unknown);
        assert_eq!(
            error(14, "etcdserver: leader changed", ErrorOrigin::Server),
            Ended::Unknown
        );
        assert_eq!(
            error(7, "permission denied", ErrorOrigin::Client),
            Ended::Unknown
        );
        assert_eq!(error(4, "deadline", ErrorOrigin::Deadline), Ended::Unknown);
        assert_eq!(
            error(3, "made by a library", ErrorOrigin::Server),
            Ended::Unknown
        );
    }

    #[test]
    fn what_is_certain_is_told_apart() {
        assert_eq!(error(14, "refused", ErrorOrigin::NotSent), Ended::Definite);
        let denied = error(7, "etcdserver: permission denied", ErrorOrigin::Server);
        assert_eq!(denied, Ended::Refused);
        let no_key = error(3, "etcdserver: key not found", ErrorOrigin::Server);
        assert_eq!(no_key, Ended::Definite);
    }
}
