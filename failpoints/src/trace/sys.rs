//! The few system calls that nix does not offer as safe functions.

#![allow(unsafe_code)]

/// Lets any process of the same user trace this one, and what it executes.
///
/// Yama's `ptrace_scope` 1 allows ancestors only; a tracer is a sibling. Not an
/// error where the kernel lacks Yama. Source: prctl(2) `PR_SET_PTRACER`.
pub fn let_anyone_trace() {
    // SAFETY: this operation takes integers only and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{
    Resume, SyscallSide, may_trap, resume, set_signal_mask, signal_mask, syscall_side, wait,
};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::ffi::c_void;
    use std::ptr;

    use nix::errno::Errno;

    /// How a stopped thread goes on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum Resume {
        Run,
        ToSyscall,
        Step,
        Listen,
        Detach,
    }

    /// waitpid(2) with `__WALL`: the next news of any traced thread, or of one.
    /// Raw, since nix refuses real-time signals.
    ///
    /// None if there is no news (never when blocking).
    pub(in super::super) fn wait(tid: i32, block: bool) -> Result<Option<(i32, i32)>, Errno> {
        let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
        loop {
            let mut status = 0;
            // SAFETY: `status` is a valid place for an int during the call.
            match unsafe { libc::waitpid(tid, &raw mut status, flags) } {
                0 => return Ok(None),
                -1 if Errno::last() == Errno::EINTR => {}
                -1 => return Err(Errno::last()),
                tid => return Ok(Some((tid, status))),
            }
        }
    }

    /// Lets a stopped thread go on, with this signal if not 0 (raw, for
    /// real-time signals).
    pub(in super::super) fn resume(tid: i32, how: Resume, signal: i32) -> Result<(), Errno> {
        let request = match how {
            Resume::Run => libc::PTRACE_CONT,
            Resume::ToSyscall => libc::PTRACE_SYSCALL,
            Resume::Step => libc::PTRACE_SINGLESTEP,
            Resume::Listen => libc::PTRACE_LISTEN,
            Resume::Detach => libc::PTRACE_DETACH,
        };
        // SAFETY: these requests take an integer as data and touch no memory.
        Errno::result(unsafe {
            libc::ptrace(request, tid, ptr::null_mut::<c_void>(), i64::from(signal))
        })
        .map(drop)
    }

    const MASK_BYTES: usize = size_of::<u64>();

    /// The signals a stopped thread blocks, one bit each from bit 0 = signal 1.
    pub(in super::super) fn signal_mask(tid: i32) -> Result<u64, Errno> {
        let mut mask = 0_u64;
        // SAFETY: the kernel writes exactly `MASK_BYTES` bytes to `mask`.
        Errno::result(unsafe {
            libc::ptrace(libc::PTRACE_GETSIGMASK, tid, MASK_BYTES, &raw mut mask)
        })
        .map(|_| mask)
    }

    /// Sets what [`signal_mask`] reads.
    pub(in super::super) fn set_signal_mask(tid: i32, mask: u64) -> Result<(), Errno> {
        // SAFETY: the kernel reads exactly `MASK_BYTES` bytes from `mask`.
        Errno::result(unsafe {
            libc::ptrace(libc::PTRACE_SETSIGMASK, tid, MASK_BYTES, &raw const mask)
        })
        .map(drop)
    }

    /// Whether a SIGTRAP waits for this stopped thread alone: a breakpoint it
    /// has hit already, but not told.
    pub(in super::super) fn may_trap(tid: i32) -> bool {
        const AT_ONCE: usize = 16;
        // SAFETY: both are plain old data, for which zeroes are valid.
        let (mut range, mut infos): (libc::ptrace_peeksiginfo_args, [libc::siginfo_t; AT_ONCE]) =
            unsafe { std::mem::zeroed() };
        range.nr = AT_ONCE as i32;
        // SAFETY: `range` is read, and at most `range.nr` elements of `infos`
        // are written, which it has.
        let found = unsafe {
            libc::ptrace(
                libc::PTRACE_PEEKSIGINFO,
                tid,
                &raw const range,
                infos.as_mut_ptr(),
            )
        };
        let found = usize::try_from(found).unwrap_or(0);
        infos[..found.min(AT_ONCE)]
            .iter()
            .any(|info| info.si_signo == libc::SIGTRAP)
    }

    /// What a thread at a system-call stop is about to do, or has done.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) enum SyscallSide {
        Entry { number: u64, args: [u64; 6] },
        Exit,
        Neither,
    }

    /// `PTRACE_GET_SYSCALL_INFO` (Linux 5.3 or newer).
    pub(in super::super) fn syscall_side(tid: i32) -> Result<SyscallSide, Errno> {
        let info = nix::sys::ptrace::syscall_info(nix::unistd::Pid::from_raw(tid))?;
        Ok(match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: `op` says that the kernel filled in this variant.
                let entry = unsafe { info.u.entry };
                SyscallSide::Entry {
                    number: entry.nr,
                    args: entry.args,
                }
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => SyscallSide::Exit,
            _ => SyscallSide::Neither,
        })
    }
}
