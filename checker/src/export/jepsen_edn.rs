//! Jepsen's `history.edn`: one map an event, in the order of time.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::Write;

use super::{ExportError, Exported};
use crate::history::Bytes;
use crate::import::{
    Atom, EtcdHistory, History, MicroOp, Objects, Transaction, TransactionOutcome,
};
use crate::models::{CasRegisterOp, MutexOp, QueueOp, SetOp};
use crate::zones::{self, Kind, Value};

/// Writes a history such that it can be [read](crate::import::jepsen_edn) again.
///
/// A history of etcd becomes one of registers, one for each key: what
/// [`zones::project`] implies of single keys. Revisions, guards, counts, leases and reads of the
/// past are lost; what is violated in it is violated in the whole, but not the reverse.
///
/// # Errors
///
/// When Jepsen's words do not suffice, or the output cannot be written.
pub fn jepsen_edn(history: &History, mut out: impl Write) -> Result<Exported, ExportError> {
    let mut exported = Exported::default();
    let mut events = Vec::new();
    match history {
        History::Registers(all) => objects(all, &mut events, &mut exported, register),
        History::Sets(all) => objects(all, &mut events, &mut exported, set),
        History::Queues(all) => objects(all, &mut events, &mut exported, queue),
        History::Mutexes(all) => objects(all, &mut events, &mut exported, mutex),
        History::ListAppend(all) => {
            for transaction in &all.transactions {
                events.push(transaction_words(transaction));
            }
        }
        History::Etcd(all) => etcd(all, &mut events, &mut exported),
        History::KeyValue(_) => {
            return Err(ExportError::Inexpressible {
                format: "jepsen-edn",
                what: "a store of strings that are appended to: porcupine-kv is such EDN already"
                    .to_owned(),
            });
        }
    }
    if events.iter().any(|w| w.ret.is_some_and(|ret| ret < w.call)) {
        return Err(ExportError::Inexpressible {
            format: "jepsen-edn",
            what: "operations that return before they are invoked: the history is malformed"
                .to_owned(),
        });
    }
    exported.operations = events.len() as u64;
    write(events, &mut out)?;
    if history.cut().is_some() {
        // Nobody shall take a prefix for a whole: the file ends within a form, like its source.
        writeln!(out, "{{ ; the source was cut short here")?;
    }
    out.flush()?;
    Ok(exported)
}

/// An operation in Jepsen's words.
struct Words {
    process: u64,
    call: u64,
    ret: Option<u64>,
    f: &'static str,
    asked: String,
    /// `ok`, `fail` or `info`.
    kind: &'static str,
    answered: String,
    error: Option<&'static str>,
}

impl Words {
    /// Of which the value is the same in invocation and completion.
    fn same(f: &'static str, value: String, kind: &'static str) -> Self {
        Self::two(f, value.clone(), value, kind)
    }

    fn two(f: &'static str, asked: String, answered: String, kind: &'static str) -> Self {
        Self {
            process: 0,
            call: 0,
            ret: None,
            f,
            asked,
            kind,
            answered,
            error: None,
        }
    }
}

/// Writes events in the order of time. A process whose result is unknown invokes nothing more, so
/// that what its number invokes later goes under a new one.
fn write(operations: Vec<Words>, out: &mut impl Write) -> std::io::Result<()> {
    let mut order: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * operations.len());
    for (index, words) in operations.iter().enumerate() {
        order.push((words.call, false, index));
        if let Some(ret) = words.ret {
            order.push((ret, true, index));
        }
    }
    // Those that touch are concurrent: calls come before returns.
    order.sort_unstable();
    let mut fresh = operations.iter().map(|w| w.process + 1).max().unwrap_or(0);
    let mut aliases: HashMap<u64, u64> = HashMap::new();
    let mut busy: HashSet<u64> = HashSet::new();
    let mut processes = vec![0; operations.len()];
    for (number, (time, is_return, index)) in order.into_iter().enumerate() {
        let words = &operations[index];
        let (kind, value) = if is_return {
            busy.remove(&processes[index]);
            if words.kind == "info" {
                aliases.insert(words.process, fresh);
                fresh += 1;
            }
            (words.kind, &words.answered)
        } else {
            let alias = aliases.entry(words.process).or_insert(words.process);
            if busy.contains(alias) {
                *alias = fresh;
                fresh += 1;
            }
            processes[index] = *alias;
            busy.insert(*alias);
            ("invoke", &words.asked)
        };
        write!(
            out,
            "{{:index {number}, :type :{kind}, :process {}, :f :{}, :value {value}, :time {time}",
            processes[index], words.f
        )?;
        if let (true, Some(error)) = (is_return, words.error) {
            write!(out, ", :error :{error}")?;
        }
        writeln!(out, "}}")?;
    }
    Ok(())
}

fn objects<Op>(
    all: &Objects<Op>,
    events: &mut Vec<Words>,
    exported: &mut Exported,
    words: impl Fn(&Op, &dyn Fn(i64) -> Atom) -> Words,
) {
    exported.leave_out("operations that failed or say nothing", all.left_out);
    let atom = |number| all.values.atom(number);
    for (index, operation) in all.operations.iter().enumerate() {
        let mut words = words(&operation.op, &atom);
        if let Some(Some(key)) = all.names.get(all.objects[index] as usize) {
            words.asked = format!("[{key} {}]", words.asked);
            words.answered = format!("[{key} {}]", words.answered);
        }
        words.process = all.origins[index].process;
        words.call = operation.call;
        words.ret = operation.ret;
        if operation.ret.is_none() {
            words.kind = "info";
        }
        events.push(words);
    }
}

