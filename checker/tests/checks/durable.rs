use checker::history::{
    Compare, CompareResult, CompareTarget, Purpose, PutRequest, Request, Response, ResponseHeader,
    TxnOp, TxnOpResponse, TxnRequest, TxnResponse,
};
use checker::judge::Complete;
use checker::verdict::Guarantee::Durable;
use checker::verdict::Verdict::{Holds, Inconclusive, Violated};

use crate::sim::{ALL, End, NO_LEASE, Sim, delete, everything, put, put_lease, status};
use crate::{expect, says};

const NOBODY: &[&str] = &[];

#[test]
fn a_write_that_one_member_left_out_is_lost_there() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "old");
    let lost = sim.client("m1", None, put("k", "new"), &["m1", "m3"], End::Ok);
    let report = expect(&sim.finish(), Durable, Violated);
    says(
        &report,
        &["1 acknowledged write of 1 key is gone on m2", "k"],
    );
    assert_eq!(report.findings[0].operations, [lost]);
    assert_eq!(report.findings[0].members, ["m2"]);
}

#[test]
fn many_lost_writes_are_one_finding_with_samples() {
    let mut sim = Sim::new();
    for index in 0..40 {
        sim.client(
            "m1",
            None,
            put(&format!("k/{index}"), &format!("v{index}")),
            NOBODY,
            End::Ok,
        );
    }
    let report = expect(&sim.finish(), Durable, Violated);
    assert_eq!(
        report.findings.len(),
        1,
        "all members lost the same: {report:#?}"
    );
    says(
        &report,
        &["40 acknowledged writes of 40 keys are gone on m1, m2 and m3"],
    );
    assert_eq!(report.findings[0].operations.len(), 5);
}

#[test]
fn an_older_value_is_a_loss_and_a_concurrent_one_is_not() {
    let mut sim = Sim::new();
    let early = sim.invoke("m1", None, put("k", "early"));
    sim.client("m2", None, put("k", "late"), ALL, End::Ok);
    sim.apply(&put("k", "early"), ALL);
    sim.end(early, "m1", &put("k", "early"), End::Ok);
    expect(&sim.finish(), Durable, Holds);

    let mut sim = Sim::new();
    let early = sim.invoke("m1", None, put("k", "early"));
    sim.apply(&put("k", "early"), ALL);
    sim.client("m2", None, put("k", "late"), ALL, End::Ok);
    sim.end(early, "m1", &put("k", "early"), End::Ok);
    expect(&sim.finish(), Durable, Holds);

    let mut sim = Sim::new();
    sim.put("m1", "k", "early");
    sim.client("m2", None, put("k", "late"), NOBODY, End::Ok);
    expect(&sim.finish(), Durable, Violated);
}

#[test]
fn a_timed_out_write_may_come_last_and_a_definite_failure_may_not() {
    let mut sim = Sim::new();
    let slow = sim.invoke("m1", None, put("k", "slow"));
    sim.end(slow, "m1", &put("k", "slow"), End::Timeout);
    sim.put("m2", "k", "quick");
    sim.apply(&put("k", "slow"), ALL);
    expect(&sim.finish(), Durable, Holds);

    let mut sim = Sim::new();
    sim.put("m2", "k", "quick");
    sim.client(
        "m1",
        None,
        put_lease("k", "void", 5),
        ALL,
        End::Error(NO_LEASE),
    );
    let report = expect(&sim.finish(), Durable, Violated);
    says(&report, &["a value that no request can have written"]);
    assert!(report.findings[0].explanation[0].contains("requested lease not found"));
}

#[test]
fn a_write_without_an_answer_may_come_last() {
    let mut sim = Sim::new();
    sim.invoke("m1", None, put("k", "open"));
    sim.put("m2", "k", "quick");
    sim.apply(&put("k", "open"), ALL);
    expect(&sim.finish(), Durable, Holds);
}

