//! A finding's evidence as rows: operations and observations alike.

use checker::history::{Asked, Purpose};
use checker::verdict::{CheckReport, Finding, Judgement, Verdict};

use crate::ended::Ended;
use crate::ops::{Op, revision_of};
use crate::recorded::Recorded;
use crate::words::{Detail, answer, request};

/// One operation or observation.
#[derive(Clone, Debug)]
pub(crate) struct ProofRow {
    /// `A`, `B`, … in order of the finding's lists, operations first.
    pub(crate) label: String,
    /// The operation's id; none for an observation.
    pub(crate) op: Option<u64>,
    pub(crate) who: String,
    pub(crate) member: String,
    pub(crate) asked: String,
    pub(crate) answer: String,
    pub(crate) revision: Option<i64>,
    pub(crate) from: u64,
    pub(crate) until: Option<u64>,
    pub(crate) ended: Ended,
}

/// Rows shown for one finding.
const ROWS_MAX: usize = 24;

/// The rows, and how many the finding names that are not among them: too many, or not in the file.
pub(crate) fn rows(
    recorded: &Recorded<'_>,
    finding: &Finding,
    detail: Detail,
) -> (Vec<ProofRow>, usize) {
    let ops = finding
        .operations
        .iter()
        .filter_map(|id| recorded.ops.get(*id));
    let ops = ops.map(|op| op_row(op, detail));
    let observations = finding
        .observations
        .iter()
        .filter_map(|id| recorded.observation(*id));
    let observations = observations.map(|asked| asked_row(asked, detail));
    let mut rows: Vec<_> = ops.chain(observations).take(ROWS_MAX).collect();
    for (index, row) in rows.iter_mut().enumerate() {
        row.label = label(index);
    }
    let missing = finding.operations.len() + finding.observations.len() - rows.len();
    (rows, missing)
}

/// `A` to `Z`, then `A1`, `B1`, …
fn label(index: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

fn op_row(op: &Op<'_>, detail: Detail) -> ProofRow {
    let invoke = op.invoke;
    let who = match &invoke.user {
        Some(user) => format!("c{} ({})", invoke.client, crate::words::printable(user)),
        None => format!("c{}", invoke.client),
    };
    ProofRow {
        label: String::new(),
        op: Some(invoke.id),
        who,
        member: invoke.member.clone(),
        asked: request(&invoke.request, detail),
        answer: answer(op.outcome, detail),
        revision: op.revision(),
        from: invoke.at,
        until: op.end,
        ended: op.ended(),
    }
}

fn asked_row(asked: &Asked, detail: Detail) -> ProofRow {
    let who = match &asked.user {
        Some(user) => format!("harness ({})", crate::words::printable(user)),
        None => "harness".into(),
    };
    ProofRow {
        label: String::new(),
        op: None,
        who,
        member: asked.member.clone(),
        asked: format!(
            "{} [{}]",
            request(&asked.request, detail),
            purpose(asked.purpose)
        ),
        answer: answer(Some(&asked.outcome), detail),
        revision: revision_of(&asked.outcome),
        from: asked.at,
        until: Some(asked.until),
        ended: Ended::of(&asked.request, Some(&asked.outcome)),
    }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Setup => "setup",
        Purpose::Ready => "ready",
        Purpose::Watchdog => "watchdog",
        Purpose::Nemesis => "nemesis",
        Purpose::LivenessWrite => "liveness write",
        Purpose::LivenessRead => "liveness read",
        Purpose::LivenessCatchUp => "catch-up",
        Purpose::AuthLogin => "auth: log-in",
        Purpose::AuthAllowed => "auth: allowed",
        Purpose::AuthDenied => "auth: denied",
        Purpose::WindDown => "wind-down",
        Purpose::ConvergenceStatus => "final status",
        Purpose::ConvergenceHash => "final hash",
        Purpose::ConvergenceContent => "final content",
    }
}

/// The finding that decides the run: the first of the check that names the verdict.
pub(crate) fn leading(judgement: &Judgement) -> Option<(&CheckReport, &Finding)> {
    if judgement.verdict == Verdict::Holds {
        return None;
    }
    let deciding =
        |check: &&CheckReport| check.verdict == judgement.verdict && !check.findings.is_empty();
    let named = |check: &&CheckReport| Some(check.guarantee) == judgement.guarantee;
    let checks = &judgement.checks;
    let check = checks
        .iter()
        .filter(deciding)
        .find(named)
        .or_else(|| checks.iter().find(deciding))?;
    Some((check, check.findings.first()?))
}

/// Where `from` and `until` lie between the rows' first and last moment, as parts of 1; a row
/// without an end reaches to the edge.
pub(crate) fn places(rows: &[ProofRow]) -> Vec<(f64, f64)> {
    let first = rows.iter().map(|row| row.from).min().unwrap_or(0);
    let last = rows
        .iter()
        .map(|row| row.until.unwrap_or(row.from))
        .max()
        .unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "places on a picture")]
    let part = |at: u64| (at - first) as f64 / (last - first).max(1) as f64;
    rows.iter()
        .map(|row| (part(row.from), row.until.map_or(1.0, part)))
        .collect()
}
