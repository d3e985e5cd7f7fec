//! A thread at a code point: which arms count it, and what is done.

use std::time::{Duration, Instant};

use libc::user_regs_struct;
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::frames;
use super::holds::{Held, Hold, Next, nanoseconds};
use super::threads::State;
use super::tracee::Tracee;
use crate::trace::{Act, ArmId, Event};

/// What the arms that are hit want done.
#[derive(Default)]
pub(super) struct Decision {
    pub(super) kill: bool,
    pub(super) holds: Vec<(ArmId, String, Duration)>,
}

impl Tracee {
    pub(super) fn hit(&mut self, tid: i32, address: u64, registers: &user_regs_struct) {
        if let Some(goroutine) = self.goroutine(address, registers)
            && self.restarting.remove(&(goroutine, address))
        {
            return self.step_on(tid, address);
        }
        let mut decision = Decision::default();
        let mut skip = None;
        let at_boundary = self.points.is_at_boundary(address);
        for id in self.points.arms(address) {
            let Some(armed) = self.arms.get_mut(&id) else {
                continue;
            };
            let callers = &armed.arm.called_from;
            let (stack, frame) = (registers.rsp, registers.rbp);
            if !callers.is_empty()
                && !frames::called_from(&self.memory, at_boundary, stack, frame, callers)
            {
                continue;
            }
            let (number, acted) = armed.count();
            self.out.event(Event::Hit {
                arm: id,
                name: armed.arm.name.clone(),
                tid,
                number,
                acted,
                monotonic_ns: monotonic(),
                path: None,
            });
            match armed.arm.act {
                _ if !acted => {}
                Act::Kill => decision.kill = true,
                Act::Hold { limit } => {
                    decision.holds.push((id, armed.arm.name.clone(), limit));
                }
                Act::Skip { result } => skip = Some(result),
                Act::Report | Act::Fail { .. } | Act::Short { .. } => {}
            }
        }
        self.carry_out(tid, decision, Next::Code { address, skip });
    }

    /// Kills, holds, or lets the thread go on.
    pub(super) fn carry_out(&mut self, tid: i32, decision: Decision, next: Next) {
        let cpu = if decision.holds.is_empty() {
            Duration::ZERO
        } else {
            self.cpu()
        };
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        if decision.kill {
            // It leaves this stop only to die.
            thread.state = State::Doomed;
            self.killed = true;
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
            return;
        }
        if decision.holds.is_empty() {
            return self.go_on(tid, next);
        }
        let since = Instant::now();
        let holds = decision.holds.into_iter();
        let holds = holds.map(|(arm, name, limit)| Hold {
            arm,
            name,
            since,
            until: since + limit,
            cpu,
        });
        thread.state = State::Held(Box::new(Held {
            holds: holds.collect(),
            next,
        }));
    }
}

pub(super) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| nanoseconds(Duration::from(now)))
}