#[test]
fn absence_takes_a_delete_that_can_come_after() {
    let gone = |explain: fn(&mut Sim)| {
        let mut sim = Sim::new();
        explain(&mut sim);
        sim
    };
    let deleted = gone(|sim| {
        sim.put("m1", "k", "v");
        sim.client("m1", None, delete("k"), ALL, End::Ok);
    });
    expect(&deleted.finish(), Durable, Holds);
    let unknown = gone(|sim| {
        sim.client("m1", None, delete("k"), NOBODY, End::Timeout);
        sim.put("m1", "k", "v");
        sim.apply(&delete("k"), ALL);
    });
    expect(&unknown.finish(), Durable, Holds);
    let before = gone(|sim| {
        sim.client("m1", None, delete("k"), NOBODY, End::Ok);
        sim.client("m1", None, put("k", "v"), NOBODY, End::Ok);
    });
    says(&expect(&before.finish(), Durable, Violated), &["is gone"]);
    let failed = gone(|sim| {
        sim.client("m1", None, put("k", "v"), NOBODY, End::Ok);
        sim.client(
            "m1",
            None,
            delete("k"),
            NOBODY,
            End::Error((14, "etcdserver: not capable")),
        );
    });
    expect(&failed.finish(), Durable, Violated);
}

#[test]
fn a_range_delete_covers_its_keys_and_no_others() {
    let ranged = |key: &str| {
        let mut sim = Sim::new();
        sim.client("m1", None, put(key, "v"), NOBODY, End::Ok);
        let range = checker::history::DeleteRequest {
            key: "k/".into(),
            range_end: "k0".into(),
            prev_kv: false,
        };
        sim.client("m1", None, Request::Delete(range), NOBODY, End::Ok);
        sim.finish()
    };
    expect(&ranged("k/1"), Durable, Holds);
    expect(&ranged("l/1"), Durable, Violated);
}

#[test]
fn a_lease_removes_what_is_attached_once_it_can_have_ended() {
    let leased = |ttl: i64, revoke: bool, wait: u64| {
        let mut sim = Sim::new();
        sim.client("m1", None, Request::LeaseGrant { id: 7, ttl }, ALL, End::Ok);
        sim.client("m1", None, put_lease("k", "v", 7), ALL, End::Ok);
        if revoke {
            sim.client("m1", None, Request::LeaseRevoke { id: 7 }, NOBODY, End::Ok);
        }
        sim.now += wait;
        sim.apply(&Request::LeaseRevoke { id: 7 }, ALL);
        sim.finish()
    };
    expect(&leased(300, true, 0), Durable, Holds);
    expect(&leased(2, false, 3_000_000_000), Durable, Holds);
    says(
        &expect(&leased(300, false, 0), Durable, Violated),
        &["is gone"],
    );
}

#[test]
fn a_later_write_without_the_lease_outlives_it() {
    let mut sim = Sim::new();
    sim.client(
        "m1",
        None,
        Request::LeaseGrant { id: 7, ttl: 300 },
        ALL,
        End::Ok,
    );
    sim.client("m1", None, put_lease("k", "leased", 7), ALL, End::Ok);
    sim.put("m1", "k", "free");
    sim.client("m1", None, Request::LeaseRevoke { id: 7 }, NOBODY, End::Ok);
    for store in sim.stores.values_mut() {
        store.delete("k");
    }
    expect(&sim.finish(), Durable, Violated);
}

#[test]
fn a_deleted_key_does_not_come_back() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.client("m1", None, delete("k"), &["m1", "m2"], End::Ok);
    let report = expect(&sim.finish(), Durable, Violated);
    says(&report, &["1 deleted key is back on m3", "k"]);
}

#[test]
fn values_come_from_somewhere() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.stores.get_mut("m2").unwrap().put("ghost", "boo", 0);
    sim.stores.get_mut("m2").unwrap().put("k", "boo", 0);
    let report = expect(&sim.finish(), Durable, Violated);
    says(
        &report,
        &["2 keys on m2 have a value that no request can have written"],
    );
}

#[test]
fn a_value_with_two_writers_is_as_new_as_the_newer() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "same");
    sim.put("m1", "k", "other");
    sim.put("m1", "k", "same");
    expect(&sim.finish(), Durable, Holds);
}

