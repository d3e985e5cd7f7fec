//! A small simulated cluster that records what it does as a run.

use std::collections::{BTreeMap, BTreeSet};

use checker::history::{
    Asked, Bytes, DeleteResponse, ErrorOrigin, HashKvResponse, Invoke, KeyValue,
    MaintenanceRequest, MemberInfo, ObservationRecord, Outcome, Phase, ProcessEvent,
    ProcessEventKind, Purpose, PutResponse, RangeResponse, Record, Request, Response,
    ResponseHeader, Return, StatusResponse, WatchDelivery, WatchRequest, WatchResponse,
};

mod finish;
mod requests;

pub(crate) use requests::{delete, everything, get, id, put, put_lease, status};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const DENIED: (i32, &str) = (7, "etcdserver: permission denied");
pub(crate) const BAD_TOKEN: (i32, &str) = (16, "etcdserver: invalid auth token");
pub(crate) const NO_LEASE: (i32, &str) = (5, "etcdserver: requested lease not found");

/// How a simulated request ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Ok,
    Error((i32, &'static str)),
    Timeout,
}

impl End {
    pub(crate) fn outcome(self, ok: impl FnOnce() -> Response) -> Outcome {
        match self {
            Self::Ok => Outcome::Ok { response: ok() },
            Self::Error((code, message)) => Outcome::Error {
                code,
                message: message.to_owned(),
                origin: ErrorOrigin::Server,
            },
            Self::Timeout => Outcome::Error {
                code: 4,
                message: "deadline".to_owned(),
                origin: ErrorOrigin::Deadline,
            },
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Store {
    pub(crate) revision: i64,
    pub(crate) keys: BTreeMap<Bytes, KeyValue>,
}

impl Store {
    pub(crate) fn put(&mut self, key: &str, value: &str, lease: i64) {
        self.revision += 1;
        let kv = self.keys.entry(key.into()).or_insert_with(|| KeyValue {
            key: key.into(),
            create_revision: self.revision,
            ..KeyValue::default()
        });
        kv.mod_revision = self.revision;
        kv.version += 1;
        kv.value = value.into();
        kv.lease = lease;
    }

    pub(crate) fn delete(&mut self, key: &str) {
        if self.keys.remove(&Bytes::from(key)).is_some() {
            self.revision += 1;
        }
    }
}

pub(crate) struct Sim {
    pub(crate) now: u64,
    pub(crate) history: Vec<Record>,
    pub(crate) observations: Vec<ObservationRecord>,
    pub(crate) stores: BTreeMap<&'static str, Store>,
    pub(crate) learners: BTreeSet<&'static str>,
    pub(crate) applied: BTreeMap<&'static str, u64>,
    pub(crate) index: u64,
    pub(crate) compacted: i64,
    op: u64,
    observation: u64,
}

pub(crate) const ALL: &[&str] = &["m1", "m2", "m3"];

impl Sim {
    /// Three voters, up, in the traffic phase.
    pub(crate) fn new() -> Self {
        let store = Store {
            revision: 1,
            ..Store::default()
        };
        let mut sim = Self {
            now: 0,
            history: vec![],
            observations: vec![],
            stores: ["m1", "m2", "m3"].map(|m| (m, store.clone())).into(),
            learners: BTreeSet::new(),
            applied: ["m1", "m2", "m3"].map(|m| (m, 10)).into(),
            index: 10,
            compacted: -1,
            op: 0,
            observation: 0,
        };
        sim.phase(Phase::Setup);
        for member in ALL {
            sim.process(member, ProcessEventKind::Started, true);
        }
        sim.membership();
        sim.phase(Phase::Traffic);
        sim
    }

    pub(crate) fn tick(&mut self) -> u64 {
        self.now += 10 * MS;
        self.now
    }

    pub(crate) fn phase(&mut self, phase: Phase) {
        let at = self.tick();
        self.observations
            .push(ObservationRecord::Phase { at, phase });
    }

    pub(crate) fn process(&mut self, member: &str, event: ProcessEventKind, planned: bool) {
        let at = self.tick();
        self.observations
            .push(ObservationRecord::Process(ProcessEvent {
                at,
                member: member.to_owned(),
                pid: 100,
                event,
                planned,
                last_lines: vec![],
            }));
    }

    pub(crate) fn membership(&mut self) {
        let at = self.tick();
        let members = self.stores.keys().map(|name| MemberInfo {
            name: (*name).to_owned(),
            id: id(name),
            learner: self.learners.contains(name),
            version: "3.5.1".to_owned(),
        });
        let members = members.collect();
        self.observations
            .push(ObservationRecord::Membership { at, members });
    }

    pub(crate) fn header(&self, member: &str) -> ResponseHeader {
        let revision = self.stores.get(member).map_or(0, |store| store.revision);
        ResponseHeader {
            cluster_id: 1,
            member_id: id(member),
            revision,
            raft_term: 2,
        }
    }

    /// A client's request that is applied on some members, and how it ended.
    pub(crate) fn client(
        &mut self,
        member: &str,
        user: Option<&str>,
        request: Request,
        on: &[&str],
        end: End,
    ) -> u64 {
        let id = self.invoke(member, user, request.clone());
        self.apply(&request, on);
        self.end(id, member, &request, end);
        id
    }

    pub(crate) fn invoke(&mut self, member: &str, user: Option<&str>, request: Request) -> u64 {
        self.op += 1;
        let at = self.tick();
        self.history.push(Record::Invoke(Invoke {
            id: self.op,
            at,
            client: 1,
            member: member.to_owned(),
            user: user.map(str::to_owned),
            request,
        }));
        self.op
    }

    pub(crate) fn end(&mut self, id: u64, member: &str, request: &Request, end: End) {
        let at = self.tick();
        let outcome = end.outcome(|| self.respond(member, request));
        self.history
            .push(Record::Return(Return { id, at, outcome }));
    }

    pub(crate) fn apply(&mut self, request: &Request, on: &[&str]) {
        if matches!(
            request,
            Request::Put(_) | Request::Delete(_) | Request::LeaseRevoke { .. }
        ) {
            self.index += 1;
            self.applied.values_mut().for_each(|applied| *applied += 1);
        }
        for (_, store) in self
            .stores
            .iter_mut()
            .filter(|(member, _)| on.contains(*member))
        {
            match request {
                Request::Put(put) => {
                    store.put(&put.key.to_string(), &put.value.to_string(), put.lease);
                }
                Request::Delete(delete) => store.delete(&delete.key.to_string()),
                Request::LeaseRevoke { id } => {
                    let gone = store.keys.values().find(|kv| kv.lease == *id);
                    if let Some(key) = gone.map(|kv| kv.key.to_string()) {
                        store.delete(&key);
                    }
                }
                _ => {}
            }
        }
    }

    pub(crate) fn respond(&self, member: &str, request: &Request) -> Response {
        let header = self.header(member);
        match request {
            Request::Range(range) => {
                let all = self
                    .stores
                    .get(member)
                    .into_iter()
                    .flat_map(|store| store.keys.values());
                let kvs: Vec<_> = all
                    .filter(|kv| {
                        if range.range_end.is_empty() {
                            kv.key == range.key
                        } else {
                            kv.key >= range.key
                                && (range.range_end == Bytes(vec![0]) || kv.key < range.range_end)
                        }
                    })
                    .cloned()
                    .collect();
                let count = kvs.len() as i64;
                Response::Range(RangeResponse {
                    header,
                    kvs,
                    more: false,
                    count,
                })
            }
            Request::Put(_) => Response::Put(PutResponse {
                header,
                prev_kv: None,
            }),
            Request::Delete(_) => Response::Delete(DeleteResponse {
                header,
                deleted: 1,
                prev_kvs: vec![],
            }),
            Request::LeaseRevoke { .. } => Response::LeaseRevoke { header },
            Request::LeaseGrant { id, ttl } => Response::LeaseGrant {
                header,
                id: *id,
                ttl: *ttl,
            },
            Request::Authenticate { .. } => Response::Authenticate { header, token: 1 },
            Request::Auth(_) => Response::Auth { header },
            Request::Maintenance(MaintenanceRequest::Status) => Response::Status(StatusResponse {
                header,
                leader: id("m1"),
                raft_index: self.index,
                raft_applied_index: self.applied.get(member).copied().unwrap_or(0),
                ..StatusResponse::default()
            }),
            Request::Maintenance(MaintenanceRequest::HashKv { revision }) => {
                Response::HashKv(HashKvResponse {
                    header,
                    hash: self.hash(member, *revision),
                    compact_revision: self.compacted,
                    hash_revision: 0,
                })
            }
            other => panic!("the simulated cluster has no answer to {other:?}"),
        }
    }

    fn hash(&self, member: &str, revision: i64) -> u32 {
        let mut hash: u32 = 7;
        for kv in self
            .stores
            .get(member)
            .into_iter()
            .flat_map(|store| store.keys.values())
        {
            if kv.mod_revision <= revision {
                for byte in format!("{kv:?}").bytes() {
                    hash = hash.wrapping_mul(31).wrapping_add(u32::from(byte));
                }
            }
        }
        hash
    }

    /// A watch that is told of progress to a revision, then of progress to the one before.
    pub(crate) fn watch_that_goes_back(&mut self, member: &str) {
        let request = Request::Watch(WatchRequest {
            key: "k".into(),
            ..WatchRequest::default()
        });
        let id = self.invoke(member, None, request);
        for revision in [2, 1] {
            let at = self.tick();
            let header = ResponseHeader {
                revision,
                ..self.header(member)
            };
            let response = WatchResponse {
                header,
                ..WatchResponse::default()
            };
            self.history
                .push(Record::Watch(WatchDelivery { id, at, response }));
        }
    }

    pub(crate) fn put(&mut self, member: &str, key: &str, value: &str) -> u64 {
        self.client(member, None, put(key, value), ALL, End::Ok)
    }

    pub(crate) fn ask(
        &mut self,
        purpose: Purpose,
        round: u32,
        member: &str,
        user: Option<&str>,
        request: Request,
        end: End,
    ) -> u64 {
        if let End::Ok = end {
            self.apply(&request, ALL);
        }
        let outcome = end.outcome(|| self.respond(member, &request));
        self.record(purpose, round, member, user, request, outcome)
    }

    pub(crate) fn record(
        &mut self,
        purpose: Purpose,
        round: u32,
        member: &str,
        user: Option<&str>,
        request: Request,
        outcome: Outcome,
    ) -> u64 {
        self.observation += 1;
        let at = self.tick();
        let until = self.tick();
        self.observations.push(ObservationRecord::Asked(Asked {
            id: self.observation,
            at,
            until,
            purpose,
            round,
            member: member.to_owned(),
            user: user.map(str::to_owned),
            request,
            outcome,
        }));
        self.observation
    }
}
