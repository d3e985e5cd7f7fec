//! Reports of etcd's robustness test: a legal one, and each way to break it.

use std::path::PathBuf;

use checker::export::own_jsonl;
use checker::import::judge::{Judged, Options};
use checker::import::{EtcdHistory, Format, History, judge, read_bytes, read_path};
use checker::verdict::{Exit, Guarantee, Verdict};

/// One operation as Go writes it: `(client, call, return, input, output)`.
type Op = (u32, u64, u64, String, String);

fn rendered(ops: &[Op], client: Option<u32>) -> String {
    ops.iter()
        .filter(|op| client.is_none_or(|client| op.0 == client))
        .map(|(client, call, ret, input, output)| {
            format!(
                "{{\n  \"ClientId\": {client},\n  \"Input\": {input},\n  \"Call\": {call},\n  \
                 \"Output\": {output},\n  \"Return\": {ret},\n  \"Metadata\": {output}\n}}\n"
            )
        })
        .collect()
}

fn report(name: &str, ops: &[Op], watch: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}"));
    let _ = std::fs::remove_dir_all(&dir);
    for client in [1, 2] {
        let dir = dir.join(format!("client-{client}"));
        std::fs::create_dir_all(&dir).expect("a directory");
        let operations = rendered(ops, Some(client));
        std::fs::write(dir.join("operations.json"), operations).expect("a file");
    }
    std::fs::write(dir.join("client-2/watch.json"), watch).expect("a file");
    dir
}

fn read(name: &str, ops: &[Op], watch: &str) -> History {
    let (format, history) = read_path(&report(name, ops, watch), None).expect("a report");
    assert_eq!(format, Format::EtcdRobustness);
    history
}

fn judged(history: &History) -> Judged {
    judge(history, &Options::default()).expect("a judgement")
}

/// The verdict on a report, which must be the same of what it is converted to.
fn verdict(name: &str, ops: &[Op]) -> Verdict {
    let history = read(name, ops, WATCH);
    let verdict = judged(&history).report.verdict;
    let mut bytes = Vec::new();
    own_jsonl(&history, Format::EtcdRobustness, "a test", &mut bytes).expect("JSONL");
    let again = read_bytes(&bytes, Format::HistoryJsonl).expect("our own JSONL");
    assert_eq!(judged(&again).report.verdict, verdict, "{name}");
    verdict
}

const NOTHING: &str = r#""LeaseGrant": null, "LeaseRevoke": null, "Range": null, "Txn": null, "Defragment": null, "Compact": null"#;

fn input(kind: &str, field: &str, request: &str) -> String {
    let fields = NOTHING.replace(
        &format!("\"{field}\": null"),
        &format!("\"{field}\": {request}"),
    );
    format!("{{\"Type\": \"{kind}\", {fields}}}")
}

fn output(field: &str, response: &str, revision: i64) -> String {
    let fields = NOTHING.replace(
        &format!("\"{field}\": null"),
        &format!("\"{field}\": {response}"),
    );
    format!(
        "{{{fields}, \"ClientError\": \"\", \"Revision\": {revision}, \"member-id\": \"8211f1d0f64f3269\", \
         \"Persisted\": false, \"PersistedRevision\": 0, \"Error\": \"\"}}"
    )
}

fn failed(error: &str) -> String {
    format!(
        "{{{NOTHING}, \"ClientError\": \"\", \"Revision\": 0, \"Persisted\": false, \
         \"PersistedRevision\": 0, \"Error\": \"{error}\"}}"
    )
}

fn operation(kind: &str, key: &str, value: &str, lease: i64) -> String {
    format!(
        "{{\"Type\": \"{kind}-operation\", \"Range\": {{\"Start\": \"{key}\", \"End\": \"\", \"Limit\": 0, \"KeysOnly\": false}}, \
         \"Put\": {{\"Key\": \"{key}\", \"Value\": {{{value}}}, \"LeaseID\": {lease}}}, \"Delete\": {{\"Key\": \"{key}\"}}}}"
    )
}

