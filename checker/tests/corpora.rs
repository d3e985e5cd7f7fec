//! Recorded histories with known verdicts.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use checker::generic::{CoreOperation, Model, Operation, Options, Verdict, check, replay};
use checker::import::{jepsen_log, porcupine_kv};
use checker::models::{CasRegister, KeyValue};

fn corpus() -> Option<PathBuf> {
    let given = std::env::var_os("GAUNTLET_CORPUS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let corpus = given.unwrap_or_else(beside).join("porcupine");
    if corpus.is_dir() {
        return Some(corpus);
    }
    println!(
        "SKIPPED: no corpus in {}; set GAUNTLET_CORPUS",
        corpus.display()
    );
    None
}

/// Name and whether it is linearizable, of the files in one folder.
fn verdicts(corpus: &Path, folder: &str) -> Vec<(String, bool)> {
    let table = std::fs::read_to_string(corpus.join("verdicts.tsv")).expect("a table");
    table
        .lines()
        .filter(|line| line.starts_with(folder))
        .map(|line| match line.split_once('\t') {
            Some((file, "holds")) => (file.to_owned(), true),
            Some((file, "violated")) => (file.to_owned(), false),
            _ => panic!("{line:?} is no row"),
        })
        .collect()
}

fn open(corpus: &Path, file: &str) -> BufReader<File> {
    BufReader::new(File::open(corpus.join(file)).expect("a file"))
}

/// Checks one history, holds the proof to account, and tells how long the verdict took.
fn judge<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    options: &Options,
    name: &str,
    expected: bool,
) -> Duration {
    let without_core = Options {
        core_max: 0,
        ..*options
    };
    let start = Instant::now();
    let verdict = check(model, history, &without_core);
    let took = start.elapsed();
    assert!(
        !matches!(verdict, Verdict::Inconclusive { .. }),
        "{name}: {verdict:?}"
    );
    match check(model, history, options) {
        Verdict::Holds { order } => {
            assert!(expected, "{name} is violated");
            replay(model, history, &order).expect("an order that replays");
        }
        Verdict::Violated { witness } => {
            assert!(!expected, "{name} holds");
            for (start, core) in witness.core_histories(model) {
                let alone = check(&start, &core, options);
                assert!(
                    matches!(alone, Verdict::Violated { .. }),
                    "{name}: {core:?}"
                );
            }
            assert!(witness.core.len() <= 12, "{name}: {witness:?}");
            let known = |c: &&CoreOperation<M::Op>| c.operation.ret.is_some();
            println!(
                "{name}: {} results and {} operations after {} starts are the core",
                witness.core.iter().filter(known).count(),
                witness.core.len(),
                witness.starts.len()
            );
        }
        Verdict::Inconclusive { reached, why } => panic!("{name}: {why} at {reached}"),
    }
    took
}

#[test]
fn jepsen_logs() {
    let Some(corpus) = corpus() else { return };
    let verdicts = verdicts(&corpus, "jepsen/");
    let mut slowest = (Duration::ZERO, "");
    let mut total = Duration::ZERO;
    for (file, expected) in &verdicts {
        let history = jepsen_log(open(&corpus, file)).expect("a log").operations;
        let took = judge(&CasRegister, &history, &Options::default(), file, *expected);
        slowest = slowest.max((took, file));
        total += took;
    }
    println!(
        "{} Jepsen logs: {total:?}, the slowest {slowest:?}",
        verdicts.len()
    );
    assert_eq!(verdicts.len(), 52);
}

#[test]
fn key_value() {
    let Some(corpus) = corpus() else { return };
    let verdicts = verdicts(&corpus, "kv/");
    for (file, expected) in &verdicts {
        let history = porcupine_kv(open(&corpus, file))
            .expect("a history")
            .operations;
        let took = judge(
            &KeyValue::default(),
            &history,
            &Options::default(),
            file,
            *expected,
        );
        println!("{file}: {} operations in {took:?}", history.len());
        if file.contains("c50") {
            continue;
        }
        let options = Options {
            partition: false,
            ..Options::default()
        };
        let took = judge(&KeyValue::default(), &history, &options, file, *expected);
        println!("{file} unpartitioned: {took:?}");
    }
    assert_eq!(verdicts.len(), 6);
}
