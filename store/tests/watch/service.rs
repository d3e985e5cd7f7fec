//! The Watch service, with etcd's messages over a real connection.

use std::sync::Arc;
use std::time::Duration;

use api::pb::etcdserverpb::watch_request::RequestUnion;
use api::pb::etcdserverpb::{WatchCancelRequest, WatchCreateRequest, WatchResponse};
use store::bugs::{Bug, Bugs};
use tokio::time::timeout;
use tonic::Code;

use crate::serving::{Serving, create, create_all, revision};
use crate::support::{Member, PATIENCE, QUIET, revisions_of};

#[tokio::test]
async fn a_watch_is_created_told_and_cancelled() {
    let serving = Serving::new(Member::new()).await;
    serving.member.put("a", "0");
    let mut client = serving.open().await;
    let created = client.create(create_all(0)).await;
    let header = created.header.expect("a header");
    assert_eq!((header.cluster_id, header.member_id), (7, 8));
    assert_eq!((header.revision, header.raft_term), (2, 9));
    assert!(created.created && !created.canceled);
    let watch_id = created.watch_id;
    serving.member.put("a", "1");
    let told = client.next().await;
    assert_eq!((told.watch_id, revision(&told)), (watch_id, 3));
    assert_eq!(revisions_of(&told.events), [3]);
    assert_eq!(told.events[0].prev_kv, None);
    client
        .ask(RequestUnion::CancelRequest(WatchCancelRequest {
            watch_id: 77,
        }))
        .await;
    client
        .ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }))
        .await;
    let canceled = client.next().await;
    assert!(canceled.canceled && !canceled.created);
    assert_eq!((canceled.watch_id, revision(&canceled)), (watch_id, 3));
    serving.member.put("a", "2");
    client.nothing().await;
}

