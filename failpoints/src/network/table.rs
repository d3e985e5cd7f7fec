//! What all proxies share: members, cuts, connections, counts.
//!
//! One lock covers cuts and connections, so that no connection slips in
//! between the moment a cut starts and the moment it looks for what to reset.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::{Link, LinkStats};

#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    reset: AtomicU64,
    refused: AtomicU64,
    unreachable: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reset(&self) {
        self.reset.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unreachable(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> LinkStats {
        LinkStats {
            accepted: self.accepted.load(Ordering::Relaxed),
            reset: self.reset.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            unreachable: self.unreachable.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A way to reset a connection: say so, then wait until the other side, which
/// outlives the sockets, is dropped.
type Sever = mpsc::Sender<()>;

struct Connection {
    from: Option<String>,
    to: String,
    sever: Sever,
}

#[derive(Default)]
struct State {
    /// Each member's process, once known.
    members: HashMap<String, Option<i32>>,
    cut_members: HashMap<String, u32>,
    cut_links: HashMap<(String, String), u32>,
    connections: HashMap<u64, Connection>,
    last_id: u64,
    links: BTreeMap<Link, Arc<Counters>>,
}

impl State {
    fn is_cut(&self, from: Option<&str>, to: &str) -> bool {
        if self.cut_members.contains_key(to) {
            return true;
        }
        match from {
            Some(from) => {
                self.cut_members.contains_key(from)
                    || self.cut_links.contains_key(&unordered(from, to))
            }
            None => {
                !self.cut_members.is_empty()
                    || self.cut_links.keys().any(|(a, b)| a == to || b == to)
            }
        }
    }

    /// Tells every connection that is cut now to end.
    fn sever(&self) -> Vec<Sever> {
        self.connections
            .values()
            .filter(|connection| self.is_cut(connection.from.as_deref(), &connection.to))
            .map(|connection| {
                // A full queue has been told before.
                let _ = connection.sever.try_send(());
                connection.sever.clone()
            })
            .collect()
    }

    fn counters(&mut self, from: Option<&str>, to: Option<&str>) -> Arc<Counters> {
        let link = Link {
            from: from.map(Into::into),
            to: to.map(Into::into),
        };
        Arc::clone(self.links.entry(link).or_default())
    }
}

fn unordered(a: &str, b: &str) -> (String, String) {
    (a.min(b).into(), a.max(b).into())
}

fn heal_one<K: Hash + Eq>(cuts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = cuts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            cuts.remove(key);
        }
    }
}

/// Waits until all these connections are closed.
pub(super) async fn gone(severed: Vec<Sever>) {
    for connection in severed {
        connection.closed().await;
    }
}

#[derive(Default)]
pub(super) struct Table(Mutex<State>);

impl Table {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the member is new.
    pub(super) fn add(&self, member: &str) -> bool {
        let mut state = self.lock();
        let new = !state.members.contains_key(member);
        if new {
            state.members.insert(member.into(), None);
        }
        new
    }

    pub(super) fn remove(&self, member: &str) {
        let mut state = self.lock();
        state.members.remove(member);
        state.cut_members.remove(member);
        state
            .cut_links
            .retain(|(a, b), _| a != member && b != member);
    }

    pub(super) fn knows(&self, member: &str) -> bool {
        self.lock().members.contains_key(member)
    }

    /// Whether the member is known.
    pub(super) fn register(&self, member: &str, pid: i32) -> bool {
        let mut state = self.lock();
        if !state.members.contains_key(member) {
            return false;
        }
        // A pid that was given out again is no longer its last owner's.
        for (name, known) in &mut state.members {
            if name == member {
                *known = Some(pid);
            } else if *known == Some(pid) {
                *known = None;
            }
        }
        true
    }

    pub(super) fn pids(&self) -> Vec<(String, i32)> {
        let state = self.lock();
        let known = |(name, pid): (&String, &Option<i32>)| Some((name.clone(), (*pid)?));
        state.members.iter().filter_map(known).collect()
    }

    pub(super) fn cut_member(&self, member: &str) -> Vec<Sever> {
        let mut state = self.lock();
        *state.cut_members.entry(member.into()).or_default() += 1;
        state.sever()
    }

    pub(super) fn heal_member(&self, member: &str) {
        heal_one(&mut self.lock().cut_members, &member.to_owned());
    }

    pub(super) fn cut_link(&self, a: &str, b: &str) -> Vec<Sever> {
        let mut state = self.lock();
        *state.cut_links.entry(unordered(a, b)).or_default() += 1;
        state.sever()
    }

    pub(super) fn heal_link(&self, a: &str, b: &str) {
        heal_one(&mut self.lock().cut_links, &unordered(a, b));
    }

    pub(super) fn heal_all(&self) {
        let mut state = self.lock();
        state.cut_members.clear();
        state.cut_links.clear();
    }

    pub(super) fn stats(&self) -> BTreeMap<Link, LinkStats> {
        let state = self.lock();
        let read = |(link, counters): (&Link, &Arc<Counters>)| (link.clone(), counters.read());
        state.links.iter().map(read).collect()
    }

    /// Enters a connection whose dialler is not known yet, unless whoever it
    /// is cannot reach this member.
    pub(super) fn enter(self: &Arc<Self>, to: &str) -> Option<Entry> {
        let mut state = self.lock();
        if state.cut_members.contains_key(to) {
            return None;
        }
        let (sever, severed) = mpsc::channel(1);
        state.last_id += 1;
        let id = state.last_id;
        let connection = Connection {
            from: None,
            to: to.into(),
            sever,
        };
        state.connections.insert(id, connection);
        Some(Entry {
            table: Arc::clone(self),
            id,
            severed,
        })
    }

    pub(super) fn link(&self, from: Option<&str>, to: Option<&str>) -> Arc<Counters> {
        self.lock().counters(from, to)
    }
}

/// A connection's line in the table. Drop it after the sockets: a cut waits
/// for that.
pub(super) struct Entry {
    table: Arc<Table>,
    id: u64,
    severed: mpsc::Receiver<()>,
}

impl Entry {
    /// Resolves when a cut wants the connection reset.
    pub(super) async fn severed(&mut self) {
        // The table holds the sender for as long as the entry lives.
        let _ = self.severed.recv().await;
    }

    /// Says who dialled, as far as is known; false if that link is cut.
    pub(super) fn identify(&self, from: Option<String>) -> bool {
        let mut state = self.table.lock();
        let Some(connection) = state.connections.get_mut(&self.id) else {
            return false;
        };
        connection.from.clone_from(&from);
        let to = connection.to.clone();
        !state.is_cut(from.as_deref(), &to)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.lock().connections.remove(&self.id);
    }
}
