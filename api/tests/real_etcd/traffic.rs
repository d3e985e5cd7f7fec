//! Clients of three members, and what they heard.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

use api::pb::{authpb, etcdserverpb as pb};
use api::revisions::{Meaning, ResponseKind as K, meaning};
use pb::{
    auth_client::AuthClient, kv_client::KvClient, lease_client::LeaseClient,
    maintenance_client::MaintenanceClient,
};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{put, range, with};

/// Leases that each of three clients grants and revokes.
const ROUNDS: i64 = 700;
/// Log-ins with each of the times that auth is switched on.
const LOG_INS: usize = 100;
const SWITCHES: usize = 3;

/// An answer, with what is known of its place.
pub(super) struct Answer {
    pub(super) kind: K,
    /// Its name in the log, or none if it is not there.
    pub(super) name: Option<String>,
    pub(super) revision: i64,
    /// The greatest revision acknowledged before the request was sent.
    pub(super) before: i64,
    /// The greatest revision that requests sent before the answer came can have made.
    pub(super) after: i64,
}

/// What was sent and heard, of all clients.
#[derive(Default)]
pub(super) struct Seen {
    acknowledged: AtomicI64,
    sent: AtomicI64,
    pub(super) answers: Mutex<Vec<Answer>>,
    token: Mutex<String>,
    pub(super) done: AtomicBool,
}

