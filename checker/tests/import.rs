//! Importers: what they read, and what they say about what they cannot read.

use checker::generic::Operation;
use checker::import::{FORM_MAX, ImportError, jepsen_edn, jepsen_log, porcupine_kv};
use checker::models::{CasRegisterOp, KeyValueOp};
use proptest::prelude::*;

fn log(lines: &[&str]) -> Result<Vec<Operation<CasRegisterOp>>, ImportError> {
    let prefixed = lines
        .iter()
        .map(|line| format!("INFO  jepsen.util - {line}\n"));
    jepsen_log(prefixed.collect::<String>().as_bytes())
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
    let edn = r#"
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
    assert_eq!(jepsen_edn(edn.as_bytes()).expect("a history"), expected);
    let vector = format!("[{}]", edn.replace("; a comment", ""));
    assert_eq!(jepsen_edn(vector.as_bytes()).expect("a history"), expected);
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
    assert_eq!(porcupine_kv(text.as_bytes()).expect("a history"), expected);
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

#[test]
fn errors_tell_where() {
    assert_eq!(
        place(log(&["0 :invoke :read nil", "0 :invoke :write x"])),
        (2, 38)
    );
    assert_eq!(place(log(&["0 :ok :read nil"])), (1, 21));
    assert_eq!(place(log(&["0 :invoke :frob nil"])), (1, 31));
    assert_eq!(place(log(&["0 :invoke :cas [1"])), (1, 38));
    assert_eq!(place(jepsen_log(&b"fine\nno\xff"[..])), (2, 3));
    assert_eq!(place(porcupine_kv(&b"\n {:process 0"[..])), (2, 2));
    assert_eq!(place(porcupine_kv(&b"{:process 0 :f \"abc"[..])), (1, 16));
    assert_eq!(place(porcupine_kv(&b"{:process 0}\n]"[..])), (1, 1));
    assert_eq!(place(jepsen_edn(&b"[{:process :nemesis} }"[..])), (1, 22));
}

#[test]
fn memory_is_bounded() {
    let deep = "[".repeat(100_000);
    assert_eq!(place(jepsen_edn(deep.as_bytes())).0, 1);
    let long = "a".repeat(FORM_MAX + 10);
    assert_eq!(place(jepsen_log(long.as_bytes())), (1, 1));
    assert_eq!(place(jepsen_edn(long.as_bytes())), (1, FORM_MAX as u64 + 1));
}

proptest! {
    #[test]
    fn nothing_panics(
        words in proptest::collection::vec(
            prop_oneof![
                Just("INFO"), Just("jepsen.util"), Just("-"), Just("0"), Just(":invoke"),
                Just(":ok"), Just(":cas"), Just("[1"), Just("2]"), Just("\n"), Just("{"), Just("}"),
                Just(":process"), Just(":type"), Just(":f"), Just("\""), Just("\\"), Just("#"),
                Just("#_"), Just("é"), Just("\u{a0}"), Just(":value"), Just(":key"), Just(":get"),
            ],
            0..40,
        ),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let text = words.join(" ");
        for input in [text.as_bytes(), &bytes] {
            let _ = jepsen_log(input);
            let _ = jepsen_edn(input);
            let _ = porcupine_kv(input);
        }
    }
}
