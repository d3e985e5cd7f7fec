//! Ranges, puts and deletes (applierV3backend in server/etcdserver/apply.go).

use api::pb::etcdserverpb::range_request::{SortOrder, SortTarget};
use api::pb::etcdserverpb::{self as pb};
use api::pb::mvccpb::KeyValue;

use crate::Error;
use crate::lease::Lessor;
use crate::mvcc::{RangeOptions, RangeResult, Store, WriteTxn};

/// What can be read from.
pub(super) trait Read {
    fn range(&self, key: &[u8], end: &[u8], options: RangeOptions) -> Result<RangeResult, Error>;
}

impl Read for WriteTxn<'_> {
    fn range(&self, key: &[u8], end: &[u8], options: RangeOptions) -> Result<RangeResult, Error> {
        WriteTxn::range(self, key, end, options)
    }
}

impl Read for Store {
    fn range(&self, key: &[u8], end: &[u8], options: RangeOptions) -> Result<RangeResult, Error> {
        Store::range(self, key, end, options)
    }
}

/// The store as it was at one revision, for whoever reads more than once.
pub(super) struct Snapshot<'a> {
    pub(super) store: &'a Store,
    pub(super) rev: i64,
}

impl Read for Snapshot<'_> {
    fn range(&self, key: &[u8], end: &[u8], options: RangeOptions) -> Result<RangeResult, Error> {
        if options.rev > self.rev {
            return Err(Error::FutureRev);
        }
        let rev = if options.rev <= 0 {
            self.rev
        } else {
            options.rev
        };
        let mut result = self
            .store
            .range(key, end, RangeOptions { rev, ..options })?;
        result.rev = self.rev;
        Ok(result)
    }
}

pub(super) fn header_at(revision: i64) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader {
        revision,
        ..Default::default()
    })
}

/// Answers a range.
pub(super) fn range(
    from: &impl Read,
    request: &pb::RangeRequest,
) -> Result<pb::RangeResponse, Error> {
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    let sorted = request.sort_order() != SortOrder::None;
    // What is filtered or sorted is read whole; else one more shows whether there are more.
    let limit = if sorted || filters.iter().any(|rev| *rev != 0) || request.limit <= 0 {
        0
    } else {
        request.limit.saturating_add(1)
    };
    let options = RangeOptions {
        limit,
        rev: request.revision,
        count_only: request.count_only,
    };
    let RangeResult {
        mut kvs,
        count,
        rev,
    } = from.range(&request.key, &request.range_end, options)?;
    if filters.iter().any(|rev| *rev != 0) {
        kvs.retain(|kv| is_within(request, kv));
    }
    sort(request, &mut kvs);
    let more = request.limit > 0 && kvs.len() as u64 > request.limit.unsigned_abs();
    if more {
        kvs.truncate(request.limit as usize);
    }
    if request.keys_only {
        for kv in &mut kvs {
            kv.value = Vec::new();
        }
    }
    Ok(pb::RangeResponse {
        header: header_at(rev),
        kvs,
        more,
        count,
    })
}

fn is_within(request: &pb::RangeRequest, kv: &KeyValue) -> bool {
    let least = |bound, rev| bound == 0 || rev >= bound;
    let most = |bound, rev| bound == 0 || rev <= bound;
    least(request.min_mod_revision, kv.mod_revision)
        && most(request.max_mod_revision, kv.mod_revision)
        && least(request.min_create_revision, kv.create_revision)
        && most(request.max_create_revision, kv.create_revision)
}

fn sort(request: &pb::RangeRequest, kvs: &mut [KeyValue]) {
    let target = request.sort_target();
    let order = match SortOrder::try_from(request.sort_order) {
        // They come in key order; any other target is sorted upwards if nothing is said.
        Ok(SortOrder::None) if target == SortTarget::Key => return,
        Ok(SortOrder::None) => SortOrder::Ascend,
        Ok(order) => order,
        // As in etcd, an order that there is not is none.
        Err(_) => return,
    };
    kvs.sort_by(|a, b| {
        let ordering = match target {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
        };
        if order == SortOrder::Descend {
            ordering.reverse()
        } else {
            ordering
        }
    });
}

/// A put; whether its lease exists is checked before.
pub(super) fn put(
    txn: &mut WriteTxn<'_>,
    request: &pb::PutRequest,
) -> Result<pb::PutResponse, Error> {
    let previous = if keeps(request) || request.prev_kv {
        let found = txn.range(&request.key, &[], RangeOptions::default())?;
        found.kvs.into_iter().next()
    } else {
        None
    };
    if previous.is_none() && keeps(request) {
        return Err(Error::KeyNotFound);
    }
    let kept = previous.as_ref();
    let value = kept
        .filter(|_| request.ignore_value)
        .map_or(&request.value, |kv| &kv.value);
    let lease = kept
        .filter(|_| request.ignore_lease)
        .map_or(request.lease, |kv| kv.lease);
    let revision = txn.put(&request.key, value, lease);
    Ok(pb::PutResponse {
        header: header_at(revision),
        prev_kv: previous.filter(|_| request.prev_kv),
    })
}

/// A delete.
pub(super) fn delete_range(
    txn: &mut WriteTxn<'_>,
    request: &pb::DeleteRangeRequest,
) -> Result<pb::DeleteRangeResponse, Error> {
    let prev_kvs = if request.prev_kv {
        let all = RangeOptions::default();
        txn.range(&request.key, &request.range_end, all)?.kvs
    } else {
        Vec::new()
    };
    let (deleted, revision) = txn.delete_range(&request.key, &request.range_end);
    Ok(pb::DeleteRangeResponse {
        header: header_at(revision),
        deleted,
        prev_kvs,
    })
}

/// Whether it keeps what the pair before had.
pub(super) fn keeps(put: &pb::PutRequest) -> bool {
    put.ignore_value || put.ignore_lease
}

/// Refuses a put that cannot be made: its lease or its previous pair is missing.
pub(super) fn check_put(
    from: &impl Read,
    lessor: &Lessor,
    put: &pb::PutRequest,
) -> Result<(), Error> {
    if keeps(put) {
        let found = from.range(&put.key, &[], RangeOptions::default())?;
        if found.kvs.is_empty() {
            return Err(Error::KeyNotFound);
        }
    }
    check_lease(lessor, put)
}

/// Refuses a put with a lease that there is not.
pub(super) fn check_lease(lessor: &Lessor, put: &pb::PutRequest) -> Result<(), Error> {
    if put.lease == 0 || lessor.exists(put.lease) {
        Ok(())
    } else {
        Err(Error::LeaseNotFound)
    }
}
