//! A cluster of real processes on loopback, driven member by member.
//!
//! Members are called `m1`, `m2`, …; each has its own client port, peer port and, where the plan
//! wants links that can be cut, a peer proxy whose address is the one that others are told. Ports
//! are leased outside the kernel's ephemeral range for the whole run, so that a dead member's port
//! cannot be taken by somebody's outgoing connection.

mod flags;
mod logs;
mod member;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use checker::history::{LogLine, MemberInfo, ObservationRecord, ProcessEvent, ProcessEventKind};
use failpoints::network::PeerProxies;
use failpoints::ports::{PortError, PortLease};
use failpoints::process::{ExitStatus, SpawnSpec, Spawner};
use scenarios::plan::ClusterPlan;
use tokio::sync::{Mutex, watch};

use crate::recorder::Recorder;
use crate::rpc::{Endpoint, Tls};
use flags::Flags;
pub use member::Life;
use member::{Member, Running};

/// How long a terminated member may take to end before it is killed. etcd 3.4 and 3.5 wait for
/// open watches a while.
const TERMINATE_LIMIT: Duration = Duration::from_secs(10);

/// Fatal lines recorded a member.
const FATAL_LINES_MAX: usize = 20;

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The store's binary.
    pub binary: PathBuf,
    /// Its version.
    pub version: String,
    /// The executable that starts members: this one.
    pub launcher: PathBuf,
    /// The plan's part about members.
    pub plan: ClusterPlan,
    /// Whether auth will be on.
    pub auth: bool,
    /// The run directory; members live under `members/`.
    pub dir: PathBuf,
    /// Take ports from here upwards; without it, free ones are found.
    pub first_port: Option<u16>,
}

/// A running cluster. Clones share it.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    token: String,
    tls: Option<tls::MemberFiles>,
    spawner: Spawner,
    proxies: Option<PeerProxies>,
    recorder: Recorder,
    members: Mutex<BTreeMap<String, Member>>,
    ports: std::sync::Mutex<Ports>,
    /// Names of the members that have been started at least once.
    started: watch::Sender<Vec<String>>,
}

impl Drop for Inner {
    /// A cluster that is dropped in mid-run kills its members: that is no end by themselves.
    fn drop(&mut self) {
        for member in self.members.get_mut().values() {
            if let Some(running) = &member.running {
                running.plan_end();
            }
        }
    }
}

