//! `gauntlet check FILE` and `gauntlet history convert`, through the real command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn gauntlet(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(args)
        .current_dir(dir)
        .output()
        .expect("the command")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// A directory with the files given.
fn files(all: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in all {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    dir
}

const STALE_LOG: &str = include_str!("check_file/stale.log");

const FRESH_EDN: &str = "\
{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value 1}
";

#[test]
fn the_terminal_shows_the_proof() {
    let dir = files(&[("jepsen.log", STALE_LOG)]);
    let output = gauntlet(&["check", "jepsen.log"], dir.path());
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert_eq!(stdout(&output), include_str!("check_file/stale.txt"));
}

#[test]
fn verdicts_and_exit_codes() {
    let cut = format!("{FRESH_EDN}{{:process 2, :type");
    let dir = files(&[
        ("fresh.edn", FRESH_EDN),
        ("cut.edn", &cut),
        ("empty.edn", "{:process :nemesis}"),
        (
            "wrong.edn",
            "{:process 0, :type :invoke, :f :write, :value 1}\n {:process 0, :type :begin, :f :x}",
        ),
        (
            "lists.edn",
            "{:process 0, :type :invoke, :f :txn, :value [[:append 1 1]]}",
        ),
        ("notes.txt", "nothing of the kind\n"),
    ]);
    let check = |args: &[&str]| {
        let output = gauntlet(&[&["check"], args].concat(), dir.path());
        let text = format!("{}{}", stdout(&output), stderr(&output));
        (code(&output), text)
    };
    assert_eq!(check(&["fresh.edn"]).0, 0);
    assert_eq!(check(&["fresh.edn", "--model", "register"]).0, 0);
    assert_eq!(check(&["fresh.edn", "--timeout", "0s"]).0, 2);
    let (exit, text) = check(&["cut.edn"]);
    assert_eq!(exit, 2, "{text}");
    assert!(text.contains("cut short: line 5, column 1"), "{text}");
    assert_eq!(check(&["empty.edn"]).0, 4);
    let usage = [
        (
            vec!["wrong.edn"],
            "wrong.edn: line 2, column 2: no type :begin",
        ),
        (vec!["notes.txt"], "--format"),
        (vec!["missing.edn"], "missing.edn is not there"),
        (vec!["fresh.edn", "--model", "queue"], "leave --model out"),
        (
            vec!["fresh.edn", "--format", "jepsen"],
            "there are history-jsonl",
        ),
        (vec!["fresh.edn", "--write"], "run directories"),
        (vec![".", "--threads", "2"], "--threads"),
        (vec!["lists.edn", "--model", "mutex"], "mutex"),
    ];
    for (args, expected) in usage {
        let (exit, text) = check(&args);
        assert_eq!(exit, 64, "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

#[test]
fn the_judgement_as_json() {
    let dir = files(&[("jepsen.log", STALE_LOG)]);
    let output = gauntlet(&["check", "--json", "jepsen.log"], dir.path());
    let judgement = json(&output);
    assert_eq!(judgement["verdict"], "violated");
    assert_eq!(judgement["exit"], 1);
    assert_eq!(judgement["format"], "jepsen-log");
    assert_eq!(judgement["model"], "cas-register");
    assert_eq!(
        judgement["check"]["findings"][0]["operations"],
        serde_json::json!([2, 3])
    );
}

#[test]
fn conversions() {
    let compact = "{\"c\":0,\"call\":1,\"ret\":2,\"op\":\"put\",\"k\":\"a\",\"v\":1,\"rev\":2}\n\
                   {\"c\":0,\"call\":3,\"ret\":null,\"op\":\"put\",\"k\":\"a\",\"v\":2}\n\
                   {\"c\":1,\"call\":4,\"ret\":5,\"op\":\"get\",\"k\":\"a\",\"v\":1,\"mod\":2,\"rev\":2}\n";
    let stale = compact.replace("\"v\":1,\"mod\":2,", "\"v\":3,\"mod\":2,");
    let kv = "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x\"}\n";
    let dir = files(&[
        ("jepsen.log", STALE_LOG),
        ("fresh.edn", FRESH_EDN),
        ("fresh.jsonl", compact),
        ("stale.jsonl", &stale),
        ("kv.txt", kv),
    ]);
    let run = |args: &[&str]| gauntlet(args, dir.path());
    for (input, to, exit) in [
        ("jepsen.log", "jepsen-edn", 1),
        ("fresh.edn", "jepsen-edn", 0),
        ("fresh.jsonl", "jepsen-edn", 0),
        ("stale.jsonl", "jepsen-edn", 1),
        ("fresh.jsonl", "history-jsonl", 0),
        ("stale.jsonl", "history-jsonl", 1),
    ] {
        let output = format!("{input}.{to}");
        let converted = run(&["history", "convert", input, &output, "--to", to]);
        assert_eq!(code(&converted), 0, "{input}: {}", stderr(&converted));
        let checked = run(&["check", &output]);
        assert_eq!(code(&checked), exit, "{input}: {}", stdout(&checked));
        assert_eq!(code(&run(&["check", input])), exit, "{input}");
    }
    let told = run(&[
        "history",
        "convert",
        "jepsen.log",
        "told.edn",
        "--to",
        "jepsen-edn",
    ]);
    assert_eq!(
        stdout(&told),
        "told.edn: jepsen-log to jepsen-edn, 4 operations\n  \
         not expressed: 1 operations that failed or say nothing\n"
    );
    for (args, expected) in [
        (
            ["fresh.edn", "told.edn", "--to", "jepsen-edn"],
            "is there already",
        ),
        (
            ["fresh.edn", "x", "--to", "history-jsonl"],
            "cannot express",
        ),
        (["kv.txt", "x", "--to", "jepsen-edn"], "cannot express"),
        (
            ["fresh.edn", "x", "--to", "jepsen-log"],
            "cannot be written",
        ),
    ] {
        let output = run(&[&["history", "convert"], &args[..]].concat());
        assert_eq!(code(&output), 64, "{args:?}");
        assert!(
            stderr(&output).contains(expected),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    assert!(!dir.path().join("x").exists());
    assert!(!dir.path().join("x.part").exists());
}

#[test]
fn a_report_directory() {
    let operation = |call: u64, input: &str, output: &str| {
        format!(
            "{{\"ClientId\":1,\"Input\":{input},\"Call\":{call},\"Output\":{output},\"Return\":{}}}\n",
            call + 5
        )
    };
    let read = "{\"Type\":\"range\",\"Range\":{\"Start\":\"a\",\"End\":\"\",\"Limit\":0,\"KeysOnly\":false,\"Revision\":0}}";
    let put = "{\"Type\":\"txn\",\"Txn\":{\"Conditions\":null,\"OperationsOnSuccess\":[{\"Type\":\"put-operation\",\"Put\":{\"Key\":\"a\",\"Value\":{\"Value\":\"1\"},\"LeaseID\":0}}],\"OperationsOnFailure\":null}}";
    let text = [
        operation(10, read, "{\"Range\":{\"KVs\":[],\"Count\":0},\"Revision\":1}"),
        operation(20, put, "{\"Txn\":{\"Failure\":false,\"Results\":[{\"KVs\":null,\"Count\":0,\"Deleted\":0}]},\"Revision\":2}"),
        operation(30, read, "{\"Range\":{\"KVs\":[{\"Key\":\"a\",\"Value\":{\"Value\":\"1\"},\"ModRevision\":2,\"Version\":1}],\"Count\":1},\"Revision\":2}"),
    ]
    .concat();
    let stale = text.replace(
        "{\"Value\":\"1\"},\"ModRevision\":2",
        "{\"Value\":\"0\"},\"ModRevision\":2",
    );
    assert_ne!(text, stale);
    let dir = files(&[
        ("holds/client-1/operations.json", &text),
        ("violated/client-1/operations.json", &stale),
        ("neither/server-1/member", ""),
    ]);
    let check = |name: &str| gauntlet(&["check", name], dir.path());
    assert_eq!(code(&check("holds")), 0, "{}", stdout(&check("holds")));
    let violated = check("violated");
    assert_eq!(code(&violated), 1);
    assert!(
        stdout(&violated).contains("client-1/operations.json line 3"),
        "{}",
        stdout(&violated)
    );
    assert_eq!(code(&check("neither")), 64);
}

#[test]
fn the_corpora() {
    let given = std::env::var_os("GAUNTLET_CORPUS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let corpus = given.unwrap_or_else(beside).join("porcupine");
    if !corpus.is_dir() {
        println!(
            "SKIPPED: no corpus in {}; set GAUNTLET_CORPUS",
            corpus.display()
        );
        return;
    }
    let table = std::fs::read_to_string(corpus.join("verdicts.tsv")).expect("a table");
    let mut checked = 0;
    for line in table.lines().skip(1) {
        let (file, verdict) = line.split_once('\t').expect("a row");
        let expected = match verdict {
            "holds" => 0,
            "violated" => 1,
            other => panic!("{other:?}"),
        };
        let output = gauntlet(&["check", file], &corpus);
        assert_eq!(code(&output), expected, "{file}: {}", stdout(&output));
        checked += 1;
    }
    assert_eq!(checked, 58);
}
