//! etcd's key-value API: the revision order, and the generic engine with its own model.

use std::collections::BTreeSet;

use checker::generic::{Model, Operation, Options, Verdict, check, replay};
use checker::history::Request;
use checker::linearizable;
use checker::models::{Etcd, EtcdOp, etcd_history};
use proptest::prelude::*;

use crate::judges::is_linearizable;
use crate::mutate::{Mutation, mutate};
use crate::simulate::{Dice, History, Shape, simulate};

/// A store that keeps what the answers need, and knows nothing else of the history.
fn naive<'a>(operations: &[Operation<EtcdOp<'a>>]) -> Etcd<'a> {
    let mut answered = operations.to_vec();
    for operation in &mut answered {
        operation.ret = Some(u64::MAX);
    }
    Etcd::default().study(
        &Etcd::default().initial(),
        &answered.iter().collect::<Vec<_>>(),
    )
}

/// Renewals, and a lease that is granted again, are beyond a state without time: the revision
/// order may reject what the model accepts.
fn has_time(history: &History) -> bool {
    let mut leases = BTreeSet::new();
    history.ops.iter().any(|op| match op.request {
        Request::LeaseKeepAlive { .. } => true,
        Request::LeaseGrant { id, .. } => !leases.insert(id),
        _ => false,
    })
}

fn agree(mut history: History) -> Result<(), TestCaseError> {
    // An unanswered operation costs the oracles dearly.
    let mut unknown = 0;
    history.ops.retain(|op| {
        unknown += usize::from(op.outcome.is_none());
        op.outcome.is_some() || unknown <= 3
    });
    let records = history.records();
    let operations = etcd_history(&records).operations;
    let model = naive(&operations);
    let expected = is_linearizable(&model, &operations);
    let default = Options::default();
    let in_depth = Options {
        frontier_max: 1,
        ..default
    };
    for options in [default, in_depth] {
        match check(&Etcd::default(), &operations, &options) {
            Verdict::Holds { order } => {
                prop_assert!(expected, "held: {history}");
                prop_assert_eq!(replay(&model, &operations, &order), Ok(()));
            }
            Verdict::Violated { witness } => {
                prop_assert!(!expected, "rejected: {witness:#?}\n{history}");
                for (start, core) in witness.core_histories(&Etcd::default()) {
                    let verdict = check(&start, &core, &default);
                    prop_assert!(matches!(verdict, Verdict::Violated { .. }), "{core:?}");
                }
            }
            Verdict::Inconclusive { why, .. } => prop_assert!(false, "{why}: {history}"),
        }
    }
    match linearizable::check(&records, &[], &linearizable::Options::default()) {
        linearizable::Outcome::Holds { .. } => {
            prop_assert!(expected, "the revision order held: {history}");
        }
        linearizable::Outcome::Violated { witness } => {
            let fits = !expected || has_time(&history);
            prop_assert!(fits, "rejected by revisions: {:#?}\n{history}", witness[0]);
        }
        linearizable::Outcome::Inconclusive { .. } => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::config(600))]

    #[test]
    fn etcd(seed: u64, operations in 1_usize..=12, change in prop::option::weighted(0.5, any::<u64>())) {
        let mut history = simulate(&Shape::small(seed, operations));
        if let Some(dice) = change {
            let mut dice = Dice(dice);
            let mutation = *dice.pick(&Mutation::ALL);
            mutate(&mut history, mutation, &mut dice);
        }
        agree(history)?;
    }
}
