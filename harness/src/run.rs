//! One run, from plan to verdict: members up, traffic on, faults in, everything healed, state read,
//! members stopped, records judged, report written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use checker::history::{FaultPhase, Phase};
use checker::verdict::{Judgement, Verdict};
use scenarios::plan::{Action, Plan, StepPhase};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::BUILD;
use crate::admin::Admin;
use crate::clock::RunClock;
use crate::cluster::{self, Cluster, Program};
use crate::nemesis::{Nemesis, Tally};
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::rpc::Endpoint;
use crate::sparse::make_sparse;
use crate::traffic::{Client, Shared, Watcher};
use crate::{judging, run_dir, setup, wind_down};

/// How long clients may take to end after traffic: a request's own limit and some.
const CLIENTS_END_LIMIT: Duration = Duration::from_secs(30);

/// What a run needs besides its plan.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The store.
    pub program: Program,
    /// Further stores, which steps swap members to, by what the plan calls them.
    pub swaps: BTreeMap<String, Program>,
    /// The executable that starts members: this one.
    pub launcher: PathBuf,
    /// Where run directories go.
    pub out: PathBuf,
    /// Keep members' data whatever the verdict.
    pub keep_data: bool,
    /// Take members' ports from here upwards; without it, free ones are found.
    pub first_port: Option<u16>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Its directory.
    pub dir: PathBuf,
    /// The verdict with everything behind it.
    pub judgement: Judgement,
    /// Operations invoked.
    pub operations: u64,
    /// Steps of the nemesis.
    pub faults: Tally,
    /// From the run's start to its verdict.
    pub time_to_verdict: Duration,
}

/// The run was ended from outside; its directory holds a prefix.
#[derive(Debug, thiserror::Error)]
#[error("ended by {signal}; what was recorded until then is in {}", dir.display())]
pub struct Interrupted {
    /// Which signal.
    pub signal: &'static str,
    /// The partial run directory.
    pub dir: PathBuf,
}

async fn interrupted() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a plan.
///
/// # Errors
/// When the harness fails: members cannot be started or set up, the disk is full. A promise that the
/// store breaks is a verdict, not an error. Whatever happens, no member outlives the call.
pub async fn run(
    plan: &Plan,
    options: &RunOptions,
    progress: &Progress,
) -> anyhow::Result<RunSummary> {
    let start = Instant::now();
    require_space(&options.out, plan.cluster.members)?;
    let seed = plan.seed.parse().context("the plan's seed is no number")?;
    let dir = run_dir::create(&options.out, &plan.scenario, seed)?;
    run_dir::write_whole(&dir.join("plan.toml"), plan.to_toml().as_bytes())?;
    run_dir::point(&options.out, "latest", &dir)?;

    let clock = RunClock::start();
    let (recorder, writer) = Recorder::create(&dir, clock, BUILD)?;
    let driven = tokio::select! {
        driven = drive(plan, options, &dir, recorder.clone(), progress) => driven,
        reason = recorder.failed() => Err(anyhow::anyhow!(reason)),
        signal = interrupted() => Err(Interrupted { signal, dir: dir.clone() }.into()),
    };
    // Until here a signal ends the run in order; from here on it ends the process, and members die
    // with it.
    let _impatient = AbortOnDrop(tokio::spawn(async {
        interrupted().await;
        std::process::exit(i32::from(checker::verdict::Exit::Inconclusive.code()));
    }));
    let operations = recorder.operations();
    if driven.is_err() {
        recorder.abandon();
    }
    drop(recorder);
    let written = tokio::task::spawn_blocking(move || writer.finish()).await?;
    let faults = match (driven, written) {
        (Ok(faults), Ok(())) => faults,
        (Err(error), _) => return Err(error.context(format!("run {}", dir.display()))),
        (Ok(_), Err(error)) => return Err(error.context(format!("run {}", dir.display()))),
    };

    progress.phase("judging");
    let judged_dir = dir.clone();
    let judgement =
        tokio::task::spawn_blocking(move || judging::judge_and_write(&judged_dir)).await??;
    let time_to_verdict = start.elapsed();
    let violated = judgement.verdict == Verdict::Violated;
    if violated {
        run_dir::point(&options.out, "latest-violated", &dir)?;
    }
    if violated || options.keep_data {
        make_sparse(&dir.join("members"))?;
    } else {
        remove_data(&dir)?;
    }
    Ok(RunSummary {
        dir,
        judgement,
        operations,
        faults,
        time_to_verdict,
    })
}

async fn drive(
    plan: &Plan,
    options: &RunOptions,
    dir: &Path,
    recorder: Recorder,
    progress: &Progress,
) -> anyhow::Result<Tally> {
    progress.phase("starting members");
    let cluster_options = cluster::Options {
        program: options.program.clone(),
        swaps: options.swaps.clone(),
        store: plan.store.clone(),
        launcher: options.launcher.clone(),
        plan: plan.cluster.clone(),
        planted: plan.planted.clone(),
        failpoints: plan.store.points
            || plan
                .steps
                .iter()
                .any(|step| matches!(step.action, Action::Gofail { .. })),
        auth: plan.auth.is_some(),
        dir: dir.to_owned(),
        first_port: options.first_port,
    };
    let cluster = Cluster::start(cluster_options, recorder.clone()).await?;
    let admin = Admin::new(cluster.clone(), recorder);
    let result = phases(plan, &admin, progress).await;
    if cluster.planted_hits() == Some(0) {
        let why = "the planted bug's function was never called where it is skipped";
        let step = plan.steps.len();
        let recorder = admin.recorder();
        recorder
            .fault(step, "plant", &[], FaultPhase::Skipped, why)
            .await?;
    }
    progress.phase("stopping members");
    cluster.stop().await?;
    let faults = result?;
    cluster.record_fatal_lines().await?;
    Ok(faults)
}

