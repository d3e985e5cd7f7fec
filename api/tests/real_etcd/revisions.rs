//! The table of revisions against three members under concurrent writes.
//!
//! Each answer's revision is compared with the revision at the request's place in the raft log, read
//! from a member's files afterwards; where a request is not in the log, with what was
//! acknowledged before it was sent and with what had been sent by the time it was answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use api::pb::etcdserverpb as pb;
use api::revisions::{Meaning, ResponseKind as K, meaning};
use pb::{
    cluster_client::ClusterClient, kv_client::KvClient, maintenance_client::MaintenanceClient,
};
use tonic::transport::Channel;

use super::cluster::Cluster;
use super::log::places;
use super::range;
use super::traffic::{Answer, Seen};

/// The kind, and what matters within it.
fn label(answer: &Answer) -> (K, &'static str) {
    let number = || {
        let name = answer.name.as_deref()?;
        name.rsplit(' ').next()?.parse::<i64>().ok()
    };
    let what = match (answer.kind, number()) {
        (K::Compact, Some(revision)) => ["", "physical"][(revision % 2) as usize],
        (K::LeaseRevoke, Some(id)) => ["0 keys", "1 key", "2 keys"][(id % 10_000 % 3) as usize],
        _ => "",
    };
    (answer.kind, what)
}

/// How the revisions of one kind of answer lie to what is known.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    answers: u32,
    /// Below the place in the log; where there is none, below what was acknowledged before.
    below: u32,
    /// Above the place in the log; where there is none, above all that can have been made by then.
    above: u32,
}

#[tokio::test]
#[ignore = "needs an etcd binary"]
async fn revisions_under_concurrent_writes() {
    let cluster = Cluster::start();
    let channels = cluster.connect().await;
    let seen = Arc::new(Seen::default());

    let traffic: Vec<_> = (0..6)
        .map(|n| {
            let (seen, channel) = (seen.clone(), channels[n % 3].clone());
            tokio::spawn(async move { seen.traffic(channel, format!("t{n}")).await })
        })
        .collect();
    let turns = {
        let (seen, channels) = (seen.clone(), channels.clone());
        tokio::spawn(async move { seen.in_turn(&channels).await })
    };
    let rounds: Vec<_> = (0..3)
        .map(|m| {
            let (own, other) = (channels[m].clone(), channels[(m + 1) % 3].clone());
            let seen = seen.clone();
            tokio::spawn(async move { seen.rounds(m as i64, own, other).await })
        })
        .collect();
    for round in rounds {
        round.await.unwrap();
    }
    turns.await.unwrap();
    seen.switches(&channels).await;
    seen.done.store(true, SeqCst);
    for traffic in traffic {
        traffic.await.unwrap();
    }

    without_a_revision(&channels).await;
    // The member has all of the log once it has answered this.
    let last = KvClient::new(channels[0].clone())
        .range(range("k", 0))
        .await
        .unwrap();
    let last = last.into_inner().header.unwrap().revision;
    let places = places(&cluster.data_dir());
    assert_eq!(
        places.values().max(),
        Some(&last),
        "the log was not understood"
    );

    let mut tallies: BTreeMap<(K, &str), Tally> = BTreeMap::new();
    for answer in seen.answers.lock().unwrap().iter() {
        let (low, high) = match &answer.name {
            Some(name) => {
                let place = *places
                    .get(name)
                    .unwrap_or_else(|| panic!("{name} is not in the log"));
                assert!((answer.before..=answer.after).contains(&place), "{name}");
                (place, place)
            }
            None => (answer.before, answer.after),
        };
        let tally = tallies.entry(label(answer)).or_default();
        tally.answers += 1;
        tally.below += u32::from(answer.revision < low);
        tally.above += u32::from(answer.revision > high);
        assert!(
            answer.revision <= answer.after,
            "{:?} is from the future",
            answer.kind
        );
    }
    for ((kind, what), tally) in &tallies {
        println!("{kind:?} {what}: {tally:?}");
        match meaning(*kind).meaning {
            Meaning::Exact => assert_eq!((tally.below, tally.above), (0, 0), "{kind:?}"),
            Meaning::LowerBound => assert_eq!(tally.below, 0, "{kind:?}"),
            Meaning::MemberLocal => assert_eq!(tally.above, 0, "{kind:?}"),
            Meaning::None => panic!("{kind:?} has a revision"),
        }
    }
    // There was something to be wrong about.
    assert!(tallies[&(K::LeaseGrant, "")].answers >= 2_000);
    assert!(tallies[&(K::LeaseRevoke, "2 keys")].answers >= 600);
    assert!(tallies[&(K::Put, "")].answers >= 5_000);
    assert!(
        tallies[&(K::Compact, "")].above > 0,
        "a compaction's revision would order"
    );
    assert!(
        tallies[&(K::RangeSerializable, "")].below > 0,
        "no member was ever behind"
    );
}

/// Answers that the table says have no revision, or no header at all.
async fn without_a_revision(channels: &[Channel]) {
    let mut cluster = ClusterClient::new(channels[0].clone());
    let list = cluster
        .member_list(pb::MemberListRequest::default())
        .await
        .unwrap()
        .into_inner();
    let add = pb::MemberAddRequest {
        peer_urls: vec!["http://127.0.0.1:1".into()],
        is_learner: true,
    };
    let added = cluster.member_add(add).await.unwrap().into_inner();
    let id = added.member.unwrap().id;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let update = pb::MemberUpdateRequest {
        id,
        peer_urls: vec!["http://127.0.0.1:2".into()],
    };
    let updated = cluster.member_update(update).await.unwrap().into_inner();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let removed = cluster.member_remove(pb::MemberRemoveRequest { id }).await;
    let headers = [
        list.header,
        added.header,
        updated.header,
        removed.unwrap().into_inner().header,
    ];
    for header in headers {
        assert_eq!(header.expect("a header").revision, 0);
    }

    let mut maintenance = MaintenanceClient::new(channels[0].clone());
    let defragmented = maintenance
        .defragment(pb::DefragmentRequest {})
        .await
        .unwrap();
    assert!(defragmented.into_inner().header.is_none());
    let mut snapshot = maintenance
        .snapshot(pb::SnapshotRequest {})
        .await
        .unwrap()
        .into_inner();
    let piece = snapshot.message().await.unwrap().expect("a piece");
    assert!(piece.header.is_none());
}
