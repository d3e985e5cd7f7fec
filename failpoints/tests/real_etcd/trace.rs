//! Exact points of real etcd: held, killed at, counted once a call.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use failpoints::process::ExitStatus;
use failpoints::symbol::{self, Symbols};
use failpoints::trace::{Act, Arm, Event, Point, SyscallStop, Tracer};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use crate::member::{Member, PATIENCE, TRACED, Writers, etcd};

pub(crate) const PUT: &str = "(*applierV3backend).Put";

pub(crate) fn entry(pattern: &str) -> Point {
    let symbols = Symbols::open(&etcd()).unwrap();
    let function = symbols.find(pattern).unwrap();
    Point::Code {
        addresses: symbols.addresses(function, symbol::Point::Entry).unwrap(),
        entry: true,
    }
}

pub(crate) async fn tracer(member: &Member) -> Tracer {
    Tracer::start(Path::new(TRACED), member.pid())
        .await
        .unwrap()
}

async fn next(events: &mut Receiver<Event>) -> Event {
    loop {
        match timeout(PATIENCE, events.recv()).await.expect("an event") {
            Err(RecvError::Lagged(_)) => {}
            event => return event.unwrap(),
        }
    }
}

async fn next_hit(events: &mut Receiver<Event>) -> u64 {
    loop {
        if let Event::Hit { number, .. } = next(events).await {
            return number;
        }
    }
}

