//! Large legal histories hold; one change is caught where a wrong store could not have gone
//! unnoticed.

use std::time::Instant;

use checker::history::*;
use checker::linearizable::{Dense, Options, Outcome, check, report, verify};
use checker::verdict::Verdict;

use super::mutate::{Mutation, mutate};
use super::simulate::{Dice, Fault, History, Shape, simulate};

fn outcome(history: &History) -> Outcome {
    check(&history.records(), &[], &Options::default())
}

fn assert_holds(shape: &Shape) {
    let records = simulate(shape).records();
    for fast_path in [false, true] {
        let options = Options {
            fast_path,
            ..Options::default()
        };
        match check(&records, &[], &options) {
            Outcome::Holds { order } => verify(&records, &[], &order).expect("confirmed"),
            other => panic!("{shape:?}: {other:#?}"),
        }
    }
}

#[test]
fn legal_histories_of_many_clients_hold() {
    for seed in 0..20 {
        for (unknown, clients, keys, spread) in [
            (0, 16, 12, 20),
            (1, 16, 12, 20),
            (5, 8, 4, 10),
            (10, 32, 3, 2),
            (20, 4, 40, 50),
        ] {
            let large = Shape::large(seed, 1_000);
            assert_holds(&Shape {
                unknown,
                clients,
                keys,
                spread,
                ..large
            });
        }
    }
}

#[test]
fn legal_histories_with_few_values_hold() {
    for seed in 0..20 {
        assert_holds(&Shape {
            values: 3,
            unknown: 2,
            ..Shape::large(seed, 1_000)
        });
        assert_holds(&Shape {
            values: 3,
            unknown: 2,
            watched: true,
            ..Shape::large(seed, 1_000)
        });
    }
}

/// One pass settles nearly all legal histories, and never one that is violated.
#[test]
fn the_fast_path_settles_what_is_legal() {
    let (mut settled, mut runs) = (0, 0);
    for seed in 0..40 {
        for (unknown, clients) in [(0, 32), (1, 16), (3, 128)] {
            let history = simulate(&Shape {
                unknown,
                clients,
                ..Shape::large(seed, 1_000)
            });
            let records = history.records();
            runs += 1;
            if let Ok(ordered) = Dense::of(&records, &[]).order(&Options::default()) {
                verify(&records, &[], &ordered.order).expect("confirmed");
                settled += 1;
            }
        }
    }
    println!("the fast path settled {settled} of {runs}");
    assert!(settled * 100 >= runs * 90, "{settled} of {runs}");

    let mut refused = 0;
    for seed in 0..40 {
        for mutation in Mutation::ALL {
            let mut history = simulate(&Shape::large(seed, 200));
            mutate(&mut history, mutation, &mut Dice(seed));
            let records = history.records();
            let slow = Options {
                fast_path: false,
                ..Options::default()
            };
            let violated = matches!(check(&records, &[], &slow), Outcome::Violated { .. });
            refused += u64::from(violated);
            let settled = Dense::of(&records, &[]).order(&Options::default());
            assert!(!(violated && settled.is_ok()), "{mutation:?}: {history}");
        }
    }
    assert!(refused > 100, "only {refused} were violated");
}

/// A hundred thousand operations, a hundredth of them unknown. The time is printed, not judged: it
/// is the release build's that counts.
#[test]
fn a_hundred_thousand_operations() {
    let operations = if cfg!(debug_assertions) {
        20_000
    } else {
        100_000
    };
    for clients in [8, 32, 128] {
        let history = simulate(&Shape {
            clients,
            ..Shape::large(7, operations)
        });
        let records = history.records();
        let start = Instant::now();
        let outcome = check(&records, &[], &Options::default());
        println!(
            "{operations} operations of {clients} clients: {:?}",
            start.elapsed()
        );
        assert!(matches!(outcome, Outcome::Holds { .. }), "{outcome:#?}");
    }
}

/// How many of `runs` histories with one change are found violated.
fn caught(mutation: Mutation, runs: u64) -> u64 {
    let mut caught = 0;
    for seed in 0..runs {
        let mut history = simulate(&Shape {
            clients: if seed % 2 == 0 { 16 } else { 128 },
            ..Shape::large(seed, 300)
        });
        let mut dice = Dice(seed);
        assert!(
            mutate(&mut history, mutation, &mut dice),
            "{mutation:?} found nothing to change"
        );
        match outcome(&history) {
            Outcome::Violated { .. } => caught += 1,
            Outcome::Holds { .. } => {}
            Outcome::Inconclusive { why, .. } => panic!("{mutation:?}: {why}"),
        }
    }
    caught
}

