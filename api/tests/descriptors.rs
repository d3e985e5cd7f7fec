//! The compiled protocol against a list written by hand: service paths, and the field numbers
//! that go wrong silently.

use std::collections::BTreeMap;

use prost::Message;

// As much of google/protobuf/descriptor.proto as is looked at.

#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Msg>,
    #[prost(message, repeated, tag = "5")]
    enums: Vec<Enum>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Msg {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Msg>,
    #[prost(message, repeated, tag = "4")]
    enums: Vec<Enum>,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    number: i32,
    #[prost(int32, tag = "5")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Enum {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    values: Vec<EnumValue>,
}

#[derive(Clone, PartialEq, Message)]
struct EnumValue {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "2")]
    number: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "5")]
    from_client: bool,
    #[prost(bool, tag = "6")]
    from_server: bool,
}

fn set() -> FileSet {
    FileSet::decode(api::pb::DESCRIPTORS).expect("descriptors")
}

/// `package.Message`, or `package.Message.Enum` for what is nested.
#[derive(Default)]
struct Types {
    fields: BTreeMap<String, Vec<Field>>,
    enums: BTreeMap<String, Vec<EnumValue>>,
}

impl Types {
    fn all() -> Self {
        let mut types = Self::default();
        for file in set().files {
            for message in file.messages {
                types.add(&file.package, message);
            }
            for item in file.enums {
                types
                    .enums
                    .insert(format!("{}.{}", file.package, item.name), item.values);
            }
        }
        types
    }

    fn add(&mut self, scope: &str, message: Msg) {
        let name = format!("{scope}.{}", message.name);
        for nested in message.nested {
            self.add(&name, nested);
        }
        for item in message.enums {
            self.enums
                .insert(format!("{name}.{}", item.name), item.values);
        }
        self.fields.insert(name, message.fields);
    }
}