/// How often to repeat what must come out the same every time.
fn rounds() -> usize {
    let set = std::env::var("TRACE_ROUNDS").ok();
    set.map_or(3, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn two_hundred_rounds_under_writes_leave_it_healthy() {
    let member = Member::start().await;
    let tracer = tracer(&member).await;
    let mut events = tracer.events();
    let writers = Writers::start(&member, 6);
    let point = entry(PUT);
    let (mut armed, mut disarmed) = (Vec::new(), Vec::new());
    for round in 0..200 {
        let act = match round % 3 {
            0 => Act::Report,
            1 => Act::Hold {
                limit: Duration::from_millis(3),
            },
            _ => Act::Hold { limit: PATIENCE },
        };
        let start = Instant::now();
        let arm = tracer
            .arm(Arm::new("put", point.clone(), act))
            .await
            .unwrap();
        armed.push(start.elapsed());
        next_hit(&mut events).await;
        let start = Instant::now();
        tracer.disarm(arm).await.unwrap();
        disarmed.push(start.elapsed());
        member.assert_untouched();
        events = tracer.events();
    }
    for (what, times) in [("arming", &mut armed), ("disarming", &mut disarmed)] {
        times.sort();
        println!("{what}: median {:?}, worst {:?}", times[100], times[199]);
    }
    // Milliseconds; the rest is for a busy machine.
    assert!(armed[100] < Duration::from_millis(100), "{:?}", armed[100]);
    let before = writers.done();
    let start = Instant::now();
    while writers.done() < before + 100 {
        assert!(start.elapsed() < PATIENCE, "writes do not go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(writers.failed(), 0);
    assert!(member.process.is_running());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn a_call_is_counted_once_however_long_it_is_held() {
    let member = Member::start().await;
    let tracer = tracer(&member).await;
    let mut events = tracer.events();
    // Long enough for the runtime to ask for preemption, which makes the
    // function start again.
    let limit = Duration::from_millis(40);
    let arm = Arm::new("put", entry(PUT), Act::Hold { limit });
    let arm = tracer.arm(arm).await.unwrap();
    let puts = 20;
    let put = member.ask(move |client| {
        for n in 0..puts {
            client.put("k", &n.to_string())?;
        }
        Ok(())
    });
    put.join().unwrap().unwrap();
    tracer.disarm(arm).await.unwrap();
    let mut hits = Vec::new();
    let mut advanced = 0;
    while let Ok(event) = events.try_recv() {
        match event {
            Event::Hit { number, .. } => hits.push(number),
            Event::Released { advanced: true, .. } => advanced += 1,
            _ => {}
        }
    }
    assert_eq!(hits, (1..=puts).collect::<Vec<u64>>());
    assert!(advanced > 0, "the rest of the process runs on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn a_held_put_is_not_answered_while_reads_are() {
    let member = Member::start().await;
    let tracer = tracer(&member).await;
    let mut events = tracer.events();
    let arm = Arm::new("put", entry(PUT), Act::Hold { limit: PATIENCE });
    let arm = tracer.arm(arm).await.unwrap();
    let put = member.ask(|client| client.put("k", "held"));
    next_hit(&mut events).await;
    let serializable =
        member.ask(|client| client.post("/v3/kv/range", r#"{"key":"aw==","serializable":true}"#));
    let answer = serializable.join().unwrap().unwrap();
    assert!(!answer.contains("kvs"), "{answer}");
    assert!(!put.is_finished());
    tracer.disarm(arm).await.unwrap();
    put.join().unwrap().unwrap();
    member.assert_untouched();
    let found = member.ask(|client| client.has("k", "held"));
    assert!(found.join().unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn a_hit_is_told_by_its_callers() {
    let symbols = Symbols::open(&etcd()).unwrap();
    let defrag = symbols.find("backend.(*backend).defrag").unwrap();
    let defrag = defrag.entry..defrag.end;
    let member = Member::start().await;
    let tracer = tracer(&member).await;
    let mut events = tracer.events();
    // Every commit comes here; that of a defragmentation by two frames.
    let point = entry("backend.(*batchTx).commit");
    let plain = Arm::new("any", point.clone(), Act::Report);
    let plain = tracer.arm(plain).await.unwrap();
    let mut inside = Arm::new("defrag", point, Act::Report);
    inside.called_from = [defrag].into();
    let inside = tracer.arm(inside).await.unwrap();
    let snapshot = member.ask(|client| {
        client.put("k", "v")?;
        // Commits without a defragmentation.
        client.post("/v3/maintenance/snapshot", "{}").map(drop)
    });
    snapshot.join().unwrap().unwrap();
    member
        .ask(|client| client.defragment())
        .join()
        .unwrap()
        .unwrap();
    tracer.disarm(plain).await.unwrap();
    tracer.disarm(inside).await.unwrap();
    let (mut all, mut of_defrag) = (0, 0);
    while let Ok(event) = events.try_recv() {
        if let Event::Hit { arm, .. } = event {
            all += u64::from(arm == plain);
            of_defrag += u64::from(arm == inside);
        }
    }
    println!("{all} commits, {of_defrag} of them in defrag");
    assert!(of_defrag > 0 && of_defrag < all, "{of_defrag} of {all}");
}

/// The backend's directory: the inode of `db`, and the file to replace it.
fn backend(member: &Member) -> (u64, Vec<PathBuf>) {
    let db = fs::metadata(member.file("snap/db")).unwrap().ino();
    let files = fs::read_dir(member.file("snap")).unwrap().flatten();
    let temporary = files.map(|file| file.path()).filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("db.tmp")
    });
    (db, temporary.collect())
}

/// Kills at a point of a defragmentation. Returns the inode of `db` before and
/// after, and the temporary files left.
async fn kill_in_defrag(member: &mut Member, point: Point) -> (u64, u64, Vec<PathBuf>) {
    let tracer = tracer(member).await;
    let mut events = tracer.events();
    let put = member.ask(|client| client.put("k", "before"));
    put.join().unwrap().unwrap();
    let (before, none) = backend(member);
    assert!(none.is_empty(), "{none:?}");
    tracer
        .arm(Arm::new("kill", point, Act::Kill))
        .await
        .unwrap();
    let defragment = member.ask(|client| client.defragment());
    let status = timeout(PATIENCE, member.process.exit()).await.unwrap();
    assert_eq!(status, ExitStatus::Signal(9));
    assert!(defragment.join().unwrap().is_err());
    assert_eq!(next_hit(&mut events).await, 1);
    let (after, temporary) = backend(member);
    (before, after, temporary)
}

async fn recovers(member: &mut Member) {
    for left in backend(member).1 {
        fs::remove_file(left).unwrap();
    }
    member.restart().await;
    let found = member.ask(|client| client.has("k", "before"));
    assert!(found.join().unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn a_kill_comes_exactly_at_the_entry_of_defragdb() {
    let mut member = Member::start().await;
    for _ in 0..rounds() {
        // The file is made before the call and filled in it.
        let (before, after, temporary) =
            kill_in_defrag(&mut member, entry("backend.defragdb")).await;
        assert_eq!(before, after);
        assert_eq!(temporary.len(), 1, "{temporary:?}");
        let copied = fs::read(&temporary[0]).unwrap();
        let key = b"before";
        assert!(
            !copied.windows(key.len()).any(|bytes| bytes == key),
            "nothing is copied yet"
        );
        recovers(&mut member).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn a_kill_comes_exactly_at_the_rename_over_db() {
    let mut member = Member::start().await;
    for (at, renamed) in [(SyscallStop::Entry, false), (SyscallStop::Exit, true)] {
        for _ in 0..rounds() {
            let point = Point::Syscall {
                calls: ["rename", "renameat", "renameat2"].map(Into::into).into(),
                path: Some("db".into()),
                at,
            };
            let (before, after, temporary) = kill_in_defrag(&mut member, point).await;
            assert_eq!(before != after, renamed);
            assert_eq!(temporary.len(), usize::from(!renamed), "{temporary:?}");
            for whole in &temporary {
                let copied = fs::read(whole).unwrap();
                assert!(
                    copied.windows(6).any(|bytes| bytes == b"before"),
                    "all is copied"
                );
            }
            recovers(&mut member).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn a_write_to_the_wal_is_delayed_while_the_rest_runs_on() {
    let member = Member::start().await;
    let tracer = tracer(&member).await;
    let mut events = tracer.events();
    let limit = Duration::from_millis(500);
    let point = Point::Syscall {
        calls: vec!["write".into()],
        path: Some("*.wal".into()),
        at: SyscallStop::Entry,
    };
    let arm = Arm::new("wal", point, Act::Hold { limit });
    let arm = tracer.arm(arm).await.unwrap();
    let start = Instant::now();
    let put = member.ask(|client| client.put("k", "v"));
    match next(&mut events).await {
        Event::Hit {
            path: Some(path), ..
        } => assert!(path.ends_with(".wal"), "{path}"),
        other => panic!("{other:?}"),
    }
    match next(&mut events).await {
        Event::Released { advanced, .. } => assert!(advanced),
        other => panic!("{other:?}"),
    }
    put.join().unwrap().unwrap();
    assert!(start.elapsed() >= limit);
    tracer.disarm(arm).await.unwrap();
    member.assert_untouched();
}
