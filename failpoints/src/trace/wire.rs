//! What harness and tracer say to each other: JSON, a line each, over the
//! tracer's standard input and output.

use serde::{Deserialize, Serialize};

use super::{Arm, ArmId, Event};

/// The first argument of a tracer.
pub(super) const MARK: &str = "__trace";

/// An argument of a tracer: no debug registers.
pub(super) const SOFTWARE: &str = "--software";

/// The start of a tracer's argument: it clears away what another left when it
/// was killed, and ends. What follows are the bytes to put back.
pub(super) const CLEAR: &str = "--clear=";

/// An argument of a process for [`probe`](super::probe) to trace.
pub(super) const TARGET: &str = "--target";

/// No order is longer: it fits the pipe, so that writing it never waits.
pub(super) const MAX_ORDER: usize = 32 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum What {
    Arm(ArmId, Arm),
    Disarm(ArmId),
    Release(ArmId),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    Ready,
    Done(u64),
    Refused(u64, Refusal),
    Event(Event),
    /// Every `int3` in memory now, with the byte under it.
    Planted(Planted),
}

/// Addresses, and the bytes that belong there.
pub(super) type Planted = Vec<(u64, u8)>;

/// A [`TraceError`](super::TraceError) on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Refusal {
    Ended,
    Bad(String),
    Kernel(String),
}
