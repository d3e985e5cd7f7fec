//! One TOML file per scenario, and seed → plan.
#![forbid(unsafe_code)]

mod check;
mod draw;
mod error;
mod expect;
mod library;
mod names;
mod overrides;
pub mod plan;
mod planner;
mod profile;
mod read;
mod scenario;
pub mod stream;
mod text;

pub use error::{Error, Problem};
pub use expect::expectation;
pub use library::{find, library};
pub use names::GUARANTEES;
pub use overrides::Overrides;
pub use planner::plan;
pub use profile::{PROFILES, profile};
pub use scenario::Scenario;
