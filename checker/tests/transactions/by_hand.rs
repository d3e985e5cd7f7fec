//! A pair of histories for each anomaly: one that shows it, and one nearly the same that is right.

use checker::transactions::{Model, Names, Options, Outcome, Transaction, check};

use crate::text::history;

fn names_of(transactions: &[Transaction]) -> Vec<&'static str> {
    match check(transactions, &Options::default()).outcome {
        Outcome::Holds { order } => {
            assert!(order.len() <= transactions.len());
            Vec::new()
        }
        Outcome::Violated { anomalies, omitted } => {
            assert_eq!(omitted, 0);
            anomalies.iter().map(|anomaly| anomaly.name()).collect()
        }
        Outcome::Inconclusive { reason } => panic!("{reason}"),
    }
}

#[track_caller]
fn pair(bad: &str, expected: &[&str], good: &str) {
    assert_eq!(names_of(&history(bad)), expected);
    assert_eq!(names_of(&history(good)), [""; 0]);
}

fn sentences(text: &str) -> Vec<String> {
    let transactions = history(text);
    let Outcome::Violated { anomalies, .. } = check(&transactions, &Options::default()).outcome
    else {
        panic!("it is violated")
    };
    let names = Names {
        transaction: &|at| format!("T{}", at + 1),
        key: &|key| char::from(b'a' + key as u8).to_string(),
        element: &|element| element.to_string(),
    };
    let mut lines = vec![anomalies[0].title(&names)];
    lines.extend(anomalies[0].sentences(&names));
    lines
}

#[test]
fn g0_two_transactions_each_append_before_the_other() {
    pair(
        "1 0..9 ok append x 1, append y 1
         2 0..9 ok append x 2, append y 2
         3 10..19 ok read x 1 2, read y 2 1",
        &["G0"],
        "1 0..9 ok append x 1, append y 1
         2 0..9 ok append x 2, append y 2
         3 10..19 ok read x 1 2, read y 1 2",
    );
}

#[test]
fn g1a_a_read_of_what_aborted() {
    pair(
        "1 0..9 fail append x 1
         2 0..9 ok read x 1",
        &["G1a"],
        "1 0..9 fail append x 1
         2 0..9 ok read x",
    );
    // Whose result is unknown may have taken effect.
    pair(
        "1 0..9 fail append x 1
         2 0..9 ok read x 1",
        &["G1a"],
        "1 0.. info append x 1
         2 0..9 ok read x 1",
    );
}

#[test]
fn g1b_a_read_of_half_a_transaction() {
    pair(
        "1 0..9 ok append x 1, append x 2
         2 0..9 ok read x 1",
        &["G1b", "G-single"],
        "1 0..9 ok append x 1, append x 2
         2 0..9 ok read x 1 2",
    );
}

#[test]
fn g1c_two_transactions_read_each_other() {
    pair(
        "1 0..9 ok append x 1, read y 1
         2 0..9 ok append y 1, read x 1",
        &["G1c"],
        "1 0..9 ok append x 1, read y 1
         2 0..9 ok append y 1, read x",
    );
}

#[test]
fn g_single_a_read_of_two_snapshots() {
    pair(
        "1 0..9 ok append x 1, append y 1
         2 0..9 ok read x 1, read y",
        &["G-single"],
        "1 0..9 ok append x 1, append y 1
         2 0..9 ok read x 1, read y 1",
    );
}

#[test]
fn g_nonadjacent_a_long_fork() {
    pair(
        "1 0..9 ok append x 1
         2 0..9 ok append y 1
         3 0..9 ok read x 1, read y
         4 0..9 ok read x, read y 1",
        &["G-nonadjacent"],
        "1 0..9 ok append x 1
         2 0..9 ok append y 1
         3 0..9 ok read x 1, read y
         4 0..9 ok read x 1, read y 1",
    );
}

