//! Operations from invocations and completions.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Atom, ImportError, Objects, Origin, Place};
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

struct Pending<Asked> {
    position: usize,
    call: u64,
    asked: Asked,
}

/// Pairs each completion with its process's invocation.
pub(super) struct Builder<Op, Asked> {
    operations: Vec<Option<Operation<Op>>>,
    origins: Vec<Origin>,
    objects: Vec<u32>,
    names: Vec<Option<Atom>>,
    numbers: HashMap<Option<Atom>, u32>,
    pending: HashMap<u64, Pending<Asked>>,
    events: u64,
}

impl<Op, Asked> Builder<Op, Asked> {
    pub(super) fn new() -> Self {
        Self {
            operations: Vec::new(),
            origins: Vec::new(),
            objects: Vec::new(),
            names: Vec::new(),
            numbers: HashMap::new(),
            pending: HashMap::new(),
            events: 0,
        }
    }

    /// The number of an object; nothing names the only one of a history.
    pub(super) fn object(&mut self, name: Option<Atom>, place: Place) -> Result<u32, ImportError> {
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let mixed = self
            .names
            .first()
            .is_some_and(|first| first.is_some() != name.is_some());
        if mixed {
            return Err(place.error(
                "some operations here name a key, as [key value], and some do not: \
                 split the file by workload",
            ));
        }
        Ok(match self.numbers.entry(name) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.names.push(new.key().clone());
                *new.insert(number)
            }
        })
    }

    pub(super) fn invoke(
        &mut self,
        process: u64,
        object: u32,
        asked: Asked,
        place: Place,
    ) -> Result<(), ImportError> {
        let pending = Pending {
            position: self.operations.len(),
            call: self.events,
            asked,
        };
        if self.pending.insert(process, pending).is_some() {
            let what = format!("process {process} invokes before its last operation completed");
            return Err(place.error(what));
        }
        self.operations.push(None);
        self.objects.push(object);
        self.origins.push(Origin {
            process,
            call: place.line,
            ret: None,
        });
        self.events += 1;
        Ok(())
    }

    pub(super) fn complete(
        &mut self,
        process: u64,
        place: Place,
        end: impl FnOnce(Asked) -> Result<End<Op>, ImportError>,
    ) -> Result<(), ImportError> {
        let Some(Pending {
            position,
            call,
            asked,
        }) = self.pending.remove(&process)
        else {
            return Err(place.error(format!(
                "process {process} completes what it did not invoke"
            )));
        };
        let ret = self.events;
        self.events += 1;
        let end = end(asked)?;
        if !matches!(end, End::Nothing) {
            self.origins[position].ret = Some(place.line);
        }
        self.operations[position] = match end {
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
    pub(super) fn finish(
        mut self,
        unknown: impl Fn(Asked) -> End<Op>,
        cut: Option<ImportError>,
    ) -> Objects<Op> {
        for pending in self.pending.into_values() {
            if let End::Known(op) | End::Unknown(op) = unknown(pending.asked) {
                self.operations[pending.position] = Some(Operation {
                    op,
                    call: pending.call,
                    ret: None,
                });
            }
        }
        let mut all = Objects {
            operations: Vec::new(),
            origins: Vec::new(),
            objects: Vec::new(),
            names: self.names,
            values: super::Values::default(),
            left_out: 0,
            cut,
        };
        let places = self.origins.into_iter().zip(self.objects);
        for (operation, (origin, object)) in self.operations.into_iter().zip(places) {
            let Some(operation) = operation else {
                all.left_out += 1;
                continue;
            };
            all.operations.push(operation);
            all.origins.push(origin);
            all.objects.push(object);
        }
        all
    }
}
