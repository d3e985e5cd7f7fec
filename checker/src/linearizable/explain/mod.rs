//! Findings in plain sentences.

mod evidence;
mod replay;

use super::facts::Facts;
use super::no_finding;
use super::operation::{NEVER, Operation, OperationId, Operations, each_op};
use super::revisions::{Op, Revisions};
use crate::history::{Bytes, Request, TxnOp};
use crate::verdict::Finding;

/// Keys named in a sentence.
const KEYS_MAX: usize = 3;

/// A time in milliseconds.
pub(super) fn millis(nanos: u64) -> String {
    format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000)
}

/// Tells what operations did.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a, 's> {
    pub operations: &'s Operations<'a>,
    pub revisions: &'s Revisions,
    pub facts: &'s Facts<'a>,
}

impl<'a> Teller<'a, '_> {
    pub(super) fn op(&self, op: Op) -> &Operation<'a> {
        &self.operations.all[op]
    }

    /// For example `c3's put of k/5 through m2`.
    fn name(&self, op: Op) -> String {
        let operation = self.op(op);
        let who = operation
            .client
            .map_or("the harness".to_owned(), |client| format!("c{client}"));
        format!(
            "{who}'s {} through {}",
            what(operation.request),
            operation.member
        )
    }

    /// For example `invoked at 12.000 ms, returned at 13.500 ms`.
    fn times(&self, op: Op) -> String {
        let operation = self.op(op);
        let call = millis(operation.call);
        if operation.ret == NEVER {
            format!("invoked at {call}, result unknown")
        } else {
            format!("invoked at {call}, returned at {}", millis(operation.ret))
        }
    }

    /// The name, with the times.
    fn full(&self, op: Op) -> String {
        format!("{} ({})", self.name(op), self.times(op))
    }

    /// A finding about operations; members, keys, revisions and the time come from them.
    fn finding(&self, title: String, explanation: Vec<String>, ops: &[Op]) -> Finding {
        let mut finding = Finding {
            title,
            explanation,
            ..no_finding()
        };
        for op in ops {
            let operation = self.op(*op);
            match operation.id {
                OperationId::History(id) => push_once(&mut finding.operations, id),
                OperationId::Observation(id) => push_once(&mut finding.observations, id),
            }
            push_once(&mut finding.members, operation.member.to_owned());
            for key in keys(operation.request) {
                push_once(&mut finding.keys, key);
            }
            if let Some(revision) = operation.proves_revision() {
                push_once(&mut finding.revisions, revision);
            }
            if operation.ret != NEVER {
                finding.at = finding.at.max(Some(operation.ret));
            }
        }
        finding
    }
}

pub(super) fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// A request in words, for example `put of k/5`.
fn what(request: &Request) -> String {
    match request {
        Request::Range(range) => {
            let local = if range.serializable {
                "serializable "
            } else {
                ""
            };
            let at = match range.revision {
                1.. => format!(" at revision {}", range.revision),
                _ => String::new(),
            };
            format!("{local}range of {}{at}", span(&range.key, &range.range_end))
        }
        Request::Put(put) => format!("put of {}", put.key),
        Request::Delete(delete) => format!("delete of {}", span(&delete.key, &delete.range_end)),
        Request::Txn(_) => {
            let keys = keys(request);
            let more = if keys.len() > KEYS_MAX { ", …" } else { "" };
            format!(
                "txn on {}{more}",
                keys[..keys.len().min(KEYS_MAX)].join(", ")
            )
        }
        Request::Compact { revision, .. } => format!("compaction to revision {revision}"),
        Request::LeaseGrant { id, .. } => format!("grant of lease {id}"),
        Request::LeaseRevoke { id } => format!("revocation of lease {id}"),
        other => other.kind().to_owned(),
    }
}

fn span(key: &Bytes, end: &Bytes) -> String {
    match end.as_slice() {
        [] => key.to_string(),
        [0] if matches!(key.as_slice(), [] | [0]) => "every key".to_owned(),
        [0] => format!("{key} and all after it"),
        _ if *end == key.prefix_end() => format!("all keys with prefix {key}"),
        _ => format!("{key} to {end}"),
    }
}

/// Keys that a request names.
fn keys(request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    match request {
        Request::Range(range) => found.push(range.key.to_string()),
        Request::Put(put) => found.push(put.key.to_string()),
        Request::Delete(delete) => found.push(delete.key.to_string()),
        Request::Txn(txn) => each_op(txn, &mut |op| {
            let key = match op {
                TxnOp::Range(range) => &range.key,
                TxnOp::Put(put) => &put.key,
                TxnOp::Delete(delete) => &delete.key,
                TxnOp::Txn(_) => return,
            };
            push_once(&mut found, key.to_string());
        }),
        _ => {}
    }
    found
}
