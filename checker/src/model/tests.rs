//! The sequential store against what etcd's source says.

use super::*;
use crate::history::*;

fn put(key: &str, value: &str) -> Request {
    Request::Put(put_request(key, value))
}

fn put_request(key: &str, value: &str) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

fn range(key: &str, end: &str) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        range_end: end.into(),
        ..Default::default()
    }
}

fn read(store: &mut Store, request: RangeRequest) -> RangeAnswer {
    match store.apply(&Request::Range(request)) {
        Ok(Answer::Range(answer)) => answer,
        other => panic!("not a range: {other:?}"),
    }
}

fn keys(answer: &RangeAnswer) -> Vec<String> {
    answer.kvs[..answer.kept]
        .iter()
        .map(|kv| kv.key.to_string())
        .collect()
}

/// Create revision, mod revision and version.
fn books(store: &Store, key: &str) -> (i64, i64, i64) {
    let kv = store.get(&key.into()).expect("it is there");
    (kv.create_revision, kv.mod_revision, kv.version)
}

/// Keys a to e, made at revisions 2 to 6.
fn five() -> Store {
    let mut store = Store::with_past();
    for key in ["a", "b", "c", "d", "e"] {
        store.apply(&put(key, key)).unwrap();
    }
    store
}

#[test]
fn puts_keep_the_books() {
    let mut store = Store::new();
    assert_eq!(store.revision(), 1);
    store.apply(&put("a", "1")).unwrap();
    store.apply(&put("a", "2")).unwrap();
    assert_eq!(books(&store, "a"), (2, 3, 2));
    let gone = Request::Delete(DeleteRequest {
        key: "a".into(),
        ..Default::default()
    });
    assert_eq!(
        store.apply(&gone),
        Ok(Answer::Delete {
            deleted: 1,
            previous: Vec::new()
        })
    );
    assert_eq!(
        store.apply(&gone),
        Ok(Answer::Delete {
            deleted: 0,
            previous: Vec::new()
        })
    );
    assert_eq!(store.revision(), 4);
    store.apply(&put("a", "3")).unwrap();
    assert_eq!(books(&store, "a"), (5, 5, 1));
}

#[test]
fn a_put_can_keep_value_or_lease() {
    let mut store = Store::new();
    let keep_value = PutRequest {
        ignore_value: true,
        ..put_request("a", "")
    };
    let keep_lease = PutRequest {
        ignore_lease: true,
        ..put_request("a", "new")
    };
    let leased = PutRequest {
        lease: 7,
        ..put_request("a", "1")
    };
    assert_eq!(
        store.apply(&Request::Put(keep_value.clone())),
        Err(Refusal::KeyNotFound)
    );
    assert_eq!(
        store.apply(&Request::Put(leased.clone())),
        Err(Refusal::LeaseNotFound)
    );
    assert_eq!(store.revision(), 1);
    store.grant(7).unwrap();
    assert_eq!(store.grant(7), Err(Refusal::LeaseExists));
    store.apply(&Request::Put(leased)).unwrap();
    store.apply(&Request::Put(keep_lease)).unwrap();
    let kv = store.get(&"a".into()).unwrap();
    assert_eq!((kv.value.clone(), kv.lease), ("new".into(), 7));
    store.apply(&Request::Put(keep_value)).unwrap();
    let kv = store.get(&"a".into()).unwrap();
    assert_eq!((kv.value.clone(), kv.lease), ("new".into(), 0));
    assert!(store.lease_keys(7).unwrap().is_empty());
}

#[test]
fn a_lease_takes_its_keys_with_it_at_one_revision() {
    let mut store = Store::new();
    store.grant(7).unwrap();
    for key in ["a", "b", "c"] {
        let leased = PutRequest {
            lease: 7,
            ..put_request(key, "")
        };
        store.apply(&Request::Put(leased)).unwrap();
    }
    store.apply(&put("b", "without")).unwrap();
    let before = store.checkpoint();
    store.apply(&Request::LeaseRevoke { id: 7 }).unwrap();
    assert_eq!(store.revision(), 6);
    let left: Vec<_> = store.key_values().map(|kv| kv.key.to_string()).collect();
    assert_eq!(left, ["b"]);
    assert_eq!(store.revoke(7), Err(Refusal::LeaseNotFound));
    store.roll_back(before);
    assert_eq!(store.lease_keys(7).unwrap().len(), 2);
    assert_eq!(store.revision(), 5);
}