/// Types as in the descriptor: 3 int64, 4 uint64, 8 bool, 9 string, 11 message, 12 bytes,
/// 13 uint32, 14 enum.
const FIELDS: &[(&str, &str, i32, i32)] = &[
    ("etcdserverpb.ResponseHeader", "cluster_id", 1, 4),
    ("etcdserverpb.ResponseHeader", "member_id", 2, 4),
    ("etcdserverpb.ResponseHeader", "revision", 3, 3),
    ("etcdserverpb.ResponseHeader", "raft_term", 4, 4),
    ("mvccpb.KeyValue", "key", 1, 12),
    ("mvccpb.KeyValue", "create_revision", 2, 3),
    ("mvccpb.KeyValue", "mod_revision", 3, 3),
    ("mvccpb.KeyValue", "version", 4, 3),
    ("mvccpb.KeyValue", "value", 5, 12),
    ("mvccpb.KeyValue", "lease", 6, 3),
    ("mvccpb.Event", "type", 1, 14),
    ("mvccpb.Event", "kv", 2, 11),
    ("mvccpb.Event", "prev_kv", 3, 11),
    ("etcdserverpb.RangeRequest", "range_end", 2, 12),
    ("etcdserverpb.RangeRequest", "limit", 3, 3),
    ("etcdserverpb.RangeRequest", "revision", 4, 3),
    ("etcdserverpb.RangeRequest", "sort_order", 5, 14),
    ("etcdserverpb.RangeRequest", "sort_target", 6, 14),
    ("etcdserverpb.RangeRequest", "serializable", 7, 8),
    ("etcdserverpb.RangeRequest", "keys_only", 8, 8),
    ("etcdserverpb.RangeRequest", "count_only", 9, 8),
    ("etcdserverpb.RangeRequest", "min_mod_revision", 10, 3),
    ("etcdserverpb.RangeRequest", "max_create_revision", 13, 3),
    ("etcdserverpb.RangeResponse", "kvs", 2, 11),
    ("etcdserverpb.RangeResponse", "more", 3, 8),
    ("etcdserverpb.RangeResponse", "count", 4, 3),
    ("etcdserverpb.PutRequest", "lease", 3, 3),
    ("etcdserverpb.PutRequest", "prev_kv", 4, 8),
    ("etcdserverpb.PutRequest", "ignore_value", 5, 8),
    ("etcdserverpb.PutRequest", "ignore_lease", 6, 8),
    ("etcdserverpb.DeleteRangeRequest", "prev_kv", 3, 8),
    ("etcdserverpb.DeleteRangeResponse", "deleted", 2, 3),
    ("etcdserverpb.DeleteRangeResponse", "prev_kvs", 3, 11),
    ("etcdserverpb.RequestOp", "request_range", 1, 11),
    ("etcdserverpb.RequestOp", "request_put", 2, 11),
    ("etcdserverpb.RequestOp", "request_delete_range", 3, 11),
    ("etcdserverpb.RequestOp", "request_txn", 4, 11),
    ("etcdserverpb.ResponseOp", "response_txn", 4, 11),
    ("etcdserverpb.Compare", "result", 1, 14),
    ("etcdserverpb.Compare", "target", 2, 14),
    ("etcdserverpb.Compare", "version", 4, 3),
    ("etcdserverpb.Compare", "create_revision", 5, 3),
    ("etcdserverpb.Compare", "mod_revision", 6, 3),
    ("etcdserverpb.Compare", "value", 7, 12),
    ("etcdserverpb.Compare", "lease", 8, 3),
    ("etcdserverpb.Compare", "range_end", 64, 12),
    ("etcdserverpb.TxnRequest", "failure", 3, 11),
    ("etcdserverpb.TxnResponse", "succeeded", 2, 8),
    ("etcdserverpb.TxnResponse", "responses", 3, 11),
    ("etcdserverpb.CompactionRequest", "physical", 2, 8),
    ("etcdserverpb.WatchRequest", "progress_request", 3, 11),
    ("etcdserverpb.WatchCreateRequest", "start_revision", 3, 3),
    ("etcdserverpb.WatchCreateRequest", "progress_notify", 4, 8),
    ("etcdserverpb.WatchCreateRequest", "filters", 5, 14),
    ("etcdserverpb.WatchCreateRequest", "prev_kv", 6, 8),
    ("etcdserverpb.WatchCreateRequest", "watch_id", 7, 3),
    ("etcdserverpb.WatchCreateRequest", "fragment", 8, 8),
    ("etcdserverpb.WatchResponse", "watch_id", 2, 3),
    ("etcdserverpb.WatchResponse", "created", 3, 8),
    ("etcdserverpb.WatchResponse", "canceled", 4, 8),
    ("etcdserverpb.WatchResponse", "compact_revision", 5, 3),
    ("etcdserverpb.WatchResponse", "cancel_reason", 6, 9),
    ("etcdserverpb.WatchResponse", "fragment", 7, 8),
    ("etcdserverpb.WatchResponse", "events", 11, 11),
    // The time to live comes first in the request and second in the response.
    ("etcdserverpb.LeaseGrantRequest", "ttl", 1, 3),
    ("etcdserverpb.LeaseGrantRequest", "id", 2, 3),
    ("etcdserverpb.LeaseGrantResponse", "id", 2, 3),
    ("etcdserverpb.LeaseGrantResponse", "ttl", 3, 3),
    ("etcdserverpb.LeaseKeepAliveResponse", "ttl", 3, 3),
    ("etcdserverpb.LeaseTimeToLiveResponse", "granted_ttl", 4, 3),
    ("etcdserverpb.LeaseTimeToLiveResponse", "keys", 5, 12),
    ("etcdserverpb.LeaseLeasesResponse", "leases", 2, 11),
    ("etcdserverpb.Member", "id", 1, 4),
    ("etcdserverpb.Member", "peer_urls", 3, 9),
    ("etcdserverpb.Member", "client_urls", 4, 9),
    ("etcdserverpb.Member", "is_learner", 5, 8),
    ("etcdserverpb.MemberAddRequest", "is_learner", 2, 8),
    ("etcdserverpb.MemberListRequest", "linearizable", 1, 8),
    ("etcdserverpb.AlarmRequest", "member_id", 2, 4),
    ("etcdserverpb.AlarmMember", "alarm", 2, 14),
    ("etcdserverpb.StatusResponse", "db_size", 3, 3),
    ("etcdserverpb.StatusResponse", "leader", 4, 4),
    ("etcdserverpb.StatusResponse", "raft_index", 5, 4),
    ("etcdserverpb.StatusResponse", "raft_term", 6, 4),
    ("etcdserverpb.StatusResponse", "raft_applied_index", 7, 4),
    ("etcdserverpb.StatusResponse", "errors", 8, 9),
    ("etcdserverpb.StatusResponse", "db_size_in_use", 9, 3),
    ("etcdserverpb.StatusResponse", "is_learner", 10, 8),
    ("etcdserverpb.HashKVRequest", "revision", 1, 3),
    ("etcdserverpb.HashKVResponse", "hash", 2, 13),
    ("etcdserverpb.HashKVResponse", "compact_revision", 3, 3),
    ("etcdserverpb.HashKVResponse", "hash_revision", 4, 3),
    ("etcdserverpb.SnapshotResponse", "remaining_bytes", 2, 4),
    ("etcdserverpb.SnapshotResponse", "blob", 3, 12),
    ("etcdserverpb.MoveLeaderRequest", "target_id", 1, 4),
    ("etcdserverpb.DowngradeRequest", "version", 2, 9),
    ("etcdserverpb.AuthStatusResponse", "auth_revision", 3, 4),
    ("etcdserverpb.AuthenticateResponse", "token", 2, 9),
    ("etcdserverpb.AuthUserAddRequest", "options", 3, 11),
    ("etcdserverpb.AuthUserAddRequest", "hashed_password", 4, 9),
    (
        "etcdserverpb.AuthUserChangePasswordRequest",
        "hashed_password",
        3,
        9,
    ),
    ("etcdserverpb.AuthUserGrantRoleRequest", "user", 1, 9),
    ("etcdserverpb.AuthUserRevokeRoleRequest", "name", 1, 9),
    ("etcdserverpb.AuthRoleGrantPermissionRequest", "perm", 2, 11),
    ("etcdserverpb.AuthRoleRevokePermissionRequest", "key", 2, 12),
    (
        "etcdserverpb.AuthRoleRevokePermissionRequest",
        "range_end",
        3,
        12,
    ),
    ("authpb.Permission", "perm_type", 1, 14),
    ("authpb.Permission", "range_end", 3, 12),
    ("authpb.User", "roles", 3, 9),
    ("authpb.Role", "key_permission", 2, 11),
    ("authpb.UserAddOptions", "no_password", 1, 8),
    ("grpc.health.v1.HealthCheckRequest", "service", 1, 9),
    ("grpc.health.v1.HealthCheckResponse", "status", 1, 14),
];

