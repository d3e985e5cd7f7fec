//! Steps on members' disks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use checker::history::FaultPhase;
use failpoints::disk::{FileLoss, PowerLoss, RuleId};
use scenarios::plan::{DiskFault, Survival};
use tokio::sync::Mutex;

use super::Nemesis;

/// Pause between two looks at whether a disk fault has acted.
const LOOK: Duration = Duration::from_millis(2);

/// Of a loss so many files and changes of names are told, each; the rest is counted.
const TOLD: usize = 12;

/// Of a file so many ranges.
const RANGES: usize = 4;

/// The faults that steps have put on disks, by name.
#[derive(Clone, Default)]
pub(super) struct DiskFaults(Arc<Mutex<BTreeMap<String, Armed>>>);

#[derive(Default)]
struct Armed {
    step: usize,
    needed: bool,
    /// In force: whose disk, and which rule of it.
    rules: Vec<(String, RuleId)>,
    /// Operations that rules acted on that are no longer in force.
    acted: u64,
}

impl Nemesis {
    pub(super) async fn power_loss(
        &self,
        targets: &[String],
        survival: Survival,
        seed: &str,
    ) -> anyhow::Result<String> {
        let seed = seed.parse().context("the seed is no number")?;
        let lost = self
            .admin
            .cluster()
            .power_loss(targets, survival, seed)
            .await?;
        let told: Vec<_> = lost
            .iter()
            .map(|(member, lost)| tell(member, lost))
            .collect();
        Ok(told.join("; "))
    }

    pub(super) async fn disk_fault(
        &self,
        step: usize,
        fault: &DiskFault,
        targets: &[String],
    ) -> anyhow::Result<String> {
        if self.has_disk_fault(&fault.fault).await {
            self.take_back_disk_fault(&fault.fault).await?;
        }
        let mut rules = Vec::new();
        for target in targets {
            let rule = self.admin.cluster().arm_disk(target, fault).await?;
            rules.push((target.clone(), rule));
        }
        let mut table = self.disk_faults.0.lock().await;
        let armed = table.entry(fault.fault.clone()).or_default();
        armed.step = step;
        armed.needed |= !fault.optional;
        armed.rules = rules;
        Ok(format!("{} on {}", fault.kind.name(), fault.paths))
    }

    /// Takes back every fault on the disks of these members.
    pub(super) async fn disk_heal(&self, targets: &[String]) -> anyhow::Result<String> {
        let names: Vec<_> = self.disk_faults.0.lock().await.keys().cloned().collect();
        let mut told = Vec::new();
        for name in names {
            let acted = self.clear(&name, |member| targets.contains(member)).await?;
            told.extend(acted.map(|acted| format!("{name} acted on {acted} operations")));
        }
        Ok(told.join("; "))
    }

    pub(super) async fn has_disk_fault(&self, name: &str) -> bool {
        self.disk_faults.0.lock().await.contains_key(name)
    }

    pub(super) async fn take_back_disk_fault(&self, name: &str) -> anyhow::Result<String> {
        let acted = self.clear(name, |_| true).await?;
        Ok(format!("it acted on {} operations", acted.unwrap_or(0)))
    }

    /// Takes a fault off the disks of some members. None where it was on none of them.
    async fn clear(
        &self,
        name: &str,
        whose: impl Fn(&String) -> bool,
    ) -> anyhow::Result<Option<u64>> {
        let mut table = self.disk_faults.0.lock().await;
        let armed = table
            .get_mut(name)
            .ok_or_else(|| anyhow!("{name:?} is on no disk"))?;
        let (off, on) = std::mem::take(&mut armed.rules)
            .into_iter()
            .partition::<Vec<_>, _>(|(member, _)| whose(member));
        armed.rules = on;
        let mut acted = None;
        for (member, rule) in off {
            let hits = self.admin.cluster().clear_disk(&member, rule).await?;
            *acted.get_or_insert(0) += hits.unwrap_or(0);
        }
        armed.acted += acted.unwrap_or(0);
        Ok(acted)
    }

