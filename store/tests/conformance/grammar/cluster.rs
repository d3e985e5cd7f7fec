//! Members, alarms and maintenance.

use api::pb::etcdserverpb::{self as pb, alarm_request::AlarmAction};

use super::{Dice, kv};
use crate::step::Step;
use crate::translate::{ADDED, OWN, PEER_URL};

fn id(dice: &mut Dice) -> u64 {
    dice.pick(&[OWN, ADDED, ADDED, ADDED, 12, 0])
}

fn urls(dice: &mut Dice) -> Vec<String> {
    // Nobody listens on port 1 or 2.
    let urls: &[&str] = match dice.between(0, 9) {
        0 => &[],
        1 => &["nonsense"],
        2 => &["http://127.0.0.1"],
        3 => &["ftp://127.0.0.1:1"],
        4 => &[PEER_URL],
        5 => &["http://127.0.0.1:1", "http://127.0.0.1:2"],
        _ => &["http://127.0.0.1:1"],
    };
    urls.iter().map(|url| (*url).into()).collect()
}

/// Changes of members: only learners are added, for a second voter that is not there would leave
/// the member without a majority.
fn membership(dice: &mut Dice) -> Step {
    match dice.between(0, 11) {
        0..=3 => Step::call("Cluster/MemberAdd", &learner(dice)),
        4..=7 => Step::call(
            "Cluster/MemberRemove",
            &pb::MemberRemoveRequest { id: id(dice) },
        ),
        8..=9 => Step::call(
            "Cluster/MemberPromote",
            &pb::MemberPromoteRequest { id: id(dice) },
        ),
        10 => {
            // Not a learner, which etcd then forgets to be one; it takes anything for a URL.
            let id = dice.pick(&[OWN, 12]);
            let update = pb::MemberUpdateRequest {
                id,
                peer_urls: vec![PEER_URL.into()],
            };
            Step::call("Cluster/MemberUpdate", &update)
        }
        _ => {
            let list = pb::MemberListRequest {
                linearizable: dice.one_in(2),
            };
            Step::call("Cluster/MemberList", &list)
        }
    }
}

fn learner(dice: &mut Dice) -> pb::MemberAddRequest {
    pb::MemberAddRequest {
        peer_urls: urls(dice),
        is_learner: true,
    }
}

fn alarm(dice: &mut Dice) -> Step {
    let action = dice.pick(&[
        AlarmAction::Get,
        AlarmAction::Activate,
        AlarmAction::Deactivate,
        AlarmAction::Deactivate,
    ]);
    let alarm = pb::AlarmRequest {
        action: action.into(),
        member_id: dice.pick(&[OWN, OWN, OWN, 7, 0]),
        alarm: dice.weighted(&[(2, 0), (6, 1), (1, 2)]),
    };
    Step::call("Maintenance/Alarm", &alarm)
}

fn maintenance(dice: &mut Dice) -> Step {
    match dice.between(0, 15) {
        0..=1 => Step::call("Maintenance/Status", &pb::StatusRequest {}),
        2..=7 => {
            let hash = pb::HashKvRequest {
                revision: if dice.one_in(3) {
                    0
                } else {
                    kv::revision(dice)
                },
            };
            Step::call("Maintenance/HashKV", &hash)
        }
        8 => Step::call("Maintenance/Hash", &pb::HashRequest {}),
        9 => Step::call("Maintenance/Defragment", &pb::DefragmentRequest {}),
        10 => {
            let target_id = dice.pick(&[OWN, 12, 0]);
            Step::call(
                "Maintenance/MoveLeader",
                &pb::MoveLeaderRequest { target_id },
            )
        }
        11 => {
            let downgrade = pb::DowngradeRequest {
                action: dice.pick(&[0, 0, 2, 7]),
                version: dice
                    .pick(&["", "3.4.0", "3.5.0", "3.6.0", "3.3.0", "x"])
                    .into(),
            };
            Step::call("Maintenance/Downgrade", &downgrade)
        }
        12 => Step::Snapshot { user: None },
        _ => alarm(dice),
    }
}

/// A step on members or maintenance, for sequences that have other steps too.
pub(super) fn step(dice: &mut Dice) -> Step {
    if dice.one_in(4) {
        let list = pb::MemberListRequest {
            linearizable: dice.one_in(2),
        };
        return Step::call("Cluster/MemberList", &list);
    }
    maintenance(dice)
}

/// Steps of a sequence about members.
pub(super) fn member_step(dice: &mut Dice) -> Step {
    if dice.one_in(3) {
        return kv::step(dice);
    }
    membership(dice)
}
