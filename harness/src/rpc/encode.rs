//! Recorded requests → wire requests.

use api::pb::etcdserverpb as pb;
use checker::history::{
    Compare, CompareResult, CompareTarget, DeleteRequest, PutRequest, RangeRequest, SortOrder,
    SortTarget, TxnOp, TxnRequest, WatchRequest,
};

pub(super) fn range(r: &RangeRequest) -> pb::RangeRequest {
    use pb::range_request::{SortOrder as Order, SortTarget as By};
    let order = match r.sort_order {
        SortOrder::None => Order::None,
        SortOrder::Ascend => Order::Ascend,
        SortOrder::Descend => Order::Descend,
    };
    let by = match r.sort_target {
        SortTarget::Key => By::Key,
        SortTarget::Version => By::Version,
        SortTarget::Create => By::Create,
        SortTarget::Mod => By::Mod,
        SortTarget::Value => By::Value,
    };
    pb::RangeRequest {
        key: r.key.0.clone(),
        range_end: r.range_end.0.clone(),
        limit: r.limit,
        revision: r.revision,
        sort_order: order.into(),
        sort_target: by.into(),
        serializable: r.serializable,
        keys_only: r.keys_only,
        count_only: r.count_only,
        min_mod_revision: r.min_mod_revision,
        max_mod_revision: r.max_mod_revision,
        min_create_revision: r.min_create_revision,
        max_create_revision: r.max_create_revision,
    }
}

pub(super) fn put(r: &PutRequest) -> pb::PutRequest {
    pb::PutRequest {
        key: r.key.0.clone(),
        value: r.value.0.clone(),
        lease: r.lease,
        prev_kv: r.prev_kv,
        ignore_value: r.ignore_value,
        ignore_lease: r.ignore_lease,
    }
}

pub(super) fn delete(r: &DeleteRequest) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest {
        key: r.key.0.clone(),
        range_end: r.range_end.0.clone(),
        prev_kv: r.prev_kv,
    }
}

pub(super) fn txn(r: &TxnRequest) -> pb::TxnRequest {
    pb::TxnRequest {
        compare: r.compare.iter().map(compare).collect(),
        success: r.success.iter().map(op).collect(),
        failure: r.failure.iter().map(op).collect(),
    }
}

fn op(r: &TxnOp) -> pb::RequestOp {
    use pb::request_op::Request;
    let request = match r {
        TxnOp::Range(r) => Request::RequestRange(range(r)),
        TxnOp::Put(r) => Request::RequestPut(put(r)),
        TxnOp::Delete(r) => Request::RequestDeleteRange(delete(r)),
        TxnOp::Txn(r) => Request::RequestTxn(txn(r)),
    };
    pb::RequestOp {
        request: Some(request),
    }
}

fn compare(c: &Compare) -> pb::Compare {
    use pb::compare::{CompareResult as How, CompareTarget as What, TargetUnion};
    let result = match c.result {
        CompareResult::Equal => How::Equal,
        CompareResult::Greater => How::Greater,
        CompareResult::Less => How::Less,
        CompareResult::NotEqual => How::NotEqual,
    };
    let (target, union) = match &c.target {
        CompareTarget::Version(n) => (What::Version, TargetUnion::Version(*n)),
        CompareTarget::Create(n) => (What::Create, TargetUnion::CreateRevision(*n)),
        CompareTarget::Mod(n) => (What::Mod, TargetUnion::ModRevision(*n)),
        CompareTarget::Value(v) => (What::Value, TargetUnion::Value(v.0.clone())),
        CompareTarget::Lease(n) => (What::Lease, TargetUnion::Lease(*n)),
    };
    pb::Compare {
        result: result.into(),
        target: target.into(),
        key: c.key.0.clone(),
        target_union: Some(union),
        range_end: c.range_end.0.clone(),
    }
}

/// The message that creates the one watcher of a stream.
pub(crate) fn watch_create(r: &WatchRequest) -> pb::WatchRequest {
    use pb::watch_create_request::FilterType;
    let mut filters = Vec::new();
    if r.filter_put {
        filters.push(FilterType::Noput.into());
    }
    if r.filter_delete {
        filters.push(FilterType::Nodelete.into());
    }
    pb::WatchRequest {
        request_union: Some(pb::watch_request::RequestUnion::CreateRequest(
            pb::WatchCreateRequest {
                key: r.key.0.clone(),
                range_end: r.range_end.0.clone(),
                start_revision: r.start_revision,
                progress_notify: r.progress_notify,
                filters,
                prev_kv: r.prev_kv,
                ..Default::default()
            },
        )),
    }
}
