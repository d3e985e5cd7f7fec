//! The checks but for linearizability: one module a promise, each a pure function of the recorded
//! streams.
//!
//! Every check reports all that it finds, and none hides what another finds. A check that cannot
//! decide says so and why; a check that does not apply says [`NotRun`](crate::verdict::Verdict).

pub mod auth_consistent;
pub mod converges;
pub mod durable;
pub mod live;
pub mod process_stays_up;
pub mod refused_has_no_effect;
pub mod watch;

mod class;
mod content;
mod findings;
pub(crate) mod prefix;
mod rounds;
mod run;
mod values;

pub use class::{Class, class_of};
pub use run::Run;

use crate::verdict::CheckReport;

/// Runs them all, in the order of [`Guarantee::ALL`](crate::verdict::Guarantee::ALL).
#[must_use]
pub fn all(run: &Run<'_>) -> Vec<CheckReport> {
    vec![
        durable::check(run),
        converges::check(run),
        watch::check(run),
        refused_has_no_effect::check(run),
        auth_consistent::check(run),
        process_stays_up::check(run),
        live::check(run),
    ]
}
