//! Faults on a cluster of real processes, and what it takes to run one.
//!
//! One module a kind of fault, each healed by dropping its guard (see
//! [`fault`]):
//!
//! * [`process`]: members as child processes: started, paused, killed, reaped.
//! * [`network`]: proxies between members, which cut links.
//! * [`gofail`]: points of binaries that were built with gofail.
//!
//! [`symbol`] finds functions of stripped release binaries by name; [`ports`]
//! hands out loopback ports.
//!
//! Linux only: the crate reads `/proc` and relies on parent-death signals.

#![deny(unsafe_code)]

pub mod fault;
pub mod gofail;
pub mod network;
pub mod ports;
pub mod process;
mod sockets;
pub mod symbol;