fn txn(conditions: &str, success: &[String], failure: &[String]) -> String {
    let request = format!(
        "{{\"Conditions\": {conditions}, \"OperationsOnSuccess\": [{}], \"OperationsOnFailure\": {}}}",
        success.join(","),
        if failure.is_empty() {
            "null".to_owned()
        } else {
            format!("[{}]", failure.join(","))
        }
    );
    input("txn", "Txn", &request)
}

fn put(key: &str, value: &str) -> String {
    let value = format!("\"Value\": \"{value}\"");
    txn("null", &[operation("put", key, &value, 0)], &[])
}

fn put_done(revision: i64) -> String {
    let txn = r#"{"Failure": false, "Results": [{"KVs": null, "Count": 0, "Deleted": 0}]}"#;
    output("Txn", txn, revision)
}

fn range(start: &str, end: &str, limit: i64, revision: i64, keys_only: bool) -> String {
    let request = format!(
        "{{\"Start\": \"{start}\", \"End\": \"{end}\", \"Limit\": {limit}, \"KeysOnly\": {keys_only}, \"Revision\": {revision}}}"
    );
    input("range", "Range", &request)
}

fn kv(key: &str, value: &str, mod_revision: i64, version: i64) -> String {
    format!(
        "{{\"Key\": \"{key}\", \"Value\": {{{value}}}, \"ModRevision\": {mod_revision}, \"Version\": {version}}}"
    )
}

fn shown(kvs: &[String], count: i64, revision: i64) -> String {
    let answer = format!("{{\"KVs\": [{}], \"Count\": {count}}}", kvs.join(","));
    output("Range", &answer, revision)
}

const WATCH: &str = r#"{
  "Request": {"Key": "", "Revision": 5, "WithPrefix": true, "WithProgressNotify": true, "WithPrevKV": true},
  "Responses": [
    {"Events": [{"Type": "put-operation", "Key": "a", "Value": {"Value": "lost"}, "Revision": 5, "IsCreate": false,
                 "PrevValue": {"Value": {"Value": "2"}, "ModRevision": 3, "Version": 2}}],
     "Revision": 5, "Time": 400},
    {"IsProgressNotify": true, "Revision": 5, "Time": 900}
  ]
}
"#;

/// 32-bit FNV-1a of `a value of more than twenty bytes`.
const LONG: &str = "a value of more than twenty bytes";
const LONG_HASH: &str = "\"Hash\": 684236440";

fn text(value: &str) -> String {
    format!("\"Value\": \"{value}\"")
}