#[test]
fn single_changes_are_caught() {
    const RUNS: u64 = 100;
    for mutation in Mutation::ALL {
        let least = match mutation {
            // Every answer is compared with the state, so nothing shown can be wrong.
            Mutation::Bookkeeping | Mutation::Missing | Mutation::NoPrevious => RUNS,
            // The value may be drawn as it was; keys deleted cannot be told from a lost answer.
            Mutation::Value | Mutation::Count | Mutation::Branch => RUNS * 9 / 10,
            // A read at another revision may see the same; a compaction's header says little.
            Mutation::Revision | Mutation::SwappedRevisions => RUNS * 6 / 10,
            Mutation::Stale => RUNS * 3 / 10,
            // Often legal.
            Mutation::Time | Mutation::Forgotten | Mutation::Removed => 0,
        };
        let caught = caught(mutation, RUNS);
        println!("{mutation:?}: {caught} of {RUNS} caught");
        assert!(
            caught >= least,
            "{mutation:?}: only {caught} of {RUNS} caught"
        );
        if mutation == Mutation::Forgotten {
            assert_eq!(caught, 0, "forgetting a result is never a violation");
        }
    }
}

/// One mistake of the store itself, with everything after it built on the wrong state.
#[test]
fn broken_stores_are_caught() {
    const RUNS: u64 = 100;
    for (fault, least) in [
        // Only if it is the last write does nobody see it.
        (Fault::LostWrite, RUNS * 95 / 100),
        (Fault::AppliedTwice, RUNS * 95 / 100),
        // The key may be overwritten before anyone looks.
        (Fault::LostContent, RUNS * 8 / 10),
        (Fault::Resurrected, RUNS * 8 / 10),
        // Concurrent writes excuse it: few clients leave few.
        (Fault::StaleRead, RUNS * 6 / 10),
    ] {
        let mut caught = 0;
        for seed in 0..RUNS {
            let clients = if fault == Fault::StaleRead { 2 } else { 16 };
            let shape = Shape {
                fault: Some(fault),
                clients,
                ..Shape::large(seed, 300)
            };
            match outcome(&simulate(&shape)) {
                Outcome::Violated { .. } => caught += 1,
                Outcome::Holds { .. } => {}
                Outcome::Inconclusive { why, .. } => panic!("{fault:?}: {why}"),
            }
        }
        println!("{fault:?}: {caught} of {RUNS} caught");
        assert!(caught >= least, "{fault:?}: only {caught} of {RUNS} caught");
    }
}

/// Puts of unique values, each read back by a range of everything at the end of each round.
fn rounds(rounds: u64, corrupt: impl Fn(u64) -> i64) -> History {
    let mut history = History::default();
    let mut revision = 1;
    let mut live: Vec<KeyValue> = Vec::new();
    for round in 0..rounds {
        for member in 1..=3_u64 {
            let at = round * 100 + member * 10;
            let key = Bytes::from(format!("k{member}"));
            revision += 1;
            let value = Bytes::from(format!("v{revision}"));
            let put = PutRequest {
                key: key.clone(),
                value: value.clone(),
                ..Default::default()
            };
            let seen = revision + if member == 2 { corrupt(round) } else { 0 };
            let response = Response::Put(PutResponse {
                header: ResponseHeader {
                    revision: seen,
                    ..Default::default()
                },
                prev_kv: None,
            });
            history.ops.push(super::simulate::Op {
                client: u32::try_from(member).unwrap(),
                member: format!("m{member}"),
                call: at,
                ret: at + 5,
                request: Request::Put(put),
                outcome: Some(checker::history::Outcome::Ok { response }),
            });
            let old = live
                .iter()
                .position(|kv| kv.key == key)
                .map(|i| live.remove(i));
            live.push(KeyValue {
                key,
                create_revision: old.as_ref().map_or(revision, |old| old.create_revision),
                mod_revision: revision,
                version: old.map_or(1, |old| old.version + 1),
                value,
                lease: 0,
            });
        }
    }
    history
}

