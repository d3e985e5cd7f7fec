//! Faults heal: when told to, when dropped, when cancelled, when they fail.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use failpoints::fault::{Fault, Step, inject};
use failpoints::network::{CutLink, Isolate};
use failpoints::process::{Handle, Kill, Member, Pause, Process, SpawnSpec, Spawner};
use support::Cluster;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");

/// A driver's member, at its smallest.
struct Sleeper {
    spawner: Spawner,
    spec: SpawnSpec,
    process: Mutex<Option<Process>>,
    _dir: TempDir,
}

impl Sleeper {
    async fn start() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = SpawnSpec::new(SUBJECT, "/bin/sleep", dir.path().join("log"));
        spec.args = vec!["1000".into()];
        let member = Self {
            spawner: Spawner::new().unwrap(),
            spec,
            process: Mutex::default(),
            _dir: dir,
        };
        member.restart().await.unwrap();
        member.into()
    }

    fn handle(&self) -> Handle {
        self.process().unwrap()
    }
}

impl Member for Sleeper {
    fn name(&self) -> &str {
        "m1"
    }

    fn process(&self) -> Option<Handle> {
        self.process.lock().unwrap().as_ref().map(|p| p.handle())
    }

    fn restart(&self) -> Step<'_> {
        Box::pin(async {
            let started = self.spawner.spawn(self.spec.clone()).await?;
            *self.process.lock().unwrap() = Some(started);
            Ok(())
        })
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(5 * SECOND, waiting).await.expect("in time");
}

#[tokio::test]
async fn a_pause_is_in_force_when_injected_and_healed_when_dropped() {
    let member = Sleeper::start().await;
    let process = member.handle();
    let first = inject(Box::new(Pause::new(member.clone()))).await.unwrap();
    assert_eq!(first.name(), "pause m1");
    assert!(process.is_stopped());
    let second = inject(Box::new(Pause::new(member.clone()))).await.unwrap();
    first.heal().await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert!(process.is_stopped(), "the second pause holds");
    drop(second);
    until(|| !process.is_stopped()).await;
    assert!(process.is_running());
}

#[tokio::test]
async fn a_kill_is_healed_by_a_restart_even_of_a_paused_member() {
    let member = Sleeper::start().await;
    let before = member.handle();
    let pause = inject(Box::new(Pause::new(member.clone()))).await.unwrap();
    let kill = inject(Box::new(Kill::new(member.clone()))).await.unwrap();
    assert!(!before.is_running());
    kill.heal().await.unwrap();
    let after = member.handle();
    assert!(after.is_running() && after.pid() != before.pid());
    pause.heal().await.unwrap();
    assert!(!after.is_stopped());
}

#[tokio::test]
async fn what_cannot_be_injected_says_so() {
    let member = Sleeper::start().await;
    *member.process.lock().unwrap() = None;
    let error = inject(Box::new(Pause::new(member))).await.unwrap_err();
    let expected = "fault `pause m1`: inject: the member does not run";
    assert_eq!(error.to_string(), expected);
    let cluster = Cluster::start(&["a"]).await;
    let isolate = Isolate::new(Arc::clone(&cluster.proxies), "z");
    assert!(inject(Box::new(isolate)).await.is_err());
}

#[tokio::test]
async fn network_faults_compose_and_heal_apart() {
    let mut cluster = Cluster::start(&["a", "b"]).await;
    let to_b = cluster.proxy_port("b");
    let isolate = Isolate::new(Arc::clone(&cluster.proxies), "b");
    let isolate = inject(Box::new(isolate)).await.unwrap();
    let cut = CutLink::new(Arc::clone(&cluster.proxies), "a", "b");
    let cut = inject(Box::new(cut)).await.unwrap();
    assert_eq!((isolate.name(), cut.name()), ("isolate b", "cut a-b"));
    isolate.heal().await.unwrap();
    let peer = cluster.peer("a");
    peer.dial("x", to_b).await;
    assert!(peer.echo("x", "cut").await.starts_with("error"));
    cut.heal().await.unwrap();
    assert_eq!(peer.dial("y", to_b).await, "ok");
    assert_eq!(peer.echo("y", "healed").await, "healed");
}

/// Injects in two steps, with a wait between, and fails if told to.
struct Slow {
    half_done: Option<oneshot::Sender<()>>,
    go_on: Option<oneshot::Receiver<()>>,
    fails: bool,
    healed: Arc<AtomicBool>,
}

impl Fault for Slow {
    fn name(&self) -> String {
        "slow".into()
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            let _ = self.half_done.take().unwrap().send(());
            let _ = self.go_on.take().unwrap().await;
            if self.fails {
                return Err("half-way".into());
            }
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            self.healed.store(true, Ordering::SeqCst);
            Err("healing is late".into())
        })
    }
}

#[tokio::test]
async fn a_fault_is_healed_whoever_stops_waiting_or_fails() {
    for fails in [false, true] {
        let (half_done, reached) = oneshot::channel();
        let (go_on, gate) = oneshot::channel();
        let healed = Arc::new(AtomicBool::new(false));
        let slow = Slow {
            half_done: Some(half_done),
            go_on: Some(gate),
            fails,
            healed: Arc::clone(&healed),
        };
        let injecting = tokio::spawn(inject(Box::new(slow)));
        reached.await.unwrap();
        if fails {
            go_on.send(()).unwrap();
            let error = injecting.await.unwrap().unwrap_err();
            assert_eq!(error.to_string(), "fault `slow`: inject: half-way");
        } else {
            injecting.abort();
            assert!(injecting.await.unwrap_err().is_cancelled());
            assert!(!healed.load(Ordering::SeqCst));
            go_on.send(()).unwrap();
        }
        until(|| healed.load(Ordering::SeqCst)).await;
    }
}
