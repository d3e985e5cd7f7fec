//! The harness's side of a disk server.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;

use super::protocol::{Act, Answer, MARK, Order};
use super::report::{PowerLoss, Stats, Unsynced};
use super::rule::{Rule, RuleId};
use super::survival::Survival;
use super::{DiskError, Options};

/// How long the server may take for an order. Most take milliseconds; the
/// rest is for real syncs on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// No answer is longer than this: reports are bounded.
const LONGEST_ANSWER: u64 = 16 << 20;

/// Orders that may wait for the server.
const QUEUE: usize = 64;

struct Job {
    order: Order,
    reply: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Server {
    queue: mpsc::SyncSender<Job>,
    child: Arc<Mutex<Child>>,
    pid: u32,
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A process that serves FUSE mounts in a mount namespace of its own.
///
/// Dropping the last of it and its [`Disk`]s kills the process. Processes on a
/// mount get errors from then on; end them first.
#[derive(Clone, Debug)]
pub struct DiskServer(Arc<Server>);

impl DiskServer {
    /// Starts the process.
    ///
    /// `launcher` is an executable that calls [`server_main`](super::server_main)
    /// first, by absolute path; normally [`std::env::current_exe`].
    ///
    /// # Errors
    ///
    /// [`DiskError`]: the executable is none, or lacks the privilege for a
    /// mount namespace.
    pub async fn start(launcher: &Path) -> Result<Self, DiskError> {
        let (started, starting) = oneshot::channel();
        let launcher = launcher.to_owned();
        // The kernel kills the server when this thread ends, not the process.
        thread::Builder::new()
            .name("disk-server".into())
            .spawn(move || keep(&launcher, started))
            .map_err(|error| DiskError::Start(error.to_string()))?;
        match tokio::time::timeout(LIMIT, starting).await {
            Ok(Ok(started)) => Ok(Self(Arc::new(started?))),
            Ok(Err(_)) => Err(DiskError::Start("its thread is gone".into())),
            Err(_) => Err(DiskError::Late {
                order: "start".into(),
            }),
        }
    }

    /// The pid of the process.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Its mount namespace, for
    /// [`SpawnSpec::namespaces`](crate::process::SpawnSpec::namespaces).
    pub fn namespace(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/mnt", self.0.pid))
    }

    /// Mounts a disk inside the namespace.
    ///
    /// * `name`: for errors and for the mount table; unique in this server.
    /// * `backing`: the directory that holds the files; all in it is durable
    ///   at first. A directory `<backing>.unsynced` beside it exists while
    ///   something without a name has to be kept. While the disk is mounted,
    ///   nobody else may change the directory.
    /// * `at`: an existing directory, which may be `backing` itself: those in
    ///   the namespace see the mount there, everybody else the plain files.
    ///
    /// # Errors
    ///
    /// [`DiskError::Refused`] with the kernel's reason.
    pub async fn mount(
        &self,
        name: &str,
        backing: &Path,
        at: &Path,
        options: Options,
    ) -> Result<Disk, DiskError> {
        let disk = Disk {
            server: self.clone(),
            name: name.into(),
            at: at.to_owned(),
            backing: backing.to_owned(),
        };
        let backing = backing.to_owned();
        let at = at.to_owned();
        disk.order::<PathBuf>(Act::Mount {
            backing,
            at,
            options,
        })
        .await?;
        Ok(disk)
    }
}

/// One mounted disk.
#[derive(Clone, Debug)]
pub struct Disk {
    server: DiskServer,
    name: String,
    at: PathBuf,
    backing: PathBuf,
}

impl Disk {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory that holds its files: as readers see them, durable or not.
    pub fn backing(&self) -> &Path {
        &self.backing
    }

    /// The mount, as a path for processes outside its namespace. It needs the
    /// privilege to look into the server's process (root).
    pub fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.server.pid()));
        root.join(self.at.strip_prefix("/").unwrap_or(&self.at))
    }

    /// Puts a rule in force.
    ///
    /// # Errors
    ///
    /// [`DiskError::Refused`] if the rule means nothing.
    pub async fn arm(&self, rule: Rule) -> Result<RuleId, DiskError> {
        self.order(Act::Arm(rule)).await
    }

    /// Takes a rule out of force; operations it delays go on at once. Says how
    /// many operations it acted on; none if it was not in force.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the server is gone.
    pub async fn clear(&self, rule: RuleId) -> Result<Option<u64>, DiskError> {
        self.order(Act::Clear(rule)).await
    }

    /// How many operations a rule in force acted on so far.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the server is gone.
    pub async fn hits(&self, rule: RuleId) -> Result<Option<u64>, DiskError> {
        self.order(Act::Hits(rule)).await
    }

    /// The first half of a power loss: from the return on nothing reaches the
    /// disk, neither writes nor syncs nor changes of names. They are held, not
    /// answered, so that nobody sees an error that no power loss would show.
    ///
    /// Then kill who writes (SIGKILL; do not wait for its end, since what is
    /// held keeps it), then call [`power_loss`](Self::power_loss), then wait.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the server is gone.
    pub async fn freeze(&self) -> Result<(), DiskError> {
        self.order(Act::Freeze).await
    }

    /// Takes back a [`freeze`](Self::freeze): what was held is done.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the server is gone.
    pub async fn thaw(&self) -> Result<(), DiskError> {
        self.order(Act::Thaw).await
    }

    /// Takes everything that is not durable, but for what survives; that is
    /// durable from then on. What a freeze held fails with EIO. Afterwards the
    /// disk is on again, and the page cache holds nothing of it.
    ///
    /// Send SIGKILL to whoever writes first: see [`freeze`](Self::freeze). Who
    /// lives on regardless finds its open files as they are now, and EIO in
    /// those that are gone.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the backing directory cannot be changed; the disk is in
    /// no defined state then.
    pub async fn power_loss(&self, survival: Survival) -> Result<PowerLoss, DiskError> {
        self.order(Act::PowerLoss(survival)).await
    }

    /// What a power loss could take now.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the server is gone.
    pub async fn unsynced(&self) -> Result<Unsynced, DiskError> {
        self.order(Act::Unsynced).await
    }

    /// Makes everything durable.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if a real sync fails.
    pub async fn sync_all(&self) -> Result<(), DiskError> {
        self.order(Act::SyncAll).await
    }

    /// Takes every rule out of force, lets go what is held and makes everything
    /// durable. The backing directory is a plain one then.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if a real sync fails.
    pub async fn heal(&self) -> Result<(), DiskError> {
        self.order(Act::Heal).await
    }

    /// Heals and unmounts. Processes that still have files open keep them; new
    /// ones see the directory below.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if it cannot be healed or unmounted.
    pub async fn unmount(self) -> Result<(), DiskError> {
        self.order(Act::Unmount).await
    }

    /// Numbers since it was mounted.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the server is gone.
    pub async fn stats(&self) -> Result<Stats, DiskError> {
        self.order(Act::Stats).await
    }

    async fn order<T: DeserializeOwned>(&self, act: Act) -> Result<T, DiskError> {
        let label = format!("{act:?}");
        let label = label.split([' ', '(', '{']).next().unwrap_or_default();
        let (reply, answer) = oneshot::channel();
        let order = Order {
            disk: self.name.clone(),
            act,
        };
        let queue = &self.server.0.queue;
        queue.try_send(Job { order, reply }).map_err(|e| match e {
            mpsc::TrySendError::Full(_) => DiskError::Late {
                order: label.into(),
            },
            mpsc::TrySendError::Disconnected(_) => DiskError::Ended,
        })?;
        let answer = tokio::time::timeout(LIMIT, answer)
            .await
            .map_err(|_| DiskError::Late {
                order: label.into(),
            })?
            .map_err(|_| DiskError::Ended)?;
        let value = answer.map_err(|reason| DiskError::Refused {
            disk: self.name.clone(),
            reason,
        })?;
        serde_json::from_value(value).map_err(|error| DiskError::Refused {
            disk: self.name.clone(),
            reason: format!("an answer that is none: {error}"),
        })
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the server, and hands on orders until either side is gone.
fn keep(launcher: &Path, started: oneshot::Sender<Result<Server, DiskError>>) {
    let spawned = Command::new(launcher)
        .arg(MARK)
        .arg(std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let reason = format!("{}: {error}", launcher.display());
            let _ = started.send(Err(DiskError::Start(reason)));
            return;
        }
    };
    let (pid, stdin, stdout) = (child.id(), child.stdin.take(), child.stdout.take());
    let child = Arc::new(Mutex::new(child));
    let (queue, jobs) = mpsc::sync_channel(QUEUE);
    // From here on dropping the server ends the process.
    let server = Server {
        queue,
        child: Arc::clone(&child),
        pid,
    };
    let (Some(mut orders), Some(answers)) = (stdin, stdout) else {
        return;
    };
    let mut answers = BufReader::new(answers);
    let ready = match read(&mut answers) {
        Some(Ok(_)) => Ok(server),
        Some(Err(reason)) => Err(DiskError::Start(reason)),
        None => Err(DiskError::Start(format!(
            "{} did not act as a disk server: does its main call server_main() first?",
            launcher.display()
        ))),
    };
    let failed = ready.is_err();
    if started.send(ready).is_err() || failed {
        return;
    }
    for Job { order, reply } in jobs {
        let Ok(mut line) = serde_json::to_vec(&order) else {
            let _ = reply.send(Err("the order cannot be written as JSON".into()));
            continue;
        };
        line.push(b'\n');
        if orders.write_all(&line).is_err() {
            return;
        }
        match read(&mut answers) {
            Some(answer) => {
                let _ = reply.send(answer);
            }
            None => return,
        }
    }
}

fn read(answers: &mut impl BufRead) -> Option<Result<Value, String>> {
    let mut line = Vec::new();
    let mut limited = answers.take(LONGEST_ANSWER);
    limited.read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}
