//! Members as child processes: started, paused, killed and reaped.
//!
//! A [`Spawner`] starts them through a launcher (see [`launcher_main`]), so
//! that each is killed by the kernel when we die, however we die, and leads a
//! process group of its own. A [`Process`] owns one: dropping it kills it. A
//! [`Handle`] may outlive it and is safe to use then.
//!
//! [`Pause`] and [`Kill`] are the faults made of this.

mod faults;
mod launch;
mod spawn;

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

pub use faults::{Kill, Member, Pause};
pub use launch::launcher_main;
pub use spawn::{SpawnError, SpawnSpec, Spawner};

/// How long dropping a [`Process`] waits for the kernel to end it. Longer only
/// if it hangs in a system call that cannot be interrupted; it is reaped then
/// as soon as it does end.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match Signal::try_from(number) {
                Ok(signal) => f.write_str(signal.as_str()),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// Why a signal was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The process had ended and was reaped.
    #[error("process {pid} has ended")]
    Ended {
        /// Its former pid.
        pid: i32,
    },
    /// The kernel refused.
    #[error("cannot signal process group {pid}: {source}")]
    Refused {
        /// The group's leader.
        pid: i32,
        /// The reason.
        source: io::Error,
    },
}

struct State {
    reaped: bool,
    pauses: u32,
}

struct Shared {
    pid: Pid,
    state: Mutex<State>,
    reaped: Condvar,
    exit: watch::Sender<Option<ExitStatus>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock guard as proof: while the process is not reaped, nobody
    /// else can have its pid.
    fn send(&self, state: &State, signal: Signal) -> Result<(), SignalError> {
        let pid = self.pid.as_raw();
        if state.reaped {
            return Err(SignalError::Ended { pid });
        }
        killpg(self.pid, signal).map_err(|errno| SignalError::Refused {
            pid,
            source: errno.into(),
        })
    }
}

/// A process we started, for looking at it and signalling it.
///
/// Signals go to its whole process group, and only while the process has not
/// been reaped, so they never reach a stranger that was given its pid.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("pid", &self.pid())
            .field("exit", &self.exited())
            .finish()
    }
}

impl Handle {
    /// The pid, which is also the process group's id.
    pub fn pid(&self) -> i32 {
        self.0.pid.as_raw()
    }

    /// Sends SIGKILL. Also ends a paused process.
    ///
    /// # Errors
    ///
    /// [`SignalError`]; `Ended` if there was nothing left to kill.
    pub fn kill(&self) -> Result<(), SignalError> {
        self.0.send(&self.0.lock(), Signal::SIGKILL)
    }

    /// Sends SIGTERM. A paused process acts on it when resumed.
    ///
    /// # Errors
    ///
    /// [`SignalError`].
    pub fn terminate(&self) -> Result<(), SignalError> {
        self.0.send(&self.0.lock(), Signal::SIGTERM)
    }

    /// Sends SIGSTOP. Pauses count: it takes as many [`resume`](Self::resume).
    ///
    /// The threads stop within moments, not at once: see
    /// [`is_stopped`](Self::is_stopped).
    ///
    /// # Errors
    ///
    /// [`SignalError`].
    pub fn pause(&self) -> Result<(), SignalError> {
        let mut state = self.0.lock();
        self.0.send(&state, Signal::SIGSTOP)?;
        state.pauses += 1;
        Ok(())
    }

    /// Takes back one [`pause`](Self::pause), and sends SIGCONT if it was the
    /// last (or if there was none).
    ///
    /// # Errors
    ///
    /// [`SignalError`].
    pub fn resume(&self) -> Result<(), SignalError> {
        let mut state = self.0.lock();
        if state.pauses <= 1 {
            self.0.send(&state, Signal::SIGCONT)?;
        }
        state.pauses = state.pauses.saturating_sub(1);
        Ok(())
    }

    /// Whether every thread of the process is stopped (proc_pid_stat(5): `T`,
    /// or `t` under a tracer).
    pub fn is_stopped(&self) -> bool {
        let state = self.0.lock();
        if state.reaped {
            return false;
        }
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.0.pid)) else {
            return false;
        };
        threads.flatten().all(|thread| {
            std::fs::read_to_string(thread.path().join("stat"))
                .ok()
                .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()))
                .is_none_or(|rest| rest.starts_with(['T', 't']))
        })
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        *self.0.exit.borrow()
    }

    /// Whether it has not ended. A paused process is running in this sense.
    pub fn is_running(&self) -> bool {
        self.exited().is_none()
    }

    /// Waits until it has ended and is reaped.
    pub async fn exit(&self) -> ExitStatus {
        let mut exit = self.0.exit.subscribe();
        let status = exit.wait_for(Option::is_some).await.map(|status| *status);
        match status {
            Ok(Some(status)) => status,
            _ => unreachable!("the handle holds the sender"),
        }
    }
}

/// A process we own. Dropping it kills and reaps it.
///
/// When the leader ends, whatever is left of its process group is killed too.
pub struct Process {
    handle: Handle,
    keepalive: Option<spawn::Keepalive>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.handle).finish()
    }
}

impl Deref for Process {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Process {
    /// A handle that does not keep the process alive.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    fn adopt(mut child: Child) -> io::Result<Self> {
        let Ok(pid) = i32::try_from(child.id()).map(Pid::from_raw) else {
            spawn::discard(&mut child);
            return Err(io::Error::other("the pid is out of range"));
        };
        let shared = Arc::new(Shared {
            pid,
            state: Mutex::new(State {
                reaped: false,
                pauses: 0,
            }),
            reaped: Condvar::new(),
            exit: watch::Sender::new(None),
        });
        let reaper = thread::Builder::new().name(format!("reaper-{pid}"));
        let started = reaper.stack_size(128 * 1024).spawn({
            let shared = Arc::clone(&shared);
            move || reap(&shared, child)
        });
        if let Err(error) = started {
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
            return Err(error);
        }
        Ok(Self {
            handle: Handle(shared),
            keepalive: None,
        })
    }

    fn keep(&mut self, keepalive: spawn::Keepalive) {
        self.keepalive = Some(keepalive);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.handle.kill();
        let shared = &self.handle.0;
        let _ = shared
            .reaped
            .wait_timeout_while(shared.lock(), DROP_LIMIT, |state| !state.reaped);
    }
}

/// Waits without reaping, then reaps under the lock that guards signals.
fn reap(shared: &Shared, mut child: Child) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    // Any other error still leaves it to `Child::wait` to know.
    while waitid(Id::Pid(shared.pid), flags) == Err(Errno::EINTR) {}
    let mut state = shared.lock();
    // The leader is a zombie: the group's id is still ours.
    let _ = killpg(shared.pid, Signal::SIGKILL);
    let status = match child.wait() {
        Ok(status) => match status.signal() {
            Some(signal) => ExitStatus::Signal(signal),
            None => ExitStatus::Code(status.code().unwrap_or(-1)),
        },
        // Somebody else reaped it; no status is left to learn.
        Err(_) => ExitStatus::Code(-1),
    };
    state.reaped = true;
    shared.exit.send_replace(Some(status));
    drop(state);
    shared.reaped.notify_all();
}
