//! The harness's end of a tracer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::sync::{broadcast, oneshot};

use super::wire::{CLEAR, MARK, MAX_ORDER, Order, Planted, Refusal, SOFTWARE, Said, What};
use super::{Arm, ArmId, Event, TraceError};

/// How long a tracer may take to start. It takes milliseconds; the rest is for
/// a machine under heavy load.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Events that wait for a slow receiver.
const EVENTS: usize = 4096;

/// How a tracer works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Use no debug registers: every code point is an `int3`.
    ///
    /// An `int3` costs nothing until it is hit, then stops every thread for a
    /// moment. A debug register is cheap to hit, but is loaded at each switch
    /// to a thread, which took 5 to 10 % of etcd's writes on a virtual machine.
    pub software: bool,
}

type Answer = Result<(), Refusal>;

struct Shared {
    pid: i32,
    /// Closed when the tracer is to end.
    orders: Mutex<Option<File>>,
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    events: broadcast::Sender<Event>,
    planted: Mutex<Planted>,
    last: AtomicU64,
}

/// Traces one process; see the [module](super).
///
/// Dropping it disarms everything, lets held threads go on and ends the tracer
/// process.
pub struct Tracer(Arc<Shared>);

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").field("pid", &self.0.pid).finish()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        lock(&self.0.orders).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tracer {
    /// Starts a tracer for a process. Nothing is seized before the first arm.
    ///
    /// `launcher` is an executable that calls
    /// [`tracer_main`](super::tracer_main) first, by absolute path; normally
    /// [`std::env::current_exe`].
    ///
    /// # Errors
    ///
    /// [`TraceError::Unsupported`], `Start` or `NotATracer`.
    pub async fn start(launcher: &Path, pid: i32) -> Result<Self, TraceError> {
        Self::start_with(launcher, pid, Options::default()).await
    }

    /// [`start`](Self::start) with options.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(
        launcher: &Path,
        pid: i32,
        options: Options,
    ) -> Result<Self, TraceError> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err(TraceError::Unsupported(std::env::consts::ARCH));
        }
        let failed = |source| TraceError::Start {
            path: launcher.to_owned(),
            source,
        };
        let mut command = Command::new(launcher);
        command
            .arg(MARK)
            .arg(std::process::id().to_string())
            .arg(pid.to_string())
            .args(options.software.then_some(SOFTWARE))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let (started, start) = oneshot::channel();
        let (ready, readied) = oneshot::channel();
        // One thread from its start to its end: the kernel kills the tracer
        // when the *thread* that started it ends.
        thread::Builder::new()
            .name(format!("tracer-{pid}"))
            .stack_size(256 * 1024)
            .spawn(move || keep(command, pid, started, ready))
            .map_err(failed)?;
        let not_a_tracer = || TraceError::NotATracer {
            path: launcher.to_owned(),
        };
        let tracer = start.await.map_err(|_| not_a_tracer())?.map_err(failed)?;
        match tokio::time::timeout(START_LIMIT, readied).await {
            Ok(Ok(())) => Ok(tracer),
            _ => Err(not_a_tracer()),
        }
    }

    /// The pid of the process it traces.
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Whether the tracer process is there.
    pub fn is_running(&self) -> bool {
        lock(&self.0.waiting).is_some()
    }

    /// Arms; resolves once in force on every thread.
    ///
    /// If the wait is cancelled, it is disarmed.
    ///
    /// # Errors
    ///
    /// [`TraceError`]; nothing is armed then.
    pub async fn arm(&self, arm: Arm) -> Result<ArmId, TraceError> {
        let id = ArmId(self.0.last.fetch_add(1, Ordering::Relaxed));
        let name = arm.name.clone();
        let mut undo = Undo {
            shared: &self.0,
            arm: Some(id),
        };
        let answer = self.0.ask(What::Arm(id, arm), &name).await;
        if answer.is_ok() || !matches!(answer, Err(TraceError::TracerEnded { .. })) {
            undo.arm = None;
        }
        answer.map(|()| id)
    }

    /// Disarms and lets the threads it holds go on. The last arm detaches.
    /// Right also for an arm that is gone already.
    ///
    /// # Errors
    ///
    /// [`TraceError`]: a thread hangs in the kernel (it is let go as soon as it
    /// does stop), or the tracer is gone (and all arms with it).
    pub async fn disarm(&self, id: ArmId) -> Result<(), TraceError> {
        self.0.ask(What::Disarm(id), "").await
    }

    /// Lets the threads it holds go on; it stays armed.
    ///
    /// # Errors
    ///
    /// [`TraceError::TracerEnded`].
    pub async fn release(&self, id: ArmId) -> Result<(), TraceError> {
        self.0.ask(What::Release(id), "").await
    }

    /// What happens from now on. A receiver that reads too slowly is told how
    /// many events it missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }
}