fn txn(taken: bool, sim: &mut Sim) {
    let step = |value: &str| {
        TxnOp::Put(PutRequest {
            key: "k".into(),
            value: value.into(),
            ..PutRequest::default()
        })
    };
    let request = Request::Txn(TxnRequest {
        compare: vec![Compare {
            key: "k".into(),
            range_end: "".into(),
            result: CompareResult::Equal,
            target: CompareTarget::Version(0),
        }],
        success: vec![step("then")],
        failure: vec![step("else")],
    });
    let id = sim.invoke("m1", None, request);
    let at = sim.tick();
    let response = Response::Txn(TxnResponse {
        header: ResponseHeader::default(),
        succeeded: taken,
        responses: vec![TxnOpResponse::Put(Default::default())],
    });
    sim.history
        .push(checker::history::Record::Return(checker::history::Return {
            id,
            at,
            outcome: checker::history::Outcome::Ok { response },
        }));
}

#[test]
fn a_transaction_writes_the_branch_it_took() {
    let mut sim = Sim::new();
    txn(true, &mut sim);
    sim.apply(&put("k", "then"), ALL);
    expect(&sim.finish(), Durable, Holds);
    let mut sim = Sim::new();
    txn(true, &mut sim);
    sim.apply(&put("k", "else"), ALL);
    let report = expect(&sim.finish(), Durable, Violated);
    says(&report, &["no request can have written"]);
    assert!(
        report.findings[0].explanation[0].contains("its other branch"),
        "{report:#?}"
    );
    let mut sim = Sim::new();
    txn(false, &mut sim);
    expect(&sim.finish(), Durable, Violated);
}

#[test]
fn the_harness_writes_too() {
    let mut sim = Sim::new();
    sim.put("m1", "k", "traffic");
    sim.ask(
        Purpose::Nemesis,
        0,
        "m2",
        None,
        put("k", "nemesis"),
        End::Ok,
    );
    expect(&sim.finish(), Durable, Holds);
}

#[test]
fn a_member_that_lags_is_not_accused() {
    let lagging = |quorum: bool| {
        let mut sim = Sim::new();
        sim.client("m1", None, put("k", "v"), &["m1", "m2"], End::Ok);
        *sim.applied.get_mut("m3").unwrap() -= 1;
        sim.liveness();
        sim.statuses();
        for member in ALL {
            if quorum {
                sim.ask(
                    Purpose::ConvergenceContent,
                    0,
                    member,
                    None,
                    everything(false),
                    End::Ok,
                );
            }
            sim.ask(
                Purpose::ConvergenceContent,
                0,
                member,
                None,
                everything(true),
                End::Ok,
            );
        }
        sim.stop();
        sim.records()
    };
    let report = expect(&lagging(false), Durable, Inconclusive);
    says(&report, &["m3", "not seen to have applied as much"]);
    says(&expect(&lagging(true), Durable, Violated), &["gone on m3"]);
}

#[test]
fn where_the_others_are_not_seen_none_is_known_to_be_newest() {
    let mut sim = Sim::new();
    sim.client("m1", None, put("k", "v"), &["m1", "m2"], End::Ok);
    *sim.applied.get_mut("m3").unwrap() -= 1;
    sim.liveness();
    for round in 0..2 {
        for member in ALL {
            let end = if *member == "m3" {
                End::Ok
            } else {
                End::Timeout
            };
            sim.ask(
                Purpose::ConvergenceStatus,
                round,
                member,
                None,
                status(),
                end,
            );
        }
    }
    sim.ask(
        Purpose::ConvergenceContent,
        0,
        "m3",
        None,
        everything(true),
        End::Ok,
    );
    sim.stop();
    expect(&sim.records(), Durable, Inconclusive);
}

#[test]
fn a_prefix_or_missing_content_proves_nothing() {
    let mut sim = Sim::new();
    sim.client("m1", None, put("k", "v"), NOBODY, End::Ok);
    let mut records = sim.finish();
    expect(&records, Durable, Violated);
    records.complete = Complete {
        history: false,
        ..Complete::ALL
    };
    says(&expect(&records, Durable, Inconclusive), &["prefix"]);

    let mut sim = Sim::new();
    sim.put("m1", "k", "v");
    sim.liveness();
    sim.statuses();
    sim.stop();
    says(
        &expect(&sim.records(), Durable, Inconclusive),
        &["no member's content"],
    );
}