/// A report of a store that did everything right. Each call follows the return before it.
fn legal() -> Vec<Op> {
    let guard = |revision: i64| {
        format!("[{{\"Key\": \"a\", \"ExpectedRevision\": {revision}, \"ExpectedVersion\": 0}}]")
    };
    let result = |kvs: &[String], deleted: i64| {
        let (kvs, count) = (format!("[{}]", kvs.join(",")), kvs.len());
        format!("{{\"KVs\": {kvs}, \"Count\": {count}, \"Deleted\": {deleted}}}")
    };
    let steps: Vec<(u32, String, String)> = vec![
        (1, range("a", "", 0, 0, false), shown(&[], 0, 1)),
        (1, put("a", "1"), put_done(2)),
        (2, put("a", "2"), put_done(3)),
        (
            1,
            range("a", "", 0, 0, false),
            shown(&[kv("a", &text("2"), 3, 2)], 1, 3),
        ),
        (1, put("b", "3"), put_done(4)),
        // Nobody heard: it made revision 5.
        (2, put("a", "lost"), failed("context deadline exceeded")),
        (
            1,
            range("a", "c", 0, 0, false),
            shown(
                &[kv("a", &text("lost"), 5, 3), kv("b", &text("3"), 4, 1)],
                2,
                5,
            ),
        ),
        (
            1,
            range("a", "c", 1, 0, false),
            shown(&[kv("a", &text("lost"), 5, 3)], 2, 5),
        ),
        (
            1,
            range("a", "c", 0, 0, true),
            shown(&[kv("a", "", 5, 3), kv("b", "", 4, 1)], 2, 5),
        ),
        (
            1,
            range("a", "", 0, 3, false),
            shown(&[kv("a", &text("2"), 3, 2)], 1, 5),
        ),
        (
            2,
            txn(&guard(5), &[operation("put", "a", &text("cas"), 0)], &[]),
            put_done(6),
        ),
        (
            2,
            txn(
                &guard(5),
                &[operation("put", "a", &text("no"), 0)],
                &[operation("range", "b", "", 0)],
            ),
            output(
                "Txn",
                &format!(
                    "{{\"Failure\": true, \"Results\": [{}]}}",
                    result(&[kv("b", &text("3"), 4, 1)], 0)
                ),
                6,
            ),
        ),
        (
            1,
            txn(
                "null",
                &[
                    operation("range", "a", "", 0),
                    operation("put", "c", &text(LONG), 0),
                    operation("delete", "b", "", 0),
                ],
                &[],
            ),
            output(
                "Txn",
                &format!(
                    "{{\"Failure\": false, \"Results\": [{},{},{}]}}",
                    result(&[kv("a", &text("cas"), 6, 4)], 0),
                    result(&[], 0),
                    result(&[], 1)
                ),
                7,
            ),
        ),
        (
            1,
            range("a", "z", 0, 0, false),
            shown(
                &[kv("a", &text("cas"), 6, 4), kv("c", LONG_HASH, 7, 1)],
                2,
                7,
            ),
        ),
        (
            2,
            input("leaseGrant", "LeaseGrant", "{\"LeaseID\": 77}"),
            output("LeaseGrant", "{\"LeaseID\": 0}", 7),
        ),
        (
            2,
            txn("null", &[operation("put", "d", &text("leased"), 77)], &[]),
            put_done(8),
        ),
        (
            1,
            range("d", "", 0, 0, false),
            shown(&[kv("d", &text("leased"), 8, 1)], 1, 8),
        ),
        (
            2,
            input("leaseRevoke", "LeaseRevoke", "{\"LeaseID\": 77}"),
            output("LeaseRevoke", "{}", 9),
        ),
        (1, range("d", "", 0, 0, false), shown(&[], 0, 9)),
        (
            1,
            input("compact", "Compact", "{\"Revision\": 6}"),
            output("Compact", "{}", -1),
        ),
        (
            1,
            input("compact", "Compact", "{\"Revision\": 5}"),
            failed("").replace(
                "\"ClientError\": \"\"",
                "\"ClientError\": \"mvcc: required revision has been compacted\"",
            ),
        ),
        (
            1,
            input("defragment", "Defragment", "{}"),
            output("Defragment", "{}", -1),
        ),
        (
            2,
            range("a", "", 0, 0, false),
            failed("etcdserver: request timed out"),
        ),
        (
            2,
            txn("null", &[operation("delete", "a", "", 0)], &[]),
            output(
                "Txn",
                &format!("{{\"Failure\": false, \"Results\": [{}]}}", result(&[], 1)),
                10,
            ),
        ),
    ];
    (0..)
        .zip(steps)
        .map(|(step, (client, input, output))| {
            (client, 100 * step + 10, 100 * step + 20, input, output)
        })
        .collect()
}

#[test]
fn watches_of_a_report_are_judged_where_the_rest_holds() {
    let broken = [
        (
            "\"Revision\": 5, \"Time\": 900",
            "\"Revision\": 9, \"Time\": 900",
            "bookmarkable",
        ),
        ("\"ModRevision\": 3", "\"ModRevision\": 2", "prev-kv"),
        (
            "\"Revision\": 5, \"WithPrefix\"",
            "\"Revision\": 3, \"WithPrefix\"",
            "resumable",
        ),
        ("\"IsCreate\": false", "\"IsCreate\": true", "prev-kv"),
    ];
    for (was, is, property) in broken {
        let judged = judged(&read("watches", &legal(), &WATCH.replacen(was, is, 1)));
        assert_eq!(judged.report.guarantee, Guarantee::Watch, "{judged:?}");
        assert_eq!(judged.exit(), Exit::Violated);
        let title = &judged.report.findings[0].title;
        assert!(title.starts_with(property), "{title}");
    }
}

