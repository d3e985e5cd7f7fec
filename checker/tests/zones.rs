//! The check by zones against the plain search, and by hand.

#[path = "../benches/support/wgl.rs"]
mod wgl;

use checker::zones::{Checked, Contradiction, Kind, Operation, Outcome, Violation, check};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use wgl::{Model, Timed, is_linearizable};

type Op = Operation<u8, u8>;

struct Register;

impl Model for Register {
    type State = Option<u8>;
    type Operation = Kind<u8>;

    fn step(state: &Option<u8>, kind: &Kind<u8>) -> Option<Option<u8>> {
        match kind {
            Kind::Write(value) => Some(Some(*value)),
            Kind::Read(seen) => (seen == state).then_some(*seen),
        }
    }
}

/// Whether the operations of one key have an order. An unanswered read says nothing, whatever it
/// would have seen.
fn has_order<'a>(ops: impl IntoIterator<Item = &'a Op>, key: u8) -> bool {
    let timed: Vec<Timed<Kind<u8>>> = ops
        .into_iter()
        .filter(|op| op.key == key)
        .map(|op| (op.kind, op.call, op.ret))
        .collect();
    is_linearizable::<Register>(None, &timed, usize::MAX).expect("no bound")
}

fn witnesses(checked: &Checked) -> &[Violation] {
    match &checked.outcome {
        Outcome::Holds => &[],
        Outcome::Violated { witnesses } => witnesses,
    }
}

/// Whether a value that is read is written twice, so that the key is skipped.
fn is_ambiguous(ops: &[Op], key: u8) -> bool {
    let of_key = || ops.iter().filter(|op| op.key == key);
    of_key().any(|read| match read.kind {
        Kind::Read(Some(value)) if read.ret.is_some() => {
            of_key().filter(|op| op.kind == Kind::Write(value)).count() > 1
        }
        _ => false,
    })
}

fn operation(values: u8) -> impl Strategy<Value = Op> {
    let write = (0..values).prop_map(Kind::Write);
    let read = prop::option::weighted(0.8, 0..values).prop_map(Kind::Read);
    let kind = prop_oneof![write, read];
    let ret = prop::option::weighted(0.85, 0_u64..6);
    (0_u8..2, kind, 0_u64..14, ret).prop_map(|(key, kind, call, lasts)| Operation {
        key,
        kind,
        call,
        ret: lasts.map(|lasts| call + lasts),
    })
}

/// Operations that take effect at drawn moments, each with a little time around it; then some of
/// them are changed.
fn legal_then_changed() -> impl Strategy<Value = Vec<Op>> {
    let drawn = (
        0_u8..2,
        any::<bool>(),
        0_u64..30,
        0_u64..6,
        0_u64..6,
        0_u8..8,
    );
    let change = (any::<prop::sample::Index>(), 0_u8..4, any::<u8>());
    let ops = prop::collection::vec(drawn, 1..18);
    (ops, prop::collection::vec(change, 0..2)).prop_map(|(mut drawn, changes)| {
        drawn.sort_by_key(|(_, _, moment, ..)| *moment);
        let mut state = [None; 2];
        let mut ops = Vec::new();
        for (fresh, (key, is_write, moment, before, after, luck)) in (0_u8..).zip(drawn) {
            let slot = &mut state[usize::from(key)];
            let answered = luck > 0 || !is_write;
            let ret = answered.then_some(moment + after);
            let call = moment.saturating_sub(before);
            let kind = if is_write {
                // An unanswered write takes effect if its time is odd.
                if answered || moment % 2 == 1 {
                    *slot = Some(fresh);
                }
                Kind::Write(fresh)
            } else {
                Kind::Read(*slot)
            };
            ops.push(Operation {
                key,
                kind,
                call,
                ret,
            });
        }
        for (at, what, amount) in changes {
            let (count, fresh) = (ops.len(), u8::try_from(ops.len()).expect("few"));
            let op = &mut ops[at.index(count)];
            match (what, op.kind) {
                (0, Kind::Read(_)) => op.kind = Kind::Read(Some(amount % fresh)),
                (1, Kind::Read(_)) => op.kind = Kind::Read(None),
                (2, _) => op.ret = op.ret.map(|_| op.call),
                (_, _) => op.call = op.ret.unwrap_or(op.call),
            }
        }
        ops
    })
}

/// Same verdict as the search on each key, and each witness is a violation by itself.
fn agrees(ops: &[Op]) -> Result<(), TestCaseError> {
    let checked = check(ops);
    let found = witnesses(&checked);
    let mut skipped = 0;
    for key in 0..2 {
        let of_key: Vec<_> = found
            .iter()
            .filter(|w| ops[w.operations[0]].key == key)
            .collect();
        if is_ambiguous(ops, key) {
            skipped += 1;
            prop_assert!(of_key.is_empty(), "ambiguous, but judged: {ops:#?}");
            continue;
        }
        prop_assert_eq!(
            of_key.is_empty(),
            has_order(ops, key),
            "key {}: {:#?}",
            key,
            ops
        );
        for witness in of_key {
            let alone: Vec<&Op> = witness.operations.iter().map(|at| &ops[*at]).collect();
            prop_assert!(alone.len() <= 6, "{witness:?}");
            prop_assert!(alone.iter().all(|op| op.key == key), "{witness:?}");
            prop_assert!(!has_order(alone, key), "{witness:?} is no proof: {ops:#?}");
        }
    }
    prop_assert_eq!(checked.figures.keys_skipped, skipped);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(
            std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000),
        )
    })]

    #[test]
    fn random_operations(ops in (1_u8..16).prop_flat_map(|values| {
        prop::collection::vec(operation(values), 1..10)
    })) {
        agrees(&ops)?;
    }

    #[test]
    fn legal_operations_with_changes(ops in legal_then_changed()) {
        agrees(&ops)?;
    }
}

