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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use clap::Parser as _;
    use failpoints::ports::{self, PortLease};

    use super::*;
    use crate::config::Flags;

    /// A member of its own, with auth on, and root's token.
    async fn with_auth(dir: &Path, port: &PortLease) -> (Arc<Server>, Caller) {
        let peer = format!("http://127.0.0.1:{}", port.port());
        let flags = [
            "store".to_owned(),
            format!("--data-dir={}", dir.display()),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            "--bcrypt-cost=4".to_owned(),
        ];
        let config = Flags::try_parse_from(flags).unwrap().settle().unwrap();
        let server = Server::start(config).await.unwrap();
        let auth = server.auth();
        let user = pb::AuthUserAddRequest {
            name: "root".into(),
            hashed_password: auth.hash_password("secret").unwrap(),
            ..Default::default()
        };
        let mut batch = server.backend().batch();
        auth.user_add(&mut batch, &user).unwrap();
        auth.role_add(&mut batch, "root").unwrap();
        auth.user_grant_role(&mut batch, "root", "root").unwrap();
        auth.enable(&mut batch).unwrap();
        drop(batch);
        let token = Some(auth.assign_token("root", "random", 0).unwrap());
        (server, Caller { token })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_read_while_permissions_changed_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let port = ports::lease().unwrap();
        let (server, caller) = with_auth(dir.path(), &port).await;
        let may = |who: &AuthInfo| server.auth.may_range(who, b"k", &[]);
        let read = server.read(&caller, may, || Ok(7)).await;
        assert_eq!(read, Ok(7));
        let changing = || {
            let mut batch = server.backend.batch();
            server.auth.role_add(&mut batch, "another").unwrap();
            Ok(7)
        };
        let read = server.read(&caller, may, changing).await;
        assert_eq!(read, Err(Error::AuthOldRevision));
        server.stop().await;
    }
}
