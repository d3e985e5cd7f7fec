use std::sync::MutexGuard;

use fail::fail_point;

use super::commit::commit;
use super::pending::Pending;
use super::{Bucket, Pair, Shared};

/// What only the holder of the writers' lock may know.
#[derive(Default)]
pub(super) struct Writer {
    /// Writes since the last commit.
    pub(super) pending: usize,
    pub(super) closed: bool,
}

/// The batch transaction, locked: nobody else writes, and no commit happens until it is dropped.
/// Dropping it lets readers see its writes, and commits if the batch is full.
pub struct Batch<'a> {
    shared: &'a Shared,
    writer: MutexGuard<'a, Writer>,
    own: Pending,
    written: usize,
}

impl Shared {
    pub(super) fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("the writers' lock")
    }
}

impl<'a> Batch<'a> {
    pub(super) fn lock(shared: &'a Shared) -> Self {
        Self {
            shared,
            writer: shared.lock_writer(),
            own: Pending::default(),
            written: 0,
        }
    }
}

impl Batch<'_> {
    /// Writes a pair.
    pub fn put(&mut self, bucket: Bucket, key: &[u8], value: &[u8]) {
        self.own.write(bucket, key, Some(value.to_vec()));
        self.written += 1;
    }

    /// Removes a pair.
    pub fn delete(&mut self, bucket: Bucket, key: &[u8]) {
        self.own.write(bucket, key, None);
        self.written += 1;
    }

    /// A value, pending writes included.
    #[must_use]
    pub fn get(&self, bucket: Bucket, key: &[u8]) -> Option<Vec<u8>> {
        self.own
            .get(bucket, key)
            .unwrap_or_else(|| self.shared.view().get(bucket, key))
    }

    /// Pairs with `start <= key < end` in key order (no `end`: to the last), pending ones
    /// included; at most `limit` of them (0: all).
    #[must_use]
    pub fn range(
        &self,
        bucket: Bucket,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Vec<Pair> {
        // Each of its own writes hides at most one pair of those below.
        let below = match limit {
            0 => 0,
            limit => limit.saturating_add(self.written),
        };
        let below = self.shared.view().range(bucket, start, end, below);
        let below = below.into_iter().map(Ok::<_, std::convert::Infallible>);
        match self.own.over(bucket, start, end, limit, below) {
            Ok(pairs) => pairs,
            Err(never) => match never {},
        }
    }

    /// Lets readers see what it has written so far, still holding the lock.
    pub fn write_back(&mut self) {
        if self.written == 0 {
            return;
        }
        let mut view = self.shared.change_view();
        fail_point!("beforeWritebackBuf");
        view.pending.absorb(&mut self.own);
        fail_point!("afterWritebackBuf");
        self.writer.pending += std::mem::take(&mut self.written);
    }

    /// How often the database has been replaced, as [`super::Backend::generation`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.view().generation
    }

    /// Commits, with what the hook writes.
    pub(super) fn commit(&mut self) {
        let hook = self.shared.hook.lock().expect("the hook's lock").clone();
        if let Some(hook) = hook.filter(|_| !self.writer.closed) {
            fail_point!("commitBeforePreCommitHook");
            hook(self);
            fail_point!("commitAfterPreCommitHook");
        }
        self.commit_without_hook();
    }

    pub(super) fn commit_without_hook(&mut self) {
        self.write_back();
        if self.writer.pending != 0 && !self.writer.closed {
            commit(self.shared);
            self.writer.pending = 0;
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        self.writer.pending != 0
    }

    pub(super) fn close(&mut self) {
        self.writer.closed = true;
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.write_back();
        if self.writer.pending >= self.shared.options.batch_limit {
            self.commit();
        }
    }
}
