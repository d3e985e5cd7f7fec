//! How a member begins and ends (server/etcdserver/server.go, NewServer).

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use api::pb::etcdserverpb as pb;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::apply::Applier;
use super::leader::Leadership;
use super::members::{self, Member, Members};
use super::peers::{self, Desk};
use super::reply::Outcome;
use super::{Alarms, Compactions, Ending, Position, Server, Waiters};
use crate::auth::AuthStore;
use crate::backend::{self, Backend};
use crate::config::{ClusterState, Config, Url};
use crate::lease::Lessor;
use crate::mvcc::{self, Store};
use crate::replication::{self, Node, PeerTls};
use crate::request::{Body, Publish};
use crate::watch::Hub;

/// How long a joining member asks the others who they are.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// So many requests wait for the alarm that they caused.
const MOST_OVER_QUOTA: usize = 64;

/// Who this member is and who the others are, as known before the log is open.
struct Place {
    id: u64,
    cluster_id: u64,
    members: Vec<Member>,
    join: bool,
}

impl Server {
    /// Opens the data directory, finds its place in the cluster and takes part from then on.
    ///
    /// # Errors
    /// When flags and disk contradict one another, when the disk cannot be read, when peers do not
    /// answer who has to be asked, and when it cannot be listened at the peer URLs.
    pub async fn start(config: Config) -> anyhow::Result<Arc<Self>> {
        let snap = config.data_dir.join("member").join("snap");
        std::fs::create_dir_all(&snap)
            .with_context(|| format!("{} cannot be made", snap.display()))?;
        let tls = peer_tls(&config)?;
        let place = place(&config, tls.as_ref()).await?;
        let (batch_interval, batch_limit) = config.batch();
        let options = backend::Options {
            batch_interval,
            batch_limit,
            bugs: config.bugs,
        };
        let backend = Backend::open(&snap.join("db"), options)?;
        let (over_quota, over) = mpsc::channel(MOST_OVER_QUOTA);
        let server = Arc::new(Self::assemble(config, &place, backend, over_quota));
        if server.members.all().is_empty() {
            server.members.assume(place.members);
        }
        let options = replication::Options {
            id: place.id,
            cluster_id: place.cluster_id,
            data_dir: server.config.data_dir.clone(),
            peers: server.members.peers(),
            join: place.join,
            listen: listen(&server.config.listen_peer_urls)?,
            tls,
            heartbeat: server.config.heartbeat(),
            election: server.config.election_timeout(),
            snapshot_count: server.config.snapshot_count,
            catchup_entries: server.config.experimental_snapshot_catchup_entries,
            pre_vote: server.config.pre_vote,
            bugs: server.config.bugs,
        };
        crate::info!("starting etcd server",
            "local-member-id": format!("{:x}", place.id),
            "cluster-id": format!("{:x}", place.cluster_id),
            "consistent-index": server.position.index());
        let machine = Box::new(Applier::new(Arc::clone(&server)));
        let desk = Arc::new(Desk(Arc::downgrade(&server)));
        let node = Node::start(options, machine, desk).await?;
        if server.node.set(node).is_err() {
            bail!("started twice");
        }
        server.begin(over);
        Ok(server)
    }

    fn assemble(
        config: Config,
        place: &Place,
        backend: Backend,
        over_quota: mpsc::Sender<(u64, Outcome)>,
    ) -> Self {
        let position = Arc::new(Position::read(&backend));
        let saved = Arc::clone(&position);
        backend.set_pre_commit(Box::new(move |batch| saved.save(batch)));
        // A lease that is shorter could end before its leader is known to be gone (NewServer).
        let min_ttl = (config.election_timeout() * 3 / 2).as_secs_f64().ceil();
        let lessor = Arc::new(Lessor::open(&backend, min_ttl as i64, config.bugs));
        let options = mvcc::Options {
            compaction_batch_limit: config.experimental_compaction_batch_limit,
            compaction_sleep: config.experimental_compaction_sleep_interval,
            bugs: config.bugs,
        };
        let store = Store::open(backend.clone(), Arc::clone(&lessor), options);
        let progress = config.experimental_watch_progress_notify_interval;
        let hub = Hub::new(Arc::clone(&store), progress, config.bugs);
        let auth = AuthStore::open(&backend, config.bcrypt_cost, config.bugs);
        auth.set_token_ttl(Duration::from_secs(config.auth_token_ttl));
        Self {
            id: place.id,
            cluster_id: place.cluster_id,
            members: Members::read(&backend),
            alarms: Alarms::read(&backend),
            lessor,
            store,
            hub,
            auth: Arc::new(auth),
            position,
            waiters: Waiters::new(place.id),
            changes: Waiters::new(place.id),
            leadership: Leadership::new(),
            node: OnceLock::new(),
            over_quota,
            compactions: Compactions::default(),
            ending: watch::Sender::new(None),
            tasks: Mutex::new(JoinSet::new()),
            backend,
            config,
        }
    }

    fn begin(self: &Arc<Self>, over: mpsc::Receiver<(u64, Outcome)>) {
        let mut tasks = self.tasks.lock().expect("nobody panics while holding it");
        let server = Arc::clone(self);
        tasks.spawn(async move { server.follow_leader().await });
        let server = Arc::clone(self);
        tasks.spawn(async move { server.miss_leader().await });
        tasks.spawn(Arc::clone(self).revoke_expired());
        tasks.spawn(Arc::clone(self).raise_alarms(over));
    }

