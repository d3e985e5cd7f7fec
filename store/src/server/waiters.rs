//! Who waits for which request to be applied.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::oneshot;

use crate::Error;

/// So many requests are in flight at most.
const MOST: usize = 16 * 1024;

/// Waiters by the id of their request, and the source of these ids.
#[derive(Debug)]
pub(crate) struct Waiters<T> {
    waiting: Mutex<HashMap<u64, oneshot::Sender<T>>>,
    last_id: AtomicU64,
}

/// A waiter's end; dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct Waiting<'a, T> {
    waiters: &'a Waiters<T>,
    pub(crate) id: u64,
    pub(crate) result: oneshot::Receiver<T>,
}

impl<T> Waiters<T> {
    /// Ids are made as etcd's are (pkg/idutil): two bytes of the member, five of the time in
    /// milliseconds, one that counts; so they are unique among members and over restarts.
    pub(crate) fn new(member: u64) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis() as u64);
        Self {
            waiting: Mutex::default(),
            last_id: AtomicU64::new(member << 48 | (millis << 8 & 0xffff_ffff_ffff)),
        }
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// # Errors
    /// [`Error::TooManyRequests`].
    pub(crate) fn register(&self) -> Result<Waiting<'_, T>, Error> {
        let id = self.next_id();
        let (sender, result) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            return Err(Error::TooManyRequests);
        }
        waiting.insert(id, sender);
        Ok(Waiting {
            waiters: self,
            id,
            result,
        })
    }

    pub(crate) fn is_waiting(&self, id: u64) -> bool {
        self.lock().contains_key(&id)
    }

    /// Wakes whoever waits, if anybody does.
    pub(crate) fn wake(&self, id: u64, result: T) {
        let waiter = self.lock().remove(&id);
        if let Some(waiter) = waiter {
            // One that has just left needs no answer.
            let _ = waiter.send(result);
        }
    }

    /// Ends all waits: every receiver gets an error.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<T>>> {
        self.waiting.lock().expect("nobody panics while holding it")
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.waiters.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_is_forgotten() {
        let waiters = Waiters::<u8>::new(7);
        let first = waiters.register().unwrap();
        let mut second = waiters.register().unwrap();
        assert_ne!(first.id, second.id);
        assert_eq!(first.id >> 48, 7);
        let id = first.id;
        drop(first);
        assert!(!waiters.is_waiting(id));
        waiters.wake(second.id, 3);
        assert_eq!(second.result.try_recv(), Ok(3));
        assert!(!waiters.is_waiting(second.id));
    }
}