#[test]
fn g2_item_write_skew() {
    pair(
        "1 0..9 ok read x, append y 1
         2 0..9 ok read y, append x 1
         3 20..29 ok read x 1, read y 1",
        &["G2-item"],
        "1 0..9 ok read x, append y 1
         2 0..9 ok read y 1, append x 1
         3 20..29 ok read x 1, read y 1",
    );
    // Appends that nobody read came after all that was read.
    pair(
        "1 0..9 ok read x, append y 1
         2 0..9 ok read y, append x 1",
        &["G2-item"],
        "1 0..9 ok read x, append y 1
         2 0..9 ok read y, append z 1",
    );
}

#[test]
fn order_of_processes() {
    // Real time shows as much, so the two names differ by what the cycle needs.
    pair(
        "1 0..9 ok append x 1
         1 10..19 ok read x",
        &["G-single-process"],
        "1 0..9 ok append x 1
         1 10..19 ok read x 1",
    );
    // Without an answer there is no order.
    pair(
        "1 0..9 ok append x 1
         1 10..19 ok read x",
        &["G-single-process"],
        "1 0.. info append x 1
         1 10..19 ok read x
         1 20..29 ok read x 1",
    );
}

#[test]
fn order_of_real_time() {
    pair(
        "1 0..9 ok append x 1
         2 10..19 ok read x",
        &["G-single-realtime"],
        "1 0..10 ok append x 1
         2 10..19 ok read x",
    );
    pair(
        "1 0..9 ok append x 1
         2 10..19 ok append x 2
         3 20..29 ok read x 2 1",
        &["G0-realtime"],
        "1 0..9 ok append x 1
         2 9..19 ok append x 2
         3 20..29 ok read x 2 1",
    );
    pair(
        "1 0..9 ok read x 1
         2 10..19 ok append x 1",
        &["G1c-realtime"],
        "1 0..9 ok read x 1
         2 9..19 ok append x 1",
    );
    pair(
        "1 0..9 ok append z 1
         2 0..30 ok append x 1, read z
         3 10..19 ok read x
         4 40..49 ok read x 1",
        &["G2-item-realtime"],
        "1 0..10 ok append z 1
         2 0..30 ok append x 1, read z
         3 10..19 ok read x
         4 40..49 ok read x 1",
    );
}

#[test]
fn internal_contradictions() {
    pair(
        "1 0..9 ok append x 1, read x",
        &["internal"],
        "1 0..9 ok append x 1, read x 1",
    );
    pair(
        "1 0..9 ok read x, append x 1, read x 2 1
         2 0..9 ok append x 2",
        &["internal"],
        "1 0..9 ok read x 2, append x 1, read x 2 1
         2 0..9 ok append x 2",
    );
    pair(
        "1 0..9 ok read x 1, append x 1",
        &["internal"],
        "1 0..9 ok append x 1, read x 1",
    );
}

#[test]
fn duplicate_and_unwritten_elements() {
    pair(
        "1 0..9 ok append x 1
         2 0..9 ok read x 1 1",
        &["duplicate-elements"],
        "1 0..9 ok append x 1
         2 0..9 ok read x 1",
    );
    pair(
        "1 0..9 ok append x 1
         2 0..9 ok read x 1 2",
        &["unwritten-read"],
        "1 0..9 ok append x 1, append x 2
         2 0..9 ok read x 1 2",
    );
}

#[test]
fn dirty_updates() {
    pair(
        "1 0..9 fail append x 1
         2 0..9 ok append x 2
         3 0..9 ok read x 1 2",
        &["G1a", "dirty-update"],
        "1 0..9 fail append x 1
         2 0..9 ok append x 2
         3 0..9 ok read x 2",
    );
}

#[test]
fn appends_of_one_transaction_out_of_order() {
    pair(
        "1 0..9 ok append x 1, append x 2
         2 0..9 ok read x 2 1",
        &["out-of-order", "G1b"],
        "1 0..9 ok append x 1, append x 2
         2 0..9 ok read x 1 2",
    );
    pair(
        "1 0..9 ok append x 1, append x 2
         2 0..9 ok read x 2",
        &["out-of-order", "G-single"],
        "1 0..9 ok append x 2
         2 0..9 ok read x 2",
    );
}

