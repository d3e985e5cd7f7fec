//! Re-verification of an order: a plain replay that knows nothing of how the order was found.

use hashbrown::HashMap;

use super::OrderStep;
use super::content::Checks;
use super::leases::{Leases, lease_of};
use super::operation::{OperationId, Operations, Role, is_local};
use super::revisions::Op;
use crate::history::{ObservationRecord, Record, Request};
use crate::model::Store;

/// Replays an order on the sequential store and compares every answer, every revision and the real
/// time. Holds if and only if the order proves that the history is linearizable.
///
/// # Errors
///
/// What does not fit, in words.
pub fn verify(
    history: &[Record],
    observations: &[ObservationRecord],
    order: &[OrderStep],
) -> Result<(), String> {
    verify_operations(&Operations::read(history, observations), order, false)
}

pub(super) fn verify_operations(
    operations: &Operations,
    order: &[OrderStep],
    foreign_compactions: bool,
) -> Result<(), String> {
    let mut replay = Replay {
        operations,
        checks: Checks::of(operations),
        leases: Leases::of(operations),
        foreign_compactions,
        store: Store::new(),
        granted_by: HashMap::new(),
        latest: 0,
        reached: vec![0, 0],
        compactions: Vec::new(),
    };
    replay.contents()?;
    let ids: HashMap<OperationId, Op> = operations
        .all
        .iter()
        .enumerate()
        .map(|(op, operation)| (operation.id, op))
        .collect();
    let mut done = vec![false; operations.all.len()];
    for step in order {
        match step {
            OrderStep::Operation(id) => {
                let op = *ids
                    .get(id)
                    .ok_or_else(|| format!("{id:?} is not in the history"))?;
                if std::mem::replace(&mut done[op], true) {
                    return Err(format!("{id:?} is in the order twice"));
                }
                replay.step(op)?;
            }
            OrderStep::Expiry { lease } => replay.expiry(*lease)?,
        }
    }
    for (op, done) in done.iter().enumerate() {
        replay.whole(op, *done)?;
    }
    Ok(())
}

struct Replay<'a, 's> {
    operations: &'s Operations<'a>,
    checks: Checks<'a>,
    leases: Leases,
    foreign_compactions: bool,
    store: Store,
    granted_by: HashMap<i64, Op>,
    /// The latest invocation so far.
    latest: u64,
    /// Likewise when each revision was made.
    reached: Vec<u64>,
    /// Compactions so far: revision, and the latest invocation by then.
    compactions: Vec<(i64, u64)>,
}

impl Replay<'_, '_> {
    fn step(&mut self, index: Op) -> Result<(), String> {
        let op = &self.operations.all[index];
        let id = op.id;
        if op.ret < self.latest {
            return Err(format!(
                "{id:?} had returned before something earlier was invoked"
            ));
        }
        self.latest = self.latest.max(op.call);
        match op.role {
            Role::SawCompacted(revision) => {
                let compacted = self.foreign_compactions || self.store.compacted() >= revision;
                return compacted
                    .then_some(())
                    .ok_or(format!("{id:?}: not compacted yet"));
            }
            Role::SawFuture(revision) => {
                let future = self.store.revision() < revision;
                return future
                    .then_some(())
                    .ok_or(format!("{id:?}: the revision exists"));
            }
            Role::LocalRead(_) | Role::Renewal(_) | Role::Nothing => {
                return Err(format!("{id:?} has no place in the order"));
            }
            Role::Write(_)
            | Role::Read(_)
            | Role::Revoke(_)
            | Role::Compaction(_)
            | Role::Maybe
            | Role::MaybeCompaction(_) => {}
        }
        let before = self.store.revision();
        let applied = match (op.request, lease_of(op)) {
            (Request::LeaseGrant { .. }, Some(lease)) => {
                self.granted_by.insert(lease, index);
                self.store.grant(lease)
            }
            // Older states are compared when the replay passes them.
            (Request::Range(range), _) if range.revision > 0 => self.store.apply(op.request),
            _ => self.store.apply(op.request),
        };
        let answer = applied.map_err(|refusal| format!("{id:?}: {}", refusal.words()))?;
        if let Some(response) = op.response()
            && op.order_revision().is_some()
        {
            let pinned = matches!(op.request, Request::Range(range) if range.revision > 0);
            if !pinned {
                answer
                    .agrees_with(response)
                    .map_err(|difference| format!("{id:?}: {difference}"))?;
            }
        }
        let after = self.store.revision();
        match op.role {
            Role::Write(revision) if before + 1 != revision || after != revision => {
                return Err(format!("{id:?} made revision {after}, not {revision}"));
            }
            Role::Read(revision) if before != revision || after != revision => {
                return Err(format!("{id:?} saw revision {after}, not {revision}"));
            }
            Role::Revoke(revision) if after != revision => {
                return Err(format!("{id:?} saw revision {after}, not {revision}"));
            }
            Role::Compaction(header) if after > header => {
                return Err(format!("{id:?} came after revision {header}"));
            }
            _ => {}
        }
        if let Request::Compact { revision, .. } = op.request {
            self.compactions.push((*revision, self.latest));
        }
        self.changed(before)
    }

