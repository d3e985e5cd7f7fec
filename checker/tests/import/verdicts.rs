//! Verdicts on small histories, and the same ones after a round trip.

use checker::export::{jepsen_edn, own_jsonl};
use checker::import::judge::{JudgeError, Judged, Options};
use checker::import::{Format, History, judge, read_bytes};
use checker::verdict::{Exit, Verdict};

fn judged(history: &History) -> Judged {
    judge(history, &Options::default()).expect("a judgement")
}

/// The verdict, which must stay the same through EDN.
fn verdict(text: &str, format: Format) -> Verdict {
    let history = read_bytes(text.as_bytes(), format).expect("a history");
    let verdict = judged(&history).report.verdict;
    let mut bytes = Vec::new();
    jepsen_edn(&history, &mut bytes).expect("EDN");
    let again = read_bytes(&bytes, Format::JepsenEdn).expect("our own EDN");
    assert_eq!(again.cut().is_some(), history.cut().is_some());
    let text = String::from_utf8(bytes).expect("text");
    assert_eq!(judged(&again).report.verdict, verdict, "{text}");
    let mut twice = Vec::new();
    jepsen_edn(&again, &mut twice).expect("EDN");
    if !matches!(history, History::Etcd(_)) {
        assert_eq!(again.kind(), history.kind());
        let twice = String::from_utf8(twice).expect("text");
        let ranked = |text: &str| -> Vec<String> {
            let lines = text.lines().map(|line| line.split(", :time").next());
            lines.map(|line| line.unwrap_or("").to_owned()).collect()
        };
        assert_eq!(ranked(&twice), ranked(&text));
    }
    verdict
}

fn edn(text: &str) -> Verdict {
    verdict(text, Format::JepsenEdn)
}

const STALE: &str = r#"
{:process 0, :type :invoke, :f :write, :value ["k" 1]}
{:process 0, :type :ok, :f :write, :value ["k" 1]}
{:process 0, :type :invoke, :f :write, :value ["k" 2]}
{:process 0, :type :ok, :f :write, :value ["k" 2]}
{:process 1, :type :invoke, :f :read, :value ["k" nil]}
{:process 1, :type :ok, :f :read, :value ["k" 1]}
"#;

#[test]
fn registers_by_key() {
    assert_eq!(edn(STALE), Verdict::Violated);
    assert_eq!(edn(&STALE.replace("[\"k\" 1]}\n\"", "")), Verdict::Violated);
    let fresh = STALE.replace(":read, :value [\"k\" 1]", ":read, :value [\"k\" 2]");
    assert_eq!(edn(&fresh), Verdict::Holds);
    let elsewhere = STALE.replace(":value [\"k\" 2]", ":value [\"other\" 2]");
    assert_eq!(edn(&elsewhere), Verdict::Holds);
    let cut = format!("{fresh}{{:process 3");
    assert_eq!(edn(&cut), Verdict::Inconclusive);
    let cut = format!("{STALE}{{:process 3");
    assert_eq!(edn(&cut), Verdict::Violated);
}

#[test]
fn the_proof_names_lines() {
    let history = read_bytes(STALE.as_bytes(), Format::JepsenEdn).expect("a history");
    let judged = judged(&history);
    assert_eq!(judged.exit(), Exit::Violated);
    let finding = &judged.report.findings[0];
    assert_eq!(
        finding.title,
        "no order of the operations on key \"k\" explains how process 1 read 1 (lines 6 and 7)"
    );
    assert_eq!(finding.keys, ["\"k\""]);
    assert_eq!(finding.operations, [0, 1, 2]);
    let told = finding.explanation.join("\n");
    assert_eq!(
        told,
        "These 3 results cannot all be true of one register:
  lines 2 and 3: process 0 wrote 1
  lines 4 and 5: process 0 wrote 2
  lines 6 and 7: process 1 read 1
Where everything before has its place, the register holds 2: process 1 read 1 (lines 6 and 7) does not fit."
    );
    let checked = ("registers cross-checked by zones".to_owned(), 1);
    assert!(judged.report.figures.contains(&checked));
}

#[test]
fn zones_decide_what_the_budget_leaves_open() {
    let history = read_bytes(STALE.as_bytes(), Format::JepsenEdn).expect("a history");
    let options = Options {
        configurations_max: Some(0),
        ..Options::default()
    };
    let judged = judge(&history, &options).expect("a judgement");
    assert_eq!(judged.report.verdict, Verdict::Violated);
    assert_eq!(judged.report.engine, checker::zones::ENGINE);
    let fresh = STALE.replace(":read, :value [\"k\" 1]", ":read, :value [\"k\" 2]");
    let history = read_bytes(fresh.as_bytes(), Format::JepsenEdn).expect("a history");
    let judged = judge(&history, &options).expect("a judgement");
    assert_eq!(judged.exit(), Exit::Inconclusive, "no order was replayed");
}

#[test]
fn the_stop_flag_ends_the_search() {
    let history = read_bytes(STALE.as_bytes(), Format::JepsenEdn).expect("a history");
    let History::Registers(mut all) = history else {
        panic!("registers")
    };
    // Values repeat: zones do not apply.
    all.operations[1].op = all.operations[0].op;
    let stop = std::sync::atomic::AtomicBool::new(true);
    let options = Options {
        stop: Some(&stop),
        ..Options::default()
    };
    let judged = judge(&History::Registers(all), &options).expect("a judgement");
    assert_eq!(judged.exit(), Exit::Inconclusive);
    assert!(
        judged.report.summary.contains("stopped"),
        "{:?}",
        judged.report
    );
}