#[test]
fn ranges_limits_counts_and_order() {
    let mut store = five();
    assert_eq!(keys(&read(&mut store, range("b", ""))), ["b"]);
    assert_eq!(keys(&read(&mut store, range("b", "d"))), ["b", "c"]);
    assert_eq!(keys(&read(&mut store, range("c", "\0"))), ["c", "d", "e"]);
    assert!(keys(&read(&mut store, range("d", "b"))).is_empty());
    let limited = read(
        &mut store,
        RangeRequest {
            limit: 2,
            ..range("a", "\0")
        },
    );
    assert_eq!(
        (keys(&limited).len(), limited.count, limited.more()),
        (2, 5, true)
    );
    let all = read(
        &mut store,
        RangeRequest {
            limit: 5,
            ..range("a", "\0")
        },
    );
    assert!(!all.more());
    let counted = read(
        &mut store,
        RangeRequest {
            count_only: true,
            ..range("a", "\0")
        },
    );
    assert_eq!(
        (counted.kvs.len(), counted.count, counted.more()),
        (0, 5, false)
    );
    let back = RangeRequest {
        sort_order: SortOrder::Descend,
        sort_target: SortTarget::Mod,
        limit: 2,
        ..range("a", "\0")
    };
    assert_eq!(keys(&read(&mut store, back)), ["e", "d"]);
    // Another target than the key sorts even where no order is asked for.
    store.apply(&put("a", "z")).unwrap();
    let by_mod = RangeRequest {
        sort_target: SortTarget::Mod,
        ..range("a", "\0")
    };
    assert_eq!(keys(&read(&mut store, by_mod)), ["b", "c", "d", "e", "a"]);
}

#[test]
fn filters_cut_the_answer_but_not_the_count() {
    let mut store = five();
    let some = RangeRequest {
        min_mod_revision: 3,
        max_mod_revision: 5,
        max_create_revision: 4,
        limit: 1,
        ..range("a", "\0")
    };
    let answer = read(&mut store, some);
    assert_eq!(keys(&answer), ["b"]);
    assert_eq!((answer.count, answer.more()), (5, true));
}

#[test]
fn the_past_is_kept_until_compacted() {
    let mut store = five();
    store.apply(&put("a", "new")).unwrap();
    let at = |revision| RangeRequest {
        revision,
        ..range("a", "\0")
    };
    assert_eq!(keys(&read(&mut store, at(4))), ["a", "b", "c"]);
    assert_eq!(read(&mut store, at(4)).kvs[0].value, "a".into());
    assert_eq!(
        store.apply(&Request::Range(at(8))),
        Err(Refusal::FutureRevision)
    );
    let compact = |revision| Request::Compact {
        revision,
        physical: false,
    };
    assert_eq!(store.apply(&compact(8)), Err(Refusal::FutureRevision));
    store.apply(&compact(5)).unwrap();
    assert_eq!(store.apply(&compact(5)), Err(Refusal::Compacted));
    assert_eq!(store.apply(&Request::Range(at(4))), Err(Refusal::Compacted));
    assert_eq!(keys(&read(&mut store, at(5))).len(), 4);
    assert_eq!(store.revision(), 7);
    let mut forgetful = Store::new();
    forgetful.apply(&put("a", "1")).unwrap();
    let elsewhen = forgetful.apply(&Request::Range(at(1)));
    assert_eq!(elsewhen, Ok(Answer::Elsewhen { revision: 1 }));
}

fn guard(key: &str, end: &str, result: CompareResult, target: CompareTarget) -> Compare {
    Compare {
        key: key.into(),
        range_end: end.into(),
        result,
        target,
    }
}

#[test]
fn guards() {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    use CompareTarget::{Create, Lease, Mod, Value, Version};
    let mut store = five();
    let mut holds = |guard: Compare| {
        let txn = TxnRequest {
            compare: vec![guard],
            ..Default::default()
        };
        matches!(
            store.apply(&Request::Txn(txn)),
            Ok(Answer::Txn {
                succeeded: true,
                ..
            })
        )
    };
    assert!(holds(guard("a", "", Equal, Mod(2))));
    assert!(holds(guard("a", "", Less, Create(3))));
    assert!(holds(guard("a", "", Greater, Version(0))));
    assert!(holds(guard("a", "", NotEqual, Value("b".into()))));
    assert!(!holds(guard("a", "", Greater, Value("a".into()))));
    assert!(holds(guard("a", "", Equal, Lease(0))));
    // A missing key has zeros, but no value.
    assert!(holds(guard("x", "", Equal, Version(0))));
    assert!(!holds(guard("x", "", NotEqual, Value("b".into()))));
    assert!(!holds(guard("x", "", Equal, Value(Bytes::default()))));
    // A range guard must hold for all keys; an empty range counts as one missing key.
    assert!(holds(guard("a", "\0", Less, Mod(7))));
    assert!(!holds(guard("a", "\0", Less, Mod(6))));
    assert!(holds(guard("x", "y", Equal, Mod(0))));
}

