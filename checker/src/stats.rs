//! Counts of what clients asked and what it came to.

use std::collections::BTreeMap;

use crate::checks::{Class, class_of};
use crate::history::{Record, Request};

/// Operations of a history by kind and class of result, as `put ok` or `txn unknown`, in name
/// order. An operation without a return is unknown; a watch without one is open.
#[must_use]
pub fn operations(history: &[Record]) -> Vec<(String, u64)> {
    let mut pending: BTreeMap<u64, &Request> = BTreeMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut add = |request: &Request, result: &str| {
        *counts
            .entry(format!("{} {result}", request.kind()))
            .or_default() += 1;
    };
    for record in history {
        match record {
            Record::Invoke(invoke) => {
                pending.insert(invoke.id, &invoke.request);
            }
            Record::Return(end) => {
                if let Some(request) = pending.remove(&end.id) {
                    add(request, class_of(request, &end.outcome).name());
                }
            }
            _ => {}
        }
    }
    for request in pending.into_values() {
        let open = matches!(request, Request::Watch(_));
        add(request, if open { "open" } else { Class::Unknown.name() });
    }
    counts.into_iter().collect()
}
