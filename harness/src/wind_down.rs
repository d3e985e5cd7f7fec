//! The end of a run: everything healed, liveness and auth asked for, the store brought to rest, and
//! every member's state read. Nothing is judged here: the checker judges what is recorded.

use std::time::{Duration, Instant};

use checker::history::{
    AuthRequest, Bytes, MaintenanceRequest, Outcome, Phase, Purpose, PutRequest, RangeRequest,
    Request, Response, StatusResponse,
};
use scenarios::plan::{Action, Plan};

use api::errors::{is_auth_failed, is_invalid_auth_token, is_permission_denied, is_user_empty};

use crate::admin::Admin;
use crate::subject::{Feature, lacks};

/// Time after healing in which every voter must serve again and every member catch up.
pub const LIVENESS_LIMIT: Duration = Duration::from_secs(30);

/// How long the last administrative changes may take.
const CHANGE_LIMIT: Duration = Duration::from_secs(20);

/// Rounds of Status until two are equal.
const STATUS_ROUNDS_MAX: u32 = 100;

/// Pause between rounds.
const ROUND: Duration = Duration::from_millis(100);

/// Rounds of HashKV while hashes differ.
const HASH_ROUNDS: u32 = 2;

/// Pause between them: long enough for a compaction of a run's few thousand revisions.
const HASH_PAUSE: Duration = Duration::from_millis(1100);

/// Rounds of an auth question that nobody answers.
const AUTH_ROUNDS_MAX: u32 = 10;

/// Undoes every fault: resumes, heals links, restarts what is down.
///
/// # Errors
/// When the recorder is gone. A member that cannot be started is recorded as a note.
pub async fn heal(admin: &Admin) -> anyhow::Result<()> {
    let cluster = admin.cluster();
    cluster.heal_disks().await?;
    let (paused, _) = cluster.broken().await;
    for member in paused {
        cluster.resume(&member).await?;
    }
    cluster.heal_all_links().await?;
    let (_, down) = cluster.broken().await;
    for member in down {
        if let Err(error) = cluster.restart(&member).await {
            admin
                .recorder()
                .note(format!("{member} could not be started: {error:#}"))
                .await?;
        }
    }
    Ok(())
}

/// Asks for a write and a linearizable read through each voter, and for each member's catching up,
/// until answered or [`LIVENESS_LIMIT`] is over.
///
/// # Errors
/// When the recorder is gone.
pub async fn ask_liveness(admin: &Admin) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut voters = admin.cluster().voters().await;
    for round in 0.. {
        let mut left = Vec::new();
        for voter in voters {
            let put = Request::Put(PutRequest {
                key: Bytes::from(format!("gauntlet/live/{voter}")),
                value: Bytes::from(format!("live-{voter}-{round}")),
                ..Default::default()
            });
            let get = Request::Range(RangeRequest {
                key: Bytes::from(format!("gauntlet/live/{voter}")),
                ..Default::default()
            });
            let wrote = admin
                .ask(Purpose::LivenessWrite, round, &voter, put)
                .await?;
            let read = admin.ask(Purpose::LivenessRead, round, &voter, get).await?;
            if !(serves(&wrote) && serves(&read)) {
                left.push(voter);
            }
        }
        voters = left;
        if voters.is_empty() || start.elapsed() > LIVENESS_LIMIT {
            break;
        }
        tokio::time::sleep(ROUND).await;
    }
    for member in admin.cluster().names().await {
        let left = LIVENESS_LIMIT.saturating_sub(start.elapsed());
        admin
            .wait_caught_up(Purpose::LivenessCatchUp, &member, left)
            .await?;
    }
    Ok(())
}

/// An answer, or a refusal for auth's sake: that is judged as auth, not as liveness.
fn serves(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ok { .. } => true,
        Outcome::Error { code, message, .. } => {
            api::errors::is_invalid_auth_token(*code, message)
                || api::errors::is_permission_denied(*code, message)
        }
    }
}

