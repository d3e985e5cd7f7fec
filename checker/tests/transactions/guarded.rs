//! Guarded transactions of etcd, taken as transactions on lists.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use checker::history::*;
use checker::transactions::{Options, SecondOpinion, format, parse, project, second_opinion};
use proptest::prelude::*;

use crate::simulate::Rng;

fn key(n: u64) -> Bytes {
    Bytes::from(std::format!("l/{n}"))
}

fn get(key: &Bytes) -> RangeRequest {
    RangeRequest {
        key: key.clone(),
        ..Default::default()
    }
}

/// Keys with mod revision and list.
#[derive(Default)]
struct Store {
    revision: i64,
    lists: BTreeMap<Bytes, (i64, Bytes)>,
}

impl Store {
    fn range(&self, request: &RangeRequest) -> TxnOpResponse {
        let kvs = self
            .lists
            .get(&request.key)
            .map(|(revision, value)| KeyValue {
                key: request.key.clone(),
                mod_revision: *revision,
                value: value.clone(),
                ..Default::default()
            });
        TxnOpResponse::Range(RangeResponse {
            count: kvs.iter().len() as i64,
            kvs: kvs.into_iter().collect(),
            ..Default::default()
        })
    }

    fn apply(&mut self, txn: &TxnRequest) -> TxnResponse {
        let succeeded = txn.compare.iter().all(|guard| {
            let revision = self.lists.get(&guard.key).map_or(0, |list| list.0);
            guard.target == CompareTarget::Mod(revision)
        });
        let branch = if succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        let writes = branch.iter().any(|op| matches!(op, TxnOp::Put(_)));
        self.revision += i64::from(writes);
        let responses = branch.iter().map(|op| match op {
            TxnOp::Put(put) => {
                let value = (self.revision, put.value.clone());
                self.lists.insert(put.key.clone(), value);
                TxnOpResponse::Put(PutResponse::default())
            }
            TxnOp::Range(range) => self.range(range),
            other => panic!("{other:?}"),
        });
        let responses = responses.collect();
        TxnResponse {
            header: ResponseHeader {
                revision: self.revision,
                ..Default::default()
            },
            succeeded,
            responses,
        }
    }
}

/// What a client does next, and what it was shown.
#[derive(Clone, Default)]
struct Client {
    shown: BTreeMap<Bytes, (i64, Vec<u64>)>,
    request: TxnRequest,
    answer: Option<TxnResponse>,
    appends: u64,
    ids: u64,
}

fn read(rng: &mut Rng) -> TxnRequest {
    let first = rng.below(4);
    let keys = (first..=first + rng.below(3)).map(key);
    TxnRequest {
        success: keys.map(|key| TxnOp::Range(get(&key))).collect(),
        ..Default::default()
    }
}

fn append(client: &mut Client, number: u32, rng: &mut Rng) -> TxnRequest {
    let mut txn = TxnRequest::default();
    for (key, (revision, list)) in &client.shown {
        if txn.success.len() == 2 || rng.chance(30) {
            continue;
        }
        client.appends += 1;
        let mut list = list.clone();
        list.push(u64::from(number) * 1_000_000 + client.appends);
        txn.compare.push(Compare {
            key: key.clone(),
            range_end: Bytes::default(),
            result: CompareResult::Equal,
            target: CompareTarget::Mod(*revision),
        });
        txn.success.push(TxnOp::Put(PutRequest {
            key: key.clone(),
            value: format(&list),
            ..Default::default()
        }));
        txn.failure.push(TxnOp::Range(get(key)));
    }
    txn
}

fn shown(client: &mut Client) {
    client.shown.clear();
    let Some(answer) = &client.answer else {
        return;
    };
    for (op, answer) in client.request.success.iter().zip(&answer.responses) {
        if let (TxnOp::Range(range), TxnOpResponse::Range(answer)) = (op, answer) {
            let list = answer.kvs.first().map_or((0, Vec::new()), |kv| {
                (kv.mod_revision, parse(&kv.value).expect("a list"))
            });
            client.shown.insert(range.key.clone(), list);
        }
    }
}

