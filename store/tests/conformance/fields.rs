//! What is known of fields: which are not compared, and which are translated first.
//!
//! `store/CONFORMANCE.md` shows the same list; a test holds the two together.

/// Fields that are not compared: message, field, and why.
pub(crate) const IGNORED: &[(&str, &str, &str)] = &[
    (
        "ResponseHeader",
        "cluster_id",
        "a hash of the members' URLs, which differ",
    ),
    (
        "ResponseHeader",
        "raft_term",
        "elections are not counted alike",
    ),
    (
        "StatusResponse",
        "raft_term",
        "elections are not counted alike",
    ),
    (
        "StatusResponse",
        "raft_index",
        "entries of the log are not counted alike",
    ),
    (
        "StatusResponse",
        "raft_applied_index",
        "entries of the log are not counted alike",
    ),
    ("StatusResponse", "db_size", "the files have other formats"),
    (
        "StatusResponse",
        "db_size_in_use",
        "the files have other formats",
    ),
    (
        "HashResponse",
        "hash",
        "a hash of the whole file, which has another format",
    ),
    ("AuthenticateResponse", "token", "random"),
];

/// Fields of which only the sign is compared: message, field, and why.
pub(crate) const SIGN_ONLY: &[(&str, &str, &str)] = &[(
    "LeaseTimeToLiveResponse",
    "ttl",
    "the time that remains; -1 is a lease that is not there",
)];

/// Lists whose order is not compared: message, field, and why.
pub(crate) const UNORDERED: &[(&str, &str, &str)] = &[
    ("MemberListResponse", "members", MEMBERS),
    ("MemberAddResponse", "members", MEMBERS),
    ("MemberRemoveResponse", "members", MEMBERS),
    ("MemberUpdateResponse", "members", MEMBERS),
    ("MemberPromoteResponse", "members", MEMBERS),
    ("LeaseTimeToLiveResponse", "keys", MAP),
    ("StatusResponse", "errors", MAP),
    ("AlarmResponse", "alarms", MAP),
];
const MAP: &str = "in the order of a Go map, which is random";
const MEMBERS: &str = "in the order of their ids, which depend on URLs and time";

/// What is not compared beside whole fields.
pub(crate) const OTHERWISE: &[(&str, &str)] = &[
    (
        "watch batching",
        "which events share a message is not compared, nor the header of a message with events, nor `fragment`; the events of one watch in their order are",
    ),
    (
        "progress",
        "asked for until it comes; where a watch starts at a revision to come it need not: etcd 3.5.16 tells it, the store, as releases after it, does not",
    ),
    (
        "snapshot",
        "that it ends well, and with the SHA-256 of the rest; not the bytes, which are the file's",
    ),
];

/// How a field is translated between a sequence and one of the two members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Counted from the revision at the sequence's start.
    Revision,
    /// Under the sequence's prefix.
    Key,
    /// A lease's id: one made by the member is known by its number.
    Lease,
    /// A member's id.
    Member,
    /// May have the member's id or one of its URLs in it.
    Text,
}