/// Asks every voter for a fresh log-in of every user, and for what each user may and may not do.
///
/// # Errors
/// When the recorder is gone.
pub async fn ask_auth(admin: &Admin, plan: &Plan) -> anyhow::Result<()> {
    let Some(auth) = &plan.auth else {
        return Ok(());
    };
    for voter in admin.cluster().voters().await {
        let log_in =
            async |round, user: &str| admin.log_in(Purpose::AuthLogin, round, &voter, user).await;
        for round in 0..AUTH_ROUNDS_MAX {
            if conclusive(&log_in(round, "root").await?) {
                break;
            }
            tokio::time::sleep(ROUND).await;
        }
        for user in &auth.users {
            for round in 0..AUTH_ROUNDS_MAX {
                if conclusive(&log_in(round, &user.name).await?) {
                    break;
                }
                tokio::time::sleep(ROUND).await;
            }
            for prefix in prefixes_at_the_end(plan, &user.name) {
                let put = Request::Put(PutRequest {
                    key: Bytes::from(format!("{prefix}gauntlet-allowed")),
                    value: Bytes::from(format!("allowed-{voter}-{}-{prefix}", user.name)),
                    ..Default::default()
                });
                ask_until(admin, Purpose::AuthAllowed, &voter, &user.name, put).await?;
            }
            let get = Request::Range(RangeRequest {
                key: Bytes::from("gauntlet/root-only"),
                ..Default::default()
            });
            ask_until(admin, Purpose::AuthDenied, &voter, &user.name, get).await?;
        }
    }
    Ok(())
}

async fn ask_until(
    admin: &Admin,
    purpose: Purpose,
    voter: &str,
    user: &str,
    request: Request,
) -> anyhow::Result<()> {
    for round in 0..AUTH_ROUNDS_MAX {
        let outcome = admin
            .ask_as(purpose, round, voter, Some(user), request.clone())
            .await?;
        if conclusive(&outcome) {
            break;
        }
        tokio::time::sleep(ROUND).await;
    }
    Ok(())
}

/// Whether the auth layer has spoken: let it through, or refused.
fn conclusive(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ok { .. } => true,
        Outcome::Error { code, message, .. } => {
            is_permission_denied(*code, message)
                || is_invalid_auth_token(*code, message)
                || is_user_empty(*code, message)
                || is_auth_failed(*code, message)
        }
    }
}

