//! Scenarios and plans: what a run of gauntlet does, as data.
//!
//! A [`Scenario`] is read from a TOML file; the format is described under [`mod@format`]. It says
//! what is fixed and what is left open. [`plan()`] draws the rest from one 64-bit seed and gives a
//! [`plan::Plan`], which the harness carries out and writes beside the run as `plan.toml`.
//!
//! ```
//! use scenarios::{Overrides, find, plan};
//!
//! let scenario = find("defrag-crash")?;
//! let plan = plan(&scenario, 42, &Overrides::default())?;
//! assert_eq!(plan.steps[0].action.name(), "defragment");
//! for (name, value) in &plan.drawn {
//!     println!("{name} {value}");
//! }
//!
//! let expected = plan.expectation(&"3.5.1".parse()?).expect("a row for every version");
//! assert_eq!(expected.guarantees, ["linearizable", "converges"]);
//!
//! let again = scenarios::plan::Plan::from_toml("plan.toml", &plan.to_toml())?;
//! assert_eq!(again, plan);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A tour
//!
//! 1. [`library()`] and [`find`]: the built-in scenarios, and files by path.
//! 2. [`Scenario::parse`]: reads a file by hand over `toml`'s spanned document, collects every
//!    problem with line and column ([`Error::File`]), and checks the plans of some seeds so that
//!    what only some draws make wrong is found too.
//! 3. [`plan()`]: draws. Every component has a [`stream::Stream`] of its own, named after it
//!    (`cluster`, `steps`, `traffic`, `client/3`), so that a change in one moves nothing in
//!    another. Repeats are laid out, targets resolved as far as they can be before the run, and
//!    each drawn value is listed in [`plan::Plan::drawn`] under its path in the plan.
//! 4. [`Overrides`]: what the command line changes. All draws are made first, so that the other
//!    values stay the same.
//! 5. [`plan::Plan::check`]: the rules that the types do not state, the same for scenarios, for
//!    overridden plans and for plans that were edited by hand.
//! 6. [`plan::Plan::to_toml`], [`plan::Plan::from_toml`]: the text of a plan.
//! 7. [`expectation`]: what is expected of a version.
//! 8. [`bugs`]: known bugs that can be put back into a fixed release.
//!
//! # What a seed means
//!
//! The same seed, scenario and build give the same plan, byte for byte. Whenever a draw changes
//! (its order within a stream, its range by default, the algorithm), [`plan::SEED_SCHEME`] gets a
//! new name, so that an old seed is never silently read as another plan. `tests/plans.rs` compares
//! the plan of one seed with a text in the repository to make such a change fail. A changed
//! scenario file needs no new name: a plan is reproduced from its own text, not from its seed.
#![forbid(unsafe_code)]

pub mod bugs;
mod check;
mod draw;
mod error;
mod expect;
mod library;
#[cfg(feature = "models")]
pub mod models;
mod names;
mod overrides;
pub mod plan;
mod planner;
mod profile;
mod read;
mod scenario;
pub mod stream;
mod text;

#[doc = include_str!("../README.md")]
pub mod format {}

pub use error::{Error, Problem};
pub use expect::{Subject, expectation};
pub use library::{find, library};
pub use names::GUARANTEES;
pub use overrides::Overrides;
pub use planner::plan;
pub use profile::{PROFILES, profile};
pub use scenario::Scenario;

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../README.md");

    #[test]
    fn the_worked_example_is_valid() {
        let (_, rest) = README.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let scenario = Scenario::parse("README.md", example).unwrap();
        assert_eq!(scenario.name, "cut-and-kill");
        let plan = plan(&scenario, 1, &Overrides::default()).unwrap();
        assert_eq!(plan.steps.len(), 10);
        assert_eq!(plan.traffic.profile.weights.delete, 10);
    }

    #[test]
    fn the_reference_names_everything() {
        let actions = scenario::ACTIONS.map(|(name, _)| name);
        let weights = plan::Weights::none().entries();
        let scenarios = library().iter().map(|scenario| scenario.name.as_str());
        let names = actions
            .into_iter()
            .chain(weights.into_iter().map(|(name, _)| name));
        for name in names.chain(GUARANTEES).chain(PROFILES).chain(scenarios) {
            assert!(README.contains(&format!("`{name}`")), "{name}");
        }
    }
}
