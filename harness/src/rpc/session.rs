//! One channel to one member, with or without a token.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::pb::{authpb, etcdserverpb as pb};
use checker::history::{
    AuthRequest, ClusterRequest, ErrorOrigin, MaintenanceRequest, Outcome, Request, Response,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Status};

use super::{decode, encode};

/// Largest answer accepted, in bytes. tonic's own limit is 4 MiB and shows as `OutOfRange`, the
/// code that etcd uses for a compacted revision.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A window of HTTP/2 that holds few messages, in bytes.
const SMALL_WINDOW: u32 = 8_192;

/// Time to set up a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Numbers the tokens of the process, so that records can tell them apart without holding them.
static TOKENS: AtomicU64 = AtomicU64::new(1);

/// What a client needs to trust a member's certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The run's own authority, PEM.
    pub ca_pem: String,
}

/// Where a member serves clients.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// For example `127.0.0.1:20001`.
    pub address: String,
    /// Present when members serve TLS.
    pub tls: Option<Tls>,
}

impl Endpoint {
    /// The address with its scheme.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

/// A user as the harness logs it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password, which never reaches a record.
    password: String,
}

impl Credentials {
    /// The password that the harness gives to `user`.
    #[must_use]
    pub fn of(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: format!("correct horse of {user}"),
        }
    }

    /// What records call the password.
    #[must_use]
    pub fn password_name(&self) -> String {
        password_name(&self.user)
    }
}

fn password_name(user: &str) -> String {
    format!("password of {user}")
}

fn password_by_name(name: &str) -> String {
    let user = name.strip_prefix("password of ").unwrap_or(name);
    Credentials::of(user).password
}

