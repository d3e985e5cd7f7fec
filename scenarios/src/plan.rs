//! The plan: everything a run will do, drawn from one seed and written to `plan.toml`.
//!
//! A plan holds knobs, the fault schedule and one sub-seed a client. Operations are drawn at run
//! time from the sub-seeds (a compare-and-set needs the answer before it) and recorded. Real
//! processes are not deterministic: the same plan gives the same requests and faults at the same
//! planned times, not the same interleaving.

mod armed;
mod disk;
mod network;
mod steps;
mod watchers;

use serde::{Deserialize, Serialize};

pub use armed::{Act, Arm, Binding, Edge, Place, Returns};
pub use disk::{DiskFault, DiskFaultKind, DiskOp, DiskPlan, Survival};
pub use network::{Clients, How, Network, Shape};
pub use steps::{Action, Event, Step, StepPhase, Target, When};
pub use watchers::{WatchOf, WatchStart, WatcherPlan};

/// The major version of `plan.toml`. A newer major is refused.
pub const PLAN_MAJOR: u32 = 1;
/// The minor version: grows when fields are added.
pub const PLAN_MINOR: u32 = 4;
/// How seeds become plans. A change of any draw changes this name, so that an old seed is never
/// silently read as another plan.
pub const SEED_SCHEME: &str = "chacha20-named-streams-1";

/// A run, fully drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Format version `major`.
    pub major: u32,
    /// Format version `minor`.
    pub minor: u32,
    /// The build that drew it.
    pub build: String,
    /// The scenario's name.
    pub scenario: String,
    /// What the scenario is about, in a line.
    pub title: String,
    /// The issue it cites, as an address; empty where there is none.
    #[serde(default)]
    pub issue: String,
    /// The seed, as a decimal string.
    pub seed: String,
    /// [`SEED_SCHEME`] of the build that drew it.
    pub seed_scheme: String,
    /// The store it was drawn for; filled in by the harness before the run.
    pub store: StorePin,
    /// Every choice drawn, as name and value, for the header on the terminal and the report.
    pub drawn: Vec<(String, String)>,
    /// Members and their flags.
    pub cluster: ClusterPlan,
    /// Users and permissions; none means that auth stays off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthPlan>,
    /// Clients and what they do.
    pub traffic: TrafficPlan,
    /// A known fix that is taken out of the store at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<Planted>,
    /// Further binaries, which steps swap members to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swaps: Vec<StorePin>,
    /// What the nemesis does, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What is expected, by version.
    #[serde(default)]
    pub expect: Vec<Expectation>,
}

/// The binary a plan is pinned to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StorePin {
    /// As given to `--store`.
    pub spec: String,
    /// The version of etcd that the binary states, or behaves as. Of a command: what it was said
    /// to be, if anything.
    pub version: String,
    /// SHA-256 of the binary, hex.
    pub sha256: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "StoreKind::is_etcd")]
    pub kind: StoreKind,
    /// Whether it serves failpoints, as builds with gofail do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub points: bool,
    /// What of etcd it does not have, by the names of the harness.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl StorePin {
    /// The store in words.
    #[must_use]
    pub fn told(&self) -> String {
        let Self { spec, version, .. } = self;
        match self.kind {
            StoreKind::Etcd => version.clone(),
            StoreKind::Embedded => {
                let build = env!("CARGO_PKG_VERSION");
                format!("embedded store (gauntlet {build}), as etcd {version}")
            }
            StoreKind::Command if version.is_empty() => spec.clone(),
            StoreKind::Command => format!("{spec}, said to be {version}"),
        }
    }
}

/// What a store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// A release or build of etcd.
    #[default]
    Etcd,
    /// The store that gauntlet itself has.
    Embedded,
    /// Any other, started by a command of the user's.
    Command,
}

impl StoreKind {
    fn is_etcd(&self) -> bool {
        *self == Self::Etcd
    }
}

