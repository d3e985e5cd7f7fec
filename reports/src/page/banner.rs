//! The first thing seen: what the run came to.

use checker::verdict::{Exit, Verdict};
use maud::{Markup, html};

use crate::clock;
use crate::expectation::{self, Comparison};
use crate::recorded::Recorded;
use crate::witness::verdict_name;

/// The class of a verdict's colours.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "violated",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotRun => "not-run",
    }
}

/// A verdict as a coloured word with a mark of its own shape.
pub(super) fn chip(verdict: Verdict) -> Markup {
    html! { span class={ "chip " (class(verdict)) } { (mark(verdict)) (verdict_name(verdict)) } }
}

fn mark(verdict: Verdict) -> Markup {
    let path = match verdict {
        Verdict::Holds => "M3 8.5 6.5 12 13 4.5",
        Verdict::Violated => "M4 4 12 12M12 4 4 12",
        Verdict::Inconclusive => "M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.7 8 9.2 8 10M8 12.9v.2",
        Verdict::NotRun => "M3.5 8h9",
    };
    html! {
        svg.mark viewBox="0 0 16 16" aria-hidden="true" { path d=(path) {} }
    }
}

pub(super) fn banner(recorded: &Recorded<'_>) -> Markup {
    let (plan, judgement) = (recorded.run.plan, recorded.run.judgement);
    html! {
        section class={ "banner " (class(judgement.verdict)) } aria-label="Verdict" {
            div.banner-verdict {
                p.verdict { (mark(judgement.verdict)) (verdict_name(judgement.verdict)) }
                @if let Some(guarantee) = judgement.guarantee {
                    h1 { (guarantee.name()) }
                    p.promise {
                        @if judgement.verdict == Verdict::Violated { "Broken promise: " } @else { "Left open: " }
                        (guarantee.promise()) "."
                    }
                } @else {
                    h1 { (headline(judgement.verdict)) }
                    p.promise { (holds_words(recorded)) }
                }
                @if !judgement.complete {
                    p.prefix {
                        "The run directory is a prefix: the run did not end in order. "
                        "What it proves stands; what it does not show is unknown."
                    }
                }
            }
            div.banner-about {
                p.scenario {
                    strong { (plan.scenario) }
                    @if !plan.title.is_empty() { " — " (plan.title) }
                }
                @if !plan.issue.is_empty() { p.issue { (issue(&plan.issue)) } }
                (facts(recorded))
            }
        }
    }
}

fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "Every check that applies holds",
        Verdict::Violated => "A promise is broken",
        Verdict::Inconclusive => "Not decided",
        Verdict::NotRun => "Nothing was checked",
    }
}

fn holds_words(recorded: &Recorded<'_>) -> String {
    let checks = &recorded.run.judgement.checks;
    let count = |verdict| {
        checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let not_run = match count(Verdict::NotRun) {
        0 => String::new(),
        1 => ", 1 did not apply".into(),
        count => format!(", {count} did not apply"),
    };
    format!(
        "{} of {} checks hold in this run{not_run}.",
        count(Verdict::Holds),
        checks.len()
    )
}

/// A link where the address is one that a browser may follow; else its text.
fn issue(address: &str) -> Markup {
    let linked = ["https://", "http://"]
        .iter()
        .any(|scheme| address.starts_with(scheme));
    html! {
        @if linked { a href=(address) rel="noreferrer" { (address) } } @else { (address) }
    }
}

fn facts(recorded: &Recorded<'_>) -> Markup {
    let (plan, judgement) = (recorded.run.plan, recorded.run.judgement);
    let pin = &plan.store;
    let version = if pin.version.is_empty() {
        "unknown"
    } else {
        &pin.version
    };
    let operations = recorded.ops.list.len() as u64;
    html! {
        dl.facts {
            (fact("Store", html! {
                (version)
                @if !pin.spec.is_empty() { small { (pin.spec) } }
                @if !pin.sha256.is_empty() {
                    small title=(pin.sha256) { "sha256 " (pin.sha256.chars().take(12).collect::<String>()) }
                }
            }))
            @for planted in &judgement.planted {
                @let (bug, what) = planted.split_once(": ").unwrap_or((planted, ""));
                (fact("Planted", html! { (bug) small { (what) } }))
            }
            (fact("Seed", html! { code { (plan.seed) } }))
            (fact("Run", html! {
                (clock::span(recorded.end))
                small { (clock::grouped(operations)) " operations" }
                @if let Some(at) = recorded.started_unix_ns { small { "from " (clock::utc(at)) } }
            }))
            (fact("Exit code", html! {
                (judgement.exit)
                small { (exit_words(judgement.exit)) }
            }))
            (fact("Expectation", expected(recorded)))
        }
    }
}

fn fact(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn expected(recorded: &Recorded<'_>) -> Markup {
    let (plan, judgement) = (recorded.run.plan, recorded.run.judgement);
    let comparison = expectation::compare(plan, judgement);
    let class = match comparison {
        Comparison::AsExpected => "as-expected",
        Comparison::NotAsExpected => "not-as-expected",
        Comparison::Undecided | Comparison::Unstated => "open",
    };
    html! {
        span class=(class) { (comparison.words()) }
        @if let Some(stated) = expectation::stated(plan) {
            small { (expectation::words(stated)) }
            @if !stated.because.is_empty() { small { (stated.because) } }
        }
    }
}

fn exit_words(code: u8) -> &'static str {
    let known = [
        (Exit::Holds, "every check that applies holds"),
        (Exit::Violated, "a promise is broken"),
        (Exit::Inconclusive, "undecided"),
        (Exit::Liveness, "safe, but not recovered in time"),
        (Exit::NothingRan, "nothing ran"),
        (Exit::Usage, "wrong flags, files or names"),
        (Exit::HarnessFault, "the harness itself failed"),
    ];
    known
        .iter()
        .find(|(exit, _)| exit.code() == code)
        .map_or("", |(_, words)| words)
}
