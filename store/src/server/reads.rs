//! Linearizable reads: one question to the leader for all readers that came before it was asked, as
//! etcd's linearizableReadLoop (server/etcdserver/v3_server.go).

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::Error;
use crate::replication::Node;

type Answer = Option<Result<(), Error>>;

/// Readers that wait for the next answer.
#[derive(Debug)]
pub(crate) struct Rounds {
    next: Mutex<watch::Sender<Answer>>,
    wanted: Notify,
}

impl Rounds {
    pub(crate) fn new() -> Self {
        Self {
            next: Mutex::new(watch::Sender::new(None)),
            wanted: Notify::new(),
        }
    }

    /// Comes back when everything that was committed before this call is applied here.
    pub(crate) async fn pass(&self) -> Result<(), Error> {
        let mut answer = self.lock().subscribe();
        self.wanted.notify_one();
        let answer = answer.wait_for(Option::is_some).await;
        // A round that is dropped without an answer: the server stops.
        answer.map_or(Err(Error::Stopped), |answer| answer.unwrap_or(Ok(())))
    }

    /// Asks, round after round, until the caller drops it. `elections` changes when there is
    /// another leader, and whoever waits then is told so.
    pub(crate) async fn serve(
        &self,
        node: &Node,
        mut elections: watch::Receiver<u64>,
        limit: Duration,
    ) {
        loop {
            elections.mark_unchanged();
            self.wanted.notified().await;
            let round = std::mem::replace(&mut *self.lock(), watch::Sender::new(None));
            let index = tokio::select! {
                index = node.read_index() => index,
                Ok(()) = elections.changed() => Err(Error::LeaderChanged),
                () = tokio::time::sleep(limit) => Err(Error::Timeout),
            };
            let answer = match index {
                Ok(index) => {
                    node.wait_applied(index).await;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            round.send_replace(Some(answer));
        }
    }

    /// Nobody waits any longer.
    pub(crate) fn stop(&self) {
        self.lock().send_replace(Some(Err(Error::Stopped)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, watch::Sender<Answer>> {
        self.next.lock().expect("nobody panics while holding it")
    }
}
