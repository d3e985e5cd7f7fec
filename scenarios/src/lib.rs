//! One TOML file per scenario, and seed → plan.
#![forbid(unsafe_code)]

pub mod plan;