/// The comparison is worth something only if both verdicts come up, and every contradiction.
#[test]
fn every_verdict_comes_up() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = legal_then_changed();
    let (mut held, mut found) = (0, std::collections::HashMap::new());
    for _ in 0..2_000 {
        let ops = strategy.new_tree(&mut runner).expect("drawn").current();
        let checked = check(&ops);
        held += u32::from(checked.outcome == Outcome::Holds);
        for witness in witnesses(&checked) {
            *found.entry(witness.contradiction).or_insert(0) += 1;
        }
    }
    assert!(held > 500, "{held}");
    for contradiction in [
        Contradiction::NeverWritten,
        Contradiction::BeforeItsWrite,
        Contradiction::InitialAgain,
        Contradiction::CameBack,
    ] {
        let times = found.get(&contradiction).copied().unwrap_or(0);
        assert!(times > 10, "{contradiction:?} came up {times} times");
    }
}

fn write(value: u8, call: u64, ret: u64) -> Op {
    let ret = (ret > 0).then_some(ret);
    Operation {
        key: 0,
        kind: Kind::Write(value),
        call,
        ret,
    }
}

fn read(value: u8, call: u64, ret: u64) -> Op {
    Operation {
        key: 0,
        kind: Kind::Read((value > 0).then_some(value)),
        call,
        ret: Some(ret),
    }
}

fn proof(ops: &[Op]) -> (Contradiction, Vec<usize>) {
    let checked = check(ops);
    let [witness] = witnesses(&checked) else {
        panic!("not one violation: {checked:?}");
    };
    (witness.contradiction, witness.operations.clone())
}

#[test]
fn a_stale_read_is_proved_by_three_operations() {
    let ops = [
        write(1, 1, 2),
        write(2, 3, 4),
        write(3, 20, 21),
        read(2, 5, 6),
        read(1, 7, 8),
        read(3, 30, 31),
    ];
    assert_eq!(proof(&ops), (Contradiction::CameBack, vec![0, 1, 4]));
}

#[test]
fn equal_times_do_not_order() {
    assert_eq!(
        check(&[write(1, 1, 3), read(0, 3, 4)]).outcome,
        Outcome::Holds
    );
    assert_eq!(
        check(&[read(1, 1, 3), write(1, 3, 4)]).outcome,
        Outcome::Holds
    );
    let late = [write(1, 1, 3), read(0, 4, 5)];
    assert_eq!(proof(&late), (Contradiction::InitialAgain, vec![0, 1]));
    let early = [read(1, 1, 3), write(1, 4, 5)];
    assert_eq!(proof(&early), (Contradiction::BeforeItsWrite, vec![0, 1]));
    assert_eq!(
        proof(&[read(1, 1, 3)]),
        (Contradiction::NeverWritten, vec![0])
    );
}

#[test]
fn two_values_that_alternate_overlap_by_the_least_time() {
    let alternate = |read_again| {
        let (a, b) = (write(1, 1, 2), write(2, 1, 20));
        [a, b, read(2, 4, 5), read(1, read_again, 7), read(2, 8, 9)]
    };
    let (held, broken) = (alternate(5), alternate(6));
    assert_eq!(check(&held).outcome, Outcome::Holds);
    let proof = proof(&broken);
    assert_eq!(proof, (Contradiction::CameBack, vec![0, 1, 2, 3]));
}

#[test]
fn an_unanswered_write_takes_effect_late_or_never_but_once() {
    let never = [write(1, 1, 2), write(2, 1, 0), read(1, 90, 91)];
    let checked = check(&never);
    assert_eq!(checked.outcome, Outcome::Holds);
    assert_eq!(checked.figures.writes_dropped, 1);
    let late = [never[0], never[1], read(1, 90, 91), read(2, 92, 93)];
    assert_eq!(check(&late).outcome, Outcome::Holds);
    let both = [late[0], late[1], late[2], late[3], read(1, 94, 95)];
    assert_eq!(proof(&both), (Contradiction::CameBack, vec![0, 1, 3, 4]));
}

#[test]
fn a_key_with_a_value_read_and_written_twice_is_skipped_and_counted() {
    let twice = [
        write(1, 1, 2),
        write(1, 3, 4),
        write(2, 5, 6),
        read(1, 7, 8),
    ];
    let checked = check(&twice);
    assert_eq!(checked.outcome, Outcome::Holds);
    assert_eq!(
        (
            checked.figures.keys_skipped,
            checked.figures.operations_skipped
        ),
        (1, 4)
    );
    let unread = [
        write(1, 1, 2),
        write(1, 3, 4),
        write(2, 5, 6),
        read(3, 7, 8),
    ];
    assert_eq!(proof(&unread), (Contradiction::NeverWritten, vec![3]));
}
