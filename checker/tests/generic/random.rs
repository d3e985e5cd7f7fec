//! Small random histories: legal ones, half of them with one answer changed; ties in time, unknown
//! results, few values.

use checker::generic::{Model, Operation, Options, Verdict, check, replay};
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
                let core = witness.core_history();
                prop_assert!(!is_linearizable(&model, &core), "{core:?} of {history:?}");
                prop_assert!(witness.is_minimal);
                for spared in 0..core.len() {
                    let weaker = weakened(&model, &core, spared);
                    prop_assert!(core[spared].ret.is_none() || is_linearizable(&model, &weaker));
                }
            }
            Verdict::Inconclusive { why, .. } => prop_assert!(false, "{why}: {history:?}"),
        }
    }
    Ok(())
}

fn weakened<M: Model>(
    model: &M,
    core: &[Operation<M::Op>],
    spared: usize,
) -> Vec<Operation<M::Op>> {
    let mut core = core.to_vec();
    if model.is_read_only(&core[spared].op) {
        core.remove(spared);
    } else {
        core[spared].op = model.forget(&core[spared].op);
        core[spared].ret = None;
    }
    core
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
