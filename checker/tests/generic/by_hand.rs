//! Histories written out, budgets and refusals.

use std::sync::atomic::AtomicBool;

use checker::generic::{Operation, Options, Verdict, check, replay};
use checker::models::RegisterOp::{Read, Write};
use checker::models::{Register, RegisterOp};

use super::lean;

fn op(op: RegisterOp, call: u64, ret: impl Into<Option<u64>>) -> Operation<RegisterOp> {
    Operation {
        op,
        call,
        ret: ret.into(),
    }
}

/// Twelve writes at once, and a read of what none wrote.
fn hard() -> Vec<Operation<RegisterOp>> {
    let mut history: Vec<_> = (0..12)
        .map(|i| op(Write(Some(i)), 0, 10 + i as u64))
        .collect();
    history.push(op(Read(Some(99)), 30, 31));
    history
}

#[test]
fn nothing_holds() {
    let verdict = check(&Register, &[], &Options::default());
    assert_eq!(verdict, Verdict::Holds { order: Vec::new() });
}

#[test]
fn touching_intervals_are_concurrent() {
    let history = [op(Read(Some(1)), 0, 5), op(Write(Some(1)), 5, 6)];
    let verdict = check(&Register, &history, &Options::default());
    assert_eq!(verdict, Verdict::Holds { order: vec![1, 0] });
    let apart = [op(Read(Some(1)), 0, 4), op(Write(Some(1)), 5, 6)];
    let verdict = check(&Register, &apart, &Options::default());
    assert!(matches!(verdict, Verdict::Violated { .. }));
}

#[test]
fn an_unknown_write_may_take_effect_late_or_never_but_not_early() {
    let late = [
        op(Write(Some(1)), 0, None),
        op(Read(None), 5, 6),
        op(Read(Some(1)), 7, 8),
    ];
    let verdict = check(&Register, &late, &Options::default());
    assert_eq!(
        verdict,
        Verdict::Holds {
            order: vec![1, 0, 2]
        }
    );
    let early = [op(Read(Some(1)), 0, 1), op(Write(Some(1)), 2, None)];
    let verdict = check(&Register, &early, &Options::default());
    assert!(matches!(verdict, Verdict::Violated { .. }));
}

#[test]
fn the_witness_is_a_stale_read_and_says_why() {
    let mut history: Vec<_> = (0..40)
        .map(|i| op(Write(Some(i)), 2 * i as u64, 2 * i as u64 + 1))
        .collect();
    history.push(op(Read(Some(38)), 100, 101));
    let Verdict::Violated { witness } = check(&Register, &history, &Options::default()) else {
        panic!("a stale read");
    };
    let core: Vec<_> = witness
        .core
        .iter()
        .map(|c| (c.index, c.operation.ret))
        .collect();
    assert_eq!(core, [(38, Some(77)), (39, Some(79)), (40, Some(101))]);
    assert_eq!((witness.operation, witness.is_minimal), (40, true));
    let refused = &witness.survivors[0].pending[0];
    assert_eq!(refused.operation, 40);
    let refusal = refused.refusal.as_deref().expect("a refusal");
    assert!(
        refusal.contains("Some(38)") && refusal.contains("Some(39)"),
        "{refusal}"
    );
}

#[test]
fn budgets_end_in_no_verdict() {
    let few = Options {
        configurations_max: 1000,
        ..Options::default()
    };
    let narrow = Options {
        configurations_max: 1000,
        frontier_max: 10,
        ..Options::default()
    };
    let small = Options {
        bytes_max: 4096,
        ..Options::default()
    };
    let stop = AtomicBool::new(true);
    let stopped = Options {
        stop: Some(&stop),
        ..Options::default()
    };
    for options in [few, narrow, small, stopped] {
        let verdict = check(&Register, &hard(), &options);
        assert!(
            matches!(verdict, Verdict::Inconclusive { .. }),
            "{options:?}: {verdict:?}"
        );
    }
    let verdict = check(&Register, &hard(), &Options::default());
    assert!(matches!(verdict, Verdict::Violated { .. }));
}

#[test]
fn an_operation_that_returns_before_its_call_is_no_history() {
    let verdict = check(&Register, &[op(Write(None), 2, 1)], &Options::default());
    assert!(matches!(verdict, Verdict::Inconclusive { reached: 0, .. }));
}

#[test]
fn replay_refuses_orders_that_prove_nothing() {
    let history = [
        op(Write(Some(1)), 0, 1),
        op(Write(Some(2)), 2, 3),
        op(Read(Some(2)), 4, 5),
    ];
    assert_eq!(replay(&Register, &history, &[0, 1, 2]), Ok(()));
    let wrong: [&[usize]; 5] = [
        &[1, 0, 2],
        &[0, 2, 1],
        &[0, 1],
        &[0, 1, 2, 2],
        &[0, 1, 2, 3],
    ];
    for order in wrong {
        assert!(replay(&Register, &history, order).is_err(), "{order:?}");
    }
}

#[test]
fn many_operations_may_be_pending() {
    let mut history: Vec<_> = (0..300).map(|i| op(Read(Some(1)), 0, 1000 + i)).collect();
    history.push(op(Write(Some(1)), 500, 2000));
    let verdict = check(&Register, &history, &Options::default());
    let Verdict::Holds { order } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((order.len(), order[0]), (301, 300));
}

/// With so many clients there is no quiet moment: the core begins in the middle all the same.
#[test]
fn one_stale_read_among_many_is_a_small_core() {
    let mut history = lean::history(3_000, 128, false);
    lean::one_stale_read(&mut history);
    let model = lean::Revisions;
    let Verdict::Violated { witness } = check(&model, &history, &Options::default()) else {
        panic!("a stale read")
    };
    assert!((1..=5).contains(&witness.core.len()), "{witness:?}");
    assert!(witness.is_minimal);
    for (start, core) in witness.core_histories(&model) {
        let alone = check(&start, &core, &Options::default());
        assert!(matches!(alone, Verdict::Violated { .. }), "{core:?}");
    }
}
