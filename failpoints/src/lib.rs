//! Faults on a cluster of real processes, and what it takes to run one.
//!
//! One module a kind of fault, each healed by dropping its guard (see
//! [`fault`]):
//!
//! * [`process`]: members as child processes: started, paused, killed, reaped.
//! * [`trace`]: a process killed, held or changed at an exact point of its
//!   code, or at a system call; [`symbol`] finds the functions of stripped
//!   release binaries by name.
//! * [`network`]: proxies between members, and between clients and members:
//!   cuts, blackholes, slow links.
//! * [`netns`]: members in network namespaces, whose links lose packets.
//! * [`gofail`]: points of binaries that were built with gofail.
//! * [`disk`]: file systems that lose what was not synced, fail, and flip bits.
//!
//! [`ports`] hands out loopback ports.
//!
//! Linux only: the crate reads `/proc` and relies on parent-death signals.

#![deny(unsafe_code)]

pub mod disk;
pub mod fault;
pub mod gofail;
pub mod netns;
pub mod network;
pub mod ports;
pub mod process;
mod sockets;
pub mod symbol;
pub mod trace;
