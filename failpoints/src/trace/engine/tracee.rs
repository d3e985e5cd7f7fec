//! The traced process: what is armed, and in force on which thread.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::{Duration, Instant};

use globset::GlobMatcher;
use nix::sys::signalfd::SignalFd;

use super::out::Out;
use super::points::{MemoryFile, Points};
use super::syscalls;
use super::threads::{self, State, Thread};
use crate::trace::wire::{Order, Planted, Refusal, Said, What};
use crate::trace::{Act, Arm, ArmId, Event, Point, ReleasedBy, SyscallStop};

/// How long threads may take to stop. Longer only in system calls that cannot
/// be interrupted, on a hanging disk.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// After this long a thread that cannot be interrupted counts as stopped: it
/// does stop before its next instruction.
const STOP_PATIENCE: Duration = Duration::from_millis(2);
/// News handled before orders are looked at.
const AT_ONCE: usize = 512;

pub(super) struct Armed {
    pub(super) arm: Arm,
    pub(super) matched: u64,
    pub(super) acted: u64,
    /// Numbers of its system calls.
    pub(super) calls: BTreeSet<u64>,
    pub(super) glob: Option<GlobMatcher>,
    /// The file descriptor of a write that was cut short.
    pub(super) cut: Option<u64>,
}

impl Armed {
    /// Counts a hit: its number, and whether to act on it.
    pub(super) fn count(&mut self) -> (u64, bool) {
        self.matched += 1;
        let act =
            self.matched >= self.arm.nth && self.arm.times.is_none_or(|times| self.acted < times);
        self.acted += u64::from(act);
        (self.matched, act)
    }

    /// Whether it is armed at this side of system calls.
    pub(super) fn is_at(&self, side: SyscallStop) -> bool {
        matches!(self.arm.point, Point::Syscall { at, .. } if at == side)
    }
}

pub(super) struct Tracee {
    pub(super) pid: i32,
    /// Start time; another process with this pid has another.
    birth: Option<u64>,
    pub(super) signals: SignalFd,
    pub(super) out: Out,
    pub(super) memory: MemoryFile,
    pub(super) threads: BTreeMap<i32, Thread>,
    pub(super) arms: BTreeMap<ArmId, Armed>,
    pub(super) points: Points,
    /// Counts changes; a thread has the one that it last went on with.
    pub(super) generation: u64,
    /// Threads are detached as they stop.
    pub(super) leaving: bool,
    /// Threads stay stopped, with their news kept in `parked`.
    pub(super) world_stops: bool,
    pub(super) parked: VecDeque<(i32, i32)>,
    /// Goroutine and address of calls that will start again.
    pub(super) restarting: HashSet<(u64, u64)>,
    /// Why the debug registers could not be set.
    pub(super) registers_refused: Option<nix::errno::Errno>,
    busy: bool,
    /// What was last said to be planted.
    told: Planted,
}

impl Tracee {
    pub(super) fn new(pid: i32, software: bool, signals: SignalFd, out: Out) -> Self {
        Self {
            pid,
            birth: threads::birth(pid),
            signals,
            out,
            memory: MemoryFile::closed(),
            threads: BTreeMap::new(),
            arms: BTreeMap::new(),
            points: Points::new(software),
            generation: 1,
            leaving: false,
            world_stops: false,
            parked: VecDeque::new(),
            restarting: HashSet::new(),
            registers_refused: None,
            busy: false,
            told: Planted::new(),
        }
    }

    /// Whether there may be news already.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// News came, but were not all taken.
    pub(super) fn look_again(&mut self) {
        self.busy = true;
    }

    /// Takes what the kernel has to say, without waiting.
    pub(super) fn news(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        self.busy = true;
        for _ in 0..AT_ONCE {
            if !self.world_stops
                && let Some((tid, status)) = self.parked.pop_front()
            {
                self.on_status(tid, status);
                continue;
            }
            match crate::trace::sys::wait(-1, false) {
                Ok(Some((tid, status))) => self.on_status(tid, status),
                _ => {
                    self.busy = false;
                    return;
                }
            }
        }
    }

    pub(super) fn obey(&mut self, order: Order) {
        let done = match order.what {
            What::Arm(id, arm) => self.arm(id, arm),
            What::Disarm(id) => self.disarm(id),
            What::Release(id) => {
                self.release(id, ReleasedBy::Release);
                Ok(())
            }
        };
        self.out.say(&match done {
            Ok(()) => Said::Done(order.id),
            Err(refusal) => Said::Refused(order.id, refusal),
        });
    }

    fn arm(&mut self, id: ArmId, arm: Arm) -> Result<(), Refusal> {
        let armed = prepare(arm).map_err(Refusal::Bad)?;
        if self.birth.is_none() || threads::birth(self.pid) != self.birth {
            return Err(Refusal::Ended);
        }
        let done = self.put_in_force(id, armed);
        if done.is_err() {
            let _ = self.disarm(id);
        }
        done
    }

    fn put_in_force(&mut self, id: ArmId, armed: Armed) -> Result<(), Refusal> {
        self.leaving = false;
        self.seize()?;
        if let Point::Code { addresses, entry } = &armed.arm.point {
            self.points
                .add(id, addresses, *entry, &self.memory)
                .map_err(Refusal::Bad)?;
            self.tell_planted();
        }
        self.arms.insert(id, armed);
        self.change().map_err(Refusal::Kernel)?;
        if self.registers_refused.take().is_some() {
            self.points.use_memory(&self.memory);
            self.tell_planted();
            self.change().map_err(Refusal::Kernel)?;
        }
        // The program may have ended, or executed another, meanwhile.
        match self.arms.contains_key(&id) {
            true => Ok(()),
            false => Err(Refusal::Ended),
        }
    }

