//! Stops at system calls: which arms count them, and how calls are changed.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::hits::{Decision, monotonic};
use super::holds::{Change, Next};
use super::paths;
use super::tracee::Tracee;
use crate::trace::sys::{self, SyscallSide};
use crate::trace::{Act, Event, SyscallStop, Then};

/// What is done when a changed system call ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum AtExit {
    /// It answers this.
    Answer(i64),
    /// Its third argument is put back; the kernel's ABI preserves it.
    Third(u64),
}

/// Calls whose third argument is how much to write.
const COUNTED: [&str; 3] = ["write", "pwrite64", "sendto"];

pub(super) fn numbers(calls: &[String]) -> Result<BTreeSet<u64>, String> {
    if calls.is_empty() {
        return Err("no system calls".into());
    }
    let number = |name: &String| {
        paths::number(name)
            .ok_or_else(|| format!("unknown system call `{name}`; known: {}", paths::known()))
    };
    calls.iter().map(number).collect()
}

pub(super) fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    // `*` stops at a slash, as in a shell; `**` does not.
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|e| format!("path: {e}"))?;
    Ok(glob.compile_matcher())
}

/// A pattern without a slash is for the last component.
fn matches(glob: &GlobMatcher, path: &str) -> bool {
    match glob.glob().glob().contains('/') {
        true => glob.is_match(path),
        false => glob.is_match(path.rsplit('/').next().unwrap_or(path)),
    }
}

