//! Transactions on lists: by the anomalies that Elle names.

use std::collections::HashMap;

use super::{Judged, finding, report};
use crate::import::{Atom, MicroOp, TransactionOutcome, Transactions};
use crate::transactions::{
    Anomaly, ENGINE, Names, Operation, Options, Outcome, Status, Transaction, check,
};
use crate::verdict::{FINDINGS_MAX, Finding, Verdict};

/// Keys and elements by number, each with its name.
#[derive(Default)]
struct Numbers<'a> {
    atoms: Vec<&'a Atom>,
    numbers: HashMap<&'a Atom, usize>,
}

impl<'a> Numbers<'a> {
    fn of(&mut self, atom: &'a Atom) -> usize {
        let Self { atoms, numbers } = self;
        *numbers.entry(atom).or_insert_with(|| {
            atoms.push(atom);
            atoms.len() - 1
        })
    }
}

pub(super) fn judge(history: &Transactions, model: &'static str) -> Judged {
    let (mut keys, mut elements) = (Numbers::default(), Numbers::default());
    let mut transactions = Vec::with_capacity(history.transactions.len());
    for one in &history.transactions {
        let operations = one.ops.iter();
        let operations = operations.filter_map(|op| number(op, &mut keys, &mut elements));
        transactions.push(Transaction {
            process: u32::try_from(one.process).unwrap_or(u32::MAX),
            call: one.call,
            ret: one.ret.filter(|_| one.outcome != TransactionOutcome::Info),
            status: match one.outcome {
                TransactionOutcome::Ok => Status::Committed,
                TransactionOutcome::Fail => Status::Aborted,
                TransactionOutcome::Info => Status::Unknown,
            },
            operations: operations.collect(),
        });
    }
    let checked = check(&transactions, &Options::default());
    let names = Names {
        transaction: &|at| format!("the transaction of {}", history.origins[at]),
        key: &|key| name(&keys, key as usize),
        element: &|element| name(&elements, usize::try_from(element).unwrap_or(usize::MAX)),
    };
    let mut report = match checked.outcome {
        Outcome::Holds { .. } => report(
            Verdict::Holds,
            ENGINE,
            format!(
                "{} transactions on {} lists fit one order, which was replayed",
                checked.figures.committed, checked.figures.keys
            ),
        ),
        Outcome::Inconclusive { reason } => {
            let mut report = report(Verdict::Inconclusive, ENGINE, reason.clone());
            report.findings = vec![finding(reason, Vec::new())];
            report
        }
        Outcome::Violated { anomalies, omitted } => {
            let all = anomalies.len() as u64 + omitted;
            let findings: Vec<Finding> = anomalies
                .iter()
                .take(FINDINGS_MAX)
                .map(|anomaly| tell(anomaly, &names))
                .collect();
            let title = findings.first().map_or(String::new(), |f| f.title.clone());
            let mut report = report(Verdict::Violated, ENGINE, title);
            report.findings_omitted = all - findings.len() as u64;
            report.findings = findings;
            report
        }
    };
    report.figures = vec![
        ("transactions".to_owned(), checked.figures.committed),
        ("aborted".to_owned(), checked.figures.aborted),
        ("unknown and unseen".to_owned(), checked.figures.unseen),
        ("lists".to_owned(), checked.figures.keys),
        ("lists skipped".to_owned(), checked.figures.keys_skipped),
    ];
    Judged {
        model,
        report,
        fault: None,
    }
}

/// An operation in numbers; none for a read of which nothing is known.
fn number<'a>(
    op: &'a MicroOp,
    keys: &mut Numbers<'a>,
    elements: &mut Numbers<'a>,
) -> Option<Operation> {
    let mut key_of = |key| u32::try_from(keys.of(key)).unwrap_or(u32::MAX);
    Some(match op {
        MicroOp::Append { key, value } => Operation::Append {
            key: key_of(key),
            element: elements.of(value) as u64,
        },
        MicroOp::Read { key, values } => {
            let seen = values.as_ref()?.iter();
            Operation::Read {
                key: key_of(key),
                elements: seen.map(|value| elements.of(value) as u64).collect(),
            }
        }
    })
}

fn name(numbers: &Numbers<'_>, at: usize) -> String {
    numbers
        .atoms
        .get(at)
        .map_or_else(String::new, ToString::to_string)
}

fn tell(anomaly: &Anomaly, names: &Names<'_>) -> Finding {
    let mut keys: Vec<String> = anomaly.keys().into_iter().map(names.key).collect();
    keys.sort_unstable();
    keys.dedup();
    Finding {
        keys,
        ..finding(anomaly.title(names), anomaly.sentences(names))
    }
}
