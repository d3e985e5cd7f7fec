//! What is printed may be read by nobody: it ends nothing.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::process::{Command, Stdio};

fn gauntlet(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    command.args(args).stdin(Stdio::null());
    command
}

/// A pipe that nobody reads, as after `| head` has its lines.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_list_whose_reader_stops_is_no_error() {
    for args in [&["list"][..], &["list", "--bugs"], &["symbols", "--help"]] {
        let output = gauntlet(args).stdout(unread()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, "", "{args:?}");
    }
}

#[test]
fn a_list_that_cannot_be_written_says_so_once() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = gauntlet(&["list", "--bugs"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}

#[test]
fn a_run_whose_readers_stop_goes_on_to_its_verdict() {
    let runs = tempfile::tempdir().unwrap();
    let out = runs.path().to_str().unwrap();
    let args = ["run", "steady", "--time", "500ms", "--out", out];
    let status = gauntlet(&args)
        .stdout(unread())
        .stderr(unread())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let latest = runs.path().join("latest");
    for file in ["verdict.json", "report.html"] {
        assert!(latest.join(file).is_file(), "{file}");
    }
}