const ENUMS: &[(&str, &[&str])] = &[
    ("mvccpb.Event.EventType", &["PUT", "DELETE"]),
    (
        "etcdserverpb.RangeRequest.SortOrder",
        &["NONE", "ASCEND", "DESCEND"],
    ),
    (
        "etcdserverpb.RangeRequest.SortTarget",
        &["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
    ),
    (
        "etcdserverpb.Compare.CompareResult",
        &["EQUAL", "GREATER", "LESS", "NOT_EQUAL"],
    ),
    (
        "etcdserverpb.Compare.CompareTarget",
        &["VERSION", "CREATE", "MOD", "VALUE", "LEASE"],
    ),
    (
        "etcdserverpb.WatchCreateRequest.FilterType",
        &["NOPUT", "NODELETE"],
    ),
    ("etcdserverpb.AlarmType", &["NONE", "NOSPACE", "CORRUPT"]),
    (
        "etcdserverpb.AlarmRequest.AlarmAction",
        &["GET", "ACTIVATE", "DEACTIVATE"],
    ),
    (
        "etcdserverpb.DowngradeRequest.DowngradeAction",
        &["VALIDATE", "ENABLE", "CANCEL"],
    ),
    ("authpb.Permission.Type", &["READ", "WRITE", "READWRITE"]),
    (
        "grpc.health.v1.HealthCheckResponse.ServingStatus",
        &["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"],
    ),
];

/// `<` marks a stream from the client, `>` one from the server.
const METHODS: &str = "
    etcdserverpb.KV Range Put DeleteRange Txn Compact
    etcdserverpb.Watch <Watch>
    etcdserverpb.Lease LeaseGrant LeaseRevoke <LeaseKeepAlive> LeaseTimeToLive LeaseLeases
    etcdserverpb.Cluster MemberAdd MemberRemove MemberUpdate MemberList MemberPromote
    etcdserverpb.Maintenance Alarm Status Defragment Hash HashKV Snapshot> MoveLeader Downgrade
    etcdserverpb.Auth AuthEnable AuthDisable AuthStatus Authenticate UserAdd UserGet UserList \
        UserDelete UserChangePassword UserGrantRole UserRevokeRole RoleAdd RoleGet RoleList \
        RoleDelete RoleGrantPermission RoleRevokePermission
    grpc.health.v1.Health Check Watch>
";

#[test]
fn fields_have_etcds_numbers_and_types() {
    let types = Types::all();
    for (message, name, number, kind) in FIELDS {
        let fields = types
            .fields
            .get(*message)
            .unwrap_or_else(|| panic!("no {message}"));
        let field = fields.iter().find(|field| field.name == *name);
        let field = field.unwrap_or_else(|| panic!("no {message}.{name}"));
        assert_eq!(
            (field.number, field.kind),
            (*number, *kind),
            "{message}.{name}"
        );
    }
}

#[test]
fn every_response_but_health_has_its_header_first() {
    for (name, fields) in Types::all().fields {
        if name.starts_with("etcdserverpb.") && name.ends_with("Response") {
            let header = fields.iter().find(|field| field.number == 1);
            assert_eq!(
                header.map(|field| field.name.as_str()),
                Some("header"),
                "{name}"
            );
        }
    }
}

#[test]
fn enums_count_from_zero_in_etcds_order() {
    let types = Types::all();
    for (name, values) in ENUMS {
        let found = types
            .enums
            .get(*name)
            .unwrap_or_else(|| panic!("no {name}"));
        let found: Vec<_> = found.iter().map(|v| (v.name.as_str(), v.number)).collect();
        let expected: Vec<_> = values.iter().copied().zip(0..).collect();
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(types.enums.len(), ENUMS.len(), "an enum is not listed");
}

#[test]
fn services_have_etcds_paths() {
    let mut found = Vec::new();
    for file in set().files {
        for service in &file.services {
            let mut line = format!("{}.{}", file.package, service.name);
            for method in &service.methods {
                line += &format!(
                    " {}{}{}",
                    if method.from_client { "<" } else { "" },
                    method.name,
                    if method.from_server { ">" } else { "" }
                );
            }
            found.push(line);
        }
    }
    let mut expected: Vec<String> = METHODS
        .trim()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_put_is_encoded_as_etcd_encodes_it() {
    let put = api::pb::etcdserverpb::PutRequest {
        key: b"k".to_vec(),
        value: vec![0xff, 0x00],
        lease: 5,
        ..Default::default()
    };
    let bytes = [0x0a, 1, b'k', 0x12, 2, 0xff, 0x00, 0x18, 5];
    assert_eq!(put.encode_to_vec(), bytes);
}