pub(super) fn check(act: &Act, calls: &[String], at: SyscallStop) -> Result<(), String> {
    let errno = |errno: i32| match errno {
        1..=4095 => Ok(()),
        _ => Err(format!("errno {errno} is not in 1..=4095")),
    };
    match act {
        Act::Fail { errno: number } => errno(*number),
        Act::Skip { .. } if at == SyscallStop::Exit => {
            Err("a system call can be skipped at its entry only".into())
        }
        Act::Short { then, .. } => {
            if at == SyscallStop::Exit || calls.iter().any(|c| !COUNTED.contains(&c.as_str())) {
                return Err(format!(
                    "only the entry of {} can be cut short",
                    COUNTED.join(", ")
                ));
            }
            match then {
                Then::Fail(number) => errno(*number),
                Then::Nothing | Then::Kill => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

impl Tracee {
    pub(super) fn on_syscall(&mut self, tid: i32) {
        let (number, args, side) = match sys::syscall_side(tid) {
            Ok(SyscallSide::Entry { number, args }) => (number, args, SyscallStop::Entry),
            Ok(SyscallSide::Exit) => match self.on_exit(tid) {
                Some((number, args)) => (number, args, SyscallStop::Exit),
                None => return self.resume(tid, 0),
            },
            Ok(SyscallSide::Neither) | Err(_) => return self.resume(tid, 0),
        };
        self.at_syscall(tid, number, args, side);
    }

    /// Finishes what was begun at the entry. The call, if somebody asks.
    fn on_exit(&mut self, tid: i32) -> Option<(u64, [u64; 6])> {
        let at_exit = self.threads.get_mut(&tid)?.at_exit.take();
        let asked = self
            .arms
            .values()
            .any(|armed| armed.is_at(SyscallStop::Exit));
        if at_exit.is_none() && !asked {
            return None;
        }
        let thread = Pid::from_raw(tid);
        let mut registers = ptrace::getregs(thread).ok()?;
        match at_exit {
            Some(AtExit::Answer(answer)) => registers.rax = answer.cast_unsigned(),
            Some(AtExit::Third(third)) => registers.rdx = third,
            None => {}
        }
        if at_exit.is_some() {
            ptrace::setregs(thread, registers).ok()?;
        }
        let r = &registers;
        let args = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
        asked.then_some((r.orig_rax, args))
    }

    fn at_syscall(&mut self, tid: i32, number: u64, args: [u64; 6], side: SyscallStop) {
        let arms = self.arms.iter_mut();
        let concerned: Vec<_> = arms
            .filter(|(_, armed)| armed.is_at(side) && armed.calls.contains(&number))
            .collect();
        if self.leaving || concerned.is_empty() {
            return self.resume(tid, 0);
        }
        let paths = paths::paths(self.pid, &self.memory, number, &args);
        let mut decision = Decision::default();
        let mut change = Change::default();
        for (id, armed) in concerned {
            let path = match &armed.glob {
                None => paths.first(),
                Some(glob) => match paths.iter().find(|path| matches(glob, path)) {
                    None => continue,
                    found => found,
                },
            };
            let rest = armed.cut.take_if(|fd| *fd == args[0]);
            let (count, acted) = armed.count();
            self.out.event(Event::Hit {
                arm: *id,
                name: armed.arm.name.clone(),
                tid,
                number: count,
                acted: acted || rest.is_some(),
                monotonic_ns: monotonic(),
                path: path.cloned(),
            });
            if let (Some(_), Act::Short { then, .. }) = (rest, &armed.arm.act) {
                match then {
                    Then::Nothing => {}
                    Then::Fail(errno) => change.fail(*errno, side),
                    Then::Kill => decision.kill = true,
                }
                continue;
            }
            match armed.arm.act {
                _ if !acted => {}
                Act::Kill => decision.kill = true,
                Act::Hold { limit } => {
                    decision.holds.push((*id, armed.arm.name.clone(), limit));
                }
                Act::Skip { result } => {
                    change.suppress = true;
                    change.at_exit = Some(AtExit::Answer(result.unwrap_or(0).cast_signed()));
                }
                Act::Fail { errno } => change.fail(errno, side),
                Act::Short { bytes, .. } if args[2] > bytes => {
                    change.count = Some(bytes);
                    armed.cut = Some(args[0]);
                }
                Act::Short { .. } | Act::Report => {}
            }
        }
        self.carry_out(tid, decision, Next::Syscall(change));
    }

    /// Changes a system call that a stopped thread is about to make, or has
    /// made.
    pub(super) fn change_syscall(&mut self, tid: i32, change: Change) {
        if !change.suppress && change.count.is_none() && change.answer.is_none() {
            return;
        }
        let thread = Pid::from_raw(tid);
        let Ok(mut registers) = ptrace::getregs(thread) else {
            return;
        };
        let mut at_exit = change.at_exit;
        if change.suppress {
            // No such system call.
            registers.orig_rax = u64::MAX;
        } else if let Some(count) = change.count {
            at_exit = Some(AtExit::Third(registers.rdx));
            registers.rdx = count;
        }
        if let Some(answer) = change.answer {
            registers.rax = answer.cast_unsigned();
        }
        if ptrace::setregs(thread, registers).is_ok()
            && let Some(thread) = self.threads.get_mut(&tid)
        {
            thread.at_exit = at_exit;
        }
    }
}

impl Change {
    fn fail(&mut self, errno: i32, side: SyscallStop) {
        let answer = -i64::from(errno);
        match side {
            SyscallStop::Entry => {
                self.suppress = true;
                self.at_exit = Some(AtExit::Answer(answer));
            }
            SyscallStop::Exit => self.answer = Some(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_patterns_match_the_last_component() {
        for (pattern, path, expected) in [
            ("*.wal", "/d/member/wal/0-0.wal", true),
            ("*.wal", "/d/member/wal/0.tmp", false),
            ("db", "/d/member/snap/db", true),
            ("db", "/d/member/snap/db.tmp", false),
            ("db*", "/db/other", false),
            ("/d/**/db", "/d/member/snap/db", true),
            ("/d/*/db", "/d/member/snap/db", false),
            ("127.0.0.1:2380", "127.0.0.1:2380", true),
            ("*:2380", "[::1]:2380", true),
        ] {
            assert_eq!(
                matches(&glob(pattern).unwrap(), path),
                expected,
                "{pattern} {path}"
            );
        }
        assert!(glob("a[").is_err());
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        let error = numbers(&["write".into(), "wriet".into()]).unwrap_err();
        assert!(
            error.contains("`wriet`") && error.contains("fdatasync"),
            "{error}"
        );
        assert_eq!(numbers(&["write".into()]).unwrap().len(), 1);
        let fail = |errno| check(&Act::Fail { errno }, &[], SyscallStop::Exit);
        assert!(fail(0).is_err() && fail(-5).is_err() && fail(5).is_ok());
        let short = Act::Short {
            bytes: 1,
            then: Then::Fail(28),
        };
        assert!(check(&short, &["write".into()], SyscallStop::Entry).is_ok());
        assert!(check(&short, &["write".into()], SyscallStop::Exit).is_err());
        assert!(check(&short, &["fsync".into()], SyscallStop::Entry).is_err());
    }
}