impl Seen {
    /// Sends a request and notes the revision of its answer; gives the answer, if there is one.
    async fn ask<T>(
        &self,
        kind: K,
        name: Option<String>,
        header: impl Fn(&T) -> Option<&pb::ResponseHeader>,
        request: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Option<T> {
        let before = self.acknowledged.load(SeqCst).max(1);
        if matches!(kind, K::Put | K::LeaseRevoke) {
            self.sent.fetch_add(1, SeqCst);
        }
        let answer = request.await.ok()?.into_inner();
        let after = 1 + self.sent.load(SeqCst);
        // 3.4 sends alarms without a header.
        if let Some(header) = header(&answer) {
            let revision = header.revision;
            if meaning(kind).meaning == Meaning::Exact {
                self.acknowledged.fetch_max(revision, SeqCst);
            }
            self.answers.lock().unwrap().push(Answer {
                kind,
                name,
                revision,
                before,
                after,
            });
        }
        Some(answer)
    }

    async fn put(&self, kv: &mut KvClient<Channel>, key: &str, value: &str, lease: i64) {
        let message = pb::PutRequest {
            value: value.into(),
            lease,
            ..put(key)
        };
        let token = self.token.lock().unwrap().clone();
        // Up to 3.5.1 a member without auth refuses a token.
        let request = match token.is_empty() {
            true => Request::new(message),
            false => with(&token, message),
        };
        self.ask(
            K::Put,
            Some(format!("put {value}")),
            |a| a.header.as_ref(),
            kv.put(request),
        )
        .await;
    }

    /// Puts on a key of its own, until the others are done.
    pub(super) async fn traffic(&self, channel: Channel, own: String) {
        let mut kv = KvClient::new(channel);
        for n in 0_u32.. {
            if self.done.load(SeqCst) {
                break;
            }
            self.put(&mut kv, &own, &format!("{own}-{n}"), 0).await;
        }
    }

    /// Leases, compactions, users and roles, and questions to one member.
    pub(super) async fn rounds(&self, member: i64, own: Channel, other: Channel) {
        let mut kv = KvClient::new(own.clone());
        let mut lease = LeaseClient::new(own.clone());
        let mut elsewhere = LeaseClient::new(other);
        for n in 0..ROUNDS {
            let id = (member + 1) * 10_000 + n;
            let grant = pb::LeaseGrantRequest { id, ttl: 600 };
            let name = Some(format!("grant {id}"));
            self.ask(
                K::LeaseGrant,
                name,
                |a| a.header.as_ref(),
                lease.lease_grant(grant),
            )
            .await
            .expect("a lease is granted");
            for key in 0..n % 3 {
                let key = format!("leased/{id}/{key}");
                self.put(&mut kv, &key, &key, id).await;
            }
            if n % 4 == 0 {
                self.keep_alive(&mut lease, id).await;
                let ask = pb::LeaseTimeToLiveRequest { id, keys: true };
                let answer = lease.lease_time_to_live(ask);
                self.ask(K::LeaseTimeToLive, None, |a| a.header.as_ref(), answer)
                    .await;
                self.questions(own.clone()).await;
            }
            if n % 8 == 4 {
                self.compact(&mut kv, n % 16 == 4).await;
                self.users(AuthClient::new(own.clone()), &format!("u{id}"))
                    .await;
            }
            let revoke = pb::LeaseRevokeRequest { id };
            let name = Some(format!("revoke {id}"));
            let revoke = elsewhere.lease_revoke(revoke);
            self.ask(K::LeaseRevoke, name, |a| a.header.as_ref(), revoke)
                .await
                .expect("a lease is revoked");
        }
    }

    async fn keep_alive(&self, lease: &mut LeaseClient<Channel>, id: i64) {
        let answer = async {
            let request = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
            let mut stream = lease.lease_keep_alive(request).await?.into_inner();
            let answer = stream.message().await?;
            answer
                .map(Response::new)
                .ok_or_else(|| Status::unknown("no answer"))
        };
        self.ask(K::LeaseKeepAlive, None, |a| a.header.as_ref(), answer)
            .await;
    }

    async fn questions(&self, channel: Channel) {
        let mut kv = KvClient::new(channel.clone());
        let mut lease = LeaseClient::new(channel.clone());
        let mut maintenance = MaintenanceClient::new(channel);
        let answer = kv.range(range("k", 0));
        self.ask(K::RangeLinearizable, None, |a| a.header.as_ref(), answer)
            .await;
        let local = pb::RangeRequest {
            serializable: true,
            ..range("k", 0)
        };
        let answer = kv.range(local);
        self.ask(K::RangeSerializable, None, |a| a.header.as_ref(), answer)
            .await;
        let answer = lease.lease_leases(pb::LeaseLeasesRequest {});
        self.ask(K::LeaseLeases, None, |a| a.header.as_ref(), answer)
            .await;
        let answer = maintenance.status(pb::StatusRequest {});
        self.ask(K::Status, None, |a| a.header.as_ref(), answer)
            .await;
        let answer = maintenance.hash_kv(pb::HashKvRequest::default());
        self.ask(K::HashKv, None, |a| a.header.as_ref(), answer)
            .await;
    }

    async fn compact(&self, kv: &mut KvClient<Channel>, physical: bool) {
        // Told apart by parity afterwards.
        let revision = (self.acknowledged.load(SeqCst) - 20) / 2 * 2 + i64::from(physical);
        let answer = kv.compact(pb::CompactionRequest { revision, physical });
        let name = Some(format!("compact {revision}"));
        self.ask(K::Compact, name, |a| a.header.as_ref(), answer)
            .await;
    }

    async fn users(&self, mut auth: AuthClient<Channel>, name: &str) {
        let called = |what: &str| Some(format!("{what} {name}"));
        let add = pb::AuthUserAddRequest {
            name: name.into(),
            password: "p".into(),
            ..Default::default()
        };
        let answer = auth.user_add(add);
        self.ask(
            K::AuthChange,
            called("user add"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
        let answer = auth.role_add(pb::AuthRoleAddRequest { name: name.into() });
        self.ask(
            K::AuthChange,
            called("role add"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
        let allow = pb::AuthRoleGrantPermissionRequest {
            name: name.into(),
            perm: Some(authpb::Permission {
                perm_type: 2,
                key: b"mine".to_vec(),
                range_end: vec![],
            }),
        };
        let answer = auth.role_grant_permission(allow);
        self.ask(
            K::AuthChange,
            called("role grant"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
        let grant = pb::AuthUserGrantRoleRequest {
            user: name.into(),
            role: name.into(),
        };
        let answer = auth.user_grant_role(grant);
        self.ask(
            K::AuthChange,
            called("user grant"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
        let answer = auth.user_get(pb::AuthUserGetRequest { name: name.into() });
        self.ask(
            K::AuthRead,
            called("user get"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
        let answer = auth.role_get(pb::AuthRoleGetRequest { role: name.into() });
        self.ask(
            K::AuthRead,
            called("role get"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
        let answer = auth.user_delete(pb::AuthUserDeleteRequest { name: name.into() });
        self.ask(
            K::AuthChange,
            called("user delete"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
        let answer = auth.role_delete(pb::AuthRoleDeleteRequest { role: name.into() });
        self.ask(
            K::AuthChange,
            called("role delete"),
            |a| a.header.as_ref(),
            answer,
        )
        .await;
    }

    /// What the log tells apart by its turn only, so one client at a time: through each member in
    /// turn, alarms and the state of auth.
    pub(super) async fn in_turn(&self, channels: &[Channel]) {
        for turn in 0..LOG_INS {
            let channel = &channels[turn % channels.len()];
            let name = |what: &str| Some(format!("{what} {}", turn + 1));
            let mut maintenance = MaintenanceClient::new(channel.clone());
            let answer = maintenance.alarm(pb::AlarmRequest::default());
            self.ask(K::Alarm, name("alarm"), |a| a.header.as_ref(), answer)
                .await;
            // From 3.5.
            let mut auth = AuthClient::new(channel.clone());
            let answer = auth.auth_status(pb::AuthStatusRequest {});
            self.ask(
                K::AuthStatus,
                name("auth status"),
                |a| a.header.as_ref(),
                answer,
            )
            .await;
        }
    }

    /// Switches auth on and off, and logs in meanwhile.
    pub(super) async fn switches(&self, channels: &[Channel]) {
        let mut auth = AuthClient::new(channels[0].clone());
        let root = || "root".to_owned();
        let add = pb::AuthUserAddRequest {
            name: root(),
            password: root(),
            ..Default::default()
        };
        auth.user_add(add).await.unwrap();
        auth.role_add(pb::AuthRoleAddRequest { name: root() })
            .await
            .unwrap();
        let grant = pb::AuthUserGrantRoleRequest {
            user: root(),
            role: root(),
        };
        auth.user_grant_role(grant).await.unwrap();
        for switch in 0..SWITCHES {
            let name = |what: &str, n: usize| Some(format!("{what} {n}"));
            let answer = auth.auth_enable(pb::AuthEnableRequest {});
            self.ask(
                K::AuthChange,
                name("enable", switch + 1),
                |a| a.header.as_ref(),
                answer,
            )
            .await
            .expect("auth is switched on");
            for n in 0..LOG_INS {
                // The last through the member that is then asked to switch auth off: others may not
                // know the token yet.
                let channel = channels[(LOG_INS - 1 - n) % channels.len()].clone();
                let log_in = pb::AuthenticateRequest {
                    name: root(),
                    password: root(),
                };
                let mut auth = AuthClient::new(channel);
                let answer = auth.authenticate(log_in);
                let name = name("authenticate", switch * LOG_INS + n + 1);
                let answer = self
                    .ask(K::Authenticate, name, |a| a.header.as_ref(), answer)
                    .await
                    .expect("root logs in");
                *self.token.lock().unwrap() = answer.token;
            }
            let token = std::mem::take(&mut *self.token.lock().unwrap());
            let answer = auth.auth_disable(with(&token, pb::AuthDisableRequest {}));
            self.ask(
                K::AuthChange,
                name("disable", switch + 1),
                |a| a.header.as_ref(),
                answer,
            )
            .await
            .expect("auth is switched off");
        }
    }
}