impl Cluster {
    /// Starts the plan's members, all at once. They are not ready yet.
    ///
    /// # Errors
    /// When ports, directories, certificates or processes cannot be had.
    pub async fn start(options: Options, recorder: Recorder) -> anyhow::Result<Self> {
        let tls = match options.plan.tls {
            true => Some(tls::make(&options.dir.join("tls"))?),
            false => None,
        };
        let proxies = options.plan.peer_proxies.then(PeerProxies::new);
        let mut members = BTreeMap::new();
        let mut ports = Ports {
            next: options.first_port,
        };
        for number in 1..=options.plan.members {
            let name = format!("m{number}");
            let member = new_member(&options, &name, &mut ports)?;
            members.insert(name, member);
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        let initial_cluster = members
            .iter()
            .map(|(name, m)| format!("{name}={scheme}://127.0.0.1:{}", m.advertised_peer_port()))
            .collect::<Vec<_>>()
            .join(",");
        for member in members.values_mut() {
            member.initial_cluster.clone_from(&initial_cluster);
        }
        if let Some(proxies) = &proxies {
            for (name, member) in &members {
                add_proxy(proxies, name, member).await?;
            }
        }
        let names: Vec<_> = members.keys().cloned().collect();
        let token = format!("gauntlet-{}", std::process::id());
        let cluster = Self {
            inner: Arc::new(Inner {
                options,
                token,
                tls,
                spawner: Spawner::new()?,
                proxies,
                recorder,
                members: Mutex::new(members),
                ports: std::sync::Mutex::new(ports),
                started: watch::Sender::new(Vec::new()),
            }),
        };
        for name in &names {
            cluster.spawn(name).await?;
        }
        Ok(cluster)
    }

    /// Follows the names of members that have been started.
    #[must_use]
    pub fn started(&self) -> watch::Receiver<Vec<String>> {
        self.inner.started.subscribe()
    }

    /// Where a member serves clients.
    ///
    /// # Errors
    /// When there is no such member.
    pub async fn endpoint(&self, name: &str) -> anyhow::Result<Endpoint> {
        let members = self.inner.members.lock().await;
        let member = find(&members, name)?;
        Ok(Endpoint {
            address: format!("127.0.0.1:{}", member.client.port()),
            tls: self.inner.tls.as_ref().map(|tls| Tls {
                ca_pem: tls.ca_pem.clone(),
            }),
        })
    }

    /// The members that have not been removed, in name order.
    pub async fn names(&self) -> Vec<String> {
        let members = self.inner.members.lock().await;
        members
            .iter()
            .filter(|(_, m)| m.life != Life::Removed)
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// The voters among them.
    pub async fn voters(&self) -> Vec<String> {
        let members = self.inner.members.lock().await;
        members
            .iter()
            .filter(|(_, m)| m.life != Life::Removed && !m.learner)
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// The voters that nothing is wrong with as far as the plan goes: up, not paused, not cut off.
    pub async fn serving(&self) -> Vec<String> {
        let members = self.inner.members.lock().await;
        let serves = |m: &Member| {
            let running = m.running.as_ref().is_some_and(|r| r.ended().is_none());
            running && m.life == Life::Up && !m.learner && !m.paused && !m.cut
        };
        members
            .iter()
            .filter(|(_, m)| serves(m))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Where a member is in its life.
    ///
    /// # Errors
    /// When there is no such member.
    pub async fn life(&self, name: &str) -> anyhow::Result<Life> {
        Ok(find(&*self.inner.members.lock().await, name)?.life)
    }

    /// Whether the member's process runs.
    pub async fn is_running(&self, name: &str) -> bool {
        let members = self.inner.members.lock().await;
        members
            .get(name)
            .and_then(|m| m.running.as_ref())
            .is_some_and(|running| running.ended().is_none())
    }

    /// How a member that should run has ended, with its last log lines; `None` while it runs.
    pub async fn unexpected_end(&self, name: &str) -> Option<String> {
        let members = self.inner.members.lock().await;
        let member = members.get(name)?;
        let status = member.running.as_ref()?.ended()?;
        if member.life != Life::Up {
            return None;
        }
        let lines = logs::last_lines(&member.log(), 3).join("\n    ");
        Some(format!(
            "{name} ended by itself ({status}); its last log lines:\n    {lines}"
        ))
    }

    /// Notes the member ids that the cluster has given, and records the membership.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn learn_ids(&self, listed: &[checker::history::Member]) -> anyhow::Result<()> {
        {
            let mut members = self.inner.members.lock().await;
            for one in listed {
                if let Some(member) = members.get_mut(&one.name) {
                    member.id = one.id;
                    member.learner = one.learner;
                }
            }
        }
        self.record_membership().await
    }

    /// The id that the cluster gave to a member; 0 while unknown.
    pub async fn id(&self, name: &str) -> u64 {
        self.inner
            .members
            .lock()
            .await
            .get(name)
            .map_or(0, |m| m.id)
    }

    /// The name of the member with this id.
    pub async fn name_of(&self, id: u64) -> Option<String> {
        let members = self.inner.members.lock().await;
        members
            .iter()
            .find(|(_, m)| m.id == id && id != 0)
            .map(|(name, _)| name.clone())
    }

    async fn record_membership(&self) -> anyhow::Result<()> {
        let members = self.inner.members.lock().await;
        let members = members
            .iter()
            .filter(|(_, m)| m.life != Life::Removed)
            .map(|(name, m)| MemberInfo {
                name: name.clone(),
                id: m.id,
                learner: m.learner,
                version: self.inner.options.version.clone(),
            })
            .collect();
        let at = self.inner.recorder.clock().now();
        self.inner
            .recorder
            .observe(ObservationRecord::Membership { at, members })
            .await?;
        Ok(())
    }

    async fn spawn(&self, name: &str) -> anyhow::Result<()> {
        let inner = &self.inner;
        let mut members = inner.members.lock().await;
        let member = find_mut(&mut members, name)?;
        let data_dir = member.data_dir();
        let args = Flags {
            name,
            data_dir: &data_dir,
            client_port: member.client.port(),
            peer_port: member.peer.port(),
            initial_cluster: &member.initial_cluster,
            advertised_peer_port: member.advertised_peer_port(),
            existing: member.existing,
            token: &inner.token,
            tls: inner.tls.as_ref(),
            auth: inner.options.auth,
            plan: &inner.options.plan,
        }
        .to_args();
        let mut spec = SpawnSpec::new(&inner.options.launcher, &inner.options.binary, member.log());
        spec.args = args.into_iter().map(Into::into).collect();
        spec.cwd = Some(member.dir.clone());
        let process = inner
            .spawner
            .spawn(spec)
            .await
            .with_context(|| format!("cannot start member {name}"))?;
        let pid = process.pid().unsigned_abs();
        if let Some(proxies) = &inner.proxies {
            proxies.register(name, process.pid())?;
        }
        let end_is_planned = Arc::new(AtomicBool::new(false));
        let handle = process.handle();
        member.running = Some(Running {
            process,
            end_is_planned: end_is_planned.clone(),
        });
        member.life = Life::Up;
        member.paused = false;
        let log = member.log();
        drop(members);

        let event = |event, planned, last_lines| {
            ObservationRecord::Process(ProcessEvent {
                at: inner.recorder.clock().now(),
                member: name.to_owned(),
                pid,
                event,
                planned,
                last_lines,
            })
        };
        inner
            .recorder
            .observe(event(ProcessEventKind::Started, true, Vec::new()))
            .await?;
        inner.started.send_if_modified(|started| {
            let new = !started.iter().any(|known| known == name);
            if new {
                started.push(name.to_owned());
            }
            new
        });
        let recorder = inner.recorder.clone();
        let name = name.to_owned();
        tokio::spawn(async move {
            let status = handle.exit().await;
            let planned = end_is_planned.load(std::sync::atomic::Ordering::SeqCst);
            let last_lines = if planned {
                Vec::new()
            } else {
                logs::last_lines(&log, 10)
            };
            let event = ObservationRecord::Process(ProcessEvent {
                at: recorder.clock().now(),
                member: name,
                pid,
                event: match status {
                    ExitStatus::Code(code) => ProcessEventKind::Exited { code },
                    ExitStatus::Signal(signal) => ProcessEventKind::Signalled { signal },
                },
                planned,
                last_lines,
            });
            let _ = recorder.observe(event).await;
        });
        Ok(())
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn kill(&self, name: &str) -> anyhow::Result<i32> {
        let handle = {
            let mut members = self.inner.members.lock().await;
            let member = find_mut(&mut members, name)?;
            let Some(running) = &member.running else {
                bail!("{name} is not running")
            };
            running.plan_end();
            let handle = running.process.handle();
            handle.kill()?;
            member.life = Life::Down;
            handle
        };
        handle.exit().await;
        Ok(handle.pid())
    }

    /// SIGTERM, and waits for the end; SIGKILL if that takes longer than ten seconds.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn terminate(&self, name: &str) -> anyhow::Result<i32> {
        let handle = {
            let mut members = self.inner.members.lock().await;
            let member = find_mut(&mut members, name)?;
            let Some(running) = &member.running else {
                bail!("{name} is not running")
            };
            running.plan_end();
            let handle = running.process.handle();
            handle.terminate()?;
            member.life = Life::Down;
            handle
        };
        if tokio::time::timeout(TERMINATE_LIMIT, handle.exit())
            .await
            .is_err()
        {
            handle.kill()?;
            handle.exit().await;
        }
        Ok(handle.pid())
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn pause(&self, name: &str) -> anyhow::Result<()> {
        let mut members = self.inner.members.lock().await;
        let member = find_mut(&mut members, name)?;
        let Some(running) = &member.running else {
            bail!("{name} is not running")
        };
        running.process.pause()?;
        member.paused = true;
        Ok(())
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn resume(&self, name: &str) -> anyhow::Result<()> {
        let mut members = self.inner.members.lock().await;
        let member = find_mut(&mut members, name)?;
        let Some(running) = &member.running else {
            bail!("{name} is not running")
        };
        running.process.resume()?;
        member.paused = false;
        Ok(())
    }

    /// Starts a stopped member again on its data.
    ///
    /// # Errors
    /// When it runs, or cannot be started.
    pub async fn restart(&self, name: &str) -> anyhow::Result<()> {
        if self.is_running(name).await {
            bail!("{name} is running");
        }
        self.spawn(name).await
    }

    /// Deletes a stopped member's data.
    ///
    /// # Errors
    /// When it runs, or the directory cannot be deleted.
    pub async fn wipe(&self, name: &str) -> anyhow::Result<()> {
        if self.is_running(name).await {
            bail!("{name} is running: stop it before its data is wiped");
        }
        let dir = find(&*self.inner.members.lock().await, name)?.data_dir();
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot delete {}", dir.display()))
    }

    /// Prepares a member that is about to join: ports, directory, proxy. Gives the peer address to
    /// put into the MemberAdd request.
    ///
    /// # Errors
    /// When the name is taken, or ports or directories cannot be had.
    pub async fn prepare(&self, name: &str, learner: bool) -> anyhow::Result<String> {
        let mut members = self.inner.members.lock().await;
        if members.contains_key(name) {
            bail!("there already is, or was, a member {name}");
        }
        let mut member = {
            let mut ports = self
                .inner
                .ports
                .lock()
                .map_err(|_| anyhow!("ports are poisoned"))?;
            new_member(&self.inner.options, name, &mut ports)?
        };
        member.learner = learner;
        member.existing = true;
        member.life = Life::Down;
        if let Some(proxies) = &self.inner.proxies {
            add_proxy(proxies, name, &member).await?;
        }
        let scheme = if self.inner.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let url = format!("{scheme}://127.0.0.1:{}", member.advertised_peer_port());
        members.insert(name.to_owned(), member);
        Ok(url)
    }

    /// Starts a prepared member once the cluster has accepted it; `listed` is MemberAdd's answer.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn join(
        &self,
        name: &str,
        url: &str,
        listed: &[checker::history::Member],
    ) -> anyhow::Result<()> {
        {
            let mut members = self.inner.members.lock().await;
            let member = find_mut(&mut members, name)?;
            let entries = listed.iter().flat_map(|m| {
                let own = m.peer_urls.iter().any(|peer| peer == url);
                let label = if own { name.to_owned() } else { m.name.clone() };
                m.peer_urls
                    .iter()
                    .map(move |peer| format!("{label}={peer}"))
            });
            member.initial_cluster = entries.collect::<Vec<_>>().join(",");
            member.id = listed
                .iter()
                .find(|m| m.peer_urls.iter().any(|peer| peer == url))
                .map_or(0, |m| m.id);
        }
        self.spawn(name).await?;
        self.record_membership().await
    }

    /// Forgets a prepared member that the cluster did not accept.
    pub async fn forget(&self, name: &str) {
        self.inner.members.lock().await.remove(name);
    }

    /// Marks a learner as promoted.
    ///
    /// # Errors
    /// When there is no such member, or the recorder is gone.
    pub async fn promoted(&self, name: &str) -> anyhow::Result<()> {
        find_mut(&mut *self.inner.members.lock().await, name)?.learner = false;
        self.record_membership().await
    }

    /// Expects a member to end by itself from now on: it is about to be removed, and a removed
    /// member stops.
    ///
    /// # Errors
    /// When there is no such member.
    pub async fn expect_end(&self, name: &str) -> anyhow::Result<()> {
        let members = self.inner.members.lock().await;
        if let Some(running) = &find(&members, name)?.running {
            running.plan_end();
        }
        Ok(())
    }

    /// Stops a removed member for good.
    ///
    /// # Errors
    /// When there is no such member, or the recorder is gone.
    pub async fn removed(&self, name: &str) -> anyhow::Result<()> {
        if self.is_running(name).await {
            self.kill(name).await?;
        }
        find_mut(&mut *self.inner.members.lock().await, name)?.life = Life::Removed;
        self.record_membership().await
    }

    /// Cuts every peer connection from and to a member.
    ///
    /// # Errors
    /// When the plan has no proxies.
    pub async fn cut(&self, name: &str) -> anyhow::Result<()> {
        self.proxies()?.cut(name).await?;
        find_mut(&mut *self.inner.members.lock().await, name)?.cut = true;
        Ok(())
    }

    /// Undoes [`Cluster::cut`].
    ///
    /// # Errors
    /// When the plan has no proxies.
    pub async fn heal_network(&self, name: &str) -> anyhow::Result<()> {
        self.proxies()?.heal(name);
        find_mut(&mut *self.inner.members.lock().await, name)?.cut = false;
        Ok(())
    }

    fn proxies(&self) -> anyhow::Result<&PeerProxies> {
        self.inner
            .proxies
            .as_ref()
            .ok_or_else(|| anyhow!("links cannot be cut: the plan has peer_proxies = false"))
    }

    /// Members that the plan left paused or down, in name order: to be healed.
    pub async fn broken(&self) -> (Vec<String>, Vec<String>) {
        let members = self.inner.members.lock().await;
        let up = |m: &Member| m.life == Life::Up && m.running.is_some();
        let paused = members.iter().filter(|(_, m)| m.paused && up(m));
        let down = members.iter().filter(|(_, m)| m.life == Life::Down);
        (
            paused.map(|(n, _)| n.clone()).collect(),
            down.map(|(n, _)| n.clone()).collect(),
        )
    }

    /// Undoes every cut.
    pub async fn heal_all_links(&self) {
        if let Some(proxies) = &self.inner.proxies {
            proxies.heal_all();
            for member in self.inner.members.lock().await.values_mut() {
                member.cut = false;
            }
        }
    }

    /// Records the fatal lines of every member's log.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn record_fatal_lines(&self) -> anyhow::Result<()> {
        let logs: Vec<_> = {
            let members = self.inner.members.lock().await;
            members
                .iter()
                .map(|(name, m)| (name.clone(), m.log()))
                .collect()
        };
        for (member, log) in logs {
            for line in logs::fatal_lines(&log, FATAL_LINES_MAX).unwrap_or_default() {
                let at = self.inner.recorder.clock().now();
                let line = LogLine {
                    at,
                    member: member.clone(),
                    line,
                };
                self.inner
                    .recorder
                    .observe(ObservationRecord::FatalLog(line))
                    .await?;
            }
        }
        Ok(())
    }

    /// Ends every process: SIGTERM to all at once, SIGKILL to those that stay.
    ///
    /// # Errors
    /// When a process can be neither signalled nor found ended.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let names: Vec<_> = self.inner.members.lock().await.keys().cloned().collect();
        let mut ends = Vec::new();
        {
            let members = self.inner.members.lock().await;
            for name in &names {
                let running = members.get(name).and_then(|m| m.running.as_ref());
                if let Some(running) = running.filter(|r| r.ended().is_none()) {
                    running.plan_end();
                    // SIGKILL: the data is judged by then, and a graceful stop of three members
                    // costs a second a run.
                    running.process.kill()?;
                    ends.push(running.process.handle());
                }
            }
        }
        for end in ends {
            end.exit().await;
        }
        Ok(())
    }

    /// Directory of the members' data and logs.
    #[must_use]
    pub fn members_dir(&self) -> PathBuf {
        self.inner.options.dir.join("members")
    }
}

/// Where ports come from.
struct Ports {
    next: Option<u16>,
}

impl Ports {
    fn lease(&mut self) -> Result<PortLease, PortError> {
        match self.next {
            None => failpoints::ports::lease(),
            Some(port) => {
                self.next = port.checked_add(1);
                failpoints::ports::claim(port)
            }
        }
    }
}

fn new_member(options: &Options, name: &str, ports: &mut Ports) -> anyhow::Result<Member> {
    let dir = options.dir.join("members").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(Member {
        client: ports.lease()?,
        peer: ports.lease()?,
        proxy: if options.plan.peer_proxies {
            Some(ports.lease()?)
        } else {
            None
        },
        dir: absolute(&dir)?,
        id: 0,
        learner: false,
        life: Life::Down,
        paused: false,
        cut: false,
        initial_cluster: String::new(),
        existing: false,
        running: None,
    })
}

async fn add_proxy(proxies: &PeerProxies, name: &str, member: &Member) -> anyhow::Result<()> {
    let Some(proxy) = &member.proxy else {
        return Ok(());
    };
    proxies
        .add(name, proxy.port(), member.peer.port())
        .await
        .with_context(|| format!("cannot start the peer proxy of {name}"))?;
    Ok(())
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("no absolute path of {}", path.display()))
}

fn find<'a>(members: &'a BTreeMap<String, Member>, name: &str) -> anyhow::Result<&'a Member> {
    members
        .get(name)
        .ok_or_else(|| anyhow!("there is no member {name}"))
}

fn find_mut<'a>(
    members: &'a mut BTreeMap<String, Member>,
    name: &str,
) -> anyhow::Result<&'a mut Member> {
    members
        .get_mut(name)
        .ok_or_else(|| anyhow!("there is no member {name}"))
}
