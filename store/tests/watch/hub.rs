//! What a watch of the hub gets, and when.

use api::pb::mvccpb::event::EventType;
use store::watch::{Delivery, STREAM_BUFFER, WatchSpec};

use crate::support::{Member, Reader, all, keys_of, one, revisions_of};

fn id_of(answer: &Delivery) -> i64 {
    match answer {
        Delivery::Created { watch_id, .. } => *watch_id,
        other => panic!("not created: {other:?}"),
    }
}

fn refusal(answer: &Delivery) -> &str {
    match answer {
        Delivery::Refused { reason, .. } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_watch_from_now_hears_of_what_comes() {
    let member = Member::new();
    member.put("a", "1");
    let mut reader = Reader::new(&member);
    let answer = reader.watch(0, all(0)).await;
    assert!(
        matches!(answer, Delivery::Created { rev: 2, .. }),
        "{answer:?}"
    );
    member.put("a", "2");
    member.delete("a");
    let put = reader.events().await;
    assert_eq!(revisions_of(&put), [3]);
    assert_eq!(put[0].kv.as_ref().expect("a pair").value, b"2");
    let deleted = reader.events().await;
    assert_eq!(deleted[0].r#type(), EventType::Delete);
    assert_eq!(revisions_of(&deleted), [4]);
    reader.nothing().await;
}

#[tokio::test]
async fn a_watch_from_the_past_hears_of_all_since() {
    let member = Member::new();
    for number in 0..5 {
        member.put("a", &number.to_string());
    }
    let mut reader = Reader::of_all(&member, 3).await;
    assert_eq!(reader.revisions_to(6).await, [3, 4, 5, 6]);
    member.put("b", "x");
    assert_eq!(reader.revisions_to(7).await, [7]);
}

#[tokio::test]
async fn a_watch_of_the_future_hears_of_nothing_earlier() {
    let member = Member::new();
    let mut reader = Reader::of_all(&member, 5).await;
    for _ in 0..5 {
        member.put("a", "x");
    }
    assert_eq!(reader.revisions_to(6).await, [5, 6]);
}

#[tokio::test]
async fn a_revision_comes_in_one_piece() {
    let member = Member::new();
    let mut reader = Reader::of_all(&member, 0).await;
    for _ in 0..3 {
        let mut txn = member.store.write();
        txn.put(b"a", b"1", 0);
        txn.put(b"b", b"2", 0);
        txn.put(b"c", b"3", 0);
        txn.end();
    }
    for rev in 2..5 {
        let events = reader.events().await;
        assert_eq!(revisions_of(&events), [rev; 3]);
        assert_eq!(keys_of(&events), ["a", "b", "c"]);
    }
    let past = Reader::of_all(&member, 2).await.events().await;
    assert_eq!(past.len(), 9);
}

#[tokio::test]
async fn ranges_are_as_in_etcd() {
    let member = Member::new();
    let specs = [
        (one("b"), vec!["b"]),
        (
            WatchSpec {
                end: b"c".to_vec(),
                ..one("a")
            },
            vec!["a", "b"],
        ),
        (
            WatchSpec {
                end: vec![0],
                ..one("b")
            },
            vec!["b", "c"],
        ),
        (all(0), vec!["a", "b", "c"]),
    ];
    let mut readers = Vec::new();
    for (spec, expected) in specs {
        let past = WatchSpec {
            start_rev: 2,
            ..spec.clone()
        };
        let (mut now, mut later) = (Reader::new(&member), Reader::new(&member));
        now.watch(0, spec).await;
        later.watch(0, past).await;
        readers.push((now, expected.clone()));
        readers.push((later, expected));
    }
    for key in ["a", "b", "c"] {
        member.put(key, "x");
    }
    for (mut reader, expected) in readers {
        let mut keys = Vec::new();
        while keys.len() < expected.len() {
            keys.extend(keys_of(&reader.events().await));
        }
        assert_eq!(keys, expected);
        reader.nothing().await;
    }
}

#[tokio::test]
async fn filters_leave_out_what_they_name() {
    let member = Member::new();
    let mut reader = Reader::new(&member);
    let (no_put, no_delete) = (
        WatchSpec {
            no_put: true,
            ..all(0)
        },
        WatchSpec {
            no_delete: true,
            ..all(0)
        },
    );
    reader.watch(1, no_put.clone()).await;
    reader.watch(2, no_delete.clone()).await;
    member.put("a", "x");
    member.delete("a");
    let mut got = Vec::new();
    for _ in 0..2 {
        if let Delivery::Events {
            watch_id, events, ..
        } = reader.next().await
        {
            got.push((watch_id, revisions_of(&events)));
        }
    }
    assert_eq!(got, [(2, vec![2]), (1, vec![3])]);
    reader.nothing().await;
    let mut past = Reader::new(&member);
    past.watch(
        0,
        WatchSpec {
            start_rev: 1,
            ..no_put
        },
    )
    .await;
    assert_eq!(past.revisions_to(3).await, [3]);
}

#[tokio::test]
async fn ids_are_given_or_chosen_and_never_shared() {
    let member = Member::new();
    let mut reader = Reader::new(&member);
    assert_eq!(id_of(&reader.watch(1, all(0)).await), 1);
    assert_eq!(id_of(&reader.watch(0, all(0)).await), 0);
    assert_eq!(id_of(&reader.watch(0, all(0)).await), 2);
    let duplicate = reader.watch(1, all(0)).await;
    assert_eq!(
        refusal(&duplicate),
        "mvcc: duplicate watch ID provided on the WatchStream"
    );
    let empty = reader
        .watch(
            0,
            WatchSpec {
                end: b"a".to_vec(),
                ..one("b")
            },
        )
        .await;
    assert_eq!(refusal(&empty), "mvcc: watcher range is empty");
    reader.stream.cancel(7).await.expect("open");
    reader.nothing().await;
    reader.stream.cancel(1).await.expect("open");
    assert_eq!(
        reader.next().await,
        Delivery::Canceled {
            watch_id: 1,
            rev: 1
        }
    );
    assert_eq!(id_of(&reader.watch(1, all(0)).await), 1);
}

#[tokio::test]
async fn a_cancelled_watch_hears_no_more() {
    let member = Member::new();
    let mut reader = Reader::of_all(&member, 0).await;
    member.put("a", "x");
    reader.stream.cancel(0).await.expect("open");
    member.put("a", "y");
    assert_eq!(revisions_of(&reader.events().await), [2]);
    assert!(matches!(
        reader.next().await,
        Delivery::Canceled { watch_id: 0, .. }
    ));
    reader.nothing().await;
}

#[tokio::test]
async fn a_compacted_start_cancels_the_watch() {
    let member = Member::new();
    for _ in 0..5 {
        member.put("a", "x");
    }
    member.compact(4).await;
    let mut reader = Reader::of_all(&member, 3).await;
    let canceled = Delivery::Compacted {
        watch_id: 0,
        compact_rev: 4,
    };
    assert_eq!(reader.next().await, canceled);
    member.put("a", "y");
    reader.nothing().await;
    assert_eq!(id_of(&reader.watch(9, all(4)).await), 9);
    assert_eq!(reader.revisions_to(7).await, [4, 5, 6, 7]);
    // As in etcd, its id is taken until it is cancelled, too.
    let refused = reader.watch(9, all(0)).await;
    assert!(refusal(&refused).contains("duplicate"), "{refused:?}");
}

#[tokio::test]
async fn a_slow_reader_costs_no_more_than_its_buffer_and_misses_nothing() {
    let member = Member::new();
    let mut reader = Reader::of_all(&member, 0).await;
    let mut last = 0;
    for _ in 0..5000 {
        last = member.put("a", "x");
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(reader.from.len(), STREAM_BUFFER);
    assert_eq!(
        reader.revisions_to(last).await,
        (2..=last).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_else() {
    let member = Member::new();
    let _slow = Reader::of_all(&member, 0).await;
    let mut quick = Reader::of_all(&member, 0).await;
    for rev in 2..1000 {
        member.put("a", "x");
        assert_eq!(revisions_of(&quick.events().await), [rev]);
    }
}

#[tokio::test]
async fn progress_comes_behind_events_and_for_synced_streams_only() {
    let member = Member::new();
    let mut reader = Reader::of_all(&member, 0).await;
    reader.stream.progress_all();
    assert_eq!(
        reader.next().await,
        Delivery::Progress {
            watch_id: -1,
            rev: 1
        }
    );
    member.put("a", "x");
    reader.stream.progress_all();
    reader.stream.progress(0);
    reader.stream.progress(5);
    assert_eq!(revisions_of(&reader.events().await), [2]);
    assert_eq!(
        reader.next().await,
        Delivery::Progress {
            watch_id: -1,
            rev: 2
        }
    );
    assert_eq!(
        reader.next().await,
        Delivery::Progress {
            watch_id: 0,
            rev: 2
        }
    );
    // A victim.
    for _ in 0..STREAM_BUFFER + 1 {
        member.put("a", "x");
    }
    reader.events().await;
    reader.stream.progress_all();
    let last = member.store.rev();
    assert_eq!(reader.revisions_to(last).await.last(), Some(&last));
    // One that starts later than now.
    assert_eq!(id_of(&reader.watch(0, all(last + 5)).await), 1);
    reader.stream.progress_all();
    reader.nothing().await;
}

#[tokio::test]
async fn a_stream_without_watches_has_no_progress() {
    let member = Member::new();
    let mut reader = Reader::new(&member);
    reader.stream.progress_all();
    reader.nothing().await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends() {
    let member = Member::new();
    let Reader { stream, mut from } = Reader::of_all(&member, 0).await;
    drop(stream);
    member.put("a", "x");
    assert_eq!(from.recv().await, None);
}
