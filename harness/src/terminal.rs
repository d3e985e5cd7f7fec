//! What is printed of a verdict.

use std::fmt::Write as _;

use checker::verdict::{Exit, Judgement, Verdict};
use scenarios::plan::{Plan, StoreKind};

/// The name of a verdict in sentences and flags.
#[must_use]
pub fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "violated",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotRun => "not run",
    }
}

/// The exit code a judgement carries.
#[must_use]
pub fn exit(judgement: &Judgement) -> Exit {
    [
        Exit::Holds,
        Exit::Violated,
        Exit::Inconclusive,
        Exit::Liveness,
        Exit::NothingRan,
    ]
    .into_iter()
    .find(|exit| exit.code() == judgement.exit)
    .unwrap_or(Exit::HarnessFault)
}

/// More drawn choices than these are not listed: `plan.toml` has them all.
const CHOICES: usize = 200;

/// The drawn choices, before the run.
#[must_use]
pub fn header(plan: &Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {}", plan.scenario, plan.title);
    let sha256 = plan.store.sha256.get(..12).unwrap_or(&plan.store.sha256);
    let store = match plan.store.kind {
        StoreKind::Etcd => format!("{} (version {}", plan.store.spec, plan.store.version),
        StoreKind::Embedded | StoreKind::Command => format!("{} (", plan.store.told()),
    };
    let separator = if store.ends_with('(') { "" } else { ", " };
    let _ = writeln!(text, "  store {store}{separator}sha256 {sha256}…)");
    if !plan.store.without.is_empty() {
        let _ = writeln!(text, "  without {}", plan.store.without.join(", "));
    }
    let _ = writeln!(text, "  seed {}", plan.seed);
    if let Some(planted) = &plan.planted {
        let _ = writeln!(text, "  planted {}", scenarios::bugs::told(planted));
    }
    for (name, value) in plan.drawn.iter().take(CHOICES) {
        let _ = writeln!(text, "  {name} = {value}");
    }
    let more = plan.drawn.len().saturating_sub(CHOICES);
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more, all of them in plan.toml");
    }
    text
}

/// A judgement, check by check, with the first finding of each that does not hold.
#[must_use]
pub fn judgement(judgement: &Judgement) -> String {
    let mut text = String::new();
    for check in &judgement.checks {
        let _ = writeln!(
            text,
            "  {:<13} {:<22} {}",
            verdict_name(check.verdict),
            check.guarantee.name(),
            check.summary
        );
        let tells = matches!(check.verdict, Verdict::Violated | Verdict::Inconclusive);
        if let (true, Some(finding)) = (tells, check.findings.first()) {
            let _ = writeln!(text, "                {}", finding.title);
            for line in &finding.explanation {
                let _ = writeln!(text, "                  {line}");
            }
            let more = check.findings.len() as u64 - 1 + check.findings_omitted;
            if more > 0 {
                let _ = writeln!(text, "                and {more} more in the report");
            }
        }
    }
    let guarantee = match judgement.guarantee {
        Some(guarantee) => format!(" ({guarantee}: {})", guarantee.promise()),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "verdict: {}{guarantee}",
        verdict_name(judgement.verdict)
    );
    for planted in &judgement.planted {
        let _ = writeln!(text, "planted in the store for this run: {planted}");
    }
    if !judgement.complete {
        let _ = writeln!(text, "the run directory is a prefix: the run was cut short");
    }
    text
}