#[test]
fn sets_queues_and_mutexes() {
    let set = r#"
{:process 0, :type :invoke, :f :add, :value "x"}
{:process 0, :type :ok, :f :add, :value "x"}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value #{"x"}}
"#;
    assert_eq!(edn(set), Verdict::Holds);
    assert_eq!(edn(&set.replace("#{\"x\"}", "#{}")), Verdict::Violated);
    let queue = r#"
{:process 0, :type :invoke, :f :enqueue, :value 1}
{:process 0, :type :ok, :f :enqueue, :value 1}
{:process 0, :type :invoke, :f :enqueue, :value 2}
{:process 0, :type :ok, :f :enqueue, :value 2}
{:process 1, :type :invoke, :f :dequeue, :value nil}
{:process 1, :type :ok, :f :dequeue, :value 1}
{:process 1, :type :invoke, :f :dequeue, :value nil}
{:process 1, :type :info, :f :dequeue, :value nil}
{:process 2, :type :invoke, :f :dequeue, :value nil}
{:process 2, :type :fail, :f :dequeue, :error :empty}
"#;
    assert_eq!(edn(queue), Verdict::Holds);
    let reordered = queue.replace(":f :dequeue, :value 1", ":f :dequeue, :value 2");
    assert_eq!(edn(&reordered), Verdict::Violated);
    let mutex = r#"
{:process 0, :type :invoke, :f :acquire, :value nil}
{:process 0, :type :ok, :f :acquire, :value nil}
{:process 1, :type :invoke, :f :acquire, :value nil}
{:process 1, :type :info, :f :acquire, :value nil}
{:process 0, :type :invoke, :f :release, :value nil}
{:process 0, :type :ok, :f :release, :value nil}
{:process 2, :type :invoke, :f :acquire, :value nil}
{:process 2, :type :ok, :f :acquire, :value nil}
"#;
    assert_eq!(edn(mutex), Verdict::Holds);
    assert_eq!(
        edn(&mutex.replace(":release", ":acquire")),
        Verdict::Violated
    );
}

#[test]
fn a_process_that_does_not_know_invokes_under_a_new_number() {
    let text = r#"{"c":0,"call":1,"ret":null,"op":"put","k":"a","v":1}
{"c":0,"call":2,"ret":5,"op":"put","k":"a","v":2}
{"c":0,"call":3,"ret":4,"op":"get","k":"a","v":2}
{"c":0,"call":4,"ret":9,"op":"get","k":"a","v":1}"#;
    assert_eq!(verdict(text, Format::CompactJsonl), Verdict::Holds);
    let stale = text.replace("\"v\":1}\n{", "\"v\":3}\n{");
    assert_eq!(verdict(&stale, Format::CompactJsonl), Verdict::Violated);
}

#[test]
fn nothing_and_what_cannot_be_judged() {
    let empty = read_bytes(b"INFO x\n", Format::JepsenLog).expect("a log");
    assert_eq!(judged(&empty).exit(), Exit::NothingRan);
    let options = Options::default();
    let options = Options {
        model: Some("queue"),
        ..options
    };
    let history = read_bytes(STALE.as_bytes(), Format::JepsenEdn).expect("a history");
    assert!(matches!(
        judge(&history, &options),
        Err(JudgeError::WrongModel { .. })
    ));
    let lists = "{:process 0, :type :invoke, :f :txn, :value [[:append 1 1]]}";
    let lists = read_bytes(lists.as_bytes(), Format::JepsenEdn).expect("transactions");
    let mut bytes = Vec::new();
    jepsen_edn(&lists, &mut bytes).expect("EDN");
    let again = read_bytes(&bytes, Format::JepsenEdn).expect("our own EDN");
    assert_eq!(again.len(), 1);
    assert!(own_jsonl(&history, Format::JepsenEdn, "b", Vec::new()).is_err());
}

/// Elle's anomalies, by the lines of the file.
#[test]
fn transactions_on_lists() {
    let text = "{:process 0, :type :invoke, :f :txn, :value [[:append x 1]]}
{:process 0, :type :ok, :f :txn, :value [[:append x 1]]}
{:process 1, :type :invoke, :f :txn, :value [[:r x nil] [:append y 2]]}
{:process 1, :type :ok, :f :txn, :value [[:r x [1]] [:append y 2]]}
{:process 0, :type :invoke, :f :txn, :value [[:r y nil]]}
{:process 0, :type :ok, :f :txn, :value [[:r y [2]]]}";
    assert_eq!(verdict(text, Format::JepsenEdn), Verdict::Holds);
    let cut = &text[..text.len() - 30];
    assert_eq!(verdict(cut, Format::JepsenEdn), Verdict::Inconclusive);
    let stale = text.replace("[:r x [1]]", "[:r x []]");
    let history = read_bytes(stale.as_bytes(), Format::JepsenEdn).expect("transactions");
    let judged = judged(&history);
    assert_eq!(judged.exit(), Exit::Violated);
    let told = judged.report.findings[0].explanation.join(" ");
    assert!(
        told.contains("lines 1 and 2") && told.contains("lines 3 and 4"),
        "{told}"
    );
}
