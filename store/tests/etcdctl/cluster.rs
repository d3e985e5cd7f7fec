//! What needs more than one member: they come, are promoted, lead and go.

use std::process::Output;
use std::time::{Duration, Instant};

use crate::ctl::command;
use crate::member_support::Cluster;

fn ctl(endpoints: &[String], line: &str) -> Output {
    let output = command(&endpoints.join(","))
        .args(line.split_whitespace())
        .output();
    output.unwrap()
}

/// What it prints; it has to succeed.
#[track_caller]
fn done(endpoints: &[String], line: &str) -> String {
    let output = ctl(endpoints, line);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {text}{errors}");
    text
}

/// The same, tried again as long as the cluster is not ready for it.
fn done_in_time(endpoints: &[String], line: &str) -> String {
    let since = Instant::now();
    loop {
        let output = ctl(endpoints, line);
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap();
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "{line}: {errors}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn urls(cluster: &Cluster) -> Vec<String> {
    cluster
        .members
        .iter()
        .map(|member| member.client_url())
        .collect()
}

/// The id in the line of a list that has this word.
fn id_of(list: &str, word: &str) -> String {
    let line = list.lines().find(|line| line.contains(word)).unwrap();
    line.split(',').next().unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl: ETCD=…"]
async fn leadership_moves() {
    let cluster = Cluster::start(3, &[]).await;
    let all = urls(&cluster);
    done(&all, "put a 1");
    let health = done(&all, "endpoint health");
    assert_eq!(health.matches("is healthy").count(), 3, "{health}");
    let list = done(&all, "member list");
    assert_eq!(list.lines().count(), 3);
    let hashes = done(&all, "endpoint hashkv");
    let hashes: Vec<_> = hashes.lines().map(|line| line.split(", ").nth(1)).collect();
    assert!(hashes.windows(2).all(|two| two[0] == two[1]), "{hashes:?}");

    let leader = cluster.leader().await;
    let next = (leader + 1) % 3;
    let id = id_of(&list, &all[next]);
    let moved = done(&[all[leader].clone()], &format!("move-leader {id}"));
    assert!(moved.contains("Leadership transferred"), "{moved}");
    assert_eq!(cluster.leader().await, next);
    assert_eq!(done(&all, "get a"), "a\n1\n");
    done(&all, "defrag");
    assert_eq!(done(&all, "get a"), "a\n1\n");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl: ETCD=…"]
async fn members_come_and_go() {
    let mut cluster = Cluster::start(1, &[]).await;
    let all = urls(&cluster);
    done(&all, "put a 1");
    let new = cluster.enlist();
    let peer = cluster.members[new].peer_url();
    let added = done_in_time(&all, &format!("member add m2 --learner --peer-urls={peer}"));
    assert!(
        added.contains("ETCD_INITIAL_CLUSTER_STATE=\"existing\""),
        "{added}"
    );
    cluster.run(new, "existing", &[]);
    let list = done(&all, "member list");
    let id = id_of(&list, &peer);
    assert!(
        list.lines().any(|line| line.ends_with("true")),
        "a learner: {list}"
    );
    let promoted = done_in_time(&all, &format!("member promote {id}"));
    assert!(promoted.contains("promoted"), "{promoted}");
    cluster.ready(new).await;
    let both = urls(&cluster);
    assert_eq!(done(&both[1..], "get a"), "a\n1\n");
    let elsewhere = format!("member update {id} --peer-urls={peer},http://127.0.0.1:1");
    done(&all, &elsewhere);
    assert!(done(&both[1..], "member list").contains("http://127.0.0.1:1"));
    done_in_time(&all, &format!("member remove {id}"));
    assert_eq!(done(&all, "member list").lines().count(), 1);
    assert_eq!(cluster.members[new].end().await.code(), Some(0));
    done(&all, "put a 2");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl: ETCD=…"]
async fn snapshots_are_saved() {
    let cluster = Cluster::start(1, &[]).await;
    let all = urls(&cluster);
    done(&all, "put a 1");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("saved");
    done(&all, &format!("snapshot save {}", path.display()));
    assert!(std::fs::metadata(&path).unwrap().len() > 4096);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl: ETCD=…"]
async fn a_full_store_raises_an_alarm() {
    let cluster = Cluster::start(1, &["--quota-backend-bytes=2000000"]).await;
    let all = urls(&cluster);
    let value = "x".repeat(100_000);
    let refused = (0..60).find_map(|n| {
        let output = ctl(&all, &format!("put k{n} {value}"));
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    assert!(refused.unwrap().contains("database space exceeded"));
    assert!(done(&all, "alarm list").contains("alarm:NOSPACE"));
    assert!(!ctl(&all, "put small 1").status.success());
    done(&all, "del k --prefix");
    let revision = "get small -w fields";
    let revision = done(&all, revision);
    let revision = revision
        .lines()
        .find_map(|line| line.strip_prefix("\"Revision\" : "));
    done(
        &all,
        &format!("compaction {} --physical", revision.unwrap()),
    );
    done(&all, "defrag");
    assert!(done(&all, "alarm disarm").contains("alarm:NOSPACE"));
    assert_eq!(done(&all, "alarm list"), "");
    done(&all, "put small 1");
}
