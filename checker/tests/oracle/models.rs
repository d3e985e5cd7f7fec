//! The generic engine on every simple model: at most 12 operations of at most six clients, up to
//! three of them without result, few values, ties in time, and in half of the histories one answer
//! that is not the object's.

use checker::generic::{Operation, Options, Verdict, check, replay};
use checker::models::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::judges::is_linearizable;
use crate::subjects::Subject;

const CLIENTS: usize = 6;
const UNKNOWN_MAX: usize = 3;

#[derive(Clone, Debug)]
struct Draw {
    client: usize,
    kind: u8,
    a: i64,
    b: i64,
    early: u64,
    late: u64,
    /// 0: no answer, and no effect; 1: no answer.
    luck: u8,
}

type Spoilt = Option<(usize, i64)>;

fn draws() -> impl Strategy<Value = (Vec<Draw>, Spoilt)> {
    let what = (0..12_u8, 0..3_i64, 0..3_i64);
    let draw = (0..CLIENTS, what, 0..5_u64, 0..5_u64, 0..8_u8).prop_map(
        |(client, (kind, a, b), early, late, luck)| Draw {
            client,
            kind,
            a,
            b,
            early,
            late,
            luck,
        },
    );
    (
        prop::collection::vec(draw, 1..=12),
        prop::option::weighted(0.5, (0..12_usize, 0..3_i64)),
    )
}

/// Lets a correct object serve the draws one after the other, and stretches them in time as far as
/// their clients have nothing else to do.
fn history<M: Subject>(draws: &[Draw], spoilt: Spoilt) -> Vec<Operation<M::Op>> {
    let model = M::default();
    let mut state = model.initial();
    let mut history: Vec<Operation<M::Op>> = Vec::new();
    let mut busy_until = [0; CLIENTS];
    let mut unknown = 0;
    for (moment, draw) in (5..).zip(draws) {
        let free = (0..CLIENTS).map(|i| (draw.client + i) % CLIENTS);
        let Some(client) = free.into_iter().find(|c| busy_until[*c] < moment) else {
            continue;
        };
        let known = draw.luck > 1 || unknown == UNKNOWN_MAX;
        unknown += usize::from(!known);
        let op = M::act(&state, draw.kind, draw.a, draw.b);
        if known || draw.luck > 0 {
            state = model.step(&state, &op).expect("a correct object");
        }
        let op = if known || model.is_read_only(&op) {
            op
        } else {
            model.forget(&op)
        };
        let call = (moment - draw.early).max(busy_until[client] + 1);
        let ret = known.then_some(moment + draw.late);
        busy_until[client] = ret.unwrap_or(moment);
        history.push(Operation { op, call, ret });
    }
    if let Some((at, a)) = spoilt {
        let at = at % history.len();
        if history[at].ret.is_some() {
            history[at].op = M::spoil(&history[at].op, a);
        }
    }
    history
}

fn agree<M: Subject>(draws: &[Draw], spoilt: Spoilt) -> Result<(), TestCaseError> {
    let model = M::default();
    let history = history::<M>(draws, spoilt);
    let expected = is_linearizable(&model, &history);
    let default = Options::default();
    let in_depth = Options {
        frontier_max: 1,
        partition: false,
        ..default
    };
    for options in [default, in_depth] {
        match check(&model, &history, &options) {
            Verdict::Holds { order } => {
                prop_assert!(expected, "held: {history:?}");
                prop_assert_eq!(replay(&model, &history, &order), Ok(()));
            }
            Verdict::Violated { witness } => {
                prop_assert!(!expected, "rejected: {history:?}");
                for (start, core) in witness.core_histories(&model) {
                    prop_assert!(!is_linearizable(&start, &core), "{core:?} of {history:?}");
                }
            }
            Verdict::Inconclusive { why, .. } => prop_assert!(false, "{why}: {history:?}"),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::config(200))]

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

/// The tests above are worth something only if both verdicts come up often.
#[test]
fn both_verdicts_come_up() {
    let mut runner = TestRunner::deterministic();
    let mut violated = 0;
    for _ in 0..300 {
        let (draws, spoilt) = draws().new_tree(&mut runner).expect("a draw").current();
        let history = history::<CasRegister>(&draws, spoilt);
        let verdict = check(&CasRegister, &history, &Options::default());
        violated += u32::from(matches!(verdict, Verdict::Violated { .. }));
    }
    assert!((30..240).contains(&violated), "{violated} of 300");
}
