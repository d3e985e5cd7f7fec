//! What is there in between: failpoints of the whole process, so one test at a time.

#[path = "replication/cluster.rs"]
mod cluster;

use std::time::Duration;

use cluster::{Cluster, agree, eventually, leader, put, send_away};
use fail::FailScenario;
use store::bugs::{Bug, Bugs};

/// Whether a lone member applies what it has not written.
async fn applied_before_it_was_written(bugs: Bugs) -> bool {
    let scenario = FailScenario::setup();
    let mut cluster = Cluster::new(1);
    cluster.bugs = bugs;
    let member = cluster.start(1).await;
    put(&member, "first").await;
    fail::cfg("raftBeforeSave", "pause").unwrap();
    let put = tokio::spawn({
        let node = member.node.clone();
        async move { node.propose(b"second".to_vec()).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let early = member.list.values().contains(&"second".to_owned());
    fail::remove("raftBeforeSave");
    put.await.unwrap().unwrap();
    let list = member.list.clone();
    eventually("written", || list.values() == ["first", "second"]).await;
    member.node.stop().await;
    drop(scenario);
    early
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_14370_applies_before_it_writes() {
    assert!(!applied_before_it_was_written(Bugs::default()).await);
    assert!(applied_before_it_was_written(Bugs::default().with(Bug::ReplyBeforeLog)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_received_before_a_crash_is_taken_over_after_it() {
    let scenario = FailScenario::setup();
    let mut cluster = Cluster::new(3);
    (cluster.snapshot_count, cluster.catchup_entries) = (10, 2);
    let mut members = cluster.start_all().await;
    leader(&members).await;
    send_away(&mut members).await;
    let mut values = Vec::new();
    for i in 0..50 {
        values.push(format!("v{i}"));
        put(&members[0], &values[i]).await;
    }
    fail::cfg("raftBeforeApplySnap", "pause").unwrap();
    let third = cluster.start(3).await;
    let snap = cluster.data_dir(3).join("member").join("snap");
    let marked = || {
        let mut files = std::fs::read_dir(&snap).unwrap();
        files.any(|f| f.unwrap().file_name().to_string_lossy().ends_with(".snap"))
    };
    eventually("received", marked).await;
    // From the mark's file to the write of the log.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let copy = cluster.dir.path().join("copy");
    let copied = std::process::Command::new("cp")
        .args([
            "-a".as_ref(),
            cluster.data_dir(3).as_os_str(),
            copy.as_os_str(),
        ])
        .status();
    assert!(copied.unwrap().success());
    fail::remove("raftBeforeApplySnap");
    third.node.stop().await;
    drop(third);
    for member in &members {
        member.node.stop().await;
    }
    // Alone: nobody can send it again.
    let mut options = cluster.options(3);
    options.data_dir = copy;
    let third = cluster.start_with(options).await;
    assert_eq!(third.list.get(|a| a.snapshots), 1);
    assert_eq!(third.list.values(), values);
    members.clear();
    members.push(third);
    agree(&members, &values).await;
    drop(scenario);
}
