//! Transactions: all guards are judged first, then the branches taken are checked, then they run.

use super::state::{Change, EtcdState};
use crate::history::{Compare, CompareTarget, KeyValue, TxnOp, TxnRequest};
use crate::model::{Answer, Refusal};

/// The operations of the branch taken, each with the branch of the transaction that it is.
struct Branch<'a> {
    succeeded: bool,
    ops: Vec<(&'a TxnOp, Option<Branch<'a>>)>,
}

impl<'a> Branch<'a> {
    fn of(state: &EtcdState, txn: &'a TxnRequest) -> Self {
        let succeeded = txn.compare.iter().all(|guard| holds(state, guard));
        let ops = if succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        let with_branch = |op: &'a TxnOp| match op {
            TxnOp::Txn(inner) => (op, Some(Self::of(state, inner))),
            _ => (op, None),
        };
        Self {
            succeeded,
            ops: ops.iter().map(with_branch).collect(),
        }
    }

    /// Every operation, and what it is nested in before it.
    fn each(&self, check: &mut impl FnMut(&TxnOp) -> Result<(), Refusal>) -> Result<(), Refusal> {
        for (op, inner) in &self.ops {
            match inner {
                Some(inner) => inner.each(check)?,
                None => check(op)?,
            }
        }
        Ok(())
    }
}

impl Change<'_> {
    pub(super) fn txn(&mut self, txn: &TxnRequest) -> Result<Answer, Refusal> {
        let branch = Branch::of(self.state, txn);
        branch.each(&mut |op| match op {
            TxnOp::Put(put) => self.check_put(put),
            _ => Ok(()),
        })?;
        branch.each(&mut |op| match op {
            TxnOp::Range(range) if range.revision != 0 => {
                // Not as on its own: a negative revision is none there, and below the compacted
                // one here.
                if range.revision > self.state.revision {
                    Err(Refusal::FutureRevision)
                } else if range.revision < self.state.compacted {
                    Err(Refusal::Compacted)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        })?;
        Ok(self.run(&branch))
    }

    fn run(&mut self, branch: &Branch) -> Answer {
        let mut answers = Vec::with_capacity(branch.ops.len());
        for (op, inner) in &branch.ops {
            answers.push(match (op, inner) {
                (_, Some(inner)) => self.run(inner),
                (TxnOp::Range(range), _) => self.range(range),
                (TxnOp::Delete(delete), _) => self.delete(delete),
                (TxnOp::Put(put), _) => Answer::Put {
                    previous: self.put(put),
                },
                (TxnOp::Txn(_), None) => continue,
            });
        }
        Answer::Txn {
            succeeded: branch.succeeded,
            answers,
        }
    }
}

fn holds(state: &EtcdState, guard: &Compare) -> bool {
    let found = state.select(&guard.key, &guard.range_end);
    if found.is_empty() {
        // A key that is not there has no value, and 0 for everything else.
        return !matches!(guard.target, CompareTarget::Value(_))
            && fits(guard, &KeyValue::default());
    }
    found.into_iter().all(|entry| fits(guard, &entry.0))
}

fn fits(guard: &Compare, kv: &KeyValue) -> bool {
    let ordering = match &guard.target {
        CompareTarget::Version(given) => kv.version.cmp(given),
        CompareTarget::Create(given) => kv.create_revision.cmp(given),
        CompareTarget::Mod(given) => kv.mod_revision.cmp(given),
        CompareTarget::Lease(given) => kv.lease.cmp(given),
        CompareTarget::Value(given) => kv.value.cmp(given),
    };
    guard.result.admits(ordering)
}
