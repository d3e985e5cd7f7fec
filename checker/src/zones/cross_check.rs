//! The cross-check of a recorded history.

use super::{
    Contradiction, Counts, Figures, Outcome, Projection, Value, Violation, check, project,
};
use super::{Kind, Operation};
use crate::history::{Bytes, ObservationRecord, Record};
use crate::linearizable::OperationId;
use crate::verdict::Finding;

/// How the cross-check decides, as in reports.
pub const ENGINE: &str = "zones 1";

/// What the cross-check comes to. A violation is a proof; but where the revision order holds, one
/// of the two engines, and so the harness, is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossCheck {
    /// One finding for each key whose operations are not linearizable; none if all are.
    pub violations: Vec<Finding>,
    /// What the history was projected to.
    pub counts: Counts,
    /// What was judged of it.
    pub figures: Figures,
}

/// Judges every key of a recorded history by zones, without looking at revisions.
#[must_use]
pub fn cross_check(history: &[Record], observations: &[ObservationRecord]) -> CrossCheck {
    let projection = project(history, observations);
    let checked = check(&projection.operations);
    let witnesses = match checked.outcome {
        Outcome::Holds => Vec::new(),
        Outcome::Violated { witnesses } => witnesses,
    };
    CrossCheck {
        violations: witnesses.iter().map(|w| finding(&projection, w)).collect(),
        counts: projection.counts,
        figures: checked.figures,
    }
}

impl CrossCheck {
    /// The figures by name, for reports.
    #[must_use]
    pub fn named_figures(&self) -> Vec<(String, u64)> {
        let Self {
            counts, figures, ..
        } = self;
        let named = [
            ("requests", counts.recorded),
            ("local or past reads", counts.local_or_past),
            ("absences that say nothing", counts.absences),
            ("keys", figures.keys),
            ("operations on keys", figures.operations),
            ("writes unanswered and unread", figures.writes_dropped),
            ("keys skipped", figures.keys_skipped),
            ("operations on keys skipped", figures.operations_skipped),
        ];
        named
            .into_iter()
            .map(|(name, figure)| (name.to_owned(), figure))
            .collect()
    }
}

fn finding(projection: &Projection<'_>, violation: &Violation) -> Finding {
    let parts: Vec<_> = violation
        .operations
        .iter()
        .map(|at| (&projection.operations[*at], projection.origins[*at]))
        .collect();
    let key = parts[0].0.key;
    let what = match violation.contradiction {
        Contradiction::NeverWritten => "a read saw a value that no request put",
        Contradiction::BeforeItsWrite => "a read saw a value before the put of it was sent",
        Contradiction::InitialAgain => "a read found nothing after a value was there",
        Contradiction::CameBack => "a value came back after another, though it was put once",
    };
    let (mut operations, mut observations) = (Vec::new(), Vec::new());
    for (_, origin) in &parts {
        match origin {
            OperationId::History(id) => operations.push(*id),
            OperationId::Observation(id) => observations.push(*id),
        }
    }
    operations.dedup();
    observations.dedup();
    Finding {
        title: format!("{key}: {what}"),
        explanation: parts.iter().map(|(op, id)| sentence(op, *id)).collect(),
        operations,
        observations,
        members: Vec::new(),
        revisions: Vec::new(),
        keys: vec![key.to_string()],
        at: parts.iter().map(|(op, _)| op.ret.unwrap_or(op.call)).max(),
    }
}

fn sentence(op: &Operation<&Bytes, Value<'_>>, id: OperationId) -> String {
    let what = match op.kind {
        Kind::Write(Value::Put(value)) => format!("put {value}"),
        Kind::Write(Value::Deleted(_)) => "deleted the key".to_owned(),
        Kind::Read(Some(Value::Put(value))) => format!("saw {value}"),
        Kind::Read(_) => "found nothing".to_owned(),
    };
    let who = match id {
        OperationId::History(id) => format!("operation {id}"),
        OperationId::Observation(id) => format!("observation {id}"),
    };
    let until = match op.ret {
        Some(ret) => format!("answered at {ret} ns"),
        None => "not answered".to_owned(),
    };
    format!("{who} {what}: sent at {} ns, {until}", op.call)
}
