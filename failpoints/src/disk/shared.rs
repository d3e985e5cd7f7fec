//! What the FUSE threads and the control thread of one disk share.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::gate::Gate;
use super::report::{PowerLoss, Stats};
use super::rule::{Met, Op, Rules};
use super::survival::Survival;
use super::tree::{Ino, Kind};
use super::volume::{Inode, Volume};

/// Delayed operations that wait on a thread of their own, at most. More wait
/// on the threads that serve the mount, and so hold up others.
const MOST_DELAYED: u64 = 256;

/// Something the kernel has open.
#[derive(Clone, Debug)]
pub(super) enum Handle {
    File { inode: Arc<Inode>, synced: bool },
    Directory(Arc<Vec<(OsString, Ino, Kind)>>),
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) reads: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) syncs: AtomicU64,
    losses: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) volume: Volume,
    pub(super) gate: Gate,
    pub(super) rules: Rules,
    pub(super) counters: Counters,
    handles: Mutex<(u64, HashMap<u64, Handle>)>,
    delayed: AtomicU64,
}

pub(super) fn eio() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

impl Shared {
    pub(super) fn new(volume: Volume) -> Arc<Self> {
        Arc::new(Self {
            volume,
            gate: Gate::default(),
            rules: Rules::default(),
            counters: Counters::default(),
            handles: Mutex::default(),
            delayed: AtomicU64::new(0),
        })
    }

    /// Does an operation, after the rules and the gate had their say, and hands
    /// on its result; on a thread of its own if it is delayed.
    pub(super) fn perform<T>(
        self: &Arc<Self>,
        op: Op,
        ino: Ino,
        name: Option<OsString>,
        act: impl FnOnce(&Self, &Met) -> io::Result<T> + Send + 'static,
        reply: impl FnOnce(io::Result<T>) + Send + 'static,
    ) {
        let began = self.gate.now();
        let met = self.rules.meet(op, || {
            let path = self.volume.path(ino)?;
            Some(name.map_or(path.clone(), |name| path.join(name)))
        });
        let delayed = met.delay.is_some();
        let shared = Arc::clone(self);
        let job = move || {
            shared.wait(&met);
            // Reading has no effect that a power loss could race with.
            let pass = (op != Op::Read).then(|| shared.gate.enter(began));
            let done = match pass {
                Some(Err(_)) => Err(eio()),
                _ if met.error => Err(eio()),
                _ => act(&shared, &met),
            };
            let full = |error: &io::Error| error.raw_os_error() == Some(libc::ENOSPC);
            if met.quota.is_some() && done.as_ref().is_err_and(full) {
                shared.rules.refused();
            }
            drop(pass);
            reply(done);
        };
        let waiting = self.delayed.load(Ordering::Relaxed);
        if !delayed || waiting >= MOST_DELAYED {
            return job();
        }
        self.delayed.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(self);
        let thread = thread::Builder::new().name("delayed".into());
        let started = thread.spawn(move || {
            job();
            shared.delayed.fetch_sub(1, Ordering::Relaxed);
        });
        if started.is_err() {
            // The job is dropped, and with it the reply: that answers EIO.
            self.delayed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn wait(&self, met: &Met) {
        if let Some((delay, id)) = met.delay {
            let until = Instant::now() + delay;
            self.gate.delay(until, || !self.rules.is_armed(id));
        }
    }

    /// The sync that is part of a write under O_SYNC.
    pub(super) fn sync_after_write(&self, inode: &Inode) -> io::Result<()> {
        let met = self.rules.meet(Op::Fsync, || self.volume.path(inode.ino));
        self.wait(&met);
        if met.error {
            return Err(eio());
        }
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        self.volume.sync(inode)
    }

    pub(super) fn keep(&self, handle: Handle) -> u64 {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.0 += 1;
        let number = handles.0;
        handles.1.insert(number, handle);
        number
    }

    pub(super) fn handle(&self, number: u64) -> io::Result<Handle> {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = handles.1.get(&number).cloned();
        handle.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    pub(super) fn file(&self, number: u64) -> io::Result<(Arc<Inode>, bool)> {
        match self.handle(number)? {
            Handle::File { inode, synced } => Ok((inode, synced)),
            Handle::Directory(_) => Err(io::Error::from_raw_os_error(libc::EISDIR)),
        }
    }

    pub(super) fn close(&self, number: u64) {
        let handle = {
            let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
            handles.1.remove(&number)
        };
        if let Some(Handle::File { inode, .. }) = handle {
            self.volume.release(&inode);
        }
    }

    /// The power loss, between a freeze and a thaw.
    pub(super) fn lose(&self, survival: Survival) -> io::Result<PowerLoss> {
        self.gate.freeze();
        let lost = self.volume.lose(survival);
        self.counters.losses.fetch_add(1, Ordering::Relaxed);
        self.gate.lost();
        lost
    }

    /// Everything durable, no rule in force, nothing held.
    pub(super) fn heal(&self) -> io::Result<()> {
        self.rules.clear_all();
        self.gate.thaw();
        self.volume.sync_all()
    }

    pub(super) fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Stats {
            reads: load(&counters.reads),
            writes: load(&counters.writes),
            written: load(&counters.written),
            syncs: load(&counters.syncs),
            losses: load(&counters.losses),
            writebacks: load(&self.volume.writebacks),
            held: load(&self.volume.held),
        }
    }
}
