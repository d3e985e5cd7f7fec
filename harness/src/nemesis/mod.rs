//! The nemesis: walks the plan's steps, and says of each what became of it.

mod act;
mod armed;
mod disks;
mod events;
mod members;
mod requests;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use checker::history::FaultPhase;
use scenarios::plan::{Plan, Step, StepPhase};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::recorder::RecorderGone;

/// How long a step may insist on an administrative request.
const STEP_LIMIT: Duration = Duration::from_secs(20);

/// How long a restarted member may take until it serves.
const RESTART_LIMIT: Duration = Duration::from_secs(20);

/// The nemesis of one run.
#[derive(Clone)]
pub struct Nemesis {
    admin: Admin,
    bound: Arc<Mutex<HashMap<String, String>>>,
    in_flight: events::InFlight,
    faults: armed::Faults,
    disk_faults: disks::DiskFaults,
}

/// What the steps came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps that did what they say.
    pub done: u64,
    /// Steps that were tried and failed.
    pub failed: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
    }
}

impl Nemesis {
    /// A nemesis of this cluster.
    #[must_use]
    pub fn new(admin: Admin) -> Self {
        Self {
            admin,
            bound: Arc::default(),
            in_flight: events::InFlight::default(),
            faults: armed::Faults::default(),
            disk_faults: disks::DiskFaults::default(),
        }
    }

    /// Walks the steps of a phase. A step that fails is recorded as failed, and the walk goes on:
    /// the run is judged all the same.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn walk(
        &self,
        plan: &Plan,
        phase: StepPhase,
        on_step: impl Fn(&str),
    ) -> anyhow::Result<Tally> {
        let mut background = JoinSet::new();
        let mut tally = Tally::default();
        let steps = plan.steps.iter().enumerate();
        for (index, step) in steps.filter(|(_, step)| step.phase == phase) {
            on_step(step.action.name());
            if let Some(when) = &step.when
                && let Err(why) = self.wait(when).await
            {
                let (recorder, name) = (self.admin.recorder(), step.action.name());
                recorder
                    .fault(index, name, &[], FaultPhase::Failed, format!("{why:#}"))
                    .await?;
                count(&mut tally, false);
                continue;
            }
            tokio::time::sleep(Duration::from_micros(step.after_us)).await;
            let this = self.clone();
            let owned = step.clone();
            if step.background {
                background.spawn(async move { this.step(index, &owned).await });
            } else {
                count(&mut tally, this.step(index, &owned).await?);
            }
        }
        while let Some(done) = background.join_next().await {
            count(&mut tally, done??);
        }
        Ok(tally)
    }

    async fn step(&self, index: usize, step: &Step) -> Result<bool, RecorderGone> {
        let action = &step.action;
        let recorder = self.admin.recorder();
        let targets = match self.targets(action).await {
            Ok(targets) => targets,
            Err(error) => {
                let why = format!("{error:#}");
                recorder
                    .fault(index, action.name(), &[], FaultPhase::Failed, why)
                    .await?;
                return Ok(false);
            }
        };
        let name = action.name();
        recorder
            .fault(index, name, &targets, FaultPhase::Begin, "")
            .await?;
        match self.act(index, action, &targets).await {
            Ok(detail) => {
                recorder
                    .fault(index, name, &targets, FaultPhase::End, detail)
                    .await?;
                Ok(true)
            }
            Err(error) => {
                let why = format!("{error:#}");
                recorder
                    .fault(index, name, &targets, FaultPhase::Failed, why)
                    .await?;
                Ok(false)
            }
        }
    }
}

fn count(tally: &mut Tally, done: bool) {
    if done {
        tally.done += 1;
    } else {
        tally.failed += 1;
    }
}
