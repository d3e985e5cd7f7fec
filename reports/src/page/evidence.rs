//! Was it us? What speaks for and against the recording itself.

use checker::history::ProcessEventKind;
use maud::{Markup, html};

use super::schedule::pairs;
use crate::clock;
use crate::recorded::Recorded;
use crate::words::{Detail, printable, request};

const LISTED: usize = 20;

pub(super) fn section(recorded: &Recorded<'_>) -> Markup {
    html! {
        section #evidence aria-labelledby="evidence-head" {
            h2 #evidence-head { "Was it us?" }
            div.columns {
                div { h3 { "Streams" } (streams(recorded)) }
                div { h3 { "Recording" } (recording(recorded)) }
                div { h3 { "Options of the judgement" }
                    @if recorded.run.judgement.options.is_empty() { p.note { "None." } }
                    (pairs(recorded.run.judgement.options.iter().cloned()))
                }
            }
            (unanswered(recorded))
            (processes(recorded))
            (notes(recorded))
            (engines(recorded))
        }
    }
}

fn streams(recorded: &Recorded<'_>) -> Markup {
    let run = &recorded.run;
    html! {
        p.loud[!run.judgement.complete] {
            @if run.judgement.complete { "All three streams end with their footer." }
            @else { "At least one stream has no footer: this is a prefix." }
        }
        dl.pairs {
            @if run.streams.is_empty() {
                (pairs_inner("history.jsonl", run.history.len()))
                (pairs_inner("faults.jsonl", run.faults.len()))
                (pairs_inner("observations.jsonl", run.observations.len()))
            }
            @for stream in run.streams {
                div {
                    dt { (stream.name) }
                    dd {
                        (clock::grouped(stream.records)) " records, "
                        @if stream.complete { "complete" } @else { "a prefix" }
                        @if !stream.trouble.is_empty() { small.loud { (printable(&stream.trouble)) } }
                    }
                }
            }
        }
    }
}

fn pairs_inner(name: &str, records: usize) -> Markup {
    html! { div { dt { (name) } dd { (clock::grouped(records as u64)) " records" } } }
}

fn recording(recorded: &Recorded<'_>) -> Markup {
    let odd = recorded.ops.oddities;
    let rows = [
        ("ids used twice", odd.ids_twice),
        (
            "returns without an invocation",
            odd.returns_without_invocation,
        ),
        ("second returns", odd.returns_twice),
        (
            "returns before their invocation",
            odd.returns_before_invocation,
        ),
        ("requests sent while another was open", odd.two_in_flight),
    ];
    html! {
        p.note { "Each of these must be 0; requests are never retried." }
        dl.pairs {
            @for (name, count) in rows {
                div { dt { (name) } dd.loud[count > 0] { (clock::grouped(count)) } }
            }
        }
    }
}

fn unanswered(recorded: &Recorded<'_>) -> Markup {
    let open: Vec<_> = recorded
        .ops
        .list
        .iter()
        .filter(|op| op.end.is_none())
        .collect();
    html! {
        h3 { "Requests without an answer in the file: " (open.len()) }
        @if !open.is_empty() {
            p.note { "Each may or may not have had its effect." }
            details {
                summary { "The last " (open.len().min(LISTED)) }
                div.scroll tabindex="0" role="region" aria-label="Requests without an answer" {
                    table {
                        thead { tr { th.num { "Id" } th { "Client" } th { "Member" } th.num { "Start ms" } th { "Request" } } }
                        tbody {
                            @for op in open.iter().rev().take(LISTED) {
                                tr {
                                    td.num { (op.invoke.id) }
                                    td { "c" (op.invoke.client) }
                                    td { (op.invoke.member) }
                                    td.num { (clock::ms(op.invoke.at)) }
                                    td.words { (request(&op.invoke.request, Detail::SHORT)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn processes(recorded: &Recorded<'_>) -> Markup {
    let ends: Vec<_> = recorded.unplanned_ends().collect();
    html! {
        h3 { "Processes that ended without the plan: " (ends.len()) }
        @for end in ends.iter().take(LISTED) {
            details open {
                summary {
                    (end.member) " at " (clock::ms(end.at)) " ms: "
                    @match end.event {
                        ProcessEventKind::Exited { code } => { "exited with status " (code) }
                        ProcessEventKind::Signalled { signal } => { "ended by signal " (signal) }
                        ProcessEventKind::Started => "started"
                    }
                }
                @if end.last_lines.is_empty() { p.note { "Nothing in its log." } }
                @else { pre { @for line in end.last_lines.iter().rev().take(40).rev() { (clip(line)) "\n" } } }
            }
        }
        @if !recorded.fatal.is_empty() {
            details {
                summary { (recorded.fatal.len()) " fatal or panic lines in member logs" }
                pre { @for line in recorded.fatal.iter().take(LISTED) { (line.member) "  " (clip(&line.line)) "\n" } }
            }
        }
    }
}

fn notes(recorded: &Recorded<'_>) -> Markup {
    html! {
        @if !recorded.notes.is_empty() {
            h3 { "What the harness noted" }
            ul.notes {
                @for (at, text) in recorded.notes.iter().take(LISTED) {
                    li { span.num { (clock::ms(*at)) " ms" } " " (clip(text)) }
                }
            }
            @if recorded.notes.len() > LISTED { p.note { (LISTED) " shown of " (recorded.notes.len()) "." } }
        }
    }
}

fn engines(recorded: &Recorded<'_>) -> Markup {
    html! {
        h3 { "How each check was decided" }
        div.scroll tabindex="0" role="region" aria-label="How each check was decided" {
            table {
                thead { tr { th { "Check" } th { "Engine" } th { "Figures" } } }
                tbody {
                    @for check in &recorded.run.judgement.checks {
                        tr {
                            th scope="row" { (check.guarantee.name()) }
                            td { code { (check.engine) } }
                            td {
                                @for (name, value) in &check.figures {
                                    span.figure { (name) " " strong { (clock::grouped(*value)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn clip(line: &str) -> String {
    const LINE_MAX: usize = 1_000;
    let line = printable(line);
    if line.chars().count() <= LINE_MAX {
        return line;
    }
    line.chars().take(LINE_MAX).chain("…".chars()).collect()
}
