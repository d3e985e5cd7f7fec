//! The gRPC services, one module each: requests are checked as in etcd's api/v3rpc, handed to the
//! server, and errors get etcd's codes.

use tonic::{Request, Status};

use crate::Error;
use crate::server::{Caller, Server};

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
    let text = |key| {
        let value = request.metadata().get(key)?;
        value.to_str().ok().map(str::to_owned)
    };
    Ok(Caller {
        token: text("token").or_else(|| text("authorization")),
    })
}

/// Whether a stream is to end, by [`Error::NoLeader`], when [`Server::leader_lost`] comes back.
pub(crate) fn requires_leader<T>(request: &Request<T>) -> bool {
    request
        .metadata()
        .get("hasleader")
        .is_some_and(|value| value == "true")
}
