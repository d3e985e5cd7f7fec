//! Takes back what a sequence did, so that the next finds the members as new, but for revisions.

use api::pb::etcdserverpb as pb;
use tonic::Status;

use crate::pair::Pair;
use crate::side::Side;
use crate::step::Step;

/// The passwords that sequences set.
pub(crate) const PASSWORDS: &[&str] = &["p", "q", ""];

/// Whether the pair is as new; if not, it has to be replaced.
pub(crate) async fn clean(pair: &mut Pair, steps: &[Step]) -> bool {
    let more = steps.iter().any(|step| {
        ["Auth/", "Cluster/", "Maintenance/"]
            .iter()
            .any(|service| step.name().starts_with(service))
    });
    let (reference, subject) = tokio::join!(
        as_new(&mut pair.reference, more),
        as_new(&mut pair.subject, more)
    );
    matches!((reference, subject), (Ok(a), Ok(b)) if a == b && a.is_some())
}

/// The member's revision, if everything is gone.
async fn as_new(side: &mut Side, more: bool) -> Result<Option<i64>, Status> {
    side.streams.clear();
    if more {
        quiet_alarms(side).await?;
        forget_auth(side).await?;
        forget_members(side).await?;
    }
    let all = pb::DeleteRangeRequest {
        key: vec![0],
        range_end: vec![0],
        prev_kv: false,
    };
    let deleted: pb::DeleteRangeResponse = side.ask("KV/DeleteRange", &all, None).await?;
    let leases: pb::LeaseLeasesResponse = side
        .ask("Lease/LeaseLeases", &pb::LeaseLeasesRequest {}, None)
        .await?;
    for lease in leases.leases {
        let revoke = pb::LeaseRevokeRequest { id: lease.id };
        let _: pb::LeaseRevokeResponse = side.ask("Lease/LeaseRevoke", &revoke, None).await?;
    }
    let left = pb::RangeRequest {
        key: vec![0],
        range_end: vec![0],
        ..pb::RangeRequest::default()
    };
    let left: pb::RangeResponse = side.ask("KV/Range", &left, None).await?;
    let revision = deleted.header.map_or(0, |header| header.revision);
    Ok((left.count == 0).then_some(revision))
}

async fn quiet_alarms(side: &Side) -> Result<(), Status> {
    let get = pb::AlarmRequest::default();
    let alarms: pb::AlarmResponse = side.ask("Maintenance/Alarm", &get, None).await?;
    for alarm in alarms.alarms {
        let quiet = pb::AlarmRequest {
            action: pb::alarm_request::AlarmAction::Deactivate.into(),
            member_id: alarm.member_id,
            alarm: alarm.alarm,
        };
        let _: pb::AlarmResponse = side.ask("Maintenance/Alarm", &quiet, None).await?;
    }
    Ok(())
}

async fn forget_auth(side: &Side) -> Result<(), Status> {
    for password in PASSWORDS {
        let login = pb::AuthenticateRequest {
            name: "root".into(),
            password: (*password).into(),
        };
        let login: Result<pb::AuthenticateResponse, _> =
            side.ask("Auth/Authenticate", &login, None).await;
        if let Ok(login) = login {
            let off = pb::AuthDisableRequest {};
            let _: pb::AuthDisableResponse = side
                .ask("Auth/AuthDisable", &off, Some(&login.token))
                .await?;
            break;
        }
    }
    let users: pb::AuthUserListResponse = side
        .ask("Auth/UserList", &pb::AuthUserListRequest {}, None)
        .await?;
    for name in users.users {
        let delete = pb::AuthUserDeleteRequest { name };
        let _: pb::AuthUserDeleteResponse = side.ask("Auth/UserDelete", &delete, None).await?;
    }
    let roles: pb::AuthRoleListResponse = side
        .ask("Auth/RoleList", &pb::AuthRoleListRequest {}, None)
        .await?;
    for role in roles.roles {
        let delete = pb::AuthRoleDeleteRequest { role };
        let _: pb::AuthRoleDeleteResponse = side.ask("Auth/RoleDelete", &delete, None).await?;
    }
    Ok(())
}

/// A pair that has other members, or that calls itself otherwise, is replaced.
async fn forget_members(side: &Side) -> Result<(), Status> {
    let list = pb::MemberListRequest::default();
    let list: pb::MemberListResponse = side.ask("Cluster/MemberList", &list, None).await?;
    let as_started = match &list.members[..] {
        [own] => own.peer_urls == [side.member.peer_url.clone()],
        _ => false,
    };
    as_started
        .then_some(())
        .ok_or_else(|| Status::aborted("the members have changed"))
}
