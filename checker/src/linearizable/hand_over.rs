//! What the search over gaps leaves undecided, in short histories, is handed to the
//! [generic engine](crate::generic): how a lease ended that was granted again, or what compacted.
//!
//! That engine knows nothing of renewals, and so lets leases expire too early. Where it finds no
//! order there is none; an order that it finds counts only once it was [replayed](super::verify).

use super::operation::{OperationId, Operations, Role};
use super::{Options, OrderStep, Outcome, no_finding, verify};
use crate::generic::{self, Witness};
use crate::history::Record;
use crate::models::{Etcd, EtcdOp, EtcdState, etcd_history};
use crate::verdict::Finding;

/// Operations of a history that is handed over, at most: the generic engine tries each unknown
/// operation and each expiry at every step.
const OPERATIONS_MAX: usize = 400;

const CONFIGURATIONS_MAX: u64 = 1_000_000;
const BYTES_MAX: usize = 256 << 20;

/// Decides a history that the search could not, or says nothing.
pub(super) fn decide(
    history: &[Record],
    operations: &Operations,
    options: &Options,
) -> Option<Outcome> {
    let observed = |id: OperationId| matches!(id, OperationId::Observation(_));
    if options.foreign_compactions
        || operations.all.len() > OPERATIONS_MAX
        || operations.all.iter().any(|op| observed(op.id))
    {
        return None;
    }
    let recorded = etcd_history(history);
    let bounds = generic::Options {
        configurations_max: options.steps_max.min(CONFIGURATIONS_MAX),
        bytes_max: options.bytes_max.min(BYTES_MAX),
        stop: options.stop,
        ..generic::Options::default()
    };
    match generic::check(&Etcd::default(), &recorded.operations, &bounds) {
        generic::Verdict::Violated { witness } => Some(Outcome::Violated {
            witness: vec![tell(&witness, &recorded.ids)],
        }),
        generic::Verdict::Holds { order } => {
            let steps = order.into_iter();
            let order: Vec<OrderStep> = steps
                .filter_map(|index| {
                    let (op, id) = (&recorded.operations[index].op, recorded.ids[index]);
                    step(op, id, operations)
                })
                .collect();
            verify::verify_operations(operations, &order, false)
                .is_ok()
                .then_some(Outcome::Holds { order })
        }
        generic::Verdict::Inconclusive { .. } => None,
    }
}

/// The step of an order that an operation of the generic engine stands for, if it has a place.
fn step(op: &EtcdOp<'_>, id: u64, operations: &Operations) -> Option<OrderStep> {
    if let Some(lease) = op.expires() {
        return Some(OrderStep::Expiry { lease });
    }
    let id = OperationId::History(id);
    let has_place = |role| !matches!(role, Role::LocalRead(_) | Role::Renewal(_) | Role::Nothing);
    let own = operations.all.iter().find(|op| op.id == id)?;
    (has_place(own.role) && !op.is_knowledge()).then_some(OrderStep::Operation(id))
}

fn tell(witness: &Witness<EtcdState, EtcdOp<'_>>, ids: &[u64]) -> Finding {
    let failed = ids[witness.operation];
    let mut explanation = Vec::new();
    for survivor in &witness.survivors {
        for refused in &survivor.pending {
            if let Some(refusal) = &refused.refusal {
                let revision = survivor.state.revision();
                let id = ids[refused.operation];
                explanation.push(format!(
                    "With everything before in place at revision {revision}, operation {id} does not fit: {refusal}."
                ));
            }
        }
    }
    let mut operations: Vec<u64> = witness.core.iter().map(|op| ids[op.index]).collect();
    operations.dedup();
    Finding {
        title: format!("no order of all operations has a place for operation {failed}"),
        explanation,
        operations,
        ..no_finding()
    }
}
