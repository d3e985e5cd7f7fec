//! A store that answers at once, and what its clients record of it.

use std::collections::BTreeMap;

use checker::history::{
    DeleteRequest, DeleteResponse, ErrorOrigin, Event, EventKind, Invoke, KeyValue, Outcome,
    PutRequest, PutResponse, RangeRequest, RangeResponse, Record, Request, Response,
    ResponseHeader, Return, TxnOp, TxnOpResponse, TxnRequest, TxnResponse, WatchDelivery,
    WatchRequest, WatchResponse,
};
use checker::judge::{Complete, RunRecords};
use checker::verdict::CheckReport;
use checker::verdict::Guarantee::Watch;
use checker::verdict::Verdict::{Holds, Violated};

use crate::expect;

const MS: u64 = 1_000_000;

/// A store that answers at once, and what it did.
pub(super) struct Script {
    now: u64,
    pub(super) ops: u64,
    pub(super) revision: i64,
    live: BTreeMap<String, KeyValue>,
    pub(super) log: Vec<Event>,
    history: Vec<Record>,
}

pub(super) fn header(revision: i64) -> ResponseHeader {
    ResponseHeader {
        revision,
        ..ResponseHeader::default()
    }
}

pub(super) fn k(request: WatchRequest) -> WatchRequest {
    WatchRequest {
        key: "k/".into(),
        range_end: "k0".into(),
        ..request
    }
}

pub(super) fn since(start_revision: i64) -> WatchRequest {
    k(WatchRequest {
        start_revision,
        ..WatchRequest::default()
    })
}

pub(super) fn created(revision: i64) -> WatchResponse {
    WatchResponse {
        header: header(revision),
        created: true,
        ..WatchResponse::default()
    }
}

pub(super) fn progress(revision: i64) -> WatchResponse {
    WatchResponse {
        header: header(revision),
        ..WatchResponse::default()
    }
}

pub(super) fn message(events: &[Event]) -> WatchResponse {
    WatchResponse {
        header: header(events.last().map_or(0, |event| event.kv.mod_revision)),
        events: events.to_vec(),
        ..WatchResponse::default()
    }
}

impl Script {
    pub(super) fn new() -> Self {
        Self {
            now: 0,
            ops: 0,
            revision: 1,
            live: BTreeMap::new(),
            log: vec![],
            history: vec![],
        }
    }

    /// Seven writes: puts of k/1 at 2, k/2 at 3, k/1 at 4, a delete of k/1 at 5, a put of k/1 at 6,
    /// one of another key at 7, and a transaction on k/1 and k/2 at 8.
    pub(super) fn usual() -> Self {
        let mut script = Self::new();
        script.put("k/1", "a");
        script.put("k/2", "b");
        script.put("k/1", "c");
        script.delete("k/1");
        script.put("k/1", "d");
        script.put("other", "e");
        script.txn(&[("k/1", "f"), ("k/2", "g")]);
        script
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.now += MS;
        self.now
    }

    pub(super) fn invoke(&mut self, request: Request) -> u64 {
        self.ops += 1;
        let at = self.tick();
        self.history.push(Record::Invoke(Invoke {
            id: self.ops,
            at,
            client: 3,
            member: "m1".into(),
            user: None,
            request,
        }));
        self.ops
    }

    pub(super) fn end(&mut self, id: u64, outcome: Outcome) {
        let at = self.tick();
        self.history
            .push(Record::Return(Return { id, at, outcome }));
    }

    pub(super) fn answered(&mut self, request: Request, response: Response) -> u64 {
        let id = self.invoke(request);
        self.end(id, Outcome::Ok { response });
        id
    }

    pub(super) fn write(&mut self, key: &str, value: &str) {
        let old = self.live.get(key);
        let kv = KeyValue {
            key: key.into(),
            create_revision: old.map_or(self.revision, |old| old.create_revision),
            mod_revision: self.revision,
            version: old.map_or(1, |old| old.version + 1),
            value: value.into(),
            lease: 0,
        };
        self.log.push(Event {
            kind: EventKind::Put,
            kv: kv.clone(),
            prev_kv: old.cloned(),
        });
        self.live.insert(key.into(), kv);
    }

    pub(super) fn put_request(key: &str, value: &str) -> PutRequest {
        PutRequest {
            key: key.into(),
            value: value.into(),
            ..PutRequest::default()
        }
    }

    pub(super) fn put(&mut self, key: &str, value: &str) -> u64 {
        self.revision += 1;
        self.write(key, value);
        let answer = PutResponse {
            header: header(self.revision),
            prev_kv: None,
        };
        let put = Self::put_request(key, value);
        self.answered(Request::Put(put), Response::Put(answer))
    }

