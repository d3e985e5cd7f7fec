//! Faults at the failpoints that a member serves: a thread sleeps there while it is held, and how
//! often it got there is asked for.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use failpoints::gofail::{Gofail, GofailError, Terms};
use failpoints::process::Handle;
use scenarios::plan::{Act, Arm};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::tracing::Happening;

/// How often a point's count is asked for. A request on loopback takes less.
const POLL: Duration = Duration::from_millis(2);

/// How long a member that has just been started may take to serve its points.
const SERVES_WITHIN: Duration = Duration::from_secs(5);

/// How long a thread sleeps that is about to be killed: for good.
const UNTIL_KILLED: Duration = Duration::from_secs(60);

/// How long a process may take to be gone after its connections are.
const ENDS_WITHIN: Duration = Duration::from_millis(500);

/// Hits that may wait to be written down.
const QUEUE: usize = 64;

/// A point that is set in one process.
pub(super) struct Point {
    over: Mutex<Option<Followed>>,
}

impl Point {
    /// Sets a point as the fault says, and follows its count until it is cleared.
    pub(super) async fn set(
        gofail: Gofail,
        name: &str,
        arm: &Arm,
        process: &Handle,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Happening>)> {
        let terms = terms(arm)?;
        let start = Instant::now();
        loop {
            match gofail.set(name, &terms).await {
                Ok(()) => break,
                Err(GofailError::Unreachable { .. })
                    if start.elapsed() < SERVES_WITHIN && process.is_running() =>
                {
                    tokio::time::sleep(POLL).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (tell, told) = mpsc::channel(QUEUE);
        let (over, is_over) = oneshot::channel();
        let follower = Follower {
            gofail,
            name: name.to_owned(),
            kills: arm.act == Act::Kill,
            before: arm.hit - 1,
            seen: 0,
            process: process.clone(),
            tell,
        };
        let follower = tokio::spawn(follower.follow(is_over));
        let over = Mutex::new(Some((over, follower)));
        Ok((Self { over }, told))
    }

    /// Clears it, when every hit so far has been told.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        match self.over.lock().await.take() {
            Some((over, follower)) => {
                drop(over);
                follower.await?
            }
            None => Ok(()),
        }
    }
}

/// A fault in gofail's terms: nothing happens before its first hit, then it acts so many times.
fn terms(arm: &Arm) -> anyhow::Result<Terms> {
    let action = match &arm.act {
        Act::Kill => format!("sleep({})", UNTIL_KILLED.as_millis()),
        Act::Hold { for_ms } => format!("sleep({for_ms})"),
        Act::Report => "off".into(),
        Act::Skip { .. } | Act::Fail { .. } | Act::Short { .. } => {
            bail!("{:?}: a failpoint can kill, hold and report", arm.fault)
        }
    };
    let before = match arm.hit - 1 {
        0 => String::new(),
        some => format!("{some}*off->"),
    };
    let times = match arm.times {
        0 => String::new(),
        some => format!("{some}*"),
    };
    Ok(format!("{before}{times}{action}").parse()?)
}

/// What ends a follower, and the follower.
type Followed = (oneshot::Sender<()>, JoinHandle<anyhow::Result<()>>);

struct Follower {
    gofail: Gofail,
    name: String,
    kills: bool,
    /// Hits that it does not act on.
    before: u64,
    /// Those that it acted on, as far as they were told.
    seen: u64,
    process: Handle,
    tell: mpsc::Sender<Happening>,
}

impl Follower {
    /// Until it is over, the process has ended, or nobody listens.
    async fn follow(mut self, mut is_over: oneshot::Receiver<()>) -> anyhow::Result<()> {
        loop {
            let last = tokio::select! {
                _ = &mut is_over => true,
                () = tokio::time::sleep(POLL) => false,
            };
            if !self.look().await? {
                return Ok(());
            }
            if last {
                let cleared = self.gofail.clear(&self.name).await;
                return match cleared {
                    Err(_) if self.has_ended().await => Ok(()),
                    cleared => cleared.map(drop).with_context(|| self.doing()),
                };
            }
        }
    }

    /// Asks for the count once; false where the process has ended.
    async fn look(&mut self) -> anyhow::Result<bool> {
        if !self.process.is_running() {
            return Ok(false);
        }
        let count = match self.gofail.count(&self.name).await {
            Ok(count) => count.unwrap_or(0),
            Err(_) if self.has_ended().await => return Ok(false),
            // One that is paused, or has just been resumed, may not answer; the next look asks again.
            Err(GofailError::Unreachable { .. }) => return Ok(true),
            Err(error) => return Err(error).with_context(|| self.doing()),
        };
        let acted = count.saturating_sub(self.before);
        if acted <= self.seen {
            return Ok(true);
        }
        let hit = Happening::Hit {
            number: count,
            times: acted - self.seen,
            at: None,
        };
        self.seen = acted;
        if self.kills {
            self.process.kill()?;
        }
        Ok(self.tell.send(hit).await.is_ok() && !self.kills)
    }

    /// Whether the process has ended, or does so now: a connection is gone before its process is.
    async fn has_ended(&self) -> bool {
        let ended = tokio::time::timeout(ENDS_WITHIN, self.process.exit()).await;
        ended.is_ok()
    }

    fn doing(&self) -> String {
        format!("following the failpoint {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::plan::Target;

    fn arm(act: Act, hit: u64, times: u64) -> Arm {
        Arm {
            fault: "f".into(),
            target: Target::All,
            at: None,
            point: Some("raftBeforeSave".into()),
            hit,
            times,
            called_from: None,
            act,
            optional: false,
        }
    }

    #[test]
    fn faults_are_written_in_gofails_terms() {
        let written = |act, hit, times| terms(&arm(act, hit, times)).unwrap().to_string();
        assert_eq!(written(Act::Hold { for_ms: 300 }, 1, 1), "1*sleep(300)");
        assert_eq!(written(Act::Hold { for_ms: 5 }, 4, 0), "3*off->sleep(5)");
        assert_eq!(written(Act::Kill, 2, 1), "1*off->1*sleep(60000)");
        assert_eq!(written(Act::Report, 1, 0), "off");
        let skip = Act::Skip {
            returns: scenarios::plan::Returns::Nothing,
        };
        let said = terms(&arm(skip, 1, 0)).unwrap_err().to_string();
        assert!(said.contains("kill, hold and report"), "{said}");
    }
}