/// One channel to one member.
#[derive(Clone)]
pub struct Session {
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

macro_rules! client {
    ($self:ident, $module:ident :: $client:ident) => {
        pb::$module::$client::new($self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    };
}

impl Session {
    /// A channel that connects on first use, and anew after each break.
    ///
    /// # Errors
    /// When the address or the authority's certificate is no such thing.
    pub fn new(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let builder = Channel::from_shared(endpoint.url())?.connect_timeout(CONNECT_TIMEOUT);
        Self::connecting(builder, endpoint)
    }

    /// The same with a window of 8 KiB a stream: an answer that is not read soon holds the member
    /// back.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn with_small_window(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let builder = Channel::from_shared(endpoint.url())?
            .connect_timeout(CONNECT_TIMEOUT)
            .initial_stream_window_size(SMALL_WINDOW);
        Self::connecting(builder, endpoint)
    }

    fn connecting(
        mut builder: tonic::transport::Endpoint,
        endpoint: &Endpoint,
    ) -> anyhow::Result<Self> {
        if let Some(tls) = &endpoint.tls {
            let config = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&tls.ca_pem))
                .domain_name("localhost");
            builder = builder.tls_config(config)?;
        }
        Ok(Self {
            channel: builder.connect_lazy(),
            token: None,
        })
    }

    /// Whether requests carry a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Forgets the token.
    pub fn forget_token(&mut self) {
        self.token = None;
    }

    /// A request with the session's token.
    pub(crate) fn with_token<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    /// A client for watches on this channel.
    pub(crate) fn watch_client(&self) -> pb::watch_client::WatchClient<Channel> {
        client!(self, watch_client::WatchClient)
    }

    /// Sends one request and waits for its answer, at most `limit`. A log-in that succeeds changes
    /// the token of later requests. Never retries.
    pub async fn call(&mut self, request: &Request, limit: Duration) -> Outcome {
        if let Request::Authenticate { user, password } = request {
            return self.log_in(user, password, limit).await;
        }
        match tokio::time::timeout(limit, self.send(request)).await {
            Ok(Ok(response)) => Outcome::Ok { response },
            Ok(Err(status)) => error_outcome(&status),
            Err(_) => deadline_outcome(limit),
        }
    }

    async fn log_in(&mut self, user: &str, password: &str, limit: Duration) -> Outcome {
        let message = pb::AuthenticateRequest {
            name: user.to_owned(),
            password: password_by_name(password),
        };
        let mut client = client!(self, auth_client::AuthClient);
        match tokio::time::timeout(limit, client.authenticate(message)).await {
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                match answer.token.parse() {
                    Ok(token) => self.token = Some(token),
                    Err(_) => {
                        return Outcome::Error {
                            code: Code::Internal as i32,
                            message: "the token is not ASCII".into(),
                            origin: ErrorOrigin::Client,
                        };
                    }
                }
                Outcome::Ok {
                    response: Response::Authenticate {
                        header: decode::header(answer.header),
                        token: TOKENS.fetch_add(1, Ordering::Relaxed),
                    },
                }
            }
            Ok(Err(status)) => error_outcome(&status),
            Err(_) => deadline_outcome(limit),
        }
    }

    async fn send(&self, request: &Request) -> Result<Response, Status> {
        match request {
            Request::Range(_)
            | Request::Put(_)
            | Request::Delete(_)
            | Request::Txn(_)
            | Request::Compact { .. } => self.send_kv(request).await,
            Request::LeaseGrant { .. }
            | Request::LeaseRevoke { .. }
            | Request::LeaseKeepAlive { .. }
            | Request::LeaseTimeToLive { .. } => self.send_lease(request).await,
            Request::Auth(change) => self.send_auth(change).await,
            Request::Cluster(call) => self.send_cluster(call).await,
            Request::Maintenance(call) => self.send_maintenance(call).await,
            Request::Watch(_) | Request::Authenticate { .. } => {
                Err(Status::internal("not a unary request of this session"))
            }
        }
    }

    async fn send_kv(&self, request: &Request) -> Result<Response, Status> {
        let mut kv = client!(self, kv_client::KvClient);
        Ok(match request {
            Request::Range(r) => Response::Range(decode::range(
                kv.range(self.with_token(encode::range(r)))
                    .await?
                    .into_inner(),
            )),
            Request::Put(r) => Response::Put(decode::put(
                kv.put(self.with_token(encode::put(r))).await?.into_inner(),
            )),
            Request::Delete(r) => Response::Delete(decode::delete(
                kv.delete_range(self.with_token(encode::delete(r)))
                    .await?
                    .into_inner(),
            )),
            Request::Txn(r) => Response::Txn(decode::txn(
                kv.txn(self.with_token(encode::txn(r))).await?.into_inner(),
            )),
            Request::Compact { revision, physical } => {
                let message = pb::CompactionRequest {
                    revision: *revision,
                    physical: *physical,
                };
                let answer = kv.compact(self.with_token(message)).await?.into_inner();
                Response::Compact {
                    header: decode::header(answer.header),
                }
            }
            other => return Err(not_of(other)),
        })
    }

    async fn send_lease(&self, request: &Request) -> Result<Response, Status> {
        let mut lease = client!(self, lease_client::LeaseClient);
        Ok(match request {
            Request::LeaseGrant { id, ttl } => {
                let message = pb::LeaseGrantRequest { id: *id, ttl: *ttl };
                let answer = lease
                    .lease_grant(self.with_token(message))
                    .await?
                    .into_inner();
                if !answer.error.is_empty() {
                    return Err(Status::unknown(answer.error));
                }
                Response::LeaseGrant {
                    header: decode::header(answer.header),
                    id: answer.id,
                    ttl: answer.ttl,
                }
            }
            Request::LeaseRevoke { id } => {
                let message = pb::LeaseRevokeRequest { id: *id };
                let answer = lease
                    .lease_revoke(self.with_token(message))
                    .await?
                    .into_inner();
                Response::LeaseRevoke {
                    header: decode::header(answer.header),
                }
            }
            Request::LeaseKeepAlive { id } => {
                let message = pb::LeaseKeepAliveRequest { id: *id };
                let stream = futures_once(message);
                let mut answers = lease
                    .lease_keep_alive(self.with_token(stream))
                    .await?
                    .into_inner();
                let answer = answers
                    .message()
                    .await?
                    .ok_or_else(|| Status::unknown("the keep-alive stream ended unanswered"))?;
                Response::LeaseKeepAlive {
                    header: decode::header(answer.header),
                    id: answer.id,
                    ttl: answer.ttl,
                }
            }
            Request::LeaseTimeToLive { id } => {
                let message = pb::LeaseTimeToLiveRequest {
                    id: *id,
                    keys: true,
                };
                let answer = lease
                    .lease_time_to_live(self.with_token(message))
                    .await?
                    .into_inner();
                Response::LeaseTimeToLive {
                    header: decode::header(answer.header),
                    id: answer.id,
                    ttl: answer.ttl,
                    granted_ttl: answer.granted_ttl,
                    keys: answer.keys.into_iter().map(Into::into).collect(),
                }
            }
            other => return Err(not_of(other)),
        })
    }

    async fn send_auth(&self, change: &AuthRequest) -> Result<Response, Status> {
        let mut auth = client!(self, auth_client::AuthClient);
        macro_rules! header_of {
            ($call:ident, $message:expr) => {
                auth.$call(self.with_token($message))
                    .await?
                    .into_inner()
                    .header
            };
        }
        let header = match change.clone() {
            AuthRequest::Enable => header_of!(auth_enable, pb::AuthEnableRequest {}),
            AuthRequest::Disable => header_of!(auth_disable, pb::AuthDisableRequest {}),
            AuthRequest::UserAdd { user, password } => header_of!(
                user_add,
                pb::AuthUserAddRequest {
                    name: user,
                    password: password_by_name(&password),
                    options: Some(authpb::UserAddOptions { no_password: false }),
                    ..Default::default()
                }
            ),
            AuthRequest::UserDelete { user } => {
                header_of!(user_delete, pb::AuthUserDeleteRequest { name: user })
            }
            AuthRequest::UserChangePassword { user, password } => header_of!(
                user_change_password,
                pb::AuthUserChangePasswordRequest {
                    name: user,
                    password: password_by_name(&password),
                    ..Default::default()
                }
            ),
            AuthRequest::UserGrantRole { user, role } => {
                header_of!(user_grant_role, pb::AuthUserGrantRoleRequest { user, role })
            }
            AuthRequest::UserRevokeRole { user, role } => {
                header_of!(
                    user_revoke_role,
                    pb::AuthUserRevokeRoleRequest { name: user, role }
                )
            }
            AuthRequest::RoleAdd { role } => {
                header_of!(role_add, pb::AuthRoleAddRequest { name: role })
            }
            AuthRequest::RoleDelete { role } => {
                header_of!(role_delete, pb::AuthRoleDeleteRequest { role })
            }
            AuthRequest::RoleGrantPermission {
                role,
                key,
                range_end,
            } => header_of!(
                role_grant_permission,
                pb::AuthRoleGrantPermissionRequest {
                    name: role,
                    perm: Some(authpb::Permission {
                        perm_type: authpb::permission::Type::Readwrite.into(),
                        key: key.0,
                        range_end: range_end.0,
                    }),
                }
            ),
            AuthRequest::RoleRevokePermission {
                role,
                key,
                range_end,
            } => header_of!(
                role_revoke_permission,
                pb::AuthRoleRevokePermissionRequest {
                    role,
                    key: key.0,
                    range_end: range_end.0
                }
            ),
        };
        Ok(Response::Auth {
            header: decode::header(header),
        })
    }

    async fn send_cluster(&self, call: &ClusterRequest) -> Result<Response, Status> {
        let mut cluster = client!(self, cluster_client::ClusterClient);
        let (header, members) = match call {
            ClusterRequest::List { linearizable } => {
                let message = pb::MemberListRequest {
                    linearizable: *linearizable,
                };
                let r = cluster
                    .member_list(self.with_token(message))
                    .await?
                    .into_inner();
                (r.header, r.members)
            }
            ClusterRequest::Add { peer_urls, learner } => {
                let message = pb::MemberAddRequest {
                    peer_urls: peer_urls.clone(),
                    is_learner: *learner,
                };
                let r = cluster
                    .member_add(self.with_token(message))
                    .await?
                    .into_inner();
                (r.header, r.members)
            }
            ClusterRequest::Remove { id } => {
                let message = pb::MemberRemoveRequest { id: *id };
                let r = cluster
                    .member_remove(self.with_token(message))
                    .await?
                    .into_inner();
                (r.header, r.members)
            }
            ClusterRequest::Promote { id } => {
                let message = pb::MemberPromoteRequest { id: *id };
                let r = cluster
                    .member_promote(self.with_token(message))
                    .await?
                    .into_inner();
                (r.header, r.members)
            }
        };
        Ok(Response::Cluster {
            header: decode::header(header),
            members: decode::members(members),
        })
    }

    async fn send_maintenance(&self, call: &MaintenanceRequest) -> Result<Response, Status> {
        let mut maintenance = client!(self, maintenance_client::MaintenanceClient);
        Ok(match call {
            MaintenanceRequest::Status => Response::Status(decode::status(
                maintenance
                    .status(self.with_token(pb::StatusRequest {}))
                    .await?
                    .into_inner(),
            )),
            MaintenanceRequest::HashKv { revision } => {
                let message = pb::HashKvRequest {
                    revision: *revision,
                };
                let answer = maintenance
                    .hash_kv(self.with_token(message))
                    .await?
                    .into_inner();
                Response::HashKv(decode::hash_kv(answer))
            }
            MaintenanceRequest::Defragment => {
                let message = pb::DefragmentRequest {};
                let answer = maintenance
                    .defragment(self.with_token(message))
                    .await?
                    .into_inner();
                Response::Defragment {
                    header: decode::header(answer.header),
                }
            }
            MaintenanceRequest::MoveLeader { target } => {
                let message = pb::MoveLeaderRequest { target_id: *target };
                let answer = maintenance
                    .move_leader(self.with_token(message))
                    .await?
                    .into_inner();
                Response::MoveLeader {
                    header: decode::header(answer.header),
                }
            }
            MaintenanceRequest::AlarmList => {
                self.alarm(&mut maintenance, pb::alarm_request::AlarmAction::Get, 0)
                    .await?
            }
            MaintenanceRequest::AlarmRaise { member } => {
                let raise = pb::alarm_request::AlarmAction::Activate;
                self.alarm(&mut maintenance, raise, *member).await?
            }
            MaintenanceRequest::AlarmClear { member } => {
                let clear = pb::alarm_request::AlarmAction::Deactivate;
                self.alarm(&mut maintenance, clear, *member).await?
            }
            MaintenanceRequest::Snapshot => {
                let mut stream = maintenance
                    .snapshot(self.with_token(pb::SnapshotRequest {}))
                    .await?
                    .into_inner();
                let (mut first, mut bytes) = (None, 0);
                while let Some(part) = stream.message().await? {
                    bytes += part.blob.len() as u64;
                    first = first.or(part.header);
                }
                Response::Snapshot {
                    header: decode::header(first),
                    bytes,
                }
            }
        })
    }

    async fn alarm(
        &self,
        client: &mut pb::maintenance_client::MaintenanceClient<Channel>,
        action: pb::alarm_request::AlarmAction,
        member: u64,
    ) -> Result<Response, Status> {
        let kind = match action {
            pb::alarm_request::AlarmAction::Get => pb::AlarmType::None,
            _ => pb::AlarmType::Nospace,
        };
        let message = pb::AlarmRequest {
            action: action.into(),
            member_id: member,
            alarm: kind.into(),
        };
        let answer = client.alarm(self.with_token(message)).await?.into_inner();
        let alarms = answer
            .alarms
            .iter()
            .map(|a| format!("{:x}: {:?}", a.member_id, a.alarm()))
            .collect();
        Ok(Response::Alarms {
            header: decode::header(answer.header),
            alarms,
        })
    }
}

fn not_of(request: &Request) -> Status {
    Status::internal(format!("{} is not of this service", request.kind()))
}

/// A stream of one message that then stays open: etcd answers a keep-alive on an open stream.
fn futures_once<T: Send + 'static>(message: T) -> impl tokio_stream::Stream<Item = T> {
    use tokio_stream::StreamExt as _;
    tokio_stream::once(message).chain(tokio_stream::pending())
}

fn deadline_outcome(limit: Duration) -> Outcome {
    Outcome::Error {
        code: Code::DeadlineExceeded as i32,
        message: format!("gauntlet: no answer within {} ms", limit.as_millis()),
        origin: ErrorOrigin::Deadline,
    }
}

/// A status in recorded form. A status without an error behind it came over the wire; one with a
/// refused connection behind it was made before anything was sent.
pub(crate) fn error_outcome(status: &Status) -> Outcome {
    let mut origin = ErrorOrigin::Server;
    let mut cause = status.source();
    while let Some(error) = cause {
        if origin == ErrorOrigin::Server {
            origin = ErrorOrigin::Client;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            origin = ErrorOrigin::NotSent;
        }
        cause = error.source();
    }
    Outcome::Error {
        code: status.code() as i32,
        message: status.message().to_owned(),
        origin,
    }
}
