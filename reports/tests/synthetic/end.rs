//! What the harness asked: who leads, and at the end the state of every member.

use checker::history::{
    Asked, HashKvResponse, KeyValue, MaintenanceRequest, ObservationRecord, Outcome, Purpose,
    RangeRequest, RangeResponse, Record, Request, Response, ResponseHeader, StatusResponse,
};

use super::store::member_id;
use super::{AHEAD, HEAL, MS, Shape};

const MEMBERS: [&str; 3] = ["m1", "m2", "m3"];

pub fn observations(shape: Shape, history: &[Record]) -> Vec<ObservationRecord> {
    let mut observations = super::start();
    let mut id = 0;
    let mut ask = |at, purpose, round, member: &str, request, response| {
        observations.push(ObservationRecord::Asked(Asked {
            id,
            at,
            until: at + 2 * MS,
            purpose,
            round,
            member: member.into(),
            user: None,
            request,
            outcome: Outcome::Ok { response },
        }));
        id += 1;
    };
    let status = || Request::Maintenance(MaintenanceRequest::Status);
    for round in 0..16 {
        let at = u64::from(round) * 500 * MS + 600 * MS;
        let leader = if at < 4_000 * MS { "m3" } else { "m1" };
        let term = if at < 4_000 * MS { 2 } else { 3 };
        let response = Response::Status(status_of("m1", 400, leader, term));
        ask(at, Purpose::Watchdog, round, "m1", status(), response);
    }
    let top = newest(history);
    let revision = |member: &str| {
        if shape.broken && member == "m2" {
            top + AHEAD
        } else {
            top
        }
    };
    let ended = HEAL + 1_000 * MS;
    for (round, member) in (0..2).flat_map(|round| MEMBERS.map(|member| (round, member))) {
        let response = Response::Status(status_of(member, revision(member), "m1", 3));
        let at = ended + u64::from(round) * 200 * MS;
        ask(
            at,
            Purpose::ConvergenceStatus,
            round,
            member,
            status(),
            response,
        );
    }
    for member in MEMBERS {
        let odd = shape.broken && member == "m2";
        let response = Response::HashKv(HashKvResponse {
            header: header(member, revision(member), 3),
            hash: if odd { 0x9a11_04fe } else { 0x5ee0_73c2 },
            compact_revision: 380,
            hash_revision: top,
        });
        let request = Request::Maintenance(MaintenanceRequest::HashKv { revision: top });
        ask(
            ended + 400 * MS,
            Purpose::ConvergenceHash,
            0,
            member,
            request,
            response,
        );
        let request = Request::Range(RangeRequest {
            key: vec![0].into(),
            range_end: vec![0].into(),
            serializable: true,
            ..RangeRequest::default()
        });
        let response = Response::Range(content(member, revision(member), odd, top));
        ask(
            ended + 500 * MS,
            Purpose::ConvergenceContent,
            0,
            member,
            request,
            response,
        );
    }
    observations
}

fn header(member: &str, revision: i64, raft_term: u64) -> ResponseHeader {
    let (cluster_id, member_id) = (0xcdf8_1818_92ab_7e5c, member_id(member));
    ResponseHeader {
        cluster_id,
        member_id,
        revision,
        raft_term,
    }
}

fn status_of(member: &str, revision: i64, leader: &str, term: u64) -> StatusResponse {
    StatusResponse {
        header: header(member, revision, term),
        version: "3.5.1".into(),
        db_size: 50_540_544,
        leader: member_id(leader),
        raft_index: 1_507,
        raft_applied_index: 1_507,
        errors: vec![],
        learner: false,
    }
}

fn content(member: &str, revision: i64, odd: bool, top: i64) -> RangeResponse {
    let kv = |number: i64| {
        let twice = odd && number % 4 == 1;
        let mod_revision = top - 40 + number * 4 + if twice { AHEAD } else { 0 };
        KeyValue {
            key: format!("k/{number}").into(),
            create_revision: 414 + number,
            mod_revision,
            version: 61 + number + i64::from(twice),
            value: format!("v{}", 1_700 + number * 9).into(),
            lease: 0,
        }
    };
    let kvs: Vec<_> = (0..10).map(kv).collect();
    let count = i64::try_from(kvs.len()).unwrap();
    RangeResponse {
        header: header(member, revision, 3),
        kvs,
        more: false,
        count,
    }
}

fn newest(history: &[Record]) -> i64 {
    history
        .iter()
        .filter_map(|record| match record {
            Record::Return(returned) => Some(returned.outcome.response()?.header()?),
            _ => None,
        })
        .filter(|header| header.member_id != member_id("m2"))
        .map(|header| header.revision)
        .max()
        .unwrap_or(0)
}