#[test]
fn a_transaction_sees_its_own_writes_and_makes_one_revision() {
    let mut store = five();
    let inner = TxnRequest {
        // Judged before the outer puts.
        compare: vec![guard(
            "f",
            "",
            CompareResult::Equal,
            CompareTarget::Version(0),
        )],
        success: vec![TxnOp::Put(put_request("g", "1"))],
        failure: vec![TxnOp::Put(put_request("h", "1"))],
    };
    let txn = TxnRequest {
        compare: Vec::new(),
        success: vec![
            TxnOp::Put(put_request("f", "1")),
            TxnOp::Delete(DeleteRequest {
                key: "a".into(),
                ..Default::default()
            }),
            TxnOp::Txn(inner),
            TxnOp::Range(range("a", "\0")),
            TxnOp::Range(RangeRequest {
                revision: 6,
                ..range("a", "\0")
            }),
        ],
        failure: Vec::new(),
    };
    let Ok(Answer::Txn {
        succeeded: true,
        answers,
    }) = store.apply(&Request::Txn(txn))
    else {
        panic!("the txn succeeds")
    };
    assert_eq!(store.revision(), 7);
    let Answer::Range(now) = &answers[3] else {
        panic!("a range")
    };
    assert_eq!(keys(now), ["b", "c", "d", "e", "f", "g"]);
    assert_eq!(now.kvs.iter().filter(|kv| kv.mod_revision == 7).count(), 2);
    let Answer::Range(before) = &answers[4] else {
        panic!("a range")
    };
    assert_eq!(keys(before), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_refused_branch_changes_nothing() {
    let mut store = five();
    let keep = PutRequest {
        ignore_value: true,
        ..put_request("z", "")
    };
    let later = RangeRequest {
        revision: 7,
        ..range("a", "")
    };
    for (last, refusal) in [
        (TxnOp::Put(keep), Refusal::KeyNotFound),
        (TxnOp::Range(later), Refusal::FutureRevision),
    ] {
        let success = vec![TxnOp::Put(put_request("a", "2")), last];
        let txn = TxnRequest {
            success,
            ..Default::default()
        };
        assert_eq!(store.apply(&Request::Txn(txn)), Err(refusal));
    }
    assert_eq!(store.revision(), 6);
    assert_eq!(books(&store, "a"), (2, 2, 1));
}

#[test]
fn an_empty_effect_makes_no_revision() {
    let mut store = five();
    let nothing = DeleteRequest {
        key: "x".into(),
        ..Default::default()
    };
    let txn = TxnRequest {
        success: vec![TxnOp::Delete(nothing)],
        ..Default::default()
    };
    store.apply(&Request::Txn(txn)).unwrap();
    assert_eq!(store.revision(), 6);
}

#[test]
fn undoing_restores_everything() {
    let mut store = Store::new();
    store.grant(1).unwrap();
    let leased = PutRequest {
        lease: 1,
        ..put_request("a", "")
    };
    store.apply(&Request::Put(leased)).unwrap();
    let before = store.checkpoint();
    let print = store.fingerprint();
    store.apply(&put("a", "x")).unwrap();
    store.apply(&put("b", "x")).unwrap();
    store.grant(2).unwrap();
    store.revoke(1).unwrap();
    store
        .apply(&Request::Compact {
            revision: 2,
            physical: false,
        })
        .unwrap();
    assert_ne!(store.fingerprint(), print);
    let changed: Vec<_> = store
        .changed_since(before)
        .map(ToString::to_string)
        .collect();
    assert_eq!(changed, ["a", "b"]);
    store.roll_back(before);
    assert_eq!(store.fingerprint(), print);
    assert_eq!((store.revision(), store.compacted()), (2, -1));
    assert_eq!(store.lease_keys(1).unwrap().len(), 1);
    assert!(store.lease_keys(2).is_none());
}

#[test]
fn equal_sort_values_may_come_in_any_order() {
    let mut store = five();
    let by_version = RangeRequest {
        sort_target: SortTarget::Version,
        sort_order: SortOrder::Ascend,
        limit: 2,
        ..range("a", "\0")
    };
    let answer = read(&mut store, by_version);
    let kv = |key: &str, revision| KeyValue {
        key: key.into(),
        value: key.into(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        lease: 0,
    };
    let agrees = |kvs: Vec<KeyValue>| {
        answer.agrees_with(&RangeResponse {
            kvs,
            more: true,
            count: 5,
            ..Default::default()
        })
    };
    assert_eq!(agrees(vec![kv("d", 5), kv("b", 3)]), Ok(()));
    let kind = |kvs| agrees(kvs).unwrap_err().kind;
    assert_eq!(kind(vec![kv("d", 5), kv("d", 5)]), DifferenceKind::Order);
    assert_eq!(kind(vec![kv("d", 5), kv("b", 4)]), DifferenceKind::Content);
    assert_eq!(kind(vec![kv("d", 5)]), DifferenceKind::Presence);
    assert_eq!(kind(vec![kv("d", 5), kv("x", 4)]), DifferenceKind::Presence);
}
