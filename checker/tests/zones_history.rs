//! Zones as a cross-check of recorded histories: never against an order that the revision order
//! has proved, and able to find what a wrong store shows on one key.

#[path = "linearizable/history.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "shared with the tests of the revision order"
)]
mod history;
#[path = "linearizable/mutate.rs"]
mod mutate;
#[path = "linearizable/simulate.rs"]
mod simulate;

use checker::history::*;
use checker::linearizable::{self, Options};
use checker::zones::{CrossCheck, cross_check};
use history::{Builder, delete, deleted, get, got, kv, put, put_at, put_lease, put_prev};
use history::{Ends, Unknown, put_at_prev, swap, swapped};
use mutate::{Mutation, mutate};
use proptest::prelude::*;
use simulate::{Dice, Shape, simulate};

fn holds(records: &[Record]) -> bool {
    matches!(
        linearizable::check(records, &[], &Options::default()),
        linearizable::Outcome::Holds { .. }
    )
}

/// Unique values, since others are skipped.
fn shape(seed: u64, operations: usize) -> Shape {
    Shape {
        values: 0,
        ..Shape::small(seed, operations)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn what_has_an_order_is_not_rejected(
        seed: u64,
        operations in 1_usize..60,
        mutations in prop::collection::vec((0..Mutation::ALL.len(), any::<u64>()), 0..=2),
    ) {
        let mut history = simulate(&shape(seed, operations));
        for (mutation, dice) in mutations {
            mutate(&mut history, Mutation::ALL[mutation], &mut Dice(dice));
        }
        let records = history.records();
        let crossed = cross_check(&records, &[]);
        if holds(&records) {
            prop_assert!(crossed.violations.is_empty(), "{:#?}\n{history}", crossed.violations);
        }
    }
}

#[test]
fn large_histories_are_judged_almost_whole() {
    for seed in 0..10 {
        let records = simulate(&Shape::large(seed, 3_000)).records();
        let CrossCheck {
            violations,
            counts,
            figures,
        } = cross_check(&records, &[]);
        assert!(violations.is_empty(), "{violations:#?}");
        assert_eq!((figures.keys_skipped, figures.operations_skipped), (0, 0));
        assert!(figures.operations > 3_000, "{figures:?}");
        assert!(
            counts.recorded > 2_400 && counts.local_or_past > 100,
            "{counts:?}"
        );
    }
}

/// Changes a client would see on one key are found without looking at revisions.
#[test]
fn wrong_values_and_times_are_found() {
    let found = |mutation: Mutation| {
        let rejected = (0..100).filter(|seed| {
            let mut history = simulate(&Shape::large(*seed, 300));
            mutate(&mut history, mutation, &mut Dice(*seed));
            !cross_check(&history.records(), &[]).violations.is_empty()
        });
        rejected.count()
    };
    assert!(found(Mutation::Value) > 40, "{}", found(Mutation::Value));
    assert!(found(Mutation::Removed) > 2, "{}", found(Mutation::Removed));
    for blind in [
        Mutation::Revision,
        Mutation::Bookkeeping,
        Mutation::Forgotten,
    ] {
        assert_eq!(found(blind), 0, "{blind:?}");
    }
}

fn titles(builder: &Builder) -> Vec<String> {
    let crossed = cross_check(&builder.records, &[]);
    crossed.violations.into_iter().map(|v| v.title).collect()
}

/// All revisions in these histories are wrong on purpose, where they are seen at all.
fn two_puts() -> Builder {
    let mut h = Builder::default();
    h.op((1, 2), 1, put("k", "a"), put_at(9));
    h.op((3, 4), 2, put("k", "b"), put_at(3));
    h
}

#[test]
fn a_stale_read_is_found_and_told() {
    let mut h = two_puts();
    h.op((5, 6), 3, get("k"), got(7, &[kv("k", "a", 1, 1, 1)]));
    let [finding] = &cross_check(&h.records, &[]).violations[..] else {
        panic!("not one finding");
    };
    assert_eq!(finding.operations, [1, 2, 3]);
    assert_eq!(finding.keys, ["k"]);
    assert_eq!(
        finding.title,
        "k: a value came back after another, though it was put once"
    );
    assert!(finding.explanation[2].starts_with("operation 3 saw a: sent at 5000000 ns"));
}

#[test]
fn a_previous_value_and_a_branch_are_reads_and_writes() {
    let mut h = two_puts();
    h.op(
        (5, 6),
        3,
        put_prev("k", "c"),
        put_at_prev(1, kv("k", "a", 1, 1, 1)),
    );
    assert_eq!(titles(&h).len(), 1);
    let mut h = two_puts();
    h.op((5, 6), 3, swap("k", 1, "c"), swapped(1));
    h.op((7, 8), 3, get("k"), got(7, &[kv("k", "b", 1, 1, 1)]));
    assert_eq!(titles(&h).len(), 1);
}

#[test]
fn an_unanswered_branch_may_have_been_taken() {
    let mut h = two_puts();
    h.op((5, 6), 3, swap("k", 1, "c"), Unknown);
    h.op((7, 8), 3, get("k"), got(7, &[kv("k", "b", 1, 1, 1)]));
    assert_eq!(titles(&h), [""; 0]);
    h.op((9, 10), 3, get("k"), got(7, &[kv("k", "c", 1, 1, 1)]));
    assert_eq!(titles(&h), [""; 0]);
    h.op((11, 12), 3, get("k"), got(7, &[kv("k", "b", 1, 1, 1)]));
    assert_eq!(titles(&h).len(), 1);
}

#[test]
fn a_refused_put_wrote_nothing() {
    let mut h = Builder::default();
    h.op(
        (1, 2),
        1,
        put("k", "a"),
        Ends::Error(7, "etcdserver: permission denied"),
    );
    h.op((3, 4), 1, get("k"), got(7, &[kv("k", "a", 1, 1, 1)]));
    assert_eq!(titles(&h), ["k: a read saw a value that no request put"]);
}

#[test]
fn absence_proves_something_only_where_keys_stay() {
    let mut h = two_puts();
    h.op((5, 6), 3, get("k"), got(7, &[]));
    assert_eq!(
        titles(&h),
        ["k: a read found nothing after a value was there"]
    );
    for cause in [delete("k"), put_lease("k", "x", 8)] {
        let mut h = h.clone();
        h.op((1, 2), 4, cause, Unknown);
        assert_eq!(titles(&h), [""; 0]);
        assert_eq!(cross_check(&h.records, &[]).counts.absences, 1);
    }
}

#[test]
fn a_deleted_value_does_not_come_back() {
    let mut h = Builder::default();
    h.op((1, 2), 1, put("k", "a"), put_at(9));
    h.op((3, 4), 2, delete("k"), deleted(3, 1));
    h.op((3, 6), 3, get("k"), got(7, &[kv("k", "a", 1, 1, 1)]));
    assert_eq!(titles(&h), [""; 0]);
    h.op((5, 6), 3, get("k"), got(7, &[kv("k", "a", 1, 1, 1)]));
    assert_eq!(titles(&h).len(), 1);
}
