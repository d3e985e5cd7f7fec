//! Bringing a cluster to the state in which traffic starts.

use std::time::Duration;

use checker::history::{AuthRequest, Bytes, Outcome, Purpose, PutRequest, Request};
use scenarios::plan::Plan;

use crate::admin::Admin;
use crate::rpc::Credentials;
use crate::subject::{Feature, lacks};

/// How long members may take to serve for the first time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Waits for every member, makes the keys, users, roles and permissions that the plan wants.
///
/// # Errors
/// When the cluster does not come up, or refuses any of it.
pub async fn set_up(admin: &Admin, plan: &Plan) -> anyhow::Result<()> {
    for member in admin.cluster().names().await {
        admin.wait_ready(&member, START_LIMIT).await?;
    }
    if !lacks(plan, Feature::Membership) {
        admin.learn_members(START_LIMIT).await?;
    }
    preload(admin, plan).await?;
    let Some(auth) = &plan.auth else {
        return Ok(());
    };
    let change = async |change| admin.change_auth(Purpose::Setup, change, START_LIMIT).await;
    let add = |user: &str| AuthRequest::UserAdd {
        user: user.to_owned(),
        password: Credentials::of(user).password_name(),
    };
    change(add("root")).await?;
    let role = "root".to_owned();
    change(AuthRequest::UserGrantRole {
        user: role.clone(),
        role,
    })
    .await?;
    for user in &auth.users {
        let name = user.name.clone();
        change(AuthRequest::RoleAdd { role: name.clone() }).await?;
        for prefix in &user.prefixes {
            change(grant(&name, prefix)).await?;
        }
        change(add(&name)).await?;
        change(AuthRequest::UserGrantRole {
            user: name.clone(),
            role: name,
        })
        .await?;
    }
    change(AuthRequest::Enable).await
}

/// The change that lets a role read and write a prefix.
#[must_use]
pub fn grant(role: &str, prefix: &str) -> AuthRequest {
    let key = Bytes::from(prefix);
    let range_end = key.prefix_end();
    AuthRequest::RoleGrantPermission {
        role: role.to_owned(),
        key,
        range_end,
    }
}

async fn preload(admin: &Admin, plan: &Plan) -> anyhow::Result<()> {
    for number in 0..plan.traffic.preload_keys {
        let put = PutRequest {
            key: Bytes::from(format!("preload/{number:06}")),
            value: Bytes::from(format!(
                "p{number}{}",
                "x".repeat(plan.traffic.value_bytes as usize)
            )),
            ..Default::default()
        };
        // A put whose answer is lost is not sent again: the history then holds one unknown put.
        let voters = admin.cluster().voters().await;
        let member = &voters[number as usize % voters.len()];
        match admin
            .ask(Purpose::Setup, 0, member, Request::Put(put))
            .await?
        {
            Outcome::Ok { .. } => {}
            Outcome::Error { code, message, .. } => {
                admin
                    .recorder()
                    .note(format!("preload {number}: code {code}: {message}"))
                    .await?;
            }
        }
    }
    Ok(())
}
