//! Probes, and what each voter last said to them.

use std::collections::BTreeMap;
use std::fmt;

use api::errors::{is_auth_failed, is_auth_not_enabled, is_permission_denied};

use crate::checks::class::{Class, class_of};
use crate::checks::run::{Roster, Run};
use crate::history::{Asked, Bytes, Outcome, Purpose, Request};

/// What a probe is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A log-in, which must succeed.
    Login,
    /// A request that the user may make.
    Allowed,
    /// A request that the user may not make.
    Denied,
}

/// The same question to several voters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe<'a> {
    /// What it is to show.
    pub(super) kind: Kind,
    user: &'a str,
    request: &'static str,
    key: &'a [u8],
    end: &'a [u8],
}

impl<'a> Probe<'a> {
    fn of(asked: &'a Asked) -> Option<Self> {
        let kind = match asked.purpose {
            Purpose::AuthLogin => Kind::Login,
            Purpose::AuthAllowed => Kind::Allowed,
            Purpose::AuthDenied => Kind::Denied,
            _ => return None,
        };
        let mut user = asked.user.as_deref().unwrap_or("nobody");
        let (key, end) = match &asked.request {
            Request::Range(range) => (range.key.as_slice(), range.range_end.as_slice()),
            Request::Put(put) => (put.key.as_slice(), [].as_slice()),
            Request::Delete(delete) => (delete.key.as_slice(), delete.range_end.as_slice()),
            Request::Authenticate { user: named, .. } => {
                user = named;
                ([].as_slice(), [].as_slice())
            }
            _ => ([].as_slice(), [].as_slice()),
        };
        Some(Self {
            kind,
            user,
            request: asked.request.kind(),
            key,
            end,
        })
    }

    /// Whether an answer is what a sound member gives.
    pub(super) fn is_expected(&self, asked: &Asked) -> bool {
        match (self.kind, &asked.outcome) {
            (Kind::Login | Kind::Allowed, outcome) => outcome.response().is_some(),
            (Kind::Denied, Outcome::Error { code, message, .. }) => {
                is_permission_denied(*code, message)
            }
            (Kind::Denied, Outcome::Ok { .. }) => false,
        }
    }

    /// What a sound member answers.
    pub(super) fn expectation(&self) -> &'static str {
        match self.kind {
            Kind::Login | Kind::Allowed => "success",
            Kind::Denied => "permission denied",
        }
    }
}

impl fmt::Display for Probe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            user,
            request,
            key,
            end,
        } = self;
        let key = Bytes(key.to_vec());
        match kind {
            Kind::Login => write!(f, "the log-in of {user}"),
            Kind::Allowed | Kind::Denied => {
                let which = if *kind == Kind::Allowed {
                    "permitted"
                } else {
                    "forbidden"
                };
                write!(f, "{user}'s {which} {request} of {key}")?;
                if end.is_empty() {
                    Ok(())
                } else {
                    write!(f, " to {}", Bytes(end.to_vec()))
                }
            }
        }
    }
}

/// What one voter said to a probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    /// The last answer that says something about auth.
    pub(super) conclusive: Option<&'a Asked>,
    /// The last answer.
    pub(super) last: &'a Asked,
    /// How often it was asked.
    pub(super) tries: usize,
}

/// The last answers to each probe, by voter.
pub(super) fn last_answers<'a>(
    run: Run<'a>,
    roster: &Roster<'a>,
) -> BTreeMap<Probe<'a>, BTreeMap<&'a str, Answer<'a>>> {
    let mut probes: BTreeMap<Probe<'a>, BTreeMap<&'a str, Answer<'a>>> = BTreeMap::new();
    for asked in run
        .asked()
        .filter(|asked| roster.voters.contains(asked.member.as_str()))
    {
        let Some(probe) = Probe::of(asked) else {
            continue;
        };
        let answers = probes.entry(probe).or_default();
        let fresh = Answer {
            conclusive: None,
            last: asked,
            tries: 0,
        };
        let answer = answers.entry(&asked.member).or_insert(fresh);
        answer.last = asked;
        answer.tries += 1;
        if is_conclusive(asked) {
            answer.conclusive = Some(asked);
        }
    }
    probes
}

fn is_conclusive(asked: &Asked) -> bool {
    match class_of(&asked.request, &asked.outcome) {
        Class::Ok | Class::Refused => true,
        Class::Unknown => false,
        Class::Definite => match &asked.outcome {
            Outcome::Error { code, message, .. } => {
                is_auth_failed(*code, message) || is_auth_not_enabled(*code, message)
            }
            Outcome::Ok { .. } => false,
        },
    }
}