    async fn raise_alarms(self: Arc<Self>, mut over: mpsc::Receiver<(u64, Outcome)>) {
        while let Some((id, outcome)) = over.recv().await {
            let alarm = Body::Alarm(self.no_space());
            let raised = self
                .request_as::<pb::AlarmResponse>(self.root(), alarm)
                .await;
            if let Err(error) = raised {
                crate::warning!("failed to raise alarm", "error": error.to_string());
            }
            self.waiters.wake(id, outcome);
        }
    }

    /// Tells the cluster this member's name and client URLs, as often as it takes. Once that is
    /// done the member is ready for clients.
    pub async fn publish(&self) {
        loop {
            let said = Publish {
                member_id: self.id,
                name: self.config.name.clone(),
                client_urls: self.config.advertise_client_urls.clone(),
            };
            match self.request_as::<()>(None, Body::Publish(said)).await {
                Ok(()) => break,
                Err(error) => {
                    crate::warning!("failed to publish local member to cluster through raft",
                        "local-member-id": format!("{:x}", self.id), "error": error.to_string());
                    tokio::time::sleep(super::leader::RETRY).await;
                }
            }
        }
        crate::info!("published local member to cluster through raft",
            "local-member-id": format!("{:x}", self.id),
            "cluster-id": format!("{:x}", self.cluster_id));
    }

    /// Ends in order: hands leadership over, stops the log, commits.
    pub async fn stop(&self) {
        self.end(Ending::Asked);
        if self.leads()
            && let Some(to) = self.longest_connected()
        {
            let limit = 2 * self.config.election_timeout();
            match tokio::time::timeout(limit, self.move_leader(to)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    crate::warning!("leadership transfer failed", "error": error.to_string());
                }
                Err(_) => crate::warning!("leadership transfer failed", "error": "timed out"),
            }
        }
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().expect("nobody panics while holding it"));
        tasks.shutdown().await;
        self.node().stop().await;
        self.waiters.clear();
        self.changes.clear();
        self.backend.close();
    }
}

async fn place(config: &Config, tls: Option<&PeerTls>) -> anyhow::Result<Place> {
    if let Some(identity) = replication::identity(&config.data_dir)? {
        return Ok(Place {
            id: identity.id,
            cluster_id: identity.cluster_id,
            members: Vec::new(),
            join: config.initial_cluster_state == ClusterState::Existing,
        });
    }
    let own = config.initial_cluster.get(&config.name).with_context(|| {
        format!(
            "couldn't find local name \"{}\" in the initial cluster configuration",
            config.name
        )
    })?;
    ensure!(
        same(own, &config.initial_advertise_peer_urls),
        "--initial-cluster has {} for {}, and --initial-advertise-peer-urls {}",
        own.join(","),
        config.name,
        config.initial_advertise_peer_urls.join(",")
    );
    match config.initial_cluster_state {
        ClusterState::New => {
            let token = &config.initial_cluster_token;
            let member = |urls: &Vec<String>| Member {
                id: members::member_id(urls, token),
                peer_urls: urls.clone(),
                ..Member::default()
            };
            let all: Vec<_> = config.initial_cluster.values().map(member).collect();
            Ok(Place {
                id: members::member_id(own, token),
                cluster_id: members::cluster_id(all.iter().map(|member| member.id)),
                members: all,
                join: false,
            })
        }
        ClusterState::Existing => join(config, own, tls).await,
    }
}

/// Asks the others for the member list, and finds itself there by its peer URLs.
async fn join(config: &Config, own: &[String], tls: Option<&PeerTls>) -> anyhow::Result<Place> {
    let others = config
        .initial_cluster
        .iter()
        .filter(|(name, _)| **name != config.name);
    let urls: Vec<_> = others.flat_map(|(_, urls)| urls).collect();
    let start = Instant::now();
    let mut last = String::from("there is nobody to ask");
    while start.elapsed() < JOIN_LIMIT {
        for url in &urls {
            let list = match replication::ask(url, tls, peers::MEMBERS, Vec::new()).await {
                Ok(bytes) => pb::MemberListResponse::decode(bytes.as_slice())?,
                Err(status) => {
                    last = format!("{url}: {status}");
                    continue;
                }
            };
            let Some(me) = list
                .members
                .iter()
                .find(|member| same(&member.peer_urls, own))
            else {
                last = format!("{url}: the cluster has no member at {}", own.join(","));
                continue;
            };
            return Ok(Place {
                id: me.id,
                cluster_id: list.header.unwrap_or_default().cluster_id,
                members: list.members.into_iter().map(Member::from).collect(),
                join: true,
            });
        }
        tokio::time::sleep(super::leader::RETRY).await;
    }
    bail!("cannot fetch cluster info from peer urls: {last}")
}

fn same(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|url| b.contains(url))
}

fn peer_tls(config: &Config) -> anyhow::Result<Option<PeerTls>> {
    let Some(tls) = &config.peer_tls else {
        return Ok(None);
    };
    Ok(Some(PeerTls {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        ca: tls
            .ca
            .clone()
            .context("TLS between peers needs --peer-trusted-ca-file")?,
    }))
}

/// One address a URL: of a name's addresses, one of IPv4 if there is one, as Go's net.Listen.
pub(crate) fn listen(urls: &[Url]) -> anyhow::Result<Vec<std::net::SocketAddr>> {
    let one = |url: &Url| {
        let addresses = url
            .addresses()
            .with_context(|| format!("{} has no address", url.authority))?;
        let four = addresses.iter().find(|address| address.is_ipv4());
        let any = four.or(addresses.first()).copied();
        any.with_context(|| format!("{} has no address", url.authority))
    };
    urls.iter().map(one).collect()
}
