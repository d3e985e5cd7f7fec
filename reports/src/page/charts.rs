//! Small pictures that need no script.

use maud::{Markup, html};

use crate::ended::Ended;
use crate::health;
use crate::recorded::Recorded;

/// One row's bar on the axis that the rows of a finding share.
pub(super) fn bar((from, until): (f64, f64), ended: Ended) -> Markup {
    let x = from * 98.0;
    let width = ((until - from) * 98.0).max(1.5);
    html! {
        svg.span viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            line.axis x1="0" y1="5" x2="100" y2="5" {}
            rect class={ "result-" (ended.name()) } x=(number(x)) y="1" width=(number(width)) height="8" {}
        }
    }
}

const WIDTH: f64 = 1_200.0;
const HEIGHT: f64 = 120.0;
const BUCKETS_MAX: u64 = 150;

/// Operations a second over the run, by result, with the faults behind.
pub(super) fn rate(recorded: &Recorded<'_>) -> Markup {
    let buckets = (recorded.end / 100_000_000).clamp(10, BUCKETS_MAX);
    #[expect(clippy::cast_precision_loss, reason = "a picture")]
    let (seconds, columns, end) = (
        recorded.end as f64 / 1e9 / buckets as f64,
        buckets as f64,
        recorded.end as f64,
    );
    let buckets = usize::try_from(buckets).unwrap_or(10);
    let counts = health::rate(&recorded.ops, recorded.end, buckets);
    let tallest = counts
        .iter()
        .map(|bucket| bucket.iter().sum::<u64>())
        .max()
        .unwrap_or(0)
        .max(1);
    #[expect(clippy::cast_precision_loss, reason = "a picture")]
    let (top, x_of) = (tallest as f64 / seconds, |at: u64| at as f64 / end * WIDTH);
    let step = WIDTH / columns;
    html! {
        figure.rate {
            figcaption {
                "Operations ended a second; the top of the plot is " (format!("{top:.0}")) " a second."
            }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label="Operations a second over the run, by result" {
                @for fault in recorded.faults.iter().filter(|fault| fault.disturbs()) {
                    rect.fault x=(number(x_of(fault.from))) y="0"
                        width=(number((x_of(fault.until) - x_of(fault.from)).max(2.0))) height=(HEIGHT) {
                        title { (fault.action) " " (fault.targets.join(" ")) }
                    }
                }
                @for (index, bucket) in counts.iter().enumerate() {
                    (column(index, bucket, step, tallest))
                }
            }
            div.axis-ends { span { "0 s" } span { (format!("{:.1} s", end / 1e9)) } }
        }
    }
}

fn column(index: usize, bucket: &[u64; 4], step: f64, tallest: u64) -> Markup {
    let x = f64::from(u32::try_from(index).unwrap_or(0)) * step;
    let below = |ended: Ended| bucket[..ended as usize].iter().sum::<u64>();
    html! {
        @for ended in Ended::ALL.into_iter().filter(|ended| bucket[*ended as usize] > 0) {
            @let count = bucket[ended as usize];
            @let (y, height) = stacked(below(ended), count, tallest);
            rect class={ "result-" (ended.name()) } x=(number(x)) y=(number(y))
                width=(number(step * 0.86)) height=(number(height)) {
                title { (count) " " (ended.name()) }
            }
        }
    }
}

/// Top and height of `count` that stands on `below`.
#[expect(clippy::cast_precision_loss, reason = "a picture")]
fn stacked(below: u64, count: u64, tallest: u64) -> (f64, f64) {
    let unit = HEIGHT / tallest as f64;
    (HEIGHT - (below + count) as f64 * unit, count as f64 * unit)
}

fn number(value: f64) -> String {
    format!("{value:.2}")
}
