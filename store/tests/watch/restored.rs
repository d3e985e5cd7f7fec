//! Watches of a member that is brought up by a snapshot.

use crate::support::{Member, Reader, all, one};
use store::watch::Delivery;

/// Two members with the same history up to revision 5.
pub(crate) fn pair(follower: Member) -> (Member, Member) {
    let leader = Member::new();
    for member in [&leader, &follower] {
        for number in 0..4 {
            member.put("a", &number.to_string());
        }
    }
    (leader, follower)
}

#[tokio::test]
async fn nothing_comes_twice_and_nothing_is_missed() {
    let (leader, follower) = pair(Member::new());
    let mut old = Reader::of_all(&follower, 2).await;
    let mut new = Reader::of_all(&follower, 0).await;
    assert_eq!(old.revisions_to(5).await, [2, 3, 4, 5]);
    follower.put("a", "x");
    leader.put("a", "x");
    for _ in 0..4 {
        leader.put("a", "y");
    }
    follower.take_snapshot_of(&leader);
    assert_eq!(old.revisions_to(10).await, [6, 7, 8, 9, 10]);
    assert_eq!(new.revisions_to(10).await, [6, 7, 8, 9, 10]);
    follower.put("a", "z");
    assert_eq!(old.revisions_to(11).await, [11]);
}

#[tokio::test]
async fn a_start_in_the_future_stays() {
    let (leader, follower) = pair(Member::new());
    let mut reader = Reader::of_all(&follower, 12).await;
    for _ in 0..4 {
        leader.put("a", "y");
    }
    follower.take_snapshot_of(&leader);
    reader.nothing().await;
    for _ in 0..4 {
        follower.put("a", "z");
    }
    assert_eq!(reader.revisions_to(13).await, [12, 13]);
}

#[tokio::test]
async fn whoever_missed_what_the_snapshot_has_compacted_is_cancelled() {
    let (leader, follower) = pair(Member::new());
    let mut reader = Reader::of_all(&follower, 0).await;
    for _ in 0..10 {
        leader.put("a", "y");
    }
    leader.compact(10).await;
    follower.take_snapshot_of(&leader);
    let canceled = Delivery::Compacted {
        watch_id: 0,
        compact_rev: 10,
    };
    assert_eq!(reader.next().await, canceled);
}

#[tokio::test]
async fn a_quiet_watch_that_missed_nothing_is_not_cancelled() {
    let (leader, follower) = pair(Member::new());
    let mut reader = Reader::new(&follower);
    reader.watch(0, one("b")).await;
    for member in [&leader, &follower] {
        for _ in 0..10 {
            member.put("a", "y");
        }
    }
    leader.compact(12).await;
    leader.put("b", "x");
    follower.take_snapshot_of(&leader);
    assert_eq!(reader.revisions_to(16).await, [16]);
}

#[tokio::test]
async fn events_that_wait_for_a_slow_reader_come_first() {
    let (leader, follower) = pair(Member::new());
    let mut reader = Reader::of_all(&follower, 0).await;
    for member in [&leader, &follower] {
        for _ in 0..300 {
            member.put("a", "y");
        }
    }
    leader.put("a", "z");
    follower.take_snapshot_of(&leader);
    assert_eq!(
        reader.revisions_to(306).await,
        (6..=306).collect::<Vec<_>>()
    );
    let mut late = Reader::new(&follower);
    late.watch(0, all(306)).await;
    assert_eq!(late.revisions_to(306).await, [306]);
}