fn nil_or(value: Option<i64>, atom: &dyn Fn(i64) -> Atom) -> String {
    value.map_or("nil".to_owned(), |number| atom(number).to_string())
}

fn register(op: &CasRegisterOp, atom: &dyn Fn(i64) -> Atom) -> Words {
    match *op {
        CasRegisterOp::Read(seen) => Words::two("read", "nil".to_owned(), nil_or(seen, atom), "ok"),
        CasRegisterOp::Write(value) => Words::same("write", nil_or(value, atom), "ok"),
        CasRegisterOp::Cas { from, to, done } => {
            let value = format!("[{} {}]", nil_or(from, atom), nil_or(to, atom));
            let kind = match done {
                Some(true) => "ok",
                Some(false) => "fail",
                None => "info",
            };
            Words::same("cas", value, kind)
        }
    }
}

fn set(op: &SetOp, atom: &dyn Fn(i64) -> Atom) -> Words {
    match op {
        SetOp::Add(element) => Words::same("add", atom(*element).to_string(), "ok"),
        SetOp::Remove(element) => Words::same("remove", atom(*element).to_string(), "ok"),
        SetOp::Contains(element, _) => Words::same("contains", atom(*element).to_string(), "ok"),
        SetOp::Read(all) => {
            let all: Vec<_> = all.iter().map(|e| atom(*e).to_string()).collect();
            Words::two(
                "read",
                "nil".to_owned(),
                format!("#{{{}}}", all.join(" ")),
                "ok",
            )
        }
    }
}

fn queue(op: &QueueOp, atom: &dyn Fn(i64) -> Atom) -> Words {
    let nil = || "nil".to_owned();
    match *op {
        QueueOp::Enqueue(value) => Words::same("enqueue", atom(value).to_string(), "ok"),
        QueueOp::Dequeue(value) => Words::two("dequeue", nil(), atom(value).to_string(), "ok"),
        QueueOp::DequeueUnknown => Words::same("dequeue", nil(), "info"),
        QueueOp::DequeueEmpty => Words {
            error: Some("empty"),
            ..Words::same("dequeue", nil(), "fail")
        },
    }
}

fn mutex(op: &MutexOp, _: &dyn Fn(i64) -> Atom) -> Words {
    let f = match op {
        MutexOp::Acquire => "acquire",
        MutexOp::Release => "release",
    };
    Words::same(f, "nil".to_owned(), "ok")
}

fn transaction_words(transaction: &Transaction) -> Words {
    let text = |is_answer: bool| {
        let mut text = String::from("[");
        for (index, op) in transaction.ops.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let _ = match op {
                MicroOp::Append { key, value } => write!(text, "{space}[:append {key} {value}]"),
                MicroOp::Read {
                    key,
                    values: Some(values),
                } if is_answer => {
                    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                    write!(text, "{space}[:r {key} [{}]]", values.join(" "))
                }
                MicroOp::Read { key, .. } => write!(text, "{space}[:r {key} nil]"),
            };
        }
        text + "]"
    };
    let kind = match transaction.outcome {
        TransactionOutcome::Ok => "ok",
        TransactionOutcome::Fail => "fail",
        TransactionOutcome::Info => "info",
    };
    let is_ok = transaction.outcome == TransactionOutcome::Ok;
    Words {
        process: transaction.process,
        call: transaction.call,
        ret: transaction.ret,
        ..Words::two("txn", text(false), text(is_ok), kind)
    }
}

fn etcd(all: &EtcdHistory, events: &mut Vec<Words>, exported: &mut Exported) {
    let projection = zones::project(&all.records, &all.observations);
    let text = |bytes: &Bytes| Atom::Text(bytes.to_string()).to_string();
    // One request may become several operations: each goes under a process of its own.
    for (process, operation) in (0..).zip(&projection.operations) {
        let value = |value: Option<&Value<'_>>| match value {
            Some(Value::Put(bytes)) => text(bytes),
            Some(Value::Deleted(_)) | None => "nil".to_owned(),
        };
        let key = text(operation.key);
        let tuple = |value: String| format!("[{key} {value}]");
        let words = match &operation.kind {
            Kind::Write(written) => Words::same("write", tuple(value(Some(written))), "ok"),
            Kind::Read(seen) => Words::two(
                "read",
                tuple("nil".to_owned()),
                tuple(value(seen.as_ref())),
                "ok",
            ),
        };
        let kind = if operation.ret.is_some() {
            "ok"
        } else {
            "info"
        };
        events.push(Words {
            process,
            call: operation.call,
            ret: operation.ret,
            kind,
            ..words
        });
    }
    let counts = projection.counts;
    exported.leave_out(
        "reads of a member's own state or of the past",
        counts.local_or_past,
    );
    exported.leave_out("absences of keys that may vanish", counts.absences);
    exported.leave_out(
        "other requests, such as leases and compactions",
        (all.lines.len() as u64).saturating_sub(counts.recorded) + all.left_out,
    );
}
