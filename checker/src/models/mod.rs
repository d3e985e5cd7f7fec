//! Sequential specifications of common objects, for the [generic engine](crate::generic).

mod cas_register;
mod etcd;
mod key_value;
mod mutex;
mod queue;
mod register;
mod set;

pub use cas_register::{CasRegister, CasRegisterOp};
pub use etcd::{Etcd, EtcdHistory, EtcdOp, EtcdState, etcd_history};
pub use key_value::{KeyValue, KeyValueOp};
pub use mutex::{Mutex, MutexOp};
pub use queue::{Queue, QueueOp};
pub use register::{Register, RegisterOp};
pub use set::{Set, SetOp};

use std::collections::BTreeMap;

use crate::generic::Operation;

/// A register's content; nothing before the first write.
pub type Value = Option<i64>;

/// A part for each key.
fn by_key<Op, K: Ord>(operations: &[Operation<Op>], key: impl Fn(&Op) -> K) -> Vec<Vec<usize>> {
    let mut parts: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (i, operation) in operations.iter().enumerate() {
        parts.entry(key(&operation.op)).or_default().push(i);
    }
    parts.into_values().collect()
}

/// Positions of the operations with unknown result that a predicate accepts.
fn unknown_where<Op>(operations: &[&Operation<Op>], accept: impl Fn(&Op) -> bool) -> Vec<usize> {
    let accepted = |(_, o): &(usize, &&Operation<Op>)| o.ret.is_none() && accept(&o.op);
    operations
        .iter()
        .enumerate()
        .filter(accepted)
        .map(|(i, _)| i)
        .collect()
}
