//! Did the run do enough to be believed?

use maud::{Markup, html};

use super::charts;
use crate::clock;
use crate::ended::Ended;
use crate::health::{KindRow, kinds};
use crate::recorded::Recorded;

pub(super) fn section(recorded: &Recorded<'_>) -> Markup {
    let rows = kinds(&recorded.ops);
    html! {
        section #health aria-labelledby="health-head" {
            h2 #health-head { "Health" }
            @if rows.is_empty() {
                p.note { "The history holds no operation." }
            } @else {
                (charts::rate(recorded))
                div.scroll tabindex="0" role="region" aria-label="Operations by kind and result" {
                    table {
                        thead { tr {
                            th { "Operation" }
                            @for ended in Ended::ALL { th.num title=(ended.meaning()) { (ended.name()) } }
                            th.num { "All" } th.num { "Median" } th.num { "p99" } th.num { "Slowest" }
                        } }
                        tbody { @for kind in &rows { (row(kind)) } }
                        tfoot { (totals(&rows)) }
                    }
                }
            }
        }
    }
}

fn row(kind: &KindRow) -> Markup {
    html! {
        tr {
            th scope="row" { (kind.kind.replace('_', " ")) }
            (counts(&kind.counts))
            @match kind.latency {
                Some(latency) => {
                    td.num { (clock::span(latency.median)) }
                    td.num { (clock::span(latency.p99)) }
                    td.num { (clock::span(latency.max)) }
                }
                None => { td.num { "–" } td.num { "–" } td.num { "–" } }
            }
        }
    }
}

fn counts(counts: &[u64; 4]) -> Markup {
    html! {
        @for count in counts {
            td.num { @if *count == 0 { span.absent { "0" } } @else { (clock::grouped(*count)) } }
        }
        td.num { strong { (clock::grouped(counts.iter().sum())) } }
    }
}

fn totals(rows: &[KindRow]) -> Markup {
    let mut all = [0; 4];
    for row in rows {
        for (sum, count) in all.iter_mut().zip(row.counts) {
            *sum += count;
        }
    }
    html! { tr { th scope="row" { "all" } (counts(&all)) td colspan="3" {} } }
}
