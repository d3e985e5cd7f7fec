//! What the kernel says of a thread, and what becomes of it.

use nix::sys::ptrace;
use nix::unistd::Pid;

use super::threads::{self, State, Thread};
use super::tracee::Tracee;
use crate::trace::sys::{self, Resume};
use crate::trace::{Event, ReleasedBy};

/// `PTRACE_EVENT_STOP`: group-stops, interrupts, new threads (ptrace(2)).
const EVENT_STOP: i32 = 128;

/// `si_code` of a SIGTRAP (sigaction(2)).
pub(super) const TRAP_TRACE: i32 = 2;
const TRAP_HWBKPT: i32 = 4;
/// As x86 Linux reports `int3`.
const SI_KERNEL: i32 = 0x80;

/// Kinds of news, as waitpid(2) encodes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Exited(i32),
    Signaled(i32),
    GroupStop,
    Interrupted,
    Cloned,
    Executed,
    Syscall,
    Trap,
    Signal(i32),
    Other,
}

impl News {
    pub(super) fn of(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            return Self::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Signaled(libc::WTERMSIG(status));
        }
        if !libc::WIFSTOPPED(status) {
            return Self::Other;
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        match event {
            EVENT_STOP if signal == libc::SIGTRAP => Self::Interrupted,
            EVENT_STOP => Self::GroupStop,
            libc::PTRACE_EVENT_CLONE => Self::Cloned,
            libc::PTRACE_EVENT_EXEC => Self::Executed,
            0 if signal == libc::SIGTRAP | 0x80 => Self::Syscall,
            0 if signal == libc::SIGTRAP => Self::Trap,
            0 => Self::Signal(signal),
            _ => Self::Other,
        }
    }
}

impl Tracee {
    pub(super) fn on_status(&mut self, tid: i32, status: i32) {
        let news = News::of(status);
        match news {
            News::Exited(_) | News::Signaled(_) => return self.on_end(tid, news),
            News::Executed => return self.on_exec(tid),
            _ => {}
        }
        if !self.threads.contains_key(&tid) {
            // A new thread may be heard of before its maker tells. A new
            // process is none of ours.
            if threads::state(self.pid, tid).is_none() {
                let _ = sys::resume(tid, Resume::Detach, 0);
                return;
            }
            self.threads.insert(tid, Thread::new());
        }
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        // Any stop takes the place of one that was asked for before it. One
        // asked for after it still comes, and does no harm.
        thread.interrupted = false;
        if self.world_stops {
            thread.state = State::Parked;
            self.parked.push_back((tid, status));
            return;
        }
        self.apply(tid);
        match news {
            News::GroupStop => self.listen(tid),
            News::Cloned => {
                let child = ptrace::getevent(Pid::from_raw(tid)).ok();
                if let Some(child) = child.and_then(|child| i32::try_from(child).ok()) {
                    self.on_clone(child);
                }
                self.resume(tid, 0);
            }
            News::Syscall => self.on_syscall(tid),
            News::Trap => self.on_trap(tid),
            News::Signal(signal) => self.resume(tid, signal),
            _ => self.resume(tid, 0),
        }
    }

    /// Heard of before or after its first stop, which may have been its last
    /// with us.
    fn on_clone(&mut self, child: i32) {
        let own = nix::unistd::getpid().as_raw();
        if !self.threads.contains_key(&child) && threads::tracer_of(self.pid, child) == Some(own) {
            self.threads.insert(child, Thread::new());
        }
    }

    fn on_end(&mut self, tid: i32, news: News) {
        self.release_thread(tid, ReleasedBy::Death);
        self.threads.remove(&tid);
        self.parked.retain(|(parked, _)| *parked != tid);
        if tid == self.pid {
            let (code, signal) = match news {
                News::Exited(code) => (Some(code), None),
                News::Signaled(signal) => (None, Some(signal)),
                _ => (None, None),
            };
            self.forget(Event::Ended { code, signal });
        }
    }

    /// The other threads are gone, and with the memory every breakpoint; the
    /// kernel has cleared the debug registers.
    fn on_exec(&mut self, tid: i32) {
        self.forget(Event::Exec);
        let _ = sys::resume(tid, Resume::Detach, 0);
    }

    /// A breakpoint of ours, or a SIGTRAP of the program's own.
    fn on_trap(&mut self, tid: i32) {
        let thread = Pid::from_raw(tid);
        let (Ok(info), Ok(mut registers)) = (ptrace::getsiginfo(thread), ptrace::getregs(thread))
        else {
            return;
        };
        match info.si_code {
            TRAP_HWBKPT => {}
            SI_KERNEL if self.points.is_ours(registers.rip.wrapping_sub(1)) => {
                registers.rip -= 1;
                if ptrace::setregs(thread, registers).is_err() {
                    return;
                }
            }
            _ => return self.resume(tid, libc::SIGTRAP),
        }
        let address = registers.rip;
        if self.leaving || self.points.kind(address).is_none() {
            // Hit before it was taken away.
            self.resume(tid, 0);
        } else {
            self.hit(tid, address, &registers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_told_apart() {
        let stop = |signal: i32, event: i32| event << 16 | signal << 8 | 0x7f;
        assert_eq!(News::of(7 << 8), News::Exited(7));
        assert_eq!(News::of(9), News::Signaled(9));
        assert_eq!(News::of(stop(libc::SIGTRAP, 128)), News::Interrupted);
        for signal in [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            assert_eq!(News::of(stop(signal, 128)), News::GroupStop);
            assert_eq!(News::of(stop(signal, 0)), News::Signal(signal));
        }
        assert_eq!(News::of(stop(libc::SIGTRAP, 3)), News::Cloned);
        assert_eq!(News::of(stop(libc::SIGTRAP, 4)), News::Executed);
        assert_eq!(News::of(stop(libc::SIGTRAP | 0x80, 0)), News::Syscall);
        assert_eq!(News::of(stop(libc::SIGTRAP, 0)), News::Trap);
        assert_eq!(News::of(stop(64, 0)), News::Signal(64), "real-time signals");
        assert_eq!(News::of(0xffff), News::Other, "continued");
    }
}
