//! Small histories, legal and changed, against the search over all orders.

use checker::linearizable::{Options, Outcome, check, verify};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::mutate::{Mutation, mutate};
use super::oracle::is_linearizable;
use super::simulate::{Dice, History, Shape, simulate};

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(2_000)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: cases(),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

/// The check's verdict and the oracle's, which must be the same: histories as short as these are
/// all decided, at the latest by the generic engine.
fn same_verdict(history: &History, fast_path: bool) -> Result<(), TestCaseError> {
    let records = history.records();
    let expected = is_linearizable(history);
    let options = Options {
        fast_path,
        ..Options::default()
    };
    match check(&records, &[], &options) {
        Outcome::Holds { order } => {
            prop_assert!(expected, "held, but no order exists: {history}");
            let confirmed = verify(&records, &[], &order);
            prop_assert!(confirmed.is_ok(), "{confirmed:?}: {history}");
        }
        Outcome::Violated { witness } => {
            prop_assert!(!expected, "an order exists: {:#?}\n{history}", witness[0]);
        }
        Outcome::Inconclusive { why, .. } => {
            prop_assert!(false, "undecided, {why}: {history}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn legal_histories_hold(
        seed: u64,
        operations in 1_usize..=12,
        fast_path: bool,
    ) {
        let history = simulate(&Shape::small(seed, operations));
        prop_assert!(is_linearizable(&history), "the simulation is wrong: {history}");
        same_verdict(&history, fast_path)?;
    }

    #[test]
    fn changed_histories_are_judged_alike(
        seed: u64,
        operations in 1_usize..=12,
        mutations in prop::collection::vec((0..Mutation::ALL.len(), any::<u64>()), 1..=2),
        fast_path: bool,
    ) {
        let mut history = simulate(&Shape::small(seed, operations));
        for (mutation, dice) in mutations {
            mutate(&mut history, Mutation::ALL[mutation], &mut Dice(dice));
        }
        same_verdict(&history, fast_path)?;
    }
}

/// The two tests above are worth something only if both verdicts come up often, and no
/// history stays undecided.
#[test]
fn both_verdicts_come_up() {
    let (mut held, mut violated, mut undecided) = (0, 0, 0);
    for seed in 0..1_000 {
        let mut history = simulate(&Shape::small(seed, 10));
        let mut dice = Dice(seed);
        let mutation = *dice.pick(&Mutation::ALL);
        mutate(&mut history, mutation, &mut dice);
        match check(&history.records(), &[], &Options::default()) {
            Outcome::Holds { .. } => held += 1,
            Outcome::Violated { .. } => violated += 1,
            Outcome::Inconclusive { .. } => undecided += 1,
        }
    }
    assert!(
        held > 200 && violated > 200 && undecided == 0,
        "{held} {violated} {undecided}"
    );
}
