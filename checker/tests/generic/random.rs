//! Small random histories: legal ones, half of them with one answer changed; ties in time, unknown
//! results, few values.

use checker::generic::{CoreOperation, Model, Operation, Options, Verdict, check, replay};
use checker::models::*;
use proptest::prelude::*;

use super::oracle::{is_linearizable, proves};
use super::subjects::Subject;

#[derive(Clone, Debug)]
struct Draw {
    kind: u8,
    a: i64,
    b: i64,
    early: u64,
    late: u64,
    /// 0: no answer, and no effect; 1: no answer.
    luck: u8,
}

fn draws() -> impl Strategy<Value = (Vec<Draw>, Option<(usize, i64)>)> {
    let draw = (0..12u8, 0..3i64, 0..3i64, 0..5u64, 0..5u64, 0..10u8).prop_map(
        |(kind, a, b, early, late, luck)| Draw {
            kind,
            a,
            b,
            early,
            late,
            luck,
        },
    );
    (
        proptest::collection::vec(draw, 1..14),
        proptest::option::of((0..14usize, 0..3i64)),
    )
}

/// Lets a correct object serve the draws one after the other, and stretches them in time.
fn history<M: Subject>(draws: &[Draw], spoilt: Option<(usize, i64)>) -> Vec<Operation<M::Op>> {
    let model = M::default();
    let mut state = model.initial();
    let mut history = Vec::new();
    for (moment, draw) in (4..).zip(draws) {
        let op = M::act(&state, draw.kind, draw.a, draw.b);
        if draw.luck > 0 {
            state = model.step(&state, &op).expect("a correct object");
        }
        let known = draw.luck > 1;
        let op = if known || model.is_read_only(&op) {
            op
        } else {
            model.forget(&op)
        };
        history.push(Operation {
            op,
            call: moment - draw.early.min(4),
            ret: known.then_some(moment + draw.late),
        });
    }
    if let Some((at, a)) = spoilt {
        let at = at % history.len();
        if history[at].ret.is_some() {
            history[at].op = M::spoil(&history[at].op, a);
        }
    }
    history
}

fn agree<M: Subject>(draws: &[Draw], spoilt: Option<(usize, i64)>) -> Result<(), TestCaseError> {
    let model = M::default();
    let history = history::<M>(draws, spoilt);
    let expected = is_linearizable(&model, &history);
    let default = Options::default();
    let variants = [
        default,
        Options {
            frontier_max: 1,
            ..default
        },
        Options {
            frontier_max: 3,
            partition: false,
            ..default
        },
        Options {
            threads: 2,
            ..default
        },
    ];
    for options in &variants {
        match check(&model, &history, options) {
            Verdict::Holds { order } => {
                prop_assert!(expected, "held: {history:?}");
                prop_assert!(proves(&model, &history, &order), "{order:?} of {history:?}");
                prop_assert_eq!(replay(&model, &history, &order), Ok(()));
            }
            Verdict::Violated { witness } => {
                prop_assert!(!expected, "rejected: {history:?}");
                prop_assert!(history[witness.operation].ret.is_some());
                prop_assert!(witness.is_minimal);
                let cores = witness.core_histories(&model);
                for (start, core) in &cores {
                    prop_assert!(!is_linearizable(start, core), "{core:?} of {history:?}");
                }
                let is_whole = witness.starts[0].state == model.initial();
                if is_whole && !M::RETURNS {
                    let whole = with_all_mutators(&model, &witness.core, &history);
                    prop_assert!(
                        !is_linearizable(&model, &whole),
                        "{witness:?} of {history:?}"
                    );
                }
                for spared in 0..witness.core.len() {
                    let mut weaker = witness.clone();
                    if weaken(&model, &mut weaker.core, spared) {
                        let histories = weaker.core_histories(&model);
                        let holds = |(start, core): &(_, Vec<_>)| is_linearizable(start, core);
                        prop_assert!(histories.iter().any(holds), "{weaker:?} of {history:?}");
                    }
                }
            }
            Verdict::Inconclusive { why, .. } => prop_assert!(false, "{why}: {history:?}"),
        }
    }
    Ok(())
}

/// A core together with all that it leaves out: if it is sound, that is of no help.
fn with_all_mutators<M: Model>(
    model: &M,
    core: &[CoreOperation<M::Op>],
    history: &[Operation<M::Op>],
) -> Vec<Operation<M::Op>> {
    let mut whole: Vec<_> = core.iter().map(|c| c.operation.clone()).collect();
    for (i, operation) in history.iter().enumerate() {
        if core.iter().all(|c| c.index != i) && !model.is_read_only(&operation.op) {
            whole.push(Operation {
                op: model.forget(&operation.op),
                call: operation.call,
                ret: None,
            });
        }
    }
    whole
}

/// Forgets one result of a core; false if there is none.
fn weaken<M: Model>(model: &M, core: &mut Vec<CoreOperation<M::Op>>, spared: usize) -> bool {
    let operation = &mut core[spared].operation;
    if operation.ret.is_none() {
        return false;
    }
    if model.is_read_only(&operation.op) {
        core.remove(spared);
    } else {
        operation.op = model.forget(&operation.op);
        operation.ret = None;
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn register((draws, spoilt) in draws()) {
        agree::<Register>(&draws, spoilt)?;
    }

    #[test]
    fn cas_register((draws, spoilt) in draws()) {
        agree::<CasRegister>(&draws, spoilt)?;
    }

    #[test]
    fn queue((draws, spoilt) in draws()) {
        agree::<Queue>(&draws, spoilt)?;
    }

    #[test]
    fn set((draws, spoilt) in draws()) {
        agree::<Set>(&draws, spoilt)?;
    }

    #[test]
    fn mutex((draws, spoilt) in draws()) {
        agree::<Mutex>(&draws, spoilt)?;
    }

    #[test]
    fn key_value((draws, spoilt) in draws()) {
        agree::<KeyValue>(&draws, spoilt)?;
    }
}