/// A known bug that every member has from its start on, though the store is sound without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planted {
    /// The bug's number among etcd's issues, or the name of one of ours.
    pub issue: String,
    /// What breaks, in a line.
    pub title: String,
    /// How it gets there.
    #[serde(flatten)]
    pub by: PlantedBy,
}

/// How a bug gets into a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PlantedBy {
    /// The embedded store is told to have it.
    Flag {
        /// The flag, for every member.
        flag: String,
    },
    /// A function of its fix is skipped.
    Skip {
        /// The function, as a pattern; the first that the binary has.
        skip: Vec<String>,
        /// Only when called, directly or not, from this one; a pattern.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        called_from: Option<String>,
        /// What the skipped function returns.
        #[serde(default)]
        returns: Returns,
    },
}

/// Members and their flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// How many at the start: 1, 3 or 5. They are called `m1`, `m2`, …
    pub members: u32,
    /// TLS for clients and peers.
    #[serde(default)]
    pub tls: bool,
    /// Whether peers talk through proxies that can cut.
    #[serde(default)]
    pub peer_proxies: bool,
    /// Whether clients talk to members through proxies that can cut.
    #[serde(default)]
    pub client_proxies: bool,
    /// What members' links to each other are made of.
    #[serde(default)]
    pub network: Network,
    /// Whether members' data are on disks that can lose power, and how those keep names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskPlan>,
    /// `--heartbeat-interval`, in milliseconds.
    pub heartbeat_ms: u64,
    /// `--election-timeout`, in milliseconds.
    pub election_ms: u64,
    /// `--snapshot-count`.
    pub snapshot_count: u64,
    /// Further flags of every member.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Environment of every member, each `NAME=value`: of the Go runtime, say, since a member is
    /// configured by flags.
    #[serde(default)]
    pub env: Vec<String>,
}

/// Users and permissions. Passwords are made by the harness from the user's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthPlan {
    /// Users besides root, which always exists.
    pub users: Vec<UserPlan>,
}

/// A user with one role of its own, called as the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserPlan {
    /// The name.
    pub name: String,
    /// Key prefixes that the user's role may read and write when traffic starts.
    pub prefixes: Vec<String>,
}

/// Clients and what they do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrafficPlan {
    /// How long clients run at least, in milliseconds; they run on until the last step is done.
    pub time_ms: u64,
    /// Clients' requests time out after this, in milliseconds.
    pub request_timeout_ms: u64,
    /// Keys written before traffic starts, to give the backend some size.
    #[serde(default)]
    pub preload_keys: u32,
    /// Bytes of padding in each value.
    #[serde(default)]
    pub value_bytes: u32,
    /// What the clients do.
    pub profile: Profile,
    /// The clients.
    pub clients: Vec<ClientPlan>,
    /// The watchers beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watchers: Vec<WatcherPlan>,
}

/// One client, pinned to one member for the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientPlan {
    /// Its number, from 1.
    pub id: u32,
    /// The member it is pinned to. A member that is added later has clients from then on.
    pub member: String,
    /// Sub-seed of its operations, as a decimal string.
    pub seed: String,
    /// The user it logs in as; none means no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Operations a second; 0 means closed-loop.
    #[serde(default)]
    pub rate: u32,
}

/// What clients do, as weights: an operation is drawn with probability weight / sum of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Prefixes of the keys used; each key is `prefix` + number.
    pub prefixes: Vec<String>,
    /// Keys a prefix.
    pub keys: u32,
    /// Weights.
    pub weights: Weights,
    /// Time to live of granted leases, in seconds.
    pub lease_ttl_s: i64,
    /// How long a watch lives, in milliseconds.
    pub watch_ms: u64,
    /// Watches open at the same time, a client.
    pub watches_max: u32,
    /// Limit of limited ranges.
    pub range_limit: i64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            name: "default".into(),
            prefixes: vec!["k/".into()],
            keys: 10,
            weights: Weights::default(),
            lease_ttl_s: 300,
            watch_ms: 500,
            watches_max: 1,
            range_limit: 3,
        }
    }
}