/// A legal history of clients that read some lists, and then append to some of them.
fn simulate(seed: u64, count: u64) -> Vec<Record> {
    let mut rng = Rng(seed);
    let mut clients = vec![Client::default(); 1 + rng.below(6) as usize];
    let mut store = Store::default();
    let mut records = Vec::new();
    // Time, order, what (call, effect, return), client.
    let mut events: BinaryHeap<_> = (0..clients.len())
        .map(|c| Reverse((c as u64, 0, c)))
        .collect();
    let mut id = 0;
    while let Some(Reverse((now, what, at))) = events.pop() {
        let client = &mut clients[at];
        match what {
            0 if id == count => {}
            0 => {
                let mut request = TxnRequest::default();
                if !client.shown.is_empty() {
                    request = append(client, at as u32 + 1, &mut rng);
                }
                if request.success.is_empty() {
                    request = read(&mut rng);
                }
                id += 1;
                client.ids = id;
                client.request = request.clone();
                records.push(Record::Invoke(Invoke {
                    id,
                    at: now,
                    client: at as u32 + 1,
                    member: "m1".into(),
                    user: None,
                    request: Request::Txn(request),
                }));
                events.push(Reverse((now + 1 + rng.below(50), 1, at)));
            }
            1 => {
                client.answer = Some(store.apply(&client.request));
                events.push(Reverse((now + 1 + rng.below(50), 2, at)));
            }
            _ => {
                let lost = rng.chance(5);
                let outcome = match (&client.answer, lost) {
                    (Some(answer), false) => Outcome::Ok {
                        response: Response::Txn(answer.clone()),
                    },
                    _ => Outcome::Error {
                        code: 4,
                        message: String::new(),
                        origin: ErrorOrigin::Deadline,
                    },
                };
                if lost {
                    client.answer = None;
                }
                shown(client);
                records.push(Record::Return(Return {
                    id: client.ids,
                    at: now,
                    outcome,
                }));
                events.push(Reverse((now + 1 + rng.below(5), 0, at)));
            }
        }
    }
    records
}

fn opinion(records: &[Record]) -> SecondOpinion {
    second_opinion(records, &[], &Options::default())
}

