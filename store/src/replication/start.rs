//! From what is on the disk to running threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use anyhow::{Context as _, ensure};
use raft::eraftpb::HardState;
use raft::{Config, RawNode, ReadOnlyOption};
use tokio::sync::watch;

use super::apply::Applier;
use super::driver::{Driver, MESSAGE_BYTES, State};
use super::memory::Memory;
use super::node::{Limits, Node, Parts};
use super::reads::Reads;
use super::snapshots::Snapshots;
use super::transport::{Links, Service, listen};
use super::wal::{self, Mark, Wal};
use super::wire::Change;
use super::{Answer, Committed, Identity, Machine, Options, Shared, Status, lines, wal_dir};
use crate::bugs::Bug;

/// What waits for raft's thread.
const QUEUE: usize = 8192;
/// Appends on their way to a peer, as in etcd (maxInflightMsgs, server/etcdserver/raft.go).
const IN_FLIGHT: usize = 512;

pub(super) async fn start(
    options: Options,
    mut machine: Box<dyn Machine>,
    answer: Arc<dyn Answer>,
) -> anyhow::Result<Node> {
    std::fs::create_dir_all(&options.data_dir)?;
    let snapshots = Snapshots::open(options.data_dir.join("member").join("snap"))?;
    wal::sync_dir(&options.data_dir)?;
    let (wal, memory) = open(&options, &snapshots)?;
    let mark = memory.mark().clone();
    take_over(&mark, machine.as_mut(), &snapshots)?;
    let consistent = machine.consistent_index();
    snapshots.release(consistent)?;

    let config = config(&options, mark.index);
    // As etcd (adjustTicks, server/etcdserver/server.go): where there may be a leader already, its
    // heartbeat is given a chance to come first.
    let fresh = memory.hard_state().term <= 1 && !options.join;
    let head_start = config.election_tick - if fresh { 1 } else { 2 };
    let raft = RawNode::new(&config, memory, &lines::logger(options.id))?;
    let hard_state = raft.raft.hard_state();
    let shared = Arc::new(Shared {
        status: watch::Sender::new(Status {
            leader: 0,
            term: hard_state.term,
            committed: hard_state.commit,
            applied: mark.index,
        }),
        backlog: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let (commands, command) = sync_channel(QUEUE);
    let (tasks, task) = channel();
    let links = Links::new(
        options.id,
        options.cluster_id,
        options.tls.clone(),
        commands.clone(),
    );
    let stop = watch::Sender::new(false);
    let service = Service {
        links: links.clone(),
        answer: answer.clone(),
        snapshots: snapshots.clone(),
        stop: stop.subscribe(),
    };
    let mut serving = Vec::new();
    for address in &options.listen {
        let listening = listen(&service, *address, options.tls.as_ref()).await;
        serving.push(listening.with_context(|| format!("listening to {address}"))?);
    }
    for peer in options.peers {
        links.add(peer, true);
    }
    let limits = Limits::new(options.heartbeat, options.election);
    let driver = Driver {
        id: options.id,
        raft,
        wal,
        snapshots: snapshots.clone(),
        links: links.clone(),
        shared: shared.clone(),
        commands: command,
        tasks,
        reads: Reads::new(
            options.id,
            limits.request,
            options.bugs.has(Bug::StaleReadIndex),
        ),
        heartbeat: options.heartbeat,
        head_start,
        catchup_entries: options.catchup_entries,
        bugs: options.bugs,
        state: State::default(),
    };
    let applier = Applier {
        machine,
        commands: commands.clone(),
        links: links.clone(),
        snapshots,
        shared: shared.clone(),
        snapshot_count: options.snapshot_count,
        snapshot: mark.index,
        at: mark,
        consistent,
    };
    let threads = vec![
        spawn("raft", move || driver.run())?,
        spawn("apply", move || applier.run(&task))?,
    ];
    Ok(Node::new(Parts {
        id: options.id,
        limits,
        commands,
        shared,
        links,
        answer,
        stop,
        threads,
        serving,
    }))
}

/// The log of before, or a new one.
fn open(options: &Options, snapshots: &Snapshots) -> anyhow::Result<(Wal, Memory)> {
    let dir = wal_dir(&options.data_dir);
    let identity = Identity {
        id: options.id,
        cluster_id: options.cluster_id,
    };
    let Some(mut found) = wal::read(&dir)? else {
        let mut first = options.peers.clone();
        first.sort_by_key(|peer| peer.id);
        if options.join {
            first.clear();
        }
        let mut entries: Vec<_> = first.iter().map(|p| Change::first(p).entry()).collect();
        for (index, entry) in (1..).zip(&mut entries) {
            (entry.index, entry.term) = (index, 1);
        }
        let mut state = HardState::default();
        if !entries.is_empty() {
            (state.term, state.commit) = (1, entries.len() as u64);
        }
        let wal = Wal::create(&dir, identity, &entries, &state)?;
        return Ok((wal, Memory::new(state, Mark::default(), entries)));
    };
    ensure!(
        found.identity == identity,
        "the WAL is of member {:x} of cluster {:x}",
        found.identity.id,
        found.identity.cluster_id
    );
    let wal = Wal::open(&dir, &found)?;
    let mark = found.marks.pop().unwrap_or_default();
    if mark.index > 0 && !snapshots.holds(&mark) {
        crate::warning!("the snapshot file is missing or bad; the WAL has what it says",
            "snapshot-index": mark.index);
    }
    let mut state = found.hard_state;
    state.commit = state.commit.max(mark.index);
    crate::info!("restarting local member",
        "cluster-id": format!("{:x}", options.cluster_id),
        "local-member-id": format!("{:x}", options.id),
        "commit-index": state.commit);
    Ok((wal, Memory::new(state, mark, found.entries)))
}

/// A peer's snapshot that was received before a crash, and is not in the machine's database yet
/// (etcd: recoverSnapshotBackend, server/storage/backend.go).
fn take_over(mark: &Mark, machine: &mut dyn Machine, snapshots: &Snapshots) -> anyhow::Result<()> {
    if mark.index <= machine.consistent_index() {
        return Ok(());
    }
    let db = snapshots.database(mark.index);
    ensure!(
        db.exists(),
        "the database is at entry {}, the last snapshot at {}, and there is no {}",
        machine.consistent_index(),
        mark.index,
        db.display()
    );
    let (index, term) = (mark.index, mark.term);
    machine.apply(Committed::Snapshot { index, term, db });
    Ok(())
}

fn config(options: &Options, applied: u64) -> Config {
    let ticks = options.election.as_millis() / options.heartbeat.as_millis().max(1);
    Config {
        id: options.id,
        election_tick: (ticks as usize).max(2),
        heartbeat_tick: 1,
        applied,
        max_size_per_msg: MESSAGE_BYTES,
        max_inflight_msgs: IN_FLIGHT,
        check_quorum: true,
        pre_vote: options.pre_vote,
        // Planted #deposed-read: a leader answers by its own commit index, trusting that nobody else
        // leads; the right code asks a quorum first.
        read_only_option: if options.bugs.has(Bug::DeposedRead) {
            ReadOnlyOption::LeaseBased
        } else {
            ReadOnlyOption::Safe
        },
        max_committed_size_per_ready: MESSAGE_BYTES,
        ..Config::default()
    }
}

/// A thread whose failure is the process's.
fn spawn(
    name: &str,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> std::io::Result<thread::JoinHandle<()>> {
    let called = name.to_owned();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let error = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "panicked".to_owned(),
        };
        crate::fatal!("a thread has failed", "thread": called, "error": error);
    })
}
