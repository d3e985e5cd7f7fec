//! The failpoints of watching, which are one set for a process.

#[allow(dead_code)]
#[path = "watch/serving.rs"]
mod serving;
#[allow(dead_code)]
#[path = "watch/support.rs"]
mod support;

use fail::FailScenario;
use serving::{Serving, create_all};
use store::watch::{Delivery, STREAM_BUFFER};
use support::{Member, Reader, revisions_of};

#[tokio::test(flavor = "multi_thread")]
async fn they_sit_where_etcd_has_them() {
    let scenario = FailScenario::setup();
    let member = Member::new();
    member.put("a", "x");

    fail::cfg("beforeSyncWatchers", "pause").expect("set");
    let mut past = Reader::of_all(&member, 2).await;
    let mut now = Reader::of_all(&member, 0).await;
    member.put("a", "x");
    assert_eq!(now.revisions_to(3).await, [3]);
    past.nothing().await;
    fail::remove("beforeSyncWatchers");
    assert_eq!(past.revisions_to(3).await, [2, 3]);

    fail::cfg("beforeMoveVictims", "pause").expect("set");
    for _ in 0..=STREAM_BUFFER {
        member.put("a", "x");
    }
    for _ in 0..STREAM_BUFFER {
        now.events().await;
    }
    now.nothing().await;
    fail::remove("beforeMoveVictims");
    let last = member.store.rev();
    assert_eq!(now.revisions_to(last).await, [last]);

    fail::cfg("beforeProgressIfSync", "pause").expect("set");
    let Reader { stream, from } = now;
    let asking = std::thread::spawn(move || stream.progress_all());
    tokio::time::sleep(support::QUIET).await;
    assert_eq!(from.len(), 0);
    fail::remove("beforeProgressIfSync");
    let mut from = from;
    let progress = Delivery::Progress {
        watch_id: -1,
        rev: last,
    };
    assert_eq!(from.recv().await, Some(progress));
    asking.join().expect("asked");

    let serving = Serving::new(member).await;
    let (mut held, mut free) = (serving.open().await, serving.open().await);
    held.create(create_all(0)).await;
    fail::cfg("beforeSendWatchResponse", "1*pause->off").expect("set");
    serving.member.put("a", "x");
    tokio::time::sleep(support::QUIET).await;
    // Only its sending is held: what the client asks is heard.
    held.progress().await;
    free.create(create_all(last + 1)).await;
    assert_eq!(revisions_of(&free.next().await.events), [last + 1]);
    held.nothing().await;
    fail::remove("beforeSendWatchResponse");
    assert_eq!(revisions_of(&held.next().await.events), [last + 1]);
    assert_eq!(held.next().await.watch_id, -1);
    scenario.teardown();
}