    /// A put that takes effect and is never answered.
    pub(super) fn unheard_put(&mut self, key: &str, value: &str) {
        self.revision += 1;
        self.write(key, value);
        let id = self.invoke(Request::Put(Self::put_request(key, value)));
        self.end(
            id,
            Outcome::Error {
                code: 4,
                message: "deadline".into(),
                origin: ErrorOrigin::Deadline,
            },
        );
    }

    pub(super) fn delete(&mut self, key: &str) -> u64 {
        self.revision += 1;
        let old = self.live.remove(key);
        self.log.push(Event {
            kind: EventKind::Delete,
            kv: KeyValue {
                key: key.into(),
                mod_revision: self.revision,
                ..KeyValue::default()
            },
            prev_kv: old,
        });
        let request = DeleteRequest {
            key: key.into(),
            ..DeleteRequest::default()
        };
        let answer = DeleteResponse {
            header: header(self.revision),
            deleted: 1,
            prev_kvs: vec![],
        };
        self.answered(Request::Delete(request), Response::Delete(answer))
    }

    pub(super) fn txn(&mut self, puts: &[(&str, &str)]) -> u64 {
        self.revision += 1;
        for (key, value) in puts {
            self.write(key, value);
        }
        let request = TxnRequest {
            success: puts
                .iter()
                .map(|(key, value)| TxnOp::Put(Self::put_request(key, value)))
                .collect(),
            ..TxnRequest::default()
        };
        let answer = TxnResponse {
            header: header(self.revision),
            succeeded: true,
            responses: vec![TxnOpResponse::Put(PutResponse::default()); puts.len()],
        };
        self.answered(Request::Txn(request), Response::Txn(answer))
    }

    pub(super) fn compact(&mut self, revision: i64) -> u64 {
        let request = Request::Compact {
            revision,
            physical: false,
        };
        let header = header(self.revision);
        self.answered(request, Response::Compact { header })
    }

    pub(super) fn read(&mut self, key: &str) -> u64 {
        let request = RangeRequest {
            key: key.into(),
            ..RangeRequest::default()
        };
        let kvs: Vec<_> = self.live.get(key).cloned().into_iter().collect();
        let answer = RangeResponse {
            header: header(self.revision),
            count: kvs.len() as i64,
            kvs,
            more: false,
        };
        self.answered(Request::Range(request), Response::Range(answer))
    }

    /// The events of keys below k/ from one revision to another, as they were.
    pub(super) fn events(&self, low: i64, high: i64) -> Vec<Event> {
        let wanted = |event: &&Event| {
            event.kv.key.to_string().starts_with("k/")
                && (low..=high).contains(&event.kv.mod_revision)
        };
        let bare = |event: &Event| Event {
            prev_kv: None,
            ..event.clone()
        };
        self.log.iter().filter(wanted).map(bare).collect()
    }

    /// The same with the key-values before.
    pub(super) fn events_with_previous(&self, low: i64, high: i64) -> Vec<Event> {
        let mut events = self.events(low, high);
        for event in &mut events {
            let same = |other: &&Event| {
                (&other.kv.key, other.kv.mod_revision) == (&event.kv.key, event.kv.mod_revision)
            };
            event.prev_kv = self.log.iter().find(same).unwrap().prev_kv.clone();
        }
        events
    }

    pub(super) fn watch(&mut self, request: WatchRequest, messages: Vec<WatchResponse>) -> u64 {
        let id = self.invoke(Request::Watch(request));
        let count = messages.len() as u64;
        for response in messages {
            let at = self.tick();
            self.history
                .push(Record::Watch(WatchDelivery { id, at, response }));
        }
        let response = Response::WatchEnd { messages: count };
        self.end(id, Outcome::Ok { response });
        id
    }

    pub(super) fn records(&self) -> RunRecords {
        RunRecords {
            history: self.history.clone(),
            faults: vec![],
            observations: vec![],
            complete: Complete::ALL,
        }
    }

    #[track_caller]
    pub(super) fn holds(&self) {
        let report = expect(&self.records(), Watch, Holds);
        assert!(report.findings.is_empty(), "{report:#?}");
    }

    /// The names of the broken properties, in the order told, each with the whole finding.
    #[track_caller]
    pub(super) fn broken(&self, properties: &[&str]) -> CheckReport {
        let report = expect(&self.records(), Watch, Violated);
        let names = report.findings.iter().map(|found| {
            let (name, _) = found.title.split_once(": ").unwrap();
            name
        });
        assert_eq!(names.collect::<Vec<_>>(), properties, "{report:#?}");
        for found in &report.findings {
            assert!(!found.operations.is_empty() && found.at.is_some());
        }
        report
    }
}