fn answers(records: &mut [Record]) -> impl Iterator<Item = &mut TxnResponse> {
    records.iter_mut().filter_map(|record| match record {
        Record::Return(Return {
            outcome: Outcome::Ok {
                response: Response::Txn(answer),
            },
            ..
        }) => Some(answer),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn legal_histories_are_proved(seed: u64) {
        let opinion = opinion(&simulate(seed, 300));
        prop_assert!(opinion.proved, "{opinion:?}");
        prop_assert_eq!(opinion.spoiled, 0);
        prop_assert!(opinion.figures.committed > 200);
    }

    #[test]
    fn a_guard_that_did_not_hold_is_found(seed: u64) {
        // A transaction that failed is said to have succeeded, and left no trace.
        let mut records = simulate(seed, 300);
        let mut failed: Vec<_> = answers(&mut records).filter(|a| !a.succeeded).collect();
        prop_assume!(!failed.is_empty());
        // Among the earlier ones: what the last appended, nobody may have read since.
        let at = seed as usize % failed.len().div_ceil(2);
        failed[at].succeeded = true;
        for answer in &mut failed[at].responses {
            *answer = TxnOpResponse::Put(PutResponse::default());
        }
        let opinion = opinion(&records);
        prop_assert!(!opinion.violations.is_empty());
    }

    #[test]
    fn a_stale_read_is_found(seed: u64) {
        // A read lacks the last element, though it was there before it was sent. It is one after a
        // guard that did not hold, so that its client does not go on with what it was shown.
        let mut records = simulate(seed, 300);
        let mut seen: BTreeMap<Bytes, Vec<u64>> = BTreeMap::new();
        let mut sent = BTreeMap::new();
        let mut changed = false;
        for record in &mut records {
            match record {
                Record::Invoke(invoke) => {
                    sent.insert(invoke.id, seen.clone());
                }
                Record::Return(end) => {
                    let Outcome::Ok { response: Response::Txn(answer) } = &mut end.outcome else {
                        continue;
                    };
                    let answer_succeeded = answer.succeeded;
                    for answer in &mut answer.responses {
                        let TxnOpResponse::Range(answer) = answer else { continue };
                        for kv in &mut answer.kvs {
                            let mut list = parse(&kv.value).expect("a list");
                            let known = sent[&end.id].get(&kv.key);
                            if !changed && !answer_succeeded && list.len() > 2 && known == Some(&list) {
                                changed = true;
                                list.pop();
                                kv.value = format(&list);
                                kv.mod_revision -= 1;
                            }
                            seen.insert(kv.key.clone(), list);
                        }
                    }
                }
                _ => {}
            }
        }
        prop_assume!(changed);
        prop_assert!(!opinion(&records).violations.is_empty());
    }
}

fn invoke(id: u64, client: u32, request: Request) -> Record {
    Record::Invoke(Invoke {
        id,
        at: 10 * id,
        client,
        member: "m1".into(),
        user: None,
        request,
    })
}

fn answered(id: u64, response: Response) -> Record {
    Record::Return(Return {
        id,
        at: 10 * id + 5,
        outcome: Outcome::Ok { response },
    })
}

/// Two clients read that there is no key, and both append with success.
fn lost_update() -> Vec<Record> {
    let mut records = Vec::new();
    for client in [1, 2] {
        let txn = TxnRequest {
            compare: vec![Compare {
                key: key(1),
                range_end: Bytes::default(),
                result: CompareResult::Equal,
                target: CompareTarget::Mod(0),
            }],
            success: vec![TxnOp::Put(PutRequest {
                key: key(1),
                value: format(&[u64::from(client)]),
                ..Default::default()
            })],
            failure: vec![TxnOp::Range(get(&key(1)))],
        };
        let answer = TxnResponse {
            succeeded: true,
            responses: vec![TxnOpResponse::Put(PutResponse::default())],
            ..Default::default()
        };
        let id = u64::from(client);
        records.push(invoke(id, client, Request::Txn(txn)));
        records.push(answered(id, Response::Txn(answer)));
    }
    records
}

#[test]
fn a_lost_update_is_named_with_its_operations() {
    let opinion = opinion(&lost_update());
    let first = &opinion.violations[0];
    assert_eq!(
        first.title,
        "lost-update: two transactions appended to the same version of l/1"
    );
    assert_eq!(first.operations, [1, 2]);
    assert_eq!(first.keys, ["l/1"]);
    assert_eq!(
        first.explanation[0],
        "operation 1 read l/1 empty, and appended to it."
    );
}

#[test]
fn keys_written_in_other_ways_are_left_out() {
    let mut records = lost_update();
    let delete = DeleteRequest {
        key: key(0),
        range_end: Bytes::from("m"),
        ..Default::default()
    };
    records.push(invoke(3, 3, Request::Delete(delete)));
    let opinion = opinion(&records);
    assert_eq!((opinion.violations.len(), opinion.spoiled), (0, 1));
    assert!(project(&records, &[]).transactions.is_empty());
}

#[test]
fn histories_without_lists_have_no_figures() {
    let put = PutRequest {
        key: key(1),
        value: Bytes::from("c1.1"),
        ..Default::default()
    };
    let records = [
        invoke(1, 1, Request::Put(put)),
        answered(1, Response::Put(PutResponse::default())),
    ];
    assert_eq!(opinion(&records).named_figures(), []);
}

#[test]
fn values_are_lists_only_in_this_format() {
    let list = |text: &str| parse(&Bytes::from(text));
    assert_eq!(list("a:1,22,3"), Some(vec![1, 22, 3]));
    for other in [
        "",
        "a:",
        "a:1,",
        "a:-1",
        "a:+1",
        "a:1 ,2",
        "b:1",
        "1",
        "a:99999999999999999999",
    ] {
        assert_eq!(list(other), None, "{other}");
    }
    assert_eq!(format(&[1, 22, 3]), Bytes::from("a:1,22,3"));
}
