//! The promises of a watch, a kept and a broken one each.

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
use checker::verdict::Verdict::{Holds, Inconclusive, NotRun, Violated};

use crate::expect;

const MS: u64 = 1_000_000;

/// A store that answers at once, and what it did.
struct Script {
    now: u64,
    ops: u64,
    revision: i64,
    live: BTreeMap<String, KeyValue>,
    log: Vec<Event>,
    history: Vec<Record>,
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader {
        revision,
        ..ResponseHeader::default()
    }
}

fn k(request: WatchRequest) -> WatchRequest {
    WatchRequest {
        key: "k/".into(),
        range_end: "k0".into(),
        ..request
    }
}

fn since(start_revision: i64) -> WatchRequest {
    k(WatchRequest {
        start_revision,
        ..WatchRequest::default()
    })
}

fn created(revision: i64) -> WatchResponse {
    WatchResponse {
        header: header(revision),
        created: true,
        ..WatchResponse::default()
    }
}

fn progress(revision: i64) -> WatchResponse {
    WatchResponse {
        header: header(revision),
        ..WatchResponse::default()
    }
}

fn message(events: &[Event]) -> WatchResponse {
    WatchResponse {
        header: header(events.last().map_or(0, |event| event.kv.mod_revision)),
        events: events.to_vec(),
        ..WatchResponse::default()
    }
}

