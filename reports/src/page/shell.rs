//! The document around the sections: style, script, and the policy that lets nothing else act.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::recorded::Recorded;
use crate::witness::verdict_name;

const STYLE: &str = concat!(
    include_str!("../../assets/theme.css"),
    include_str!("../../assets/layout.css"),
    include_str!("../../assets/parts.css"),
);

/// One script, closed to the outside; the files are read in this order.
const SCRIPT: &str = concat!(
    "(() => {\n\"use strict\";\n",
    include_str!("../../assets/data.js"),
    include_str!("../../assets/view.js"),
    include_str!("../../assets/lanes.js"),
    include_str!("../../assets/draw.js"),
    include_str!("../../assets/bars.js"),
    include_str!("../../assets/overview.js"),
    include_str!("../../assets/tooltip.js"),
    include_str!("../../assets/input.js"),
    include_str!("../../assets/page.js"),
    "})();\n",
);

/// What the document takes without its sections and its data, rounded up.
pub(super) fn frame_bytes() -> usize {
    STYLE.len() + SCRIPT.len() + 8_192
}

/// The whole document.
pub(super) fn page(recorded: &Recorded<'_>, body: &Markup, island: &str) -> String {
    let (plan, judgement) = (recorded.run.plan, recorded.run.judgement);
    let verdict = verdict_name(judgement.verdict);
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(judgement.build);
                title { (verdict) " · " (plan.scenario) " · seed " (plan.seed) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the verdict" }
                (bar(recorded, verdict))
                main #main { (body) }
                footer.end { "Judged by " (judgement.build) ", recorded by " (plan.build) "." }
                script #run-data type="application/json" { (PreEscaped(island)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    document.into_string()
}

fn bar(recorded: &Recorded<'_>, verdict: &str) -> Markup {
    html! {
        header.bar {
            span.brand { "gauntlet" }
            span class={ "chip " (verdict.replace(' ', "-")) } { (verdict) }
            span.where { (recorded.run.plan.scenario) }
            nav aria-label="Sections" {
                a href="#witness" { "Witness" }
                a href="#checks" { "Checks" }
                a href="#reproduce" { "Reproduce" }
                a href="#timeline" { "Timeline" }
                a href="#members" { "Members" }
                a href="#faults" { "Faults" }
                a href="#plan" { "Plan" }
                a href="#health" { "Health" }
                a href="#evidence" { "Was it us?" }
            }
            button #theme type="button" aria-label="Switch between light and dark" { "Theme" }
        }
    }
}

/// Only this style and this script, and nothing from anywhere.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(SCRIPT),
    )
}
