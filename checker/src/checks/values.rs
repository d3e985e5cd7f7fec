//! The values that requests carry and answers show.

use crate::history::{
    KeyValue, PutRequest, Request, Response, TxnOp, TxnOpResponse, TxnRequest, TxnResponse,
    WatchResponse,
};

/// Calls `visit` with every put of a request, in both branches of transactions.
pub(super) fn each_put<'a>(request: &'a Request, visit: &mut impl FnMut(&'a PutRequest)) {
    match request {
        Request::Put(put) => visit(put),
        Request::Txn(txn) => txn_puts(txn, visit),
        _ => {}
    }
}

fn txn_puts<'a>(txn: &'a TxnRequest, visit: &mut impl FnMut(&'a PutRequest)) {
    for step in txn.success.iter().chain(&txn.failure) {
        match step {
            TxnOp::Put(put) => visit(put),
            TxnOp::Txn(inner) => txn_puts(inner, visit),
            TxnOp::Range(_) | TxnOp::Delete(_) => {}
        }
    }
}

/// Whether a request can change keys.
pub(super) fn writes(request: &Request) -> bool {
    fn txn_writes(txn: &TxnRequest) -> bool {
        txn.success
            .iter()
            .chain(&txn.failure)
            .any(|step| match step {
                TxnOp::Put(_) | TxnOp::Delete(_) => true,
                TxnOp::Txn(inner) => txn_writes(inner),
                TxnOp::Range(_) => false,
            })
    }
    match request {
        Request::Put(_) | Request::Delete(_) => true,
        Request::Txn(txn) => txn_writes(txn),
        _ => false,
    }
}

/// Whether a request is a transaction that reads in a branch.
pub(super) fn reads_in_txn(request: &Request) -> bool {
    fn reads(txn: &TxnRequest) -> bool {
        txn.success
            .iter()
            .chain(&txn.failure)
            .any(|step| match step {
                TxnOp::Range(_) => true,
                TxnOp::Txn(inner) => reads(inner),
                TxnOp::Put(_) | TxnOp::Delete(_) => false,
            })
    }
    matches!(request, Request::Txn(txn) if reads(txn))
}

/// Calls `visit` with every key-value that an answer shows.
pub(super) fn each_kv<'a>(response: &'a Response, visit: &mut impl FnMut(&'a KeyValue)) {
    match response {
        Response::Range(range) => range.kvs.iter().for_each(visit),
        Response::Put(put) => put.prev_kv.iter().for_each(visit),
        Response::Delete(delete) => delete.prev_kvs.iter().for_each(visit),
        Response::Txn(txn) => txn_kvs(txn, visit),
        _ => {}
    }
}

fn txn_kvs<'a>(txn: &'a TxnResponse, visit: &mut impl FnMut(&'a KeyValue)) {
    for answer in &txn.responses {
        match answer {
            TxnOpResponse::Range(range) => range.kvs.iter().for_each(&mut *visit),
            TxnOpResponse::Put(put) => put.prev_kv.iter().for_each(&mut *visit),
            TxnOpResponse::Delete(delete) => delete.prev_kvs.iter().for_each(&mut *visit),
            TxnOpResponse::Txn(inner) => txn_kvs(inner, visit),
        }
    }
}

/// Calls `visit` with every key-value that a watch message shows.
pub(super) fn each_watched<'a>(message: &'a WatchResponse, visit: &mut impl FnMut(&'a KeyValue)) {
    for event in &message.events {
        visit(&event.kv);
        event.prev_kv.iter().for_each(&mut *visit);
    }
}