#[test]
fn a_legal_report_holds() {
    let history = read("legal", &legal(), WATCH);
    let judged = judged(&history);
    assert_eq!(judged.report.verdict, Verdict::Holds, "{judged:?}");
    let History::Etcd(EtcdHistory {
        lines,
        files,
        left_out,
        is_whole,
        ..
    }) = &history
    else {
        panic!("etcd")
    };
    assert_eq!((lines.len(), *left_out, *is_whole), (23, 1, true));
    assert_eq!(
        files,
        &["client-1/operations.json", "client-2/operations.json"]
    );
    assert_eq!(verdict("legal-2", &legal()), Verdict::Holds);
}

#[test]
fn each_mutation_is_found() {
    let mutations: [(&str, usize, &str, &str); 19] = [
        ("another value", 3, "\"Value\": \"2\"", "\"Value\": \"1\""),
        ("another version", 3, "\"Version\": 2", "\"Version\": 1"),
        (
            "another mod revision",
            3,
            "\"ModRevision\": 3",
            "\"ModRevision\": 2",
        ),
        ("a stale revision", 3, "\"Revision\": 3", "\"Revision\": 2"),
        (
            "a second writer of a revision",
            4,
            "\"Revision\": 4",
            "\"Revision\": 3",
        ),
        ("a value that nobody wrote", 6, "lost", "found"),
        ("a wrong count", 6, "\"Count\": 2", "\"Count\": 3"),
        (
            "a wrong count beside a limit",
            7,
            "\"Count\": 2",
            "\"Count\": 3",
        ),
        ("a key too much", 8, "\"Key\": \"b\"", "\"Key\": \"bb\""),
        (
            "keys only, another version",
            8,
            "\"ModRevision\": 4, \"Version\": 1",
            "\"ModRevision\": 4, \"Version\": 2",
        ),
        ("keys out of order", 8, "\"Key\": \"a\"", "\"Key\": \"z\""),
        ("another past", 9, "\"Value\": \"2\"", "\"Value\": \"1\""),
        (
            "the wrong branch",
            10,
            "\"Failure\": false",
            "\"Failure\": true",
        ),
        (
            "a read in a failed transaction",
            11,
            "\"Value\": \"3\"",
            "\"Value\": \"4\"",
        ),
        (
            "a read in a transaction",
            12,
            "\"Version\": 4",
            "\"Version\": 5",
        ),
        (
            "a delete of nothing",
            12,
            "\"Deleted\": 1",
            "\"Deleted\": 0",
        ),
        (
            "another hash",
            13,
            "\"Hash\": 684236440",
            "\"Hash\": 684236441",
        ),
        (
            "a key that outlives its lease",
            18,
            "{\"KVs\": [], \"Count\": 0}",
            "{\"KVs\": [{\"Key\": \"d\", \"Value\": {\"Value\": \"leased\"}, \"ModRevision\": 8, \"Version\": 1}], \"Count\": 1}",
        ),
        ("deleted twice", 23, "\"Deleted\": 1", "\"Deleted\": 2"),
    ];
    for (name, index, from, to) in mutations {
        let mut ops = legal();
        let (client, call, ret, input, output) = &ops[index];
        assert!(output.contains(from), "{name}: {output}");
        let mut output = output.replacen(from, to, 1);
        if name == "the wrong branch" {
            output = output.replace("{\"KVs\": null, \"Count\": 0, \"Deleted\": 0}", "");
        }
        ops[index] = (*client, *call, *ret, input.clone(), output);
        let history = read(&name.replace(' ', "-"), &ops, WATCH);
        let judged = judged(&history);
        assert_eq!(
            judged.report.verdict,
            Verdict::Violated,
            "{name}: {judged:#?}"
        );
        assert_eq!(judged.exit(), Exit::Violated);
        let found = &judged.report.findings[0];
        assert!(
            found
                .explanation
                .iter()
                .any(|line| line.contains(".json line ")),
            "{found:#?}"
        );
    }
}

