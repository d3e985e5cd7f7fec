//! Operations over interned keys and values: 50 to 90 bytes each.

use hashbrown::{HashMap, HashSet};

use super::intern::Interner;
use crate::history::{Bytes, CompareResult, Invoke, SortTarget};
use crate::linearizable::leases::NANOS;
use crate::linearizable::operation::OperationId;

/// Stands for no index.
pub(super) const NONE: u32 = u32::MAX;

/// A history of etcd's key-value API in little memory: keys, values and leases are numbers.
///
/// It is filled operation by operation, so that a file need not be held as records. What cannot
/// be expressed, such as revisions beyond 32 bits, is remembered: [`Dense::order`] then finds
/// nothing, and the records have to be checked.
#[derive(Clone, Default)]
pub struct Dense {
    pub(super) ops: Vec<Op>,
    pub(super) keys: Interner,
    pub(super) values: Interner,
    /// Lease ids by number; number 0 is no lease.
    pub(super) leases: Vec<i64>,
    pub(super) lease_numbers: HashMap<i64, u32>,
    pub(super) kvs: Vec<Kv>,
    pub(super) puts: Vec<PutForm>,
    pub(super) ranges: Vec<Range>,
    pub(super) deletes: Vec<Delete>,
    pub(super) txns: Vec<Txn>,
    pub(super) guards: Vec<Guard>,
    /// Branches of transactions.
    pub(super) parts: Vec<Action>,
    /// Ranges of keys, first key and end.
    pub(super) spans: Vec<(Bytes, Bytes)>,
    pub(super) span_numbers: HashMap<(Bytes, Bytes), u32>,
    /// Acknowledged renewals: lease, return, call.
    pub(super) renewals: Vec<(u32, u64, u64)>,
    /// Watch events: revision, key, and the value put, if it was a put. Hints only.
    pub(super) events: Vec<(u32, u32, Option<u32>)>,
    /// Versions and create revisions are not recorded.
    pub(super) lean: bool,
    /// Invocations that have not returned yet, of records taken one by one; none where the request
    /// is of another API.
    pub(super) open: HashMap<u64, Option<Invoke>>,
    /// One more than the highest number of an invocation, and those below it that have not come.
    pub(super) next: u64,
    pub(super) skipped: HashSet<u64>,
    /// Operations pushed, those that say nothing included.
    pub(super) pushed: u64,
    /// What cannot be expressed.
    pub(super) outside: Option<&'static str>,
}

/// One operation.
#[derive(Clone, Copy)]
pub(super) struct Op {
    /// Its number in its stream, [`OBSERVED`] added where that is `observations.jsonl`.
    pub id: u64,
    pub call: u64,
    /// [`NEVER`] where the effect may still come.
    pub ret: u64,
    /// As in [`Role`].
    pub revision: u32,
    pub part: Part,
    pub action: Action,
}

pub(super) const OBSERVED: u64 = 1 << 63;

/// [`Role`] without its revision, as far as an operation takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Write,
    Read,
    Revoke,
    LocalRead,
    Compaction,
    SawCompacted,
    /// The same, answered from the member's own state.
    SawCompactedLocally,
    SawFuture,
    Maybe,
    MaybeCompaction,
}

/// What is asked, and answered where there is an answer.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// The newest of one key: the key-value, or [`NONE`] where it is absent.
    Get {
        key: u32,
        kv: u32,
    },
    Range(u32),
    /// `form` is [`NONE`] for a put that asks and keeps nothing.
    Put {
        key: u32,
        value: u32,
        lease: u32,
        form: u32,
    },
    Delete(u32),
    Txn(u32),
    /// To this revision.
    Compact(u32),
    /// `ttl` in seconds.
    Grant {
        lease: u32,
        ttl: u32,
    },
    Revoke(u32),
    /// An error, that says something of its revision only.
    Error,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kv {
    pub key: u32,
    pub value: u32,
    pub create: u32,
    pub modified: u32,
    pub version: u32,
    pub lease: u32,
}

/// The less usual options of a put.
#[derive(Clone, Copy)]
pub(super) struct PutForm {
    pub ask_previous: bool,
    pub keep_value: bool,
    pub keep_lease: bool,
    /// The key-value before, as answered, or [`NONE`].
    pub previous: u32,
}

/// Keys that a request is about.
#[derive(Clone, Copy)]
pub(super) enum Span {
    One(u32),
    /// An index into [`Dense::spans`].
    Many(u32),
}

/// Indices `start..start + len` of some vector.
#[derive(Clone, Copy, Default)]
pub(super) struct Slice {
    pub start: u32,
    pub len: u32,
}

impl Slice {
    pub(super) fn of<T>(self, vector: &[T]) -> &[T] {
        &vector[self.start as usize..][..self.len as usize]
    }
}

#[derive(Clone, Copy)]
pub(super) struct Range {
    pub span: Span,
    /// 0 means no limit.
    pub limit: u32,
    /// The revision it is pinned to; 0 means the newest.
    pub pin: u32,
    pub sorted_by: SortTarget,
    pub descending: bool,
    pub keys_only: bool,
    pub count_only: bool,
    /// Bounds of mod and create revision, 0 means none.
    pub min_mod: u32,
    pub max_mod: u32,
    pub min_create: u32,
    pub max_create: u32,
    /// What was answered.
    pub kvs: Slice,
    pub count: u32,
    pub more: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Delete {
    pub span: Span,
    pub ask_previous: bool,
    /// What was answered.
    pub deleted: u32,
    pub previous: Slice,
}

#[derive(Clone, Copy)]
pub(super) struct Txn {
    pub guards: Slice,
    pub success: Slice,
    pub failure: Slice,
    /// What was answered.
    pub succeeded: bool,
    /// A range in the branch taken is pinned to a revision.
    pub pinned: bool,
}

impl Txn {
    /// The branch that the answer says was taken.
    pub(super) fn taken(&self) -> Slice {
        if self.succeeded {
            self.success
        } else {
            self.failure
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Guard {
    pub span: Span,
    pub result: CompareResult,
    pub target: Target,
}

#[derive(Clone, Copy)]
pub(super) enum Target {
    Version(i64),
    Create(i64),
    Mod(i64),
    /// A lease id as it came.
    Lease(i64),
    Value(u32),
}

impl Op {
    pub(super) fn id(&self) -> OperationId {
        if self.id & OBSERVED == 0 {
            OperationId::History(self.id)
        } else {
            OperationId::Observation(self.id & !OBSERVED)
        }
    }

    /// Whether an answer came that is to be compared.
    pub(super) fn is_answered(&self) -> bool {
        self.part != Part::Maybe
    }
}

/// A time to live in nanoseconds.
pub(super) fn nanos(ttl: u32) -> u64 {
    u64::from(ttl).saturating_mul(NANOS)
}
