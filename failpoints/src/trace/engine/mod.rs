//! The tracer process: one thread, one loop.

mod frames;
mod hits;
mod holds;
mod out;
mod paths;
mod points;
mod prologue;
mod step;
mod stops;
mod syscalls;
mod threads;
mod tracee;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid, setpgid};

use super::wire::{CLEAR, MAX_ORDER, Order, SOFTWARE, Said};
use tracee::Tracee;

/// Seconds that the last detaching may take. It has a limit of its own; this
/// one is for a system call that hangs.
const LAST_LIMIT: u32 = 20;

/// Runs until standard input ends, then disarms all and exits.
pub(super) fn main(args: impl Iterator<Item = String>) -> ! {
    match run(args) {
        Ok(()) => std::process::exit(0),
        Err(reason) => {
            eprintln!("tracer: {reason}");
            std::process::exit(1)
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let mut number = |what: &str| -> Result<i32, String> {
        let arg = args.next().and_then(|arg| arg.parse().ok());
        arg.ok_or(format!("{what} is missing"))
    };
    let (parent, pid) = (number("the parent's pid")?, number("the pid to trace")?);
    let mut software = false;
    let mut bytes = None;
    for arg in args {
        match arg.strip_prefix(CLEAR) {
            Some(list) => bytes = Some(list.to_owned()),
            None => software |= arg == SOFTWARE,
        }
    }

    // No PR_SET_PDEATHSIG: the kernel would kill us before we could take the
    // breakpoints away, which it leaves in place. The end of standard input
    // tells of the parent's death as well.
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(|e| format!("setpgid: {e}"))?;
    if getppid() != Pid::from_raw(parent) {
        return Err(format!("the parent {parent} is gone"));
    }
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children
        .thread_block()
        .map_err(|e| format!("sigprocmask: {e}"))?;
    let news = SignalFd::with_flags(&children, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|e| format!("signalfd: {e}"))?;
    let out = out::Out::new().map_err(|e| format!("standard output: {e}"))?;
    let mut tracee = Tracee::new(pid, software, news, out);
    if let Some(bytes) = bytes {
        let bytes = serde_json::from_str(&bytes).map_err(|e| format!("{CLEAR}: {e}"))?;
        return within_limit(|| tracee.clear(bytes));
    }
    tracee.out.say(&Said::Ready);

    let mut orders = Orders::default();
    while !orders.ended {
        if !tracee.is_busy() {
            wait(&tracee, true, tracee.next_deadline());
        }
        tracee.news();
        tracee.end_due_holds();
        tracee.out.flush();
        for order in orders.read()? {
            tracee.obey(order);
        }
    }
    within_limit(|| {
        let left = tracee.leave();
        tracee.out.flush();
        left
    })
}

/// Ends us if this takes much longer than it may.
fn within_limit<T>(work: impl FnOnce() -> T) -> T {
    nix::unistd::alarm::set(LAST_LIMIT);
    let done = work();
    nix::unistd::alarm::cancel();
    done
}

/// Sleeps until there is news of a thread, room for output, an order (if asked
/// for), or the deadline.
fn wait(tracee: &Tracee, for_orders: bool, deadline: Option<Instant>) {
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let mut fds = vec![PollFd::new(tracee.signals.as_fd(), PollFlags::POLLIN)];
    if for_orders {
        fds.push(PollFd::new(input.as_fd(), PollFlags::POLLIN));
    }
    if tracee.out.is_waiting() {
        fds.push(PollFd::new(output.as_fd(), PollFlags::POLLOUT));
    }
    let timeout = match deadline {
        None => PollTimeout::NONE,
        Some(deadline) => {
            // Rounded up, or the last millisecond would be spent polling.
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left + Duration::from_micros(999);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        }
    };
    // Interrupted or not, the callers look at everything again.
    let _ = poll(&mut fds, timeout);
}

/// Orders from standard input, a line each.
#[derive(Default)]
struct Orders {
    buffer: Vec<u8>,
    ended: bool,
}

impl Orders {
    /// Those that are there, without waiting.
    fn read(&mut self) -> Result<Vec<Order>, String> {
        let input = std::io::stdin();
        loop {
            let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(n) if n > 0) {
                break;
            }
            let mut chunk = [0; 4096];
            match nix::unistd::read(&input, &mut chunk) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(format!("standard input: {error}")),
            }
            if self.buffer.len() > 2 * MAX_ORDER {
                break;
            }
        }
        let mut orders = Vec::new();
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let order = serde_json::from_slice(&line);
            orders.push(order.map_err(|e| format!("an order that is none: {e}"))?);
        }
        Ok(orders)
    }
}
