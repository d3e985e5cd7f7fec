//! Users, roles and permissions, and requests by users that may and may not.

use api::pb::{authpb, etcdserverpb as pb};
use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use super::{Dice, kv, lease, watch};
use crate::clean::PASSWORDS;
use crate::step::Step;

const USERS: &[&str] = &["root", "alice", "alice", "bob"];
const ROLES: &[&str] = &["root", "r", "r", "s"];

fn user(dice: &mut Dice) -> String {
    match dice.between(0, 19) {
        0 => String::new(),
        1 => "nobody".into(),
        _ => dice.pick(USERS).into(),
    }
}

fn role(dice: &mut Dice) -> String {
    match dice.between(0, 19) {
        0 => String::new(),
        1 => "none".into(),
        _ => dice.pick(ROLES).into(),
    }
}

fn password(dice: &mut Dice) -> String {
    let index = dice.weighted(&[(8, 0), (2, 1), (1, 2)]);
    PASSWORDS[index].into()
}

fn grant(dice: &mut Dice) -> pb::AuthRoleGrantPermissionRequest {
    let (key, range_end) = kv::span(dice);
    let permission = authpb::Permission {
        perm_type: dice.weighted(&[(3, 0), (3, 1), (4, 2), (1, 5)]),
        key,
        range_end,
    };
    pb::AuthRoleGrantPermissionRequest {
        name: role(dice),
        perm: (!dice.one_in(30)).then_some(permission),
    }
}

fn login(name: &str, password: &str) -> Step {
    let login = pb::AuthenticateRequest {
        name: name.into(),
        password: password.into(),
    };
    Step::call("Auth/Authenticate", &login)
}

fn add(name: &str) -> Step {
    let add = pb::AuthUserAddRequest {
        name: name.into(),
        password: PASSWORDS[0].into(),
        ..pb::AuthUserAddRequest::default()
    };
    Step::call("Auth/UserAdd", &add)
}

/// Most of what makes auth work, now and then with a step left out.
pub(super) fn set_up(dice: &mut Dice) -> Vec<Step> {
    let role = |name: &str| {
        Step::call(
            "Auth/RoleAdd",
            &pb::AuthRoleAddRequest { name: name.into() },
        )
    };
    let give = |user: &str, role: &str| {
        let give = pb::AuthUserGrantRoleRequest {
            user: user.into(),
            role: role.into(),
        };
        Step::call("Auth/UserGrantRole", &give)
    };
    let mut steps = vec![
        add("root"),
        role("root"),
        give("root", "root"),
        add("alice"),
        role("r"),
        give("alice", "r"),
    ];
    for _ in 0..dice.between(1, 3) {
        let (key, range_end) = kv::span(dice);
        let allow = pb::AuthRoleGrantPermissionRequest {
            name: "r".into(),
            perm: Some(authpb::Permission {
                perm_type: dice.pick(&[0, 1, 2, 2]),
                key,
                range_end,
            }),
        };
        steps.push(Step::call("Auth/RoleGrantPermission", &allow));
    }
    steps.push(Step::call("Auth/AuthEnable", &pb::AuthEnableRequest {}));
    steps.push(login("alice", PASSWORDS[0]));
    steps.push(login("root", PASSWORDS[0]));
    steps.retain(|_| !dice.one_in(30));
    steps
}

fn administer(dice: &mut Dice) -> Step {
    match dice.between(0, 33) {
        0..=2 => {
            let no_password = dice.one_in(6);
            let add = pb::AuthUserAddRequest {
                name: user(dice),
                password: password(dice),
                options: dice
                    .one_in(3)
                    .then_some(authpb::UserAddOptions { no_password }),
                hashed_password: String::new(),
            };
            Step::call("Auth/UserAdd", &add)
        }
        3 => Step::call(
            "Auth/UserDelete",
            &pb::AuthUserDeleteRequest { name: user(dice) },
        ),
        4..=6 => Step::call("Auth/UserGet", &pb::AuthUserGetRequest { name: user(dice) }),
        7 => Step::call("Auth/UserList", &pb::AuthUserListRequest {}),
        8..=9 => {
            let change = pb::AuthUserChangePasswordRequest {
                name: user(dice),
                password: password(dice),
                hashed_password: String::new(),
            };
            Step::call("Auth/UserChangePassword", &change)
        }
        10..=12 => {
            let give = pb::AuthUserGrantRoleRequest {
                user: user(dice),
                role: role(dice),
            };
            Step::call("Auth/UserGrantRole", &give)
        }
        13..=14 => {
            let take = pb::AuthUserRevokeRoleRequest {
                name: user(dice),
                role: role(dice),
            };
            Step::call("Auth/UserRevokeRole", &take)
        }
        15..=16 => Step::call("Auth/RoleAdd", &pb::AuthRoleAddRequest { name: role(dice) }),
        17..=19 => Step::call("Auth/RoleGet", &pb::AuthRoleGetRequest { role: role(dice) }),
        20 => Step::call("Auth/RoleList", &pb::AuthRoleListRequest {}),
        21 => Step::call(
            "Auth/RoleDelete",
            &pb::AuthRoleDeleteRequest { role: role(dice) },
        ),
        22..=25 => Step::call("Auth/RoleGrantPermission", &grant(dice)),
        26..=27 => {
            let (key, range_end) = kv::span(dice);
            let take = pb::AuthRoleRevokePermissionRequest {
                role: role(dice),
                key,
                range_end,
            };
            Step::call("Auth/RoleRevokePermission", &take)
        }
        28 => Step::call("Auth/AuthEnable", &pb::AuthEnableRequest {}),
        29 => Step::call("Auth/AuthDisable", &pb::AuthDisableRequest {}),
        30..=31 => Step::call("Auth/AuthStatus", &pb::AuthStatusRequest {}),
        _ => login(&user(dice), &password(dice)),
    }
}

/// Without ranges that end before they start, and watches from a key on.
fn forwards(mut step: Step) -> Step {
    if let Some(request) = step.request_mut() {
        turn(request);
    }
    step
}

fn turn(message: &mut DynamicMessage) {
    let bytes = |message: &DynamicMessage, name: &str| {
        let value = message.get_field_by_name(name)?.into_owned();
        value.as_bytes().cloned()
    };
    if let (Some(key), Some(last)) = (bytes(message, "key"), bytes(message, "range_end")) {
        let rest = last == b"\0"[..];
        let watch = message.descriptor().name() == "WatchCreateRequest";
        if (rest && watch) || (!rest && last < key) {
            message.clear_field_by_name("range_end");
        }
    }
    for (_, value) in message.fields_mut() {
        match value {
            Value::Message(inner) => turn(inner),
            Value::List(list) => list
                .iter_mut()
                .filter_map(Value::as_message_mut)
                .for_each(turn),
            _ => {}
        }
    }
}

/// Any step of a sequence with users, by any of them.
pub(super) fn step(dice: &mut Dice) -> Step {
    let step = match dice.between(0, 99) {
        0..=44 => kv::step(dice),
        45..=51 => lease::step(dice),
        52..=53 => watch::create(dice),
        54 => Step::call("Maintenance/HashKV", &pb::HashKvRequest { revision: 0 }),
        55 => Step::call("Cluster/MemberList", &pb::MemberListRequest::default()),
        56 => super::cluster::step(dice),
        57..=58 => Step::Settle,
        _ => administer(dice),
    };
    let step = forwards(step);
    let user = dice.weighted(&[
        (4, None),
        (12, Some("alice")),
        (12, Some("root")),
        (1, Some("bob")),
    ]);
    step.by(user)
}
