//! The check of a recorded history.

use super::projection::{Projection, project};
use super::{Anomaly, Figures, Names, Options, Outcome, Status, check};
use crate::history::{ObservationRecord, Record};
use crate::linearizable::OperationId;
use crate::verdict::Finding;

/// How the check decides, as in reports.
pub const ENGINE: &str = "list-append 1";

/// What transactions on lists come to. An anomaly is a proof; but where the revision order holds,
/// one of the two engines, and so the harness, is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondOpinion {
    /// One finding for each anomaly; none if there are none.
    pub violations: Vec<Finding>,
    /// What was judged; all zero where no key holds a list.
    pub figures: Figures,
    /// Whether strict serializability was proved by an order that was replayed.
    pub proved: bool,
    /// Lists that were written in other ways too, and left out.
    pub spoiled: u64,
}

/// Judges the transactions on lists of a recorded history, without looking at revisions but to see
/// what a guard stands for.
#[must_use]
pub fn second_opinion(
    history: &[Record],
    observations: &[ObservationRecord],
    options: &Options,
) -> SecondOpinion {
    let projection = project(history, observations);
    let checked = check(&projection.transactions, options);
    let proved = matches!(checked.outcome, Outcome::Holds { .. });
    let violations = match checked.outcome {
        Outcome::Violated { anomalies, .. } => anomalies
            .iter()
            .map(|anomaly| finding(&projection, anomaly))
            .collect(),
        Outcome::Holds { .. } | Outcome::Inconclusive { .. } => Vec::new(),
    };
    SecondOpinion {
        violations,
        figures: checked.figures,
        proved,
        spoiled: projection.spoiled,
    }
}

impl SecondOpinion {
    /// The figures by name, for reports; none where no key holds a list.
    #[must_use]
    pub fn named_figures(&self) -> Vec<(String, u64)> {
        let figures = &self.figures;
        if figures.keys + self.spoiled == 0 {
            return Vec::new();
        }
        let named = [
            ("list transactions", figures.committed),
            ("list transactions aborted", figures.aborted),
            ("list transactions unknown and unseen", figures.unseen),
            ("lists", figures.keys),
            ("lists skipped", figures.keys_skipped + self.spoiled),
            ("list dependencies", figures.edges),
            ("list order replayed", u64::from(self.proved)),
        ];
        named
            .into_iter()
            .map(|(name, figure)| (name.to_owned(), figure))
            .collect()
    }
}

fn name_of(projection: &Projection<'_>, at: usize) -> String {
    match projection.origins[at] {
        OperationId::History(id) => format!("operation {id}"),
        OperationId::Observation(id) => format!("observation {id}"),
    }
}

fn finding(projection: &Projection<'_>, anomaly: &Anomaly) -> Finding {
    let names = Names {
        transaction: &|at| name_of(projection, at),
        key: &|key| projection.keys[key as usize].to_string(),
        element: &|element| element.to_string(),
    };
    let involved = anomaly.transactions();
    let mut explanation = anomaly.sentences(&names);
    for at in &involved {
        let transaction = &projection.transactions[*at];
        let end = match (transaction.ret, transaction.status) {
            (Some(ret), Status::Aborted) => format!("failed at {ret} ns"),
            (Some(ret), _) => format!("answered at {ret} ns"),
            (None, _) => "result unknown".to_owned(),
        };
        let name = name_of(projection, *at);
        explanation.push(format!("{name}: sent at {} ns, {end}.", transaction.call));
    }
    let (mut operations, mut observations) = (Vec::new(), Vec::new());
    for at in &involved {
        match projection.origins[*at] {
            OperationId::History(id) => operations.push(id),
            OperationId::Observation(id) => observations.push(id),
        }
    }
    operations.dedup();
    observations.dedup();
    let ends = involved.iter().map(|at| &projection.transactions[*at]);
    let mut keys = anomaly.keys();
    keys.sort_unstable();
    keys.dedup();
    Finding {
        title: anomaly.title(&names),
        explanation,
        operations,
        observations,
        members: Vec::new(),
        revisions: Vec::new(),
        keys: keys.into_iter().map(|key| (names.key)(key)).collect(),
        at: ends.map(|t| t.ret.unwrap_or(t.call)).max(),
    }
}
