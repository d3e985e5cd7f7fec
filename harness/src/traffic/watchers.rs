//! A watcher: one watch after the other on a channel of its own, beside the clients.

use std::time::Duration;

use checker::history::{Bytes, Response, WatchRequest};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use scenarios::plan::{Profile, TrafficPlan, WatchOf, WatchStart, WatcherPlan};

use super::watcher::{Manner, Who, watch};
use super::{ClientEnd, Shared};
use crate::recorder::Recorder;
use crate::rpc::{Endpoint, Session};

/// Wait after a watch that the store ended or that failed.
const PAUSE: Duration = Duration::from_millis(50);

/// A watcher, ready to run.
pub struct Watcher {
    plan: WatcherPlan,
    profile: Profile,
    rng: ChaCha20Rng,
    session: Session,
    recorder: Recorder,
    shared: Shared,
}

impl Watcher {
    /// A watcher as planned, pinned to `endpoint`.
    ///
    /// # Errors
    /// When the endpoint is no address, or the sub-seed no number.
    pub fn new(
        plan: &WatcherPlan,
        traffic: &TrafficPlan,
        endpoint: &Endpoint,
        recorder: Recorder,
        shared: Shared,
    ) -> anyhow::Result<Self> {
        let session = match plan.slow_ms {
            0 => Session::new(endpoint)?,
            _ => Session::with_small_window(endpoint)?,
        };
        Ok(Self {
            plan: plan.clone(),
            profile: traffic.profile.clone(),
            rng: ChaCha20Rng::seed_from_u64(plan.seed.parse()?),
            session,
            recorder,
            shared,
        })
    }

    /// Watches until traffic ends.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn run(mut self) -> ClientEnd {
        let millis = |ms: u64| (ms > 0).then(|| Duration::from_millis(ms));
        let manner = Manner {
            lives: millis(self.plan.lives_ms),
            progress: millis(self.plan.progress_ms),
            slow: millis(self.plan.slow_ms).zip(millis(self.plan.pause_ms)),
        };
        while !self.shared.stopped() {
            let request = self.draw();
            let who = Who {
                client: self.plan.id,
                member: &self.plan.member,
                user: None,
                session: self.session.clone(),
            };
            let parts = (self.recorder.clone(), self.shared.clone());
            let began = tokio::time::Instant::now();
            let outcome = watch(parts, who, request, manner).await?;
            let whole = matches!(outcome.response(), Some(Response::WatchEnd { .. }))
                && manner.lives.is_some_and(|lives| began.elapsed() >= lives);
            if !whole {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.shared.wait_stopped() => {}
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> WatchRequest {
        let of = self.plan.of[self.rng.random_range(0..self.plan.of.len())];
        let start = self.plan.starts[self.rng.random_range(0..self.plan.starts.len())];
        let back = self.rng.random_range(0..i64::from(self.plan.past.max(1)));
        let ahead = self
            .rng
            .random_range(1..=i64::from(self.plan.future.max(1)));
        let prefix = self.rng.random_range(0..self.profile.prefixes.len());
        let number = self.rng.random_range(0..self.profile.keys);
        let prefix = &self.profile.prefixes[prefix];
        let (key, range_end) = match of {
            WatchOf::Key => (Bytes::from(format!("{prefix}{number}")), Bytes::default()),
            WatchOf::Prefix => {
                let key = Bytes::from(prefix.as_str());
                let end = key.prefix_end();
                (key, end)
            }
            WatchOf::All => (Bytes(vec![0]), Bytes(vec![0])),
        };
        let (newest, compacted) = self.shared.seen.revisions();
        let start_revision = match start {
            WatchStart::Now => 0,
            WatchStart::Future => newest + ahead,
            WatchStart::Compacted if compacted > 0 => compacted,
            WatchStart::Past | WatchStart::Compacted => (newest - back).max(1),
        };
        let filter = self.rng.random_range(0..10);
        WatchRequest {
            key,
            range_end,
            start_revision,
            prev_kv: self.rng.random_bool(0.5),
            progress_notify: self.rng.random_bool(0.5),
            filter_put: filter == 0,
            filter_delete: filter == 1,
        }
    }
}