    /// Also right for an arm that is gone already.
    fn disarm(&mut self, id: ArmId) -> Result<(), Refusal> {
        self.points.remove(id, &self.memory);
        self.tell_planted();
        let known = self.arms.remove(&id).is_some();
        self.release(id, ReleasedBy::Disarm);
        if self.arms.is_empty() {
            self.leave().map_err(Refusal::Kernel)
        } else if known {
            self.change().map_err(Refusal::Kernel)
        } else {
            Ok(())
        }
    }

    /// So that another can put the bytes back if we cannot.
    fn tell_planted(&mut self) {
        let planted = self.points.planted();
        if planted != self.told {
            self.out.say(&Said::Planted(planted.clone()));
            self.told = planted;
        }
    }

    /// Puts what is armed now in force on every thread.
    fn change(&mut self) -> Result<(), String> {
        self.generation += 1;
        let stale = |tracee: &Self| -> Vec<i32> {
            let of = tracee.threads.iter();
            of.filter(|(_, thread)| thread.generation != tracee.generation)
                .map(|(tid, _)| *tid)
                .collect()
        };
        for tid in stale(self) {
            match self.threads[&tid].state {
                State::Held(_) => self.apply(tid),
                State::Running | State::Listening => self.interrupt(tid),
                State::Parked | State::Doomed => {}
            }
        }
        self.until_stopped(stale)
    }

    /// Waits until `left` is empty, or has only threads that cannot run.
    pub(super) fn until_stopped(&mut self, left: impl Fn(&Self) -> Vec<i32>) -> Result<(), String> {
        let start = Instant::now();
        loop {
            self.news();
            let waiting = left(self);
            let waited = start.elapsed();
            let pid = self.pid;
            let is_stopped = |tid: &i32| {
                matches!(self.threads.get(tid).map(|t| &t.state), Some(State::Doomed))
                    || (waited > STOP_PATIENCE && threads::state(pid, *tid) == Some('D'))
            };
            if waiting.iter().all(is_stopped) {
                return Ok(());
            }
            if waited > STOP_LIMIT {
                return Err(format!("threads {waiting:?} do not stop"));
            }
            if !self.busy {
                let soon = Instant::now() + Duration::from_millis(1);
                super::wait(self, false, Some(soon));
            }
        }
    }

    /// Takes away what a tracer left that was killed.
    pub(super) fn clear(&mut self, planted: Planted) -> Result<(), String> {
        match self.seize() {
            Ok(()) => {}
            Err(Refusal::Ended) => return Ok(()),
            Err(Refusal::Bad(reason) | Refusal::Kernel(reason)) => return Err(reason),
        }
        self.points.uncover(planted, &self.memory);
        self.leave()
    }

    /// Disarms all and detaches, leaving the process as it was.
    pub(super) fn leave(&mut self) -> Result<(), String> {
        let arms: Vec<ArmId> = self.arms.keys().copied().collect();
        for id in arms {
            self.points.remove(id, &self.memory);
        }
        self.tell_planted();
        self.arms.clear();
        self.restarting.clear();
        self.generation += 1;
        self.leaving = true;
        self.release_all(ReleasedBy::Disarm);
        let start = Instant::now();
        while !self.threads.is_empty() {
            let running: Vec<i32> = self.threads.keys().copied().collect();
            for tid in running {
                self.interrupt(tid);
            }
            self.news();
            if start.elapsed() > STOP_LIMIT {
                let left: Vec<_> = self.threads.keys().collect();
                return Err(format!(
                    "threads {left:?} do not stop; they are let go when they do"
                ));
            }
            if !self.threads.is_empty() && !self.busy {
                let soon = Instant::now() + Duration::from_millis(20);
                super::wait(self, false, Some(soon));
            }
        }
        self.points.forget();
        Ok(())
    }

    /// The process is gone, or its program is: so is all that was armed.
    pub(super) fn forget(&mut self, event: Event) {
        self.release_all(ReleasedBy::Death);
        if !self.arms.is_empty() {
            self.out.event(event);
        }
        self.arms.clear();
        self.threads.clear();
        self.parked.clear();
        self.restarting.clear();
        self.points.forget();
        self.tell_planted();
        self.memory = MemoryFile::closed();
    }
}

/// Checks what can be checked before the process is touched.
fn prepare(arm: Arm) -> Result<Armed, String> {
    if arm.nth == 0 {
        return Err("hits count from 1: `nth` is 0".into());
    }
    let mut armed = Armed {
        arm,
        matched: 0,
        acted: 0,
        calls: BTreeSet::new(),
        glob: None,
        cut: None,
    };
    match &armed.arm.point {
        Point::Code { addresses, entry } => {
            if addresses.is_empty() {
                return Err("no addresses".into());
            }
            match armed.arm.act {
                Act::Skip { .. } if !entry => {
                    return Err("only a function's entry can be skipped".into());
                }
                Act::Fail { .. } | Act::Short { .. } => {
                    return Err("only system calls fail or write short".into());
                }
                _ => {}
            }
        }
        Point::Syscall { calls, path, at } => {
            if !armed.arm.called_from.is_empty() {
                return Err("`called_from` is for code points".into());
            }
            armed.calls = syscalls::numbers(calls)?;
            armed.glob = path.as_deref().map(syscalls::glob).transpose()?;
            syscalls::check(&armed.arm.act, calls, *at)?;
        }
    }
    Ok(armed)
}