/// The prefixes that a user's role holds once every step is done.
fn prefixes_at_the_end(plan: &Plan, user: &str) -> Vec<String> {
    let auth = plan.auth.iter().flat_map(|auth| &auth.users);
    let mut prefixes: Vec<String> = auth
        .filter(|one| one.name == user)
        .flat_map(|one| one.prefixes.clone())
        .collect();
    for step in &plan.steps {
        match &step.action {
            Action::GrantPermission {
                user: whose,
                prefix,
            } if whose == user => {
                prefixes.push(prefix.clone());
            }
            Action::RevokePermission {
                user: whose,
                prefix,
            } if whose == user => {
                prefixes.retain(|one| one != prefix);
            }
            _ => {}
        }
    }
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

/// Brings the store to rest and reads every member's state: auth off, leases revoked, a last put,
/// two equal rounds of Status, then hashes and contents.
///
/// # Errors
/// When the recorder is gone. What cannot be done is recorded as a note: the checks that needed it
/// are then inconclusive.
pub async fn read_final_state(admin: &Admin, plan: &Plan, leases: &[i64]) -> anyhow::Result<()> {
    if admin.auth_is_on() {
        let off = admin
            .change_auth(Purpose::WindDown, AuthRequest::Disable, CHANGE_LIMIT)
            .await;
        if let Err(error) = off {
            admin
                .recorder()
                .note(format!("auth could not be switched off: {error:#}"))
                .await?;
        }
    }
    revoke(admin, leases).await?;
    let put = Request::Put(PutRequest {
        key: Bytes::from("gauntlet/last"),
        value: Bytes::from("last"),
        ..Default::default()
    });
    if let Err(error) = admin.insist(Purpose::WindDown, put, CHANGE_LIMIT).await {
        admin
            .recorder()
            .note(format!("the last put failed: {error:#}"))
            .await?;
    }
    let members = admin.cluster().names().await;
    let statuses = wait_at_rest(admin, &members).await?;
    let common = statuses
        .iter()
        .flatten()
        .map(|status| status.header.revision)
        .min();
    if let Some(revision) = common.filter(|_| !lacks(plan, Feature::HashKv)) {
        read_hashes(admin, &members, revision).await?;
    }
    let voters = admin.cluster().voters().await;
    for member in &members {
        // A learner answers no linearizable read.
        let kinds: &[bool] = if voters.contains(member) {
            &[false, true]
        } else {
            &[true]
        };
        for &serializable in kinds {
            let everything = Request::Range(RangeRequest {
                key: Bytes(vec![0]),
                range_end: Bytes(vec![0]),
                serializable,
                ..Default::default()
            });
            admin
                .ask(Purpose::ConvergenceContent, 0, member, everything)
                .await?;
        }
    }
    Ok(())
}

/// Asks for hashes, and again a second later where they differ: a compaction that is still at work
/// on one member makes hashes differ for a moment.
async fn read_hashes(admin: &Admin, members: &[String], revision: i64) -> anyhow::Result<()> {
    for round in 0..HASH_ROUNDS {
        let mut hashes = Vec::new();
        for member in members {
            let request = Request::Maintenance(MaintenanceRequest::HashKv { revision });
            let outcome = admin
                .ask(Purpose::ConvergenceHash, round, member, request)
                .await?;
            if let Some(Response::HashKv(answer)) = outcome.response() {
                hashes.push((answer.hash, answer.compact_revision));
            }
        }
        hashes.dedup();
        if hashes.len() <= 1 {
            break;
        }
        if round + 1 < HASH_ROUNDS {
            tokio::time::sleep(HASH_PAUSE).await;
        }
    }
    Ok(())
}

/// Leases that traffic asked for are revoked, so that no expiry falls between two members' answers.
async fn revoke(admin: &Admin, leases: &[i64]) -> anyhow::Result<()> {
    let serving = admin.cluster().serving().await;
    let Some(member) = serving.first() else {
        return Ok(());
    };
    for id in leases {
        let outcome = admin
            .ask(
                Purpose::WindDown,
                0,
                member,
                Request::LeaseRevoke { id: *id },
            )
            .await?;
        if let Outcome::Error { code, message, .. } = outcome
            && !api::errors::is_lease_not_found(code, &message)
        {
            admin
                .recorder()
                .note(format!("lease {id} was not revoked: {message}"))
                .await?;
        }
    }
    Ok(())
}

/// Asks all members for Status until two rounds running give the same revisions and applied
/// indexes, and each member has applied as much as the others.
async fn wait_at_rest(
    admin: &Admin,
    members: &[String],
) -> anyhow::Result<Vec<Option<StatusResponse>>> {
    let mut before: Vec<Option<StatusResponse>> = Vec::new();
    for round in 0..STATUS_ROUNDS_MAX {
        let mut now = Vec::new();
        for member in members {
            now.push(
                admin
                    .status(Purpose::ConvergenceStatus, round, member)
                    .await?,
            );
        }
        let figures = |statuses: &[Option<StatusResponse>]| {
            statuses
                .iter()
                .map(|s| {
                    s.as_ref()
                        .map(|s| (s.header.revision, s.raft_applied_index))
                })
                .collect::<Vec<_>>()
        };
        let mut indexes: Vec<_> = now.iter().flatten().map(|s| s.raft_applied_index).collect();
        indexes.dedup();
        let at_rest = now.iter().all(Option::is_some)
            && indexes.len() <= 1
            && figures(&before) == figures(&now);
        before = now;
        if at_rest {
            break;
        }
        tokio::time::sleep(ROUND).await;
    }
    Ok(before)
}

/// Records the beginning of a phase.
///
/// # Errors
/// When the recorder is gone.
pub async fn enter(admin: &Admin, phase: Phase) -> anyhow::Result<()> {
    let at = admin.recorder().clock().now();
    let record = checker::history::ObservationRecord::Phase { at, phase };
    admin.recorder().observe(record).await?;
    Ok(())
}
