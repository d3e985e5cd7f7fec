//! Faults that wait in a process: armed, hit, taken back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use checker::history::FaultPhase;
use failpoints::process::Handle;
use failpoints::trace::ReleasedBy;
use scenarios::plan::{Act, Arm};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinHandle;

use super::Nemesis;
use crate::cluster::{Armed, Happening, Happenings};
use crate::recorder::Recorder;

/// Hits recorded of each arm; the rest is counted.
const HITS_RECORDED_MAX: u64 = 20;

/// How long a member may take to end that was killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The faults that steps have armed, by name.
#[derive(Clone)]
pub(super) struct Faults {
    table: Arc<Mutex<BTreeMap<String, Fault>>>,
    /// Counts every hit of any fault, to wait for.
    hits: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            table: Arc::default(),
            hits: watch::Sender::new(0),
        }
    }
}

#[derive(Default)]
struct Fault {
    step: usize,
    /// Some step that arms it counts on a hit.
    needed: bool,
    kills: bool,
    armed: Vec<Watched>,
    /// Hits that were acted on, in the whole run.
    acted: u64,
    /// Those since it was last armed.
    acted_since: u64,
    /// Holds that are over, and those of them in which other threads of the process ran.
    holds: u64,
    advanced: u64,
    /// Processes that it has killed.
    killed: Vec<Handle>,
}

/// A fault armed in one process, and the task that writes down what happens to it.
struct Watched {
    armed: Arc<Armed>,
    over: oneshot::Sender<()>,
    watcher: JoinHandle<()>,
}

impl Nemesis {
    pub(super) async fn arm(
        &self,
        step: usize,
        arm: &Arm,
        targets: &[String],
    ) -> anyhow::Result<String> {
        let before = {
            let mut table = self.faults.table.lock().await;
            let fault = table.entry(arm.fault.clone()).or_default();
            fault.step = step;
            fault.needed |= !arm.optional && arm.act != Act::Report;
            fault.kills = arm.act == Act::Kill;
            fault.acted_since = 0;
            fault.killed.clear();
            std::mem::take(&mut fault.armed)
        };
        self.take_back(before, arm.act == Act::Kill).await?;
        let mut took = Duration::ZERO;
        for target in targets {
            let (armed, happenings) = self.admin.cluster().arm(target, arm).await?;
            took = took.max(armed.took);
            let armed = Arc::new(armed);
            let watcher = Watcher {
                step,
                fault: arm.fault.clone(),
                kills: arm.act == Act::Kill,
                armed: armed.clone(),
                faults: self.faults.clone(),
                recorder: self.admin.recorder().clone(),
            };
            let (over, is_over) = oneshot::channel();
            let watched = Watched {
                armed,
                over,
                watcher: tokio::spawn(watcher.watch(happenings, is_over)),
            };
            let mut table = self.faults.table.lock().await;
            if let Some(fault) = table.get_mut(&arm.fault) {
                fault.armed.push(watched);
            }
        }
        Ok(format!("armed within {} us", took.as_micros()))
    }

    pub(super) async fn disarm(&self, name: &str) -> anyhow::Result<String> {
        let (armed, kills, acted) = {
            let mut table = self.faults.table.lock().await;
            let fault = table
                .get_mut(name)
                .ok_or_else(|| anyhow!("{name:?} was not armed"))?;
            (
                std::mem::take(&mut fault.armed),
                fault.kills,
                fault.acted_since,
            )
        };
        self.take_back(armed, kills).await?;
        Ok(format!("it acted on {acted} hits"))
    }