/// Disarms what nobody waits for any more.
struct Undo<'a> {
    shared: &'a Shared,
    arm: Option<ArmId>,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.arm {
            let order = self.shared.last.fetch_add(1, Ordering::Relaxed);
            // It fails only if the tracer is gone, and all arms with it.
            let _ = self.shared.send(order, What::Disarm(id));
        }
    }
}

impl Shared {
    fn gone(&self) -> TraceError {
        TraceError::TracerEnded { pid: self.pid }
    }

    fn send(&self, id: u64, what: What) -> Result<(), String> {
        let mut line = serde_json::to_vec(&Order { id, what }).map_err(|e| e.to_string())?;
        line.push(b'\n');
        if line.len() > MAX_ORDER {
            return Err(format!("{} bytes long, of {MAX_ORDER}", line.len()));
        }
        let mut orders = lock(&self.orders);
        let mut pipe = orders.as_ref().ok_or("")?;
        if pipe.write_all(&line).is_err() {
            // Part of a line may be out: nothing after it would be understood.
            orders.take();
            return Err(String::new());
        }
        Ok(())
    }

    async fn ask(&self, what: What, name: &str) -> Result<(), TraceError> {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        match lock(&self.waiting).as_mut() {
            Some(waiting) => waiting.insert(id, answer),
            None => return Err(self.gone()),
        };
        let bad = |reason| TraceError::BadArm {
            name: name.to_owned(),
            reason,
        };
        if let Err(reason) = self.send(id, what) {
            if let Some(waiting) = lock(&self.waiting).as_mut() {
                waiting.remove(&id);
            }
            return Err(match reason.is_empty() {
                true => self.gone(),
                false => bad(reason),
            });
        }
        match answered.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Refusal::Ended)) => Err(TraceError::Ended { pid: self.pid }),
            Ok(Err(Refusal::Bad(reason))) => Err(bad(reason)),
            Ok(Err(Refusal::Kernel(reason))) => Err(TraceError::Refused {
                pid: self.pid,
                reason,
            }),
            Err(_) => Err(self.gone()),
        }
    }

    fn hear(&self, said: Said) {
        let (id, answer) = match said {
            Said::Ready => return,
            Said::Planted(planted) => {
                *lock(&self.planted) = planted;
                return;
            }
            Said::Event(event) => {
                // Nobody listens: that is their choice.
                let _ = self.events.send(event);
                return;
            }
            Said::Done(id) => (id, Ok(())),
            Said::Refused(id, refusal) => (id, Err(refusal)),
        };
        let waiting = lock(&self.waiting).as_mut().and_then(|all| all.remove(&id));
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }
}

/// Starts the tracer, passes on what it says, and reaps it.
fn keep(
    mut command: Command,
    pid: i32,
    started: oneshot::Sender<std::io::Result<Tracer>>,
    ready: oneshot::Sender<()>,
) {
    let (child, orders, said) = match spawn(&mut command) {
        Ok(parts) => parts,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let mut child = child;
    let shared = Arc::new(Shared {
        pid,
        orders: Mutex::new(Some(orders)),
        waiting: Mutex::new(Some(HashMap::new())),
        events: broadcast::Sender::new(EVENTS),
        planted: Mutex::default(),
        last: AtomicU64::new(1),
    });
    // Dropped unheard, it closes the pipe, which ends the tracer.
    let _ = started.send(Ok(Tracer(Arc::clone(&shared))));
    let mut ready = Some(ready);
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Said::Ready) => {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(());
                }
            }
            Ok(said) => shared.hear(said),
            // Not a tracer.
            Err(_) => break,
        }
    }
    lock(&shared.orders).take();
    if ready.is_some() {
        // Whatever it is, it is none of ours to wait for.
        let _ = child.kill();
    }
    let ended = child.wait();
    if ready.is_none() && !ended.is_ok_and(|status| status.success()) {
        clear(&mut command, &lock(&shared.planted));
    }
    lock(&shared.waiting).take();
    let _ = shared.events.send(Event::TracerEnded);
}

/// A tracer was killed: the kernel detached, but left the breakpoints.
fn clear(command: &mut Command, planted: &Planted) {
    let planted = serde_json::to_string(planted).unwrap_or_default();
    command.arg(format!("{CLEAR}{planted}"));
    // It fails only if the process is gone, or nothing can be started at all.
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
}

fn spawn(command: &mut Command) -> std::io::Result<(Child, File, ChildStdout)> {
    let mut child = command.spawn()?;
    let (Some(orders), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("no pipes"));
    };
    // An order fits the pipe; if it does not, the tracer hangs, and so must not
    // we.
    let flags = OFlag::from_bits_truncate(fcntl(&orders, FcntlArg::F_GETFL)?);
    fcntl(&orders, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok((child, File::from(OwnedFd::from(orders)), said))
}
