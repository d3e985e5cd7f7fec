//! Applies the log to everything below, entry by entry (server/etcdserver/{server,apply}.go).

use std::path::Path;
use std::sync::Arc;

use api::pb::etcdserverpb as pb;
use prost::Message as _;

use super::cluster::Context;
use super::quota::Cost;
use super::reply::{Outcome, Reply};
use super::{Ending, Server, kv, txn};
use crate::Error;
use crate::auth::AuthInfo;
use crate::backend::{Batch, Bucket};
use crate::bugs::Bug;
use crate::mvcc::WriteTxn;
use crate::replication::{Applied, Committed, ConfChange, Machine};
use crate::request::{AuthListOf, Body, Request};

/// The log's machine.
pub(super) struct Applier {
    server: Arc<Server>,
    /// A snapshot has brought members whom the network has not been told of.
    strangers: bool,
}

impl Applier {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            strangers: false,
        }
    }
}

/// Where in the log an entry stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) index: u64,
    pub(super) term: u64,
}

impl Machine for Applier {
    fn consistent_index(&self) -> u64 {
        self.server.position.index()
    }

    fn apply(&mut self, committed: Committed) -> Applied {
        let server = &*self.server;
        let (term, applied) = match committed {
            Committed::Entry { index, term, data } => {
                if index > server.position.index() {
                    server.apply_entry(At { index, term }, &data);
                }
                (term, Applied::Done)
            }
            Committed::ConfChange {
                index,
                term,
                change,
            } => {
                fail::fail_point!("beforeApplyOneConfChange");
                (term, server.apply_change(At { index, term }, &change))
            }
            Committed::Snapshot { index, term, db } => {
                server.apply_snapshot(At { index, term }, &db);
                self.strangers = true;
                (term, Applied::Done)
            }
        };
        // One that was received before a crash is taken over before there is a node.
        if self.strangers
            && let Some(node) = server.node.get()
        {
            node.update_peers(server.members.peers());
            self.strangers = false;
        }
        server.leadership.applied(term);
        applied
    }

    fn commit(&mut self) {
        self.server.backend.force_commit();
    }

    fn copy_to(&mut self, path: &Path) -> std::io::Result<()> {
        let copied = self.server.backend.copy_to(path);
        copied.map_err(std::io::Error::other)
    }
}

impl Server {
    fn apply_entry(&self, at: At, data: &[u8]) {
        // Planted #13766: the right code sets the index under the lock of the batch that has the
        // entry's data (in `writes` and `batch`), so that no commit comes between.
        if self.bugs().has(Bug::IndexBeforeData) {
            self.position.set(at.index, at.term);
            fail::fail_point!("applyBeforeData");
        }
        if !data.is_empty() {
            match Request::decode(data) {
                Ok(Request {
                    header,
                    body: Some(body),
                }) => {
                    let who = AuthInfo {
                        user: header.user,
                        revision: header.auth_revision,
                    };
                    self.apply_request(at, header.id, &who, body);
                }
                broken => crate::fatal!("unreadable entry",
                    "index": at.index, "error": format!("{broken:?}")),
            }
        }
        // Those that changed nothing count as well.
        if self.position.index() < at.index {
            drop(self.batch(at));
        }
    }

    fn apply_request(&self, at: At, id: u64, who: &AuthInfo, mut body: Body) {
        let waited_for = self.waiters.is_waiting(id);
        if !waited_for {
            if has_no_effect(&body) {
                return;
            }
            // Planted #18667: the right code applies the same request on every member, whoever waits.
            if let Body::Txn(txn) = &mut body
                && self.bugs().has(Bug::TxnReadsStripped)
            {
                txn::strip_reads(txn);
            }
        }
        let outcome = self.outcome(at, who, &body);
        let full = matches!(outcome, Err(Error::NoSpace));
        if full && !self.alarms.is_raised(pb::AlarmType::Nospace) {
            crate::warning!("message exceeded backend quota; raising alarm",
                "quota-size-bytes": self.config.quota_backend_bytes);
            // With many before it, the alarm is on its way.
            if self.over_quota.try_send((id, outcome)).is_ok() {
                return;
            }
            self.waiters.wake(id, Err(Error::NoSpace));
        } else {
            self.waiters.wake(id, outcome);
        }
    }

