//! Requests on their way through the log.

use std::time::Instant;

use prost::Message as _;

use super::{Caller, Outcome, Reply, Server};
use crate::Error;
use crate::auth::AuthInfo;
use crate::bugs::Bug;
use crate::mvcc::RangeOptions;
use crate::request::{Body, Request, RequestHeader};

/// No more is accepted while so many committed entries wait to be applied.
const MOST_BEHIND: u64 = 5000;

impl Server {
    /// Has a request applied by every member, and gives what it came to here, header filled.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`], [`Error::RequestTooLarge`], [`Error::InvalidAuthToken`], the
    /// time-outs, [`Error::Stopped`], and whatever the request is refused for.
    pub async fn request<R: TryFrom<Reply>>(
        &self,
        caller: &Caller,
        body: Body,
    ) -> Result<R, Error> {
        let status = self.status();
        if status.committed > status.applied + MOST_BEHIND {
            return Err(Error::TooManyRequests);
        }
        let who = match body {
            Body::Authenticate(_) => None,
            _ => self.who(caller).await?,
        };
        self.request_as(who, body).await
    }

    /// As [`Self::request`], for somebody who is known.
    pub(super) async fn request_as<R: TryFrom<Reply>>(
        &self,
        who: Option<AuthInfo>,
        body: Body,
    ) -> Result<R, Error> {
        // Planted prev-kv: the right code reads the previous pair where the put is applied.
        let early = match &body {
            Body::Put(put) if put.prev_kv && self.bugs().has(Bug::PrevKv) => {
                Some(self.store.range(&put.key, &[], RangeOptions::default())?)
            }
            _ => None,
        };
        let mut reply = self.propose(who.unwrap_or_default(), body).await??;
        if let Some(header) = reply.header_mut() {
            self.fill(header);
        }
        if let (Reply::Put(put), Some(early)) = (&mut reply, early) {
            put.prev_kv = early.kvs.into_iter().next();
        }
        Ok(R::try_from(reply).unwrap_or_else(|_| unreachable!("the answer to another request")))
    }

    async fn propose(&self, who: AuthInfo, body: Body) -> Result<Outcome, Error> {
        let mut waiting = self.waiters.register()?;
        let request = Request {
            header: RequestHeader {
                id: waiting.id,
                user: who.user,
                auth_revision: who.revision,
            },
            body: Some(body),
        };
        if request.encoded_len() > self.config.max_request_bytes {
            return Err(Error::RequestTooLarge);
        }
        let start = Instant::now();
        let until = tokio::time::Instant::now() + self.request_limit();
        let answer = async {
            self.hand_over(&request).await?;
            (&mut waiting.result).await.map_err(|_| Error::Stopped)
        };
        match tokio::time::timeout_at(until, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.timed_out(start)),
        }
    }

    /// Gives a request to raft, which waits for a leader.
    async fn hand_over(&self, request: &Request) -> Result<(), Error> {
        loop {
            match self.node().propose(request.encode_to_vec()).await {
                // It went away in between; nothing was accepted.
                Err(Error::NoLeader) => tokio::time::sleep(super::leader::RETRY).await,
                result => return result,
            }
        }
    }

    /// Why a request that began at `start` has no answer (parseProposeCtxErr in server.go).
    pub(super) fn timed_out(&self, start: Instant) -> Error {
        let election = self.config.election_timeout();
        if let Some(elected) = self.leadership.elected()
            && start < elected
            && start + 2 * election > elected
        {
            return Error::TimeoutLeaderFail;
        }
        let leader = self.status().leader;
        let connected = if leader == 0 {
            true
        } else if leader == self.id {
            let members = self.members.all();
            let connected = members
                .iter()
                .filter(|member| self.connected(member.id, start));
            connected.count() > members.len() / 2
        } else {
            self.connected(leader, start)
        };
        if connected {
            Error::Timeout
        } else {
            Error::TimeoutConnectionLost
        }
    }
}
