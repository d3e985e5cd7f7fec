//! Members' data on disks that lose power and fail.
//!
//! A disk is mounted over its own data directory, in the mount namespace that members are started
//! in: they see the mount there, and everybody else the plain files below, whole at any time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use failpoints::disk::{
    Disk, DiskServer, Effect, Metadata, Op, Options, PowerLoss, Rule, RuleId, Survival, Tear,
};
use failpoints::process::SignalError;
use scenarios::plan::{self, DiskFault, DiskFaultKind, DiskOp, DiskPlan};
use tokio::sync::Mutex;

use super::processes::make_private;
use super::{Cluster, find_mut};

/// How long a killed member may take to end once its disk has lost power.
const END_LIMIT: Duration = Duration::from_secs(20);

/// The disks of a cluster, and the process that serves them.
pub(super) struct Disks {
    server: DiskServer,
    options: Options,
    mounted: Mutex<BTreeMap<String, Disk>>,
}

impl Disks {
    pub(super) async fn start(launcher: &Path, plan: DiskPlan) -> anyhow::Result<Self> {
        let options = Options {
            metadata: match plan {
                DiskPlan::Ordered => Metadata::Ordered,
                DiskPlan::Strict => Metadata::Strict,
            },
            ..Options::default()
        };
        Ok(Self {
            server: DiskServer::start(launcher).await?,
            options,
            mounted: Mutex::default(),
        })
    }

    pub(super) fn namespace(&self) -> std::path::PathBuf {
        self.server.namespace()
    }

    /// Puts a disk below a member's data directory.
    pub(super) async fn mount(&self, member: &str, data: &Path) -> anyhow::Result<()> {
        // etcd wants its data directory to be nobody else's business.
        make_private(data)?;
        let disk = self.server.mount(member, data, data, self.options).await?;
        self.mounted.lock().await.insert(member.to_owned(), disk);
        Ok(())
    }

    async fn of(&self, member: &str) -> anyhow::Result<Disk> {
        let mounted = self.mounted.lock().await;
        let disk = mounted.get(member).cloned();
        disk.ok_or_else(|| anyhow!("{member} has no disk"))
    }

    /// Takes every fault back and makes everything durable.
    pub(super) async fn heal(&self) -> anyhow::Result<()> {
        let mounted: Vec<Disk> = self.mounted.lock().await.values().cloned().collect();
        for disk in mounted {
            disk.heal().await?;
        }
        Ok(())
    }
}

fn survival(survival: plan::Survival, seed: u64) -> Survival {
    match survival {
        plan::Survival::SyncedOnly => Survival::SyncedOnly,
        plan::Survival::Torn => Survival::Torn {
            seed,
            unit: Tear::Sector,
        },
        plan::Survival::Subset => Survival::Subset {
            seed,
            tear: seed.is_multiple_of(2).then_some(Tear::Sector),
        },
    }
}

fn rule(fault: &DiskFault) -> anyhow::Result<Rule> {
    let (op, effect) = match &fault.kind {
        DiskFaultKind::Eio { op } => (
            match op {
                DiskOp::Read => Op::Read,
                DiskOp::Write => Op::Write,
                DiskOp::Fsync => Op::Fsync,
                DiskOp::Name => Op::Name,
            },
            Effect::Eio,
        ),
        DiskFaultKind::Enospc { bytes } => (Op::Write, Effect::Quota { bytes: *bytes }),
        DiskFaultKind::SlowFsync { for_ms } => (Op::Fsync, Effect::Delay { millis: *for_ms }),
        DiskFaultKind::BitFlip { every, seed } => {
            let seed = seed.parse().context("the seed is no number")?;
            let every = *every;
            (Op::Read, Effect::BitFlip { seed, every })
        }
    };
    let mut rule = Rule::new(&fault.paths, op, effect);
    rule.from = fault.hit;
    rule.times = (fault.times > 0).then_some(fault.times);
    Ok(rule)
}

impl Cluster {
    fn disks(&self) -> anyhow::Result<&Disks> {
        let disks = self.inner.disks.as_ref();
        disks.ok_or_else(|| anyhow!("members have no disks: the plan has no disk in [cluster]"))
    }

    /// Takes the power from members at the same time: all their disks are frozen, all are killed,
    /// and then what was not synced is lost. Gives what each lost.
    ///
    /// # Errors
    /// When there are no disks, or a member does not end.
    pub async fn power_loss(
        &self,
        names: &[String],
        kind: plan::Survival,
        seed: u64,
    ) -> anyhow::Result<Vec<(String, PowerLoss)>> {
        let disks = self.disks()?;
        let mut off = Vec::new();
        for name in names {
            off.push((name, disks.of(name).await?));
        }
        for (_, disk) in &off {
            disk.freeze().await?;
        }
        let mut ends = Vec::new();
        for name in names {
            // One that does not run loses what it left un-synced all the same.
            let Ok(handle) = self.plan_end(name).await else {
                continue;
            };
            match handle.kill() {
                Ok(()) => ends.push((name, handle)),
                Err(SignalError::Ended { .. }) => {}
                Err(error) => bail!("cannot kill {name}: {error}"),
            }
        }
        let mut lost = Vec::new();
        for ((name, disk), number) in off.into_iter().zip(0..) {
            let survival = survival(kind, seed.wrapping_add(number));
            lost.push((name.clone(), disk.power_loss(survival).await?));
        }
        for (name, handle) in ends {
            let end = tokio::time::timeout(END_LIMIT, handle.exit()).await;
            end.with_context(|| format!("{name} did not end after its disk had lost power"))?;
        }
        Ok(lost)
    }

    /// Makes a member's disk fail as the fault says. From then on the member may end by itself:
    /// that is what an error of its disk is for.
    ///
    /// # Errors
    /// When there are no disks, or the fault means nothing.
    pub async fn arm_disk(&self, name: &str, fault: &DiskFault) -> anyhow::Result<RuleId> {
        let disk = self.disks()?.of(name).await?;
        let rule = rule(fault)?;
        if !matches!(fault.kind, DiskFaultKind::SlowFsync { .. }) {
            let mut members = self.inner.members.lock().await;
            find_mut(&mut members, name)?.excuse();
        }
        Ok(disk.arm(rule).await?)
    }

    /// Takes a fault of a disk back. Gives how many operations it acted on; none where it was taken
    /// back before.
    ///
    /// # Errors
    /// When there are no disks.
    pub async fn clear_disk(&self, name: &str, rule: RuleId) -> anyhow::Result<Option<u64>> {
        Ok(self.disks()?.of(name).await?.clear(rule).await?)
    }

    /// How many operations a fault of a disk acted on so far.
    ///
    /// # Errors
    /// When there are no disks.
    pub async fn disk_hits(&self, name: &str, rule: RuleId) -> anyhow::Result<u64> {
        let hits = self.disks()?.of(name).await?.hits(rule).await?;
        Ok(hits.unwrap_or(0))
    }

    /// Takes every fault of every disk back, and makes everything durable.
    ///
    /// # Errors
    /// When the disks' process is gone.
    pub async fn heal_disks(&self) -> anyhow::Result<()> {
        if let Some(disks) = &self.inner.disks {
            disks.heal().await?;
            for member in self.inner.members.lock().await.values_mut() {
                member.excused = false;
            }
        }
        Ok(())
    }
}
