//! Members as processes: started, signalled, waited for, and looked at when they end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use checker::history::{LogLine, ObservationRecord, ProcessEvent, ProcessEventKind};
use failpoints::process::{ExitStatus, Handle, SpawnSpec};

use super::flags::Flags;
use super::member::{Life, Member, Planned, Running};
use super::{Cluster, LogTail, find_mut, gofail, logs};
use scenarios::plan::{Planted, PlantedBy};

/// How long a terminated member may take to end before it is killed. etcd 3.4 and 3.5 wait for
/// open watches a while.
const TERMINATE_LIMIT: Duration = Duration::from_secs(10);

/// Fatal lines recorded a member.
const FATAL_LINES_MAX: usize = 20;

/// The flag that a bug is switched on by, if it is by one.
fn flag_of(planted: &Planted) -> Option<&str> {
    match &planted.by {
        PlantedBy::Flag { flag } => Some(flag),
        PlantedBy::Skip { .. } => None,
    }
}

/// Makes a data directory that is nobody else's business, unless it is there.
pub(super) fn make_private(data: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().mode(0o700).create(data);
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.with_context(|| format!("cannot create {}", data.display())),
    }
}

impl Cluster {
    pub(super) async fn spawn(&self, name: &str) -> anyhow::Result<()> {
        let inner = &self.inner;
        let mut members = inner.members.lock().await;
        let member = find_mut(&mut members, name)?;
        let data_dir = member.data_dir();
        if member.program.wants_data_dir() {
            make_private(&data_dir)?;
        }
        let flags = Flags {
            name,
            data_dir: &data_dir,
            client_port: member.client.port(),
            address: member.address,
            peer_port: member.peer.port(),
            initial_cluster: &member.initial_cluster,
            advertised_peer_port: member.advertised_peer_port(),
            existing: member.existing,
            token: &inner.token,
            tls: inner.tls.as_ref(),
            auth: inner.options.auth,
            plan: &inner.options.plan,
            planted: inner.options.planted.as_ref().and_then(flag_of),
        };
        let binary = &member.program.binary;
        let mut spec = SpawnSpec::new(&inner.options.launcher, binary, member.log());
        spec.args = member
            .program
            .args(&flags)
            .into_iter()
            .map(Into::into)
            .collect();
        let env = inner.options.plan.env.iter();
        spec.envs = env
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        spec.envs.extend(gofail::environment(member));
        let log_from = std::fs::metadata(member.log()).map_or(0, |log| log.len());
        spec.cwd = Some(member.dir.clone());
        spec.namespaces.extend(member.namespace.clone());
        let disks = inner.disks.iter().map(|disks| disks.namespace());
        spec.namespaces.extend(disks);
        let process = inner
            .spawner
            .spawn(spec)
            .await
            .with_context(|| format!("cannot start member {name}"))?;
        let pid = process.pid().unsigned_abs();
        if let (Some(proxies), true) = (&inner.proxies, inner.options.plan.peer_proxies) {
            proxies.register(name, process.pid())?;
        }
        let planned = Arc::new(Planned::default());
        let handle = process.handle();
        if let Some(skip) = &inner.skip {
            // Stopped in its first moments, so that it has the bug in all that it does.
            handle.pause()?;
            let start = Instant::now();
            let planting = inner
                .tracing
                .plant(skip, &handle, &member.program.binary)
                .await;
            planting.with_context(|| format!("cannot plant #{} in {name}", skip.issue))?;
            handle.resume()?;
            let took = start.elapsed().as_millis();
            let note = format!(
                "#{} planted in {name}, which was stopped for {took} ms",
                skip.issue
            );
            inner.recorder.note(note).await?;
        }
        member.running = Some(Running {
            process,
            binary: member.program.binary.clone(),
            log_from,
            planned: planned.clone(),
        });
        member.next_log(log_from);
        if member.excused {
            member.excuse();
        }
        member.life = Life::Up;
        member.paused = false;
        let log = member.log();
        drop(members);

        let event = |event, planned, last_lines| {
            ObservationRecord::Process(ProcessEvent {
                at: inner.recorder.clock().now(),
                member: name.to_owned(),
                pid,
                event,
                planned,
                last_lines,
            })
        };
        inner
            .recorder
            .observe(event(ProcessEventKind::Started, true, Vec::new()))
            .await?;
        inner.present.send_if_modified(|present| {
            let new = !present.iter().any(|known| known == name);
            if new {
                present.push(name.to_owned());
            }
            new
        });
        let recorder = inner.recorder.clone();
        let name = name.to_owned();
        tokio::spawn(async move {
            let status = handle.exit().await;
            let planned = planned.covers(status);
            let last_lines = if planned {
                Vec::new()
            } else {
                logs::last_lines(&log, 10)
            };
            let event = ObservationRecord::Process(ProcessEvent {
                at: recorder.clock().now(),
                member: name,
                pid,
                event: match status {
                    ExitStatus::Code(code) => ProcessEventKind::Exited { code },
                    ExitStatus::Signal(signal) => ProcessEventKind::Signalled { signal },
                },
                planned,
                last_lines,
            });
            let _ = recorder.observe(event).await;
        });
        Ok(())
    }

