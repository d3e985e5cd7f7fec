//! From a request to the log and back: proposals, apply, membership, alarms.
//!
//! STUB.
