//! The proof of an order: every read of it, replayed.

use std::collections::HashMap;

use super::{Operation, Transaction};

/// Runs the transactions one after another, and compares what they read.
///
/// # Errors
/// The first that read something else, or that returned before an earlier one of the order was
/// called.
pub(super) fn replay(transactions: &[Transaction], order: &[usize]) -> Result<(), usize> {
    let mut lists: HashMap<u32, Vec<u64>> = HashMap::new();
    let mut latest_call = 0;
    for at in order {
        let transaction = &transactions[*at];
        latest_call = latest_call.max(transaction.call);
        if let Some(ret) = transaction.ret
            && ret.max(transaction.call) < latest_call
        {
            return Err(*at);
        }
        for operation in &transaction.operations {
            match operation {
                Operation::Append { key, element } => {
                    lists.entry(*key).or_default().push(*element);
                }
                Operation::Read { key, elements } => {
                    if lists.get(key).map_or(&[][..], Vec::as_slice) != elements {
                        return Err(*at);
                    }
                }
            }
        }
    }
    Ok(())
}
