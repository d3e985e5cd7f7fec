//! The flags of `gauntlet store`: etcd's own, as far as they mean something here.
//!
//! STUB.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one member with these arguments until it ends.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    drop(args);
    eprintln!("the embedded store is not built in yet");
    ExitCode::FAILURE
}
