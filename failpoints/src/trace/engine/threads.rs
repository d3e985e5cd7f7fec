//! Threads: seized, told what is armed, resumed, let go.

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;

use super::holds::Held;
use super::points::{MemoryFile, REGISTERS};
use super::syscalls::AtExit;
use super::tracee::Tracee;
use crate::trace::sys::{self, Resume};
use crate::trace::wire::Refusal;

pub(super) enum State {
    Running,
    /// In a group-stop that is not ours to end.
    Listening,
    /// At a point, until its holds end.
    Held(Box<Held>),
    /// Stopped with its news in the queue, while the world stops.
    Parked,
    /// At a point, killed.
    Doomed,
}

pub(super) struct Thread {
    pub(super) state: State,
    /// A stop was asked for that has not come yet.
    pub(super) interrupted: bool,
    /// The change it last went on with.
    pub(super) generation: u64,
    /// Its debug registers, once they are known.
    registers: Option<[Option<u64>; REGISTERS]>,
    /// What is left to do when its system call ends.
    pub(super) at_exit: Option<AtExit>,
}

impl Thread {
    pub(super) fn new() -> Self {
        Self {
            state: State::Running,
            interrupted: false,
            generation: 0,
            registers: None,
            at_exit: None,
        }
    }
}

impl Tracee {
    /// Seizes every thread that is not traced yet.
    ///
    /// Seized threads hand new ones over; those of unseized threads turn up
    /// under /proc, so it is looked at until nothing new does.
    pub(super) fn seize(&mut self) -> Result<(), Refusal> {
        let options = Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACESYSGOOD;
        loop {
            let mut found = false;
            let listed = std::fs::read_dir(format!("/proc/{}/task", self.pid));
            for entry in listed.map_err(|_| Refusal::Ended)?.flatten() {
                let Some(tid) = entry.file_name().to_str().and_then(|s| s.parse().ok()) else {
                    continue;
                };
                if self.threads.contains_key(&tid) {
                    continue;
                }
                match ptrace::seize(Pid::from_raw(tid), options) {
                    Ok(()) => {}
                    Err(Errno::EPERM) if tracer_of(self.pid, tid) == Some(own_pid()) => {}
                    // It is on its way out.
                    Err(_) if !matches!(state(self.pid, tid), Some(s) if !"ZXx".contains(s)) => {
                        continue;
                    }
                    Err(errno) => return Err(Refusal::Kernel(why(self.pid, tid, errno))),
                }
                found = true;
                self.threads.insert(tid, Thread::new());
            }
            if !found {
                break;
            }
        }
        if self.threads.is_empty() {
            return Err(Refusal::Ended);
        }
        if !self.memory.is_open() {
            let memory = MemoryFile::open(self.pid);
            self.memory = memory
                .map_err(|e| Refusal::Kernel(format!("cannot open /proc/{}/mem: {e}", self.pid)))?;
        }
        Ok(())
    }

    /// Asks a running thread to stop; its next news is a stop of some kind.
    pub(super) fn interrupt(&mut self, tid: i32) {
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        if !thread.interrupted && matches!(thread.state, State::Running | State::Listening) {
            // It fails only if the thread is gone, which is news too.
            thread.interrupted = ptrace::interrupt(Pid::from_raw(tid)).is_ok();
        }
    }

    /// Sets a stopped thread's debug registers to what is armed.
    pub(super) fn apply(&mut self, tid: i32) {
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        if thread.generation == self.generation {
            return;
        }
        thread.generation = self.generation;
        let wanted = self.points.registers();
        if thread.registers == Some(wanted) {
            return;
        }
        let set = || -> nix::Result<()> {
            let mut control = 0;
            for (n, address) in wanted.iter().enumerate() {
                if let Some(address) = *address {
                    // Length and kind 0: one byte, executed.
                    control |= 1 << (2 * n);
                    if thread.registers.is_none_or(|set| set[n] != Some(address)) {
                        write_register(tid, n, address)?;
                    }
                }
            }
            write_register(tid, 7, control)
        };
        match set() {
            Ok(()) => thread.registers = Some(wanted),
            Err(Errno::ESRCH) => {}
            Err(errno) => self.registers_refused = Some(errno),
        }
    }

    /// Lets a stopped thread go on, with this signal if not 0.
    pub(super) fn resume(&mut self, tid: i32, signal: i32) {
        if self.leaving {
            return self.depart(tid, signal);
        }
        self.apply(tid);
        let syscalls = self.arms.values().any(|armed| !armed.calls.is_empty());
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        thread.state = State::Running;
        let how = match syscalls || thread.at_exit.is_some() {
            true => Resume::ToSyscall,
            false => Resume::Run,
        };
        // It fails only if the thread was killed, which is news too.
        let _ = sys::resume(tid, how, signal);
    }

    /// Leaves a thread in its group-stop, and hears when that ends.
    pub(super) fn listen(&mut self, tid: i32) {
        if self.leaving {
            return self.depart(tid, 0);
        }
        self.apply(tid);
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.state = State::Listening;
            let _ = sys::resume(tid, Resume::Listen, 0);
        }
    }

    /// Detaches from a stopped thread, unless it has something left to tell:
    /// then it goes on just to tell it.
    fn depart(&mut self, tid: i32, signal: i32) {
        self.apply(tid);
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        thread.state = State::Running;
        // It is about to stop again anyway.
        thread.interrupted = true;
        let _ = if thread.at_exit.is_some() {
            sys::resume(tid, Resume::ToSyscall, signal)
        } else if sys::may_trap(tid) {
            sys::resume(tid, Resume::Run, signal)
        } else {
            self.threads.remove(&tid);
            sys::resume(tid, Resume::Detach, signal)
        };
    }
}

fn write_register(tid: i32, number: usize, value: u64) -> nix::Result<()> {
    let at = std::mem::offset_of!(libc::user, u_debugreg) + number * size_of::<u64>();
    ptrace::write_user(
        Pid::from_raw(tid),
        std::ptr::without_provenance_mut(at),
        value.cast_signed(),
    )
}

fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// The process's start time (proc_pid_stat(5), field 22); none if it is gone.
pub(super) fn birth(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    if rest.starts_with(['Z', 'X']) {
        return None;
    }
    rest.split(' ').nth(19)?.parse().ok()
}

/// A thread's state (proc_pid_stat(5), field 3).
pub(super) fn state(pid: i32, tid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The process that traces a thread; 0 if none does.
pub(super) fn tracer_of(pid: i32, tid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok()
}

/// What a refusal to seize means, and what to do.
fn why(pid: i32, tid: i32, errno: Errno) -> String {
    let seize = format!("ptrace(PTRACE_SEIZE) of thread {tid}: {errno}");
    if let Some(other) = tracer_of(pid, tid).filter(|other| *other != 0) {
        return format!("{seize}: process {other} traces it already (a debugger, strace?)");
    }
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    match scope.as_deref().map(str::trim) {
        Ok(scope @ ("1" | "2" | "3")) => format!(
            "{seize}: kernel.yama.ptrace_scope is {scope}; set it to 0, or run as root (3 needs a reboot)"
        ),
        _ => {
            format!("{seize}: run as the same user or as root, with CAP_SYS_PTRACE in a container")
        }
    }
}
