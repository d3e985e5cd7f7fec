//! Recorded histories with known verdicts, if they are at hand.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use checker::generic::Operation;
use checker::import::{jepsen_log, porcupine_kv};
use checker::models::{CasRegisterOp, KeyValueOp};

pub(crate) struct Corpus {
    pub(crate) logs: Vec<(Vec<Operation<CasRegisterOp>>, bool)>,
    pub(crate) key_values: Vec<(String, Vec<Operation<KeyValueOp>>, bool)>,
}

/// Reads the corpus in `GAUNTLET_CORPUS`, or beside the repository.
pub(crate) fn open() -> Option<Corpus> {
    let given = std::env::var_os("GAUNTLET_CORPUS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = given.unwrap_or_else(beside).join("porcupine");
    let table = std::fs::read_to_string(folder.join("verdicts.tsv")).ok()?;
    let mut corpus = Corpus {
        logs: Vec::new(),
        key_values: Vec::new(),
    };
    for (file, verdict) in table.lines().filter_map(|line| line.split_once('\t')) {
        let Ok(opened) = File::open(folder.join(file)) else {
            continue;
        };
        let reader = BufReader::new(opened);
        let holds = verdict == "holds";
        if file.starts_with("jepsen/") {
            corpus
                .logs
                .push((jepsen_log(reader).expect("a log").operations, holds));
        } else {
            let history = porcupine_kv(reader).expect("a history").operations;
            corpus.key_values.push((file.to_owned(), history, holds));
        }
    }
    Some(corpus)
}
