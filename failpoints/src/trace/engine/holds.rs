//! Threads kept at a point, and how they go on.

use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::frames::Memory;
use super::syscalls::AtExit;
use super::threads::State;
use super::tracee::Tracee;
use crate::trace::{ArmId, Event, ReleasedBy};

/// What stopping a thread costs the process itself.
const NOISE: Duration = Duration::from_micros(50);

/// The resume flag (Intel SDM vol. 3, 17.3.1.1): the instruction at hand does
/// not trap once.
pub(super) const RESUME_FLAG: u64 = 1 << 16;

/// One arm's hold of one thread.
pub(super) struct Hold {
    pub(super) arm: ArmId,
    pub(super) name: String,
    pub(super) since: Instant,
    pub(super) until: Instant,
    /// Processor time of the whole process when it began.
    pub(super) cpu: Duration,
}

/// A held thread: by whom, and what is left to do.
pub(super) struct Held {
    pub(super) holds: Vec<Hold>,
    pub(super) next: Next,
}

/// How a thread goes on from a point.
pub(super) enum Next {
    /// Executes the function, or leaves it at once.
    Code {
        address: u64,
        skip: Option<Option<u64>>,
    },
    /// Enters or leaves the system call, changed.
    Syscall(Change),
}

/// What is changed of a system call.
#[derive(Default)]
pub(super) struct Change {
    pub(super) at_exit: Option<AtExit>,
    /// Entry: it is not made.
    pub(super) suppress: bool,
    /// Entry: it writes no more than this.
    pub(super) count: Option<u64>,
    /// Exit: what it answers.
    pub(super) answer: Option<i64>,
}

impl Tracee {
    /// Processor time of the process so far.
    pub(super) fn cpu(&self) -> Duration {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(self.pid));
        let time = clock.and_then(clock_gettime);
        time.map_or(Duration::ZERO, Duration::from)
    }

    /// When the next hold ends by its limit.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let held = self
            .threads
            .values()
            .filter_map(|thread| match &thread.state {
                State::Held(held) => held.holds.iter().map(|hold| hold.until).min(),
                _ => None,
            });
        held.min()
    }

    pub(super) fn end_due_holds(&mut self) {
        let now = Instant::now();
        self.end_holds(ReleasedBy::Limit, |_, hold| hold.until <= now);
    }

    pub(super) fn release(&mut self, arm: ArmId, why: ReleasedBy) {
        self.end_holds(why, |_, hold| hold.arm == arm);
    }

    pub(super) fn release_all(&mut self, why: ReleasedBy) {
        self.end_holds(why, |_, _| true);
    }

    pub(super) fn release_thread(&mut self, tid: i32, why: ReleasedBy) {
        self.end_holds(why, |held, _| held == tid);
    }

    fn end_holds(&mut self, why: ReleasedBy, ends: impl Fn(i32, &Hold) -> bool) {
        let mut over = Vec::new();
        let mut free = Vec::new();
        for (&tid, thread) in &mut self.threads {
            let State::Held(held) = &mut thread.state else {
                continue;
            };
            over.extend(
                held.holds
                    .extract_if(.., |hold| ends(tid, hold))
                    .map(|h| (tid, h)),
            );
            if held.holds.is_empty() {
                free.push(tid);
            }
        }
        if !over.is_empty() {
            let cpu = self.cpu();
            for (tid, hold) in over {
                // A process that is gone has no clock any more.
                let others = cpu.saturating_sub(hold.cpu);
                self.out.event(Event::Released {
                    arm: hold.arm,
                    name: hold.name,
                    tid,
                    held_ns: nanoseconds(hold.since.elapsed()),
                    others_cpu_ns: nanoseconds(others),
                    advanced: others > NOISE,
                    why,
                });
            }
        }
        for tid in free {
            let Some(thread) = self.threads.get_mut(&tid) else {
                continue;
            };
            let state = std::mem::replace(&mut thread.state, State::Doomed);
            if let (State::Held(held), false) = (state, why == ReleasedBy::Death) {
                self.go_on(tid, held.next);
            }
        }
    }

    /// From a point, as was decided there.
    pub(super) fn go_on(&mut self, tid: i32, next: Next) {
        match next {
            Next::Code {
                address,
                skip: None,
            } => self.step_on(tid, address),
            Next::Code {
                skip: Some(result), ..
            } => {
                self.return_at_once(tid, result);
                self.resume(tid, 0);
            }
            Next::Syscall(change) => {
                self.change_syscall(tid, change);
                self.resume(tid, 0);
            }
        }
    }

    /// From a function's entry to its caller.
    fn return_at_once(&self, tid: i32, result: Option<u64>) {
        let thread = Pid::from_raw(tid);
        let Ok(mut registers) = ptrace::getregs(thread) else {
            return;
        };
        let Some(back) = self.memory.word(registers.rsp) else {
            return;
        };
        registers.rip = back;
        registers.rsp += 8;
        registers.eflags &= !RESUME_FLAG;
        if let Some(result) = result {
            registers.rax = result;
        }
        // It fails only if the thread was killed.
        let _ = ptrace::setregs(thread, registers);
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
