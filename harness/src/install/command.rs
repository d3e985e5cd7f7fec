//! External commands: bounded in time, in output, and told apart when they fail.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How much of each stream is kept: its end, which is where commands say what went wrong.
const KEPT: usize = 256 * 1024;
/// How much of stderr goes into an error message.
const TAIL_LINES: usize = 6;
const TAIL_CHARS: usize = 900;
/// How long a program that is still open for writing elsewhere is waited for.
const BUSY: Duration = Duration::from_secs(2);
/// How long a stream is waited for after the command itself has ended.
const STRAGGLERS: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("`{program}` could not be started: {source}")]
    NotStarted { program: String, source: io::Error },
    #[error("`{program}` was ended after {limit_s} s without finishing{}", tail(.stderr))]
    TimedOut {
        program: String,
        limit_s: u64,
        stderr: String,
    },
    #[error("`{program}` failed ({status}){}", tail(.stderr))]
    Failed {
        program: String,
        status: ExitStatus,
        stderr: String,
    },
}

/// Runs `command` to its end, whatever its exit status, in a process group of its own, which
/// is killed once `limit` has passed.
pub(super) fn run(command: &mut Command, limit: Duration) -> Result<Finished, CommandError> {
    let program = describe(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let started = Instant::now();
    let not_started = |source| CommandError::NotStarted {
        program: program.clone(),
        source,
    };
    let mut child = spawn(command).map_err(not_started)?;
    let stdout = child.stdout.take().map(Capture::of);
    let stderr = child.stderr.take().map(Capture::of);
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(not_started)? {
            break Some(status);
        }
        if started.elapsed() >= limit {
            kill_group(&mut child);
            break None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    let stdout = stdout.map(Capture::finish).unwrap_or_default();
    let stderr = stderr.map(Capture::finish).unwrap_or_default();
    match status {
        Some(status) => Ok(Finished {
            status,
            stdout,
            stderr,
        }),
        None => Err(CommandError::TimedOut {
            program,
            limit_s: limit.as_secs(),
            stderr,
        }),
    }
}

/// As [`run`], but an exit status other than 0 is an error.
pub(super) fn run_ok(command: &mut Command, limit: Duration) -> Result<Finished, CommandError> {
    let finished = run(command, limit)?;
    if finished.status.success() {
        return Ok(finished);
    }
    Err(CommandError::Failed {
        program: describe(command),
        status: finished.status,
        stderr: finished.stderr,
    })
}

/// The end of what a command said, as a clause to append to a message; nothing if it said
/// nothing.
pub(super) fn tail(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join(" / ");
    let skipped = last.chars().count().saturating_sub(TAIL_CHARS);
    let last: String = last.chars().skip(skipped).collect();
    if last.is_empty() {
        last
    } else {
        format!(": {last}")
    }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Starts the command. A program just written by this process may still be open for writing
/// in a child that another thread is forking at this moment; that passes, so it is retried.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let started = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && started.elapsed() < BUSY =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}

fn kill_group(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads a stream to its end on a thread, so that a full pipe never blocks the command and a
/// descendant that keeps the pipe open never blocks the caller.
struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Capture {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (tell, ended) = mpsc::channel();
        let sink = Arc::clone(&kept);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => {
                        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                        sink.extend_from_slice(&buffer[..read]);
                        if sink.len() > 2 * KEPT {
                            let excess = sink.len() - KEPT;
                            sink.drain(..excess);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            let _ = tell.send(());
        });
        Self { kept, ended }
    }

    fn finish(self) -> String {
        let _ = self.ended.recv_timeout(STRAGGLERS);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_carries_the_end_of_stderr() {
        let error = run_ok(
            &mut sh("echo first >&2; echo the reason >&2; exit 7"),
            Duration::from_secs(5),
        )
        .unwrap_err();
        let said = error.to_string();
        assert!(said.contains("the reason") && said.contains('7'), "{said}");
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let started = Instant::now();
        let error = run(
            &mut sh("sleep 60 & echo $! >&2; wait"),
            Duration::from_millis(300),
        )
        .unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(2), "{error}");
        let CommandError::TimedOut { stderr, .. } = error else {
            panic!("{error}");
        };
        let grandchild = format!("/proc/{}/cmdline", stderr.trim());
        let gone = || std::fs::read(&grandchild).unwrap_or_default().is_empty();
        while !gone() {
            assert!(started.elapsed() < Duration::from_secs(5), "{grandchild}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn endless_output_is_bounded() {
        let finished = run(&mut sh("yes | head -c 5000000"), Duration::from_secs(10)).unwrap();
        assert!(finished.status.success());
        assert!(finished.stdout.len() <= 2 * KEPT);
    }
}
