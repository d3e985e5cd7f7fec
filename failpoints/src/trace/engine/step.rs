//! From a breakpoint to the instruction after it, or past the stack check.

use std::time::{Duration, Instant};

use libc::user_regs_struct;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::frames::Memory;
use super::holds::RESUME_FLAG;
use super::points::Kind;
use super::prologue::{Goroutine, StackCheck};
use super::stops::{News, TRAP_TRACE};
use super::threads::{self, State};
use super::tracee::Tracee;
use crate::trace::sys::{self, Resume};

/// No stack check has as many instructions.
const STEPS: usize = 24;

/// Signals that an instruction itself raises: they must not be held back, or
/// the kernel kills the process.
const SYNCHRONOUS: [i32; 6] = [
    libc::SIGTRAP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGSYS,
];

enum Stepped {
    /// Past it: the function has begun.
    Past,
    /// To `morestack`: the function will start again.
    Restarts,
    /// Something else happened first.
    News(i32),
    /// The thread is gone.
    Gone,
}

impl Tracee {
    /// Lets a thread at a breakpoint go on.
    pub(super) fn step_on(&mut self, tid: i32, address: u64) {
        let kind = self.points.kind(address);
        let check = self.points.check(address).cloned();
        let Some(kind) = kind else {
            // Disarmed while the thread was held.
            return self.resume(tid, 0);
        };
        let thread = Pid::from_raw(tid);
        let Ok(mut registers) = ptrace::getregs(thread) else {
            return;
        };
        let in_memory = matches!(kind, Kind::Byte(_));
        if !in_memory && registers.eflags & RESUME_FLAG == 0 {
            registers.eflags |= RESUME_FLAG;
            let _ = ptrace::setregs(thread, registers);
        }
        if !in_memory && check.is_none() {
            return self.resume(tid, 0);
        }
        let goroutine = self.goroutine(address, &registers);

        if in_memory {
            self.stop_world(tid);
            self.points.show(address, true, &self.memory);
        }
        self.apply(tid);
        // A Go signal handler may make the thread come back to the entry by
        // itself (asyncPreempt), which could not be told from a new call.
        let mask = sys::signal_mask(tid);
        if let Ok(mask) = mask {
            let all_but = SYNCHRONOUS
                .iter()
                .fold(!0, |all, n| all & !(1_u64 << (n - 1)));
            let _ = sys::set_signal_mask(tid, mask | all_but);
        }
        let stepped = self.step(tid, address, check.as_ref());
        if let Ok(mask) = mask {
            let _ = sys::set_signal_mask(tid, mask);
        }
        if in_memory {
            self.points.show(address, false, &self.memory);
            // What was kept is looked at next.
            self.world_stops = false;
            self.look_again();
        }
        match stepped {
            Stepped::Past => self.resume(tid, 0),
            Stepped::Restarts => {
                if let Some(goroutine) = goroutine {
                    self.restarting.insert((goroutine, address));
                }
                self.resume(tid, 0);
            }
            Stepped::News(status) => self.on_status(tid, status),
            Stepped::Gone => {}
        }
    }

    fn step(&mut self, tid: i32, address: u64, check: Option<&StackCheck>) -> Stepped {
        let thread = Pid::from_raw(tid);
        let mut steps = 0;
        while steps < STEPS {
            if sys::resume(tid, Resume::Step, 0).is_err() {
                return Stepped::Gone;
            }
            let Some(status) = self.step_news(tid) else {
                return Stepped::Gone;
            };
            match News::of(status) {
                News::Exited(_) | News::Signaled(_) => {
                    self.on_status(tid, status);
                    return Stepped::Gone;
                }
                // A stop asked for earlier; it did not move.
                News::Interrupted => {
                    if let Some(thread) = self.threads.get_mut(&tid) {
                        thread.interrupted = false;
                    }
                    continue;
                }
                News::Trap if ptrace::getsiginfo(thread).is_ok_and(|i| i.si_code == TRAP_TRACE) => {
                }
                _ => return Stepped::News(status),
            }
            steps += 1;
            let (Some(check), Ok(registers)) = (check, ptrace::getregs(thread)) else {
                return Stepped::Past;
            };
            if check.grows.contains(&registers.rip) {
                return Stepped::Restarts;
            }
            if !(address..check.end).contains(&registers.rip) {
                return Stepped::Past;
            }
        }
        Stepped::Past
    }

    /// Waits for a thread that was told to step.
    ///
    /// Not in the kernel if it leads its process: the end of a leader is told
    /// only after the ends of its other threads were taken.
    fn step_news(&mut self, tid: i32) -> Option<i32> {
        let leader = tid == self.pid;
        loop {
            match sys::wait(tid, !leader) {
                Ok(Some((_, status))) => return Some(status),
                Ok(None) if !matches!(threads::state(tid, tid), None | Some('Z' | 'X')) => {
                    let soon = Instant::now() + Duration::from_millis(1);
                    super::wait(self, false, Some(soon));
                    while let Ok(Some(_)) = self.signals.read_signal() {}
                    self.look_again();
                }
                _ => return None,
            }
        }
    }

    /// The goroutine that calls the function at this address, if it is Go's.
    pub(super) fn goroutine(&self, address: u64, registers: &user_regs_struct) -> Option<u64> {
        match self.points.check(address)?.goroutine {
            Goroutine::R14 => Some(registers.r14),
            Goroutine::Local(offset) => self.memory.word(registers.fs_base.wrapping_add(offset)),
        }
    }

    /// Stops every thread but this one, and keeps their news.
    fn stop_world(&mut self, but: i32) {
        self.world_stops = true;
        let others: Vec<i32> = self.threads.keys().copied().filter(|t| *t != but).collect();
        for tid in others {
            if matches!(self.threads[&tid].state, State::Running) {
                self.interrupt(tid);
            }
        }
        // A thread that does not stop is in the kernel, and stops before its
        // next instruction.
        let _ = self.until_stopped(|tracee| {
            let of = tracee.threads.iter();
            of.filter(|(tid, thread)| **tid != but && matches!(thread.state, State::Running))
                .map(|(tid, _)| *tid)
                .collect()
        });
    }
}
