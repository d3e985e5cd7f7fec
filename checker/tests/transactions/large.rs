//! Larger histories: legal ones are never flagged, and one change to them always is where it
//! matters.

use std::collections::BTreeMap;

use checker::transactions::{Operation, Options, Outcome, Status, Transaction, check};
use proptest::prelude::*;

use crate::simulate::{Rng, Shape, simulate};

fn shape(rng: &mut Rng) -> Shape {
    Shape {
        transactions: 400,
        clients: 1 + rng.below(32) as u32,
        keys: 1 + rng.below(8) as u32,
        appends_a_key: 5 + rng.below(60) as u32,
        unknown: rng.below(10),
        aborted: rng.below(10),
    }
}

/// Names of the anomalies found; none where the history holds.
fn found(transactions: &[Transaction]) -> Vec<&'static str> {
    match check(transactions, &Options::default()).outcome {
        Outcome::Holds { .. } => Vec::new(),
        Outcome::Violated { anomalies, .. } => anomalies.iter().map(|a| a.name()).collect(),
        Outcome::Inconclusive { reason } => panic!("{reason}"),
    }
}

/// Every read of a committed transaction before its own appends: transaction, operation, key.
fn reads(transactions: &[Transaction]) -> Vec<(usize, usize, u32)> {
    let mut reads = Vec::new();
    for (at, transaction) in transactions.iter().enumerate() {
        let mut own = Vec::new();
        for (place, operation) in transaction.operations.iter().enumerate() {
            match operation {
                Operation::Append { key, .. } => own.push(*key),
                Operation::Read { key, .. } => {
                    if transaction.status == Status::Committed && !own.contains(key) {
                        reads.push((at, place, *key));
                    }
                }
            }
        }
    }
    reads
}

fn list(transactions: &mut [Transaction], (at, place, _): (usize, usize, u32)) -> &mut Vec<u64> {
    match &mut transactions[at].operations[place] {
        Operation::Read { elements, .. } => elements,
        Operation::Append { .. } => unreachable!("it is a read"),
    }
}

fn writers(transactions: &[Transaction]) -> BTreeMap<u64, usize> {
    let mut writers = BTreeMap::new();
    for (at, transaction) in transactions.iter().enumerate() {
        for operation in &transaction.operations {
            if let Operation::Append { element, .. } = operation {
                writers.insert(*element, at);
            }
        }
    }
    writers
}

/// One change, and the anomalies of which one must be found; None where there is nothing to change.
fn change(
    transactions: &mut [Transaction],
    kind: u64,
    rng: &mut Rng,
) -> Option<&'static [&'static str]> {
    let writers = writers(transactions);
    let reads = reads(transactions);
    let mut long: Vec<_> = reads
        .iter()
        .copied()
        .filter(|read| list(transactions, *read).len() > 1)
        .collect();
    if long.is_empty() {
        return None;
    }
    let read = long.swap_remove(rng.below(long.len() as u64) as usize);
    let (at, place, key) = read;
    let elements = list(transactions, read).clone();
    let last = *elements.last()?;
    let older = |transactions: &[Transaction], element: u64| {
        let writer = &transactions[writers[&element]];
        writer.ret.is_some_and(|ret| ret < transactions[at].call)
    };
    match kind {
        0 => {
            // A stale read, though the write had returned.
            if !older(transactions, last) {
                return None;
            }
            let same = transactions[at].operations.iter();
            let again = |op: &Operation| matches!(op, Operation::Read { key: k, .. } if *k == key);
            if same.filter(|op| again(op)).count() > 1 {
                return None;
            }
            list(transactions, read).pop();
            Some(&[
                "G-single-realtime",
                "G-single-process",
                "G-single",
                "G1b",
                "internal",
            ])
        }
        1 => {
            // An aborted transaction whose append is seen.
            transactions[writers[&last]].status = Status::Aborted;
            Some(&["G1a"])
        }
        2 => {
            list(transactions, read).push(elements[0]);
            Some(&["duplicate-elements", "incompatible-order", "internal"])
        }
        3 => {
            list(transactions, read).push(u64::MAX);
            Some(&["unwritten-read", "incompatible-order", "internal"])
        }
        4 => {
            // Another read shows the order.
            long.iter().find(|(_, _, k)| *k == key)?;
            list(transactions, read).swap(0, 1);
            Some(&[
                "incompatible-order",
                "out-of-order",
                "internal",
                "G0",
                "G0-realtime",
                "G0-process",
                "G1c",
                "G-single",
                "G-single-realtime",
                "G-nonadjacent",
                "G2-item",
                "G-single-process",
                "G1c-realtime",
                "G1c-process",
            ])
        }
        5 => {
            // A committed append vanishes from every read, though one of them came after it.
            if transactions[writers[&last]].status != Status::Committed
                || !older(transactions, last)
            {
                return None;
            }
            for transaction in transactions.iter_mut() {
                for operation in &mut transaction.operations {
                    if let Operation::Read { elements, .. } = operation {
                        elements.retain(|element| *element != last);
                    }
                }
            }
            Some(&[
                "G-single-realtime",
                "G-single-process",
                "G-single",
                "G0",
                "G0-realtime",
                "G0-process",
                "internal",
                "out-of-order",
                "lost-update",
                "G1c-realtime",
                "G1c",
                "G-nonadjacent",
            ])
        }
        6 => {
            // A read of its own append without it.
            transactions[at].operations.insert(
                place,
                Operation::Append {
                    key,
                    element: u64::MAX,
                },
            );
            Some(&["internal"])
        }
        _ => {
            // A read from the future.
            let writer = writers[&last];
            if older(transactions, last) || transactions[at].call == 0 || writer == at {
                return None;
            }
            transactions[at].ret = Some(transactions[at].call);
            let call = transactions[at].call + 1;
            transactions[writer].call = transactions[writer].call.max(call);
            Some(&["G1c-realtime", "G1c-process", "G0-realtime", "G0-process"])
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn legal_histories_hold_and_one_change_is_found(seed in any::<u64>()) {
        let mut rng = Rng(seed);
        let legal = simulate(shape(&mut rng), seed);
        prop_assert_eq!(found(&legal), [""; 0]);
        for kind in 0..8 {
            let mut changed = legal.clone();
            if let Some(expected) = change(&mut changed, kind, &mut rng) {
                let found = found(&changed);
                prop_assert!(
                    found.iter().any(|name| expected.contains(name)),
                    "change {}: {:?}", kind, found
                );
            }
        }
    }
}

#[test]
fn each_change_is_tried() {
    let mut tried = [0; 8];
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let legal = simulate(shape(&mut rng), seed);
        for (kind, tried) in (0..).zip(&mut tried) {
            *tried += u32::from(change(&mut legal.clone(), kind, &mut rng).is_some());
        }
    }
    assert!(tried.iter().all(|count| *count >= 5), "{tried:?}");
}

#[test]
fn bounds_are_kept() {
    let text: String = (0..40)
        .map(|n| {
            format!(
                "1 0..9 ok append a {n}, append b {n}\n2 0..9 ok read a{}, read b{}\n",
                (0..=n).map(|e| format!(" {e}")).collect::<String>(),
                (0..n).map(|e| format!(" {e}")).collect::<String>(),
            )
        })
        .collect();
    let transactions = crate::text::history(&text);
    let options = Options {
        steps_max: 0,
        anomalies_max: 1,
    };
    let Outcome::Violated { anomalies, .. } = check(&transactions, &options).outcome else {
        panic!("it is violated")
    };
    assert_eq!(anomalies.len(), 1);
}