    fn expiry(&mut self, lease: i64) -> Result<(), String> {
        let grant = self
            .granted_by
            .get(&lease)
            .ok_or("an expiry of a lease never granted")?;
        let grant = &self.operations.all[*grant];
        self.latest = self.leases.earliest_expiry(lease, grant, self.latest);
        let before = self.store.revision();
        self.store
            .revoke(lease)
            .map_err(|refusal| format!("expiry: {}", refusal.words()))?;
        self.changed(before)
    }

    fn changed(&mut self, before: i64) -> Result<(), String> {
        if self.store.revision() == before {
            return Ok(());
        }
        self.store.forget_changes();
        self.reached.push(self.latest);
        self.contents()
    }

    /// Compares every answer that shows the state as it stands.
    fn contents(&mut self) -> Result<(), String> {
        let checks = self.checks.at(self.store.revision());
        for check in checks {
            let op = &self.operations.all[check.op];
            check
                .judge(op, &mut self.store)
                .map_err(|difference| format!("{:?}: {difference}", op.id))?;
        }
        Ok(())
    }

    /// What is to be said of an operation once the whole order is replayed.
    fn whole(&self, index: Op, done: bool) -> Result<(), String> {
        let op = &self.operations.all[index];
        let id = op.id;
        let reached = |revision: i64| {
            let time = usize::try_from(revision)
                .ok()
                .and_then(|at| self.reached.get(at));
            match time {
                Some(time) if *time <= op.ret => Ok(()),
                _ => Err(format!(
                    "{id:?} saw revision {revision} before it can have been made"
                )),
            }
        };
        match op.role {
            Role::LocalRead(revision) => {
                reached(revision)?;
                let mut ahead = None;
                op.each_pinned(|range, _| {
                    if range.revision > revision {
                        ahead = Some(range.revision);
                    }
                });
                ahead.map_or(Ok(()), |pin| {
                    Err(format!("{id:?} showed future revision {pin}"))
                })
            }
            Role::Compaction(header) if done => reached(header),
            Role::SawCompacted(_) if is_local(op.request) && self.foreign_compactions => Ok(()),
            Role::SawCompacted(revision) if is_local(op.request) => {
                let by_then = |(to, time): &(i64, u64)| *to >= revision && *time <= op.ret;
                let found = self.compactions.iter().any(by_then);
                found
                    .then_some(())
                    .ok_or(format!("{id:?}: nothing compacted that far"))
            }
            Role::SawCompacted(_) if self.foreign_compactions => Ok(()),
            Role::Write(_)
            | Role::Read(_)
            | Role::Revoke(_)
            | Role::Compaction(_)
            | Role::SawCompacted(_)
            | Role::SawFuture(_) => {
                if done {
                    Ok(())
                } else {
                    Err(format!("{id:?} is missing from the order"))
                }
            }
            Role::Renewal(_) | Role::Maybe | Role::MaybeCompaction(_) | Role::Nothing => Ok(()),
        }
    }
}
