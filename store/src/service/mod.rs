//! The gRPC services, one module each: requests are checked as in etcd's api/v3rpc, handed to the
//! server, and errors get etcd's codes.

pub mod auth;
mod check;
pub mod cluster;
pub mod health;
pub mod kv;
pub mod lease;
pub mod maintenance;
pub mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::pb::etcdserverpb as pb;
use api::pb::health::health_server::HealthServer;
use tokio::task::JoinSet;
use tonic::metadata::MetadataMap;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic::{Request, Status};

use crate::Error;
use crate::config::{Tls, Url};
use crate::server::{Caller, Server};

/// A message may be larger than a request by this much (server/etcdmain/config.go).
const OVERHEAD: usize = 512 << 10;
/// How long requests that are under way get when the member ends.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Where clients are listened to.
pub struct Listeners(Vec<(TcpIncoming, Url, SocketAddr)>);

impl Listeners {
    /// Binds the client URLs, so that a port which is taken is found before anything else is done.
    ///
    /// # Errors
    /// When one cannot be bound.
    pub fn bind(urls: &[Url]) -> anyhow::Result<Self> {
        let addresses = crate::server::listen(urls)?;
        let bound = urls.iter().zip(addresses).map(|(url, address)| {
            let incoming = TcpIncoming::bind(address)
                .with_context(|| format!("listen tcp {address}"))?
                .with_nodelay(Some(true));
            anyhow::Ok((incoming, url.clone(), address))
        });
        bound.collect::<Result<_, _>>().map(Self)
    }

    /// Serves clients until the server is to end.
    ///
    /// # Errors
    /// When the certificates are none, or listening fails.
    pub async fn serve(self, server: &Arc<Server>) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for (incoming, url, address) in self.0 {
            let tls = server.config().client_tls.as_ref().filter(|_| url.tls);
            let router = router(server, tls)?;
            crate::info!("ready to serve client requests");
            crate::info!("serving client traffic", "address": address.to_string(),
                "insecure": tls.is_none());
            let ending = Arc::clone(server);
            tasks.spawn(async move {
                let end = async move {
                    ending.ending().await;
                };
                router.serve_with_incoming_shutdown(incoming, end).await
            });
        }
        let all = async {
            while let Some(served) = tasks.join_next().await {
                served
                    .context("listening ended")?
                    .context("listening failed")?;
            }
            anyhow::Ok(())
        };
        let late = async {
            server.ending().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        };
        tokio::select! {
            result = all => result,
            () = late => Ok(()),
        }
    }
}

fn router(server: &Arc<Server>, tls: Option<&Tls>) -> anyhow::Result<Router> {
    let mut builder = tonic::transport::Server::builder();
    if let Some(tls) = tls {
        let identity = Identity::from_pem(&tls.cert, &tls.key);
        let mut config = ServerTlsConfig::new().identity(identity);
        if let Some(ca) = &tls.ca {
            config = config.client_ca_root(Certificate::from_pem(ca));
        }
        builder = builder.tls_config(config)?;
    }
    let most = server.config().max_request_bytes + OVERHEAD;
    let own = || Arc::clone(server);
    macro_rules! sized {
        ($service:expr) => {
            $service
                .max_decoding_message_size(most)
                .max_encoding_message_size(usize::MAX)
        };
    }
    let watch = watch::WatchService::new(Arc::clone(server.hub()), own());
    Ok(builder
        .add_service(sized!(pb::kv_server::KvServer::new(kv::KvService::new(
            own()
        ))))
        .add_service(sized!(pb::watch_server::WatchServer::new(watch)))
        .add_service(sized!(pb::lease_server::LeaseServer::new(
            lease::LeaseService::new(own())
        )))
        .add_service(sized!(pb::auth_server::AuthServer::new(
            auth::AuthService::new(own())
        )))
        .add_service(sized!(pb::cluster_server::ClusterServer::new(
            cluster::ClusterService::new(own())
        )))
        .add_service(sized!(pb::maintenance_server::MaintenanceServer::new(
            maintenance::MaintenanceService::new(own())
        )))
        .add_service(HealthServer::new(health::HealthService::new(own()))))
}

/// What every request is asked first, as by etcd's interceptors (api/v3rpc/interceptor.go): whether
/// a learner may answer it, and whether there is the leader that it requires.
///
/// # Errors
/// [`Error::NotSupportedForLearner`], [`Error::NoLeader`].
#[allow(clippy::result_large_err)]
pub(crate) fn admit<T>(
    server: &Server,
    request: &Request<T>,
    learner_may: bool,
) -> Result<Caller, Status> {
    if !learner_may && server.is_learner() {
        return Err(Error::NotSupportedForLearner.into());
    }
    if requires_leader(request) && server.status().leader == 0 {
        return Err(Error::NoLeader.into());
    }
    Ok(caller(request.metadata()))
}

/// Who sent this metadata.
fn caller(metadata: &MetadataMap) -> Caller {
    let text = |key| metadata.get(key)?.to_str().ok().map(str::to_owned);
    Caller {
        token: text("token").or_else(|| text("authorization")),
    }
}

/// Whether a stream is to end, by [`Error::NoLeader`], when [`Server::leader_lost`] comes back.
pub(crate) fn requires_leader<T>(request: &Request<T>) -> bool {
    request
        .metadata()
        .get("hasleader")
        .is_some_and(|value| value == "true")
}

impl watch::Host for Server {
    fn header(&self, rev: i64) -> pb::ResponseHeader {
        pb::ResponseHeader {
            revision: rev,
            ..self.header_without_revision()
        }
    }

    async fn may_watch(&self, metadata: &MetadataMap, key: &[u8], end: &[u8]) -> Result<(), Error> {
        let who = self.who(&caller(metadata)).await?.unwrap_or_default();
        self.auth().may_range(&who, key, end)
    }

    fn serves_streams(&self) -> Result<(), Error> {
        if self.is_learner() {
            return Err(Error::NotSupportedForLearner);
        }
        Ok(())
    }

    fn has_leader(&self) -> bool {
        self.status().leader != 0
    }

    fn leader_lost(&self) -> impl Future<Output = ()> + Send {
        Server::leader_lost(self)
    }

    fn max_request_bytes(&self) -> usize {
        self.config().max_request_bytes
    }
}
