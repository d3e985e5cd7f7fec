//! The whole key space of each member, as it was read in the end.

use std::collections::BTreeMap;

use super::class::error_text;
use super::run::{Roster, Run};
use crate::history::{Asked, Bytes, KeyValue, Outcome, Purpose, RangeRequest, Request, Response};

/// What one member answered when asked for everything.
#[derive(Clone, Debug)]
pub(super) struct Content<'a> {
    /// The member.
    pub(super) member: &'a str,
    /// The observation.
    pub(super) asked: &'a Asked,
    /// What was asked.
    pub(super) range: &'a RangeRequest,
    /// The revision in the answer's header.
    pub(super) revision: i64,
    /// Key-values by key.
    pub(super) keys: BTreeMap<&'a Bytes, &'a KeyValue>,
}

impl Content<'_> {
    /// Whether the range asked for includes a key.
    pub(super) fn covers(&self, key: &Bytes) -> bool {
        in_range(key, &self.range.key, &self.range.range_end)
    }
}

/// Whether a key lies in a range as requests state it.
pub(super) fn in_range(key: &Bytes, start: &Bytes, end: &Bytes) -> bool {
    if end.is_empty() {
        return key == start;
    }
    key >= start && (end.as_slice() == [0] || key < end)
}

/// The last whole answers, one a member and kind of read, and why others are missing.
#[derive(Debug, Default)]
pub(super) struct Contents<'a> {
    /// Answers to serializable reads.
    pub(super) serializable: BTreeMap<&'a str, Content<'a>>,
    /// Answers to linearizable reads.
    pub(super) linearizable: BTreeMap<&'a str, Content<'a>>,
    /// Why a member has no answer to a serializable read.
    pub(super) missing: BTreeMap<&'a str, String>,
}

impl<'a> Contents<'a> {
    /// Whether no member answered at all.
    pub(super) fn is_empty(&self) -> bool {
        self.serializable.is_empty() && self.linearizable.is_empty()
    }

    /// Reads them.
    pub(super) fn of(run: Run<'a>, roster: &Roster<'a>) -> Self {
        let mut contents = Self::default();
        let members = roster.members();
        for &member in &members {
            contents
                .missing
                .insert(member, "nobody asked it".to_owned());
        }
        for asked in run.asked_for(Purpose::ConvergenceContent) {
            let member = asked.member.as_str();
            let Request::Range(range) = &asked.request else {
                continue;
            };
            if !members.contains(member) {
                continue;
            }
            match &asked.outcome {
                Outcome::Ok {
                    response: Response::Range(answer),
                } if !answer.more && is_plain(range) => {
                    let content = Content {
                        member,
                        asked,
                        range,
                        revision: answer.header.revision,
                        keys: answer.kvs.iter().map(|kv| (&kv.key, kv)).collect(),
                    };
                    if range.serializable {
                        contents.missing.remove(member);
                        contents.serializable.insert(member, content);
                    } else {
                        contents.linearizable.insert(member, content);
                    }
                }
                outcome if range.serializable && !contents.serializable.contains_key(member) => {
                    let why = match outcome {
                        Outcome::Ok { .. } => "its answer is only a part".to_owned(),
                        Outcome::Error { .. } => format!("it answered {}", error_text(outcome)),
                    };
                    contents.missing.insert(member, why);
                }
                _ => {}
            }
        }
        contents
    }
}

/// Whether a range asks for whole key-values, without limit or filter, at the newest revision.
fn is_plain(range: &RangeRequest) -> bool {
    range.limit == 0
        && range.revision <= 0
        && !range.keys_only
        && !range.count_only
        && range.min_mod_revision == 0
        && range.max_mod_revision == 0
        && range.min_create_revision == 0
        && range.max_create_revision == 0
}

/// A key-value in a sentence.
pub(super) fn describe(kv: Option<&KeyValue>) -> String {
    let Some(kv) = kv else {
        return "nothing".to_owned();
    };
    let lease = if kv.lease == 0 {
        String::new()
    } else {
        format!(", lease {}", kv.lease)
    };
    format!(
        "value {} (mod revision {}, created at {}, version {}{lease})",
        super::findings::quote(&kv.value.to_string()),
        kv.mod_revision,
        kv.create_revision,
        kv.version
    )
}
