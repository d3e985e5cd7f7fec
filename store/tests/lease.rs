//! Leases: granted, renewed, expired, and read again after a restart.

use std::time::{Duration, Instant};

use store::Error;
use store::backend::{self, Backend};
use store::bugs::{Bug, Bugs};
use store::lease::{Lessor, MAX_TTL};

struct Database {
    _directory: tempfile::TempDir,
    backend: Backend,
}

fn database() -> Database {
    let directory = tempfile::tempdir().unwrap();
    let options = backend::Options {
        batch_interval: Duration::from_millis(100),
        batch_limit: 10_000,
        bugs: Bugs::default(),
    };
    let backend = Backend::open(&directory.path().join("db"), options).unwrap();
    Database {
        _directory: directory,
        backend,
    }
}

impl Database {
    fn lessor(&self, bugs: Bugs) -> Lessor {
        Lessor::open(&self.backend, 1, bugs)
    }

    fn leading(&self, bugs: Bugs) -> Lessor {
        let lessor = self.lessor(bugs);
        lessor.promote(Duration::ZERO);
        lessor
    }

    fn grant(&self, lessor: &Lessor, id: i64, ttl: i64) -> Result<i64, Error> {
        lessor.grant(&mut self.backend.batch(), id, ttl)
    }
}

/// Leases that come up as expired until `end`, with the time of each.
async fn watch(lessor: &Lessor, start: Instant, end: Duration) -> Vec<(i64, Duration)> {
    let mut expired = Vec::new();
    while start.elapsed() < end {
        let found = lessor.expired(100).into_iter();
        expired.extend(found.map(|id| (id, start.elapsed())));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    expired
}

#[test]
fn a_grant_is_refused_or_raised_as_by_etcd() {
    let database = database();
    let lessor = Lessor::open(&database.backend, 5, Bugs::default());
    let grant = |id, ttl| database.grant(&lessor, id, ttl);
    assert_eq!(grant(0, 10), Err(Error::LeaseNotFound));
    assert_eq!(grant(1, MAX_TTL + 1), Err(Error::LeaseTtlTooLarge));
    assert_eq!(grant(1, MAX_TTL), Ok(MAX_TTL));
    assert_eq!(grant(1, 10), Err(Error::LeaseExist));
    assert_eq!(grant(2, 4), Ok(5));
    assert_eq!(grant(-3, -7), Ok(5));
    assert!(lessor.exists(-3) && !lessor.exists(3));
}

#[test]
fn a_key_belongs_to_one_lease() {
    let database = database();
    let lessor = database.lessor(Bugs::default());
    database.grant(&lessor, 1, 10).unwrap();
    database.grant(&lessor, 2, 10).unwrap();
    for key in [&b"b"[..], b"a", b"c"] {
        lessor.attach(1, key);
    }
    lessor.attach(2, b"b");
    lessor.attach(9, b"a");
    lessor.detach(2, b"c");
    assert_eq!(lessor.keys(1), Ok(vec![b"a".to_vec(), b"c".to_vec()]));
    assert_eq!(lessor.keys(2), Ok(vec![b"b".to_vec()]));
    assert_eq!(lessor.keys(9), Err(Error::LeaseNotFound));
    lessor.detach(1, b"c");
    let leases = [&b"a"[..], b"b", b"c"].map(|key| lessor.lease_of(key));
    assert_eq!(leases, [1, 2, 0]);
    lessor.remove(&mut database.backend.batch(), 1);
    assert_eq!(lessor.lease_of(b"a"), 0);
    assert!(!lessor.exists(1));
}

#[test]
fn leases_outlive_a_restart_and_keys_are_attached_anew() {
    let database = database();
    let lessor = database.lessor(Bugs::default());
    for id in [7, -2, 1] {
        database.grant(&lessor, id, 100).unwrap();
    }
    lessor.attach(7, b"a");
    lessor.remove(&mut database.backend.batch(), 1);
    let again = Lessor::open(&database.backend, 200, Bugs::default());
    assert_eq!(again.ids(), [-2, 7]);
    assert_eq!(again.keys(7), Ok(Vec::new()));
    again.promote(Duration::ZERO);
    assert_eq!(again.standing(7).unwrap().granted_ttl, 200);
}

#[test]
fn only_a_leader_knows_what_is_left() {
    let database = database();
    let lessor = database.lessor(Bugs::default());
    database.grant(&lessor, 1, 100).unwrap();
    assert_eq!(lessor.standing(1), Err(Error::LeaderChanged));
    assert_eq!(lessor.standing(2), Err(Error::LeaseNotFound));
    lessor.promote(Duration::from_secs(10));
    database.grant(&lessor, 3, 50).unwrap();
    lessor.attach(1, b"k");
    let standing = lessor.standing(1).unwrap();
    assert_eq!((standing.granted_ttl, standing.remaining_ttl), (100, 109));
    assert_eq!(standing.keys, [b"k"]);
    assert_eq!(lessor.standing(3).unwrap().remaining_ttl, 49);
    assert_eq!(lessor.ids(), [3, 1], "by expiry");
    lessor.demote();
    assert_eq!(lessor.standing(1), Err(Error::LeaderChanged));
    assert_eq!(lessor.ids(), [1, 3]);
}

#[tokio::test]
async fn a_lease_expires_when_it_is_over_and_is_named_again_until_revoked() {
    let database = database();
    let lessor = database.leading(Bugs::default());
    let start = Instant::now();
    database.grant(&lessor, 1, 1).unwrap();
    database.grant(&lessor, 2, 100).unwrap();
    let expired = watch(&lessor, start, Duration::from_millis(4500)).await;
    let times: Vec<_> = expired.iter().map(|(_, at)| at.as_secs_f64()).collect();
    assert!(expired.iter().all(|(id, _)| *id == 1), "{expired:?}");
    assert_eq!(times.len(), 2, "{times:?}");
    assert!((1.0..1.5).contains(&times[0]), "{times:?}");
    assert!((4.0..4.5).contains(&times[1]), "{times:?}");
}

#[tokio::test]
async fn nothing_expires_where_nobody_leads_and_a_new_leader_gives_time() {
    let database = database();
    let lessor = database.leading(Bugs::default());
    database.grant(&lessor, 1, 1).unwrap();
    lessor.demote();
    assert_eq!(lessor.renew(1).await, Err(Error::NotLeader));
    let start = Instant::now();
    assert_eq!(watch(&lessor, start, Duration::from_millis(1300)).await, []);
    lessor.promote(Duration::from_millis(500));
    let start = Instant::now();
    let expired = watch(&lessor, start, Duration::from_secs(2)).await;
    assert_eq!(expired.len(), 1);
    assert!(expired[0].1 >= Duration::from_millis(1500), "{expired:?}");
}

#[tokio::test]
async fn expired_leases_come_oldest_first_and_no_more_than_asked_for() {
    let database = database();
    let lessor = database.leading(Bugs::default());
    for id in [3, 1, 2] {
        database.grant(&lessor, id, 1).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(lessor.expired(2), [3, 1]);
    assert_eq!(lessor.expired(2), [2]);
    assert!(lessor.expired(2).is_empty());
}

async fn renewed_for_two_seconds(bugs: Bugs) -> Vec<(i64, Duration)> {
    let database = database();
    let lessor = database.leading(bugs);
    let start = Instant::now();
    database.grant(&lessor, 1, 1).unwrap();
    let keep_alive = async {
        while start.elapsed() < Duration::from_secs(2) {
            // The bug makes it expire, and nobody revokes it here.
            let renewed = tokio::time::timeout(Duration::from_millis(50), lessor.renew(1)).await;
            assert_eq!(renewed, Ok(Ok(1)));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let watch = watch(&lessor, start, Duration::from_secs(2));
    tokio::join!(keep_alive, watch).1
}

#[tokio::test]
async fn a_lease_that_is_renewed_does_not_expire() {
    let healthy = renewed_for_two_seconds(Bugs::default()).await;
    assert_eq!(healthy, []);
    let planted = renewed_for_two_seconds(Bugs::default().with(Bug::EarlyExpiry)).await;
    assert_eq!(planted.len(), 1);
    assert!(planted[0].1 < Duration::from_millis(1500), "{planted:?}");
}

#[tokio::test]
async fn whoever_renews_too_late_hears_when_the_lease_is_gone() {
    let database = database();
    let lessor = database.leading(Bugs::default());
    for id in [1, 2] {
        database.grant(&lessor, id, 1).unwrap();
    }
    assert_eq!(lessor.renew(3).await, Err(Error::LeaseNotFound));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let late = tokio::time::timeout(Duration::from_millis(100), lessor.renew(1));
    assert!(
        late.await.is_err(),
        "nothing is certain before the revocation"
    );
    let revoke = async { lessor.remove(&mut database.backend.batch(), 1) };
    let (renewed, ()) = tokio::join!(lessor.renew(1), revoke);
    assert_eq!(renewed, Err(Error::LeaseNotFound));
    let (renewed, ()) = tokio::join!(lessor.renew(2), async { lessor.demote() });
    assert_eq!(renewed, Err(Error::NotLeader));
}
