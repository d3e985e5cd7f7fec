//! What `gauntlet doctor` asks about tracing.

use std::path::Path;

use failpoints::trace::{Options, probe};

const TRACED: &str = env!("CARGO_BIN_EXE_failpoints-traced");

#[tokio::test]
async fn tracing_works_here() {
    let found = probe(Path::new(TRACED), Options { software: true });
    // Some hypervisors have no debug registers; that is not ours to demand.
    println!("{found:?}");
    assert!(found.code.is_ok(), "{found:?}");
    assert_eq!(found.syscalls, Ok(()));
}

#[test]
fn what_is_no_tracer_is_named() {
    let found = probe(Path::new("/bin/true"), Options::default());
    let reason = found.code.unwrap_err();
    assert!(reason.contains("/bin/true did not act"), "{reason}");
    assert_eq!(found.syscalls, Err(reason));
}
