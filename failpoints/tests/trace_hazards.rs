//! Whatever happens to a traced program, its tracer or the harness: nothing
//! stopped, traced or orphaned is left.

#[path = "support/traced.rs"]
mod traced;

use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use failpoints::fault::{Step, inject};
use failpoints::process::{ExitStatus, Handle, Member, Process, SpawnSpec, Spawner};
use failpoints::trace::{Act, Arm, Armed, Event, Point, ReleasedBy, TraceError, Tracer, Tracers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::timeout;
use traced::{PATIENCE, Subject, TRACED, addresses, next, next_hit, threads, tracer_of, until};

const LONG: Act = Act::Hold {
    limit: Duration::from_secs(1000),
};
const KINDS: [bool; 2] = [false, true];

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

fn is_gone(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "))
}

#[tokio::test]
async fn signals_arrive_during_holds_and_hits() {
    for software in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let mut subject = Subject::start();
        subject.ask("listen");
        let tracer = subject.tracer_with(software).await;
        let mut events = tracer.events();
        let held = tracer.arm(subject.arm("point", LONG)).await.unwrap();
        subject.ask(&format!("once {}", dir.path().display()));
        next_hit(&mut events).await;
        subject.ask("busy 3");
        let hits = tracer.arm(subject.arm("busy", Act::Report)).await.unwrap();
        for sent in 1..=50 {
            send(subject.pid(), Signal::SIGUSR1);
            until("the signal arrives", || subject.number("signals") == sent).await;
        }
        tracer.disarm(hits).await.unwrap();
        assert_eq!(subject.number("passed"), 0, "still held");
        tracer.disarm(held).await.unwrap();
        subject.assert_untouched();
        until("it goes on", || subject.number("passed") == 1).await;
        assert_eq!(
            (subject.number("signals"), subject.number("wrong")),
            (50, 0)
        );
    }
}

#[tokio::test]
async fn a_group_stop_is_respected() {
    let mut subject = Subject::start();
    subject.ask("tick 3");
    let tracer = subject.tracer().await;
    let pid = subject.pid();
    let all_stopped = || threads(pid).iter().all(|(state, _)| "tT".contains(*state));
    let arm = tracer.arm(subject.arm("point", LONG)).await.unwrap();
    send(pid, Signal::SIGSTOP);
    until("it stops", all_stopped).await;
    // Arms come and go meanwhile, and it stays stopped.
    let other = tracer.arm(subject.arm("value", LONG)).await.unwrap();
    tracer.disarm(other).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(all_stopped());
    send(pid, Signal::SIGCONT);
    let ticks = subject.number("ticks");
    until("it goes on", || subject.number("ticks") > ticks + 20).await;

    send(pid, Signal::SIGSTOP);
    until("it stops again", all_stopped).await;
    tracer.disarm(arm).await.unwrap();
    assert_eq!(tracer_of(pid), 0);
    until("it is stopped still", all_stopped).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(all_stopped(), "{:?}", threads(pid));
    let arm = tracer.arm(subject.arm("point", LONG)).await.unwrap();
    assert!(all_stopped(), "{:?}", threads(pid));
    send(pid, Signal::SIGCONT);
    let ticks = subject.number("ticks");
    until("it goes on again", || subject.number("ticks") > ticks + 20).await;
    tracer.disarm(arm).await.unwrap();
    subject.assert_untouched();
}

