//! Pausing and killing, as faults.

use std::sync::Arc;
use std::time::Duration;

use super::{Handle, SignalError};
use crate::fault::{Fault, Step};

/// How long a paused process may take until its last thread has stopped.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A member of the cluster under test, as its driver knows it: the process
/// changes with each restart, the member stays.
pub trait Member: Send + Sync {
    /// The member's name.
    fn name(&self) -> &str;

    /// The process it runs as now, if any.
    fn process(&self) -> Option<Handle>;

    /// Starts it again on the data it left; at once if it runs.
    fn restart(&self) -> Step<'_>;
}

/// Stops every thread of a member's process, then lets it go on.
pub struct Pause {
    member: Arc<dyn Member>,
    paused: Option<Handle>,
}

impl Pause {
    /// A pause of this member.
    pub fn new(member: Arc<dyn Member>) -> Self {
        Self {
            member,
            paused: None,
        }
    }
}

impl Fault for Pause {
    fn name(&self) -> String {
        format!("pause {}", self.member.name())
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            let process = self.member.process().ok_or("the member does not run")?;
            process.pause()?;
            self.paused = Some(process.clone());
            let stopped = async {
                while process.is_running() && !process.is_stopped() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(STOP_LIMIT, stopped)
                .await
                .map_err(|_| "a thread did not stop")?;
            match process.exited() {
                None => Ok(()),
                Some(status) => Err(format!("the member ended: {status}").into()),
            }
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            match self.paused.take().map(|process| process.resume()) {
                Some(Err(SignalError::Ended { .. })) | None => Ok(()),
                Some(resumed) => Ok(resumed?),
            }
        })
    }
}

/// Kills a member's process with SIGKILL, then restarts the member.
pub struct Kill {
    member: Arc<dyn Member>,
    killed: bool,
}

impl Kill {
    /// A kill of this member.
    pub fn new(member: Arc<dyn Member>) -> Self {
        Self {
            member,
            killed: false,
        }
    }
}

impl Fault for Kill {
    fn name(&self) -> String {
        format!("kill {}", self.member.name())
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            let process = self.member.process().ok_or("the member does not run")?;
            self.killed = true;
            process.kill()?;
            process.exit().await;
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if self.killed {
                self.member.restart().await?;
            }
            Ok(())
        })
    }
}