impl Script {
    fn new() -> Self {
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
    fn usual() -> Self {
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

    fn tick(&mut self) -> u64 {
        self.now += MS;
        self.now
    }

    fn invoke(&mut self, request: Request) -> u64 {
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

    fn end(&mut self, id: u64, outcome: Outcome) {
        let at = self.tick();
        self.history
            .push(Record::Return(Return { id, at, outcome }));
    }

    fn answered(&mut self, request: Request, response: Response) -> u64 {
        let id = self.invoke(request);
        self.end(id, Outcome::Ok { response });
        id
    }

    fn write(&mut self, key: &str, value: &str) {
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

    fn put_request(key: &str, value: &str) -> PutRequest {
        PutRequest {
            key: key.into(),
            value: value.into(),
            ..PutRequest::default()
        }
    }

    fn put(&mut self, key: &str, value: &str) -> u64 {
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
    fn unheard_put(&mut self, key: &str, value: &str) {
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

    fn delete(&mut self, key: &str) -> u64 {
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

    fn txn(&mut self, puts: &[(&str, &str)]) -> u64 {
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

    fn compact(&mut self, revision: i64) -> u64 {
        let request = Request::Compact {
            revision,
            physical: false,
        };
        let header = header(self.revision);
        self.answered(request, Response::Compact { header })
    }

    fn read(&mut self, key: &str) -> u64 {
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
    fn events(&self, low: i64, high: i64) -> Vec<Event> {
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
    fn events_with_previous(&self, low: i64, high: i64) -> Vec<Event> {
        let mut events = self.events(low, high);
        for event in &mut events {
            let same = |other: &&Event| {
                (&other.kv.key, other.kv.mod_revision) == (&event.kv.key, event.kv.mod_revision)
            };
            event.prev_kv = self.log.iter().find(same).unwrap().prev_kv.clone();
        }
        events
    }

    fn watch(&mut self, request: WatchRequest, messages: Vec<WatchResponse>) -> u64 {
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

    fn records(&self) -> RunRecords {
        RunRecords {
            history: self.history.clone(),
            faults: vec![],
            observations: vec![],
            complete: Complete::ALL,
        }
    }

    #[track_caller]
    fn holds(&self) {
        let report = expect(&self.records(), Watch, Holds);
        assert!(report.findings.is_empty(), "{report:#?}");
    }

    /// The names of the broken properties, in the order told, each with the whole finding.
    #[track_caller]
    fn broken(&self, properties: &[&str]) -> CheckReport {
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

#[test]
fn without_watches_or_messages_there_is_nothing_to_judge() {
    let mut script = Script::usual();
    expect(&script.records(), Watch, NotRun);
    script.watch(since(2), vec![created(8)]);
    expect(&script.records(), Watch, NotRun);
}

#[test]
fn everything_delivered_in_order_holds() {
    let mut script = Script::usual();
    let all = script.events(2, 8);
    let messages = vec![
        created(8),
        message(&all[..3]),
        progress(4),
        message(&all[3..]),
        progress(8),
    ];
    script.watch(since(2), messages);
    // From now: what was before is not asked for.
    script.watch(since(0), vec![created(5), message(&script.events(6, 8))]);
    // In the future, and told of progress meanwhile.
    script.watch(since(100), vec![created(8), progress(8)]);
    // No further than the watch got.
    script.watch(since(2), vec![created(8), message(&script.events(2, 4))]);
    script.holds();
}

#[test]
fn filtered_by_key_kind_and_start() {
    let script = Script::usual;
    let mut good = script();
    let puts: Vec<_> = good
        .events(2, 8)
        .into_iter()
        .filter(|event| event.kind == EventKind::Put)
        .collect();
    let no_deletes = WatchRequest {
        filter_delete: true,
        ..since(2)
    };
    good.watch(no_deletes.clone(), vec![message(&puts)]);
    let no_puts = WatchRequest {
        filter_put: true,
        ..since(2)
    };
    good.watch(no_puts, vec![message(&good.events(5, 5)), progress(8)]);
    good.holds();

    let mut kind = script();
    kind.watch(no_deletes, vec![message(&kind.events(2, 8))]);
    kind.broken(&["filtered"]);

    let mut key = script();
    let mut events = key.events(6, 6);
    events.push(Event {
        prev_kv: None,
        ..key
            .log
            .iter()
            .find(|e| e.kv.key == "other".into())
            .unwrap()
            .clone()
    });
    key.watch(since(6), vec![message(&events)]);
    key.broken(&["filtered"]);

    let mut early = script();
    early.watch(since(6), vec![message(&early.events(5, 8))]);
    early.broken(&["filtered"]);

    let mut before_now = script();
    before_now.watch(
        since(0),
        vec![created(5), message(&before_now.events(5, 8))],
    );
    before_now.broken(&["filtered"]);
}

#[test]
fn ordered_and_unique() {
    let mut script = Script::usual();
    let mut swapped = script.events(2, 4);
    swapped.swap(0, 1);
    script.watch(since(2), vec![message(&swapped)]);
    script.broken(&["ordered"]);

    let mut script = Script::usual();
    let mut twice = script.events(2, 3);
    twice.insert(1, twice[0].clone());
    script.watch(since(2), vec![message(&twice)]);
    script.broken(&["unique"]);

    // Old events come again, as after a snapshot in #15271.
    let mut script = Script::usual();
    let all = script.events(2, 8);
    script.watch(since(2), vec![message(&all), message(&all)]);
    let report = script.broken(&["ordered", "unique"]);
    assert!(
        report.findings[0]
            .title
            .contains("after an event of revision 8")
    );
}

#[test]
fn atomic() {
    let mut script = Script::usual();
    let both = script.events(8, 8);
    assert_eq!(both.len(), 2);
    script.watch(since(8), vec![message(&both[..1]), message(&both[1..])]);
    script.broken(&["atomic"]);

    let mut script = Script::usual();
    let more = WatchResponse {
        fragment: true,
        ..message(&both[..1])
    };
    script.watch(since(8), vec![more, message(&both[1..])]);
    script.holds();

    // The other half never comes.
    let mut script = Script::usual();
    script.watch(since(8), vec![message(&both[..1])]);
    script.broken(&["reliable"]);
}

#[test]
fn bookmarkable() {
    let mut script = Script::usual();
    let all = script.events(2, 8);
    let late = vec![message(&all[..2]), progress(6), message(&all[2..])];
    script.watch(since(2), late);
    let report = script.broken(&["bookmarkable"]);
    assert_eq!(report.findings[0].revisions, [6, 4]);
    assert!(
        report.findings[0]
            .explanation
            .iter()
            .any(|line| line.starts_with("2 more"))
    );

    let mut script = Script::usual();
    script.watch(since(2), vec![message(&all[..2]), progress(8)]);
    let report = script.broken(&["bookmarkable"]);
    assert!(
        report.findings[0]
            .title
            .contains("without the put of k/1 at revision 4")
    );

    let mut script = Script::usual();
    script.watch(since(2), vec![message(&all), progress(7)]);
    script.broken(&["bookmarkable"]);

    let mut script = Script::usual();
    script.watch(since(100), vec![progress(8), progress(6)]);
    script.broken(&["bookmarkable"]);

    let mut script = Script::usual();
    let header_behind = WatchResponse {
        header: header(7),
        ..message(&all)
    };
    script.watch(since(2), vec![header_behind]);
    script.broken(&["bookmarkable"]);
}

#[test]
fn resumable() {
    let mut script = Script::usual();
    let deleted = 4 + 1; // The usual delete at revision 5 is operation 4.
    script.watch(
        since(deleted),
        vec![created(8), message(&script.events(6, 8))],
    );
    let report = script.broken(&["resumable"]);
    assert_eq!(report.findings[0].operations, [script.ops, 4]);
    assert_eq!(report.findings[0].keys, ["k/1"]);
}

#[test]
fn a_cancel_needs_a_compaction_above_the_next_revision() {
    let canceled = |compact_revision| WatchResponse {
        header: header(8),
        canceled: true,
        compact_revision,
        ..WatchResponse::default()
    };
    let mut script = Script::usual();
    script.compact(6);
    script.watch(since(5), vec![created(8), canceled(6)]);
    script.watch(
        since(2),
        vec![created(8), message(&script.events(2, 4)), canceled(6)],
    );
    script.holds();

    let mut script = Script::usual();
    script.compact(6);
    script.watch(since(6), vec![created(8), canceled(6), progress(0)]);
    let report = script.broken(&["resumable"]);
    assert!(report.findings[0].explanation[0].contains("keeps revision 6"));

    let mut script = Script::usual();
    script.watch(since(2), vec![created(8), canceled(6), progress(0)]);
    script.compact(6);
    let report = script.broken(&["resumable"]);
    assert!(report.findings[0].explanation[0].contains("Nobody had asked"));
}

#[test]
fn reliable_against_what_was_acknowledged() {
    let mut script = Script::usual();
    let mut events = script.events(2, 8);
    events.remove(2);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    let first = &report.findings[0];
    assert!(
        first.title.contains("without the put of k/1 at revision 4"),
        "{first:?}"
    );
    assert_eq!(first.operations, [script.ops, 3]);

    let mut script = Script::usual();
    let mut events = script.events(2, 8);
    events[1].kv.value = "something else".into();
    script.watch(since(2), vec![message(&events)]);
    script.broken(&["reliable"]);

    let mut script = Script::usual();
    let mut events = script.events(2, 3);
    events[1].kv.key = "k/9".into();
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert!(
        report.findings[0]
            .explanation
            .iter()
            .any(|line| line.contains("1 more"))
    );
}

#[test]
fn reliable_against_what_reads_and_other_watches_show() {
    // Nobody was told of the put, but a read shows it.
    let mut script = Script::usual();
    script.unheard_put("k/1", "h");
    let read = script.read("k/1");
    script.put("k/2", "i");
    let mut events = script.events(2, 10);
    events.retain(|event| event.kv.mod_revision != 9);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert_eq!(report.findings[0].operations, [script.ops, read]);

    // Or another watch does.
    let mut script = Script::usual();
    script.unheard_put("k/1", "h");
    script.put("k/2", "i");
    let other = script.watch(since(9), vec![message(&script.events(9, 10))]);
    let mut events = script.events(2, 10);
    events.retain(|event| event.kv.mod_revision != 9);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert_eq!(report.findings[0].operations, [script.ops, other]);

    // Two watches tell different tales of a revision that nobody acknowledged.
    let mut script = Script::usual();
    script.unheard_put("k/1", "h");
    script.watch(since(9), vec![message(&script.events(9, 9))]);
    let mut events = script.events(9, 9);
    events[0].kv.value = "i".into();
    script.watch(since(9), vec![message(&events)]);
    script.broken(&["reliable"]);

    // A put that may never have taken effect is not missed.
    let mut script = Script::usual();
    let id = script.invoke(Request::Put(Script::put_request("k/1", "lost")));
    script.end(
        id,
        Outcome::Error {
            code: 4,
            message: "deadline".into(),
            origin: ErrorOrigin::Deadline,
        },
    );
    script.put("k/2", "i");
    script.watch(since(2), vec![message(&script.events(2, 9))]);
    script.holds();
}

#[test]
fn reliable_by_versions_alone() {
    // Three puts that nobody was told of; the watch has the first and the last.
    let mut script = Script::new();
    for value in ["a", "b", "c"] {
        script.unheard_put("k/1", value);
    }
    let mut events = script.events(2, 4);
    events.remove(1);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert!(
        report.findings[0].explanation[0].contains("1 puts"),
        "{report:#?}"
    );
}

#[test]
fn the_previous_key_value_is_the_one_before() {
    let with_previous = WatchRequest {
        prev_kv: true,
        ..since(2)
    };
    let mut script = Script::usual();
    let all = script.events_with_previous(2, 8);
    script.watch(with_previous.clone(), vec![message(&all)]);
    script.holds();

    let mut script = Script::usual();
    let mut wrong = all.clone();
    wrong[2].prev_kv.as_mut().unwrap().value = "z".into();
    script.watch(with_previous.clone(), vec![message(&wrong)]);
    script.broken(&["prev-kv"]);

    // The delete shows the first put of its key instead of the second.
    let mut script = Script::usual();
    let mut stale = all.clone();
    assert_eq!(stale[3].kind, EventKind::Delete);
    stale[3].prev_kv = Some(stale[0].kv.clone());
    script.watch(with_previous.clone(), vec![message(&stale)]);
    let report = script.broken(&["prev-kv"]);
    assert!(report.findings[0].explanation[1].contains("changed at revision 4"));

    // A put that made its key has none before it.
    let mut script = Script::usual();
    let mut ghost = all.clone();
    ghost[0].prev_kv = Some(ghost[1].kv.clone());
    script.watch(with_previous.clone(), vec![message(&ghost)]);
    script.broken(&["prev-kv"]);

    // Left out only where it is compacted.
    let mut bare = all.clone();
    bare[3].prev_kv = None;
    let mut script = Script::usual();
    script.watch(with_previous.clone(), vec![message(&bare)]);
    script.broken(&["prev-kv"]);
    let mut script = Script::usual();
    script.compact(5);
    script.watch(with_previous, vec![message(&bare)]);
    script.holds();
}

#[test]
fn a_created_key_is_at_version_one() {
    let mut script = Script::usual();
    let mut events = script.events(6, 6);
    events[0].kv.create_revision = 4;
    script.watch(since(6), vec![message(&events)]);
    script.broken(&["is-create"]);

    // Consistent in itself, but not with the delete before.
    let mut script = Script::usual();
    let mut events = script.events(2, 6);
    let last = events.last_mut().unwrap();
    (last.kv.version, last.kv.create_revision) = (3, 2);
    script.watch(since(2), vec![message(&events)]);
    script.broken(&["is-create"]);
}

#[test]
fn messages_that_are_missing_leave_it_undecided() {
    let mut script = Script::usual();
    script.watch(since(2), vec![message(&script.events(2, 8))]);
    let mut records = script.records();
    let Some(Record::Return(end)) = records.history.last_mut() else {
        panic!("the watch ends last")
    };
    let response = Response::WatchEnd { messages: 2 };
    end.outcome = Outcome::Ok { response };
    let report = expect(&records, Watch, Inconclusive);
    assert!(report.findings[0].title.contains("1 watch"), "{report:#?}");
}

#[test]
fn revisions_that_two_writes_claim_are_left_to_others() {
    let mut script = Script::usual();
    script.revision -= 1;
    script.put("k/7", "the same revision again");
    let events = script.events(2, 7);
    script.watch(since(2), vec![message(&events), progress(8)]);
    let report = expect(&script.records(), Watch, Inconclusive);
    assert_eq!(report.findings[0].revisions, [8, 8]);
}
