//! The smallest launcher: starts one member and becomes it.
//!
//! Tests use it; `gauntlet` does the same in its own `main`.

use std::process::ExitCode;

fn main() -> ExitCode {
    failpoints::process::launcher_main();
    eprintln!("gauntlet-launch: started by hand; it only serves `__launch`");
    ExitCode::from(64)
}
