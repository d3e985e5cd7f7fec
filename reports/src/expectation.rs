//! What was expected of this version, and whether it came.

use checker::verdict::{Judgement, Verdict};
use scenarios::plan::{Expectation, ExpectedVerdict, Plan};

/// How the judgement compares with the scenario's expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    AsExpected,
    NotAsExpected,
    /// There is an expectation, but this run does not decide it.
    Undecided,
    /// The scenario says nothing of this version.
    Unstated,
}

impl Comparison {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::AsExpected => "as expected",
            Self::NotAsExpected => "not as expected",
            Self::Undecided => "expectation undecided",
            Self::Unstated => "no expectation stated",
        }
    }
}

/// The first expectation that is of the plan's store.
pub(crate) fn stated(plan: &Plan) -> Option<&Expectation> {
    plan.expected()
}

pub(crate) fn compare(plan: &Plan, judgement: &Judgement) -> Comparison {
    let Some(expectation) = stated(plan) else {
        return Comparison::Unstated;
    };
    match (expectation.verdict, judgement.verdict) {
        (_, Verdict::Inconclusive | Verdict::NotRun) => Comparison::Undecided,
        (ExpectedVerdict::Holds, Verdict::Holds) => Comparison::AsExpected,
        (ExpectedVerdict::Violated, Verdict::Violated) if names_one(expectation, judgement) => {
            Comparison::AsExpected
        }
        _ => Comparison::NotAsExpected,
    }
}

fn names_one(expectation: &Expectation, judgement: &Judgement) -> bool {
    expectation.guarantees.is_empty()
        || judgement
            .checks
            .iter()
            .filter(|check| check.verdict == Verdict::Violated)
            .any(|check| {
                expectation
                    .guarantees
                    .iter()
                    .any(|name| name == check.guarantee.name())
            })
}

/// `violated (linearizable or converges) in >=3.5.0, <3.5.6`.
pub(crate) fn words(expectation: &Expectation) -> String {
    let verdict = match expectation.verdict {
        ExpectedVerdict::Holds => "holds",
        ExpectedVerdict::Violated => "violated",
    };
    let guarantees = match expectation.guarantees.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(" or ")),
    };
    let of = match (expectation.bug.as_slice(), expectation.versions.as_str()) {
        ([], "") => "in the embedded store".to_owned(),
        ([], versions) => format!("in {versions}"),
        (bugs, _) => format!("with {}", bugs.join(" or ")),
    };
    format!("{verdict}{guarantees} {of}")
}
