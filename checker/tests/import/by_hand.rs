//! What the readers make of small files, and what they say about what they cannot read.

use checker::generic::Operation;
use checker::import::{
    Atom, FORM_MAX, Format, History, ImportError, MicroOp, Origin, TransactionOutcome,
    Transactions, Workload, jepsen_log, list_append, porcupine_kv, read_bytes, recognise, workload,
};
use checker::models::{CasRegisterOp, KeyValueOp, MutexOp, QueueOp, SetOp};

fn edn(text: &str) -> History {
    read_bytes(text.as_bytes(), Format::JepsenEdn).expect("a history")
}

fn registers(history: History) -> Vec<Operation<CasRegisterOp>> {
    match history {
        History::Registers(all) => all.operations,
        other => panic!("{other:?}"),
    }
}

fn known<Op>(op: Op, call: u64, ret: u64) -> Operation<Op> {
    Operation {
        op,
        call,
        ret: Some(ret),
    }
}

fn unknown<Op>(op: Op, call: u64) -> Operation<Op> {
    Operation {
        op,
        call,
        ret: None,
    }
}

fn log(lines: &[&str]) -> Result<Vec<Operation<CasRegisterOp>>, ImportError> {
    let prefixed = lines
        .iter()
        .map(|line| format!("INFO  jepsen.util - {line}\n"));
    jepsen_log(prefixed.collect::<String>().as_bytes()).map(|all| all.operations)
}