    /// Disarms, and waits until everything that happened is written down.
    async fn take_back(&self, armed: Vec<Watched>, kills: bool) -> anyhow::Result<()> {
        for one in armed {
            let disarmed = one.armed.disarm().await;
            drop(one.over);
            one.watcher.await?;
            disarmed?;
            if kills {
                let (member, process) = (&one.armed.member, &one.armed.process);
                self.admin.cluster().kill_disarmed(member, process).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn release(&self, name: &str) -> anyhow::Result<String> {
        let armed = {
            let table = self.faults.table.lock().await;
            let fault = table
                .get(name)
                .ok_or_else(|| anyhow!("{name:?} was not armed"))?;
            fault
                .armed
                .iter()
                .map(|one| one.armed.clone())
                .collect::<Vec<_>>()
        };
        for one in armed {
            one.release().await?;
        }
        Ok(String::new())
    }

    /// Waits until a fault has acted since it was last armed, and, where it kills, until the
    /// process has ended.
    pub(super) async fn wait_hit(&self, name: &str) -> anyhow::Result<()> {
        let mut hits = self.faults.hits.subscribe();
        loop {
            let killed = {
                let table = self.faults.table.lock().await;
                let fault = table
                    .get(name)
                    .ok_or_else(|| anyhow!("{name:?} was not armed"))?;
                (fault.acted_since > 0).then(|| fault.killed.clone())
            };
            if let Some(killed) = killed {
                for process in killed {
                    if tokio::time::timeout(KILL_LIMIT, process.exit())
                        .await
                        .is_err()
                    {
                        bail!("the process did not end that {name:?} killed");
                    }
                }
                return Ok(());
            }
            hits.changed().await?;
        }
    }

    /// Takes every fault back, and records those that never happened though the plan counts on
    /// them.
    ///
    /// # Errors
    /// When the recorder is gone, or a fault cannot be taken back.
    pub async fn disarm_all(&self) -> anyhow::Result<()> {
        let names: Vec<_> = self.faults.table.lock().await.keys().cloned().collect();
        for name in &names {
            self.disarm(name).await?;
        }
        let table = self.faults.table.lock().await;
        for (name, fault) in &*table {
            if fault.needed && fault.acted == 0 {
                let why =
                    format!("the fault {name:?} was never hit: the run says nothing about it");
                self.admin
                    .recorder()
                    .fault(fault.step, "arm", &[], FaultPhase::Skipped, why)
                    .await?;
            }
        }
        drop(table);
        self.heal_all_disks().await
    }
}

/// Writes down what happens to one armed fault in one process.
struct Watcher {
    step: usize,
    fault: String,
    kills: bool,
    armed: Arc<Armed>,
    faults: Faults,
    recorder: Recorder,
}

impl Watcher {
    /// Until the process has ended, or the fault is over and nothing of it is left to tell.
    async fn watch(self, mut happenings: Happenings, mut is_over: oneshot::Receiver<()>) {
        let mut recorded = 0;
        loop {
            let happening = tokio::select! {
                biased;
                happening = happenings.next() => happening,
                _ = &mut is_over => return,
            };
            let said = match happening {
                None => return,
                Some(Happening::Hit { number, times, at }) => {
                    self.count(times).await;
                    recorded += 1;
                    (recorded <= HITS_RECORDED_MAX).then(|| {
                        let mut detail = format!("{}: hit {number}", self.fault);
                        if let Some((thread, path)) = at {
                            let _ = write!(detail, ", thread {thread}");
                            let _ = path.map(|path| write!(detail, ", {path}"));
                        }
                        (FaultPhase::End, detail)
                    })
                }
                Some(Happening::Released {
                    held,
                    advanced,
                    why,
                }) => {
                    // A process that is gone has no clock that tells whether it ran.
                    let unknown = !advanced && why == ReleasedBy::Death;
                    if !unknown {
                        self.count_hold(advanced).await;
                    }
                    let others = match (advanced, unknown) {
                        (true, _) => "while others ran",
                        (false, true) => "until its process ended",
                        (false, false) => "while nothing else of the process ran",
                    };
                    let (fault, held) = (&self.fault, held.as_millis());
                    Some((
                        FaultPhase::End,
                        format!("{fault}: held for {held} ms {others}"),
                    ))
                }
                Some(Happening::Failed(reason)) => {
                    Some((FaultPhase::Failed, format!("{}: {reason}", self.fault)))
                }
            };
            if let Some((phase, detail)) = said {
                let members = [self.armed.member.clone()];
                let record = self
                    .recorder
                    .fault(self.step, "hit", &members, phase, detail);
                if record.await.is_err() {
                    return;
                }
            }
        }
    }

    async fn count_hold(&self, advanced: bool) {
        if let Some(fault) = self.faults.table.lock().await.get_mut(&self.fault) {
            fault.holds += 1;
            fault.advanced += u64::from(advanced);
        }
    }

    async fn count(&self, times: u64) {
        let mut table = self.faults.table.lock().await;
        if let Some(fault) = table.get_mut(&self.fault) {
            fault.acted += times;
            fault.acted_since += times;
            if self.kills {
                fault.killed.push(self.armed.process.clone());
            }
        }
        drop(table);
        self.faults.hits.send_modify(|hits| *hits += 1);
    }
}