    /// Waits until a fault has acted on some disk.
    pub(super) async fn wait_disk_hit(&self, name: &str) -> anyhow::Result<()> {
        loop {
            let rules = {
                let table = self.disk_faults.0.lock().await;
                let armed = table
                    .get(name)
                    .ok_or_else(|| anyhow!("{name:?} is on no disk"))?;
                armed.rules.clone()
            };
            for (member, rule) in &rules {
                if self.admin.cluster().disk_hits(member, *rule).await? > 0 {
                    return Ok(());
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes every fault off every disk, and records those that never acted though the plan counts
    /// on them.
    pub(super) async fn heal_all_disks(&self) -> anyhow::Result<()> {
        let names: Vec<_> = self.disk_faults.0.lock().await.keys().cloned().collect();
        for name in &names {
            self.clear(name, |_| true).await?;
        }
        let table = self.disk_faults.0.lock().await;
        for (name, armed) in &*table {
            if armed.needed && armed.acted == 0 {
                let why =
                    format!("the disk fault {name:?} never acted: the run says nothing about it");
                self.admin
                    .recorder()
                    .fault(armed.step, "disk_fault", &[], FaultPhase::Skipped, why)
                    .await?;
            }
        }
        Ok(())
    }
}

/// What a member lost, in words: what was not synced when the power went, and what survived of it.
fn tell(member: &str, lost: &PowerLoss) -> String {
    let mut told = format!("{member}: ");
    if lost.unsynced.is_empty() {
        told.push_str("everything was synced");
        return told;
    }
    let counts = [
        (lost.writes_lost, "writes lost"),
        (lost.writes_torn, "torn"),
        (lost.writes_kept, "survived"),
        (lost.changes_lost, "changes of names lost"),
        (lost.changes_kept, "survived"),
    ];
    let words: Vec<_> = counts
        .iter()
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    told.push_str(&words.join(", "));
    for file in lost.files.iter().take(TOLD) {
        let _ = write!(told, "; {}", of_file(file));
    }
    for change in lost.unsynced.changes.iter().take(TOLD) {
        let survived = lost.survived.contains(change);
        let what = if survived { "survived" } else { "lost" };
        let _ = write!(told, "; {change} ({what})");
    }
    let more = lost.files.len().saturating_sub(TOLD)
        + lost.unsynced.changes.len().saturating_sub(TOLD)
        + usize::try_from(lost.unsynced.omitted).unwrap_or(usize::MAX);
    if more > 0 {
        let _ = write!(told, "; and {more} more");
    }
    told
}

fn of_file(file: &FileLoss) -> String {
    let mut told = file.path.clone();
    for (what, ranges) in [("lost", &file.lost), ("survived", &file.survived)] {
        if ranges.is_empty() {
            continue;
        }
        let some = ranges.iter().take(RANGES);
        let some: Vec<_> = some.map(|(start, end)| format!("{start}..{end}")).collect();
        let more = if ranges.len() > RANGES { ", …" } else { "" };
        let _ = write!(told, " {what} {}{more}", some.join(", "));
    }
    if file.lost.is_empty() && file.survived.is_empty() {
        told.push_str(" (its size)");
    }
    if file.found.is_none() {
        told.push_str(" (gone)");
    }
    told
}

#[cfg(test)]
mod tests {
    use failpoints::disk::{Unsynced, UnsyncedFile};

    use super::*;

    #[test]
    fn a_loss_is_told_file_by_file_and_bounded() {
        let lost = PowerLoss {
            unsynced: Unsynced {
                files: vec![UnsyncedFile::default()],
                changes: (0..20).map(|n| format!("create f{n}")).collect(),
                omitted: 3,
                bytes: 8,
            },
            files: vec![FileLoss {
                path: "member/wal/0.wal".into(),
                found: None,
                size: 0,
                lost: vec![(0, 8)],
                survived: vec![],
            }],
            survived: vec!["create f0".into()],
            writes_lost: 1,
            ..PowerLoss::default()
        };
        let told = tell("m1", &lost);
        assert!(told.starts_with("m1: 1 writes lost, 0 torn"), "{told}");
        assert!(
            told.contains("; member/wal/0.wal lost 0..8 (gone)"),
            "{told}"
        );
        assert!(
            told.contains("create f0 (survived); create f1 (lost)"),
            "{told}"
        );
        assert!(told.ends_with("; and 11 more"), "{told}");
        assert_eq!(
            tell("m2", &PowerLoss::default()),
            "m2: everything was synced"
        );
    }
}
