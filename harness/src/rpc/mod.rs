//! Plain gRPC: recorded requests to the wire, and what comes back into recorded form.
//!
//! One [`Session`] is one channel to one member: no balancing, no retries, no hidden time limits. A
//! status is kept as it came; whether it is definite is for the checker to say.

mod decode;
mod encode;
mod session;

pub(crate) use decode::watch_response;
pub(crate) use encode::watch_create;
pub(crate) use session::error_outcome;
pub use session::{Credentials, Endpoint, Session, Tls};
