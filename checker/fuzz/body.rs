// What every fuzzer of the importers does, shared by the libFuzzer targets beside this file and by
// the bounded run in `checker/tests/import/fuzz.rs`.

use checker::export::{jepsen_edn, own_jsonl};
use checker::import::etcd_report::read_watches;
use checker::import::judge::Options;
use checker::import::{Format, History, judge, read_bytes, recognise};
use checker::verdict::Verdict;

/// Reads bytes in one format, judges what was read, writes it, and reads that again.
///
/// # Panics
///
/// When a reader or an engine panics, when what was written cannot be read, or when the verdict
/// changes on the way.
pub(crate) fn run(format: Format, bytes: &[u8]) {
    let _ = recognise(bytes);
    if format == Format::EtcdRobustness {
        let _ = read_watches(bytes);
    }
    let history = match read_bytes(bytes, format) {
        Ok(history) => history,
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1 && !error.what.is_empty());
            return;
        }
    };
    let before = verdict(&history);
    let is_cut = history.cut().is_some();
    assert!(!is_cut || before != Some(Verdict::Holds), "a prefix holds");

    let mut edn = Vec::new();
    if jepsen_edn(&history, &mut edn).is_ok() {
        let again = read_bytes(&edn, Format::JepsenEdn).expect("our own EDN is read");
        assert_eq!(again.cut().is_some(), is_cut);
        let after = verdict(&again);
        match &history {
            // A register for each key says less than etcd's API.
            History::Etcd(_) => assert!(
                after != Some(Verdict::Violated) || before != Some(Verdict::Holds),
                "a projection is violated of what holds"
            ),
            _ => agree(before, after),
        }
    }
    let mut own = Vec::new();
    if own_jsonl(&history, format, "a fuzzer", &mut own).is_ok() {
        let again = read_bytes(&own, Format::HistoryJsonl).expect("our own JSONL is read");
        assert_eq!(again.cut().is_some(), is_cut);
        assert!(
            verdict(&again) != Some(Verdict::Violated) || before != Some(Verdict::Holds),
            "what holds is violated when converted"
        );
    }
}

/// The verdict within a small budget.
fn verdict(history: &History) -> Option<Verdict> {
    let options = Options {
        configurations_max: Some(2_000),
        bytes_max: 16 << 20,
        ..Options::default()
    };
    let judged = judge(history, &options).ok()?;
    assert_eq!(judged.fault, None, "two engines disagree");
    Some(judged.report.verdict)
}

/// Two verdicts on the same operations: equal, but that one may have run out of its budget.
fn agree(before: Option<Verdict>, after: Option<Verdict>) {
    let opposite = matches!(
        (before, after),
        (Some(Verdict::Holds), Some(Verdict::Violated))
            | (Some(Verdict::Violated), Some(Verdict::Holds))
    );
    assert!(!opposite, "{before:?} became {after:?}");
}
