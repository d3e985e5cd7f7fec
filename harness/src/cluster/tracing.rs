//! Faults that wait in a member's process: functions resolved to addresses, tracers kept a process.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use failpoints::gofail::Gofail;
use failpoints::process::Handle;
use failpoints::symbol::{self, ResultUse, Symbols};
use failpoints::trace::{self, ArmId, Event, ReleasedBy, SyscallStop, Then, Tracer, Tracers};
use scenarios::plan::{Act, Arm, Binding, Edge, Place, Planted, PlantedBy, Returns};
use tokio::sync::{Mutex, broadcast, mpsc};

use super::points::Point;
use super::{Cluster, find, find_mut, gofail};

/// Members are traced by int3, which costs nothing until it is hit. Debug registers are loaded at
/// every switch of threads, which cost a member in a virtual machine up to a quarter of its
/// throughput.
pub const TRACED_BY: trace::Options = trace::Options { software: true };

/// Tracers of members, and the functions of their binaries.
pub(super) struct Tracing {
    tracers: Tracers,
    symbols: Mutex<HashMap<PathBuf, Arc<Symbols>>>,
    /// Skips found possible: looking at all callers of a function takes a while.
    can_skip: Mutex<HashSet<(PathBuf, u64, Returns)>>,
    planted_hits: Arc<AtomicU64>,
}

/// A function that is skipped in every process from its start on, so that a bug is back.
#[derive(Clone, Debug)]
pub(super) struct Skip {
    /// The bug.
    pub(super) issue: String,
    /// The function; the first that the binary has.
    pub(super) function: Vec<String>,
    /// Only under this one.
    pub(super) called_from: Option<String>,
    /// What it returns.
    pub(super) returns: Returns,
}

impl Skip {
    /// What has to be skipped for a bug, if anything.
    pub(super) fn of(planted: &Planted) -> Option<Self> {
        match &planted.by {
            PlantedBy::Flag { .. } => None,
            PlantedBy::Skip {
                skip,
                called_from,
                returns,
            } => Some(Self {
                issue: planted.issue.clone(),
                function: skip.clone(),
                called_from: called_from.clone(),
                returns: *returns,
            }),
        }
    }
}

/// A fault armed in one process.
pub struct Armed {
    /// The member.
    pub member: String,
    /// Its process.
    pub process: Handle,
    /// How long the process took to be seized and armed.
    pub took: Duration,
    by: By,
}

/// What holds a fault.
enum By {
    Tracer { id: ArmId, tracer: Arc<Tracer> },
    Point(Point),
}

/// What happens to an armed fault.
#[derive(Clone, Debug)]
pub enum Happening {
    /// It acted.
    Hit {
        /// The number of the last hit, counted from 1 in this process.
        number: u64,
        /// On how many hits it acted since what was told before.
        times: u64,
        /// The thread, and the path of a system call, where they are known.
        at: Option<(i32, Option<String>)>,
    },
    /// A thread that was held runs on.
    Released {
        /// How long it was held.
        held: Duration,
        /// Whether other threads of the process ran in the meantime.
        advanced: bool,
        /// Why.
        why: ReleasedBy,
    },
    /// It could not act.
    Failed(String),
}

/// What happens to one armed fault, from before it was armed on.
pub struct Happenings(Source);

enum Source {
    Tracer(ArmId, broadcast::Receiver<Event>),
    Point(mpsc::Receiver<Happening>),
}

impl Happenings {
    /// The next thing; none once the process, or what holds the fault in it, is gone.
    pub async fn next(&mut self) -> Option<Happening> {
        let (id, events) = match &mut self.0 {
            Source::Point(told) => return told.recv().await,
            Source::Tracer(id, events) => (*id, events),
        };
        loop {
            match events.recv().await {
                Ok(Event::Hit {
                    arm,
                    tid,
                    number,
                    acted: true,
                    path,
                    ..
                }) if arm == id => {
                    return Some(Happening::Hit {
                        number,
                        times: 1,
                        at: Some((tid, path)),
                    });
                }
                Ok(Event::Released {
                    arm,
                    held_ns,
                    advanced,
                    why,
                    ..
                }) if arm == id => {
                    return Some(Happening::Released {
                        held: Duration::from_nanos(held_ns),
                        advanced,
                        why,
                    });
                }
                Ok(Event::Failed { arm, reason, .. }) if arm == id => {
                    return Some(Happening::Failed(reason));
                }
                Ok(Event::Ended { .. } | Event::Exec | Event::TracerEnded)
                | Err(broadcast::error::RecvError::Closed) => return None,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            }
        }
    }
}

