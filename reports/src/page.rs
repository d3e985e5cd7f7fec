//! `report.html`: one page, in the order of a reader's questions.

mod banner;
mod charts;
mod evidence;
mod findings;
mod health;
mod schedule;
mod shell;
mod state;
mod timeline;

use maud::html;

use crate::Run;
use crate::island::{self, safe_json};
use crate::proof;
use crate::recorded::Recorded;

/// No report is larger than this, whatever the run.
pub const PAGE_BYTES_MAX: usize = 10_000_000;

/// What the island gets at least, were the rest of the page as large as it may be.
const ISLAND_BYTES_MIN: usize = 1_000_000;

/// The page: self-contained, at most [`PAGE_BYTES_MAX`] bytes.
#[must_use]
pub fn html(run: &Run<'_>) -> String {
    let recorded = Recorded::new(run);
    let leading = proof::leading(run.judgement);
    let rows = leading
        .map(|(_, finding)| proof::rows(&recorded, finding, crate::words::Detail::SHORT).0)
        .unwrap_or_default();
    let witness: Vec<(String, u64)> = rows
        .iter()
        .filter_map(|row| Some((row.label.clone(), row.op?)))
        .collect();
    let needed: Vec<u64> = run
        .judgement
        .checks
        .iter()
        .flat_map(|check| &check.findings)
        .flat_map(|finding| finding.operations.iter().copied())
        .collect();

    let before = html! {
        (banner::banner(&recorded))
        (findings::section(&recorded, PAGE_BYTES_MAX / 4))
        (findings::reproduce(&recorded))
    };
    let after = html! {
        (state::section(&recorded))
        (schedule::faults(&recorded))
        (schedule::choices(&recorded))
        (health::section(&recorded))
        (evidence::section(&recorded))
    };
    let frame = shell::frame_bytes() + before.0.len() + after.0.len();
    let budget = PAGE_BYTES_MAX.saturating_sub(frame).max(ISLAND_BYTES_MIN) * 9 / 10;
    let at = leading.and_then(|(_, finding)| finding.at);
    let island = island::build(&recorded, &witness, &needed, at, budget);
    let body = html! {
        (before)
        (timeline::section(&recorded, &island))
        (after)
    };
    shell::page(&recorded, &body, &safe_json(&island))
}