#[test]
fn a_jepsen_log() {
    let lines = [
        "0\t:invoke\t:read\tnil",
        "1   :invoke :write  3",
        "2\t:invoke\t:cas\t[1 2]",
        "3\t:invoke\t:read\tnil",
        "0\t:ok\t:read\tnil",
        ":nemesis\t:info\t:start\tnil",
        "1\t:info\t:write\t:timed-out",
        "2\t:fail\t:cas\t[1 2]",
        "3\t:fail\t:read\t:timed-out",
        "5\t:invoke\t:cas\t[3 4]",
    ];
    let cas = |from, to, done| CasRegisterOp::Cas {
        from: Some(from),
        to: Some(to),
        done,
    };
    let expected = vec![
        Operation {
            op: CasRegisterOp::Read(None),
            call: 0,
            ret: Some(4),
        },
        Operation {
            op: CasRegisterOp::Write(Some(3)),
            call: 1,
            ret: None,
        },
        Operation {
            op: cas(1, 2, Some(false)),
            call: 2,
            ret: Some(6),
        },
        Operation {
            op: cas(3, 4, None),
            call: 8,
            ret: None,
        },
    ];
    assert_eq!(log(&lines).expect("a log"), expected);
    let text = r#"
        {:process 0, :type :invoke, :f :read, :value nil} ; a comment
        {:process 1, :type :invoke, :f :write, :value 3}
        {:process 2, :type :invoke, :f :cas, :value [1 2]}
        {:process 3, :type :invoke, :f :read, :value nil}
        {:process 0, :type :ok, :f :read, :value nil, :time #inst "2026-01-01"}
        {:process :nemesis, :type :info, :f :start, :value #{1 2}}
        {:process 1, :type :info, :f :write, :value 3, :error :timed-out}
        {:process 2, :type :fail, :f :cas, :value [1 2]}
        {:process 3, :type :fail, :f :read, :error :timed-out}
        {:process 5, :type :invoke, :f :cas, :value [3 4]}"#;
    assert_eq!(registers(edn(text)), expected);
    let vector = format!("[{}]", text.replace("; a comment", ""));
    assert_eq!(registers(edn(&vector)), expected);
    let records = text.replace("{:process", "#jepsen.history.Op{:index 7, :process");
    assert_eq!(registers(edn(&records)), expected);
}

#[test]
fn a_key_value_history() {
    let text = r#"{:process 0, :type :invoke, :f :append, :key "k", :value "a\"\u0062"}
{:process 1, :type :invoke, :f :get, :key "k", :value nil}
{:process 1, :type :ok, :f :get, :key "k", :value "a"}
{:process 2, :type :invoke, :f :get, :key "k", :value nil}
"#;
    let (key, value) = ("k".to_owned(), "a\"b".to_owned());
    let append = KeyValueOp::Append {
        key: key.clone(),
        value,
    };
    let get = KeyValueOp::Get {
        key,
        value: "a".to_owned(),
    };
    let expected = vec![
        Operation {
            op: append,
            call: 0,
            ret: None,
        },
        Operation {
            op: get,
            call: 1,
            ret: Some(2),
        },
    ];
    let all = porcupine_kv(text.as_bytes()).expect("a history");
    assert_eq!(all.operations, expected);
    let origin = |process, call, ret| Origin { process, call, ret };
    assert_eq!(all.origins, [origin(0, 1, None), origin(1, 2, Some(3))]);
    assert_eq!(all.left_out, 1);
}

#[test]
fn independent_keys_and_values_that_are_no_numbers() {
    let text = r#"
        {:process 0, :type :invoke, :f :write, :value ["a" "x"]}
        {:process 1, :type :invoke, :f :read, :value [:b nil]}
        {:process 0, :type :ok, :f :write, :value ["a" "x"]}
        {:process 1, :type :ok, :f :read, :value [:b nil]}
        {:process 1, :type :invoke, :f :cas, :value ["a" ["x" 5]]}
        {:process 1, :type :ok, :f :cas, :value ["a" ["x" 5]]}
        {:process 2, :type :invoke, :f :read, :value #jepsen.independent.Tuple{:key 7 :value nil}}
        {:process 2, :type :ok, :f :read, :value [7 1]}"#;
    let History::Registers(all) = edn(text) else {
        panic!("registers")
    };
    let names = [
        Atom::Text("a".to_owned()),
        Atom::Keyword("b".to_owned()),
        Atom::Int(7),
    ];
    assert_eq!(all.names, names.map(Some));
    assert_eq!(all.objects, [0, 1, 0, 2]);
    let CasRegisterOp::Write(Some(x)) = all.operations[0].op else {
        panic!("a write")
    };
    assert_eq!(all.values.atom(x), Atom::Text("x".to_owned()));
    assert_eq!(all.values.atom(5), Atom::Int(5));
    let cas = CasRegisterOp::Cas {
        from: Some(x),
        to: Some(5),
        done: Some(true),
    };
    assert_eq!(all.operations[2], known(cas, 4, 5));

    let mixed = r#"{:process 0, :type :invoke, :f :write, :value [1 2]}
{:process 1, :type :invoke, :f :write, :value 2}"#;
    let error = read_bytes(mixed.as_bytes(), Format::JepsenEdn).expect_err("mixed");
    assert_eq!((error.line, error.column), (2, 1));
}

#[test]
fn other_workloads() {
    let set = r#"
        {:process 0, :type :invoke, :f :add, :value 1}
        {:process 0, :type :ok, :f :add, :value 1}
        {:process 1, :type :invoke, :f :add, :value 2}
        {:process 1, :type :info, :f :add, :value 2}
        {:process 0, :type :invoke, :f :read, :value nil}
        {:process 0, :type :ok, :f :read, :value #{2 1}}"#;
    let History::Sets(all) = edn(set) else {
        panic!("a set")
    };
    let read = SetOp::Read([1, 2].into());
    let expected = [
        known(SetOp::Add(1), 0, 1),
        unknown(SetOp::Add(2), 2),
        known(read, 4, 5),
    ];
    assert_eq!(all.operations, expected);

    let queue = r#"
        {:process 0, :type :invoke, :f :enqueue, :value 1}
        {:process 0, :type :ok, :f :enqueue, :value 1}
        {:process 1, :type :invoke, :f :dequeue}
        {:process 1, :type :ok, :f :dequeue, :value 1}
        {:process 1, :type :invoke, :f :dequeue}
        {:process 1, :type :fail, :f :dequeue, :error :empty}
        {:process 1, :type :invoke, :f :dequeue}
        {:process 1, :type :fail, :f :dequeue, :error :no-leader}
        {:process 1, :type :invoke, :f :dequeue}
        {:process 1, :type :info, :f :dequeue}"#;
    let History::Queues(all) = edn(queue) else {
        panic!("a queue")
    };
    let expected = [
        known(QueueOp::Enqueue(1), 0, 1),
        known(QueueOp::Dequeue(1), 2, 3),
        known(QueueOp::DequeueEmpty, 4, 5),
        unknown(QueueOp::DequeueUnknown, 8),
    ];
    assert_eq!(all.operations, expected);

    let mutex = r#"
        {:process 0, :type :invoke, :f :acquire, :value nil}
        {:process 0, :type :ok, :f :acquire, :value nil}
        {:process 1, :type :invoke, :f :acquire, :value nil}
        {:process 1, :type :fail, :f :acquire, :value nil}
        {:process 0, :type :invoke, :f :release, :value nil}"#;
    let History::Mutexes(all) = edn(mutex) else {
        panic!("a mutex")
    };
    let expected = [known(MutexOp::Acquire, 0, 1), unknown(MutexOp::Release, 4)];
    assert_eq!(all.operations, expected);
}

#[test]
fn transactions_of_lists() {
    let text = r#"
        {:process 0, :type :invoke, :f :txn, :value [[:append 3 1] [:r "k" nil]]}
        {:process 1, :type :invoke, :f :txn, :value [[:append 3 2]]}
        {:process 0, :type :ok, :f :txn, :value [[:append 3 1] [:r "k" [7 8]]]}
        {:process 1, :type :fail, :f :txn, :value [[:append 3 2]]}
        {:process 2, :type :invoke, :f :txn, :value [[:r 3 nil]]}
        {:process 2, :type :info, :f :txn, :value [[:r 3 nil]]}
        {:process 3, :type :invoke, :f :txn, :value [[:r 9 nil]]}
        {:process 3, :type :ok, :f :txn, :value [[:r 9 nil]]}"#;
    assert_eq!(workload(text.as_bytes()), Ok(Workload::ListAppend));
    let Transactions { transactions, .. } = list_append(text.as_bytes()).expect("transactions");
    let outcomes: Vec<_> = transactions.iter().map(|t| t.outcome).collect();
    let (ok, fail, info) = (
        TransactionOutcome::Ok,
        TransactionOutcome::Fail,
        TransactionOutcome::Info,
    );
    assert_eq!(outcomes, [ok, fail, info, ok]);
    let times: Vec<_> = transactions.iter().map(|t| (t.call, t.ret)).collect();
    let expected = [(0, Some(2)), (1, Some(3)), (4, Some(5)), (6, Some(7))];
    assert_eq!(times, expected);
    let append = MicroOp::Append {
        key: Atom::Int(3),
        value: Atom::Int(1),
    };
    let read = MicroOp::Read {
        key: Atom::Text("k".to_owned()),
        values: Some(vec![Atom::Int(7), Atom::Int(8)]),
    };
    assert_eq!(transactions[0].ops, [append, read]);
    let unread = |key, values| MicroOp::Read {
        key: Atom::Int(key),
        values,
    };
    assert_eq!(transactions[2].ops, [unread(3, None)]);
    assert_eq!(transactions[3].ops, [unread(9, Some(Vec::new()))]);

    let registers = "{:process 0, :type :invoke, :f :txn, :value [[:w 3 1]]}";
    let error = list_append(registers.as_bytes()).expect_err("registers");
    assert!(error.what.contains(":append"), "{error}");
    let other = text.replace(
        "[[:append 3 1] [:r \"k\" [7 8]]]",
        "[[:append 3 9] [:r \"k\" []]]",
    );
    assert_eq!(list_append(other.as_bytes()).expect_err("another").line, 4);
}

#[test]
fn odd_edn() {
    let text = r#"
        #_{:process "discarded"}
        {:process 0, :type :invoke, :f :write, :value 1, :meta ^{:a 1} [1 #_2], :x ##Inf, :y \[,
         :z #:ns{:a 1/2}, :w (1.5 2M 3N -4), :nested #a #b #c 1}
        #_ #_ 1 2
        {:process 0, :type :ok, :f :write, :value 1 #_ 5}"#;
    assert_eq!(
        registers(edn(text)),
        [known(CasRegisterOp::Write(Some(1)), 0, 1)]
    );
}

fn place<T>(read: Result<T, ImportError>) -> (u64, u64) {
    let error = read.err().expect("an error");
    assert!(
        error
            .to_string()
            .starts_with(&format!("line {}, column ", error.line))
    );
    (error.line, error.column)
}

fn read(text: impl AsRef<[u8]>, format: Format) -> Result<History, ImportError> {
    read_bytes(text.as_ref(), format)
}

#[test]
fn errors_tell_where() {
    assert_eq!(
        place(log(&["0 :invoke :read nil", "0 :invoke :write x"])),
        (2, 38)
    );
    assert_eq!(place(log(&["0 :ok :read nil"])), (1, 21));
    assert_eq!(place(log(&["0 :invoke :frob nil"])), (1, 31));
    assert_eq!(place(log(&["0 :invoke :cas [1"])), (1, 38));
    assert_eq!(place(jepsen_log(&b"fine\nno\xff\n"[..])), (2, 3));
    assert_eq!(place(porcupine_kv(&b"{:process 0}\n]"[..])), (1, 1));
    let edn = Format::JepsenEdn;
    assert_eq!(place(read("[{:process :nemesis} }", edn)), (1, 22));
    assert_eq!(place(read("{:process 0\n:type :begin :f :x}", edn)), (1, 1));
    assert_eq!(place(read("\n 12", edn)), (2, 2));
    let put = r#"{"c":0,"call":1,"ret":2,"op":"put","k":"a","v":1}"#;
    let compact = Format::CompactJsonl;
    assert_eq!(place(read(format!("{put}\n{put} x"), compact)), (2, 51));
    let wrong = put.replace("\"put\"", "\"pat\"");
    assert_eq!(place(read(format!("{put}\n {wrong}"), compact)), (2, 35));
    let late = put.replace("\"ret\":2", "\"ret\":0");
    assert_eq!(place(read(format!("{put}\n{late}"), compact)), (2, 1));
    let revision = put.replace("\"v\":1", "\"v\":1,\"rev\":2");
    assert_eq!(place(read(format!("{put}\n{revision}"), compact)), (2, 1));
    let report = Format::EtcdRobustness;
    assert_eq!(
        place(read("{\n  \"ClientId\": 1,\n  \"Input\": 3}", report)),
        (3, 12)
    );
    let own = Format::HistoryJsonl;
    assert_eq!(place(read("{}\n", own)), (1, 1));
    let header = r#"{"type":"header","stream":"history","major":1,"minor":0,"build":"b","clock":{"at":0,"wall_unix_ns":0}}"#;
    assert_eq!(
        place(read(format!("{header}\n{{\"type\":7}}\n"), own)),
        (2, 9)
    );
}

#[test]
fn cut_short() {
    let write = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :wri";
    let cut = |history: &History| history.cut().map(|cut| (cut.line, cut.column));
    let history = edn(write);
    assert_eq!(cut(&history), Some((2, 1)));
    assert_eq!(
        registers(history),
        [unknown(CasRegisterOp::Write(Some(1)), 0)]
    );
    assert_eq!(
        cut(&edn(&format!("[{}", write.lines().next().expect("a line")))),
        Some((1, 50))
    );
    let log =
        "INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 1\t:invoke\t:write\t1";
    let history = read(log, Format::JepsenLog).expect("a log");
    assert_eq!(cut(&history), Some((2, 1)));
    assert_eq!(history.len(), 1);
    let kv = "{:process 0, :type :invoke, :f :get, :key \"k\", :value nil}{:process";
    assert_eq!(
        cut(&read(kv, Format::PorcupineKv).expect("a history")),
        Some((1, 59))
    );
    let compact = "{\"c\":0,\"call\":1,\"ret\":2,\"op\":\"put\",\"k\":1,\"v\":1}\n {\"c\":";
    let history = read(compact, Format::CompactJsonl).expect("a history");
    assert_eq!((cut(&history), history.len()), (Some((2, 2)), 1));
}

#[test]
fn memory_is_bounded() {
    let deep = "[".repeat(100_000);
    assert_eq!(place(read(&deep, Format::JepsenEdn)).0, 1);
    let long = "a".repeat(FORM_MAX + 10);
    assert_eq!(place(jepsen_log(long.as_bytes())), (1, 1));
    assert_eq!(
        place(read(&long, Format::JepsenEdn)),
        (1, FORM_MAX as u64 + 1)
    );
    let discards = "#_ ".repeat(100_000);
    assert_eq!(place(read(&discards, Format::JepsenEdn)).0, 1);
    let tags = "#a ".repeat(100_000);
    assert_eq!(place(read(&tags, Format::JepsenEdn)).0, 1);
    let object = format!("{{\"c\":\"{long}");
    assert_eq!(place(read(&object, Format::CompactJsonl)), (1, 1));
    let nested = format!("{{\"c\":{}", "[".repeat(100_000));
    let cut = read(&nested, Format::CompactJsonl).expect("a prefix");
    assert!(cut.cut().is_some() && cut.is_empty());
    let nested = format!("{{\"c\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(place(read(&nested, Format::CompactJsonl)).0, 1);
}

#[test]
fn formats_are_recognised() {
    let cases = [
        ("{:process 0, :type :invoke, :f :read}", Format::JepsenEdn),
        ("[{:process 0, :f :read, :key 1}]", Format::PorcupineKv),
        (
            " ; comment\n#jepsen.history.Op{:process 0}",
            Format::JepsenEdn,
        ),
        (
            "INFO  jepsen.core - x\nINFO  jepsen.util - 0\t:invoke\t:read\tnil\n",
            Format::JepsenLog,
        ),
        (
            "{\"c\":0,\"call\":1,\"ret\":2,\"op\":\"put\",\"k\":1,\"v\":1}",
            Format::CompactJsonl,
        ),
        (
            "{\n  \"ClientId\": 1,\n  \"Input\": {},\n \"Call\": 3",
            Format::EtcdRobustness,
        ),
        (
            "{\"type\":\"header\",\"stream\":\"history\",\"major\":1}",
            Format::HistoryJsonl,
        ),
    ];
    for (text, format) in cases {
        assert_eq!(recognise(text.as_bytes()), Ok(format), "{text}");
    }
    for text in ["", "\x1f\u{8b}", "# a heading", "{\"a\":1}", "hello"] {
        assert!(recognise(text.as_bytes()).is_err(), "{text}");
    }
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
}
