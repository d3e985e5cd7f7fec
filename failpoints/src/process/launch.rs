//! The launcher: the short life between fork and exec.
//!
//! `PR_SET_PDEATHSIG` and `setpgid` have to be called in the child. Doing so
//! between fork and exec needs unsafe code; instead the spawner starts *our
//! own* executable again, which calls both and then executes the member, so
//! the pid stays the same.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, dup2_stdin, getppid, setpgid};

pub(super) const MARK: &str = "__launch";

/// Written to the spawner right before exec. A launcher that never called
/// [`launcher_main`] is told from one that became the member by this byte.
pub(super) const READY: u8 = b'R';

/// Becomes the member if this process was started as a launcher
/// (`… __launch <parent pid> [<namespace file>…] -- <binary> <argument>…`), else
/// returns.
///
/// Call it first in `main`, before any thread, runtime or argument parser. It
/// asks for SIGKILL at the parent's death, moves to a process group of its
/// own, makes sure that the parent did not die before that, enters the
/// namespaces, lets a sibling trace it, and executes the binary with
/// `/dev/null` as standard input.
///
/// Sources: prctl(2) `PR_SET_PDEATHSIG` (kept across execve, lost for set-uid
/// binaries), setpgid(2), setns(2).
pub fn launcher_main() {
    crate::netns::helper_main();
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(OsStr::new(MARK)) {
        return;
    }
    // Standard input is the spawner's pipe; the duplicate closes at exec.
    let mut report = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(pipe) => File::from(pipe),
        Err(error) => fail(None, &format!("cannot keep the report pipe: {error}")),
    };
    match become_member(args, &mut report) {
        Ok(never) => match never {},
        Err(reason) => fail(Some(report), &reason),
    }
}

fn become_member(
    mut args: impl Iterator<Item = OsString>,
    report: &mut File,
) -> Result<std::convert::Infallible, String> {
    let parent = args
        .next()
        .and_then(|pid| pid.to_str()?.parse().ok())
        .map(Pid::from_raw)
        .ok_or("the parent's pid is missing")?;
    let mut namespaces = Vec::new();
    loop {
        let arg = args.next().ok_or("`--` is missing")?;
        if arg == OsStr::new("--") {
            break;
        }
        namespaces.push(PathBuf::from(arg));
    }
    let binary = PathBuf::from(args.next().ok_or("the binary is missing")?);

    set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("prctl(PR_SET_PDEATHSIG): {e}"))?;
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(|e| format!("setpgid: {e}"))?;
    if getppid() != parent {
        return Err(format!("the parent {parent} is gone"));
    }
    enter(&namespaces)?;
    crate::trace::let_anyone_trace();
    let null = File::open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
    dup2_stdin(&null).map_err(|e| format!("dup2: {e}"))?;
    report
        .write_all(&[READY])
        .map_err(|e| format!("cannot report: {e}"))?;
    let error = Command::new(&binary).args(args).exec();
    Err(format!("{}: {error}", binary.display()))
}

/// A mount namespace moves the working directory to its root: it is looked up
/// again inside.
fn enter(namespaces: &[PathBuf]) -> Result<(), String> {
    if namespaces.is_empty() {
        return Ok(());
    }
    let cwd = std::env::current_dir().map_err(|e| format!("no working directory: {e}"))?;
    for path in namespaces {
        File::open(path)
            .and_then(|file| Ok(setns(file, CloneFlags::empty())?))
            .map_err(|e| format!("cannot enter the namespace {}: {e}", path.display()))?;
    }
    std::env::set_current_dir(&cwd).map_err(|e| format!("{}: {e}", cwd.display()))
}

fn fail(report: Option<File>, reason: &str) -> ! {
    match report {
        Some(mut pipe) => {
            let _ = pipe.write_all(reason.as_bytes());
        }
        None => eprintln!("launcher: {reason}"),
    }
    std::process::exit(127)
}
