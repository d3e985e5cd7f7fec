//! Failpoints under the names that etcd's gofail points have, set by `GOFAIL_FAILPOINTS` and served
//! as gofail serves them at `GOFAIL_HTTP`.
//!
//! In the code they are `fail::fail_point!("beforeCommit")`.
//!
//! STUB.