    /// SIGKILL, and waits for the end. Gives the former pid.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn kill(&self, name: &str) -> anyhow::Result<i32> {
        let handle = self.plan_end(name).await?;
        handle.kill()?;
        handle.exit().await;
        Ok(handle.pid())
    }

    /// SIGTERM, and waits for the end; SIGKILL if that takes longer than ten seconds. Gives the
    /// former pid.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn terminate(&self, name: &str) -> anyhow::Result<i32> {
        let handle = self.plan_end(name).await?;
        handle.terminate()?;
        if tokio::time::timeout(TERMINATE_LIMIT, handle.exit())
            .await
            .is_err()
        {
            handle.kill()?;
            handle.exit().await;
        }
        Ok(handle.pid())
    }

    /// Marks a running member as about to be ended by the plan.
    pub(super) async fn plan_end(&self, name: &str) -> anyhow::Result<Handle> {
        let mut members = self.inner.members.lock().await;
        let member = find_mut(&mut members, name)?;
        let Some(running) = &member.running else {
            bail!("{name} is not running")
        };
        running.plan_end();
        let handle = running.process.handle();
        if member.life != Life::Removed {
            member.life = Life::Down;
        }
        Ok(handle)
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn pause(&self, name: &str) -> anyhow::Result<()> {
        self.set_paused(name, true).await
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When there is no such running member.
    pub async fn resume(&self, name: &str) -> anyhow::Result<()> {
        self.set_paused(name, false).await
    }

    async fn set_paused(&self, name: &str, paused: bool) -> anyhow::Result<()> {
        let mut members = self.inner.members.lock().await;
        let member = find_mut(&mut members, name)?;
        let Some(running) = &member.running else {
            bail!("{name} is not running")
        };
        if paused {
            running.process.pause()?;
        } else {
            running.process.resume()?;
        }
        member.paused = paused;
        Ok(())
    }

    /// Starts a stopped member again on its data.
    ///
    /// # Errors
    /// When it runs, has been removed from the cluster, or cannot be started.
    pub async fn restart(&self, name: &str) -> anyhow::Result<()> {
        if self.is_running(name).await {
            bail!("{name} is running");
        }
        {
            let mut members = self.inner.members.lock().await;
            if find_mut(&mut members, name)?.life == Life::Removed {
                bail!("{name} has been removed from the cluster: it cannot come back");
            }
        }
        self.spawn(name).await
    }

    /// The member's next start uses this binary.
    ///
    /// # Errors
    /// When the plan has no such binary, or there is no such member.
    pub async fn swap(&self, name: &str, store: &str) -> anyhow::Result<String> {
        let program = self.inner.options.swaps.get(store);
        let program = program.with_context(|| format!("{store} is not among the plan's swaps"))?;
        let mut members = self.inner.members.lock().await;
        find_mut(&mut members, name)?.program.clone_from(program);
        Ok(format!("{name} runs {store} from its next start on"))
    }

    /// The log of a member from its process's start on.
    ///
    /// # Errors
    /// When the member has not been started, or its log cannot be read.
    pub async fn log_tail(&self, name: &str) -> anyhow::Result<LogTail> {
        let mut members = self.inner.members.lock().await;
        let member = find_mut(&mut members, name)?;
        let from = member
            .running
            .as_ref()
            .map_or(0, |running| running.log_from);
        let log = member.log();
        LogTail::open(&log, from).with_context(|| format!("cannot read {}", log.display()))
    }

    /// Members that the plan left paused or down, in name order: to be healed.
    pub async fn broken(&self) -> (Vec<String>, Vec<String>) {
        let members = self.inner.members.lock().await;
        let up = |m: &Member| m.life == Life::Up && m.running.is_some();
        let paused = members.iter().filter(|(_, m)| m.paused && up(m));
        let killed = |m: &Member| m.running.as_ref().is_some_and(Running::ended_by_plan);
        let down = members
            .iter()
            .filter(|(_, m)| m.life == Life::Down || (m.life == Life::Up && killed(m)));
        (
            paused.map(|(n, _)| n.clone()).collect(),
            down.map(|(n, _)| n.clone()).collect(),
        )
    }

    /// Records the fatal lines of every member's log, but for those that its disk excuses.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn record_fatal_lines(&self) -> anyhow::Result<()> {
        let logs: Vec<_> = {
            let members = self.inner.members.lock().await;
            members
                .iter()
                .map(|(name, m)| (name.clone(), m.log(), m.excused_log.clone()))
                .collect()
        };
        for (member, log, excused) in logs {
            for line in logs::fatal_lines(&log, &excused, FATAL_LINES_MAX).unwrap_or_default() {
                let at = self.inner.recorder.clock().now();
                let line = LogLine {
                    at,
                    member: member.clone(),
                    line,
                };
                self.inner
                    .recorder
                    .observe(ObservationRecord::FatalLog(line))
                    .await?;
            }
        }
        Ok(())
    }

    /// Ends every process: SIGTERM to all at once, SIGKILL to those that stay.
    ///
    /// # Errors
    /// When a process can be neither signalled nor found ended.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let names: Vec<_> = self.inner.members.lock().await.keys().cloned().collect();
        let mut ends = Vec::new();
        {
            let members = self.inner.members.lock().await;
            for name in &names {
                let running = members.get(name).and_then(|m| m.running.as_ref());
                if let Some(running) = running.filter(|r| r.ended().is_none()) {
                    running.plan_end();
                    // SIGKILL: the data is judged by then, and a graceful stop of three members
                    // costs a second a run.
                    running.process.kill()?;
                    ends.push(running.process.handle());
                }
            }
        }
        for end in ends {
            end.exit().await;
        }
        self.heal_disks().await
    }

    /// How a member that should run has ended, with its last log lines; `None` while it runs.
    pub async fn unexpected_end(&self, name: &str) -> Option<String> {
        let members = self.inner.members.lock().await;
        let member = members.get(name)?;
        let running = member.running.as_ref()?;
        let status = running.ended()?;
        if member.life != Life::Up || running.ended_by_plan() {
            return None;
        }
        let lines = logs::last_lines(&member.log(), 3).join("\n    ");
        Some(format!(
            "{name} ended by itself ({status}); its last log lines:\n    {lines}"
        ))
    }
}
