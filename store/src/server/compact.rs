//! Compactions, and who waits until everything is deleted.

use std::collections::BTreeMap;
use std::sync::Mutex;

use api::pb::etcdserverpb as pb;
use tokio::sync::oneshot;

use super::{Caller, Server};
use crate::Error;
use crate::request::Body;

/// So many compactions can be waited for; older ones count as done.
const MOST: usize = 16;

/// Compactions that are scheduled, by revision, until whoever asked takes them.
#[derive(Debug, Default)]
pub(crate) struct Compactions(Mutex<BTreeMap<i64, oneshot::Receiver<()>>>);

impl Compactions {
    pub(crate) fn keep(&self, rev: i64, done: oneshot::Receiver<()>) {
        let mut kept = self.0.lock().expect("nobody panics while holding it");
        kept.insert(rev, done);
        while kept.len() > MOST {
            kept.pop_first();
        }
    }

    fn take(&self, rev: i64) -> Option<oneshot::Receiver<()>> {
        let mut kept = self.0.lock().expect("nobody panics while holding it");
        kept.remove(&rev)
    }
}

impl Server {
    /// Compacts; with `physical` comes back when what is compacted is deleted, and that is durable.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRev`], and those of [`Self::request`].
    pub async fn compact(
        &self,
        caller: &Caller,
        request: pb::CompactionRequest,
    ) -> Result<pb::CompactionResponse, Error> {
        let (rev, physical) = (request.revision, request.physical);
        let mut response: pb::CompactionResponse =
            self.request(caller, Body::Compaction(request)).await?;
        if physical && let Some(done) = self.compactions.take(rev) {
            // One that ended without a word was cut short by a snapshot or the end.
            let _ = done.await;
            let backend = self.backend.clone();
            let committed = tokio::task::spawn_blocking(move || backend.force_commit());
            committed.await.map_err(|_| Error::Stopped)?;
        }
        response.header = Some(self.header());
        Ok(response)
    }
}
