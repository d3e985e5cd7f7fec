//! What was done to the cluster, and what the plan had drawn.

use maud::{Markup, html};

use crate::clock;
use crate::faults::{FaultSpan, FaultState};
use crate::recorded::Recorded;
use crate::words::printable;

/// Faults listed.
const FAULTS_MAX: usize = 400;

pub(super) fn faults(recorded: &Recorded<'_>) -> Markup {
    let (faults, planned) = (&recorded.faults, recorded.run.plan.steps.len());
    html! {
        section #faults aria-labelledby="faults-head" {
            h2 #faults-head { "Faults" }
            @if faults.is_empty() {
                p.note {
                    @if planned == 0 { "The plan has no faults." }
                    @else { "None of the plan's " (planned) " steps is in the file." }
                }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Faults" {
                    table {
                        thead { tr {
                            th.num { "Step" } th { "Action" } th { "Members" } th.num { "From ms" }
                            th.num { "Step ends ms" } th.num { "Effect lasts" } th { "State" } th { "Detail" }
                        } }
                        tbody { @for fault in faults.iter().take(FAULTS_MAX) { (row(fault)) } }
                    }
                }
                @if faults.len() > FAULTS_MAX { p.note { (FAULTS_MAX) " shown of " (faults.len()) "." } }
                @if faults.len() < planned {
                    p.note { (faults.len()) " of the plan's " (planned) " steps are in the file." }
                }
            }
        }
    }
}

fn row(fault: &FaultSpan<'_>) -> Markup {
    html! {
        tr {
            td.num { (fault.step) }
            td { strong { (fault.action) } }
            td { (fault.targets.join(", ")) }
            td.num { (clock::ms(fault.from)) }
            td.num { @match fault.ended { Some(at) => (clock::ms(at)), None => "–" } }
            td.num { (clock::span(fault.until - fault.from)) }
            td.loud[fault.state != FaultState::Done] { (fault.state.name()) }
            td.words { (printable(&fault.details.join("; "))) }
        }
    }
}

pub(super) fn choices(recorded: &Recorded<'_>) -> Markup {
    let plan = recorded.run.plan;
    let (cluster, traffic) = (&plan.cluster, &plan.traffic);
    let weights = traffic.profile.weights.entries();
    let all: u32 = weights.iter().map(|(_, weight)| weight).sum();
    html! {
        section #plan aria-labelledby="plan-head" {
            h2 #plan-head { "Plan" }
            div.columns {
                div {
                    h3 { "Drawn from the seed" }
                    @if plan.drawn.is_empty() { p.note { "Nothing." } }
                    (pairs(plan.drawn.iter().map(|(name, value)| (name.clone(), value.clone()))))
                }
                div {
                    h3 { "Cluster" }
                    (pairs([
                        ("members", cluster.members.to_string()),
                        ("heartbeat", format!("{} ms", cluster.heartbeat_ms)),
                        ("election timeout", format!("{} ms", cluster.election_ms)),
                        ("snapshot count", cluster.snapshot_count.to_string()),
                        ("TLS", yes(cluster.tls)),
                        ("peer proxies", yes(cluster.peer_proxies)),
                        ("client proxies", yes(cluster.client_proxies)),
                        ("namespaces", yes(cluster.network == scenarios::plan::Network::Namespaces)),
                        ("flags", if cluster.flags.is_empty() { "none".into() } else { cluster.flags.join(" ") }),
                        ("auth", plan.auth.as_ref().map_or("off".into(), |auth| {
                            let names: Vec<_> = auth.users.iter().map(|user| user.name.as_str()).collect();
                            format!("root, {}", names.join(", "))
                        })),
                    ].map(|(name, value)| (name.to_owned(), value))))
                }
                div {
                    h3 { "Traffic" }
                    (pairs([
                        ("profile", traffic.profile.name.clone()),
                        ("clients", traffic.clients.len().to_string()),
                        ("at least", format!("{} ms", traffic.time_ms)),
                        ("request time limit", format!("{} ms", traffic.request_timeout_ms)),
                        ("keys", format!("{} each of {}", traffic.profile.keys, traffic.profile.prefixes.join(", "))),
                        ("preloaded keys", traffic.preload_keys.to_string()),
                        ("value padding", format!("{} bytes", traffic.value_bytes)),
                    ].map(|(name, value)| (name.to_owned(), value))))
                }
            }
            h3.after { "Weights of operations" }
            p {
                @for (name, weight) in weights.iter().filter(|(_, weight)| *weight > 0) {
                    @let share = f64::from(*weight) * 100.0 / f64::from(all.max(1));
                    span.figure { (name.replace('_', " ")) " " strong { (weight) } (format!(" ({share:.0} %)")) }
                }
            }
        }
    }
}

fn yes(set: bool) -> String {
    if set { "yes" } else { "no" }.into()
}

pub(super) fn pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Markup {
    html! {
        dl.pairs {
            @for (name, value) in pairs { div { dt { (name) } dd { (printable(&value)) } } }
        }
    }
}
