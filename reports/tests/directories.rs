//! A run directory on disk, whole and spoilt.

mod synthetic;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use checker::history::{
    FaultRecord, Footer, Header, ObservationRecord, Record, SCHEMA_MAJOR, SCHEMA_MINOR, Stream,
};
use reports::{Directory, DirectoryError, html};
use serde::Serialize;
use synthetic::Made;

fn lines<T: Serialize>(header: &T, records: &[T], footer: Option<&T>) -> String {
    let mut text = String::new();
    for record in std::iter::once(header).chain(records).chain(footer) {
        writeln!(text, "{}", serde_json::to_string(record).unwrap()).unwrap();
    }
    text
}

fn write(made: &Made, dir: &Path, footers: bool) {
    let header = |stream| Header {
        stream,
        major: SCHEMA_MAJOR,
        minor: SCHEMA_MINOR,
        build: "gauntlet 0.1.0".into(),
        clock: synthetic::clock(),
    };
    let footer = |records: usize| Footer {
        clock: synthetic::clock(),
        records: records as u64,
    };
    let history = lines(
        &Record::Header(header(Stream::History)),
        &made.history,
        footers
            .then(|| Record::Footer(footer(made.history.len())))
            .as_ref(),
    );
    let faults = lines(
        &FaultRecord::Header(header(Stream::Faults)),
        &made.faults,
        footers
            .then(|| FaultRecord::Footer(footer(made.faults.len())))
            .as_ref(),
    );
    let observations = lines(
        &ObservationRecord::Header(header(Stream::Observations)),
        &made.observations,
        footers
            .then(|| ObservationRecord::Footer(footer(made.observations.len())))
            .as_ref(),
    );
    fs::write(dir.join("history.jsonl"), history).unwrap();
    fs::write(dir.join("faults.jsonl"), faults).unwrap();
    fs::write(dir.join("observations.jsonl"), observations).unwrap();
    fs::write(dir.join("plan.toml"), toml::to_string(&made.plan).unwrap()).unwrap();
    let judgement = serde_json::to_string(&made.judgement).unwrap();
    fs::write(dir.join("verdict.json"), judgement).unwrap();
}

#[test]
fn what_was_written_is_what_is_reported() {
    let (made, dir) = (synthetic::defrag_crash(), tempfile::tempdir().unwrap());
    write(&made, dir.path(), true);
    let read = Directory::read(dir.path()).unwrap();
    assert!(
        read.streams
            .iter()
            .all(|stream| stream.complete && stream.trouble.is_empty())
    );
    assert_eq!(read.judgement.as_ref(), Some(&made.judgement));
    let page = html(&read.run(read.judgement.as_ref().unwrap(), &made.dir));
    assert_eq!(page, html(&made.run()));
}

#[test]
fn what_stands_before_the_damage_is_reported() {
    let (made, dir) = (synthetic::partial(), tempfile::tempdir().unwrap());
    write(&made, dir.path(), false);
    let history = dir.path().join("history.jsonl");
    let text = fs::read_to_string(&history).unwrap();
    fs::write(&history, &text[..text.len() - 20]).unwrap();
    fs::remove_file(dir.path().join("faults.jsonl")).unwrap();
    fs::remove_file(dir.path().join("verdict.json")).unwrap();
    let read = Directory::read(dir.path()).unwrap();
    assert_eq!(read.judgement, None);
    assert_eq!(read.history.len(), made.history.len() - 1);
    let trouble: Vec<_> = read
        .streams
        .iter()
        .map(|stream| stream.trouble.as_str())
        .collect();
    assert_eq!(trouble[0], "the last line is cut short");
    assert!(
        trouble[1].starts_with("cannot read faults.jsonl"),
        "{}",
        trouble[1]
    );
    assert_eq!(trouble[2], "no footer: the run did not end in order");
    assert!(html(&read.run(&made.judgement, &made.dir)).contains("cannot read faults.jsonl"));
}

#[test]
fn a_newer_format_is_refused_rather_than_misread() {
    let (made, dir) = (synthetic::partial(), tempfile::tempdir().unwrap());
    write(&made, dir.path(), true);
    let history = dir.path().join("history.jsonl");
    let text = fs::read_to_string(&history).unwrap();
    fs::write(&history, text.replacen(r#""major":1"#, r#""major":2"#, 1)).unwrap();
    assert!(matches!(
        Directory::read(dir.path()),
        Err(DirectoryError::Stream(_))
    ));
}
