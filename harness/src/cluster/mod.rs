//! A cluster of real processes on loopback, driven member by member.
//!
//! Members are called `m1`, `m2`, …; each has its own client port, peer port and, where the plan
//! wants links that can be cut, a peer proxy whose address is the one that others are told. Ports
//! are leased outside the kernel's ephemeral range for the whole run, so that a dead member's port
//! cannot be taken by somebody's outgoing connection.

mod disks;
mod flags;
mod gofail;
mod links;
mod logs;
mod member;
mod membership;
mod points;
mod processes;
mod program;
mod template;
mod tls;
mod tracing;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use failpoints::netns::{Namespaces, addresses_of};
use failpoints::network::PeerProxies;
use failpoints::ports::{PortError, PortLease};
use failpoints::process::Spawner;
use scenarios::plan::{ClusterPlan, Network, Planted, StorePin};
use tokio::sync::{Mutex, watch};

use crate::recorder::Recorder;
use crate::rpc::{Endpoint, Tls};
pub use logs::LogTail;
pub use member::Life;
use member::Member;
pub use program::Program;
pub use template::{PLACEHOLDERS, Template, TemplateError};
pub use tracing::{Armed, Happening, Happenings, TRACED_BY};

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The store.
    pub program: Program,
    /// What the plan says of it.
    pub store: StorePin,
    /// Further stores that members may be swapped to, by what the plan calls them.
    pub swaps: BTreeMap<String, Program>,
    /// The executable that starts members: this one.
    pub launcher: PathBuf,
    /// The plan's part about members.
    pub plan: ClusterPlan,
    /// The bug that is put into every member.
    pub planted: Option<Planted>,
    /// Members serve failpoints: those of the embedded store, or that gofail built into them.
    pub failpoints: bool,
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
    namespaces: Option<Namespaces>,
    recorder: Recorder,
    tracing: tracing::Tracing,
    /// The function that is skipped in every member from its start on.
    skip: Option<tracing::Skip>,
    members: Mutex<BTreeMap<String, Member>>,
    broken_links: std::sync::Mutex<Vec<links::Broken>>,
    /// After the members: they end before their disks.
    disks: Option<disks::Disks>,
    ports: std::sync::Mutex<Ports>,
    /// Names of the members that have been started, and not removed.
    present: watch::Sender<Vec<String>>,
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
            true => Some(tls::make(
                &options.dir.join("tls"),
                &addresses(&options.plan),
            )?),
            false => None,
        };
        let plan = &options.plan;
        let proxies = (plan.peer_proxies || plan.client_proxies).then(PeerProxies::new);
        let mut members = BTreeMap::new();
        let mut ports = Ports {
            next: options.first_port,
        };
        for number in 1..=options.plan.members {
            let name = format!("m{number}");
            let member = new_member(&options, &name, &mut ports)?;
            members.insert(name, member);
        }
        let namespaces = match options.plan.network {
            Network::Proxies => None,
            Network::Namespaces => Some(Namespaces::start(&options.launcher)?),
        };
        if let Some(namespaces) = &namespaces {
            for (name, member) in &mut members {
                settle(namespaces, name, member).await?;
            }
        }
        let initial_cluster = members
            .iter()
            .map(|(name, m)| format!("{name}={}", m.peer_url(tls.is_some())))
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
        let disks = match options.plan.disk {
            Some(plan) => {
                let started = disks::Disks::start(&options.launcher, plan).await;
                Some(started.context("the plan puts members' data on disks of ours")?)
            }
            None => None,
        };
        if let Some(disks) = &disks {
            for (name, member) in &members {
                disks.mount(name, &member.data_dir()).await?;
            }
        }
        let names: Vec<_> = members.keys().cloned().collect();
        let token = format!("gauntlet-{}", std::process::id());
        let tracing = tracing::Tracing::new(&options.launcher);
        let skip = options.planted.as_ref().and_then(tracing::Skip::of);
        if let Some(skip) = &skip {
            let prepared = tracing.prepare(skip, &options.program.binary).await;
            prepared.with_context(|| format!("cannot plant #{}", skip.issue))?;
        }
        let cluster = Self {
            inner: Arc::new(Inner {
                options,
                token,
                tls,
                spawner: Spawner::new()?,
                proxies,
                namespaces,
                recorder,
                tracing,
                skip,
                members: Mutex::new(members),
                broken_links: std::sync::Mutex::default(),
                disks,
                ports: std::sync::Mutex::new(ports),
                present: watch::Sender::new(Vec::new()),
            }),
        };
        for name in &names {
            cluster.spawn(name).await?;
        }
        Ok(cluster)
    }

    /// Follows the names of members that have been started, and not removed.
    #[must_use]
    pub fn present(&self) -> watch::Receiver<Vec<String>> {
        self.inner.present.subscribe()
    }

    /// Where a member serves the harness itself, past all proxies.
    ///
    /// # Errors
    /// When there is no such member.
    pub async fn endpoint(&self, name: &str) -> anyhow::Result<Endpoint> {
        let members = self.inner.members.lock().await;
        Ok(self.endpoint_at(&find(&members, name)?.client))
    }

    /// Where a member serves clients: by its client proxy, where the plan wants one.
    ///
    /// # Errors
    /// When there is no such member.
    pub async fn client_endpoint(&self, name: &str) -> anyhow::Result<Endpoint> {
        let members = self.inner.members.lock().await;
        let member = find(&members, name)?;
        Ok(self.endpoint_at(member.door.as_ref().unwrap_or(&member.client)))
    }

    fn endpoint_at(&self, port: &PortLease) -> Endpoint {
        Endpoint {
            address: format!("127.0.0.1:{}", port.port()),
            tls: self.inner.tls.as_ref().map(|tls| Tls {
                ca_pem: tls.ca_pem.clone(),
            }),
        }
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
            running && m.life == Life::Up && !m.learner && !m.paused && !m.cut && !m.severed
        };
        members
            .iter()
            .filter(|(_, m)| serves(m))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether the member's process runs.
    pub async fn is_running(&self, name: &str) -> bool {
        let members = self.inner.members.lock().await;
        members
            .get(name)
            .and_then(|m| m.running.as_ref())
            .is_some_and(|running| running.ended().is_none())
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

    /// The name of the member with this id, unless it has been removed.
    pub async fn name_of(&self, id: u64) -> Option<String> {
        let members = self.inner.members.lock().await;
        members
            .iter()
            .find(|(_, m)| m.id == id && id != 0 && m.life != Life::Removed)
            .map(|(name, _)| name.clone())
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
        door: if options.plan.client_proxies {
            Some(ports.lease()?)
        } else {
            None
        },
        address: Ipv4Addr::LOCALHOST,
        namespace: None,
        dir: absolute(&dir)?,
        program: options.program.clone(),
        gofail: match options.failpoints {
            true => Some(ports.lease()?),
            false => None,
        },
        id: 0,
        learner: false,
        life: Life::Down,
        paused: false,
        cut: false,
        severed: false,
        excused: false,
        excused_log: Vec::new(),
        initial_cluster: String::new(),
        existing: false,
        running: None,
    })
}