    /// Refuses a request, or does it: first by alarms, then by permissions, at last by the quota,
    /// which refuses what is done already.
    fn outcome(&self, at: At, who: &AuthInfo, body: &Body) -> Outcome {
        let cost = match body {
            Body::Put(put) => Some(Cost::of_put(put)),
            Body::Txn(txn) => Some(Cost::of_txn(txn)).filter(|cost| !cost.is_nothing()),
            Body::LeaseGrant(_) => Some(Cost::LEASE_GRANT),
            _ => None,
        };
        let is_data = matches!(
            body,
            Body::Put(_)
                | Body::DeleteRange(_)
                | Body::Txn(_)
                | Body::Compaction(_)
                | Body::LeaseGrant(_)
                | Body::LeaseRevoke(_)
        );
        if is_data && self.alarms.is_raised(pb::AlarmType::Corrupt) {
            return Err(Error::Corrupt);
        }
        if cost.is_some() && self.alarms.is_raised(pb::AlarmType::Nospace) {
            return Err(Error::NoSpace);
        }
        self.authorize(who, body)?;
        let has_room = cost.is_none_or(|cost| self.has_room(cost));
        let reply = self.perform(at, body)?;
        if has_room {
            Ok(reply)
        } else {
            Err(Error::NoSpace)
        }
    }

    fn perform(&self, at: At, body: &Body) -> Outcome {
        match body {
            Body::Put(put) => {
                kv::check_lease(&self.lessor, put)?;
                self.write(at, |txn| kv::put(txn, put))
            }
            Body::DeleteRange(delete) => self.write(at, |txn| kv::delete_range(txn, delete)),
            Body::Txn(request) => {
                let compact_rev = self.store.compact_rev();
                self.write(at, |txn| {
                    txn::apply(txn, &self.lessor, compact_rev, request)
                })
            }
            Body::Compaction(compaction) => {
                let done = self.store.compact(compaction.revision)?;
                if compaction.physical {
                    self.compactions.keep(compaction.revision, done);
                }
                // The revision is filled when whoever waits gets it.
                Ok(pb::CompactionResponse { header: None }.into())
            }
            Body::LeaseGrant(grant) => {
                let ttl = self
                    .lessor
                    .grant(&mut self.batch(at), grant.id, grant.ttl)?;
                let header = self.revision_header();
                Ok(pb::LeaseGrantResponse {
                    header,
                    id: grant.id,
                    ttl,
                    error: String::new(),
                }
                .into())
            }
            Body::LeaseRevoke(revoke) => {
                let keys = self.lessor.keys(revoke.id)?;
                let mut txn = self.writes(at);
                for key in &keys {
                    txn.delete_range(key, &[]);
                }
                self.lessor.remove(txn.batch(), revoke.id);
                txn.end();
                let header = self.revision_header();
                Ok(pb::LeaseRevokeResponse { header }.into())
            }
            Body::Alarm(alarm) => Ok(self.alarm(at, alarm).into()),
            Body::Authenticate(log_in) => {
                let token = self
                    .auth
                    .assign_token(&log_in.name, &log_in.simple_token, at.index)?;
                let header = self.revision_header();
                Ok(pb::AuthenticateResponse { header, token }.into())
            }
            Body::Publish(said) => {
                self.members.publish(&mut self.batch(at), said);
                Ok(Reply::Published)
            }
            Body::AuthList(_) | Body::UserGet(_) | Body::RoleGet(_) => self.read_auth(body),
            body => self.change_auth(at, body),
        }
    }

    fn alarm(&self, at: At, request: &pb::AlarmRequest) -> pb::AlarmResponse {
        use pb::alarm_request::AlarmAction;

        let kind = request.alarm();
        let alarm = pb::AlarmMember {
            member_id: request.member_id,
            alarm: request.alarm,
        };
        let was_raised = self.alarms.is_raised(kind);
        let alarms = match request.action() {
            AlarmAction::Get => self.alarms.of(kind),
            AlarmAction::Activate if kind == pb::AlarmType::None => Vec::new(),
            AlarmAction::Activate => {
                self.alarms.raise(&mut self.batch(at), alarm);
                vec![alarm]
            }
            AlarmAction::Deactivate => {
                let raised = self.alarms.disarm(&mut self.batch(at), alarm);
                raised.then_some(alarm).into_iter().collect()
            }
        };
        let is_raised = self.alarms.is_raised(kind);
        if was_raised != is_raised {
            let text = if is_raised {
                "alarm raised"
            } else {
                "alarm disarmed"
            };
            crate::warning!(text,
                "alarm": kind.as_str_name(), "from": format!("{:x}", request.member_id));
        }
        pb::AlarmResponse {
            header: None,
            alarms,
        }
    }