impl Armed {
    /// Takes the fault back. Where the process has ended there is nothing to take back.
    ///
    /// # Errors
    /// When the tracer or the process cannot.
    pub async fn disarm(&self) -> anyhow::Result<()> {
        match &self.by {
            By::Tracer { id, tracer } => self.ended_or(tracer.disarm(*id).await),
            By::Point(point) => point.clear().await,
        }
    }

    /// Lets go what it holds.
    ///
    /// # Errors
    /// When the tracer cannot, or it holds at a failpoint.
    pub async fn release(&self) -> anyhow::Result<()> {
        match &self.by {
            By::Tracer { id, tracer } => self.ended_or(tracer.release(*id).await),
            By::Point(_) => bail!("who is held at a failpoint sleeps until its time is over"),
        }
    }

    fn ended_or(&self, done: Result<(), trace::TraceError>) -> anyhow::Result<()> {
        match done {
            Err(_) if !self.process.is_running() => Ok(()),
            done => Ok(done?),
        }
    }
}

impl Tracing {
    pub(super) fn new(launcher: &Path) -> Self {
        Self {
            tracers: Tracers::with(launcher, TRACED_BY),
            symbols: Mutex::default(),
            can_skip: Mutex::default(),
            planted_hits: Arc::default(),
        }
    }

    async fn symbols(&self, binary: &Path) -> anyhow::Result<Arc<Symbols>> {
        let mut open = self.symbols.lock().await;
        if let Some(symbols) = open.get(binary) {
            return Ok(symbols.clone());
        }
        let path = binary.to_owned();
        let symbols = tokio::task::spawn_blocking(move || Symbols::open(&path)).await??;
        let symbols = Arc::new(symbols);
        open.insert(binary.to_owned(), symbols.clone());
        Ok(symbols)
    }

    /// Finds out whether the plan's bug can be put into a binary, before a member runs it: a member
    /// is to have the bug from its first moments on.
    pub(super) async fn prepare(&self, skip: &Skip, binary: &Path) -> anyhow::Result<()> {
        let symbols = self.symbols(binary).await?;
        if let Some(from) = &skip.called_from {
            symbols.find(from)?;
        }
        let function = first(&symbols, &skip.function)?;
        self.check_skip(&symbols, function, skip.returns).await
    }

    async fn check_skip(
        &self,
        symbols: &Symbols,
        function: symbol::Function<'_>,
        returns: Returns,
    ) -> anyhow::Result<()> {
        let mut known = self.can_skip.lock().await;
        let key = (symbols.path().to_owned(), function.entry, returns);
        if !known.contains(&key) {
            tokio::task::block_in_place(|| can_skip(symbols, function, returns))?;
            known.insert(key);
        }
        Ok(())
    }

