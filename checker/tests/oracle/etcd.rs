//! etcd's key-value API: the revision order, and the generic engine with its own model.

use std::collections::BTreeSet;

use checker::generic::{Model, Operation, Options, StartingAt, Verdict, check, replay};
use checker::history::{Request, Response};
use checker::linearizable;
use checker::model::{Refusal, Store};
use checker::models::{Etcd, EtcdOp, EtcdState, etcd_history};
use proptest::prelude::*;

use crate::judges::is_linearizable;
use crate::mutate::{Mutation, mutate};
use crate::simulate::{Dice, History, Shape, response, simulate};

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

/// Requests one after the other, with the answers of the other implementation of the store, and
/// what that one was after each.
fn one_by_one(requests: &[Request]) -> Vec<(&Request, Result<Response, Refusal>, Store)> {
    let mut store = Store::with_past();
    let mut all = Vec::new();
    for request in requests {
        let answer = match store.apply(request) {
            Ok(answer) => Ok(response(request, &answer, store.revision())),
            Err(Refusal::NotModelled) => continue,
            Err(refusal) => Err(refusal),
        };
        all.push((request, answer, store.clone()));
    }
    all
}

fn op<'a>(request: &'a Request, answer: &'a Result<Response, Refusal>) -> EtcdOp<'a> {
    match answer {
        Ok(response) => EtcdOp::answered(request, response),
        Err(refusal) => EtcdOp::refused(request, *refusal),
    }
}

/// The model against the store that the revision order replays, request by request.
#[test]
fn both_stores_do_the_same() {
    let (mut answered, mut refused) = (0, 0);
    for seed in 0..25 {
        let requests: Vec<Request> = simulate(&Shape::large(seed, 120))
            .ops
            .into_iter()
            .map(|o| o.request)
            .collect();
        let all = one_by_one(&requests);
        let operations: Vec<_> = (0..)
            .zip(&all)
            .map(|(at, (request, answer, _))| Operation {
                op: op(request, answer),
                call: 2 * at,
                ret: Some(2 * at + 1),
            })
            .collect();
        let model = naive(&operations);
        let mut state = model.initial();
        for (operation, (request, answer, store)) in operations.iter().zip(&all) {
            let next = model.step(&state, &operation.op);
            state = next.unwrap_or_else(|| {
                let refusal = model.refusal(&state, &operation.op);
                panic!("{refusal}: {request:?} {answer:?} in {state:?}")
            });
            assert_eq!(state.revision(), store.revision(), "{request:?}");
            assert!(
                state.key_values().eq(store.key_values().map(|kv| &**kv)),
                "{request:?}"
            );
            assert!(
                state.leases().eq(store.leases().map(|(id, _)| id)),
                "{request:?}"
            );
            answered += u32::from(answer.is_ok());
            refused += u32::from(answer.is_err());
        }
        let verdict = check(&Etcd::default(), &operations, &Options::default());
        assert!(matches!(verdict, Verdict::Holds { .. }), "{verdict:?}");
        // The second half of it, as a window of a longer history.
        let middle = all.len() / 2;
        let window = &operations[middle..];
        for (state, holds) in [(middle - 1, true), (middle / 3, false)] {
            let model = StartingAt {
                model: Etcd::default(),
                state: EtcdState::from(&all[state].2),
            };
            let verdict = check(&model, window, &Options::default());
            assert_eq!(
                matches!(verdict, Verdict::Holds { .. }),
                holds,
                "{verdict:?}"
            );
        }
    }
    assert!(answered > 2_000 && refused > 50, "{answered} {refused}");
}

fn drawn(seed: u64, operations: usize, change: Option<u64>) -> History {
    let mut history = simulate(&Shape::small(seed, operations));
    if let Some(dice) = change {
        let mut dice = Dice(dice);
        let mutation = *dice.pick(&Mutation::ALL);
        mutate(&mut history, mutation, &mut dice);
    }
    history
}

/// The test below is worth something only if both verdicts come up often.
#[test]
fn both_verdicts_come_up() {
    let mut violated = 0;
    for seed in 0..200 {
        let records = drawn(seed, 10, Some(seed)).records();
        let operations = etcd_history(&records).operations;
        let verdict = check(&Etcd::default(), &operations, &Options::default());
        violated += u32::from(matches!(verdict, Verdict::Violated { .. }));
    }
    assert!((50..150).contains(&violated), "{violated} of 200");
}

proptest! {
    #![proptest_config(crate::config(300))]

    #[test]
    fn etcd(seed: u64, operations in 1_usize..=12, change in prop::option::weighted(0.5, any::<u64>())) {
        agree(drawn(seed, operations, change))?;
    }
}