#[test]
fn incompatible_orders() {
    pair(
        "1 0..9 ok append x 1
         2 0..9 ok append x 2
         3 0..9 ok read x 1 2
         4 0..9 ok read x 2 1",
        &["incompatible-order"],
        "1 0..9 ok append x 1
         2 0..9 ok append x 2
         3 0..9 ok read x 2 1
         4 0..9 ok read x 2",
    );
}

#[test]
fn lost_updates() {
    pair(
        "1 0..9 ok read x, append x 1
         2 0..9 ok read x, append x 2
         3 0..9 ok read x 1",
        &["lost-update", "G-single"],
        "1 0..9 ok read x, append x 1
         2 0..9 ok read x 1, append x 2
         3 0..9 ok read x 1",
    );
    pair(
        "1 0..9 ok read x, append x 1
         2 0..9 ok read x, append x 2",
        &["lost-update", "G-single"],
        "1 0..9 ok read x, append x 1
         2 0..9 ok append x 2",
    );
}

#[test]
fn what_an_unknown_transaction_read_counts_once_it_was_seen() {
    pair(
        "1 0.. info read y 7, append x 1
         2 0..9 ok append y 7
         3 0..9 ok read x 1, read y",
        &["G-single"],
        "1 0.. info read y 7, append x 1
         2 0..9 ok append y 7
         3 0..9 ok read x, read y",
    );
}

#[test]
fn an_element_appended_twice_leaves_its_key_undecided() {
    let text = "1 0..9 ok append x 1
         2 0..9 ok append x 1
         3 0..9 ok read y";
    let checked = check(&history(text), &Options::default());
    assert!(matches!(checked.outcome, Outcome::Inconclusive { .. }));
    assert_eq!(checked.figures.keys_skipped, 1);
    let text = "1 0..9 ok append x 1
         2 0..9 ok append x 1
         3 0..9 ok read y 1";
    assert_eq!(names_of(&history(text)), ["unwritten-read"]);
}

#[test]
fn a_witness_is_two_transactions_in_a_sentence() {
    let lines = sentences(
        "1 0..9 ok append k 3
         2 10..19 ok read k",
    );
    assert_eq!(
        lines,
        [
            "G-single-realtime: 2 transactions must each come before the next, and the last before the first",
            "T1 appended 3 to k, T2 read k without it although T2 began after T1 had returned.",
            "This rules out strong snapshot isolation, and every stronger model.",
        ]
    );
    let lines = sentences(
        "1 0..9 ok append x 1, append y 1
         2 0..9 ok read x 1, read y",
    );
    assert_eq!(
        lines[1..3],
        [
            "T1 appended 1 to x, and T2 read it.",
            "T2 read y empty, without 1, which T1 appended.",
        ]
    );
}

#[test]
fn what_lies_between_in_a_process_or_in_time_is_no_part_of_a_witness() {
    let between: String = (1..20)
        .map(|n| format!("1 {}..{} ok read z\n", 10 * n, 10 * n + 9))
        .collect();
    for (last, name) in [(1, "G-single-process"), (2, "G-single-realtime")] {
        let text = format!("1 0..9 ok append x 1\n{between}{last} 200..209 ok read x");
        let transactions = history(&text);
        let Outcome::Violated { anomalies, .. } = check(&transactions, &Options::default()).outcome
        else {
            panic!("it is violated")
        };
        assert_eq!(anomalies[0].name(), name);
        assert_eq!(anomalies[0].transactions(), [0, 20]);
    }
}

#[test]
fn models_form_a_lattice_below_strict_serializability() {
    for model in Model::ALL {
        assert!(Model::StrictSerializable.implies(model));
        assert!(model.implies(model));
        assert!(model == Model::ReadUncommitted || !Model::ReadUncommitted.implies(model));
    }
    assert!(!Model::SnapshotIsolation.implies(Model::RepeatableRead));
    assert!(!Model::RepeatableRead.implies(Model::SnapshotIsolation));
    assert!(!Model::Serializable.implies(Model::StrongSessionSnapshotIsolation));
}
