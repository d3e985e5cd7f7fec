//! Ranges: which key-values, in which order, and the counts beside them.

use std::cmp::Ordering;
use std::ops::Bound;
use std::rc::Rc;

use super::{Answer, Refusal, Store};
use crate::history::{Bytes, KeyValue, RangeRequest, SortOrder, SortTarget};

/// What a range comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeAnswer {
    /// Everything that passes the filters, sorted, before the limit cuts it.
    pub kvs: Vec<Rc<KeyValue>>,
    /// How many of them the answer holds.
    pub kept: usize,
    /// Keys in the range, whatever filters and limit say.
    pub count: i64,
    /// What the key-values are sorted by; equal ones may come in any order, etcd's sort is not
    /// stable.
    pub sorted_by: SortTarget,
    /// Values are left out.
    pub keys_only: bool,
}

impl RangeAnswer {
    /// Whether the limit cut something off.
    #[must_use]
    pub fn more(&self) -> bool {
        self.kept < self.kvs.len()
    }

    /// How two key-values sort by this answer's target.
    #[must_use]
    pub fn compare(&self, a: &KeyValue, b: &KeyValue) -> Ordering {
        compare(self.sorted_by, a, b)
    }
}

fn compare(target: SortTarget, a: &KeyValue, b: &KeyValue) -> Ordering {
    match target {
        SortTarget::Key => a.key.cmp(&b.key),
        SortTarget::Version => a.version.cmp(&b.version),
        SortTarget::Create => a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => a.value.cmp(&b.value),
    }
}

/// A key range as etcd reads it: no end means the one key, `\0` means no end.
pub(crate) fn bounds<'a>(
    key: &'a Bytes,
    end: &'a Bytes,
) -> Option<(Bound<&'a Bytes>, Bound<&'a Bytes>)> {
    let start = Bound::Included(key);
    match end.as_slice() {
        [] => Some((start, start)),
        [0] => Some((start, Bound::Unbounded)),
        _ if end <= key => None,
        _ => Some((start, Bound::Excluded(end))),
    }
}

impl Store {
    pub(super) fn select(&self, key: &Bytes, end: &Bytes) -> Vec<Rc<KeyValue>> {
        if end.is_empty() {
            return self.live.get(key).cloned().into_iter().collect();
        }
        let Some(bounds) = bounds(key, end) else {
            return Vec::new();
        };
        self.live
            .range::<Bytes, _>(bounds)
            .map(|(_, kv)| kv.clone())
            .collect()
    }

    fn select_at(&self, key: &Bytes, end: &Bytes, revision: i64) -> Option<Vec<Rc<KeyValue>>> {
        let past = self.past.as_ref()?;
        let Some(bounds) = bounds(key, end) else {
            return Some(Vec::new());
        };
        let version_at = |versions: &Vec<(i64, Option<Rc<KeyValue>>)>| {
            let newer = versions.partition_point(|(at, _)| *at <= revision);
            newer
                .checked_sub(1)
                .and_then(|last| versions[last].1.clone())
        };
        Some(
            past.range::<Bytes, _>(bounds)
                .filter_map(|(_, versions)| version_at(versions))
                .collect(),
        )
    }

    /// A range on its own.
    pub(super) fn range(&self, request: &RangeRequest) -> Result<Answer, Refusal> {
        if request.revision > self.revision {
            return Err(Refusal::FutureRevision);
        }
        if request.revision > 0 && request.revision < self.compacted {
            return Err(Refusal::Compacted);
        }
        Ok(self.range_at(request))
    }

    /// A range whose revision has been judged, possibly inside a transaction that has written.
    pub(super) fn range_at(&self, request: &RangeRequest) -> Answer {
        let newest = request.revision <= 0 || (request.revision == self.revision && !self.dirty);
        if newest {
            return Answer::Range(finish(
                request,
                self.select(&request.key, &request.range_end),
            ));
        }
        match self.select_at(&request.key, &request.range_end, request.revision) {
            Some(kvs) => Answer::Range(finish(request, kvs)),
            None => Answer::Elsewhen {
                revision: request.revision,
            },
        }
    }

    /// The answer to a range at the revision it is pinned to, whatever is compacted; none where the
    /// past is not kept.
    #[must_use]
    pub fn read_past(&self, request: &RangeRequest) -> Option<RangeAnswer> {
        let kvs = self.select_at(&request.key, &request.range_end, request.revision)?;
        Some(finish(request, kvs))
    }

    /// The answer to a range over the newest state, whatever revision it names.
    #[must_use]
    pub fn range_now(&self, request: &RangeRequest) -> RangeAnswer {
        finish(request, self.select(&request.key, &request.range_end))
    }
}

fn finish(request: &RangeRequest, mut kvs: Vec<Rc<KeyValue>>) -> RangeAnswer {
    let count = i64::try_from(kvs.len()).unwrap_or(i64::MAX);
    let mut answer = RangeAnswer {
        kvs: Vec::new(),
        kept: 0,
        count,
        sorted_by: request.sort_target,
        keys_only: request.keys_only,
    };
    if request.count_only {
        return answer;
    }
    let within =
        |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    kvs.retain(|kv| {
        within(
            kv.mod_revision,
            request.min_mod_revision,
            request.max_mod_revision,
        ) && within(
            kv.create_revision,
            request.min_create_revision,
            request.max_create_revision,
        )
    });
    match (request.sort_target, request.sort_order) {
        (SortTarget::Key, SortOrder::None | SortOrder::Ascend) => {}
        (target, SortOrder::Descend) => kvs.sort_by(|a, b| compare(target, b, a)),
        (target, _) => kvs.sort_by(|a, b| compare(target, a, b)),
    }
    let limit = usize::try_from(request.limit)
        .ok()
        .filter(|limit| *limit > 0);
    answer.kept = kvs.len().min(limit.unwrap_or(usize::MAX));
    answer.kvs = kvs;
    answer
}
