use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread::JoinHandle;

use fail::fail_point;
use tokio::sync::oneshot;

use super::hash::{Hashed, Hasher};
use super::read::decode_key;
use super::revision::{BUCKET, Revision};
use super::{FINISHED, Inner};
use crate::backend::Bucket;

/// Compactions that may wait for those before; who schedules one more waits.
const WAITING: usize = 64;

/// A compaction that has been scheduled.
pub(super) struct Job {
    pub(super) rev: i64,
    pub(super) previous: i64,
    /// Whether the one before it had come to its end: its hash then covers all since then.
    pub(super) whole: bool,
    /// The backend's: another one's compactions are not ours.
    pub(super) generation: u64,
    pub(super) done: oneshot::Sender<()>,
}

/// The thread that compacts. It ends, in the middle of a compaction, when this is dropped.
pub(super) struct Compactor {
    running: Option<(SyncSender<Job>, SyncSender<()>, JoinHandle<()>)>,
}

impl Compactor {
    pub(super) fn start(store: Arc<Inner>) -> Self {
        let (schedule, jobs) = mpsc::sync_channel::<Job>(WAITING);
        let (stop, stopped) = mpsc::sync_channel(0);
        let thread = std::thread::spawn(move || {
            for job in jobs {
                if stopped.try_recv() == Err(TryRecvError::Disconnected) {
                    return;
                }
                let Some(hashed) = compact(&store, &job, &stopped) else {
                    continue;
                };
                if job.whole {
                    store.hashes().add(hashed);
                }
                // Whoever scheduled it need not wait for it.
                let _ = job.done.send(());
            }
        });
        Self {
            running: Some((schedule, stop, thread)),
        }
    }

    pub(super) fn schedule(&self, job: Job) {
        let (schedule, ..) = self.running.as_ref().expect("not dropped");
        schedule.send(job).expect("the compacting thread lives");
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        if let Some((schedule, stop, thread)) = self.running.take() {
            drop((stop, schedule));
            // A panic in it has been reported.
            let _ = thread.join();
        }
    }
}

/// As etcd's scheduleCompaction (server/mvcc/kvstore_compaction.go). `None`: interrupted.
fn compact(store: &Inner, job: &Job, stopped: &Receiver<()>) -> Option<Hashed> {
    let keep = {
        let mut state = store.change_state();
        if state.generation != job.generation {
            return None;
        }
        state.index.compact(job.rev, store.options.bugs)
    };
    let end = Revision::main(job.rev + 1).to_key();
    let limit = store.options.compaction_batch_limit.max(1);
    let mut hasher = Hasher::new(job.previous, job.rev, &keep, store.hash_skips());
    let mut next = Revision::default();
    loop {
        let mut batch = store.backend.batch();
        if batch.generation() != job.generation {
            return None;
        }
        let pairs = batch.range(BUCKET, &next.to_key(), Some(&end), limit);
        for (key, value) in &pairs {
            let revision = decode_key(key);
            if !keep.contains(&revision) {
                batch.delete(BUCKET, key);
            }
            hasher.write(key, value, revision);
            next = revision.next();
        }
        if pairs.len() < limit {
            fail_point!("compactBeforeSetFinishedCompact");
            batch.put(Bucket::Meta, FINISHED, &Revision::main(job.rev).to_key());
            drop(batch);
            fail_point!("compactAfterSetFinishedCompact");
            crate::info!("finished scheduled compaction", "compact-revision": job.rev);
            return Some(hasher.finish());
        }
        drop(batch);
        fail_point!("compactBeforeCommitBatch");
        store.backend.force_commit();
        fail_point!("compactAfterCommitBatch");
        match stopped.recv_timeout(store.options.compaction_sleep) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}
