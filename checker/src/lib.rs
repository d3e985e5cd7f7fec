//! History in, verdict out: no async, no network, no clock.
#![forbid(unsafe_code)]

pub mod checks;
pub mod export;
pub mod generic;
pub mod history;
pub mod import;
pub mod judge;
pub mod linearizable;
pub mod model;
pub mod models;
pub mod stats;
pub mod transactions;
pub mod verdict;
pub mod zones;