#[tokio::test]
async fn a_refused_watch_is_created_and_cancelled_at_once() {
    let serving = Serving::new(Member::new()).await;
    let mut client = serving.open().await;
    let refused = client.create(create("secret")).await;
    assert!(refused.created && refused.canceled);
    assert_eq!((refused.watch_id, revision(&refused)), (-1, 1));
    assert_eq!(
        refused.cancel_reason,
        "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    );
    let twice = WatchCreateRequest {
        watch_id: 5,
        ..create("a")
    };
    assert_eq!(client.create(twice.clone()).await.watch_id, 5);
    let refused = client.create(twice).await;
    assert!(refused.created && refused.canceled);
    assert_eq!(refused.watch_id, -1);
    assert_eq!(
        refused.cancel_reason,
        "mvcc: duplicate watch ID provided on the WatchStream"
    );
    let mut client = serving
        .open_with(&[("token", "bad")])
        .await
        .expect("a stream");
    assert_eq!(
        client.create(create("a")).await.cancel_reason,
        "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
    );
}

#[tokio::test]
async fn previous_pairs_come_with_events_unless_compacted() {
    let serving = Serving::new(Member::new()).await;
    let member = &serving.member;
    member.put("a", "1");
    member.put("a", "2");
    member.delete("a");
    member.put("a", "3");
    let spec = WatchCreateRequest {
        prev_kv: true,
        start_revision: 2,
        ..create("a")
    };
    let mut client = serving.open().await;
    client.create(spec.clone()).await;
    let previous = |response: &WatchResponse| -> Vec<Option<String>> {
        let pairs = response.events.iter().map(|event| event.prev_kv.as_ref());
        pairs
            .map(|kv| kv.map(|kv| String::from_utf8_lossy(&kv.value).into_owned()))
            .collect()
    };
    let told = client.next().await;
    assert_eq!(
        previous(&told),
        [None, Some("1".into()), Some("2".into()), None]
    );
    member.put("a", "4");
    assert_eq!(previous(&client.next().await), [Some("3".into())]);
    member.compact(6).await;
    client
        .create(WatchCreateRequest {
            start_revision: 6,
            ..spec
        })
        .await;
    assert_eq!(previous(&client.next().await), [None]);
}

#[tokio::test]
async fn a_compacted_watch_is_cancelled_with_the_revision() {
    let serving = Serving::new(Member::new()).await;
    for _ in 0..5 {
        serving.member.put("a", "x");
    }
    serving.member.compact(4).await;
    let mut client = serving.open().await;
    assert!(!client.create(create_all(2)).await.canceled);
    let canceled = client.next().await;
    assert!(canceled.canceled && !canceled.created);
    assert_eq!((canceled.compact_revision, revision(&canceled)), (4, 0));
    assert_eq!(canceled.cancel_reason, "");
}

#[tokio::test]
async fn large_responses_come_in_fragments_if_asked_for() {
    let serving = Serving::new(Member::new()).await;
    let value = "v".repeat(600 << 10);
    let mut txn = serving.member.store.write();
    for key in ["a", "b", "c", "d", "e"] {
        txn.put(key.as_bytes(), value.as_bytes(), 0);
    }
    txn.end();
    let mut client = serving.open().await;
    client.create(create_all(2)).await;
    let whole = client.next().await;
    assert_eq!((whole.events.len(), whole.fragment), (5, false));
    let mut client = serving.open().await;
    client
        .create(WatchCreateRequest {
            fragment: true,
            ..create_all(2)
        })
        .await;
    let mut sizes = Vec::new();
    loop {
        let part = client.next().await;
        sizes.push(part.events.len());
        assert_eq!(revision(&part), 2);
        if !part.fragment {
            break;
        }
    }
    assert_eq!(sizes, [3, 2]);
}

#[tokio::test]
async fn quiet_watches_hear_of_the_revision_now_and_then() {
    let member = Member::open(Bugs::default(), Duration::from_millis(100));
    let serving = Serving::new(member).await;
    let mut client = serving.open().await;
    client.create(create("silent")).await;
    let loud = WatchCreateRequest {
        progress_notify: true,
        watch_id: 5,
        ..create("a")
    };
    client.create(loud).await;
    serving.member.put("b", "x");
    for _ in 0..3 {
        let progress = client.next().await;
        assert_eq!((progress.watch_id, revision(&progress)), (5, 2));
        assert!(progress.events.is_empty());
    }
}

#[tokio::test]
async fn a_stream_that_requires_a_leader_ends_without() {
    let serving = Serving::new(Member::new()).await;
    let mut indifferent = serving.open().await;
    indifferent.create(create("a")).await;
    let needs = [("hasleader", "true")];
    let mut client = serving.open_with(&needs).await.expect("a stream");
    client.create(create("a")).await;
    serving.host.leader.send_replace(false);
    let end = client.end().await;
    assert_eq!(
        (end.code(), end.message()),
        (Code::Unavailable, "etcdserver: no leader")
    );
    let refused = serving.open_with(&needs).await.err().expect("a refusal");
    assert_eq!(refused.message(), "etcdserver: no leader");
    serving.member.put("a", "x");
    assert_eq!(revisions_of(&indifferent.next().await.events), [2]);
}

/// Whether a progress answer says a revision whose events had not all come.
async fn progress_overtakes(member: Member) -> bool {
    let serving = Serving::new(member).await;
    // More than a connection holds.
    let value = "v".repeat(64 << 10);
    let mut last = 0;
    for _ in 0..300 {
        last = serving.member.put("a", &value);
    }
    let mut client = serving.open().await;
    client.create(create_all(2)).await;
    client.progress().await;
    tokio::time::sleep(QUIET).await;
    let (mut heard, mut overtaken) = (0, false);
    while heard < last {
        let response = client.next().await;
        match response.watch_id {
            -1 => overtaken |= revision(&response) > heard,
            _ => heard = revisions_of(&response.events).pop().expect("an event"),
        }
    }
    client.progress().await;
    let progress = client.next().await;
    assert_eq!((progress.watch_id, revision(&progress)), (-1, last));
    overtaken
}

#[tokio::test]
async fn progress_ahead_15220() {
    assert!(!progress_overtakes(Member::new()).await);
    assert!(progress_overtakes(Member::with(Bug::ProgressAhead)).await);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_written_to() {
    let serving = Serving::new(Member::new()).await;
    let value = "v".repeat(64 << 10);
    let mut slow = serving.open().await;
    slow.create(create_all(0)).await;
    let mut last = 0;
    for _ in 0..400 {
        last = serving.member.put("a", &value);
    }
    serving.member.compact(last).await;
    tokio::time::sleep(QUIET).await;
    // It got what the buffers hold, and is cancelled for the rest.
    let mut heard = 1;
    let end = loop {
        let response = slow.next().await;
        if response.canceled {
            break response;
        }
        for rev in revisions_of(&response.events) {
            assert_eq!(rev, heard + 1);
            heard = rev;
        }
    };
    assert_eq!(end.compact_revision, last);
    assert!((100..300).contains(&heard), "{heard}");
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_nothing() {
    let serving = Serving::new(Member::new()).await;
    let hub = Arc::downgrade(&serving.member.hub);
    let streams = hub.strong_count();
    let mut client = serving.open().await;
    client.create(create_all(0)).await;
    assert!(hub.strong_count() > streams);
    drop(client);
    let gone = async {
        while hub.strong_count() > streams {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("in time");
}