#[tokio::test]
async fn a_tracer_that_is_killed_lets_all_go() {
    for software in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let mut subject = Subject::start();
        subject.ask("tick 3");
        let tracer = subject.tracer_with(software).await;
        let mut events = tracer.events();
        let held = tracer.arm(subject.arm("point", LONG)).await.unwrap();
        subject.ask(&format!("once {}", dir.path().display()));
        next_hit(&mut events).await;
        send(tracer_of(subject.pid()), Signal::SIGKILL);
        while next(&mut events).await != Event::TracerEnded {}
        subject.until_untouched().await;
        until("it goes on", || subject.number("passed") == 1).await;
        // A breakpoint that is left would end it.
        assert_eq!(subject.number("call 3"), 9);
        for error in [
            tracer.disarm(held).await.unwrap_err(),
            tracer.arm(subject.arm("point", LONG)).await.unwrap_err(),
        ] {
            assert!(matches!(error, TraceError::TracerEnded { .. }), "{error:?}");
        }
        assert!(!tracer.is_running());

        let tracer = subject.tracer_with(software).await;
        let arm = subject.arm("value", Act::Skip { result: Some(9) });
        let arm = tracer.arm(arm).await.unwrap();
        assert_eq!(subject.number("value"), 9);
        tracer.disarm(arm).await.unwrap();
        assert_eq!((subject.number("value"), subject.number("call 2")), (7, 3));
        subject.assert_untouched();
    }
}

#[tokio::test]
async fn a_harness_that_is_killed_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut subject = Subject::start();
    subject.ask("tick 2");
    let mut harness = Command::new(TRACED)
        .args(["harness", &subject.pid().to_string()])
        .arg(subject.address("point").to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let stdout = harness.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut said).unwrap();
    assert_eq!(said, "armed\n");
    let tracer = tracer_of(subject.pid());
    assert_ne!(tracer, 0);
    subject.ask(&format!("once {}", dir.path().display()));
    until("it is held", || {
        threads(subject.pid())
            .iter()
            .any(|(state, _)| *state == 't')
    })
    .await;
    harness.kill().unwrap();
    harness.wait().unwrap();
    until("the tracer is gone", || is_gone(tracer)).await;
    subject.until_untouched().await;
    until("it goes on", || subject.number("passed") == 1).await;
    assert_eq!(subject.number("call 3"), 9, "no breakpoint is left");
}

#[tokio::test]
async fn a_wait_for_an_arm_may_be_cancelled() {
    let mut subject = Subject::start();
    let tracer = subject.tracer().await;
    let arming = tracer.arm(subject.arm("value", Act::Skip { result: Some(1) }));
    let mut arming = Box::pin(arming);
    let polled =
        std::future::poll_fn(|context| std::task::Poll::Ready(arming.as_mut().poll(context)));
    assert!(polled.await.is_pending());
    drop(arming);
    // Orders are obeyed in order.
    let other = tracer.arm(subject.arm("spare", Act::Report)).await.unwrap();
    assert_eq!(subject.number("value"), 7);
    tracer.disarm(other).await.unwrap();
    subject.assert_untouched();
}

/// A member that passes its points all the time.
struct Passing {
    process: Mutex<Option<Process>>,
    dir: tempfile::TempDir,
    spawner: Spawner,
}

impl Passing {
    async fn start() -> Arc<Self> {
        let member = Self {
            process: Mutex::new(None),
            dir: tempfile::tempdir().unwrap(),
            spawner: Spawner::new().unwrap(),
        };
        member.restart().await.unwrap();
        member.into()
    }

    fn stop_file(&self) -> std::path::PathBuf {
        self.dir.path().join("stop")
    }

    /// Linked at another address at each start.
    async fn entry(&self, name: &str) -> Point {
        let log = self.dir.path().join("log");
        let mut line = String::new();
        until("it says where", || {
            line = fs::read_to_string(&log).unwrap();
            line.ends_with('\n')
        })
        .await;
        let last = line.lines().last().unwrap();
        Point::Code {
            addresses: vec![addresses(last)[name]],
            entry: true,
        }
    }

    async fn tracer(&self) -> Tracer {
        let pid = self.process().unwrap().pid();
        Tracer::start(Path::new(TRACED), pid).await.unwrap()
    }
}

impl Member for Passing {
    fn name(&self) -> &str {
        "m1"
    }

    fn process(&self) -> Option<Handle> {
        self.process.lock().unwrap().as_ref().map(Process::handle)
    }