macro_rules! weights {
    ($($(#[$doc:meta])* $name:ident = $default:literal),* $(,)?) => {
        /// Weights of the operations of a [`Profile`].
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Weights { $($(#[$doc])* pub $name: u32,)* }

        impl Default for Weights {
            fn default() -> Self { Self { $($name: $default,)* } }
        }

        impl Weights {
            /// All zero.
            #[must_use]
            pub fn none() -> Self { Self { $($name: 0,)* } }

            /// Name and weight of each operation, in the order of drawing.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, u32)> {
                vec![$((stringify!($name), self.$name),)*]
            }

            /// Sets the weight of this operation; false where there is none of that name.
            pub fn set(&mut self, name: &str, weight: u32) -> bool {
                match name {
                    $(stringify!($name) => self.$name = weight,)*
                    _ => return false,
                }
                true
            }
        }
    };
}
weights! {
    /// Linearizable range of one key.
    get = 16,
    /// Serializable range of one key.
    get_serializable = 4,
    /// Linearizable range of one key at a revision this client has seen.
    get_at_revision = 4,
    /// Linearizable range of a prefix.
    list = 4,
    /// Linearizable range of a prefix with a limit.
    list_limit = 3,
    /// Count or keys only of a prefix.
    count = 2,
    /// Serializable range of a prefix.
    list_serializable = 2,
    /// Put of a unique value; half of them ask for the previous key-value.
    put = 30,
    /// Put with a lease that this client holds.
    put_lease = 3,
    /// Delete of one key; half of them ask for the previous key-value.
    delete = 5,
    /// Delete of a prefix.
    delete_prefix = 1,
    /// Compare-and-set of one key on its mod revision, value or version, with a read otherwise.
    txn_cas = 10,
    /// Transaction of several operations on distinct keys of one prefix.
    txn_multi = 5,
    /// The same on keys of any prefixes. Off by default: where a user may use only some of them,
    /// etcd before 3.7 checks other permissions on the proposing member than on the rest, and
    /// members diverge (a sibling of <https://github.com/etcd-io/etcd/issues/18667>).
    txn_across_prefixes = 0,
    /// A read of one to three lists in one transaction and, if it was answered, a transaction that
    /// appends to one or two of them, guarded by their mod revisions. Lists are keys of their own,
    /// whatever the prefixes. Off by default, as it is for users without permission on them.
    list_append = 0,
    /// Lease grant.
    lease_grant = 2,
    /// Lease revocation.
    lease_revoke = 1,
    /// Lease keep-alive.
    lease_keep_alive = 1,
    /// Lease time to live, with keys.
    lease_time_to_live = 1,
    /// Compaction at a put of this client's own (a put where there is none since its last), so never
    /// at a delete: see `compact_delete`.
    compact = 1,
    /// A watch of a prefix or key.
    watch = 2,
    /// A delete of one key and, if it deleted it, a compaction at exactly its revision and a watch of
    /// the key from that revision on.
    compact_delete = 0,
}

/// What is expected of which versions of etcd, or of the embedded store with a bug.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Version requirement, for example `>=3.5.0, <3.5.6`; empty where the row is of a bug.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub versions: String,
    /// Bugs of the embedded store, by their ids: the row is of runs with any of them planted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bug: Vec<String>,
    /// `holds` or `violated`.
    pub verdict: ExpectedVerdict,
    /// Guarantees of which at least one is then broken; names of `checker::verdict::Guarantee`.
    #[serde(default)]
    pub guarantees: Vec<String>,
    /// Why, with the issue.
    #[serde(default)]
    pub because: String,
}

/// The two verdicts that can be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedVerdict {
    /// Nothing breaks.
    Holds,
    /// Something breaks.
    Violated,
}
