//! The frame that the script draws the timeline into.

use maud::{Markup, html};

use crate::clock;
use crate::ended::Ended;
use crate::island::Island;
use crate::recorded::Recorded;

pub(super) fn section(recorded: &Recorded<'_>, island: &Island) -> Markup {
    html! {
        section #timeline aria-labelledby="timeline-head" {
            div.head-row {
                h2 #timeline-head { "Timeline" }
                div.buttons {
                    button #to-witness type="button" { "Witness" }
                    button #to-whole type="button" { "Whole run" }
                    button #zoom-in type="button" aria-label="Zoom in" { "+" }
                    button #zoom-out type="button" aria-label="Zoom out" { "−" }
                }
            }
            (legend())
            div #stage {
                canvas #canvas tabindex="0" role="application" aria-describedby="timeline-keys"
                    aria-label="Timeline of operations by client" {}
                canvas #overview aria-hidden="true" {}
                div #tip hidden {}
            }
            p #timeline-keys .note {
                "Drag or Shift + wheel to pan; Ctrl + wheel, or the wheel alone once the timeline is clicked, to zoom. Keys: "
                kbd { "←" } " " kbd { "→" } " pan, " kbd { "+" } " " kbd { "−" } " zoom, "
                kbd { "N" } " " kbd { "P" } " next and previous operation in the view, "
                kbd { "W" } " witness, " kbd { "0" } " whole run, " kbd { "Esc" } " closes the note."
            }
            p #spoken .sr aria-live="polite" {}
            @if island.shown < island.total {
                p.cut {
                    (clock::grouped(island.shown as u64)) " shown of " (clock::grouped(island.total as u64))
                    " operations: a report has at most 10 MB. Those of the findings and those nearest to "
                    "the witness and the faults were kept; all are in " code { "history.jsonl" } "."
                }
            }
            @if recorded.ops.list.is_empty() { p.note { "The history holds no operation." } }
            noscript { p.note { "The timeline needs JavaScript; everything else on this page does not." } }
        }
    }
}

/// Each result with its own texture, so that none is told by colour alone.
fn legend() -> Markup {
    html! {
        ul.legend {
            @for ended in Ended::ALL {
                li title=(ended.meaning()) {
                    svg viewBox="0 0 26 12" aria-hidden="true" {
                        rect class={ "result-" (ended.name()) } x="1" y="2" width="24" height="8" {}
                    }
                    @match ended {
                        Ended::Ok => "ok",
                        Ended::Definite => "error, no effect",
                        Ended::Refused => "refused",
                        Ended::Unknown => "unknown",
                    }
                }
            }
            li { span.swatch.witness {} "witness" }
            li { span.swatch.fault {} "fault" }
            li { span.swatch.up {} "member up" }
            li { span.swatch.leads {} "leads" }
            li { span.swatch.down {} "down" }
            li { span.swatch.paused {} "paused" }
        }
    }
}