    /// Puts the plan's bug into a process.
    pub(super) async fn plant(
        &self,
        skip: &Skip,
        process: &Handle,
        binary: &Path,
    ) -> anyhow::Result<()> {
        let place = Place::Symbol {
            symbol: skip.function.clone(),
            edge: Edge::Entry,
        };
        let act = Act::Skip {
            returns: skip.returns,
        };
        let from = skip.called_from.as_deref();
        let arm = self
            .arm(&skip.issue, &place, from, &act, process, binary)
            .await?;
        let tracer = self.tracers.of(process).await?;
        let mut events = tracer.events();
        tracer.arm(arm).await?;
        let hits = Arc::clone(&self.planted_hits);
        tokio::spawn(async move {
            // The planted arm lives as long as the process, and so must its tracer.
            let _tracer = tracer;
            loop {
                match events.recv().await {
                    Ok(Event::Hit { acted: true, .. }) => {
                        hits.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(Event::Ended { .. } | Event::TracerEnded | Event::Exec)
                    | Err(broadcast::error::RecvError::Closed) => return,
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                }
            }
        });
        Ok(())
    }

    /// Resolved for a process. It acts on every hit until the caller says otherwise.
    async fn arm(
        &self,
        name: &str,
        place: &Place,
        called_from: Option<&str>,
        act: &Act,
        process: &Handle,
        binary: &Path,
    ) -> anyhow::Result<trace::Arm> {
        Ok(match place {
            Place::Symbol { symbol, edge } => {
                let symbols = self.symbols(binary).await?;
                let function = first(&symbols, symbol)?;
                if let Act::Skip { returns } = act {
                    self.check_skip(&symbols, function, *returns).await?;
                }
                let bias = symbols.bias_in(process.pid())?;
                let point = match edge {
                    Edge::Entry => symbol::Point::Entry,
                    Edge::Return => symbol::Point::Return,
                };
                let addresses = symbols.addresses(function, point)?;
                let point = trace::Point::Code {
                    addresses: addresses
                        .into_iter()
                        .map(|address| address + bias)
                        .collect(),
                    entry: *edge == Edge::Entry,
                };
                let mut arm = trace::Arm::new(name, point, action(act)?);
                if let Some(pattern) = called_from {
                    let caller = symbols.find(pattern)?;
                    arm.called_from.push(caller.entry + bias..caller.end + bias);
                }
                arm
            }
            Place::Syscall { call, path, edge } => {
                let point = trace::Point::Syscall {
                    calls: call.clone(),
                    path: path.clone(),
                    at: match edge {
                        Edge::Entry => SyscallStop::Entry,
                        Edge::Return => SyscallStop::Exit,
                    },
                };
                trace::Arm::new(name, point, action(act)?)
            }
        })
    }
}

/// The first of these functions that a binary has.
fn first<'s>(symbols: &'s Symbols, patterns: &[String]) -> anyhow::Result<symbol::Function<'s>> {
    let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
    Ok(symbols.find_first(&patterns)?)
}

/// Refuses to skip what cannot be skipped as said. Results of Go before 1.17 are on the stack, where
/// a skip cannot put them.
fn can_skip(
    symbols: &Symbols,
    function: symbol::Function<'_>,
    returns: Returns,
) -> anyhow::Result<()> {
    match returns {
        Returns::Nothing => match symbols.results_read(function)? {
            ResultUse::Used { at } => bail!(
                "{} has results that its callers read (after the call at {:#x}): say what it returns, with returns = \"zero\" or \"one\"",
                function.name,
                at.first().copied().unwrap_or_default()
            ),
            ResultUse::Unused { .. } | ResultUse::Unknown => Ok(()),
        },
        Returns::Zero | Returns::One => {
            let old = matches!(
                symbols.layout(),
                symbol::Layout::Go12 | symbol::Layout::Go116
            );
            if old {
                bail!(
                    "{} was built with a Go whose functions return on the stack: only functions without results can be skipped there",
                    symbols.path().display()
                );
            }
            Ok(())
        }
    }
}

fn action(act: &Act) -> anyhow::Result<trace::Act> {
    Ok(match act {
        Act::Kill => trace::Act::Kill,
        Act::Hold { for_ms } => trace::Act::Hold {
            limit: Duration::from_millis(*for_ms),
        },
        Act::Skip { returns } => trace::Act::Skip {
            result: match returns {
                Returns::Nothing => None,
                Returns::Zero => Some(0),
                Returns::One => Some(1),
            },
        },
        Act::Report => trace::Act::Report,
        Act::Fail { errno } => trace::Act::Fail {
            errno: errno_of(errno)?,
        },
        Act::Short { bytes, errno } => trace::Act::Short {
            bytes: *bytes,
            then: Then::Fail(errno_of(errno)?),
        },
    })
}

/// Errors that a system call may be made to fail with: what disks and networks say.
const ERRNOS: [(&str, nix::errno::Errno); 14] = {
    use nix::errno::Errno as E;
    [
        ("EIO", E::EIO),
        ("ENOSPC", E::ENOSPC),
        ("EDQUOT", E::EDQUOT),
        ("EROFS", E::EROFS),
        ("EINTR", E::EINTR),
        ("EAGAIN", E::EAGAIN),
        ("ENOMEM", E::ENOMEM),
        ("EACCES", E::EACCES),
        ("EMFILE", E::EMFILE),
        ("ENOENT", E::ENOENT),
        ("ECONNREFUSED", E::ECONNREFUSED),
        ("ECONNRESET", E::ECONNRESET),
        ("ETIMEDOUT", E::ETIMEDOUT),
        ("ENETUNREACH", E::ENETUNREACH),
    ]
};

