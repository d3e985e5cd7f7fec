//! Leases: granted, renewed, asked about, revoked; a few expire.

use api::pb::etcdserverpb as pb;

use super::Dice;
use super::kv::LEASES;
use crate::step::Step;

fn id(dice: &mut Dice) -> i64 {
    match dice.between(0, 11) {
        0 => 99,
        1 => 0,
        2 => -5,
        _ => dice.pick(LEASES),
    }
}

pub(super) fn grant(dice: &mut Dice) -> pb::LeaseGrantRequest {
    // Far apart, since leases are listed by the time that remains; none expires soon.
    let ttl = dice.weighted(&[
        (4, 60),
        (4, 600),
        (4, 6000),
        (2, 60_000),
        (1, 0),
        (1, -1),
        (1, 9_000_000_000),
        (1, 9_000_000_001),
        (1, i64::MAX),
    ]);
    pb::LeaseGrantRequest {
        id: if dice.one_in(8) { 0 } else { id(dice) },
        ttl,
    }
}

/// Two of the leases that keys are put with.
pub(super) fn set_up() -> [Step; 2] {
    [(LEASES[0], 600), (LEASES[1], 6000)]
        .map(|(id, ttl)| Step::call("Lease/LeaseGrant", &pb::LeaseGrantRequest { id, ttl }))
}

pub(super) fn step(dice: &mut Dice) -> Step {
    match dice.between(0, 19) {
        0..=5 => Step::call("Lease/LeaseGrant", &grant(dice)),
        6..=8 => Step::call(
            "Lease/LeaseRevoke",
            &pb::LeaseRevokeRequest { id: id(dice) },
        ),
        9..=11 => Step::KeepAlive {
            id: id(dice),
            user: None,
        },
        12..=16 => {
            let ask = pb::LeaseTimeToLiveRequest {
                id: id(dice),
                keys: !dice.one_in(4),
            };
            Step::call("Lease/LeaseTimeToLive", &ask)
        }
        _ => Step::call("Lease/LeaseLeases", &pb::LeaseLeasesRequest {}),
    }
}

/// A lease of a short time, its keys, and what is left when it is gone.
pub(super) fn expiry(dice: &mut Dice) -> Vec<Step> {
    let id = dice.pick(LEASES);
    let grant = pb::LeaseGrantRequest {
        id,
        ttl: dice.pick(&[1, 2]),
    };
    let mut steps = vec![Step::call("Lease/LeaseGrant", &grant)];
    for key in ["a", "ab", "d"] {
        let put = pb::PutRequest {
            key: key.into(),
            lease: if dice.one_in(4) { 0 } else { id },
            ..pb::PutRequest::default()
        };
        steps.push(Step::call("KV/Put", &put));
    }
    steps.push(Step::AwaitExpiry { id });
    steps
}
