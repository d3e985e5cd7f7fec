//! The Maintenance service (api/v3rpc/maintenance.go).

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use api::pb::etcdserverpb as pb;
use api::pb::etcdserverpb::downgrade_request::DowngradeAction;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use super::admit;
use crate::request::Body;
use crate::server::Server;
use crate::{ETCD_VERSION, Error};

/// So much of a snapshot is sent at once.
const PIECE: usize = 32 << 10;

/// The cluster's version, and the one it could go back to.
const CLUSTER_VERSION: &str = "3.5.0";
const DOWNGRADE_TO: (u64, u64) = (3, 4);
const BAD_DOWNGRADE_VERSION: &str = "etcdserver: wrong downgrade target version format";
const BAD_DOWNGRADE_TARGET: &str = "etcdserver: invalid downgrade target version";
const NO_DOWNGRADE: &str = "etcdserver: no inflight downgrade job";

/// The service.
pub struct MaintenanceService(Arc<Server>);

impl MaintenanceService {
    /// Serves what a member says of itself, and what is done to it.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self(server)
    }
}

/// Runs what takes long where nobody waits for it to be polled.
async fn aside<R: Send + 'static>(
    server: &Arc<Server>,
    work: impl FnOnce(&Server) -> R + Send + 'static,
) -> Result<R, Status> {
    let server = Arc::clone(server);
    let done = tokio::task::spawn_blocking(move || work(&server)).await;
    done.map_err(|error| Status::internal(error.to_string()))
}

/// Of a version like 3.4.0, or 3.4 as etcd takes it, too.
fn major_minor(version: &str) -> Option<(u64, u64)> {
    let parts: Option<Vec<u64>> = version.split('.').map(|part| part.parse().ok()).collect();
    match parts?[..] {
        [major, minor] | [major, minor, _] => Some((major, minor)),
        _ => None,
    }
}

