//! Wire responses → recorded responses, field for field.

use api::pb::{etcdserverpb as pb, mvccpb};
use checker::history::{
    Bytes, DeleteResponse, Event, EventKind, HashKvResponse, KeyValue, Member, PutResponse,
    RangeResponse, ResponseHeader, StatusResponse, TxnOpResponse, TxnResponse, WatchResponse,
};

pub(super) fn header(h: Option<pb::ResponseHeader>) -> ResponseHeader {
    let h = h.unwrap_or_default();
    ResponseHeader {
        cluster_id: h.cluster_id,
        member_id: h.member_id,
        revision: h.revision,
        raft_term: h.raft_term,
    }
}

fn key_value(kv: mvccpb::KeyValue) -> KeyValue {
    KeyValue {
        key: Bytes(kv.key),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: Bytes(kv.value),
        lease: kv.lease,
    }
}

pub(super) fn range(r: pb::RangeResponse) -> RangeResponse {
    RangeResponse {
        header: header(r.header),
        kvs: r.kvs.into_iter().map(key_value).collect(),
        more: r.more,
        count: r.count,
    }
}

pub(super) fn put(r: pb::PutResponse) -> PutResponse {
    PutResponse {
        header: header(r.header),
        prev_kv: r.prev_kv.map(key_value),
    }
}

pub(super) fn delete(r: pb::DeleteRangeResponse) -> DeleteResponse {
    DeleteResponse {
        header: header(r.header),
        deleted: r.deleted,
        prev_kvs: r.prev_kvs.into_iter().map(key_value).collect(),
    }
}

pub(super) fn txn(r: pb::TxnResponse) -> TxnResponse {
    use pb::response_op::Response;
    let responses = r
        .responses
        .into_iter()
        .filter_map(|op| {
            Some(match op.response? {
                Response::ResponseRange(r) => TxnOpResponse::Range(range(r)),
                Response::ResponsePut(r) => TxnOpResponse::Put(put(r)),
                Response::ResponseDeleteRange(r) => TxnOpResponse::Delete(delete(r)),
                Response::ResponseTxn(r) => TxnOpResponse::Txn(txn(r)),
            })
        })
        .collect();
    TxnResponse {
        header: header(r.header),
        succeeded: r.succeeded,
        responses,
    }
}

/// A watch message.
pub(crate) fn watch_response(r: pb::WatchResponse) -> WatchResponse {
    let event = |e: mvccpb::Event| Event {
        kind: match e.r#type() {
            mvccpb::event::EventType::Put => EventKind::Put,
            mvccpb::event::EventType::Delete => EventKind::Delete,
        },
        kv: key_value(e.kv.unwrap_or_default()),
        prev_kv: e.prev_kv.map(key_value),
    };
    WatchResponse {
        header: header(r.header),
        created: r.created,
        canceled: r.canceled,
        compact_revision: r.compact_revision,
        cancel_reason: r.cancel_reason,
        fragment: r.fragment,
        events: r.events.into_iter().map(event).collect(),
    }
}

pub(super) fn members(members: Vec<pb::Member>) -> Vec<Member> {
    members
        .into_iter()
        .map(|m| Member {
            id: m.id,
            name: m.name,
            peer_urls: m.peer_urls,
            learner: m.is_learner,
        })
        .collect()
}

pub(super) fn status(r: pb::StatusResponse) -> StatusResponse {
    StatusResponse {
        header: header(r.header),
        version: r.version,
        db_size: r.db_size,
        leader: r.leader,
        raft_index: r.raft_index,
        raft_applied_index: r.raft_applied_index,
        errors: r.errors,
        learner: r.is_learner,
    }
}

pub(super) fn hash_kv(r: pb::HashKvResponse) -> HashKvResponse {
    HashKvResponse {
        header: header(r.header),
        hash: r.hash,
        compact_revision: r.compact_revision,
        hash_revision: r.hash_revision,
    }
}
