//! What the raft log of a stopped member says: each request's place, by the revision there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use api::pb::etcdserverpb as pb;
use prost::Message as _;

/// server/wal/walpb/record.proto at v3.5.16.
#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(bytes = "vec", tag = "3")]
    data: Vec<u8>,
}

/// raft/raftpb/raft.proto at v3.5.16.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint64, tag = "3")]
    index: u64,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(string, tag = "2")]
    user: String,
    #[prost(uint64, tag = "3")]
    auth_revision: u64,
}

/// Any request about a user or a role: each has the name first.
#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// api/etcdserverpb/raft_internal.proto at v3.5.16, as far as the test sends requests.
#[derive(Clone, PartialEq, prost::Message)]
struct Proposal {
    #[prost(message, optional, tag = "100")]
    header: Option<Header>,
    #[prost(bytes = "vec", optional, tag = "2")]
    v2: Option<Vec<u8>>,
    #[prost(message, optional, tag = "4")]
    put: Option<pb::PutRequest>,
    #[prost(message, optional, tag = "7")]
    compaction: Option<pb::CompactionRequest>,
    #[prost(message, optional, tag = "8")]
    lease_grant: Option<pb::LeaseGrantRequest>,
    #[prost(message, optional, tag = "9")]
    lease_revoke: Option<pb::LeaseRevokeRequest>,
    #[prost(message, optional, tag = "10")]
    alarm: Option<pb::AlarmRequest>,
    #[prost(message, optional, tag = "1000")]
    enable: Option<pb::AuthEnableRequest>,
    #[prost(message, optional, tag = "1011")]
    disable: Option<pb::AuthDisableRequest>,
    #[prost(message, optional, tag = "1012")]
    authenticate: Option<Named>,
    #[prost(message, optional, tag = "1013")]
    status: Option<pb::AuthStatusRequest>,
    #[prost(message, optional, tag = "1100")]
    user_add: Option<Named>,
    #[prost(message, optional, tag = "1101")]
    user_delete: Option<Named>,
    #[prost(message, optional, tag = "1102")]
    user_get: Option<Named>,
    #[prost(message, optional, tag = "1104")]
    user_grant: Option<Named>,
    #[prost(message, optional, tag = "1200")]
    role_add: Option<Named>,
    #[prost(message, optional, tag = "1201")]
    role_delete: Option<Named>,
    #[prost(message, optional, tag = "1202")]
    role_get: Option<Named>,
    #[prost(message, optional, tag = "1203")]
    role_grant: Option<Named>,
}

/// The revision at the place of each request in the log, its own change included, by a name that
/// tells it from all others of the test.
pub(super) fn places(data_dir: &Path) -> HashMap<String, i64> {
    let mut places = HashMap::new();
    let mut revision = 1;
    let mut leases: HashMap<i64, HashSet<Vec<u8>>> = HashMap::new();
    // Switching auth off makes a new revision of it; a put still on its way with an older one is
    // refused where auth is on again.
    let (mut auth, mut newest, mut past) = (false, 0, 0);
    let mut turns: HashMap<&str, u32> = HashMap::new();
    for data in entries(data_dir).into_values() {
        // Members publish their names in an older form, which is no proposal.
        let Ok(entry) = Proposal::decode(&*data) else {
            continue;
        };
        if entry.v2.is_some() {
            continue;
        }
        let header = entry.header.unwrap_or_default();
        newest = newest.max(header.auth_revision);
        let mut turn = |what: &'static str| {
            let turn = turns.entry(what).or_default();
            *turn += 1;
            format!("{what} {turn}")
        };
        let named = |what: &str, named: Option<Named>| named.map(|n| format!("{what} {}", n.name));
        let name = if let Some(put) = entry.put {
            let lease = (put.lease != 0).then(|| leases.get_mut(&put.lease));
            let stranger = header.user.is_empty() || header.auth_revision <= past;
            let refused = (auth && stranger) || matches!(lease, Some(None));
            if !refused {
                revision += 1;
                if let Some(Some(keys)) = lease {
                    keys.insert(put.key);
                }
            }
            Some(format!("put {}", String::from_utf8_lossy(&put.value)))
        } else if let Some(grant) = entry.lease_grant {
            leases.insert(grant.id, HashSet::new());
            Some(format!("grant {}", grant.id))
        } else if let Some(revoke) = entry.lease_revoke {
            let keys = leases.remove(&revoke.id).unwrap_or_default();
            revision += i64::from(!keys.is_empty());
            Some(format!("revoke {}", revoke.id))
        } else if let Some(compaction) = entry.compaction {
            Some(format!("compact {}", compaction.revision))
        } else if entry.alarm.is_some() {
            Some(turn("alarm"))
        } else if entry.enable.is_some() {
            auth = true;
            Some(turn("enable"))
        } else if entry.disable.is_some() {
            (auth, past) = (false, newest);
            Some(turn("disable"))
        } else if entry.authenticate.is_some() {
            Some(turn("authenticate"))
        } else if entry.status.is_some() {
            Some(turn("auth status"))
        } else {
            named("user add", entry.user_add)
                .or(named("user delete", entry.user_delete))
                .or(named("user get", entry.user_get))
                .or(named("user grant", entry.user_grant))
                .or(named("role add", entry.role_add))
                .or(named("role delete", entry.role_delete))
                .or(named("role get", entry.role_get))
                .or(named("role grant", entry.role_grant))
        };
        if let Some(name) = name {
            // The first of that name: a request that is refused can be sent again.
            places.entry(name).or_insert(revision);
        }
    }
    places
}

/// The normal entries by index; a later one replaces those from its index on.
fn entries(data_dir: &Path) -> BTreeMap<u64, Vec<u8>> {
    const ENTRY: i64 = 2;
    const NORMAL: i32 = 0;
    let mut files: Vec<_> = std::fs::read_dir(data_dir.join("member/wal"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wal"))
        .collect();
    files.sort();
    let mut entries = BTreeMap::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        let mut rest = &bytes[..];
        while let Some((frame, after)) = rest.split_first_chunk::<8>() {
            let frame = u64::from_le_bytes(*frame);
            let length = usize::try_from(frame & !(0xff << 56)).unwrap();
            if length == 0 {
                break;
            }
            let padding = match frame >> 63 {
                1 => usize::try_from((frame >> 56) & 7).unwrap(),
                _ => 0,
            };
            let record = Record::decode(&after[..length]).unwrap();
            rest = &after[length + padding..];
            if record.kind == ENTRY {
                let entry = Entry::decode(&*record.data).unwrap();
                entries.split_off(&entry.index);
                if entry.kind == NORMAL {
                    entries.insert(entry.index, entry.data);
                }
            }
        }
    }
    entries
}
