//! How large the database may grow (server/etcdserver/quota.go).

use api::pb::etcdserverpb as pb;

use super::{Caller, Server};
use crate::Error;
use crate::request::Body;

const DEFAULT_BYTES: i64 = 2 << 30;
const LEASE: usize = 64;
const PAIR: usize = 256;

/// About how many bytes a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost(usize);

impl Cost {
    /// Of granting a lease.
    pub const LEASE_GRANT: Self = Self(LEASE);

    /// Of a put.
    #[must_use]
    pub fn of_put(put: &pb::PutRequest) -> Self {
        Self(PAIR + put.key.len() + put.value.len())
    }

    /// Of a transaction: of its dearer branch; nested ones count nothing, as in etcd.
    #[must_use]
    pub fn of_txn(txn: &pb::TxnRequest) -> Self {
        let branch = |ops: &[pb::RequestOp]| {
            let puts = ops.iter().map(|op| match &op.request {
                Some(pb::request_op::Request::RequestPut(put)) => Self::of_put(put).0,
                _ => 0,
            });
            puts.sum::<usize>()
        };
        Self(branch(&txn.success).max(branch(&txn.failure)))
    }

    pub(super) fn is_nothing(self) -> bool {
        self.0 == 0
    }
}

impl Server {
    pub(super) fn has_room(&self, cost: Cost) -> bool {
        let quota = match self.config.quota_backend_bytes {
            0 => DEFAULT_BYTES,
            bytes => bytes,
        };
        let after = self.backend.size().saturating_add_unsigned(cost.0 as u64);
        quota < 0 || cost.is_nothing() || after < quota
    }

    /// Refuses a request that there is no room for, and raises the alarm.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub async fn check_room(&self, caller: &Caller, cost: Cost) -> Result<(), Error> {
        if self.has_room(cost) {
            return Ok(());
        }
        let raised = self
            .request::<pb::AlarmResponse>(caller, Body::Alarm(self.no_space()))
            .await;
        if let Err(error) = raised {
            crate::warning!("failed to raise alarm", "error": error.to_string());
        }
        Err(Error::NoSpace)
    }

    pub(super) fn no_space(&self) -> pb::AlarmRequest {
        pb::AlarmRequest {
            action: pb::alarm_request::AlarmAction::Activate.into(),
            member_id: self.id,
            alarm: pb::AlarmType::Nospace.into(),
        }
    }
}
