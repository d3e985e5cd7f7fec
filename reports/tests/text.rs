//! `witness.txt`, line for line.

mod synthetic;

use reports::witness_text;
use synthetic::Made;

fn text(made: &Made) -> String {
    let text = witness_text(&made.run());
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
        assert_eq!(line, line.trim_end(), "blanks at the end");
    }
    text
}

#[test]
fn violated() {
    insta::assert_snapshot!(text(&synthetic::defrag_crash()));
}

#[test]
fn holds() {
    insta::assert_snapshot!(text(&synthetic::holds()));
}

#[test]
fn partial() {
    insta::assert_snapshot!(text(&synthetic::partial()));
}
