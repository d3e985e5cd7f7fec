//! The driver: from a scenario and a seed to a run directory, and from there to a verdict.
//!
//! A tour, in the order of a run:
//!
//! * [`subject`] is the store: the embedded one, a release or build of etcd ([`install`]), or
//!   whatever a command starts;
//! * [`run`] is the one straight line: members up ([`cluster`]), set up ([`setup`]), clients on
//!   ([`traffic`]), the nemesis walks its steps ([`nemesis`]), everything is healed and asked for
//!   its state ([`wind_down`]), and all of it is recorded ([`recorder`]) on one clock ([`clock`]);
//! * [`judging`] hands the run directory ([`run_dir`]) to the checker and writes the report;
//! * [`cli`] is the `gauntlet` command around it.
#![forbid(unsafe_code)]
// `console` prints: these panic where nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod admin;
pub mod capabilities;
pub mod cli;
pub mod clock;
pub mod cluster;
mod console;
pub mod install;
pub mod judging;
pub mod nemesis;
pub mod progress;
pub mod recorder;
pub mod rpc;
pub mod run;
pub mod run_dir;
pub mod setup;
pub mod sparse;
pub mod subject;
pub mod terminal;
pub mod traffic;
pub mod wind_down;

/// This build's name, as written into every file.
pub const BUILD: &str = concat!("gauntlet ", env!("CARGO_PKG_VERSION"));
