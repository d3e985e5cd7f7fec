//! Contradictions between answers alone: no request that a file may lack can explain them.

use std::collections::{HashMap, HashSet};

use crate::history::{Record, Request, Response, TxnOpResponse, TxnResponse};
use crate::model::is_serializable;

/// Whether two answered writes made the same revision, or an answer shows a lower revision than
/// another that had come before it was asked for.
pub(super) fn is_violated(records: &[Record]) -> bool {
    let mut calls: HashMap<u64, (u64, &Request)> = HashMap::new();
    let mut made: HashSet<i64> = HashSet::new();
    let mut answers: Vec<(u64, u64, i64)> = Vec::new();
    for record in records {
        match record {
            Record::Invoke(invoke) => {
                calls.insert(invoke.id, (invoke.at, &invoke.request));
            }
            Record::Return(end) => {
                let Some((call, request)) = calls.remove(&end.id) else {
                    continue;
                };
                let Some((revision, wrote)) = end
                    .outcome
                    .response()
                    .and_then(|answer| ordered(request, answer))
                else {
                    continue;
                };
                if wrote && !made.insert(revision) {
                    return true;
                }
                answers.push((call, end.at, revision));
            }
            _ => {}
        }
    }
    let mut by_return = answers.clone();
    by_return.sort_unstable_by_key(|(_, ret, _)| *ret);
    answers.sort_unstable();
    let mut returned = by_return.into_iter().peekable();
    let mut highest = 0;
    answers.into_iter().any(|(call, _, revision)| {
        while let Some((.., before)) = returned.next_if(|(_, ret, _)| *ret < call) {
            highest = highest.max(before);
        }
        revision < highest
    })
}

/// The revision at which a linearizable request of the key-value API was answered, and whether it
/// made it.
fn ordered(request: &Request, answer: &Response) -> Option<(i64, bool)> {
    match (request, answer) {
        (Request::Range(range), Response::Range(answer)) if !range.serializable => {
            Some((answer.header.revision, false))
        }
        (Request::Put(_), Response::Put(answer)) => Some((answer.header.revision, true)),
        (Request::Delete(_), Response::Delete(answer)) => {
            Some((answer.header.revision, answer.deleted > 0))
        }
        (Request::Txn(txn), Response::Txn(answer)) if !is_serializable(txn) => {
            Some((answer.header.revision, wrote(answer)))
        }
        _ => None,
    }
}

fn wrote(answer: &TxnResponse) -> bool {
    answer.responses.iter().any(|response| match response {
        TxnOpResponse::Range(_) => false,
        TxnOpResponse::Put(_) => true,
        TxnOpResponse::Delete(delete) => delete.deleted > 0,
        TxnOpResponse::Txn(inner) => wrote(inner),
    })
}
