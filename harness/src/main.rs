//! The `gauntlet` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    failpoints::process::launcher_main();
    failpoints::disk::server_main();
    failpoints::trace::tracer_main();
    harness::cli::main()
}