const TRANSLATED: &[(&str, &[&str], Kind)] = &[
    ("ResponseHeader", &["revision"], Kind::Revision),
    ("ResponseHeader", &["member_id"], Kind::Member),
    (
        "KeyValue",
        &["create_revision", "mod_revision"],
        Kind::Revision,
    ),
    ("KeyValue", &["key"], Kind::Key),
    ("KeyValue", &["lease"], Kind::Lease),
    (
        "RangeRequest",
        &[
            "revision",
            "min_mod_revision",
            "max_mod_revision",
            "min_create_revision",
            "max_create_revision",
        ],
        Kind::Revision,
    ),
    ("RangeRequest", &["key", "range_end"], Kind::Key),
    ("PutRequest", &["key"], Kind::Key),
    ("DeleteRangeRequest", &["key", "range_end"], Kind::Key),
    (
        "Compare",
        &["create_revision", "mod_revision"],
        Kind::Revision,
    ),
    ("Compare", &["key", "range_end"], Kind::Key),
    ("CompactionRequest", &["revision"], Kind::Revision),
    ("WatchCreateRequest", &["start_revision"], Kind::Revision),
    ("WatchCreateRequest", &["key", "range_end"], Kind::Key),
    ("WatchResponse", &["compact_revision"], Kind::Revision),
    ("HashKVRequest", &["revision"], Kind::Revision),
    (
        "HashKVResponse",
        &["compact_revision", "hash_revision"],
        Kind::Revision,
    ),
    ("LeaseGrantResponse", &["id"], Kind::Lease),
    ("LeaseStatus", &["id"], Kind::Lease),
    ("LeaseTimeToLiveResponse", &["keys"], Kind::Key),
    ("Permission", &["key", "range_end"], Kind::Key),
    (
        "AuthRoleRevokePermissionRequest",
        &["key", "range_end"],
        Kind::Key,
    ),
    ("Member", &["id"], Kind::Member),
    ("Member", &["peer_urls", "client_urls"], Kind::Text),
    ("MemberAddRequest", &["peer_urls"], Kind::Text),
    ("MemberUpdateRequest", &["id"], Kind::Member),
    ("MemberUpdateRequest", &["peer_urls"], Kind::Text),
    ("MemberRemoveRequest", &["id"], Kind::Member),
    ("MemberPromoteRequest", &["id"], Kind::Member),
    ("AlarmRequest", &["member_id"], Kind::Member),
    ("AlarmMember", &["member_id"], Kind::Member),
    ("StatusResponse", &["leader"], Kind::Member),
    ("StatusResponse", &["errors"], Kind::Text),
    ("WatchResponse", &["cancel_reason"], Kind::Text),
    ("MoveLeaderRequest", &["target_id"], Kind::Member),
];

/// Whether this list's order is not compared.
pub(crate) fn unordered(message: &str, field: &str) -> bool {
    listed(UNORDERED, message, field)
}

/// How this field is translated, if it is.
pub(crate) fn kind(message: &str, field: &str) -> Option<Kind> {
    TRANSLATED
        .iter()
        .find(|(known, fields, _)| *known == message && fields.contains(&field))
        .map(|(_, _, kind)| *kind)
}

fn listed(list: &[(&str, &str, &str)], message: &str, field: &str) -> bool {
    list.iter()
        .any(|(known, listed, _)| (*known, *listed) == (message, field))
}

/// Whether this field is not compared.
pub(crate) fn ignored(message: &str, field: &str) -> bool {
    listed(IGNORED, message, field)
}

/// Whether only this field's sign is compared.
pub(crate) fn sign_only(message: &str, field: &str) -> bool {
    listed(SIGN_ONLY, message, field)
}

#[test]
fn listed_fields_exist() {
    let names = IGNORED
        .iter()
        .chain(SIGN_ONLY)
        .chain(UNORDERED)
        .map(|(message, field, _)| (*message, *field))
        .chain(
            TRANSLATED
                .iter()
                .flat_map(|(message, fields, _)| fields.iter().map(|field| (*message, *field))),
        );
    for (message, field) in names {
        let known = ["etcdserverpb", "mvccpb", "authpb"]
            .iter()
            .filter_map(|package| api_pool().get_message_by_name(&format!("{package}.{message}")))
            .any(|descriptor| descriptor.get_field_by_name(field).is_some());
        assert!(known, "{message}.{field}");
    }
}

#[cfg(test)]
fn api_pool() -> prost_reflect::DescriptorPool {
    prost_reflect::DescriptorPool::decode(api::pb::DESCRIPTORS).unwrap()
}

#[test]
fn the_documented_table_is_this_list() {
    let document = include_str!("../../CONFORMANCE.md");
    for (message, field, why) in IGNORED.iter().chain(SIGN_ONLY).chain(UNORDERED) {
        let row = format!("| `{message}.{field}` | {why} |");
        assert!(document.contains(&row), "missing: {row}");
    }
    for (what, how) in OTHERWISE {
        let row = format!("| {what} | {how} |");
        assert!(document.contains(&row), "missing: {row}");
    }
    let (_, section) = document.split_once("## What is not compared").unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .count();
    // Each of the four tables has a heading and a rule.
    let listed = IGNORED.len() + SIGN_ONLY.len() + UNORDERED.len() + OTHERWISE.len();
    assert_eq!(rows, listed + 2 * 4);
}
