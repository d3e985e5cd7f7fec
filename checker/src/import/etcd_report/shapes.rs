//! The JSON of etcd's `tests/robustness` (packages `model` and `report`), field by field. Go writes
//! every field, `null` for what is nil.

use serde::{Deserialize, Deserializer};

/// Null is the default.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// One object of `operations.json`: `porcupine.Operation`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Operation {
    #[serde(alias = "ClientID")]
    pub client_id: u32,
    pub input: Input,
    /// Nanoseconds since the test's base time.
    pub call: i64,
    pub output: Output,
    /// Likewise.
    pub r#return: i64,
}

/// `EtcdRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    pub r#type: String,
    pub lease_grant: Option<Lease>,
    pub lease_revoke: Option<Lease>,
    pub range: Option<Range>,
    pub txn: Option<Txn>,
    pub compact: Option<Compact>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Lease {
    #[serde(rename = "LeaseID", default)]
    pub id: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Range {
    pub start: String,
    pub end: String,
    pub limit: i64,
    pub keys_only: bool,
    pub revision: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Compact {
    pub revision: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Txn {
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub operations_on_success: Vec<TxnOperation>,
    #[serde(deserialize_with = "or_default")]
    pub operations_on_failure: Vec<TxnOperation>,
}

/// Equal, of the version if that is given, else of the mod revision.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Condition {
    pub key: String,
    pub expected_revision: i64,
    pub expected_version: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TxnOperation {
    pub r#type: String,
    #[serde(default)]
    pub range: Range,
    #[serde(default)]
    pub put: Put,
    #[serde(default)]
    pub delete: Delete,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Put {
    pub key: String,
    pub value: ValueOrHash,
    #[serde(rename = "LeaseID")]
    pub lease: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Delete {
    pub key: String,
}

/// A value of less than 20 bytes, or the 32-bit FNV-1a hash of a longer one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ValueOrHash {
    pub value: String,
    pub hash: u32,
}

/// `MaybeEtcdResponse`: an answer, an error, or only the knowledge that it was persisted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Output {
    pub txn: Option<TxnResponse>,
    pub range: Option<RangeResponse>,
    pub lease_grant: Option<Empty>,
    pub lease_revoke: Option<Empty>,
    pub compact: Option<Empty>,
    pub client_error: String,
    pub revision: i64,
    #[serde(rename = "member-id")]
    pub member: Option<String>,
    pub persisted: bool,
    pub persisted_revision: i64,
    pub error: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Empty {}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct TxnResponse {
    pub failure: bool,
    #[serde(deserialize_with = "or_default")]
    pub results: Vec<OperationResult>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OperationResult {
    #[serde(rename = "KVs", deserialize_with = "or_default")]
    pub kvs: Vec<KeyValue>,
    #[serde(rename = "Count")]
    pub count: i64,
    #[serde(rename = "Deleted")]
    pub deleted: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RangeResponse {
    #[serde(rename = "KVs", deserialize_with = "or_default")]
    pub kvs: Vec<KeyValue>,
    #[serde(rename = "Count")]
    pub count: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct KeyValue {
    pub key: String,
    pub value: ValueOrHash,
    pub mod_revision: i64,
    /// 0 where it was not recorded.
    pub version: i64,
}

/// What a key held before an event.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PreviousValue {
    pub value: ValueOrHash,
    pub mod_revision: i64,
    /// 0 where it was not recorded.
    pub version: i64,
}

/// One object of `watch.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Watch {
    pub request: WatchRequest,
    #[serde(deserialize_with = "or_default")]
    pub responses: Vec<WatchResponse>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct WatchRequest {
    pub key: String,
    pub revision: i64,
    pub with_prefix: bool,
    pub with_progress_notify: bool,
    #[serde(rename = "WithPrevKV")]
    pub with_prev_kv: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct WatchResponse {
    #[serde(deserialize_with = "or_default")]
    pub events: Vec<WatchEvent>,
    pub revision: i64,
    /// Nanoseconds since the test's base time.
    pub time: i64,
    pub error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct WatchEvent {
    pub is_create: bool,
    pub prev_value: Option<PreviousValue>,
    pub r#type: String,
    pub key: String,
    pub value: ValueOrHash,
    pub revision: i64,
}
