use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use fail::fail_point;
use redb::{Database, WriteTransaction};

use super::Shared;
use super::batch::Batch;
use super::pending::Pending;

/// Writes what is pending to the file, durably. Readers go on meanwhile; the caller holds the
/// writers' lock. The process ends if that fails, as etcd does: what was promised cannot be kept.
pub(super) fn commit(shared: &Shared) {
    let database = shared.database();
    let written = {
        let view = shared.view();
        write(&database, &view.pending)
    };
    fail_point!("beforeCommit");
    let committed = written.and_then(|transaction| Ok(transaction.commit()?));
    fail_point!("afterCommit");
    if let Err(error) = committed {
        crate::fatal!("failed to commit tx", "error": error.to_string());
    }
    fail_point!("beforeStartDBTxn");
    shared.change_view().pending = Pending::default();
    fail_point!("afterStartDBTxn");
}

fn write(database: &Database, pending: &Pending) -> Result<WriteTransaction, redb::Error> {
    let transaction = begin(database)?;
    for (bucket, writes) in pending.buckets() {
        let mut table = transaction.open_table(bucket.table())?;
        for (key, value) in writes {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    Ok(transaction)
}

/// A durable transaction in two phases: see the module's head.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// The thread that commits every batch interval.
pub(super) struct Committer {
    running: Mutex<Option<(SyncSender<()>, JoinHandle<()>)>>,
}

impl Committer {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let (stop, stopped) = mpsc::sync_channel(0);
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(shared.options.batch_interval)
                == Err(RecvTimeoutError::Timeout)
            {
                let mut batch = Batch::lock(&shared);
                if batch.has_pending() {
                    batch.commit();
                }
            }
        });
        Self {
            running: Mutex::new(Some((stop, thread))),
        }
    }

    /// Ends the thread. A panic in it has been reported, and has poisoned the writers' lock.
    pub(super) fn stop(&self) {
        let running = self.running.lock().expect("the committer's lock").take();
        if let Some((stop, thread)) = running {
            drop(stop);
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}
