//! Faults at an exact point of a running, stock binary: at a function, or at a
//! system call on a path.
//!
//! A [`Tracer`] is a process of its own (`… __trace`), one for each process it
//! traces: ptrace(2) binds a tracee to one thread, and the waits of a tracer
//! and of the harness would steal each other's news. It seizes the process
//! only while something is armed, and detaches with the last arm, leaving
//! no breakpoint, no debug register and no stopped thread behind.
//!
//! # Code points
//!
//! Up to four addresses sit in the processor's debug registers: memory is not
//! touched, and no thread can slip past. Further addresses, or all where the
//! kernel refuses, become `int3` bytes; to step over one, every other thread is
//! stopped. **If a tracer is itself killed by SIGKILL, the kernel detaches but
//! leaves breakpoints of either kind.** The harness starts another at once to
//! clear them; a thread that hits one within these milliseconds, or that was
//! held at an `int3`, ends the process by SIGTRAP. If the harness is killed, the tracer clears them itself.
//!
//! A Go function whose stack is too small jumps to `morestack` and starts
//! again. Such a second start is the same call: after each hit the tracer
//! single-steps the stack check at the function's start, with signals held
//! back, and so knows whether the function went on or will start again in the
//! same goroutine. A start that follows a check that failed is not counted.
//!
//! # Holding a Go thread
//!
//! A thread held in user code keeps its P, and a stop-the-world waits for it:
//! start the member with `GOMAXPROCS=8 GOGC=off`. A thread held in a system
//! call gives its P away. [`Event::Released`] says whether others advanced.
//!
//! # System calls
//!
//! While a [`Point::Syscall`] is armed, every system call of every thread stops
//! twice, whatever it is. That costs; code points do not.
//!
//! # What ends what
//!
//! Dropping the [`Tracer`], or the harness's end, disarms all. If the tracer
//! process is killed, held threads go on. If the traced process executes
//! another program, all arms are gone ([`Event::Exec`]).
//!
//! Linux on x86-64 only; elsewhere [`Tracer::start`] answers
//! [`TraceError::Unsupported`].
//!
//! Sources: ptrace(2), proc(5), signal(7), Intel SDM vol. 3 ch. 17 (debug
//! registers, the resume flag), Go's `cmd/internal/obj/x86/obj6.go` (stack
//! check) and `src/cmd/compile/abi-internal.md` (goroutine in R14).

mod client;
#[cfg(target_arch = "x86_64")]
mod engine;
mod faults;
mod probe;
mod sys;
mod wire;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use client::{Options, Tracer};
pub use faults::{Armed, Tracers};
pub use probe::{Probe, probe};
pub use sys::let_anyone_trace;

/// Becomes a tracer if this process was started as one
/// (`… __trace <parent pid> <pid> …`), else returns.
///
/// Call it first in `main`, next to
/// [`launcher_main`](crate::process::launcher_main).
pub fn tracer_main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(std::ffi::OsStr::new(wire::MARK)) {
        return;
    }
    let args = args.map(|arg| arg.to_string_lossy().into_owned());
    let mut args = args.peekable();
    if args.peek().is_some_and(|arg| arg == wire::TARGET) {
        probe::target();
    }
    #[cfg(target_arch = "x86_64")]
    engine::main(args);
    #[cfg(not(target_arch = "x86_64"))]
    std::process::exit(2);
}

/// Names an arm for as long as its [`Tracer`] lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArmId(pub(crate) u64);

/// What to do, where, and at which hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// For events and reports.
    pub name: String,
    /// Where.
    pub point: Point,
    /// The first hit that is acted on, from 1.
    pub nth: u64,
    /// How many hits are acted on; all if none. Others are reported only.
    pub times: Option<u64>,
    /// Code points only: hits count only if one of the 32 nearest return
    /// addresses on the stack is in one of these. Any caller if empty. Needs
    /// frame pointers, which Go on amd64 has since 1.7.
    pub called_from: Vec<Range<u64>>,
    /// What to do.
    pub act: Act,
}

impl Arm {
    /// An arm that acts on every hit, from any caller.
    pub fn new(name: impl Into<String>, point: Point, act: Act) -> Self {
        Self {
            name: name.into(),
            point,
            nth: 1,
            times: None,
            called_from: Vec::new(),
            act,
        }
    }
}

/// Where an [`Arm`] is hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// A thread is about to execute the instruction at one of these.
    Code {
        /// Absolute addresses in the traced process, not offsets in a file.
        addresses: Vec<u64>,
        /// They are functions' entries. Needed for [`Act::Skip`], and for
        /// counting a call once whose stack has to grow.
        entry: bool,
    },
    /// A thread enters or leaves a system call.
    Syscall {
        /// Names as in syscalls(2): `write`, `fdatasync`, `renameat`.
        calls: Vec<String>,
        /// A glob on the path of the file descriptor or of any path argument,
        /// or on the address of a `connect` (`127.0.0.1:2380`). Without a `/`
        /// it is matched against the last component. Any if none.
        path: Option<String>,
        /// Before the call or after it.
        at: SyscallStop,
    },
}

