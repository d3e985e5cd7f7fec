//! The thread that starts members.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::oneshot;

use super::Process;
use super::launch::{MARK, READY};

/// How long a launcher may take to become the member. It takes milliseconds;
/// the rest is for a machine under heavy load.
const LAUNCH_LIMIT: Duration = Duration::from_secs(20);

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct SpawnSpec {
    /// An executable that calls [`launcher_main`](super::launcher_main) first,
    /// by absolute path; normally [`std::env::current_exe`].
    pub launcher: PathBuf,
    /// The member's binary. A bare name is looked up in `PATH` of `envs`.
    pub binary: PathBuf,
    /// Its arguments, without the zeroth.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing is inherited, or an `ETCD_…` variable of
    /// the caller would configure members behind the plan's back.
    pub envs: Vec<(OsString, OsString)>,
    /// Its working directory; the caller's if none.
    pub cwd: Option<PathBuf>,
    /// Namespaces to enter first, as files (`/proc/<pid>/ns/mnt`), in this
    /// order. Needs CAP_SYS_ADMIN. The binary is looked up inside, and so is
    /// the working directory.
    pub namespaces: Vec<PathBuf>,
    /// The file its standard output and error are appended to.
    pub log: PathBuf,
}

impl SpawnSpec {
    /// A specification without arguments, environment or working directory.
    pub fn new(
        launcher: impl Into<PathBuf>,
        binary: impl Into<PathBuf>,
        log: impl Into<PathBuf>,
    ) -> Self {
        Self {
            launcher: launcher.into(),
            binary: binary.into(),
            args: Vec::new(),
            envs: Vec::new(),
            cwd: None,
            namespaces: Vec::new(),
            log: log.into(),
        }
    }
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The log file could not be opened.
    #[error("cannot open the log {path}: {source}")]
    Log {
        /// The log file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The launcher could not be started.
    #[error("cannot start the launcher {path}: {source}")]
    Launcher {
        /// The launcher.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The launcher started, but did not become the member.
    #[error("cannot start {binary}: {reason}")]
    Member {
        /// The member's binary.
        binary: PathBuf,
        /// What the launcher said.
        reason: String,
    },
    /// The launcher did not report: it ended, or ran into the time limit.
    #[error("{path} did not act as a launcher: does its main call launcher_main() first?")]
    NotALauncher {
        /// The launcher.
        path: PathBuf,
    },
    /// No thread could be started, or the one there was is gone.
    #[error("the spawner's thread: {0}")]
    Thread(String),
}

struct Request {
    spec: SpawnSpec,
    reply: oneshot::Sender<Result<Process, SpawnError>>,
}

/// Keeps the spawner's thread alive; see [`Spawner`].
#[derive(Clone, Debug)]
pub(super) struct Keepalive {
    _queue: mpsc::Sender<Request>,
}

/// Starts processes, all from one long-lived thread.
///
/// The kernel sends a parent-death signal when the *thread* that forked dies,
/// and tokio's threads come and go. The thread lives until the spawner and the
/// last [`Process`] it started are dropped.
#[derive(Clone, Debug)]
pub struct Spawner {
    queue: mpsc::Sender<Request>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Thread`] if the system has no thread left.
    pub fn new() -> Result<Self, SpawnError> {
        let (queue, requests) = mpsc::channel::<Request>();
        thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                // The process holds a sender, so the queue must not.
                for Request { spec, reply } in requests {
                    let _ = reply.send(launch(&spec));
                }
            })
            .map_err(|error| SpawnError::Thread(error.to_string()))?;
        Ok(Self { queue })
    }

    /// Starts a process and waits until it executes its binary.
    ///
    /// If the wait is cancelled, the process is killed.
    ///
    /// # Errors
    ///
    /// [`SpawnError`], naming what was missing. A binary that starts and then
    /// fails is not an error here: see [`Handle::exit`](super::Handle::exit).
    pub async fn spawn(&self, spec: SpawnSpec) -> Result<Process, SpawnError> {
        let answer = self.request(spec)?.await;
        self.keep(answer)
    }

    /// [`spawn`](Self::spawn) for callers outside a runtime.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// Inside a runtime, where blocking is not allowed.
    pub fn spawn_blocking(&self, spec: SpawnSpec) -> Result<Process, SpawnError> {
        let answer = self.request(spec)?.blocking_recv();
        self.keep(answer)
    }

    fn request(
        &self,
        spec: SpawnSpec,
    ) -> Result<oneshot::Receiver<Result<Process, SpawnError>>, SpawnError> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Request { spec, reply })
            .map_err(|_| SpawnError::Thread("it is gone".into()))?;
        Ok(answer)
    }

    fn keep(
        &self,
        answer: Result<Result<Process, SpawnError>, oneshot::error::RecvError>,
    ) -> Result<Process, SpawnError> {
        let mut process = answer.map_err(|_| SpawnError::Thread("it is gone".into()))??;
        process.keep(Keepalive {
            _queue: self.queue.clone(),
        });
        Ok(process)
    }
}

fn launch(spec: &SpawnSpec) -> Result<Process, SpawnError> {
    let log = open_log(&spec.log)?;
    let launcher_failed = |source| SpawnError::Launcher {
        path: spec.launcher.clone(),
        source,
    };
    let (report, reporter) = io::pipe().map_err(launcher_failed)?;
    let mut command = Command::new(&spec.launcher);
    command
        .arg(MARK)
        .arg(std::process::id().to_string())
        .args(&spec.namespaces)
        .arg("--")
        .arg(&spec.binary)
        .args(&spec.args)
        .env_clear()
        .envs(spec.envs.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(reporter))
        .stdout(log.try_clone().map_err(launcher_failed)?)
        .stderr(log);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let mut child = command.spawn().map_err(launcher_failed)?;
    // It holds our copy of the pipe's writing end.
    drop(command);

    let failure = match read_report(report) {
        Ok(said) => match said.split_first() {
            Some((&READY, [])) => None,
            None => Some(SpawnError::NotALauncher {
                path: spec.launcher.clone(),
            }),
            Some((first, rest)) => Some(SpawnError::Member {
                binary: spec.binary.clone(),
                reason: String::from_utf8_lossy(if *first == READY { rest } else { &said })
                    .into_owned(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Some(SpawnError::NotALauncher {
            path: spec.launcher.clone(),
        }),
        Err(error) => Some(launcher_failed(error)),
    };
    match failure {
        None => Process::adopt(child).map_err(|error| SpawnError::Thread(error.to_string())),
        Some(error) => {
            discard(&mut child);
            Err(error)
        }
    }
}

fn open_log(path: &Path) -> Result<File, SpawnError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| SpawnError::Log {
            path: path.to_owned(),
            source,
        })
}

/// Reads until exec (or the end) closes the launcher's end of the pipe.
fn read_report(mut pipe: PipeReader) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + LAUNCH_LIMIT;
    let mut said = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut chunk = [0; 512];
        match pipe.read(&mut chunk)? {
            0 => return Ok(said),
            n => said.extend_from_slice(&chunk[..n]),
        }
    }
}

pub(super) fn discard(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
