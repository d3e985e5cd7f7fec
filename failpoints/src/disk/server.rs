//! The process that serves the mounts.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, INodeNo, MountOption, Notifier, Session, SessionACL};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, getppid, setpgid};
use serde_json::{Value, json};

use super::Options;
use super::fs::Mounted;
use super::protocol::{Act, Answer, MARK, Order};
use super::rule::Effect;
use super::shared::Shared;
use super::volume::Volume;

/// Threads that serve one mount. A sync keeps one of them busy.
const THREADS: usize = 6;

/// Becomes a disk server if this process was started as one
/// (`… __disk <parent pid>`), else returns.
///
/// Call it first in `main`, beside
/// [`launcher_main`](crate::process::launcher_main). It asks for SIGKILL at the
/// parent's death, moves to a process group and a mount namespace of its own,
/// and serves mounts inside, as it is told on standard input. It ends with its
/// standard input; the kernel removes the mounts with the namespace's last
/// process.
pub fn server_main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(OsStr::new(MARK)) {
        return;
    }
    let parent = args.next().and_then(|pid| pid.to_str()?.parse().ok());
    let ready = match parent {
        Some(parent) => settle_in(Pid::from_raw(parent)),
        None => Err("the parent's pid is missing".into()),
    };
    let failed = ready.is_err();
    if say(&ready.map(|()| Value::Null)).is_err() || failed {
        std::process::exit(1);
    }
    let mut disks = HashMap::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = match serde_json::from_str::<Order>(&line) {
            Ok(order) => obey(&mut disks, order),
            Err(error) => Err(format!("an order that is none: {error}")),
        };
        if say(&answer).is_err() {
            break;
        }
    }
    std::process::exit(0)
}

fn settle_in(parent: Pid) -> Result<(), String> {
    set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("prctl(PR_SET_PDEATHSIG): {e}"))?;
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(|e| format!("setpgid: {e}"))?;
    if getppid() != parent {
        return Err(format!("the parent {parent} is gone"));
    }
    // Modes come from the kernel, which has applied the caller's mask.
    umask(Mode::empty());
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|e| format!("unshare(CLONE_NEWNS): {e} (needs CAP_SYS_ADMIN: run as root)"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(|e| format!("mount(/, MS_PRIVATE): {e}"))
}

fn say(answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

struct Served {
    shared: Arc<Shared>,
    notifier: Notifier,
    at: PathBuf,
    _session: BackgroundSession,
}

impl Served {
    fn mount(name: &str, backing: &Path, at: &Path, options: Options) -> Result<Self, String> {
        let volume = Volume::open(backing, options)
            .map_err(|e| format!("the backing directory {}: {e}", backing.display()))?;
        let shared = Shared::new(volume);
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName(format!("gauntlet-{name}")),
            MountOption::DefaultPermissions,
            MountOption::NoAtime,
        ];
        config.acl = SessionACL::All;
        config.n_threads = Some(THREADS);
        let failed = |e: io::Error| format!("cannot mount at {}: {e}", at.display());
        let session = Session::new(Mounted(Arc::clone(&shared)), at, &config).map_err(failed)?;
        let notifier = session.notifier();
        Ok(Self {
            shared,
            notifier,
            at: at.to_owned(),
            _session: session.spawn().map_err(failed)?,
        })
    }

    /// What the kernel has cached is not what there is any more. Called
    /// without a lock: it waits for reads under way.
    fn invalidate(&self, inodes: &[u64]) -> Result<(), String> {
        for ino in inodes {
            self.notifier
                .inval_inode(INodeNo(*ino), 0, 0)
                .map_err(|e| format!("cannot invalidate the page cache of inode {ino}: {e}"))?;
        }
        Ok(())
    }

    fn obey(&self, act: Act) -> Answer {
        let shared = &self.shared;
        let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        match act {
            Act::Mount { .. } | Act::Unmount => Err("not an order to a mounted disk".into()),
            Act::Arm(rule) => {
                let reads = rule.op == super::rule::Op::Read;
                let id = shared.rules.arm(rule)?;
                if reads {
                    self.invalidate(&shared.volume.known())?;
                }
                Ok(json!(id))
            }
            Act::Clear(id) => {
                let flips = shared.rules.effect(id);
                let hits = shared.rules.clear(id);
                shared.gate.wake();
                if matches!(flips, Some(Effect::BitFlip { .. })) {
                    self.invalidate(&shared.volume.known())?;
                }
                Ok(json!(hits))
            }
            Act::Hits(id) => Ok(json!(shared.rules.hits(id))),
            Act::Freeze => {
                shared.gate.freeze();
                Ok(Value::Null)
            }
            Act::Thaw => {
                shared.gate.thaw();
                Ok(Value::Null)
            }
            Act::PowerLoss(survival) => {
                let known = shared.volume.known();
                let lost = shared.lose(survival).map_err(failed("power loss"))?;
                self.invalidate(&known)?;
                Ok(json!(lost))
            }
            Act::Unsynced => Ok(json!(shared.volume.unsynced())),
            Act::Heal => {
                shared.heal().map_err(failed("heal"))?;
                shared.gate.wake();
                self.invalidate(&shared.volume.known())?;
                Ok(Value::Null)
            }
            Act::SyncAll => {
                shared.volume.sync_all().map_err(failed("sync"))?;
                Ok(Value::Null)
            }
            Act::Stats => Ok(json!(shared.stats())),
        }
    }
}

fn obey(disks: &mut HashMap<String, Served>, order: Order) -> Answer {
    let Order { disk: name, act } = order;
    match act {
        Act::Mount {
            backing,
            at,
            options,
        } => {
            if disks.contains_key(&name) {
                return Err(format!("a disk `{name}` is mounted already"));
            }
            let served = Served::mount(&name, &backing, &at, options)?;
            let path = served.shared.volume.backing.path().to_owned();
            disks.insert(name, served);
            Ok(json!(path))
        }
        Act::Unmount => {
            let disk = disks.remove(&name).ok_or_else(|| unknown(&name))?;
            let healed = disk.shared.heal();
            let unmounted = umount2(&disk.at, MntFlags::MNT_DETACH);
            healed.map_err(|e| format!("heal: {e}"))?;
            unmounted.map_err(|e| format!("umount2({}): {e}", disk.at.display()))?;
            Ok(Value::Null)
        }
        act => disks.get(&name).ok_or_else(|| unknown(&name))?.obey(act),
    }
}

fn unknown(name: &str) -> String {
    format!("no disk `{name}` is mounted")
}
