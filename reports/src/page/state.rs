//! What each member held when all was quiet.

use maud::{Markup, html};

use crate::members::{self, COLUMNS};
use crate::recorded::Recorded;
use crate::words::Detail;

/// Keys shown of those that differ.
const DIFFERENCES_MAX: usize = 40;

pub(super) fn section(recorded: &Recorded<'_>) -> Markup {
    let rows = members::rows(recorded);
    let notes = rows.iter().any(|row| !row.note.is_empty());
    html! {
        section #members aria-labelledby="members-head" {
            h2 #members-head { "Members at the end" }
            @if rows.is_empty() {
                p.note { "The run did not get as far as asking the members for their final state." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Members" {
                    table {
                        thead { tr {
                            th { "Member" }
                            @for column in COLUMNS { th.num { (column) } }
                            @if notes { th { "Note" } }
                        } }
                        tbody { @for row in &rows { (member(row, notes)) } }
                    }
                }
                @if rows.iter().any(members::MemberRow::is_odd) {
                    p.note { "Marked cells differ from what most members say; where no value has a majority all are marked. The content column is a short print of every key, value and revision." }
                }
                (differences(recorded))
            }
        }
    }
}

fn member(row: &members::MemberRow<'_>, notes: bool) -> Markup {
    html! {
        tr.odd[row.is_odd()] {
            th scope="row" { (row.name) }
            @for cell in &row.cells {
                td.num.differs[cell.odd] {
                    @match &cell.text {
                        Some(text) => {
                            (text)
                            @if cell.odd { span.sr { " (differs)" } }
                        }
                        None => span.absent { "–" }
                    }
                }
            }
            @if notes { td { (row.note) } }
        }
    }
}

fn differences(recorded: &Recorded<'_>) -> Markup {
    let (names, found, count) = members::differences(recorded, DIFFERENCES_MAX);
    html! {
        @if count > 0 {
            details open[count <= 5] {
                summary { (count) @if count == 1 { " key differs" } @else { " keys differ" } " between members" }
                div.scroll tabindex="0" role="region" aria-label="Keys that differ" {
                    table {
                        thead { tr { th { "Key" } @for name in &names { th { (name) } } } }
                        tbody {
                            @for difference in &found {
                                tr {
                                    th scope="row" { (difference.key) }
                                    @for held in &difference.held { td.words { (held_words(*held)) } }
                                }
                            }
                        }
                    }
                }
                @if found.len() < count { p.note { (found.len()) " shown of " (count) "." } }
            }
        }
    }
}

fn held_words(held: Option<&checker::history::KeyValue>) -> Markup {
    html! {
        @match held {
            Some(kv) => {
                (Detail::SHORT.value(&kv.value))
                small { "mod " (kv.mod_revision) ", created " (kv.create_revision) ", version " (kv.version) }
            }
            None => span.absent { "absent" }
        }
    }
}