    fn apply_change(&self, at: At, change: &ConfChange) -> Applied {
        let removes_self = matches!(change, ConfChange::Remove { id, .. } if *id == self.id);
        let (result, context) = if at.index > self.position.index() {
            self.members.believe();
            let result = self.members.check(change);
            let mut batch = self.batch(at);
            match result {
                Ok(()) => self.members.change(&mut batch, change),
                Err(_) => batch.put(Bucket::Cluster, &refusal_key(at.index), &[]),
            }
            drop(batch);
            let (ConfChange::Add { context, .. }
            | ConfChange::Promote { context, .. }
            | ConfChange::Remove { context, .. }
            | ConfChange::Update { context, .. }) = change;
            (result, Context::decode(context.as_slice()).ok())
        } else if self
            .backend
            .get(Bucket::Cluster, &refusal_key(at.index))
            .is_some()
        {
            return Applied::Refused;
        } else {
            (Ok(()), None)
        };
        if let Err(error) = result {
            crate::log::line(
                "error",
                "Validation on configuration change failed",
                &crate::log::json!({ "error": error.to_string() }),
            );
        }
        if let Some(context) = context {
            self.changes.wake(context.id, result);
        }
        if result.is_err() {
            return Applied::Refused;
        }
        if removes_self {
            self.end(Ending::Removed);
        }
        Applied::Done
    }

    fn apply_snapshot(&self, at: At, db: &Path) {
        fail::fail_point!("applyBeforeOpenSnapshot");
        // What is pending is committed with its own index; the new database brings another, which
        // no commit may overwrite. Planted #20271: a commit waits for a defragmentation; it is left
        // out, and what is pending is dropped with the old database.
        if !self.bugs().has(Bug::DefragSnapshot) {
            self.backend.force_commit();
        }
        self.position.freeze();
        if let Err(error) = self.backend.replace(db) {
            crate::fatal!("failed to open snapshot backend", "error": error.to_string());
        }
        self.position.read_again(&self.backend);
        if self.position.index() < at.index {
            crate::fatal!("snapshot's database is older than the snapshot",
                "consistent-index": self.position.index(), "snapshot-index": at.index);
        }
        fail::fail_point!("applyAfterOpenSnapshot");
        crate::info!("restoring lease store");
        self.lessor.restore(&self.backend);
        crate::info!("restored lease store");
        crate::info!("restoring mvcc store");
        self.store.restore();
        crate::info!("restored mvcc store", "consistent-index": self.position.index());
        crate::info!("restoring alarm store");
        self.alarms.read_again(&self.backend);
        crate::info!("restored alarm store");
        crate::info!("restoring auth store");
        self.auth.restore(&self.backend);
        crate::info!("restored auth store");
        crate::info!("restoring cluster configuration");
        self.members.read_again(&self.backend);
        crate::info!("restored cluster configuration");
        if self.members.is_removed(self.id) {
            self.end(Ending::Removed);
        }
    }

    /// Begins a write transaction that the entry's index belongs to.
    fn writes(&self, at: At) -> WriteTxn<'_> {
        let txn = self.store.write();
        self.belongs(at);
        txn
    }

    /// As [`Self::writes`], for what is not a key.
    pub(super) fn batch(&self, at: At) -> Batch<'_> {
        let batch = self.backend.batch();
        self.belongs(at);
        batch
    }

    fn belongs(&self, at: At) {
        if self.position.index() < at.index {
            self.position.set(at.index, at.term);
            fail::fail_point!("applyBeforeData");
        }
    }

    fn write<R: Into<Reply>>(
        &self,
        at: At,
        change: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, Error>,
    ) -> Outcome {
        let mut txn = self.writes(at);
        let reply = change(&mut txn);
        txn.end();
        reply.map(Into::into)
    }

    pub(super) fn revision_header(&self) -> Option<pb::ResponseHeader> {
        kv::header_at(self.store.rev())
    }
}

fn refusal_key(index: u64) -> Vec<u8> {
    format!("refused/{index:016x}").into_bytes()
}

/// Whether a request only tells something, so that nobody needs to apply it but for a waiter.
fn has_no_effect(body: &Body) -> bool {
    match body {
        Body::UserGet(_) | Body::RoleGet(_) => true,
        Body::AuthList(list) => list.of() == AuthListOf::Status,
        _ => false,
    }
}
