//! What a write would do to a state, without doing it.

use super::history::{Action, Txn};
use super::state::State;

/// What a write does to one key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Put { value: u32 },
    Delete,
}

impl State<'_> {
    /// What a write would do here, key by key; nothing if it would be refused.
    pub(super) fn effects(&self, action: &Action, effects: &mut Vec<(u32, Effect)>) {
        effects.clear();
        match action {
            Action::Txn(txn) => {
                let txn = &self.history.txns[*txn as usize];
                let mut chosen = Vec::new();
                self.choose(txn, &mut chosen);
                if self.check_branch(txn, &mut chosen.iter()).is_ok() {
                    self.effects_of(txn, &mut chosen.iter(), effects);
                }
            }
            part if self.check(part).is_ok() => self.effects_of_part(part, effects),
            _ => {}
        }
    }

    fn effects_of<'c>(
        &self,
        txn: &Txn,
        chosen: &mut impl Iterator<Item = &'c bool>,
        effects: &mut Vec<(u32, Effect)>,
    ) {
        let succeeded = chosen.next().is_some_and(|chosen| *chosen);
        for part in self.branch(txn, succeeded).of(&self.history.parts) {
            match part {
                Action::Txn(inner) => {
                    self.effects_of(&self.history.txns[*inner as usize], chosen, effects);
                }
                part => self.effects_of_part(part, effects),
            }
        }
    }

    fn effects_of_part(&self, part: &Action, effects: &mut Vec<(u32, Effect)>) {
        match *part {
            Action::Put {
                key, value, form, ..
            } => {
                let form = self.history.puts.get(form as usize);
                let value = match form {
                    Some(form) if form.keep_value => self.keys[key as usize].value,
                    _ => value,
                };
                effects.push((key, Effect::Put { value }));
            }
            Action::Delete(delete) => {
                let span = &self.history.deletes[delete as usize].span;
                effects.extend(self.there(span).map(|key| (key, Effect::Delete)));
            }
            Action::Revoke(lease) => {
                let keys = self.leases.get(&lease).map_or(&[][..], |lease| &lease.keys);
                effects.extend(keys.iter().map(|key| (*key, Effect::Delete)));
            }
            _ => {}
        }
    }
}
