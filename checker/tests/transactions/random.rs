//! Small random histories, legal and mutated, against every order there is; and each anomaly found
//! against the history it was found in.

use checker::transactions::{
    Anomaly, Dependency, Model, Operation, Options, Outcome, Status, Step, Transaction, check,
};
use proptest::prelude::*;

use crate::oracle::is_strictly_serializable;
use crate::simulate::{Rng, Shape, simulate};
use crate::text::render;

fn small(seed: u64) -> Vec<Transaction> {
    let mut rng = Rng(seed ^ 0x5eed);
    let shape = Shape {
        transactions: 2 + rng.below(6) as usize,
        clients: 1 + rng.below(4) as u32,
        keys: 1 + rng.below(3) as u32,
        appends_a_key: 100,
        unknown: rng.below(40),
        aborted: rng.below(30),
    };
    let mut transactions = simulate(shape, seed);
    // Times in steps of 2 ms, so that there are ties.
    if rng.chance(50) {
        for transaction in &mut transactions {
            transaction.call /= 2_000_000;
            transaction.ret = transaction.ret.map(|ret| ret.div_ceil(2_000_000));
        }
    }
    transactions
}

fn mutate(transactions: &mut [Transaction], rng: &mut Rng) {
    let at = rng.below(transactions.len() as u64) as usize;
    let elements: Vec<u64> = transactions
        .iter()
        .flat_map(|t| &t.operations)
        .filter_map(|op| match op {
            Operation::Append { element, .. } => Some(*element),
            Operation::Read { .. } => None,
        })
        .collect();
    let some_element = match elements.as_slice() {
        [] => 1,
        all => all[rng.below(all.len() as u64) as usize],
    };
    let draw = rng.below(10);
    let transaction = &mut transactions[at];
    let place = rng.bits() as usize;
    let reads = transaction.operations.iter_mut().filter_map(|op| match op {
        Operation::Read { elements, .. } => Some(elements),
        Operation::Append { .. } => None,
    });
    let mut reads: Vec<_> = reads.collect();
    let count = reads.len().max(1);
    let read = reads.get_mut(place % count);
    match (draw, read) {
        (0, _) => transaction.status = Status::Aborted,
        (1, _) => transaction.status = Status::Committed,
        (2, _) => {
            let later = rng.below(3) * 3;
            transaction.call += later;
            transaction.ret = transaction.ret.map(|ret| ret + later);
        }
        (3, _) => transaction.ret = transaction.ret.map(|_| transaction.call),
        (4 | 5, Some(read)) => {
            read.pop();
        }
        (6, Some(read)) if !read.is_empty() => {
            let from = place % read.len();
            read.remove(from);
        }
        (7, Some(read)) if read.len() > 1 => {
            let from = place % (read.len() - 1);
            read.swap(from, from + 1);
        }
        (8, Some(read)) => read.push(some_element),
        (_, Some(read)) => read.insert(place % (read.len() + 1), some_element),
        _ => {}
    }
}

/// Whether an anomaly says what is so. Of the order of elements it may rely on reads of others.
fn is_so(anomaly: &Anomaly, transactions: &[Transaction]) -> bool {
    let appends = |at: usize, key: u32, element: u64| {
        let append = Operation::Append { key, element };
        transactions[at].operations.contains(&append)
    };
    let reads = |at: usize, key: u32| {
        let operations = transactions[at].operations.iter();
        operations.filter_map(move |op| match op {
            Operation::Read { key: k, elements } if *k == key => Some(elements.as_slice()),
            _ => None,
        })
    };
    let reads_it = |at: usize, key, element| reads(at, key).any(|read| read.contains(&element));
    let step_is_so = |step: &Step| match step.because {
        Dependency::WriteWrite { key, first, then } => {
            let place = |read: &[u64], element| read.iter().position(|e| *e == element);
            let shows = |read: &[u64]| {
                place(read, first).is_some_and(|first| place(read, then) > Some(first))
            };
            let committed = |t: &usize| transactions[*t].status == Status::Committed;
            let all = || {
                (0..transactions.len())
                    .filter(committed)
                    .flat_map(|t| reads(t, key))
            };
            let every = || (0..transactions.len()).flat_map(|t| reads(t, key));
            appends(step.from, key, first)
                && appends(step.to, key, then)
                && (every().any(shows) || all().all(|read| place(read, then).is_none()))
        }
        Dependency::WriteRead { key, element } => {
            appends(step.from, key, element) && reads_it(step.to, key, element)
        }
        Dependency::ReadWrite { key, read, then } => {
            appends(step.to, key, then)
                && reads(step.from, key).next().is_some_and(|seen| match read {
                    Some(read) => seen.contains(&read) && !seen.contains(&then),
                    None => !seen.contains(&then),
                })
        }
        Dependency::Process | Dependency::RealTime => {
            let (from, to) = (&transactions[step.from], &transactions[step.to]);
            from.ret.is_some_and(|ret| ret < to.call)
                && (step.because == Dependency::RealTime || from.process == to.process)
        }
    };
    match anomaly {
        Anomaly::Cycle { steps, .. } => {
            let next = steps.iter().cycle().skip(1);
            steps.iter().zip(next).all(|(a, b)| a.to == b.from) && steps.iter().all(step_is_so)
        }
        Anomaly::AbortedRead {
            writer,
            reader,
            key,
            element,
        } => {
            transactions[*writer].status == Status::Aborted
                && appends(*writer, *key, *element)
                && reads_it(*reader, *key, *element)
        }
        Anomaly::IntermediateRead {
            writer,
            reader,
            key,
            element,
        } => appends(*writer, *key, *element) && reads_it(*reader, *key, *element),
        Anomaly::LostUpdate {
            key,
            transactions: both,
            ..
        } => {
            let read = |at: usize| reads(at, *key).next();
            both[0] != both[1] && both.iter().all(|at| read(*at).is_some())
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    #[test]
    fn the_verdict_is_that_of_every_order(seed in any::<u64>()) {
        let mut transactions = small(seed);
        let mut rng = Rng(seed ^ 0xabcd);
        let mutations = rng.below(4);
        for _ in 0..mutations {
            mutate(&mut transactions, &mut rng);
        }
        let legal = is_strictly_serializable(&transactions);
        prop_assert!(legal || mutations > 0, "the simulation is wrong: {}", render(&transactions));
        match check(&transactions, &Options::default()).outcome {
            Outcome::Holds { .. } => prop_assert!(legal, "{}", render(&transactions)),
            Outcome::Violated { anomalies, .. } => {
                prop_assert!(!legal, "{anomalies:#?}\n{}", render(&transactions));
                for anomaly in &anomalies {
                    let models = anomaly.rules_out();
                    prop_assert_eq!(models.last(), Some(&Model::StrictSerializable));
                }
                // What contradicts itself shows no order.
                let clear = |a: &Anomaly| !matches!(a, Anomaly::Internal { .. });
                let checked = anomalies.iter().all(clear).then_some(&anomalies);
                for anomaly in checked.into_iter().flatten() {
                    prop_assert!(is_so(anomaly, &transactions), "{anomaly:#?}\n{}", render(&transactions));
                }
            }
            Outcome::Inconclusive { reason } => prop_assert!(false, "{reason}\n{}", render(&transactions)),
        }
    }
}
