//! Requests in short.

use checker::history::{
    Bytes, DeleteRequest, MaintenanceRequest, PutRequest, RangeRequest, Request,
};

pub(crate) fn id(member: &str) -> u64 {
    u64::from(*member.as_bytes().last().unwrap())
}

pub(crate) fn put(key: &str, value: &str) -> Request {
    Request::Put(PutRequest {
        key: key.into(),
        value: value.into(),
        ..PutRequest::default()
    })
}

pub(crate) fn put_lease(key: &str, value: &str, lease: i64) -> Request {
    Request::Put(PutRequest {
        key: key.into(),
        value: value.into(),
        lease,
        ..PutRequest::default()
    })
}

pub(crate) fn delete(key: &str) -> Request {
    Request::Delete(DeleteRequest {
        key: key.into(),
        ..DeleteRequest::default()
    })
}

pub(crate) fn get(key: &str) -> Request {
    Request::Range(RangeRequest {
        key: key.into(),
        ..RangeRequest::default()
    })
}

pub(crate) fn status() -> Request {
    Request::Maintenance(MaintenanceRequest::Status)
}

pub(crate) fn everything(serializable: bool) -> Request {
    Request::Range(RangeRequest {
        key: Bytes(vec![0]),
        range_end: Bytes(vec![0]),
        serializable,
        ..RangeRequest::default()
    })
}