#[test]
fn what_is_missing_or_unsure_is_not_judged() {
    // Without the first client's requests a contradiction proves nothing.
    let alone = rendered(&legal(), Some(2));
    let history = read_bytes(alone.as_bytes(), Format::EtcdRobustness).expect("operations");
    assert_ne!(judged(&history).exit(), Exit::Violated);
    let options = Options {
        is_whole: true,
        ..Options::default()
    };
    let vouched = judge(&history, &options).expect("a judgement");
    assert_eq!(vouched.exit(), Exit::Violated);

    // But two writers of one revision, or a revision that goes back, do.
    let mut ops = legal();
    ops[6].4 = ops[6].4.replace("\"Revision\": 5", "\"Revision\": 3");
    let back = rendered(&ops, Some(1));
    let history = read_bytes(back.as_bytes(), Format::EtcdRobustness).expect("operations");
    assert_eq!(judged(&history).exit(), Exit::Violated);
    let mut ops = legal();
    ops[4].4 = ops[4].4.replace("\"Revision\": 4", "\"Revision\": 2");
    let twice = rendered(&ops, Some(1));
    let history = read_bytes(twice.as_bytes(), Format::EtcdRobustness).expect("operations");
    assert_eq!(judged(&history).exit(), Exit::Violated);

    // Persisted unheard, and in the order; or for a revision that is not there.
    let mut ops = legal();
    ops[5].4 = failed("").replace("\"Persisted\": false", "\"Persisted\": true");
    assert_eq!(judged(&read("persisted", &ops, WATCH)).exit(), Exit::Holds);
    let mut extra = ops[5].clone();
    extra.3 = put("z", "never seen");
    (extra.1, extra.2) = (9000, 9001);
    ops.push(extra);
    assert_eq!(
        judged(&read("persisted-too", &ops, WATCH)).exit(),
        Exit::Inconclusive
    );

    // A file that ends within an operation.
    let dir = report("cut", &legal(), WATCH);
    let file = dir.join("client-2/operations.json");
    let whole = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(&file, &whole[..whole.len() - 40]).expect("a file");
    let (_, history) = read_path(&dir, None).expect("a report");
    assert_eq!(judged(&history).exit(), Exit::Inconclusive);
    assert!(
        history
            .cut()
            .is_some_and(|cut| cut.what.contains("client-2")),
        "{:?}",
        history.cut()
    );

    let error = read_path(&dir.join("client-1"), None).expect_err("no report");
    assert!(error.to_string().contains("client-N"), "{error}");
}

#[test]
fn puts_and_gets_with_revisions() {
    let text = r#"{"c":0,"call":10,"ret":20,"op":"put","k":"k3","v":1,"mod":null,"rev":2}
{"c":1,"call":30,"ret":null,"op":"put","k":"k3","v":2,"mod":null,"rev":null}
{"c":2,"call":40,"ret":50,"op":"get","k":"k3","v":2,"mod":3,"rev":3}
{"c":2,"call":60,"ret":70,"op":"get","k":"k4","v":null,"mod":null,"rev":3}
{"c":0,"call":60,"ret":75,"op":"put","k":"k3","v":3,"mod":null,"rev":4}
{"c":2,"call":80,"ret":90,"op":"get","k":"k3","v":3,"mod":4,"rev":4}"#;
    let verdict = |text: &str| {
        let history = read_bytes(text.as_bytes(), Format::CompactJsonl).expect("a history");
        let judged = judged(&history);
        assert_eq!(judged.model, "etcd");
        judged.report.verdict
    };
    assert_eq!(verdict(text), Verdict::Holds);
    assert_eq!(
        verdict(&text.replace("\"v\":3,\"mod\":4", "\"v\":2,\"mod\":3")),
        Verdict::Violated
    );
    assert_eq!(
        verdict(&text.replace("\"v\":3,\"mod\":4", "\"v\":2,\"mod\":4")),
        Verdict::Violated
    );
    assert_eq!(
        verdict(&text.replace("\"mod\":4,\"rev\":4", "\"mod\":4,\"rev\":3")),
        Verdict::Violated
    );
}
