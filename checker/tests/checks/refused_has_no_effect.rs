use checker::history::{
    Event, EventKind, PutRequest, RangeRequest, Record, Request, TxnOp, TxnRequest, WatchDelivery,
    WatchRequest, WatchResponse,
};
use checker::judge::Complete;
use checker::verdict::Guarantee::RefusedHasNoEffect;
use checker::verdict::Verdict::{Holds, Inconclusive, NotRun, Violated};

use crate::sim::{ALL, DENIED, End, Sim, delete, get, put};
use crate::{expect, says};

const NOBODY: &[&str] = &[];

#[test]
fn a_refused_write_that_is_never_seen_holds() {
    let mut sim = Sim::new();
    sim.client(
        "m2",
        Some("alice"),
        put("z/1", "forbidden"),
        NOBODY,
        End::Error(DENIED),
    );
    sim.put("m1", "k", "v");
    let report = expect(&sim.finish(), RefusedHasNoEffect, Holds);
    assert!(report.findings.is_empty());
}

#[test]
fn a_refused_write_that_others_read_is_told_with_both_members() {
    let mut sim = Sim::new();
    let refused = sim.client(
        "m2",
        Some("alice"),
        put("b1", "w7"),
        &["m1", "m3"],
        End::Error(DENIED),
    );
    let read = sim.client("m3", None, get("b1"), NOBODY, End::Ok);
    let report = expect(&sim.finish(), RefusedHasNoEffect, Violated);
    says(
        &report,
        &["m2 answered", "permission denied", "on b1", "m3"],
    );
    let first = &report.findings[0];
    assert_eq!(first.operations[..2], [refused, read]);
    assert_eq!(first.members[0], "m2");
    assert!(first.explanation[0].contains("as alice"), "{first:?}");
}

#[test]
fn the_final_content_shows_it_and_so_does_a_watch() {
    let mut sim = Sim::new();
    sim.client(
        "m2",
        Some("alice"),
        put("b1", "w7"),
        &["m1"],
        End::Error(DENIED),
    );
    let records = sim.finish();
    says(
        &expect(&records, RefusedHasNoEffect, Violated),
        &["m1 showed"],
    );

    let mut sim = Sim::new();
    let watch = Request::Watch(WatchRequest {
        key: "b1".into(),
        ..WatchRequest::default()
    });
    let id = sim.invoke("m3", None, watch);
    sim.client(
        "m2",
        Some("alice"),
        put("b1", "w7"),
        &["m1"],
        End::Error(DENIED),
    );
    let kv = sim.stores["m1"].keys.values().next().unwrap().clone();
    let at = sim.tick();
    let event = Event {
        kind: EventKind::Put,
        kv,
        prev_kv: None,
    };
    let response = WatchResponse {
        events: vec![event],
        ..WatchResponse::default()
    };
    sim.history
        .push(Record::Watch(WatchDelivery { id, at, response }));
    let mut records = sim.records();
    says(
        &expect(&records, RefusedHasNoEffect, Violated),
        &["m3 showed"],
    );
    records.complete = Complete::default();
    expect(&records, RefusedHasNoEffect, Violated);
}

#[test]
fn in_a_prefix_of_the_history_contents_are_no_proof() {
    let mut sim = Sim::new();
    sim.client(
        "m2",
        Some("alice"),
        put("b1", "w7"),
        &["m1"],
        End::Error(DENIED),
    );
    let mut records = sim.finish();
    records.complete.history = false;
    expect(&records, RefusedHasNoEffect, Holds);
}

#[test]
fn a_value_that_another_request_carried_proves_nothing() {
    let mut sim = Sim::new();
    sim.client(
        "m2",
        Some("alice"),
        put("b1", "twice"),
        NOBODY,
        End::Error(DENIED),
    );
    sim.client("m1", None, put("b1", "twice"), ALL, End::Ok);
    says(
        &expect(&sim.finish(), RefusedHasNoEffect, Inconclusive),
        &["none carried a value"],
    );
}

#[test]
fn every_refused_write_is_judged_by_itself() {
    let mut sim = Sim::new();
    for index in 0..3 {
        let request = put("b1", &format!("w{index}"));
        sim.client(
            "m2",
            Some("alice"),
            request,
            &["m1", "m3"],
            End::Error(DENIED),
        );
        sim.client("m1", None, get("b1"), NOBODY, End::Ok);
    }
    assert_eq!(
        expect(&sim.finish(), RefusedHasNoEffect, Violated)
            .findings
            .len(),
        3
    );
}

#[test]
fn a_refused_transaction_is_one_finding_whatever_it_put() {
    let put_op = |key: &str, value: &str| {
        TxnOp::Put(PutRequest {
            key: key.into(),
            value: value.into(),
            ..PutRequest::default()
        })
    };
    let read = TxnOp::Range(RangeRequest {
        key: "z".into(),
        ..RangeRequest::default()
    });
    let request = Request::Txn(TxnRequest {
        compare: vec![],
        success: vec![put_op("b1", "w1"), put_op("b2", "w2"), read],
        failure: vec![],
    });
    let mut sim = Sim::new();
    let id = sim.client("m2", Some("alice"), request, NOBODY, End::Error(DENIED));
    sim.apply(&put("b1", "w1"), &["m1"]);
    sim.apply(&put("b2", "w2"), &["m1"]);
    let report = expect(&sim.finish(), RefusedHasNoEffect, Violated);
    assert_eq!(report.findings.len(), 1, "{report:#?}");
    assert_eq!(report.findings[0].operations, [id]);
    let told = report.findings[0].explanation.join("\n");
    assert!(
        told.contains("2 values of this request") && told.contains("drop the reads"),
        "{told}"
    );
}

#[test]
fn a_time_out_and_a_refused_read_are_no_refused_writes() {
    let mut sim = Sim::new();
    sim.client("m2", Some("alice"), put("b1", "w"), ALL, End::Timeout);
    sim.client("m2", Some("alice"), get("z"), NOBODY, End::Error(DENIED));
    expect(&sim.finish(), RefusedHasNoEffect, NotRun);
}

#[test]
fn a_refused_delete_cannot_be_traced() {
    let mut sim = Sim::new();
    sim.client("m2", Some("alice"), delete("z"), NOBODY, End::Error(DENIED));
    expect(&sim.finish(), RefusedHasNoEffect, Inconclusive);
}