async fn phases(plan: &Plan, admin: &Admin, progress: &Progress) -> anyhow::Result<Tally> {
    wind_down::enter(admin, Phase::Setup).await?;
    let nemesis = Nemesis::new(admin.clone());
    let (mut faults, ()) = tokio::try_join!(
        nemesis.walk(plan, StepPhase::Setup, |step| progress.step(step)),
        setup::set_up(admin, plan)
    )?;

    progress.traffic();
    wind_down::enter(admin, Phase::Traffic).await?;
    let (stop, stopped) = watch::channel(false);
    let shared = Shared {
        stop: stopped,
        counters: progress.counters(),
        leases: Arc::default(),
        seen: Arc::default(),
    };
    let clients = start_clients(plan, admin, &shared);
    let time = tokio::time::sleep(Duration::from_millis(plan.traffic.time_ms));
    let walk = nemesis.walk(plan, StepPhase::Traffic, |step| progress.step(step));
    let (walked, ()) = tokio::join!(walk, time);
    stop.send_replace(true);
    end_clients(clients, admin).await?;
    faults += walked?;
    nemesis.disarm_all().await?;

    progress.phase("healing");
    wind_down::enter(admin, Phase::Heal).await?;
    wind_down::heal(admin).await?;
    progress.phase("liveness");
    wind_down::enter(admin, Phase::Liveness).await?;
    wind_down::ask_liveness(admin).await?;
    progress.phase("reading final state");
    wind_down::enter(admin, Phase::Final).await?;
    wind_down::ask_auth(admin, plan).await?;
    let leases = shared
        .leases
        .lock()
        .map(|leases| leases.clone())
        .unwrap_or_default();
    wind_down::read_final_state(admin, plan, &leases).await?;
    wind_down::enter(admin, Phase::Stop).await?;
    Ok(faults)
}

/// Starts the plan's clients and watchers.
fn start_clients(plan: &Plan, admin: &Admin, shared: &Shared) -> JoinSet<anyhow::Result<()>> {
    let mut clients = JoinSet::new();
    let traffic = Arc::new(plan.traffic.clone());
    for watcher in &plan.traffic.watchers {
        let (plan, traffic) = (watcher.clone(), traffic.clone());
        let run = async move |endpoint: Endpoint, recorder, shared| {
            let watcher = Watcher::new(&plan, &traffic, &endpoint, recorder, shared)?;
            Ok(watcher.run().await?)
        };
        let member = watcher.member.clone();
        clients.spawn(while_present(admin.clone(), shared.clone(), member, run));
    }
    for client in &plan.traffic.clients {
        let (plan, traffic) = (client.clone(), traffic.clone());
        let run = async move |endpoint: Endpoint, recorder, shared| {
            let client = Client::new(&plan, &traffic, &endpoint, recorder, shared)?;
            Ok(client.run().await?)
        };
        let member = client.member.clone();
        clients.spawn(while_present(admin.clone(), shared.clone(), member, run));
    }
    clients
}

/// Runs a client from its member's first start until the member is removed or traffic ends.
async fn while_present<F>(
    admin: Admin,
    shared: Shared,
    member: String,
    client: impl FnOnce(Endpoint, Recorder, Shared) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let cluster = admin.cluster();
    let mut present = cluster.present();
    tokio::select! {
        found = present.wait_for(|names| names.contains(&member)) => { found?; }
        () = shared.wait_stopped() => return Ok(()),
    }
    let endpoint = cluster.client_endpoint(&member).await?;
    let (stop, stopped) = watch::channel(false);
    let own = Shared {
        stop: stopped,
        ..shared.clone()
    };
    let mut run = std::pin::pin!(client(endpoint, admin.recorder().clone(), own));
    tokio::select! {
        end = &mut run => return end,
        gone = present.wait_for(|names| !names.contains(&member)) => { gone?; }
        () = shared.wait_stopped() => {}
    }
    stop.send_replace(true);
    run.await
}

async fn end_clients(
    mut clients: JoinSet<anyhow::Result<()>>,
    admin: &Admin,
) -> anyhow::Result<()> {
    let all = async {
        while let Some(end) = clients.join_next().await {
            end??;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(CLIENTS_END_LIMIT, all).await {
        Ok(end) => end,
        Err(_) => {
            admin
                .recorder()
                .note("some clients did not end in time and were dropped")
                .await?;
            Ok(())
        }
    }
}

/// Disk space a member needs: etcd preallocates WAL files of 64 MiB each, two at a time.
const MEMBER_BYTES: u64 = 160 << 20;

fn require_space(out: &Path, members: u32) -> anyhow::Result<()> {
    let stat = nix::sys::statvfs::statvfs(out)?;
    let free = stat.blocks_available() * stat.fragment_size();
    let needed = u64::from(members) * MEMBER_BYTES;
    anyhow::ensure!(
        free >= needed,
        "the disk of {} is full: {} MiB are free, {members} members need {} MiB; free some space, or choose another place with --out",
        out.display(),
        free >> 20,
        needed >> 20
    );
    Ok(())
}

/// Deletes members' data, and keeps their logs.
fn remove_data(dir: &Path) -> anyhow::Result<()> {
    for member in std::fs::read_dir(dir.join("members"))? {
        let member = member?.path();
        // The second is left behind where a disk of ours could not be healed.
        for data in [member.join("data"), member.join("data.unsynced")] {
            if data.exists() {
                std::fs::remove_dir_all(&data)
                    .with_context(|| format!("cannot delete {}", data.display()))?;
            }
        }
    }
    Ok(())
}
