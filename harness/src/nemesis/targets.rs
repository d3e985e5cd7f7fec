//! Whom a step means.

use anyhow::anyhow;
use scenarios::plan::{Action, Target};

use super::{Nemesis, STEP_LIMIT};

impl Nemesis {
    pub(super) async fn targets(&self, action: &Action) -> anyhow::Result<Vec<String>> {
        match (action, action.target()) {
            (_, Some(target)) => self.resolve(target).await,
            (Action::MemberAdd { name, .. }, None) => Ok(vec![name.clone()]),
            (_, None) => Ok(Vec::new()),
        }
    }

    pub(super) async fn resolve(&self, target: &Target) -> anyhow::Result<Vec<String>> {
        let all_but = async |one: &str| {
            let names = self.admin.cluster().names().await;
            names
                .into_iter()
                .filter(|name| name != one)
                .collect::<Vec<_>>()
        };
        let bound = async |name: &str| {
            let bound = self.bound.lock().await;
            bound
                .get(name)
                .cloned()
                .ok_or_else(|| anyhow!("no earlier step found a {name:?}"))
        };
        Ok(match target {
            Target::Member(name) => vec![name.clone()],
            Target::AllBut(name) => all_but(name).await,
            Target::All => self.admin.cluster().names().await,
            Target::Bound(name) => vec![bound(name).await?],
            Target::AllButBound(name) => all_but(&bound(name).await?).await,
            Target::Leader(name) => {
                let leader = self.admin.leader(STEP_LIMIT).await?;
                self.bound.lock().await.insert(name.clone(), leader.clone());
                vec![leader]
            }
            Target::Follower(name) => {
                let leader = self.admin.leader(STEP_LIMIT).await?;
                let voters = self.admin.cluster().voters().await;
                let after = voters
                    .iter()
                    .position(|voter| *voter == leader)
                    .unwrap_or(0)
                    + 1;
                let follower = voters[after % voters.len()].clone();
                self.bound
                    .lock()
                    .await
                    .insert(name.clone(), follower.clone());
                vec![follower]
            }
        })
    }

    /// The one member that a target means; the first in name order where there are more.
    pub(super) async fn one(&self, target: &Target) -> anyhow::Result<String> {
        let found = self.resolve(target).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| anyhow!("nobody is meant"))
    }
}
