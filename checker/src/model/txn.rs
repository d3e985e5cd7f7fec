//! Transactions: guards are judged before anything is written, those of nested transactions too;
//! then the branch is checked, then it is run.

use super::{Answer, Refusal, Store};
use crate::history::{Compare, CompareTarget, KeyValue, RangeRequest, TxnOp, TxnRequest};

/// A transaction with its branches chosen.
struct Chosen<'a> {
    succeeded: bool,
    branch: &'a [TxnOp],
    /// One for each nested transaction of the branch, in order.
    nested: Vec<Chosen<'a>>,
}

/// Whether etcd answers a transaction from the member's own state without asking the others: all
/// operations of both branches are serializable ranges, or there are none (`isTxnReadonly` and
/// `isTxnSerializable` in `etcdserver/v3_server.go`).
pub(crate) fn is_serializable(txn: &TxnRequest) -> bool {
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.all(|op| {
        matches!(
            op,
            TxnOp::Range(RangeRequest {
                serializable: true,
                ..
            })
        )
    })
}

impl Store {
    pub(super) fn txn(&mut self, txn: &TxnRequest) -> Result<Answer, Refusal> {
        let chosen = self.choose(txn);
        self.check_puts(&chosen)?;
        self.check_ranges(&chosen)?;
        let answer = self.run(&chosen);
        self.settle();
        Ok(answer)
    }

    fn choose<'a>(&self, txn: &'a TxnRequest) -> Chosen<'a> {
        let succeeded = txn.compare.iter().all(|guard| self.holds(guard));
        let branch: &[TxnOp] = if succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        let nested = branch
            .iter()
            .filter_map(|op| match op {
                TxnOp::Txn(inner) => Some(self.choose(inner)),
                _ => None,
            })
            .collect();
        Chosen {
            succeeded,
            branch,
            nested,
        }
    }

    fn holds(&self, guard: &Compare) -> bool {
        let kvs = self.select(&guard.key, &guard.range_end);
        if kvs.is_empty() {
            return !matches!(guard.target, CompareTarget::Value(_))
                && guard_holds(guard, &KeyValue::default());
        }
        kvs.iter().all(|kv| guard_holds(guard, kv))
    }

    fn check_puts(&self, chosen: &Chosen) -> Result<(), Refusal> {
        let mut nested = chosen.nested.iter();
        for op in chosen.branch {
            match op {
                TxnOp::Put(put) => self.check_put(put)?,
                TxnOp::Txn(_) => self.check_puts(nested.next().expect("one for each"))?,
                TxnOp::Range(_) | TxnOp::Delete(_) => {}
            }
        }
        Ok(())
    }

    fn check_ranges(&self, chosen: &Chosen) -> Result<(), Refusal> {
        let mut nested = chosen.nested.iter();
        for op in chosen.branch {
            match op {
                TxnOp::Range(range) if range.revision == 0 => {}
                TxnOp::Range(range) if range.revision > self.revision => {
                    return Err(Refusal::FutureRevision);
                }
                TxnOp::Range(range) if range.revision < self.compacted => {
                    return Err(Refusal::Compacted);
                }
                TxnOp::Txn(_) => self.check_ranges(nested.next().expect("one for each"))?,
                TxnOp::Range(_) | TxnOp::Put(_) | TxnOp::Delete(_) => {}
            }
        }
        Ok(())
    }

    fn run(&mut self, chosen: &Chosen) -> Answer {
        let mut nested = chosen.nested.iter();
        let answers = chosen
            .branch
            .iter()
            .map(|op| match op {
                TxnOp::Range(range) => self.range_at(range),
                TxnOp::Put(put) => Answer::Put {
                    previous: self.put(put).filter(|_| put.prev_kv),
                },
                TxnOp::Delete(delete) => Answer::deleted(delete, self.delete(delete)),
                TxnOp::Txn(_) => self.run(nested.next().expect("one for each")),
            })
            .collect();
        Answer::Txn {
            succeeded: chosen.succeeded,
            answers,
        }
    }
}

fn guard_holds(guard: &Compare, kv: &KeyValue) -> bool {
    let order = match &guard.target {
        CompareTarget::Version(given) => kv.version.cmp(given),
        CompareTarget::Create(given) => kv.create_revision.cmp(given),
        CompareTarget::Mod(given) => kv.mod_revision.cmp(given),
        CompareTarget::Lease(given) => kv.lease.cmp(given),
        CompareTarget::Value(given) => kv.value.cmp(given),
    };
    guard.result.admits(order)
}
