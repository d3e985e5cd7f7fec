//! `report.html`.

use maud::{DOCTYPE, html};

use crate::Run;

/// No report is larger than this, whatever the run.
pub const PAGE_BYTES_MAX: usize = 10_000_000;

/// The page.
#[must_use]
pub fn html(run: &Run<'_>) -> String {
    let text = crate::witness_text(run);
    html! { (DOCTYPE) html lang="en" { head { meta charset="utf-8"; title { "gauntlet" } } body { pre { (text) } } } }.into_string()
}
