use std::path::{Path, PathBuf};

use checker::history::{
    ClockPair, FaultRecord, Footer, Header, ObservationRecord, ReadError, Record, SCHEMA_MAJOR,
    Stream,
};
use checker::judge::{Complete, Options, RunRecords, judge, load};
use checker::verdict::Verdict;

use crate::judge::everything_broken;
use crate::sim::Sim;

fn directory(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("checks-{name}"));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn header(stream: Stream, major: u32) -> Header {
    let clock = ClockPair {
        at: 0,
        wall_unix_ns: 0,
    };
    Header {
        stream,
        major,
        minor: 0,
        build: "test".into(),
        clock,
    }
}

fn write(records: &RunRecords, dir: &Path) {
    let footer = |count: usize| Footer {
        clock: ClockPair {
            at: 1,
            wall_unix_ns: 1,
        },
        records: count as u64,
    };
    let history = std::iter::once(Record::Header(header(Stream::History, SCHEMA_MAJOR)))
        .chain(records.history.iter().cloned())
        .chain([Record::Footer(footer(records.history.len()))]);
    let observations = std::iter::once(ObservationRecord::Header(header(
        Stream::Observations,
        SCHEMA_MAJOR,
    )))
    .chain(records.observations.iter().cloned())
    .chain([ObservationRecord::Footer(footer(
        records.observations.len(),
    ))]);
    let faults = [
        FaultRecord::Header(header(Stream::Faults, SCHEMA_MAJOR)),
        FaultRecord::Footer(footer(0)),
    ];
    let line = |text: serde_json::Result<String>| text.unwrap() + "\n";
    let file = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    file(
        "history.jsonl",
        history.map(|r| line(serde_json::to_string(&r))).collect(),
    );
    file(
        "observations.jsonl",
        observations
            .map(|r| line(serde_json::to_string(&r)))
            .collect(),
    );
    file(
        "faults.jsonl",
        faults
            .iter()
            .map(|r| line(serde_json::to_string(r)))
            .collect(),
    );
}

#[test]
fn a_directory_reads_back_and_judges_the_same() {
    let records = everything_broken();
    let dir = directory("whole");
    write(&records, &dir);
    let loaded = load(&dir).unwrap();
    assert_eq!(loaded, records);
    assert_eq!(
        judge(&loaded, &Options::default()),
        judge(&records, &Options::default())
    );
}

#[test]
fn missing_truncated_and_miscounted_streams_are_not_complete() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    let records = sim.finish();
    let dir = directory("cut");
    let path = dir.join("history.jsonl");
    write(&records, &dir);
    let text = std::fs::read_to_string(&path).unwrap();
    for cut in [text.len() - 5, text.len() / 2, 10, 0] {
        std::fs::write(&path, &text[..cut]).unwrap();
        let loaded = load(&dir).unwrap();
        assert_eq!(
            loaded.complete,
            Complete {
                history: false,
                ..Complete::ALL
            },
            "cut at {cut}"
        );
        assert_eq!(
            judge(&loaded, &Options::default()).verdict,
            Verdict::Inconclusive
        );
    }
    let lines: Vec<_> = text.lines().collect();
    let short = [&lines[..1], &lines[2..]].concat().join("\n") + "\n";
    std::fs::write(&path, short).unwrap();
    assert!(
        !load(&dir).unwrap().complete.history,
        "a line is gone from the middle"
    );
    std::fs::remove_file(&path).unwrap();
    assert!(!load(&dir).unwrap().complete.history);
}

#[test]
fn a_newer_format_and_a_directory_of_nothing_are_errors() {
    let dir = directory("newer");
    write(&Sim::new().finish(), &dir);
    let newer = serde_json::to_string(&FaultRecord::Header(header(Stream::Faults, 2))).unwrap();
    std::fs::write(dir.join("faults.jsonl"), newer + "\n").unwrap();
    assert!(matches!(
        load(&dir),
        Err(ReadError::FutureVersion { found: 2, .. })
    ));
    assert!(load(&directory("empty")).is_err());
}
