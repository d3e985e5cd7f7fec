//! History in, verdict out: no async, no network, no clock.
#![forbid(unsafe_code)]

pub mod history;
pub mod verdict;