/// A member that replays some puts after a crash (etcd #14685): from then on its revisions run
/// ahead of the others'.
#[test]
fn a_member_that_replays_puts_is_named() {
    assert!(matches!(outcome(&rounds(30, |_| 0)), Outcome::Holds { .. }));
    for ahead in [1, 3, 50] {
        let history = rounds(30, |round| if round >= 10 { ahead } else { 0 });
        let Outcome::Violated { witness } = outcome(&history) else {
            panic!("{ahead}")
        };
        let said = witness[0].explanation.join(" ");
        assert!(
            said.contains("Every answer of m2 from 1020.000 ms on"),
            "{said}"
        );
        assert!(said.contains(&format!("{ahead} revision")), "{said}");
        assert!(said.contains("ahead of"), "{said}");
        assert!(witness[0].members.contains(&"m2".to_owned()));
    }
}

/// A static finding's operations alone are violated too.
#[test]
fn witnesses_stand_alone() {
    let mut alone = 0;
    for seed in 0..200 {
        let mut history = simulate(&Shape::large(seed, 300));
        let mut dice = Dice(seed);
        mutate(
            &mut history,
            *dice.pick(&[Mutation::Revision, Mutation::SwappedRevisions]),
            &mut dice,
        );
        let Outcome::Violated { witness } = outcome(&history) else {
            continue;
        };
        for finding in &witness {
            let duplicate = finding.title.starts_with("two different writes");
            let inversion = finding.title.starts_with("stale read: ")
                || finding.title.starts_with("the revision went back: ");
            if !(duplicate || inversion) {
                continue;
            }
            assert_eq!(finding.operations.len(), 2, "{finding:#?}");
            let keep = |i: u64| finding.operations.contains(&i);
            let mut tiny = History::default();
            for (i, op) in history.ops.iter().enumerate() {
                if keep(i as u64) {
                    tiny.ops.push(op.clone());
                }
            }
            let Outcome::Violated { witness } = outcome(&tiny) else {
                panic!("{finding:#?}")
            };
            let again = witness.iter().any(|other| other.title == finding.title);
            assert!(again, "{finding:#?} alone gives {witness:#?}");
            alone += 1;
        }
    }
    assert!(alone > 50, "only {alone} witnesses re-checked");
}
/// Where many results are unknown the search may give up, but it never finds a legal history
/// violated.
#[test]
fn many_unknown_results_never_raise_a_false_alarm() {
    let mut undecided = 0;
    for seed in 0..10 {
        for (unknown, keys, values) in
            [(10, 3, 0), (30, 3, 0), (30, 10, 0), (10, 10, 4), (50, 2, 3)]
        {
            let shape = Shape {
                unknown,
                keys,
                values,
                ..Shape::large(seed, 1_000)
            };
            let records = simulate(&shape).records();
            let options = Options {
                steps_max: 50_000,
                ..Options::default()
            };
            match check(&records, &[], &options) {
                Outcome::Holds { .. } => {}
                Outcome::Inconclusive { .. } => undecided += 1,
                Outcome::Violated { witness } => panic!("{shape:?}: {:#?}", witness[0]),
            }
        }
    }
    println!("{undecided} of 50 undecided");
    assert!(undecided <= 25, "{undecided}");
}

/// A search that runs out of steps says so, and takes hardly more than it was given.
#[test]
fn the_budget_in_steps_is_kept() {
    let mut cut_short = 0;
    for seed in 0..20 {
        let shape = Shape {
            unknown: 50,
            keys: 2,
            values: 3,
            ..Shape::large(seed, 1_000)
        };
        let records = simulate(&shape).records();
        for steps_max in [5_000, 50_000] {
            let options = Options {
                steps_max,
                fast_path: false,
                ..Options::default()
            };
            let report = report(&records, &[], &options);
            let steps = report.figures.iter().find(|(name, _)| name == "steps");
            let (_, steps) = steps.expect("counted");
            assert!(
                *steps <= steps_max + steps_max / 10,
                "{steps} of {steps_max}"
            );
            assert_ne!(report.verdict, Verdict::Violated, "{shape:?}");
            if report.verdict == Verdict::Inconclusive {
                cut_short += 1;
                assert!(report.summary.contains("undecided from revision"));
            }
        }
    }
    assert!(cut_short > 10, "only {cut_short} were cut short");
}
