//! Calling the binary, and looking at what it left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs share two cores: one cluster at a time.
static ONE_CLUSTER: Mutex<()> = Mutex::new(());

pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE_CLUSTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory for runs, and the binary called with it.
pub(crate) struct Gauntlet {
    pub(crate) out: tempfile::TempDir,
}

impl Gauntlet {
    pub(crate) fn new() -> Self {
        Self {
            out: tempfile::tempdir().expect("a directory for runs"),
        }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.args(args).current_dir(self.out.path());
        command
    }

    pub(crate) fn call(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    /// `run … --json`: the objects it printed, and the exit code.
    pub(crate) fn run(&self, args: &[&str]) -> (Vec<serde_json::Value>, i32) {
        let output = self.call(&[&["run", "--json"], args].concat());
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let lines = stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
            .collect();
        let code = output.status.code().expect("an exit code");
        if code != 0 {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            eprintln!("{stdout}");
        }
        (lines, code)
    }
}

pub(crate) fn dir_of(line: &serde_json::Value) -> PathBuf {
    PathBuf::from(line["dir"].as_str().expect("dir"))
}

pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Pids of processes whose command line names `needle`.
pub(crate) fn processes_naming(needle: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let state = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let zombie = state
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'));
        if !zombie && String::from_utf8_lossy(&line).contains(needle) {
            found.push(pid);
        }
    }
    found
}
