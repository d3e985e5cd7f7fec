//! Each planted bug of watching: as it should be without, as it was with.
//! Progress that overtakes events (#15220) is with the service.

use store::bugs::Bug;
use store::watch::{Delivery, STREAM_BUFFER};
use tokio::time::timeout;

use crate::restored::pair;
use crate::support::{Member, QUIET, Reader, revisions_of};

/// What a watch from now on hears that had one event before a snapshot and one in it.
async fn around_a_snapshot(follower: Member) -> Vec<i64> {
    let (leader, follower) = pair(follower);
    let mut reader = Reader::of_all(&follower, 0).await;
    follower.put("a", "x");
    leader.put("a", "x");
    leader.put("a", "y");
    let mut heard = reader.revisions_to(6).await;
    follower.take_snapshot_of(&leader);
    heard.extend(reader.revisions_to(7).await);
    heard
}

#[tokio::test]
async fn watch_repeats_15271() {
    assert_eq!(around_a_snapshot(Member::new()).await, [6, 7]);
    let bug = Member::with(Bug::WatchRepeats);
    assert_eq!(around_a_snapshot(bug).await, [6, 6, 7]);
}

/// What a watch from revision 9 on hears of revisions up to 9 when a snapshot brings 7.
async fn from_nine(follower: Member) -> Vec<i64> {
    let (leader, follower) = pair(follower);
    let mut reader = Reader::of_all(&follower, 9).await;
    leader.put("a", "x");
    leader.put("a", "y");
    follower.take_snapshot_of(&leader);
    reader.nothing().await;
    follower.put("a", "x");
    follower.put("a", "y");
    reader.revisions_to(9).await
}

#[tokio::test]
async fn watch_early_20221() {
    assert_eq!(from_nine(Member::new()).await, [9]);
    assert_eq!(from_nine(Member::with(Bug::WatchEarly)).await, [8, 9]);
}

/// Whether a watch of everything misses revisions without a word, and whether it is cancelled,
/// when its reader stands still until what it needs next is compacted.
async fn behind_a_compaction(member: Member) -> (bool, bool) {
    let mut reader = Reader::of_all(&member, 0).await;
    let mut last = 0;
    for _ in 0..2 * STREAM_BUFFER {
        last = member.put("a", "x");
    }
    member.compact(last).await;
    let mut heard = revisions_of(&reader.events().await);
    // The batch that had no room takes the place, and the stream is full again.
    tokio::time::sleep(QUIET).await;
    let mut canceled = false;
    while let Ok(Some(delivery)) = timeout(QUIET, reader.from.recv()).await {
        match delivery {
            Delivery::Events { events, .. } => heard.extend(revisions_of(&events)),
            Delivery::Compacted { .. } => canceled = true,
            other => panic!("unexpected: {other:?}"),
        }
        if heard.len() == STREAM_BUFFER {
            member.put("a", "y");
        }
    }
    let gap = heard.windows(2).any(|pair| pair[1] != pair[0] + 1);
    (gap, canceled)
}

#[tokio::test]
async fn watch_skips_17529() {
    assert_eq!(behind_a_compaction(Member::new()).await, (false, true));
    let bug = Member::with(Bug::WatchSkips);
    assert_eq!(behind_a_compaction(bug).await, (true, false));
}
