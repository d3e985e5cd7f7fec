//! What a plan needs of the machine beyond processes and loopback, and whether the machine has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use failpoints::trace::Probe;
use scenarios::plan::{Action, Binding, Network, Place, Plan, PlantedBy};

use crate::cluster::TRACED_BY;

/// A kind of fault that some machines do not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Breakpoints in members: ptrace.
    Symbols,
    /// Stops at members' system calls: ptrace.
    Syscalls,
    /// Members in network namespaces: root, and ip(8).
    Namespaces,
    /// Disks of our own below members' data: FUSE and mount namespaces.
    Disk,
}

impl Capability {
    /// All of them, in the order of `gauntlet doctor`.
    pub const ALL: [Self; 4] = [Self::Symbols, Self::Syscalls, Self::Disk, Self::Namespaces];

    /// The name, as in messages and the doctor's list.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Symbols => "faults at functions",
            Self::Syscalls => "faults at system calls",
            Self::Disk => "disks that lose power",
            Self::Namespaces => "network namespaces",
        }
    }

    /// What to do where it is off.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Symbols | Self::Syscalls => {
                "ptrace must be allowed: in a container --cap-add=SYS_PTRACE, on a host kernel.yama.ptrace_scope below 3"
            }
            Self::Disk => {
                "root and /dev/fuse are needed: in a container --cap-add=SYS_ADMIN --device=/dev/fuse"
            }
            Self::Namespaces => {
                "root and ip(8) are needed: in a container --cap-add=SYS_ADMIN --cap-add=NET_ADMIN, package iproute2"
            }
        }
    }

    /// Tries it, for real. Gives what was seen.
    ///
    /// # Errors
    /// What is off, and why.
    pub fn probe(self, launcher: &Path) -> Result<String, String> {
        match self {
            Self::Namespaces => {
                failpoints::netns::probe(launcher)?;
                Ok("packets between two of them were dropped".into())
            }
            Self::Symbols => {
                traced(launcher).code.clone()?;
                Ok("armed, hit and detached".into())
            }
            Self::Syscalls => {
                traced(launcher).syscalls.clone()?;
                Ok("armed, hit and detached".into())
            }
            Self::Disk => {
                let launcher = launcher.to_owned();
                alone(async move { failpoints::disk::probe(&launcher).await })?;
                Ok("mounted, written, lost and checked".into())
            }
        }
    }
}

/// Both kinds of tracing, tried once a process.
fn traced(launcher: &Path) -> &'static Probe {
    static TRIED: OnceLock<Probe> = OnceLock::new();
    TRIED.get_or_init(|| failpoints::trace::probe(launcher, TRACED_BY))
}

/// Runs to its end on a thread and a runtime of its own: the caller may be inside a runtime.
fn alone<T: Send + 'static>(
    tried: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, String> {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        runtime.block_on(tried)
    });
    let tried = thread.join();
    tried.unwrap_or_else(|_| Err("the attempt panicked".into()))
}

/// What a plan needs.
#[must_use]
pub fn needed(plan: &Plan) -> BTreeSet<Capability> {
    let mut needed = BTreeSet::new();
    if let Some(planted) = &plan.planted
        && matches!(planted.by, PlantedBy::Skip { .. })
    {
        needed.insert(Capability::Symbols);
    }
    if plan.cluster.network == Network::Namespaces {
        needed.insert(Capability::Namespaces);
    }
    needed.extend(plan.cluster.disk.map(|_| Capability::Disk));
    for step in &plan.steps {
        if let Action::Arm(arm) = &step.action {
            needed.extend(match arm.binding(&plan.store) {
                Ok(Binding::Place(Place::Symbol { .. })) => Some(Capability::Symbols),
                Ok(Binding::Place(Place::Syscall { .. })) => Some(Capability::Syscalls),
                Ok(Binding::Point(_)) | Err(_) => None,
            });
        }
    }
    needed
}

/// What this machine has of what plans need: each thing is tried when the first plan needs it.
#[derive(Debug, Default)]
pub struct Machine(BTreeMap<Capability, Result<String, String>>);

impl Machine {
    /// Why a plan cannot be run here, if it cannot: one line for each thing that is off.
    pub fn missing(&mut self, plan: &Plan, launcher: &Path) -> Vec<String> {
        let mut missing = Vec::new();
        for capability in needed(plan) {
            let tried = self.0.entry(capability);
            if let Err(why) = tried.or_insert_with(|| capability.probe(launcher)) {
                missing.push(format!("{}: {why}", capability.name()));
            }
        }
        missing
    }
}
