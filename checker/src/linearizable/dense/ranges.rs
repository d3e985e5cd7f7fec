//! Ranges: which keys an answer must show, in which order.

use std::cmp::Ordering;

use super::history::{Kv, Range};
use super::state::{Misfit, State, differs, misfit};
use crate::history::SortTarget;

impl State<'_> {
    /// Compares the answer to a range with the state as it stands.
    pub(super) fn shows(&self, range: &Range) -> Result<(), Misfit> {
        let answer = range.kvs.of(&self.history.kvs);
        let count = self.there(&range.span).count();
        if count != range.count as usize {
            return Err(misfit("a count differs"));
        }
        if range.count_only {
            return (answer.is_empty() && !range.more)
                .then_some(())
                .ok_or(misfit("more than a count is answered"));
        }
        let within = |number: u32, min: u32, max: u32| {
            (min == 0 || number >= min) && (max == 0 || number <= max)
        };
        let passes = |key: &u32| {
            let own = &self.keys[*key as usize];
            within(own.modified, range.min_mod, range.max_mod)
                && within(own.create, range.min_create, range.max_create)
        };
        let passing = self.there(&range.span).filter(passes);
        let sorted = match (range.sorted_by, range.descending) {
            (SortTarget::Key, false) => return self.shows_in_order(range, passing),
            (SortTarget::Key, true) => return self.shows_in_order(range, passing.rev()),
            (target, descending) => {
                let mut sorted: Vec<u32> = passing.collect();
                sorted.sort_by(|a, b| {
                    let order = self.compare(target, *a, *b);
                    if descending { order.reverse() } else { order }
                });
                sorted
            }
        };
        // Equal ones may come in any order, and the limit may leave out any of them.
        let mut stands_for = Vec::with_capacity(answer.len());
        for (at, kv) in answer.iter().enumerate() {
            let expected = *sorted.get(at).ok_or(differs(kv.key))?;
            let alike = self.compare(range.sorted_by, expected, kv.key).is_eq();
            if !alike || !sorted.contains(&kv.key) || stands_for.contains(&kv.key) {
                return Err(differs(kv.key));
            }
            stands_for.push(kv.key);
        }
        let rest = sorted[answer.len()..].iter().copied();
        self.shows_in_order(range, stands_for.into_iter().chain(rest))
    }

    fn compare(&self, target: SortTarget, a: u32, b: u32) -> Ordering {
        let (one, other) = (&self.keys[a as usize], &self.keys[b as usize]);
        let values = &self.history.values;
        match target {
            SortTarget::Key => self.history.keys.get(a).cmp(self.history.keys.get(b)),
            SortTarget::Version => one.version.cmp(&other.version),
            SortTarget::Create => one.create.cmp(&other.create),
            SortTarget::Mod => one.modified.cmp(&other.modified),
            SortTarget::Value => values.get(one.value).cmp(values.get(other.value)),
        }
    }

    /// Compares an answer with the keys that it should show, before the limit cuts them.
    fn shows_in_order(
        &self,
        range: &Range,
        passing: impl Iterator<Item = u32>,
    ) -> Result<(), Misfit> {
        let answer = range.kvs.of(&self.history.kvs);
        let most = match range.limit {
            0 => usize::MAX,
            limit => limit as usize,
        };
        let mut count = 0;
        for key in passing {
            if count < most {
                let kv: &Kv = answer.get(count).ok_or(differs(key))?;
                let own = &self.keys[key as usize];
                let value = if range.keys_only {
                    self.history.values.get(kv.value).is_empty()
                } else {
                    kv.value == own.value
                };
                if kv.key != key || !value || !self.numbers_agree(own, kv) {
                    return Err(differs(key));
                }
            }
            count += 1;
        }
        if answer.len() != count.min(most) || range.more != (count > most) {
            return Err(misfit("more or less is shown than there is"));
        }
        Ok(())
    }
}
