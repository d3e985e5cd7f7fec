//! Bugs that a store can be run with.

use scenarios::bugs::{self, Planting};
use scenarios::plan::{Plan, Planted, PlantedBy, StoreKind};
use store::bugs::Bug;

use super::usage;

/// Puts a bug into a plan whose store is known.
pub(super) fn plant(plan: &mut Plan, id: &str) -> anyhow::Result<Planting> {
    match plan.store.kind {
        StoreKind::Etcd => Ok(bugs::plant(plan, id)?),
        StoreKind::Embedded => {
            let bug: Bug = id
                .parse()
                .map_err(|error| usage(format!("--bug {id}: {error}")))?;
            plan.planted = Some(of_embedded(bug));
            Ok(Planting::Planted)
        }
        StoreKind::Command => Err(usage(format!(
            "--bug {id}: nothing can be planted in a store that a command starts; allowed: none"
        ))),
    }
}

/// How a bug of the embedded store stands in a plan.
pub(super) fn of_embedded(bug: Bug) -> Planted {
    Planted {
        issue: bug.id().into(),
        title: bug.title().into(),
        by: PlantedBy::Flag {
            flag: format!("--bug={}", bug.id()),
        },
    }
}
