//! The flags of `gauntlet store`: etcd's own, as far as they mean something here.
//!
//! STUB.
