//! Faults that wait in a process.

use anyhow::bail;
use scenarios::plan::Arm;

use super::Nemesis;

impl Nemesis {
    pub(super) async fn arm(
        &self,
        _step: usize,
        _arm: &Arm,
        _targets: &[String],
    ) -> anyhow::Result<String> {
        bail!("arming comes with the next commits")
    }

    pub(super) async fn disarm(&self, _fault: &str) -> anyhow::Result<String> {
        bail!("arming comes with the next commits")
    }

    pub(super) async fn release(&self, _fault: &str) -> anyhow::Result<String> {
        bail!("arming comes with the next commits")
    }

    pub(super) async fn wait_hit(&self, _fault: &str) -> anyhow::Result<()> {
        bail!("arming comes with the next commits")
    }
}
