//! The zones: registers whose written values are unique.

use std::collections::BTreeSet;

use checker::generic::{Operation, Options, Verdict, check};
use checker::models::{Register, RegisterOp};
use checker::zones::{self, Kind};
use proptest::prelude::*;

use crate::judges::is_linearizable;

type Op = zones::Operation<u8, i64>;

/// Writes of ever new values, reads of some of them.
fn operations() -> impl Strategy<Value = Vec<Op>> {
    let read = prop::option::weighted(0.8, 0..4_i64);
    let draw = (
        any::<bool>(),
        read,
        0..2_u8,
        0..8_u64,
        prop::option::weighted(0.85, 0..5_u64),
    );
    prop::collection::vec(draw, 1..=12).prop_map(|draws| {
        let mut fresh = 0;
        let mut unknown = 0;
        let operation = |(is_write, seen, key, call, length): (bool, _, _, _, Option<u64>)| {
            let length = length.or((unknown == 3).then_some(2));
            unknown += usize::from(length.is_none());
            let kind = if is_write {
                fresh += 1;
                Kind::Write(fresh - 1)
            } else {
                Kind::Read(seen)
            };
            Op {
                key,
                kind,
                call,
                ret: length.map(|length| call + length),
            }
        };
        draws.into_iter().map(operation).collect()
    })
}

/// One register's operations. An unanswered read says nothing.
fn of_key(operations: &[Op], key: u8) -> Vec<Operation<RegisterOp>> {
    let of_key = operations.iter().filter(|op| op.key == key);
    of_key
        .filter(|op| op.ret.is_some() || matches!(op.kind, Kind::Write(_)))
        .map(|op| Operation {
            op: match op.kind {
                Kind::Write(value) => RegisterOp::Write(Some(value)),
                Kind::Read(seen) => RegisterOp::Read(seen),
            },
            call: op.call,
            ret: op.ret,
        })
        .collect()
}

proptest! {
    #![proptest_config(crate::config(500))]

    #[test]
    fn zones(operations in operations()) {
        let keys: BTreeSet<u8> = operations.iter().map(|op| op.key).collect();
        let wrong: BTreeSet<u8> = keys
            .into_iter()
            .filter(|key| !is_linearizable(&Register, &of_key(&operations, *key)))
            .collect();
        let checked = zones::check(&operations);
        prop_assert_eq!(checked.figures.keys_skipped, 0);
        let witnesses = match checked.outcome {
            zones::Outcome::Holds => Vec::new(),
            zones::Outcome::Violated { witnesses } => witnesses,
        };
        let key_of = |w: &zones::Violation| operations[w.operations[0]].key;
        let found: BTreeSet<u8> = witnesses.iter().map(key_of).collect();
        prop_assert_eq!(&found, &wrong);
        for witness in &witnesses {
            let alone: Vec<Op> = witness.operations.iter().map(|i| operations[*i]).collect();
            prop_assert!(!is_linearizable(&Register, &of_key(&alone, key_of(witness))));
        }
        for key in 0..2 {
            let verdict = check(&Register, &of_key(&operations, key), &Options::default());
            prop_assert_eq!(matches!(verdict, Verdict::Holds { .. }), !wrong.contains(&key));
        }
    }
}
