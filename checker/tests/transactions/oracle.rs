//! Strict serializability by trying every order.

use std::collections::BTreeMap;

use checker::transactions::{Operation, Status, Transaction};

/// Whether some order of all committed transactions and some of the unknown ones explains every
/// read and keeps real time.
pub(crate) fn is_strictly_serializable(transactions: &[Transaction]) -> bool {
    assert!(transactions.len() <= 12);
    let left: Vec<_> = transactions
        .iter()
        .filter(|t| t.status != Status::Aborted)
        .collect();
    explains(&left, &BTreeMap::new())
}

fn explains(left: &[&Transaction], lists: &BTreeMap<u32, Vec<u64>>) -> bool {
    if left.iter().all(|t| t.status == Status::Unknown) {
        return true;
    }
    left.iter().enumerate().any(|(at, next)| {
        let too_early = |other: &&Transaction| {
            other.status == Status::Committed && other.ret.is_some_and(|ret| ret < next.call)
        };
        if left.iter().any(too_early) {
            return false;
        }
        let mut lists = lists.clone();
        let fits = next.operations.iter().all(|operation| match operation {
            Operation::Append { key, element } => {
                lists.entry(*key).or_default().push(*element);
                true
            }
            Operation::Read { key, elements } => {
                lists.get(key).map_or(&[][..], Vec::as_slice) == elements
            }
        });
        let mut rest = left.to_vec();
        rest.remove(at);
        fits && explains(&rest, &lists)
    })
}
