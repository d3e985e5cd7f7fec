//! Reads that do not go through the log (server/etcdserver/v3_server.go).

use api::pb::etcdserverpb as pb;

use super::{Caller, Server, authorize, kv, txn};
use crate::Error;
use crate::auth::AuthInfo;
use crate::request::Body;

impl Server {
    /// Answers a range, from a state that is as new as its caller may expect.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`], what permissions refuse, and those of
    /// [`Self::barrier`].
    pub async fn range(
        &self,
        caller: &Caller,
        request: &pb::RangeRequest,
    ) -> Result<pb::RangeResponse, Error> {
        if !request.serializable {
            self.barrier().await?;
        }
        let may = |who: &AuthInfo| self.auth.may_range(who, &request.key, &request.range_end);
        let read = || kv::range(&*self.store, request);
        let mut response = self.read(caller, may, read).await?;
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Does a transaction; one that only reads is answered without the log.
    ///
    /// # Errors
    /// What any of its operations is refused for, and those of [`Self::request`].
    pub async fn txn(
        &self,
        caller: &Caller,
        request: pb::TxnRequest,
    ) -> Result<pb::TxnResponse, Error> {
        if !txn::is_read_only(&request) {
            return self.request(caller, Body::Txn(request)).await;
        }
        if !txn::is_serializable(&request) {
            self.barrier().await?;
        }
        let may = |who: &AuthInfo| authorize::may_txn(&self.auth, who, &request);
        let read = || txn::read(&self.store, &request);
        let mut response = self.read(caller, may, read).await?;
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Reads what somebody may read, by permissions that do not change meanwhile.
    async fn read<R>(
        &self,
        caller: &Caller,
        may: impl FnOnce(&AuthInfo) -> Result<(), Error>,
        read: impl FnOnce() -> Result<R, Error>,
    ) -> Result<R, Error> {
        let who = self.who(caller).await?.unwrap_or_default();
        may(&who)?;
        let result = read();
        if who.revision != 0 && who.revision != self.auth.revision() {
            return Err(Error::AuthOldRevision);
        }
        result
    }
}
