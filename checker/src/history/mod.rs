//! The recorded run, as data: what clients asked and heard, what was broken and when, and what the
//! harness itself observed.
//!
//! Three streams share one monotonic clock (nanoseconds since the run's start):
//!
//! * [`Record`] in `history.jsonl`: every client invocation and response, and watch deliveries;
//! * [`FaultRecord`] in `faults.jsonl`: what the nemesis did, and what it refused to do;
//! * [`ObservationRecord`] in `observations.jsonl`: every request that is not traffic (status,
//!   hashes, final reads, log-ins), process exits, membership and phases.
//!
//! An invocation is queued for the file before its request is sent, so every prefix of a file is a
//! legal history: a response can only be in it after its invocation.

mod bytes;
mod observed;
mod reader;
mod request;
mod response;

pub use bytes::Bytes;
pub use observed::{
    Asked, FaultPhase, FaultRecord, LogLine, MemberInfo, ObservationRecord, Phase, ProcessEvent,
    ProcessEventKind, Purpose,
};
pub use reader::{ReadError, Reader, StreamRecord, read_all};
pub use request::{
    AuthRequest, ClusterRequest, Compare, CompareResult, CompareTarget, DeleteRequest,
    MaintenanceRequest, PutRequest, RangeRequest, Request, SortOrder, SortTarget, TxnOp,
    TxnRequest, WatchRequest,
};
pub use response::{
    DeleteResponse, Event, EventKind, HashKvResponse, KeyValue, Member, PutResponse, RangeResponse,
    Response, ResponseHeader, StatusResponse, TxnOpResponse, TxnResponse, WatchResponse,
};

use serde::{Deserialize, Serialize};

/// The major version of the three file formats. A reader refuses a newer major; within a major,
/// unknown fields are ignored.
pub const SCHEMA_MAJOR: u32 = 1;
/// The minor version: grows when fields are added.
pub const SCHEMA_MINOR: u32 = 1;

/// Which of the run directory's streams a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// `history.jsonl`.
    History,
    /// `faults.jsonl`.
    Faults,
    /// `observations.jsonl`.
    Observations,
}

/// One pairing of the monotonic clock with wall time, so that member logs can be aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockPair {
    /// Nanoseconds since the run's start.
    pub at: u64,
    /// Nanoseconds since the Unix epoch.
    pub wall_unix_ns: u64,
}

/// The first line of each stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Which stream this is.
    pub stream: Stream,
    /// Format version `major`.
    pub major: u32,
    /// Format version `minor`.
    pub minor: u32,
    /// The build that wrote the file, for example `gauntlet 0.1.0`.
    pub build: String,
    /// Clock pair at the start.
    pub clock: ClockPair,
}

/// The last line of each stream of a run that ended in order. A file without it is a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// Clock pair at the end.
    pub clock: ClockPair,
    /// How many records stand between header and footer.
    pub records: u64,
}

/// One line of `history.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// First line.
    Header(Header),
    /// A client is about to send a request.
    Invoke(Invoke),
    /// A client has heard, or given up.
    Return(Return),
    /// A message arrived on a watch stream.
    Watch(WatchDelivery),
    /// Last line.
    Footer(Footer),
}

/// A client's request, written before it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invoke {
    /// Number of the operation, unique in the run.
    pub id: u64,
    /// When, in nanoseconds since the run's start, taken before the request is sent.
    pub at: u64,
    /// Which client. A client has at most one unary request in flight; watches are separate.
    pub client: u32,
    /// The member that the client is pinned to, for example `m1`.
    pub member: String,
    /// The user whose token went with the request, if any (never the token itself).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The full request.
    pub request: Request,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Return {
    /// The operation's number.
    pub id: u64,
    /// When, in nanoseconds since the run's start, taken after the response arrived.
    pub at: u64,
    /// What came back.
    pub outcome: Outcome,
}

/// A message on the watch that invocation `id` created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchDelivery {
    /// The number of the invocation whose request is [`Request::Watch`].
    pub id: u64,
    /// When it arrived.
    pub at: u64,
    /// The message.
    pub response: WatchResponse,
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// A response arrived.
    Ok {
        /// The full response.
        response: Response,
    },
    /// An error, as raw as it came. Whether it is definite is decided from `api::errors` by the
    /// checker, not by the recorder, so that a mended table judges old histories anew.
    Error {
        /// The gRPC status code, 0 to 16.
        code: i32,
        /// The status message.
        message: String,
        /// Where the error was made.
        origin: ErrorOrigin,
    },
}

/// Where an error was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorOrigin {
    /// A status that came over the wire, as far as can be told.
    Server,
    /// Made by the gRPC client library: broken connection, decode limit.
    Client,
    /// The harness's own time limit ran out.
    Deadline,
    /// The connection was refused before any byte of the request was sent: the request certainly
    /// never reached a member.
    NotSent,
}

impl Outcome {
    /// The response, where there is one.
    #[must_use]
    pub fn response(&self) -> Option<&Response> {
        match self {
            Self::Ok { response } => Some(response),
            Self::Error { .. } => None,
        }
    }
}