fn failed(error: impl std::fmt::Display) -> Status {
    Status::new(Code::Unknown, error.to_string())
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for MaintenanceService {
    type SnapshotStream = ReceiverStream<Result<pb::SnapshotResponse, Status>>;

    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        let body = Body::Alarm(request.into_inner());
        let response = self.0.request(&caller, body).await?;
        Ok(Response::new(response))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        admit(&self.0, &request, true)?;
        let server = &*self.0;
        let status = server.status();
        let bugs = server.bugs();
        let planted = bugs
            .iter()
            .map(|bug| format!("planted bug #{bug}: {}", bug.title()));
        let no_leader = (status.leader == 0).then(|| Error::NoLeader.to_string());
        let alarms = server.alarms();
        // As gogo's protobuf prints them, with the blank at the end.
        let alarms = alarms.iter().map(|alarm| {
            let kind = alarm.alarm().as_str_name();
            match alarm.member_id {
                0 => format!("alarm:{kind} "),
                id => format!("memberID:{id} alarm:{kind} "),
            }
        });
        Ok(Response::new(pb::StatusResponse {
            header: Some(server.header()),
            version: ETCD_VERSION.into(),
            db_size: server.backend().size(),
            leader: status.leader,
            raft_index: status.committed,
            raft_term: status.term,
            raft_applied_index: status.applied,
            errors: no_leader.into_iter().chain(alarms).chain(planted).collect(),
            db_size_in_use: server.backend().size_in_use(),
            is_learner: server.is_learner(),
            ..Default::default()
        }))
    }

    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        self.0.admin(&caller).await.map_err(Error::untranslated)?;
        crate::info!("starting defragment");
        let done = aside(&self.0, |server| server.backend().defragment()).await?;
        done.map_err(|error| {
            crate::warning!("failed to defragment", "error": error.to_string());
            failed(error)
        })?;
        crate::info!("finished defragment");
        Ok(Response::new(pb::DefragmentResponse::default()))
    }

    async fn hash(
        &self,
        request: Request<pb::HashRequest>,
    ) -> Result<Response<pb::HashResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        self.0.admin(&caller).await.map_err(Error::untranslated)?;
        let hash = aside(&self.0, |server| server.backend().hash()).await?;
        let header = Some(self.0.header());
        Ok(Response::new(pb::HashResponse { header, hash }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let caller = admit(&self.0, &request, false)?;
        self.0.admin(&caller).await.map_err(Error::untranslated)?;
        let rev = request.get_ref().revision;
        let hash = aside(&self.0, move |server| server.store().hash_kv(rev)).await??;
        let mut header = self.0.header_without_revision();
        header.revision = hash.rev;
        Ok(Response::new(pb::HashKvResponse {
            header: Some(header),
            hash: hash.hash,
            compact_revision: hash.compact_rev,
            // Releases before 3.6 leave it out.
            hash_revision: 0,
        }))
    }

    async fn snapshot(
        &self,
        request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let caller = admit(&self.0, &request, true)?;
        self.0.admin(&caller).await.map_err(Error::untranslated)?;
        let server = Arc::clone(&self.0);
        let (out, responses) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            if let Err(status) = send_snapshot(&server, &out) {
                // Nobody hears it who has gone.
                let _ = out.blocking_send(Err(status));
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        admit(&self.0, &request, false)?;
        self.0.move_leader(request.get_ref().target_id).await?;
        Ok(Response::new(pb::MoveLeaderResponse::default()))
    }

    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        admit(&self.0, &request, false)?;
        let pb::DowngradeRequest { action, version } = request.into_inner();
        match DowngradeAction::try_from(action) {
            Ok(DowngradeAction::Validate) => {
                let (major, minor) = major_minor(&version)
                    .ok_or_else(|| Status::invalid_argument(BAD_DOWNGRADE_VERSION))?;
                self.0.barrier().await?;
                if (major, minor) != DOWNGRADE_TO {
                    return Err(Status::invalid_argument(BAD_DOWNGRADE_TARGET));
                }
                Ok(Response::new(pb::DowngradeResponse {
                    header: Some(self.0.header()),
                    version: CLUSTER_VERSION.into(),
                }))
            }
            Ok(DowngradeAction::Enable) => Err(Status::unimplemented(
                "gauntlet's embedded store has one version only",
            )),
            // None can be under way.
            Ok(DowngradeAction::Cancel) => {
                self.0.barrier().await?;
                Err(Status::failed_precondition(NO_DOWNGRADE))
            }
            Err(_) => Err(Status::unknown("etcdserver: unknown method")),
        }
    }
}

type Pieces = mpsc::Sender<Result<pb::SnapshotResponse, Status>>;

/// Sends a copy of the database in pieces, and its SHA-256 at last.
#[allow(clippy::result_large_err)]
fn send_snapshot(server: &Server, out: &Pieces) -> Result<(), Status> {
    let mut file = copy(server).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    crate::info!("sending database snapshot to client", "total-bytes": total);
    let mut hash = Sha256::new();
    let mut left = total;
    while left > 0 {
        let mut blob = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        file.read_exact(&mut blob).map_err(failed)?;
        left -= blob.len() as u64;
        hash.update(&blob);
        if !send(out, left, blob) {
            return Ok(());
        }
    }
    if send(out, 0, hash.finalize().to_vec()) {
        crate::info!("successfully sent database snapshot to client", "total-bytes": total);
    }
    Ok(())
}

/// Gives whether anybody is there.
fn send(out: &Pieces, remaining_bytes: u64, blob: Vec<u8>) -> bool {
    let piece = pb::SnapshotResponse {
        remaining_bytes,
        blob,
        ..Default::default()
    };
    out.blocking_send(Ok(piece)).is_ok()
}

/// A copy without a name, so that nothing stays whatever happens.
fn copy(server: &Server) -> anyhow::Result<File> {
    let name = format!("client-{:016x}.snap.tmp", server.next_id());
    let path: PathBuf = server
        .config()
        .data_dir
        .join("member")
        .join("snap")
        .join(name);
    let opened = match server.backend().copy_to(&path) {
        Ok(()) => File::open(&path).map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => opened,
    }
}