/// How many members may have joined at the end, at most, in a namespace under TLS.
const SETTLED_MAX: u8 = 20;

/// Addresses that members' certificates have to be for.
fn addresses(plan: &ClusterPlan) -> Vec<String> {
    match plan.network {
        Network::Proxies => Vec::new(),
        Network::Namespaces => addresses_of(SETTLED_MAX)
            .map(|one| one.to_string())
            .collect(),
    }
}

/// Gives a member its network namespace.
async fn settle(namespaces: &Namespaces, name: &str, member: &mut Member) -> anyhow::Result<()> {
    let points = member.gofail.as_ref().map(PortLease::port);
    let ports: Vec<_> = [member.client.port()].into_iter().chain(points).collect();
    let home = namespaces
        .add(name, &ports)
        .await
        .with_context(|| format!("cannot make a network namespace for {name}"))?;
    member.address = home.address;
    member.namespace = Some(home.namespace);
    Ok(())
}

async fn add_proxy(proxies: &PeerProxies, name: &str, member: &Member) -> anyhow::Result<()> {
    if let Some(proxy) = &member.proxy {
        proxies
            .add(name, proxy.port(), member.peer.port())
            .await
            .with_context(|| format!("cannot start the peer proxy of {name}"))?;
    }
    if let Some(door) = &member.door {
        proxies
            .add_clients(name, door.port(), member.client.port())
            .await
            .with_context(|| format!("cannot start the client proxy of {name}"))?;
    }
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