fn errno_of(name: &str) -> anyhow::Result<i32> {
    let known = ERRNOS.into_iter().find(|(known, _)| *known == name);
    known.map(|(_, errno)| errno as i32).with_context(|| {
        let names = ERRNOS.map(|(name, _)| name).join(", ");
        format!("unknown errno {name:?}; allowed: {names}")
    })
}

async fn arm_point(
    name: &str,
    arm: &Arm,
    point: &str,
    points: Option<Gofail>,
    process: &Handle,
) -> anyhow::Result<(Armed, Happenings)> {
    let points = points.with_context(|| format!("{name} serves no failpoints"))?;
    let start = Instant::now();
    let (set, told) = Point::set(points, point, arm, process).await?;
    let armed = Armed {
        member: name.to_owned(),
        process: process.clone(),
        took: start.elapsed(),
        by: By::Point(set),
    };
    Ok((armed, Happenings(Source::Point(told))))
}

impl Cluster {
    /// Arms a fault in a member's process. Also gives what happens to the arms of that process,
    /// from before this one on.
    ///
    /// # Errors
    /// When the member does not run, its binary lacks the function, or the kernel refuses.
    pub async fn arm(&self, name: &str, arm: &Arm) -> anyhow::Result<(Armed, Happenings)> {
        let (process, binary, points) = {
            let mut members = self.inner.members.lock().await;
            let member = find_mut(&mut members, name)?;
            let Some(running) = member.running.as_ref().filter(|r| r.ended().is_none()) else {
                bail!("{name} is not running");
            };
            if arm.act == Act::Kill {
                running.expect_kill(true);
            }
            let (process, binary) = (running.process.handle(), running.binary.clone());
            (process, binary, gofail::endpoint_of(member))
        };
        let armed = match arm.binding(&self.inner.options.store) {
            Ok(Binding::Place(place)) => {
                self.arm_process(name, arm, place, &process, &binary).await
            }
            Ok(Binding::Point(point)) => arm_point(name, arm, point, points, &process).await,
            Err(why) => Err(anyhow!(why)),
        };
        if armed.is_err() && arm.act == Act::Kill {
            self.kill_disarmed(name, &process).await?;
        }
        armed
    }

    async fn arm_process(
        &self,
        name: &str,
        arm: &Arm,
        place: &Place,
        process: &Handle,
        binary: &Path,
    ) -> anyhow::Result<(Armed, Happenings)> {
        let tracing = &self.inner.tracing;
        let from = arm.called_from.as_deref();
        let mut resolved = tracing
            .arm(&arm.fault, place, from, &arm.act, process, binary)
            .await?;
        resolved.nth = arm.hit;
        resolved.times = (arm.times > 0).then_some(arm.times);
        let tracer = tracing.tracers.of(process).await?;
        let events = tracer.events();
        let start = Instant::now();
        let id = tracer.arm(resolved).await?;
        let armed = Armed {
            member: name.to_owned(),
            process: process.clone(),
            took: start.elapsed(),
            by: By::Tracer { id, tracer },
        };
        Ok((armed, Happenings(Source::Tracer(id, events))))
    }

    /// A fault that could have killed a member's process is taken back.
    ///
    /// # Errors
    /// When there is no such member.
    pub async fn kill_disarmed(&self, name: &str, process: &Handle) -> anyhow::Result<()> {
        let members = self.inner.members.lock().await;
        let running = find(&members, name)?.running.as_ref();
        if let Some(running) = running.filter(|r| r.process.pid() == process.pid()) {
            running.expect_kill(false);
        }
        Ok(())
    }

    /// How often the planted bug's function has been skipped; none where a bug needs no skip.
    #[must_use]
    pub fn planted_hits(&self) -> Option<u64> {
        let hits = self.inner.tracing.planted_hits.load(Ordering::Relaxed);
        self.inner.skip.as_ref().map(|_| hits)
    }
}