/// Which side of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyscallStop {
    /// Nothing of the call has happened yet.
    Entry,
    /// The call is done; the thread does not know its result yet.
    Exit,
}

/// What is done to the thread that hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// SIGKILL to the whole process while the thread is stopped at the point:
    /// it never goes on.
    Kill,
    /// The thread stays stopped; all others run on. Ends by the limit,
    /// [`Tracer::release`], [`Tracer::disarm`] or the tracer's end.
    Hold {
        /// At most this long.
        limit: Duration,
    },
    /// A function's entry: returns to the caller at once. A system call's
    /// entry: it is not made. Only right for functions without results unless
    /// one is given.
    ///
    /// Results of Go before 1.17, and of assembly functions, are on the stack,
    /// where this cannot put them: take functions without results there.
    Skip {
        /// The value in RAX: the first integer result (Go 1.17 or newer, C), or
        /// what the system call returns (0 if none).
        result: Option<u64>,
    },
    /// Nothing but the event.
    Report,
    /// System calls only: it fails. At entry it is not made; at exit it was
    /// made, and only the answer is replaced.
    Fail {
        /// errno(3), positive.
        errno: i32,
    },
    /// Entry of `write`, `pwrite64`, `sendto` only: writes at most so many
    /// bytes. Go writes the rest by another call, so say what becomes of that.
    Short {
        /// At most this many.
        bytes: u64,
        /// What the next such call on the same file descriptor meets.
        then: Then,
    },
}

/// What follows an [`Act::Short`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Nothing: the rest is written.
    Nothing,
    /// It fails with this errno(3), positive.
    Fail(i32),
    /// The process is killed before it.
    Kill,
}

/// What happened in the traced process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A thread came to an armed point.
    Hit {
        /// The arm.
        arm: ArmId,
        /// Its name.
        name: String,
        /// The thread.
        tid: i32,
        /// Which hit of this arm it was, from 1.
        number: u64,
        /// Whether it was acted on (see [`Arm::nth`] and [`Arm::times`]).
        acted: bool,
        /// When, by CLOCK_MONOTONIC, in nanoseconds.
        monotonic_ns: u64,
        /// The system call's path or address, if it has one.
        path: Option<String>,
    },
    /// A held thread goes on, or is gone.
    Released {
        /// The arm that held it.
        arm: ArmId,
        /// Its name.
        name: String,
        /// The thread.
        tid: i32,
        /// How long it was held, in nanoseconds.
        held_ns: u64,
        /// What the process's other threads used of the processor meanwhile,
        /// in nanoseconds.
        others_cpu_ns: u64,
        /// Whether that is more than the tracer's own stops account for.
        advanced: bool,
        /// What ended the hold.
        why: ReleasedBy,
    },
    /// An action could not be carried out.
    Failed {
        /// The arm.
        arm: ArmId,
        /// The thread.
        tid: i32,
        /// The reason.
        reason: String,
    },
    /// The process executed another program: every arm is gone.
    Exec,
    /// The process ended while something was armed.
    Ended {
        /// Its exit code, if it ended by itself.
        code: Option<i32>,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
    /// Events were dropped because they came faster than they were read.
    Lost {
        /// How many.
        count: u64,
    },
    /// The tracer process is gone.
    TracerEnded,
}

/// What ended a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleasedBy {
    /// Its limit.
    Limit,
    /// [`Tracer::release`].
    Release,
    /// [`Tracer::disarm`], or the end of the tracer.
    Disarm,
    /// The thread's own end.
    Death,
}

/// Why something could not be traced.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Not on this kind of machine.
    #[error("tracing needs Linux on x86-64; this is {0}")]
    Unsupported(&'static str),
    /// The tracer process could not be started.
    #[error("cannot start the tracer {path}: {source}")]
    Start {
        /// The executable.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It started, but did not answer as a tracer.
    #[error("{path} did not act as a tracer: does its main call tracer_main() first?")]
    NotATracer {
        /// The executable.
        path: PathBuf,
    },
    /// The process to trace is not there any more.
    #[error("process {pid} has ended")]
    Ended {
        /// Its pid.
        pid: i32,
    },
    /// The tracer process is gone.
    #[error("the tracer of process {pid} is gone")]
    TracerEnded {
        /// The pid of the traced process.
        pid: i32,
    },
    /// The arm makes no sense.
    #[error("arm `{name}`: {reason}")]
    BadArm {
        /// The arm's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The kernel refused.
    #[error("tracing process {pid}: {reason}")]
    Refused {
        /// The process.
        pid: i32,
        /// What, and what to do about it.
        reason: String,
    },
}