    fn restart(&self) -> Step<'_> {
        Box::pin(async {
            if self.process().is_some_and(|process| process.is_running()) {
                return Ok(());
            }
            fs::write(self.dir.path().join("log"), "")?;
            let mut spec = SpawnSpec::new(TRACED, TRACED, self.dir.path().join("log"));
            spec.args = vec!["run".into(), self.stop_file().into()];
            let process = self.spawner.spawn(spec).await?;
            *self.process.lock().unwrap() = Some(process);
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_program_that_ends_while_held_is_reaped_by_its_parent() {
    for software in KINDS {
        for expected in [
            ExitStatus::Code(7),
            ExitStatus::Signal(9),
            ExitStatus::Signal(15),
        ] {
            let member = Passing::start().await;
            let point = member.entry("point").await;
            let options = failpoints::trace::Options { software };
            let pid = member.process().unwrap().pid();
            let tracer = Tracer::start_with(Path::new(TRACED), pid, options)
                .await
                .unwrap();
            let mut events = tracer.events();
            tracer.arm(Arm::new("point", point, LONG)).await.unwrap();
            next_hit(&mut events).await;
            match expected {
                ExitStatus::Code(_) => fs::write(member.stop_file(), "").unwrap(),
                ExitStatus::Signal(9) => member.process().unwrap().kill().unwrap(),
                ExitStatus::Signal(_) => member.process().unwrap().terminate().unwrap(),
            }
            let process = member.process().unwrap();
            let status = timeout(PATIENCE, process.exit()).await.expect("its end");
            assert_eq!(status, expected);
            let released = next(&mut events).await;
            assert!(
                matches!(
                    released,
                    Event::Released {
                        why: ReleasedBy::Death,
                        ..
                    }
                ),
                "{released:?}"
            );
            let ended = next(&mut events).await;
            let (code, signal) = match expected {
                ExitStatus::Code(code) => (Some(code), None),
                ExitStatus::Signal(signal) => (None, Some(signal)),
            };
            assert_eq!(ended, Event::Ended { code, signal });
        }
    }
}

#[tokio::test]
async fn dropping_a_held_member_does_not_wait_for_its_tracer() {
    let member = Passing::start().await;
    let tracer = member.tracer().await;
    let mut events = tracer.events();
    let point = member.entry("point").await;
    tracer.arm(Arm::new("point", point, LONG)).await.unwrap();
    next_hit(&mut events).await;
    let pid = member.process().unwrap().pid();
    let start = std::time::Instant::now();
    drop(member);
    assert!(is_gone(pid));
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn as_faults_arms_share_a_tracer_and_heal() {
    let member = Passing::start().await;
    let tracers = Arc::new(Tracers::new(TRACED));
    let arm = |name: &str, point: &Point, act| Arm::new(name, point.clone(), act);
    let (point, busy) = (member.entry("point").await, member.entry("busy").await);
    let process = member.process().unwrap();
    let fault = |arm| Box::new(Armed::new(member.clone(), tracers.clone(), arm));

    let first = inject(fault(arm("hold point", &point, LONG)))
        .await
        .unwrap();
    let second = inject(fault(arm("hold busy", &busy, LONG))).await.unwrap();
    assert_eq!(first.name(), "hold point in m1");
    let held = || {
        threads(process.pid())
            .iter()
            .filter(|(state, _)| *state == 't')
            .count()
    };
    until("both are held", || held() == 2).await;
    first.heal().await.unwrap();
    assert_eq!(held(), 1);
    second.heal().await.unwrap();
    assert_eq!((held(), tracer_of(process.pid())), (0, 0));

    let killing = inject(fault(arm("kill", &busy, Act::Kill))).await.unwrap();
    assert_eq!(
        timeout(PATIENCE, process.exit()).await.unwrap(),
        ExitStatus::Signal(9)
    );
    killing.heal().await.unwrap();
    let again = member.process().unwrap();
    assert!(again.is_running() && again.pid() != process.pid());
    drop(
        inject(fault(arm("bad", &busy, Act::Fail { errno: 5 })))
            .await
            .unwrap_err(),
    );
}
