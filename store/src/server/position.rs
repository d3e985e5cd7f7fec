//! Up to which entry of the log the database holds every effect.

use std::sync::Mutex;

use crate::backend::{Backend, Batch, Bucket};

const INDEX_KEY: &[u8] = b"consistent_index";
const TERM_KEY: &[u8] = b"term";

/// The consistent index and its term, in memory. They are set under the lock of the batch that has
/// the entry's data, and written by every commit of a batch, so that index and data are durable
/// together (etcd's server/etcdserver/cindex).
#[derive(Debug)]
pub(crate) struct Position(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    index: u64,
    term: u64,
    /// The database is being replaced: commits leave the index alone.
    frozen: bool,
}

impl Position {
    pub(crate) fn read(backend: &Backend) -> Self {
        let (index, term) = stored(backend);
        Self(Mutex::new(State {
            index,
            term,
            frozen: false,
        }))
    }

    pub(crate) fn index(&self) -> u64 {
        self.lock().index
    }

    pub(crate) fn set(&self, index: u64, term: u64) {
        let mut state = self.lock();
        state.index = index;
        state.term = term;
    }

    /// Nothing is written any more until the index has been read anew.
    pub(crate) fn freeze(&self) {
        self.lock().frozen = true;
    }

    /// Takes over what a replaced database says.
    pub(crate) fn read_again(&self, backend: &Backend) {
        let (index, term) = stored(backend);
        *self.lock() = State {
            index,
            term,
            frozen: false,
        };
    }

    /// Writes index and term.
    pub(crate) fn save(&self, batch: &mut Batch<'_>) {
        let State {
            index,
            term,
            frozen,
        } = *self.lock();
        if !frozen && index > 0 {
            batch.put(Bucket::Meta, INDEX_KEY, &index.to_be_bytes());
            batch.put(Bucket::Meta, TERM_KEY, &term.to_be_bytes());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

fn stored(backend: &Backend) -> (u64, u64) {
    let number = |key| {
        let value = backend.get(Bucket::Meta, key);
        value.map_or(0, |bytes| {
            bytes
                .try_into()
                .map_or(0, |bytes: [u8; 8]| u64::from_be_bytes(bytes))
        })
    };
    (number(INDEX_KEY), number(TERM_KEY))
}
