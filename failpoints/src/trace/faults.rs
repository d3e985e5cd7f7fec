//! An arm as a fault.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use super::{Act, Arm, ArmId, Options, TraceError, Tracer};
use crate::fault::{Fault, Step};
use crate::process::{Handle, Member};

/// One tracer for each process, shared by everything that is armed in it: a
/// process can have only one.
#[derive(Debug)]
pub struct Tracers {
    launcher: PathBuf,
    options: Options,
    running: Mutex<HashMap<i32, Weak<Tracer>>>,
}

impl Tracers {
    /// See [`Tracer::start`] for `launcher`.
    pub fn new(launcher: impl Into<PathBuf>) -> Self {
        Self::with(launcher, Options::default())
    }

    /// With options, for every tracer.
    pub fn with(launcher: impl Into<PathBuf>, options: Options) -> Self {
        Self {
            launcher: launcher.into(),
            options,
            running: Mutex::default(),
        }
    }

    /// The tracer of a process. It ends when the last user drops it.
    ///
    /// # Errors
    ///
    /// As [`Tracer::start`].
    pub async fn of(&self, process: &Handle) -> Result<Arc<Tracer>, TraceError> {
        let pid = process.pid();
        let mut running = self.running.lock().await;
        running.retain(|_, tracer| tracer.strong_count() > 0);
        if let Some(tracer) = running.get(&pid).and_then(Weak::upgrade)
            && tracer.is_running()
        {
            return Ok(tracer);
        }
        let tracer = Arc::new(Tracer::start_with(&self.launcher, pid, self.options).await?);
        running.insert(pid, Arc::downgrade(&tracer));
        Ok(tracer)
    }
}

/// Armed in a member's process while in force.
///
/// Healing disarms: held threads go on, and the tracer detaches if nothing
/// else is armed. A member that the arm killed is started again.
pub struct Armed {
    member: Arc<dyn Member>,
    tracers: Arc<Tracers>,
    arm: Arm,
    armed: Option<(Arc<Tracer>, ArmId, Handle)>,
}

impl Armed {
    /// This arm in this member's process.
    pub fn new(member: Arc<dyn Member>, tracers: Arc<Tracers>, arm: Arm) -> Self {
        Self {
            member,
            tracers,
            arm,
            armed: None,
        }
    }
}

impl Fault for Armed {
    fn name(&self) -> String {
        format!("{} in {}", self.arm.name, self.member.name())
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            let process = self.member.process().ok_or("the member does not run")?;
            let tracer = self.tracers.of(&process).await?;
            let id = tracer.arm(self.arm.clone()).await?;
            self.armed = Some((tracer, id, process));
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            let Some((tracer, id, process)) = self.armed.take() else {
                return Ok(());
            };
            match tracer.disarm(id).await {
                // The kernel has detached, or there is nothing left to.
                Ok(()) | Err(TraceError::TracerEnded { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if matches!(self.arm.act, Act::Kill) && !process.is_running() {
                self.member.restart().await?;
            }
            Ok(())
        })
    }
}
