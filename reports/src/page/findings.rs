//! The witness, the checks with all their findings, and the commands to see it again.

use checker::verdict::{CheckReport, Finding, Verdict};
use maud::{Markup, html};

use super::banner::{chip, class};
use super::charts;
use crate::recorded::Recorded;
use crate::words::{Detail, printable};
use crate::{clock, commands, proof};

/// The witness and the checks, in about `budget` bytes.
pub(super) fn section(recorded: &Recorded<'_>, budget: usize) -> Markup {
    let leading = proof::leading(recorded.run.judgement);
    html! {
        section #witness aria-labelledby="witness-head" {
            @match leading {
                Some((check, finding)) => {
                    p.eyebrow { (eyebrow(check)) }
                    h2 #witness-head { (finding.title) }
                    (evidence(recorded, finding, true))
                }
                None => {
                    p.eyebrow { "Witness" }
                    h2 #witness-head { "No check found anything against the store" }
                    p.note { "The checks below say what was looked at and how it was decided." }
                }
            }
        }
        section #checks aria-labelledby="checks-head" {
            h2 #checks-head { "Checks" }
            @let mut left = budget;
            @for check in &recorded.run.judgement.checks {
                (row(recorded, check, leading.map(|(_, finding)| finding), &mut left))
            }
            @if recorded.run.judgement.checks.is_empty() { p.note { "No check ran." } }
        }
    }
}

fn eyebrow(check: &CheckReport) -> String {
    let what = if check.verdict == Verdict::Violated {
        "Witness"
    } else {
        "Why it is open"
    };
    format!("{what} · {}", check.guarantee.name())
}

fn evidence(recorded: &Recorded<'_>, finding: &Finding, leading: bool) -> Markup {
    let (rows, missing) = proof::rows(recorded, finding, Detail::SHORT);
    html! {
        @if !finding.explanation.is_empty() {
            ol.argument { @for line in &finding.explanation { li { (line) } } }
        }
        @if !rows.is_empty() { (proof_table(&rows, leading)) }
        @if missing > 0 {
            p.note { (missing) " more named by the finding: see " code { "verdict.json" } "." }
        }
        (concerned(finding))
    }
}

fn proof_table(rows: &[proof::ProofRow], leading: bool) -> Markup {
    let places = proof::places(rows);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Operations of the finding" {
            table.proof {
                thead { tr {
                    th { span.sr { "Label" } }
                    th { "Who" } th { "Member" } th { "Request" } th { "Answer" }
                    th.num { "Revision" } th.num { "Start ms" } th.num { "End ms" }
                    th.when { "In real time" }
                } }
                tbody {
                    @for (row, place) in rows.iter().zip(places) {
                        tr {
                            td { @if leading { (label(row)) } @else { span.tag { (row.label) } } }
                            td { (row.who) }
                            td { (row.member) }
                            td.words { (row.asked) }
                            td class={ "words ended-" (row.ended.name()) } { (row.answer) }
                            td.num { @match row.revision { Some(revision) => strong { (revision) }, None => "–" } }
                            td.num { (clock::ms(row.from)) }
                            td.num { @match row.until { Some(until) => (clock::ms(until)), None => "–" } }
                            td.when { (charts::bar(place, row.ended)) }
                        }
                    }
                }
            }
        }
    }
}

/// The label jumps to the operation on the timeline.
fn label(row: &proof::ProofRow) -> Markup {
    html! {
        @match row.op {
            Some(id) => button.tag type="button" data-op=(id) title="Show on the timeline" { (row.label) },
            None => span.tag { (row.label) },
        }
    }
}

fn concerned(finding: &Finding) -> Markup {
    const LISTED: usize = 12;
    let list = |items: Vec<String>| {
        let more = items.len().saturating_sub(LISTED);
        let mut text = items
            .into_iter()
            .take(LISTED)
            .collect::<Vec<_>>()
            .join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    };
    let revisions = finding.revisions.iter().map(ToString::to_string).collect();
    let keys = finding.keys.iter().map(|key| printable(key)).collect();
    let parts = [
        ("Members", list(finding.members.clone())),
        ("Revisions", list(revisions)),
        ("Keys", list(keys)),
        (
            "Shows at",
            finding
                .at
                .map(|at| format!("{} ms", clock::ms(at)))
                .unwrap_or_default(),
        ),
    ];
    html! {
        @if parts.iter().any(|(_, text)| !text.is_empty()) {
            dl.concerned {
                @for (name, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
                    div { dt { (name) } dd { (text) } }
                }
            }
        }
    }
}

fn row(
    recorded: &Recorded<'_>,
    check: &CheckReport,
    witness: Option<&Finding>,
    left: &mut usize,
) -> Markup {
    let head = html! {
        (chip(check.verdict))
        span.guarantee { (check.guarantee.name()) }
        span.summary { (summary(check)) }
        span.engine { (check.engine) }
    };
    let found = check.findings.len() as u64 + check.findings_omitted;
    html! {
        @if check.findings.is_empty() {
            div class={ "check " (class(check.verdict)) } { div.check-head { (head) } }
        } @else {
            details class={ "check " (class(check.verdict)) } {
                summary.check-head {
                    (head)
                    span.count { (found) @if found == 1 { " finding" } @else { " findings" } }
                }
                (findings(recorded, check, witness, left))
            }
        }
    }
}

/// A check that did not run must say why.
fn summary(check: &CheckReport) -> &str {
    let title = check
        .findings
        .first()
        .map_or("no reason given", |finding| &finding.title);
    if check.summary.is_empty() {
        title
    } else {
        &check.summary
    }
}

/// As many findings as there is room for; the page says how many it leaves out.
fn findings(
    recorded: &Recorded<'_>,
    check: &CheckReport,
    witness: Option<&Finding>,
    left: &mut usize,
) -> Markup {
    let mut shown = Vec::new();
    for finding in &check.findings {
        let above = witness.is_some_and(|witness| std::ptr::eq(witness, finding));
        let markup = html! {
            article.finding {
                h3 { (finding.title) }
                @if above { p.note { "Shown in full above, as the witness." } }
                @else { (evidence(recorded, finding, false)) }
            }
        };
        let Some(rest) = left.checked_sub(markup.0.len()) else {
            break;
        };
        *left = rest;
        shown.push(markup);
    }
    let omitted = (check.findings.len() - shown.len()) as u64 + check.findings_omitted;
    html! {
        @for finding in &shown { (finding) }
        @if omitted > 0 {
            p.note { (shown.len()) " shown of " (shown.len() as u64 + omitted) " findings." }
        }
    }
}

pub(super) fn reproduce(recorded: &Recorded<'_>) -> Markup {
    let run = &recorded.run;
    html! {
        section #reproduce aria-labelledby="reproduce-head" {
            h2 #reproduce-head { "Reproduce" }
            (command("Run this plan again", &commands::reproduce(run)))
            (command("Draw it from its seed", &commands::run_again(run)))
            (command("Judge the recording again", &commands::check(run)))
            p.note { (commands::HONEST) }
        }
    }
}

fn command(what: &str, command: &str) -> Markup {
    html! {
        div.command {
            span.what { (what) }
            code { (command) }
            button.copy type="button" data-copy=(command) { "Copy" }
        }
    }
}
