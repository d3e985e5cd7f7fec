//! Histories as text, one transaction a line:
//! `PROCESS CALL..RETURN STATUS OPERATION, OPERATION`, where an operation is `append x 1` or
//! `read x 1 2` and a return may be missing.

use checker::transactions::{Operation, Status, Transaction};

pub(crate) fn history(text: &str) -> Vec<Transaction> {
    text.trim()
        .lines()
        .map(|line| transaction(line.trim()))
        .collect()
}

fn transaction(line: &str) -> Transaction {
    let mut parts = line.splitn(4, ' ');
    let mut part = || parts.next().expect("process, times, status, operations");
    let process = part().parse().expect("a process");
    let (call, ret) = part().split_once("..").expect("times");
    Transaction {
        process,
        call: call.parse().expect("a time"),
        ret: (!ret.is_empty()).then(|| ret.parse().expect("a time")),
        status: match part() {
            "ok" => Status::Committed,
            "fail" => Status::Aborted,
            "info" => Status::Unknown,
            other => panic!("{other}"),
        },
        operations: part().split(", ").map(operation).collect(),
    }
}

fn operation(text: &str) -> Operation {
    let mut words = text.split(' ');
    let what = words.next();
    let key = words.next().expect("a key").as_bytes()[0];
    let key = u32::from(key - b'a');
    let mut elements = words.map(|word| word.parse().expect("an element"));
    match what {
        Some("append") => Operation::Append {
            key,
            element: elements.next().expect("an element"),
        },
        Some("read") => Operation::Read {
            key,
            elements: elements.collect(),
        },
        other => panic!("{other:?}"),
    }
}

/// The other way round, for keys as `kNUMBER`.
pub(crate) fn render(transactions: &[Transaction]) -> String {
    let operation = |operation: &Operation| match operation {
        Operation::Append { key, element } => format!("append k{key} {element}"),
        Operation::Read { key, elements } => format!("read k{key} {elements:?}"),
    };
    let line = |(at, t): (usize, &Transaction)| {
        let operations: Vec<_> = t.operations.iter().map(operation).collect();
        let (process, call, ret, status) = (t.process, t.call, t.ret, t.status);
        let operations = operations.join(", ");
        format!("T{at}: {process} {call}..{ret:?} {status:?} {operations}\n")
    };
    transactions.iter().enumerate().map(line).collect()
}
