//! Operations from invocations and completions.

use std::collections::HashMap;

use super::{ImportError, Place};
use crate::generic::Operation;

/// What the end of an operation says.
pub(super) enum End<Op> {
    /// It happened before it returned.
    Known(Op),
    /// It may happen.
    Unknown(Op),
    /// It did not happen, or says nothing.
    Nothing,
}

/// Pairs each completion with its process's invocation.
pub(super) struct Builder<Op, Asked> {
    operations: Vec<Option<Operation<Op>>>,
    pending: HashMap<u64, (usize, u64, Asked)>,
    events: u64,
}

impl<Op, Asked> Builder<Op, Asked> {
    pub(super) fn new() -> Self {
        Self {
            operations: Vec::new(),
            pending: HashMap::new(),
            events: 0,
        }
    }

    pub(super) fn invoke(
        &mut self,
        process: u64,
        asked: Asked,
        place: Place,
    ) -> Result<(), ImportError> {
        let entry = (self.operations.len(), self.events, asked);
        if self.pending.insert(process, entry).is_some() {
            let what = format!("process {process} invokes before its last operation completed");
            return Err(place.error(what));
        }
        self.operations.push(None);
        self.events += 1;
        Ok(())
    }

    pub(super) fn complete(
        &mut self,
        process: u64,
        place: Place,
        end: impl FnOnce(Asked) -> Result<End<Op>, ImportError>,
    ) -> Result<(), ImportError> {
        let Some((position, call, asked)) = self.pending.remove(&process) else {
            return Err(place.error(format!(
                "process {process} completes what it did not invoke"
            )));
        };
        let ret = self.events;
        self.events += 1;
        self.operations[position] = match end(asked)? {
            End::Known(op) => Some(Operation {
                op,
                call,
                ret: Some(ret),
            }),
            End::Unknown(op) => Some(Operation {
                op,
                call,
                ret: None,
            }),
            End::Nothing => None,
        };
        Ok(())
    }

    /// The history; what is still pending is of unknown result.
    pub(super) fn finish(mut self, unknown: impl Fn(Asked) -> End<Op>) -> Vec<Operation<Op>> {
        for (_, (position, call, asked)) in self.pending {
            if let End::Known(op) | End::Unknown(op) = unknown(asked) {
                self.operations[position] = Some(Operation {
                    op,
                    call,
                    ret: None,
                });
            }
        }
        self.operations.into_iter().flatten().collect()
    }
}
