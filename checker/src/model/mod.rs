//! etcd's key-value store as one sequential object: what each request does and answers when
//! requests are applied one after the other.
//!
//! Read in etcd 3.4.23, 3.5.1 and 3.5.16 (`mvcc/kvstore_txn.go`, `etcdserver/apply.go`,
//! `lease/lessor.go`); the three agree on everything modelled here. The revision starts at 1, and
//! each request that changes at least one key adds exactly 1, however many keys it changes.
//!
//! ```
//! use checker::history::{PutRequest, Request};
//! use checker::model::{Answer, Store};
//!
//! let mut store = Store::new();
//! let put = PutRequest { key: "k".into(), value: "v".into(), ..Default::default() };
//! assert_eq!(store.apply(&Request::Put(put)), Ok(Answer::Put { previous: None }));
//! assert_eq!(store.revision(), 2);
//! ```

mod answer;
mod difference;
mod range;
mod store;
#[cfg(test)]
mod tests;
mod txn;

pub use answer::Answer;
pub(crate) use difference::describe;
pub use difference::{Difference, DifferenceKind, Side};
pub use range::RangeAnswer;
pub(crate) use range::bounds;
pub use store::{Checkpoint, Refusal, Store};
pub(crate) use txn::is_serializable;
