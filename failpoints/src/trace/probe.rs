//! Whether tracing works on this machine: tried on a child of ours.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use super::{Act, Arm, Event, Options, Point, SyscallStop, TraceError, Tracer, wire};

/// How long a hit may take. It takes milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// What [`probe`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Why there are no code points, if there are none.
    pub code: Result<(), String>,
    /// Why there are no system-call points, if there are none.
    pub syscalls: Result<(), String>,
}

/// Arms, hits and detaches from a child of ours. Blocks for milliseconds.
///
/// See [`Tracer::start`] for `launcher`; `options` are those that will be armed
/// with.
pub fn probe(launcher: &Path, options: Options) -> Probe {
    let launcher = launcher.to_owned();
    // A thread of its own: the caller may be inside a runtime.
    let tried = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| format!("no runtime: {e}"))?;
        Ok(runtime.block_on(try_all(&launcher, options)))
    });
    let tried = tried.join().unwrap_or_else(|_| Err("it panicked".into()));
    tried.unwrap_or_else(|reason: String| Probe {
        code: Err(reason.clone()),
        syscalls: Err(reason),
    })
}

async fn try_all(launcher: &Path, options: Options) -> Probe {
    let code = |address| Point::Code {
        addresses: vec![address],
        entry: true,
    };
    let syscall = |_| Point::Syscall {
        calls: vec!["getpid".into()],
        path: None,
        at: SyscallStop::Entry,
    };
    Probe {
        code: try_point(launcher, options, code).await,
        syscalls: try_point(launcher, options, syscall).await,
    }
}

async fn try_point(
    launcher: &Path,
    options: Options,
    point: impl Fn(u64) -> Point,
) -> Result<(), String> {
    let target = Target::start(launcher)?;
    let failed = |error: TraceError| error.to_string();
    let pid = target.child.id().cast_signed();
    let tracer = Tracer::start_with(launcher, pid, options).await;
    let tracer = tracer.map_err(failed)?;
    let events = tracer.events();
    let arm = Arm::new("probe", point(target.address), Act::Report);
    let id = tracer.arm(arm).await.map_err(failed)?;
    let hit = timeout(LIMIT, until_hit(events)).await;
    let hit = hit.unwrap_or_else(|_| Err("armed, but never hit".into()));
    tracer.disarm(id).await.map_err(failed)?;
    hit
}

async fn until_hit(mut events: Receiver<Event>) -> Result<(), String> {
    loop {
        match events.recv().await {
            Ok(Event::Hit { .. }) => return Ok(()),
            Ok(Event::Ended { code, signal }) => {
                return Err(format!(
                    "its target ended: code {code:?}, signal {signal:?}"
                ));
            }
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A child to try it on.
struct Target {
    child: Child,
    address: u64,
}

impl Target {
    fn start(launcher: &Path) -> Result<Self, String> {
        let child = Command::new(launcher)
            .args([wire::MARK, wire::TARGET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", launcher.display()))?;
        let mut target = Self { child, address: 0 };
        let mut said = String::new();
        if let Some(stdout) = target.child.stdout.take() {
            // Its end, if it says nothing, ends the line too.
            let _ = BufReader::new(stdout).read_line(&mut said);
        }
        target.address = said.trim().parse().map_err(|_| {
            let path = launcher.display();
            format!("{path} did not act as a target: does its main call tracer_main() first?")
        })?;
        Ok(target)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child: passes the point again and again until standard input ends.
pub(super) fn target() -> ! {
    super::let_anyone_trace();
    println!("{}", pass as fn() -> i32 as usize);
    thread::spawn(|| {
        loop {
            pass();
            thread::sleep(Duration::from_millis(1));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(0)
}

#[inline(never)]
fn pass() -> i32 {
    std::hint::black_box(nix::unistd::getpid().as_raw())
}
