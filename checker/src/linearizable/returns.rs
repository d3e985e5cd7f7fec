//! Which return belongs to which invocation.

use hashbrown::HashMap;

use crate::history::{Record, Return};

/// Returns by the number of their operation.
pub(super) struct Returns<'a> {
    history: &'a [Record],
    /// Index of the return of each number, or [`NONE`]; numbers usually have no gaps.
    close: Vec<u32>,
    /// Those whose numbers are too high for that.
    far: HashMap<u64, &'a Return>,
    /// A number that returned more than once.
    pub twice: Option<u64>,
}

const NONE: u32 = u32::MAX;

impl<'a> Returns<'a> {
    pub(super) fn of(history: &'a [Record]) -> Self {
        let mut this = Self {
            history,
            close: vec![NONE; history.len()],
            far: HashMap::new(),
            twice: None,
        };
        for (at, record) in history.iter().enumerate() {
            let Record::Return(r) = record else { continue };
            let slot = usize::try_from(r.id)
                .ok()
                .and_then(|id| this.close.get_mut(id));
            let before = match (slot, u32::try_from(at)) {
                (Some(slot), Ok(at)) if at != NONE => std::mem::replace(slot, at) != NONE,
                _ => this.far.insert(r.id, r).is_some(),
            };
            if before {
                this.twice.get_or_insert(r.id);
            }
        }
        this
    }

    /// The return of a number, which is handed out once.
    pub(super) fn take(&mut self, id: u64) -> Option<&'a Return> {
        let slot = usize::try_from(id)
            .ok()
            .and_then(|id| self.close.get_mut(id));
        if let Some(slot) = slot {
            let at = std::mem::replace(slot, NONE);
            if let Some(Record::Return(r)) = self.history.get(at as usize) {
                return Some(r);
            }
        }
        self.far.remove(&id)
    }
}
