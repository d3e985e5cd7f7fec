//! The disk's faults, as faults.

use std::sync::Arc;
use std::time::Duration;

use super::client::Disk;
use super::report::PowerLoss;
use super::rule::{Effect, Op, Rule, RuleId};
use super::survival::Survival;
use crate::fault::{Fault, Step};
use crate::process::Member;

/// How long a killed member may take to end once the power is gone.
const END_LIMIT: Duration = Duration::from_secs(20);

/// A rule in force while the fault is.
#[derive(Debug)]
pub struct DiskFault {
    disk: Disk,
    rule: Rule,
    armed: Option<RuleId>,
}

impl DiskFault {
    /// This rule on this disk.
    pub fn new(disk: Disk, rule: Rule) -> Self {
        Self {
            disk,
            rule,
            armed: None,
        }
    }
}

impl Fault for DiskFault {
    fn name(&self) -> String {
        let what = match (self.rule.effect, self.rule.op) {
            (Effect::Eio, Op::Read) => "EIO on read of",
            (Effect::Eio, Op::Write) => "EIO on write of",
            (Effect::Eio, Op::Fsync) => "EIO on fsync of",
            (Effect::Eio, Op::Name) => "EIO on create, rename or unlink of",
            (Effect::Delay { .. }, _) => "slow",
            (Effect::Quota { .. }, _) => "quota for",
            (Effect::BitFlip { .. }, _) => "bit flips in",
        };
        format!("{what} `{}` on {}", self.rule.paths, self.disk.name())
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            self.armed = Some(self.disk.arm(self.rule.clone()).await?);
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if let Some(rule) = self.armed.take() {
                self.disk.clear(rule).await?;
            }
            Ok(())
        })
    }
}

/// Takes the power from a member: its process is killed, and what its disk had
/// not made durable is lost. Healing starts the member again.
pub struct PowerCut {
    member: Arc<dyn Member>,
    disk: Disk,
    survival: Survival,
    cut: bool,
}

impl PowerCut {
    /// A power cut of this member, whose data are on this disk.
    pub fn new(member: Arc<dyn Member>, disk: Disk, survival: Survival) -> Self {
        Self {
            member,
            disk,
            survival,
            cut: false,
        }
    }

    /// Cuts the power of a member's process, by the order that a loss needs:
    /// freeze, kill, lose, wait for the end. A member without a process only
    /// loses what is not durable.
    ///
    /// # Errors
    ///
    /// The disk's reason, or a process that does not end.
    pub async fn cut(
        disk: &Disk,
        process: Option<crate::process::Handle>,
        survival: Survival,
    ) -> Result<PowerLoss, crate::fault::BoxError> {
        disk.freeze().await?;
        if let Some(process) = &process {
            match process.kill() {
                Ok(()) | Err(crate::process::SignalError::Ended { .. }) => {}
                Err(error) => {
                    disk.thaw().await?;
                    return Err(error.into());
                }
            }
        }
        let lost = disk.power_loss(survival).await?;
        if let Some(process) = &process {
            tokio::time::timeout(END_LIMIT, process.exit())
                .await
                .map_err(|_| "the member did not end after its disk lost power")?;
        }
        Ok(lost)
    }
}

impl Fault for PowerCut {
    fn name(&self) -> String {
        format!("power loss of {}", self.member.name())
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            self.cut = true;
            Self::cut(&self.disk, self.member.process(), self.survival).await?;
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if self.cut {
                self.member.restart().await?;
            }
            Ok(())
        })
    }
}
